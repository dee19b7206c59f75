"""What a benchmark shows while it runs: a live display on a terminal, else one plain line for each event."""

import contextlib
import os
from collections.abc import Iterator
from typing import IO, Any

from .process import Listener
from .tables import DASH, failed, fraction, milliseconds, one_line, seconds


def is_live(stream: IO[str]) -> bool:
    """Whether the stream is a terminal that can redraw, and nobody asked for plain text."""
    plain = "NO_COLOR" in os.environ or os.environ.get("TERM") in ("dumb", "")
    return stream.isatty() and not plain


def outcome(row: dict[str, Any]) -> str:
    """How a row ended, in a few words."""
    if failed(row):
        return f"{row['status']}: {one_line(row.get('message') or '')[:200]}"
    if row.get("test_accuracy") is None:
        times = (("a training step takes", "train_step_seconds"), ("one image", "latency_1_seconds"))
        words = [f"{row['tokens']:,} tokens"] if row.get("tokens") else []
        words += [f"{word} {milliseconds(row[key])} ms" for word, key in times if row.get(key) is not None]
        return ", ".join(words) or "measured"
    return (
        f"test accuracy {fraction(row['test_accuracy'])}, validation {fraction(row['val_accuracy'])}, "
        f"{row['epochs']} epochs of {seconds(row['epoch_seconds'])} s"
    )


def epoch_words(event: dict[str, Any]) -> str:
    """One epoch in a few words."""
    accuracy = event.get("val_accuracy")
    return (
        f"epoch {event['epoch']}/{event['epochs']}, val. accuracy {DASH if accuracy is None else fraction(accuracy)}, "
        f"{seconds(event['epoch_seconds'])} s/epoch"
    )


def words(event: dict[str, Any], label: str) -> str | None:
    """The plain line for an event; None for one that needs none."""
    name = one_line(event.get("label", label))
    place = f"[{event['number']}/{event['units']}] {name}" if "number" in event else f"  {name}"
    match event["event"]:
        case "unit":
            return f"{place}: starting"
        case "epoch":
            return f"{place}: {epoch_words(event)}"
        case "skipped":
            return f"{place}: already done ({outcome(event['row'])})"
        case "retry":
            return f"{place}: out of memory; once more with batches of {event['batch_size']}"
        case "waiting":
            return f"{place}: another run is measuring it; waiting for its row"
        case "row":
            return f"{place}: {outcome(event['row'])}"
    return None


@contextlib.contextmanager
def plain_progress(stream: IO[str]) -> Iterator[Listener]:
    """A listener that prints one line for each event, at once."""
    label = ""

    def listen(event: dict[str, Any]) -> None:
        nonlocal label
        label = event.get("label", label)
        if line := words(event, label):
            print(line, file=stream, flush=True)

    yield listen


@contextlib.contextmanager
def live_progress(stream: IO[str]) -> Iterator[Listener]:
    """A listener that keeps bars up to date, one for the whole suite and one for each row at work, and prints finished rows."""
    import rich.console
    import rich.progress
    import rich.text

    console = rich.console.Console(file=stream)
    bars = rich.progress.Progress(
        rich.progress.TextColumn("{task.description}", markup=False),
        rich.progress.BarColumn(bar_width=24),
        rich.progress.TextColumn("{task.completed:g}/{task.total:g}"),
        rich.progress.TimeElapsedColumn(),
        rich.progress.TextColumn("{task.fields[note]}", markup=False),
        console=console, transient=True,
    )
    with bars:
        suite = bars.add_task("rows", total=0, note="")
        present: dict[int, Any] = {}
        newest = 0

        def bar(place: int, label: str) -> Any:
            if place not in present:
                present[place] = bars.add_task(label, total=1, note="loading")
            return present[place]

        def listen(event: dict[str, Any]) -> None:
            nonlocal newest
            place = newest = event.get("number", event.get("place", newest))
            match event["event"]:
                case "unit":
                    bars.update(suite, total=event["units"])
                    bar(place, event["label"])
                case "started":
                    bars.update(bar(place, event.get("label", "")), total=event.get("epochs", 1), completed=0, note="first epoch")
                case "epoch":
                    note = epoch_words(event).split(", ", 1)[1]
                    bars.update(bar(place, event.get("label", "")), completed=event["epoch"], note=note)
                case "row" | "skipped":
                    bars.update(suite, total=event["units"], advance=1)
                    if place in present:
                        bars.remove_task(present.pop(place))
                    look = "red" if failed(event["row"]) else "default"
                    console.print(rich.text.Text(words(event, "") or "", style=look))
                case "retry" | "waiting":
                    console.print(rich.text.Text(words(event, "") or ""))

        yield listen


def progress(stream: IO[str]) -> contextlib.AbstractContextManager[Listener]:
    """The display that suits the stream."""
    return live_progress(stream) if is_live(stream) else plain_progress(stream)
