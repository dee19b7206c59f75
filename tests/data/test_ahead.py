"""Preparing ahead: in threads, bounded, and with errors at the right place."""

import threading
import time

import pytest

from keras_vix.data.ahead import Ahead


def test_what_follows_is_made_before_it_is_asked_for():
    made = {}

    def make(key):
        made[key] = threading.current_thread().name
        return key * 10

    ahead = Ahead(make, threads=2)
    assert ahead.get(0, [1, 2]) == 0
    deadline = time.perf_counter() + 5
    while len(made) < 3 and time.perf_counter() < deadline:
        time.sleep(0.001)
    assert set(made) == {0, 1, 2} and all(name.startswith("keras_vix_data") for name in made.values())
    made.clear()
    assert ahead.get(1, [2]) == 10
    assert made == {}


def test_nothing_older_than_the_last_call_is_kept():
    made = []
    ahead = Ahead(lambda key: made.append(key) or key, threads=1)
    ahead.get(0, [1])
    ahead.get(5, [])
    ahead.get(1, [])
    # Key 1 was dropped by the second call, so the third made it (anew, if the first had come to it).
    assert made[-1] == 1 and made[-2] == 5


def test_an_error_comes_out_with_its_own_key_only():
    ahead = Ahead(lambda key: 1 // key, threads=2)
    assert ahead.get(1, [0, 2]) == 1
    with pytest.raises(ZeroDivisionError):
        ahead.get(0, [2])
    assert ahead.get(2, []) == 0
