"""Seeds, and no network."""

import ipaddress
import os
import socket

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import pytest

from keras_vix.tune.leftovers import graphs_released


@pytest.fixture(autouse=True)
def seeded():
    """Every test starts from the same seeds and leaves the global policy as it was, and no graphs."""
    keras.utils.set_random_seed(7)
    policy = keras.config.dtype_policy()
    with graphs_released():
        yield
    keras.config.set_dtype_policy(policy)
    keras.utils.clear_session(free_memory=False)


def stays_here(address) -> bool:
    """Whether an address is of this very machine: a file, or a loopback interface."""
    if not isinstance(address, tuple):
        return True
    host = address[0].decode() if isinstance(address[0], bytes) else address[0]
    if host in (None, "", "localhost"):
        return True
    try:
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return False


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    """A test that asks for another machine fails, even where what it calls makes nothing of the refusal."""
    asked = []

    def guarded(call, place):
        def guard(*words, **options):
            address = words[place] if place < len(words) else options.get("host")
            if stays_here(address if place else (address,)):
                return call(*words, **options)
            asked.append(address)
            raise ConnectionRefusedError(f"a test asked for {address!r}")

        return guard

    for name in ("connect", "connect_ex"):
        monkeypatch.setattr(socket.socket, name, guarded(getattr(socket.socket, name), 1))
    for name in ("getaddrinfo", "gethostbyname", "gethostbyname_ex"):
        monkeypatch.setattr(socket, name, guarded(getattr(socket, name), 0))
    yield asked
    assert asked == [], "a test asked for another machine"
