"""Runs the stand-in child on clusters of this machine: `python cluster_program.py CASE FOLDER`; asserts what must hold."""

import os
import signal
import sys
import threading
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[2]), str(Path(__file__).parent)]
os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}

from conftest import Fake  # noqa: E402

from keras_vix.bench import cluster, runner, store  # noqa: E402

FOLDER = Path(sys.argv[2])


def plain() -> None:
    """Three units, one of which crashes; events have the node and the unit."""
    fake, heard = Fake(FOLDER / "fake"), []
    units = [fake.unit(name) for name in ("one", "crash", "two")]
    with cluster.engine() as engine:
        rows = runner.run(units, FOLDER / "out", command=fake.command, engine=engine, listener=heard.append)
    assert [row["status"] for row in rows] == ["done", "error", "done"]
    assert [event["event"] for event in heard if event["label"] == "one"] == ["started", "epoch", "row"]
    assert all(len(event["node"]) == 8 for event in heard if event["event"] == "started")


def two_nodes(kill: str) -> None:
    """Eight units on two nodes. The worker, or node, of the first long one is killed: it ends elsewhere, no other runs twice."""
    from ray.cluster_utils import Cluster

    fake, killed = Fake(FOLDER / "fake"), []
    fake.script.write_text(fake.script.read_text().replace("time.sleep(60)", "time.sleep(4)"))
    names = ["slow", "b", "c", "d", "e", "f", "g", "h"]
    units = [fake.unit(name) for name in names]
    machines = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    nodes = [machines.add_node(num_cpus=1) for _ in range(2)]

    def listen(event: dict) -> None:
        if event["event"] == "started" and event["label"] == "slow" and not killed:
            node = next(node for node in nodes if node.node_id.startswith(event["node"]))
            killed.append(event["node"])
            threading.Thread(target=lambda: end(node, machines)).start()

    def end(node, machines) -> None:
        if kill == "node":
            machines.remove_node(node, allow_graceful=False)
        else:
            import psutil

            (worker,) = [
                process for process in psutil.process_iter(["cmdline"])
                if "ray::work" in " ".join(process.info["cmdline"] or ()) and descends(process, node)
            ]
            os.kill(worker.pid, signal.SIGKILL)

    with cluster.engine(machines.address) as engine:
        rows = runner.run(units, FOLDER / "out", command=fake.command, engine=engine, listener=listen)
    machines.shutdown()
    assert killed and [row["status"] for row in rows] == ["done"] * 8
    assert sorted(fake.calls) == sorted([*names, "slow"]), fake.calls
    assert len(store.read_all(FOLDER / "out")) == 8


def descends(process, node) -> bool:
    """Whether a process was started by the raylet of a node."""
    raylet = node.all_processes["raylet"][0].process.pid
    return raylet in [parent.pid for parent in process.parents()]


def always() -> None:
    """A worker that dies each time: a row `killed`, after three tries; the other unit is measured."""
    fake = Fake(FOLDER / "fake")
    fake.script.write_text("import os, signal, sys\n" + fake.script.read_text().replace(
        'if what == "shot":', 'if what == "fatal":\n    os.kill(os.getppid(), signal.SIGKILL)\nif what == "shot":'
    ))
    with cluster.engine() as engine:
        rows = runner.run([fake.unit("fatal"), fake.unit("one")], FOLDER / "out", command=fake.command, engine=engine)
    assert [row["status"] for row in rows] == ["killed", "done"] and "died 3 times" in rows[0]["message"]
    assert fake.calls == ["fatal"] * 3 + ["one"], fake.calls


def stopped() -> None:
    """A request to stop ends what runs within seconds, and nothing of it stays."""
    fake, stop = Fake(FOLDER / "fake"), threading.Event()
    units = [fake.unit("slow"), fake.unit("one")]
    with cluster.engine() as engine:
        begin = time.monotonic()
        try:
            runner.run(units, FOLDER / "out", command=fake.command, engine=engine, stop=stop,
                       listener=lambda event: event["event"] == "started" and (stop.set(), globals().update(begin=time.monotonic())))
        except KeyboardInterrupt:
            print("stopped after", time.monotonic() - globals().get("begin", begin))
        else:
            raise SystemExit("it was not stopped")
    assert time.monotonic() - globals()["begin"] < 20 and fake.calls == ["slow"]
    assert store.read_all(FOLDER / "out") == []


def real() -> None:
    """One real unit on digits, by the package as it was sent to the node."""
    from keras_vix.bench.unit import Unit

    unit = Unit("performer_relu", epochs=1, limit=50, overrides={"m": 4, "depth": 1, "dim": 8, "num_heads": 1, "mlp_dim": 8})
    with cluster.engine() as engine:
        (row,) = runner.run([unit], FOLDER / "out", engine=engine)
    assert row["status"] == "done" and row["test_accuracy"] >= 0 and len(row["environment"]["node"]) == 8, row


(FOLDER / "fake").mkdir(exist_ok=True)
case, *rest = sys.argv[1].split(":")
globals()[case](*rest)
print("fine")
