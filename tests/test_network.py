"""No test reaches another machine, and neither does the package where the data is there: not even in its children."""

import http.client
import os
import socket
import subprocess
import sys
import threading
import urllib.request
from pathlib import Path

import pytest

import keras_vix

ROOT = Path(keras_vix.__file__).parents[1]
ELSEWHERE = [("192.0.2.1", 80), ("2001:db8::1", 80), ("example.org", 443)]


@pytest.mark.parametrize("address", ELSEWHERE, ids=lambda address: address[0])
def test_other_machines_are_out_of_reach(address, no_network):
    kind = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    for ask in ("connect", "connect_ex"):
        with socket.socket(kind) as one, pytest.raises(ConnectionRefusedError, match="a test asked"):
            getattr(one, ask)(address)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address, timeout=1)
    with pytest.raises(OSError):
        http.client.HTTPConnection(*address, timeout=1).request("GET", "/")
    assert len(no_network) == 4
    no_network.clear()  # else this test fails, as it should


def test_names_are_not_looked_up(no_network):
    with pytest.raises(OSError):
        urllib.request.urlopen("https://example.org", timeout=1)
    with pytest.raises(ConnectionRefusedError):
        socket.gethostbyname("example.org")
    assert no_network == ["example.org"] * 2
    no_network.clear()


def test_this_machine_answers_itself(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=lambda: server.accept()[0].close(), daemon=True).start()
        with socket.create_connection(("localhost", server.getsockname()[1]), timeout=5) as one:
            assert one.recv(1) == b""
    if hasattr(socket, "AF_UNIX"):
        with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as one:
            os.chdir(tmp_path)
            server.bind("s")
            server.listen()
            one.connect("s")


CAUGHT = """
import socket


def test_that_hides_it():
    try:
        socket.create_connection(("192.0.2.1", 80), timeout=1)
    except OSError:
        pass
"""


@pytest.mark.long
def test_a_refusal_that_is_caught_fails_the_test_all_the_same(tmp_path):
    (tmp_path / "conftest.py").write_text((ROOT / "tests" / "conftest.py").read_text())
    (tmp_path / "test_hidden.py").write_text(CAUGHT)
    words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", os.devnull, "--rootdir", str(tmp_path), str(tmp_path)]
    done = subprocess.run(words, capture_output=True, text=True, cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT), "PYTEST_ADDOPTS": ""})
    assert done.returncode == 1 and "asked for another machine" in done.stdout, done.stdout[-2000:]
