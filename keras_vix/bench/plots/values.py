"""What the figures compute from rows before anything is drawn: names, means over seeds, the Pareto front, break-even points."""

import json
import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from ...train.recipe import NAMES as RECIPE_FIELDS
from ..tables import Row, one_line

CLIP = 40
# In what rows of the same name can differ, and how the difference is written.
APART = (
    ("dataset", "{}"), ("profile", "{}"), ("init", "{}"), ("backend", "{}"), ("device", "{}"), ("devices", "{} devices"),
    ("batch_size", "batch {}"), ("epochs", "{} epochs"), ("train_images", "{} images"), ("retried", "half batch"),
    ("seed", "seed {}"),
)  # fmt: skip


def value_of(row: Row, key: str) -> float | None:
    """A figure of a row as a finite float; None where there is none."""
    value = number(row.get(key))
    return None if isinstance(row.get(key), bool) or not math.isfinite(value) else value


def number(value: Any) -> float:
    """A value as a float; NaN, which matplotlib leaves out of a line, for whatever is none or is beyond all floats."""
    try:
        return float(value) if isinstance(value, (int, float)) else math.nan
    except OverflowError:
        return math.nan


def numbers(values: Sequence[Any]) -> list[float]:
    """Values as floats, those that are no numbers as NaN."""
    return [number(value) for value in values]


def curve_of(row: Row, name: str) -> list[float]:
    """A curve of the history of a row, NaN where it has no number; empty if the row has no such curve."""
    return curves_in(row).get(name, [])


def curves_in(row: Row) -> dict[str, list[float]]:
    """The curves of the history of a row, NaN where they have no number; other things in it are left out."""
    history = row.get("history")
    items = history.items() if isinstance(history, Mapping) else ()
    return {str(name): numbers(values) for name, values in items if isinstance(values, (list, tuple))}


def finished(row: Row) -> bool:
    """Whether a run ended well."""
    return row.get("status", "done") == "done"


def ranked(row: Row) -> bool:
    """Whether a row may be compared: it ended well, at the batch size that was asked for."""
    return finished(row) and not row.get("retried")


# ---- names ---------------------------------------------------------------------------------------------------------


def preset_of(row: Row) -> str:
    """The preset of a row."""
    return clean(row.get("preset") or "?")


def clean(text: Any, room: int = CLIP) -> str:
    """Text on one line and of a bounded length; a leading underscore, which matplotlib hides, gets a space in front."""
    words = one_line(text)
    words = words if len(words) <= room else words[: room - 1] + "…"
    return f" {words}" if words.startswith("_") else words


def names(rows: Sequence[Row], room: int = 24, most: int = CLIP) -> list[str]:
    """A short name for each row: the label without the words that all share, and with what sets equal ones apart.

    If one of them is longer than `room` characters, words that all rows of the same preset share go as well. If one is then
    longer than `most`, or `room` is 0, kernels and mixers stand without `kernel=`, and how rows were trained goes, and the preset
    if all have the same, as long as no two rows get alike. What is still longer than `most` is cut, in its middle where
    cutting the end would make two alike.
    """
    words = [one_line(row.get("label") or row.get("preset") or "?").split(" ") for row in rows]
    common = set.intersection(*({word for word in own[1:]} for own in words)) if len(words) > 1 else set()
    words = [[own[0], *(word for word in own[1:] if word not in common)] for own in words]
    if longest(words) > room:
        known = {own[0]: set.intersection(*(set(two[1:]) for two in words if two[0] == own[0])) for own in words}
        words = [[own[0], *(word for word in own[1:] if word not in known[own[0]])] for own in words]
    limit = most if room else 0
    if longest(words) > limit:
        words = [[word.removeprefix("kernel=").removeprefix("mixer=") for word in own] for own in words]
    for shorten in (without_training, without_preset):
        fewer = shorten(words)
        if longest(words) > limit and kinds(fewer, rows) == kinds(words, rows):
            words = fewer
    found = told_apart([" ".join(own) for own in words], rows)
    short = [clean(name, most) for name in found]
    middle = [f"{name[: most // 2 - 1]}…{name[most // 2 - most :]}" if len(name) > most else name for name in found]
    return [clean(middle[place], most) if short.count(name) > 1 else name for place, name in enumerate(short)]


