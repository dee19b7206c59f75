"""The Ray engine: calls that make no sense, what needs no cluster, and one run on a cluster of this machine."""

import importlib.util
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from keras_vix import cli
from keras_vix.bench import cluster, process
from keras_vix.bench.unit import Unit

HERE = Path(__file__).parent


@pytest.mark.parametrize(
    ("call", "words"),
    [
        ("bench --engine slurm", "engine='slurm'"),
        ("bench --address auto", "--engine ray"),
        ("bench --engine ray --jobs 2", "jobs=2"),
        ("bench --engine ray --address ray://head:10001", "host:port"),
        ("bench --devices 0", "devices"),
        ("bench --devices 3", "devices=3, batch_size=64; take for example batch_size=63"),
    ],
)
def test_a_call_that_makes_no_sense_is_refused_before_anything_is_written(call, words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert cli.main([*call.split(), "--models", "performer_relu:m=8"]) == 2
    captured = capsys.readouterr()
    assert words in captured.err and "Traceback" not in captured.err
    assert list(tmp_path.iterdir()) == []


def test_without_ray_the_message_says_what_to_install(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "ray", None)
    assert cli.main("bench --engine ray --models performer_relu:m=8".split()) == 2
    assert "pip install keras-vix[ray]" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


class Ray:
    """A stand-in for the package: what connecting raises, and the nodes that there are then."""

    def __init__(self, error, nodes):
        self.error, self.known, self.said = error, nodes, []

    def is_initialized(self):
        return False

    def init(self, **options):
        self.said.append(options["address"])
        if self.error is not None:
            raise self.error

    def nodes(self):
        return self.known

    def shutdown(self):
        self.said.append("shutdown")


AWAY = {"NodeID": "a" * 56, "Alive": False, "Resources": {"CPU": 2.0}}
BARE = {"NodeID": "b" * 56, "Alive": True, "Resources": {"memory": 1e9}}


@pytest.mark.parametrize(
    ("error", "nodes", "words", "left"),
    [
        (ConnectionError("nobody answers\nat that port"), [], "that of a Ray cluster. Received: address='host:6379'; nobody answers\n", []),
        (TimeoutError(), [], "that of a Ray cluster. Received: address='host:6379'; TimeoutError\n", []),
        (None, [], "a node with a core or a GPU. Received: address='host:6379', which has none.", ["shutdown"]),
        (None, [AWAY, BARE], "a node with a core or a GPU. Received: address='host:6379', which has none.", ["shutdown"]),
    ],
    ids=["no connection", "no answer", "no nodes", "no node to run on"],
)
def test_a_cluster_that_cannot_be_used_is_left_before_anything_is_written(error, nodes, words, left, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for name in ("RAY_USAGE_STATS_ENABLED", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO"):
        monkeypatch.setenv(name, "0")
    monkeypatch.setitem(sys.modules, "ray", ray := Ray(error, nodes))
    assert cli.main("bench --engine ray --address host:6379 --models performer_relu:m=8".split()) == 2
    assert words in capsys.readouterr().err and ray.said == ["host:6379", *left]
    assert list(tmp_path.iterdir()) == []


def test_a_node_holds_one_unit_or_one_a_gpu():
    plain, gpus = cluster.Node("a", 16, 0), cluster.Node("b", 16, 4)
    assert plain.has_room(1) and plain.share(1) == {"num_cpus": 16}
    assert gpus.has_room(4) and not gpus.has_room(5) and gpus.share(2) == {"num_gpus": 2, "num_cpus": 8}
    plain.used, gpus.used = 1, 3
    assert not plain.has_room(1) and gpus.has_room(1) and not gpus.has_room(2)


def test_a_unit_goes_where_it_has_not_died():
    made = cluster.Cluster.__new__(cluster.Cluster)
    made.nodes = {name: cluster.Node(name, 2, 0) for name in "ab"}
    assert made.place(Unit("vit"), ["a"]).name == "b"
    made.nodes["b"].used = 1
    assert made.place(Unit("vit"), ["a"]).name == "a"
    made.nodes["a"].used = 1
    assert made.place(Unit("vit"), []) is None


def test_what_a_node_says(fake):
    unit = fake.unit("one")
    said = list(cluster.work(unit.to_dict(), {"command": fake.command}, False, None))
    assert [message.get("event") for message in said] == ["started", "epoch", None]
    assert said[-1]["row"]["status"] == "done" and said[-1]["weights"] is None


def test_a_cancelled_task_ends_its_child(fake):
    task = cluster.work(fake.unit("slow").to_dict(), {"command": fake.command}, False, None)
    assert next(task)["event"] == "started"
    task.close()
    assert threading.active_count() < 20 and fake.calls == ["slow"]


@pytest.mark.timeout(200)
def test_a_run_on_a_cluster_of_this_machine(fake, tmp_path):
    """In a process of its own, as Ray leaves threads and handlers behind."""
    if importlib.util.find_spec("ray") is None:
        pytest.skip("ray is not installed (extra `ray`)")
    for name in ("one", "crash", "two"):
        fake.unit(name)
    done = subprocess.run(
        [sys.executable, str(HERE / "cluster_program.py"), "plain", str(tmp_path)], capture_output=True, text=True, timeout=190,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert fake.calls == ["one", "crash", "two"] and process.COMMAND
