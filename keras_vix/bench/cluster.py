"""Runs units on the nodes of a Ray cluster: one at a time on a node, or one on a GPU; this machine stores the rows.

The nodes need Python with Ray, Keras and a backend in the versions of this machine, not this package, which is sent along;
and no common disk, since rows and weights travel as bytes.
"""

import contextlib
import dataclasses
import os
import queue
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from .. import checks
from . import store
from .environment import git_commit
from .process import COMMAND, POLL, Listener, Stopped, attempt
from .runner import Result
from .unit import Unit, failure

AGAIN = 2  # times that a unit whose worker or node died is run once more
ALONE = 60.0  # seconds without a single node after which the units that are left are given up
PATIENCE = 8.0  # seconds that running units have to end after a request to stop


@dataclasses.dataclass
class Node:
    """One machine of the cluster: what it has, and how much of that is free."""

    name: str
    cpus: int
    gpus: int
    used: int = 0

    def has_room(self, devices: int) -> bool:
        """Whether a unit for so many devices can start now: on a machine without GPUs one unit has it to itself."""
        return self.used + devices <= self.gpus if self.gpus else not self.used

    def share(self, devices: int) -> dict[str, float]:
        """The resources of a unit: GPUs and the cores that go with them, or all cores."""
        if not self.gpus:
            return {"num_cpus": self.cpus}
        return {"num_gpus": devices, "num_cpus": self.cpus * devices // self.gpus}


@dataclasses.dataclass
class Task:
    """A unit on its way."""

    unit: Unit
    node: Node
    stream: Any


@contextlib.contextmanager
def engine(address: str | None = None) -> Iterator["Cluster"]:
    """Inside, an engine for `runner.run` is connected to a cluster.

    Args:
        address: `host:port` of the head of a cluster, or `auto` for the one that this machine is part of; `None` starts one
            on this machine alone.

    Raises:
        ImportError: Ray is not installed.
        ValueError: there is no cluster at that address, or it has nothing to run a unit on.
    """
    import keras

    # A benchmark tells nobody of itself; and no note about what later versions of Ray may do.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    if address is not None and "://" in address:
        received = f"Received: address={address!r}; run this on a machine of the cluster."
        raise ValueError(f"address must be host:port or auto. {received}")
    ray = checks.package("ray", "A benchmark on a cluster", "keras-vix[ray]")
    ours = not ray.is_initialized()
    if ours:
        package = str(Path(__file__).resolve().parents[1])
        backend = {"KERAS_BACKEND": keras.config.backend()}  # as here, where a node has another one by default
        environment = {"py_modules": [package], "excludes": ["**/__pycache__"], "env_vars": backend}
        try:
            ray.init(
                address=address or "local", runtime_env=environment, include_dashboard=None if address else False,
                log_to_driver=False, logging_level="error", configure_logging=False,
            )  # fmt: skip
        except (ConnectionError, ValueError, RuntimeError, TimeoutError) as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise ValueError(f"address must be that of a Ray cluster. Received: address={address!r}; {reason}") from error
    try:
        cluster = Cluster(ray)
        if not cluster.nodes:
            raise ValueError(f"A cluster needs a node with a core or a GPU. Received: address={address!r}, which has none.")
        yield cluster
    finally:
        if ours:
            ray.shutdown()


class Cluster:
    """An engine as `runner.run` takes it: `(units, options, listener, stop)` to an iterator of units and their rows.

    A unit whose worker or node dies is run again, at most `AGAIN` times, elsewhere if there is another node; then its row is
    `killed`. A row that has arrived here is safe. Nodes that join are used, those that leave are done without.

    The events of a unit have its `fingerprint` and the `node`, the first digits of Ray's own name for it; the environment in a
    row has it as well.

    Args:
        ray: the module, connected.
    """

    def __init__(self, ray: Any):
        self.ray = ray
        self.nodes: dict[str, Node] = {}
        self.look()

    def look(self) -> None:
        """Bring the list of nodes up to date."""
        there = {node["NodeID"]: node["Resources"] for node in self.ray.nodes() if node["Alive"]}
        self.nodes = {name: node for name, node in self.nodes.items() if name in there}
        for name, resources in there.items():
            cpus, gpus = int(resources.get("CPU", 0)), int(resources.get("GPU", 0))
            if name not in self.nodes and (cpus or gpus):
                self.nodes[name] = Node(name, cpus, gpus)

    def __call__(
        self, units: Sequence[Unit], options: dict[str, Any], listener: Listener, stop: threading.Event
    ) -> Iterator[Result]:
        """Run units as nodes become free, and yield each with its row as it ends; see `runner.run`."""
        waiting = list(units)
        died: dict[str, list[str]] = {unit.fingerprint: [] for unit in units}
        running: list[Task] = []
        seen = looked = time.monotonic()
        try:
            while (waiting or running) and not stop.is_set():
                if time.monotonic() - looked > 2:
                    self.look()
                    looked = time.monotonic()
                seen = time.monotonic() if self.nodes else seen
                if not running and time.monotonic() - seen > ALONE:
                    for unit in waiting:
                        yield unit, failure(unit, "killed", lost(died[unit.fingerprint]) + "; the cluster has no node left")
                    return
                for unit in list(waiting):
                    if (node := self.place(unit, died[unit.fingerprint])) is not None:
                        waiting.remove(unit)
                        running.append(self.submit(unit, node, options))
                for task in self.ready(running):
                    message = self.message(task)
                    if message == "died":
                        self.end(task, running)
                        self.look()
                        deaths = died[task.unit.fingerprint]
                        deaths.append(task.node.name)
                        if len(deaths) > AGAIN:
                            yield task.unit, failure(task.unit, "killed", lost(deaths))
                        else:
                            waiting.insert(0, task.unit)
                    elif "row" in message:
                        self.end(task, running)
                        yield task.unit, self.finished(task, message, options)
                    else:
                        listener(message | {"fingerprint": task.unit.fingerprint, "node": task.node.name[:8]})
        finally:
            self.cancel(running)

    def place(self, unit: Unit, before: Sequence[str]) -> Node | None:
        """A node for a unit, one on which it has not died if there is such a node with room; None if all are busy."""
        free = [node for node in self.nodes.values() if node.has_room(unit.devices)]
        return min(free, key=lambda node: (node.name in before, node.used), default=None)

    def submit(self, unit: Unit, node: Node, options: dict[str, Any]) -> Task:
        """Start a unit on a node."""
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        weights = options.get("weights")
        start = None
        if weights and unit.start:
            start = (weights / f"{unit.start}.weights.h5").read_bytes()
        # A node has a Python of its own, so that only a command that somebody chose is sent.
        command = {"command": options["command"]} if options.get("command", COMMAND) != COMMAND else {}
        send = {"timeout": options.get("timeout")} | command
        remote = self.ray.remote(
            max_retries=0, num_returns="streaming",
            scheduling_strategy=NodeAffinitySchedulingStrategy(node.name, soft=False), **node.share(unit.devices),
        )(work)  # fmt: skip
        node.used += unit.devices
        return Task(unit, node, remote.remote(unit.to_dict(), send, bool(weights), start))

    def ready(self, running: Sequence[Task]) -> list[Task]:
        """The tasks that have something to say, after a short while at most."""
        if not running:
            time.sleep(POLL)
            return []
        streams = [task.stream for task in running]
        found, _ = self.ray.wait(streams, num_returns=1, timeout=POLL, fetch_local=False)
        return [task for task in running if any(task.stream is stream for stream in found)]

    def message(self, task: Task) -> Any:
        """The next thing that a task says: an event, or a dictionary with its `row`, or `died`."""
        from ray import exceptions

        try:
            return self.ray.get(next(task.stream))
        except StopIteration:
            return "died"
        except exceptions.RayTaskError as error:  # our own code, or that node's Python, does not work there
            words = str(error).strip().splitlines()[-1]
            return {"row": failure(task.unit, "error", f"on node {task.node.name[:8]}: {words}")}
        except exceptions.RayError:
            return "died"

    def end(self, task: Task, running: list[Task]) -> None:
        """Give a task's share of its node back."""
        running.remove(task)
        task.node.used -= task.unit.devices

    def finished(self, task: Task, message: dict[str, Any], options: dict[str, Any]) -> dict[str, Any]:
        """The row of a task, with its node; the weights that it has brought along are stored."""
        row = message["row"]
        if message.get("weights") is not None:
            store.write_bytes(options["weights"] / f"{task.unit.fingerprint}.weights.h5", message["weights"])
        if isinstance(row.get("environment"), dict):
            row["environment"] |= {"node": task.node.name[:8], "commit": row["environment"].get("commit") or git_commit()}
        return row

    def cancel(self, running: list[Task]) -> None:
        """End what still runs: its children are asked to end, and ended."""
        for force in (False, True):
            for task in running:
                with contextlib.suppress(Exception):  # it has ended by itself, or its node has gone
                    self.ray.cancel(task.stream, force=force)
            ends = {task.stream.completed(): task for task in running}
            for end in self.ray.wait(list(ends), num_returns=len(ends), timeout=PATIENCE / 2)[0] if ends else ():
                self.end(ends[end], running)
        for task in list(running):
            self.end(task, running)


def lost(nodes: Sequence[str]) -> str:
    """Why a unit has no result."""
    times = {1: "once", 2: "twice"}.get(len(nodes), f"{len(nodes)} times")
    places = ", ".join(name[:8] for name in nodes)
    if not nodes:
        return "it never started"
    return f"its worker or node died {times} (nodes {places}); perhaps the machine ran out of memory"


def work(unit: dict[str, Any], options: dict[str, Any], keep: bool, start: bytes | None) -> Iterator[dict[str, Any]]:
    """On a node: measure a unit in a process of its own, and say what happens; the last thing said has the `row`.

    Args:
        unit: as `Unit.to_dict` gives it.
        options: keywords of `process.attempt`.
        keep: whether trained weights are to be sent back.
        start: the file of weights that the unit starts from.
    """
    import tempfile

    said: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
    stop = threading.Event()
    mine = Unit(**unit)

    with tempfile.TemporaryDirectory(prefix="keras_vix-") as place:
        weights = Path(place, "weights") if keep else None
        if weights:
            weights.mkdir()
        if start is not None:
            (weights / f"{mine.start}.weights.h5").write_bytes(start)

        def measure() -> None:
            try:
                row = attempt(mine, listener=said.put, stop=stop, weights=weights, **options)
            except Stopped:
                row = failure(mine, "killed", "it was stopped")
            except Exception as error:
                row = failure(mine, "error", f"{type(error).__name__}: {error}")
            left = weights / f"{mine.fingerprint}.weights.h5" if weights else None
            said.put({"row": row, "weights": left.read_bytes() if left and left.exists() else None})

        thread = threading.Thread(target=measure, daemon=True)
        thread.start()
        try:
            message: dict[str, Any] = {}
            while "row" not in message:
                try:
                    message = said.get(timeout=POLL)  # a wait without end could not be interrupted
                except queue.Empty:
                    continue
                yield message
        finally:  # also when the task is cancelled
            stop.set()
            thread.join()