def longest(words: Sequence[Sequence[str]]) -> int:
    """Letters of the longest name."""
    return max((len(" ".join(own)) for own in words), default=0)


def without_training(words: list[list[str]]) -> list[list[str]]:
    """Names without the fields of a recipe."""
    return [[word for word in own if word.partition("=")[0] not in RECIPE_FIELDS] for own in words]


def without_preset(words: list[list[str]]) -> list[list[str]]:
    """Names without the preset, if it is the same in all; a name is never empty."""
    return [own[1:] or own for own in words] if len({own[0] for own in words}) == 1 else words


def kinds(words: Sequence[Sequence[str]], rows: Sequence[Row]) -> int:
    """How many rows can be told apart by their name and what `told_apart` may add."""
    return len({(*own, *(str(row.get(key)) for key, _ in APART)) for own, row in zip(words, rows, strict=True)})


def told_apart(found: list[str], rows: Sequence[Row]) -> list[str]:
    """Names of which equal ones got what their rows differ in, the number of the row if nothing else."""
    for key, form in APART:
        for name in {name for name in found if found.count(name) > 1}:
            places = [place for place, other in enumerate(found) if other == name]
            if len({str(rows[place].get(key)) for place in places}) > 1:
                for place in places:
                    value = rows[place].get(key)
                    found[place] += "" if value is None or value is False else f" {form.format(one_line(value))}"
    return [f"{name} ({place + 1})" if found.count(name) > 1 else name for place, name in enumerate(found)]


def exact(row: Row) -> bool:
    """Whether a row is of exact attention among all tokens, by its choices, or by its preset where it does not tell them."""
    unit, config = row.get("unit"), row.get("config")
    given = unit.get("overrides") if isinstance(unit, Mapping) else None
    choices = {**(config if isinstance(config, Mapping) else {}), **(given if isinstance(given, Mapping) else {})}
    if "mixer" in choices or "kernel" in choices:
        return choices.get("mixer", "attention") == "attention" and choices.get("kernel", "softmax") == "softmax"
    return row.get("preset") == "transformer_global" or str(row.get("preset")).startswith("vit")


# ---- several seeds -------------------------------------------------------------------------------------------------


def configuration(row: Row) -> str:
    """What rows that differ in nothing but their seed share: the unit without it, and what it was measured on."""
    unit = row.get("unit")
    own = {key: value for key, value in (unit if isinstance(unit, Mapping) else {}).items() if key not in ("seed", "start")}
    rest = [own, *(row.get(key) for key in ("label", "dataset", "init", "backend", "device", "cpu", "retried", "status"))]
    return json.dumps(rest, sort_keys=True, default=str)


def groups(rows: Sequence[Row]) -> list[list[Row]]:
    """Rows that differ in their seed only, together, in order of appearance."""
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(configuration(row), []).append(row)
    return list(found.values())


def over_seeds(rows: Sequence[Row], *keys: str) -> list[dict[str, Any]]:
    """One row for each configuration, with the mean of these figures over its seeds.

    Rows without one of the figures are left out. `runs` is the number of rows behind a mean, and `sd` has the standard
    deviation of each figure, by n - 1, for two runs or more.
    """
    merged = []
    for group in groups([row for row in rows if all(value_of(row, key) is not None for key in keys)]):
        values = {key: [value_of(row, key) for row in group] for key in keys}
        spread = {key: statistics.stdev(found) for key, found in values.items()} if len(group) > 1 else {}
        means = {key: statistics.fmean(found) for key, found in values.items()}
        merged.append({**group[0], **means, "runs": len(group), "sd": spread})
    return merged


def standard_error(row: Row, y: str) -> float:
    """The standard error of an accuracy that was measured on so many images; 0 if their number is not known."""
    images = value_of(row, "test_images" if y.startswith("test") else "validation_images")
    share = value_of(row, y)
    if not images or share is None or not 0 <= share <= 1:
        return 0.0
    return math.sqrt(share * (1 - share) / images)


