"""The display: plain lines where nothing can be redrawn, bars on a terminal, and the same events for both."""

import io

import pytest
import samples

from keras_vix.bench import progress

EVENTS = [
    {"event": "skipped", "number": 1, "units": 3, "label": "a", "row": samples.done("a")},
    {"event": "unit", "number": 2, "units": 3, "label": "b"},
    {"event": "started", "epochs": 2, "steps": 5},
    {"event": "epoch", "epoch": 1, "epochs": 2, "val_accuracy": 0.5, "epoch_seconds": 1.25},
    {"event": "epoch", "epoch": 2, "epochs": 2, "val_accuracy": None, "epoch_seconds": 1.0},
    {"event": "row", "number": 2, "units": 3, "label": "b", "row": samples.done("b")},
    {"event": "unit", "number": 3, "units": 3, "label": "[red]c"},
    {"event": "row", "number": 3, "units": 3, "label": "[red]c", "row": samples.broken("c", message="no\nmemory")},
]


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    """A terminal that can do everything, unless a test says otherwise."""
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")


@pytest.mark.parametrize(
    ("stream", "variable", "value", "live"),
    [
        (Terminal(), "TERM", "xterm", True), (io.StringIO(), "TERM", "xterm", False),
        (Terminal(), "TERM", "dumb", False),
        (Terminal(), "NO_COLOR", "1", False), (Terminal(), "NO_COLOR", "", False),
    ],
)
def test_live_only_on_a_terminal_that_can(stream, variable, value, live, monkeypatch):
    monkeypatch.setenv(variable, value)
    assert progress.is_live(stream) is live


def test_plain_lines_are_exactly_these():
    stream = io.StringIO()
    with progress.progress(stream) as listener:
        for event in EVENTS:
            listener(event)
    assert stream.getvalue() == (
        "[1/3] a: already done (test accuracy 0.9361, validation 0.9400, 30 epochs of 0.50 s)\n"
        "[2/3] b: starting\n"
        "  b: epoch 1/2, val. accuracy 0.5000, 1.25 s/epoch\n"
        "  b: epoch 2/2, val. accuracy –, 1.00 s/epoch\n"
        "[2/3] b: test accuracy 0.9361, validation 0.9400, 30 epochs of 0.50 s\n"
        "[3/3] [red]c: starting\n"
        "[3/3] [red]c: killed: no memory\n"
    )


def test_a_terminal_keeps_the_finished_rows():
    stream = Terminal()
    with progress.progress(stream) as listener:
        for event in EVENTS:
            listener(event)
    text = stream.getvalue()
    assert "[1/3] a: already done" in text and "[2/3] b: test accuracy 0.9361" in text
    assert "[3/3] [red]c: killed: no memory" in text and "rows" in text


AT_ONCE = [
    {"event": "unit", "number": 1, "units": 2, "label": "a"},
    {"event": "unit", "number": 2, "units": 2, "label": "b"},
    {"event": "started", "epochs": 2, "steps": 5, "label": "b", "place": 2},
    {"event": "epoch", "epoch": 1, "epochs": 2, "val_accuracy": 0.5, "epoch_seconds": 1.25, "label": "a", "place": 1},
    {"event": "retry", "batch_size": 32, "message": "no memory", "label": "b", "place": 2},
    {"event": "row", "number": 1, "units": 2, "label": "a", "row": samples.broken("a", status="oom", message="none")},
    {"event": "waiting", "number": 2, "units": 2, "label": "b"},
    {"event": "row", "number": 2, "units": 2, "label": "b", "row": {"status": "done", "train_step_seconds": 0.5}},
]


@pytest.mark.parametrize("stream", [io.StringIO(), Terminal()], ids=["plain", "live"])
def test_rows_at_once_are_told_apart(stream):
    with progress.progress(stream) as listener:
        for event in AT_ONCE:
            listener(event)
    text = stream.getvalue()
    assert "  b: out of memory; once more with batches of 32\n" in text and "[1/2] a: oom: none" in text
    assert "[2/2] b: another run is measuring it" in text and "[2/2] b: a training step takes 500 ms" in text
    assert "  a: epoch 1/2, val. accuracy 0.5000, 1.25 s/epoch\n" in text or isinstance(stream, Terminal)
