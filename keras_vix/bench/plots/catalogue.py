"""Which figures there are for the rows at hand, each with its name, title and caption."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

from .. import store
from ..tables import Row, one_line
from . import comparisons, history, predictions, scaling, timing, tradeoff
from .values import by_dataset, clean, curve_of, curves_in, exact, finished, groups, preset_of

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
    if timing.several(rows):
        yield Drawing("seeds", "Test accuracy over seeds", f"{runs(rows)} Dots: single seeds; bars: their mean; pale lines: one "
                      "standard deviation (n − 1) to each side.", partial(timing.plot_seeds, rows))
    found = comparisons.ladders(rows)
    if found:
        band = " Dashed, in a grey band: exact attention." if any(exact(row) and finished(row) for row in rows) else ""
        yield Drawing("accuracy_m", "Accuracy over m", f"Test accuracy of {len(found)} families at several ranks m.{band} {bars(rows)}",
                      partial(comparisons.plot_ranks, rows))
    if comparisons.compared(rows):
        yield Drawing("scratch_checkpoint", "From scratch and from a checkpoint",
                      "Training accuracy by epoch of the same model from scratch (dashed) and from the checkpoint (full line). "
                      f"{comparisons.compared(rows)} pairs; bands: one standard deviation over seeds, where there are several.",
                      partial(comparisons.plot_starts, [row for row in rows if finished(row)]))
    timed = [row for row in rows if timing.epoch_seconds(row)]
    if len(timed) > 1 and timing.longest(timed) > 1:
        yield Drawing("epoch_times", "Time of each epoch", f"Seconds of each epoch of {len(timed)} runs, validation included. Hollow: "
                      "the first epoch, which traces and compiles and is left out of the medians.",
                      partial(timing.plot_epoch_times, timed))
    for chart in timing.BARS:
        known = timing.over_seeds([row for row in rows if finished(row)], chart.key)
        if len(known) > 1:
            yield Drawing(chart.name, chart.title, f"{opening(chart.axis)}, after warm-up. {runs(rows)} "
                          "Whiskers: one standard deviation over seeds, where there are several.",
                          partial(timing.plot_bars, rows, chart.key))


def tradeoffs(rows: Sequence[Row]) -> Iterator[Drawing]:
    """Accuracy against each cost that two configurations have."""
    for cost in tradeoff.COSTS:
        if tradeoff.applies(cost)(rows):
            title = "Test accuracy against time" if cost.name == "accuracy_time" else f"Test a{cost.title[1:]}"
            yield Drawing(cost.name, title, f"Test accuracy against {cost.axis.replace('(MiB)', 'in MiB')}. Ringed: the Pareto front, "
                          f"rows that no other beats in both; below and right of the dotted line a row is beaten. {runs(rows)} "
                          f"{bars(rows)}{source(rows, cost.key)}{hollow(rows)}", partial(tradeoff.plot_tradeoff, rows, cost.key))


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
            f"A panel for each preset, its runs in colour over all others in grey, with the last value of each. {runs(rows)} "
            "Bands: one standard deviation over seeds, where there are several.",
            partial(history.plot_grid, shown, only=own if pages > 1 else None),
        )  # fmt: skip


def scaling_figures(rows: Sequence[Row]) -> Iterator[Drawing]:
    """Each cost against the number of tokens, if a mixer was measured at two sizes; with the break-even points in words."""
    for measure in scaling.MEASURES:
        found = scaling.curves(rows, measure.key)
        if any(len(values) > 1 for values in found.values()):
            words = [f"{name}: {point.words()}" for name, point in scaling.overtaking(found).items() if point]
            known = "; ".join(words) or "Exact attention was not measured"
            yield Drawing(
                measure.name, f"{measure.title} against tokens",
                f"{opening(measure.axis)} against the number of tokens, both logarithmic; {len(found)} mixers. The strip shows the "
                "sizes at which a mixer costs less than exact attention, and how many times as much exact attention costs at the largest "
                f"size. Between measured sizes: interpolated in logarithms. {known}.{source(rows, measure.key)}{lost(rows)}",
                partial(scaling.plot_scaling, rows, measure.key),
            )  # fmt: skip


def run_figures(row: Row) -> list[Drawing]:
    """The figures of one run: its curves, its first test images, its confusion matrix; those that the row has."""
    label = one_line(row.get("label") or row.get("preset") or "run")
    ending = "-".join(filter(None, (store.slug(label), store.slug(str(row.get("fingerprint") or "")))))
    found = []
    if curve_of(row, "loss") and curve_of(row, "val_accuracy"):
        found.append(Drawing(
            f"history-{ending}", f"{label}: loss and accuracy", f"Loss and accuracy of {label} on training and validation images by "
            "epoch. The dashed line is the epoch with the highest validation accuracy.",
            partial(history.plot_history, curves_in(row), title=label),
        ))  # fmt: skip
    if predictions.samples_of(row):
        known = predictions.samples_of(row)
        right = sum(one.get("label") == one.get("predicted") for one in known)
        found.append(Drawing(
            f"predictions-{ending}", f"{label}: the first test images", f"The first {len(known)} test images, {right} of them told right, "
            "with the most likely class and its probability. Wrong answers have a thick frame, a cross, and the true class.",
            partial(predictions.plot_samples, row, title=label),
        ))  # fmt: skip
    matrix = predictions.matrix_of(row)
    if matrix is not None:
        found.append(Drawing(
            f"confusion-{ending}", f"{label}: confusion matrix", f"{int(matrix.sum()):,} test images of {len(matrix)} classes: of the "
            "images of each class (a line) the share that was taken for each class (a column), in per cent.",
            partial(predictions.plot_confusion, row, title=label),
        ))  # fmt: skip
    return found


# ---- parts of captions ---------------------------------------------------------------------------------------------


def opening(words: str) -> str:
    """Words as the start of a sentence, units as they are."""
    return words[:1].upper() + words[1:].replace("(MiB)", "in MiB")


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
        return "Bars: one standard deviation over seeds to each side; for a single run, one standard error of a share of the test images."
    return "Bars: one standard error to each side, that of a share of the test images."


def source(rows: Sequence[Row], key: str) -> str:
    """Whose memory a memory figure is, and on how many devices times were taken."""
    if "memory" in key:
        kinds = {str(row["memory_source"]) for row in rows if row.get("memory_source")}
        return f" Memory of the {' or the '.join(map(clean, sorted(kinds)))}." if kinds else ""
    devices = {str(row["device"]) for row in rows if row.get("device")}
    return f" Measured on {len(devices)} kinds of device: compare with care." if len(devices) > 1 and "seconds" in key else ""


def hollow(rows: Sequence[Row]) -> str:
    """What hollow points are, if there are any."""
    return " Hollow: repeated at half the batch, and not ranked." if any(row.get("retried") and finished(row) for row in rows) else ""