def uncertainty(row: Row, y: str) -> float:
    """Half the length of an error bar: the deviation over seeds where there are several, else one standard error."""
    spread = row.get("sd") or {}
    return spread[y] if y in spread else standard_error(row, y)


# ---- the Pareto front ----------------------------------------------------------------------------------------------


def pareto(rows: Sequence[Row], x: str, y: str) -> list[Row]:
    """The rows that no other beats: none has at most their `x` and at least their `y`, one of the two strictly better.

    Args:
        rows: result rows; failed and retried ones, and those without one of the figures, are no rivals.
        x: a cost, lower is better.
        y: an accuracy, higher is better.

    Returns:
        The front, in order of cost.
    """
    rivals = [(value_of(row, x), value_of(row, y), row) for row in rows if ranked(row)]
    found = [one for one in rivals if one[0] is not None and one[1] is not None]
    front = [
        (cost, worth, row) for cost, worth, row in found
        if not any(a <= cost and b >= worth and (a < cost or b > worth) for a, b, _ in found)
    ]  # fmt: skip
    return [row for *_, row in sorted(front, key=lambda one: one[:2])]


# ---- break-even ----------------------------------------------------------------------------------------------------


class BreakEven(NamedTuple):
    """From how many tokens on something costs less than exact attention.

    `kind` is `at` (dearer at some measured size, cheaper from `tokens` on), `always` (cheaper at every size, of which
    `tokens` is the smallest), `never` (at no size, of which `tokens` is the largest) or `lost` (cheaper at some sizes, but
    no longer at the largest; dearer from `tokens` on).
    """

    kind: str
    tokens: float

    def words(self) -> str:
        """The same for people."""
        return {
            "at": f"overtakes at about {about(self.tokens)} tokens",
            "always": f"ahead from the first size, {count(self.tokens)} tokens",
            "never": f"not up to {count(self.tokens)} tokens",
            "lost": f"ahead only below about {about(self.tokens)} tokens",
        }[self.kind]


def break_even(tokens: Sequence[float], exact: Sequence[float | None], other: Sequence[float | None]) -> BreakEven | None:
    """Where a cost falls below that of exact attention, for good as far as was measured.

    Between two measured sizes the ratio of both costs is taken to be a power of the number of tokens, so that the point
    where it is 1 is found on logarithmic axes.

    Args:
        tokens: sizes, in any order.
        exact, other: costs at these sizes; sizes at which one is None, or is not positive, do not count.

    Returns:
        The point; None if no size has both costs.
    """
    pairs = sorted(
        (size, math.log(theirs / own)) for size, own, theirs in zip(tokens, exact, other, strict=True)
        if own and theirs and own > 0 and theirs > 0 and size > 0
    )  # fmt: skip
    if not pairs:
        return None
    ahead = [ratio < 0 for _, ratio in pairs]
    if all(ahead):
        return BreakEven("always", pairs[0][0])
    if not any(ahead):
        return BreakEven("never", pairs[-1][0])
    last = max(place for place in range(len(pairs) - 1) if ahead[place] != ahead[place + 1])
    return BreakEven("at" if ahead[-1] else "lost", crossing(pairs[last], pairs[last + 1]))


def crossing(left: tuple[float, float], right: tuple[float, float]) -> float:
    """The size between two at which the logarithm of a ratio is 0, on a straight line over the logarithm of the size."""
    (low, before), (high, after) = left, right
    share = before / (before - after)
    return math.exp(math.log(low) + share * (math.log(high) - math.log(low)))


def count(value: float) -> str:
    """A whole number with thousands apart."""
    return f"{round(value):,}"


def about(value: float) -> str:
    """A number of tokens to two digits, since more would be pretence."""
    return f"{int(float(f'{value:.2g}')):,}"


def by_dataset(rows: Sequence[Row]) -> Iterator[tuple[str, list[Row]]]:
    """The data sets of the rows, in order of appearance, each with its rows."""
    for name in dict.fromkeys(str(row.get("dataset") or "") for row in rows):
        yield name, [row for row in rows if str(row.get("dataset") or "") == name]
