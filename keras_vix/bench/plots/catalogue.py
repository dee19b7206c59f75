"""Which figures there are for the rows at hand, each with its name, title and caption."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from .. import store
from ..tables import Row, one_line
from . import comparisons, history, predictions, scaling, stages, timing, tradeoff
from .values import by_dataset, clean, curve_of, curves_in, exact, finished, groups, over_seeds, preset_of, ranked

PANELS = 24  # so many presets a figure


class Drawing(NamedTuple):
    """A figure to be drawn.

    Args:
        name: of its files, without an ending; the same for the same rows.
        title, caption: plain text, not escaped.
        draw: makes the matplotlib Figure.
    """

    name: str
    title: str
    caption: str
    draw: Callable[[], Any]


def suite_figures(rows: Sequence[Row]) -> list[Drawing]:
    """The figures of several rows, those alone that at least two rows have the numbers for.

    Rows of different data sets never share a figure: with several, each has its own, named after it.
    """
    trained = [row for row in rows if row.get("task", "train") == "train"]
    sets = list(by_dataset(trained))
    found = []
    for dataset, own in sets:
        several = len(sets) > 1
        ending = f"-{store.slug(dataset)}" if several else ""
        for one in figures_of(own):
            place = f" on {clean(dataset)}" if several else ""
            found.append(one._replace(name=one.name + ending, title=one.title + place))
    return unique([*found, *scaling_figures([row for row in rows if row.get("task") == "cost"])])


def unique(drawings: Sequence[Drawing]) -> list[Drawing]:
    """The drawings with a number after names that came before."""
    seen: dict[str, int] = {}
    found = []
    for one in drawings:
        seen[one.name] = seen.get(one.name, 0) + 1
        found.append(one if seen[one.name] == 1 else one._replace(name=f"{one.name}-{seen[one.name]}"))
    return found


def figures_of(rows: Sequence[Row]) -> Iterator[Drawing]:
    """The figures of rows of one data set."""
    yield from tradeoffs(rows)
    yield from grids(rows)
    yield from comparisons_of(rows)
    yield from times_of(rows)


def tradeoffs(rows: Sequence[Row]) -> Iterator[Drawing]:
    """Accuracy against each cost that two configurations have."""
    for cost in tradeoff.COSTS:
        if tradeoff.applies(cost)(rows):
            caption = (
                f"Test accuracy against {opening(cost.axis, capital=False)}. Ringed: the Pareto front, rows that no other beats "
                f"in both; below and right of the dotted line a row is beaten. {runs(rows)} {bars(rows)}{source(rows, cost.key)}"
                f"{hollow(rows)}"
            )
            yield Drawing(cost.name, f"Test a{cost.title[1:]}", caption, partial(tradeoff.plot_tradeoff, rows, cost.key))


def grids(rows: Sequence[Row]) -> Iterator[Drawing]:
    """Validation accuracy by epoch, in as many figures as the presets need."""
    shown = [row for row in rows if curve_of(row, "val_accuracy")]
    presets = list(dict.fromkeys(map(preset_of, shown)))
    if not presets:
        return
    pages = -(-len(presets) // PANELS)
    size = -(-len(presets) // pages)
    for page in range(pages):
        own = set(presets[page * size : (page + 1) * size])
        part = f" ({page + 1} of {pages})" if pages > 1 else ""
        yield Drawing(
            f"validation_accuracy{f'-{page + 1}' if page else ''}", f"Validation accuracy by epoch{part}",
            f"A panel for each preset, its runs in colour over all others in grey, with the last value of each. {runs(shown)} "
            "Bands: one standard deviation over seeds, where there are several.",
            partial(history.plot_grid, shown, only=own if pages > 1 else None),
        )  # fmt: skip


def comparisons_of(rows: Sequence[Row]) -> Iterator[Drawing]:
    """Seeds, ranks and starts."""
    if timing.several(rows):
        yield Drawing(
            "seeds", "Test accuracy over seeds", f"{runs(rows)} Dots: single seeds; bars: their mean; pale lines: one standard "
            "deviation (n − 1) to each side.", partial(timing.plot_seeds, rows),
        )  # fmt: skip
    found = comparisons.ladders(rows)
    if found:
        band = " Dashed, in a grey band: exact attention." if any(exact(row) and ranked(row) for row in rows) else ""
        several = "one family" if len(found) == 1 else f"{len(found)} families"
        yield Drawing(
            "accuracy_m", "Accuracy over m", f"Test accuracy of {several} at several ranks m.{band} {bars(rows)}",
            partial(comparisons.plot_ranks, rows),
        )  # fmt: skip
    ways = stages.paths(rows)
    if ways:
        taught = " Dashed: the model whose weights they started from." if stages.teachers(rows) else ""
        yield Drawing(
            "stages", "After the swap", f"Test accuracy of {len(ways)} model{'s' if len(ways) > 1 else ''} with another mixer in "
            f"place of attention, on the way from the swap to the fine-tuned model. {bars(rows)}{taught}",
            partial(stages.plot_stages, rows),
        )  # fmt: skip
    pairs = comparisons.compared(rows)
    if pairs:
        yield Drawing(
            "scratch_checkpoint", "From scratch and from a checkpoint", f"Training accuracy by epoch of {pairs} "
            f"model{'s' if pairs > 1 else ''}, each from scratch (dashed) and from the checkpoint (full line). Bands: one "
            "standard deviation over seeds, where there are several.",
            partial(comparisons.plot_starts, [row for row in rows if finished(row)]),
        )  # fmt: skip


def times_of(rows: Sequence[Row]) -> Iterator[Drawing]:
    """Times of epochs and of the test."""
    timed = [row for row in rows if timing.epoch_seconds(row)]
    if len(timed) > 1 and timing.longest(timed) > 1:
        yield Drawing(
            "epoch_times", "Time of each epoch", f"Seconds of each epoch of {len(timed)} runs, validation included. Hollow: the "
            "first epoch, which traces and compiles and is left out of the medians.", partial(timing.plot_epoch_times, timed),
        )  # fmt: skip
    for chart in timing.BARS:
        if len(over_seeds([row for row in rows if finished(row)], chart.key)) > 1:
            yield Drawing(
                chart.name, chart.title, f"{opening(chart.axis)}, after warm-up. {runs(rows)} Whiskers: one standard deviation "
                "over seeds, where there are several.", partial(timing.plot_bars, rows, chart.key),
            )  # fmt: skip


def scaling_figures(rows: Sequence[Row]) -> Iterator[Drawing]:
    """Each cost against the number of tokens, for each backend, device and batch size on its own."""
    places: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        places.setdefault(tuple(str(row.get(key)) for key in ("backend", "device", "cost_batch_size")), []).append(row)
    for place, own in places.items():
        words = f" ({clean(', '.join(place[:2]))}, batch {clean(place[2])})" if len(places) > 1 else ""
        ending = f"-{store.slug('-'.join(place))}" if len(places) > 1 else ""
        for measure in scaling.MEASURES:
            found = scaling.curves(own, measure.key)
            if any(len(values) > 1 for values in found.values()):
                yield Drawing(
                    measure.name + ending, f"{measure.title} against tokens{words}", scaling_caption(own, measure, found),
                    partial(scaling.plot_scaling, own, measure.key),
                )  # fmt: skip


def scaling_caption(rows: Sequence[Row], measure: Any, found: Any) -> str:
    """What the figure shows, and every break-even point in words."""
    sizes = {row["cost_batch_size"] for row in rows if isinstance(row.get("cost_batch_size"), int)}
    batch = f" of {sizes.pop()}" if len(sizes) == 1 and measure.key.startswith("train") else ""
    return (
        f"{opening(measure.axis)}{' (batch' + batch + ')' if batch else ''} against the number of tokens, both logarithmic; "
        f"{len(found)} mixers. {summary(scaling.overtaking(found))}"
        f"{source(rows, measure.key)}{held(rows, measure.key)}{lost(rows)}"
    )


def held(rows: Sequence[Row], key: str) -> str:
    """What a memory figure leaves out."""
    base = scaling.idle(rows, key)
    return f" Left out: {base / 2**20:,.0f} MiB that every process holds before its model does anything." if base else ""


def summary(points: Mapping[str, scaling.BreakEven | None]) -> str:
    """Break-even points in words, mixers with the same answer together."""
    answers: dict[str, list[str]] = {}
    for name, point in points.items():
        if point:
            answers.setdefault(point.words(), []).append(name)
    if not answers:
        return "There is no single row of exact attention to compare with."
    told = " ".join(f"{', '.join(own)}: {words}." for words, own in answers.items())
    return (
        f"Beside exact attention (interpolated in logarithms between measured sizes): {told} The strip shows the sizes at which "
        "a mixer costs less, and how many times as much exact attention costs at the largest size."
    )


def run_figures(row: Row) -> list[Drawing]:
    """The figures of one run: its curves, its first test images, its confusion matrix; those that the row has."""
    label = one_line(row.get("label") or row.get("preset") or "run")
    ending = "-".join(filter(None, (store.slug(label), store.slug(str(row.get("fingerprint") or "")))))
    found = []
    if curve_of(row, "loss") and curve_of(row, "val_accuracy"):
        caption = (
            f"Loss and accuracy of {label} on training and validation images by epoch. The dashed line is the epoch with the "
            "highest validation accuracy."
        )
        draw = partial(history.plot_history, curves_in(row), title=label)
        found.append(Drawing(f"history-{ending}", f"{label}: loss and accuracy", caption, draw))
    known = predictions.samples_of(row)
    if known:
        right = sum(map(predictions.right, known))
        caption = (
            f"The first {len(known)} test images, {right} of them told right by {label}, with the most likely class and its "
            "probability. Wrong answers have a thick frame, a cross, and the true class."
        )
        draw = partial(predictions.plot_samples, row, title=label)
        found.append(Drawing(f"predictions-{ending}", f"{label}: the first test images", caption, draw))
    matrix = predictions.matrix_of(row)
    if matrix is not None:
        caption = (
            f"{label}, {int(matrix.sum()):,} test images of {len(matrix)} classes: of the images of each class (a line) the "
            "share that was taken for each class (a column), in per cent."
        )
        draw = partial(predictions.plot_confusion, row, title=label)
        found.append(Drawing(f"confusion-{ending}", f"{label}: confusion matrix", caption, draw))
    return found


# ---- parts of captions ---------------------------------------------------------------------------------------------


def opening(words: str, capital: bool = True) -> str:
    """The words of an axis in a sentence, units as they are."""
    plain = words.replace("(MiB)", "in MiB")
    return plain[:1].upper() + plain[1:] if capital else plain


def runs(rows: Sequence[Row]) -> str:
    """How many runs stand behind a figure, and how many failed."""
    good = [row for row in rows if finished(row)]
    several = f" of {len(groups(good))} configurations" if len(groups(good)) < len(good) else ""
    return f"{len(good)} run{'s' if len(good) != 1 else ''}{several}.{lost(rows)}"


def lost(rows: Sequence[Row]) -> str:
    """How many runs failed, if any did."""
    failed = sum(not finished(row) for row in rows)
    return f" {failed} more failed and {'is' if failed == 1 else 'are'} not shown." if failed else ""


def bars(rows: Sequence[Row]) -> str:
    """What error bars mean for these rows."""
    if timing.several(rows):
        return "Bars: one standard deviation over seeds to each side; for a single run, one standard error, by its test images."
    return "Bars: one standard error to each side, as the number of test images gives it."


def source(rows: Sequence[Row], key: str) -> str:
    """Whose memory a memory figure is, and on how many devices times were taken."""
    if "memory" in key:
        kinds = {str(row["memory_source"]) for row in rows if row.get("memory_source")}
        return f" Memory of the {' or the '.join(map(clean, sorted(kinds)))}." if kinds else ""
    devices = {str(row["device"]) for row in rows if row.get("device")}
    return f" Measured on {len(devices)} kinds of device." if len(devices) > 1 and "seconds" in key else ""


def hollow(rows: Sequence[Row]) -> str:
    """What hollow points are, if there are any."""
    found = any(row.get("retried") and finished(row) for row in rows)
    return " Hollow: repeated at half the batch, and not ranked." if found else ""
