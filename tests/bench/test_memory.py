"""Peaks of memory: blocks of a known size, seen and given back."""

import gc
import time

import numpy as np
import pytest

from keras_vix.bench import memory

MEGABYTE = 2**20


def held(megabytes, seconds=0.0):
    """Hold so much memory, every page of it touched, for a moment."""
    block = np.ones(megabytes * MEGABYTE // 8)
    time.sleep(seconds)
    return block.sum()


@pytest.fixture
def on_cpu():
    """These figures are of the process: an accelerator would answer for its own memory."""
    if memory.meter() is not None:
        pytest.skip("the backend computes on an accelerator")


@pytest.mark.long
def test_the_peak_is_that_of_the_block_alone(on_cpu):
    held(300)
    gc.collect()
    memory.trim()
    before = memory.resident()
    with memory.Peak() as small:
        held(10)
    with memory.Peak() as large:
        held(200)
    assert small.source == large.source == "process"
    assert before <= small.bytes + 2 * MEGABYTE
    assert 180 * MEGABYTE <= large.bytes - small.bytes <= 210 * MEGABYTE


@pytest.mark.long
def test_a_restart_forgets_what_was_held(on_cpu):
    with memory.Peak() as peak:
        held(200)
        peak.restart()
        held(20)
    with memory.Peak() as whole:
        held(200)
    assert whole.bytes - peak.bytes > 150 * MEGABYTE


def test_the_peak_of_the_process_survives_a_reset(on_cpu):
    held(400)
    highest = memory.process_peak()
    with memory.Peak() as peak:
        held(1)
    assert memory.process_peak() == highest > peak.bytes


def test_where_the_mark_cannot_be_reset_a_thread_looks(on_cpu, monkeypatch):
    monkeypatch.setattr(memory, "reset_peak", lambda: False)
    with memory.Peak() as small:
        held(10, 0.05)
    with memory.Peak() as large:
        held(200, 0.05)
    assert 150 * MEGABYTE <= large.bytes - small.bytes <= 230 * MEGABYTE


def test_a_system_that_says_nothing_gives_none(on_cpu, monkeypatch, tmp_path):
    monkeypatch.setattr(memory, "STATUS", tmp_path / "status")
    monkeypatch.setattr(memory, "CLEAR", tmp_path / "nowhere" / "clear")
    monkeypatch.setitem(__import__("sys").modules, "psutil", None)
    with memory.Peak() as peak:
        held(1)
    assert peak.bytes is None


def test_an_accelerator_answers_for_itself(monkeypatch):
    calls = []
    monkeypatch.setattr(memory, "meter", lambda: memory.Meter(lambda: calls.append("reset"), lambda: 123))
    with memory.Peak() as peak:
        assert calls == ["reset"]
        peak.restart()
    assert (peak.bytes, peak.source, calls) == (123, "device", ["reset", "reset"])


def test_peak_memory_is_that_of_a_process_with_keras_loaded():
    assert 50_000_000 < memory.process_peak() < 200_000_000_000
