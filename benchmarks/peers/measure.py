"""One set of contenders, measured in turns: A B C, C B A, A B C, ..."""

import statistics
from collections.abc import Callable, Sequence
from typing import Any

from .case import Case
from .plan import Contender, Group, block_steps, rounds_of
from .process import Worker, WorkerError
from .settings import Settings

Record = dict[str, Any]
START_SECONDS, BUILD_SECONDS, GRACE = 300.0, 150.0, 2.0
KEEPS = "tensorflow"  # its allocator keeps what it was given once, so a peak is only told by a process without a past
HOLD = 2 * 2**30  # bytes that a worker may keep while the others have their turns; beyond, it is ended and begun again


class Pool:
    """The workers of a group, kept from one number of tokens to the next; closes them all at the end.

    Args:
        settings: how to start them.
        command: the program of a worker, without its interpreter.
    """

    def __init__(self, settings: Settings, command: Sequence[str] = ("-m", "peers.worker")):
        self.settings, self.command = settings, command
        self.workers: dict[tuple[str, int], Worker] = {}
        self.failures: dict[str, WorkerError] = {}
        self.about: dict[str, dict[str, Any]] = {}

    def __enter__(self) -> "Pool":
        return self

    def __exit__(self, *error: object) -> None:
        for worker in self.workers.values():
            worker.stop()

    def keep(self, names: set[str]) -> None:
        """Close the workers of all other cases, whose memory a set may need."""
        for name, slot in [key for key in self.workers if key[0] not in names]:
            self.workers.pop((name, slot)).stop()

    def worker(self, case: Case, slot: int) -> Worker:
        """The running worker of a case; `slot` tells apart several sizes of it in one set.

        Raises:
            WorkerError: it does not start, now or before.
        """
        if case.name in self.failures:
            raise self.failures[case.name]
        known = self.workers.get((case.name, slot))
        return known if known and known.alive else self.start(case, slot)

    def fresh(self, case: Case, slot: int) -> Worker:
        """A worker that has run nothing."""
        if known := self.workers.pop((case.name, slot), None):
            known.stop()
        return self.worker(case, slot)

    def start(self, case: Case, slot: int) -> Worker:
        """A new worker with its framework imported."""
        if not self.settings.runs_here(case):
            raise WorkerError("not installed", f"Keras has another backend here; set KERAS_BACKEND={case.environment}")
        try:
            worker = Worker((self.settings.interpreter(case), *self.command), self.settings.surroundings(case))
            self.workers[case.name, slot] = worker
            reply = worker.ask(START_SECONDS, do="start", case=case.name, threads=self.settings.threads,
                               core=self.settings.pinned)
        except WorkerError as error:
            self.failures[case.name] = error
            raise
        self.about[case.environment] = {key: value for key, value in reply.items() if key != "event"}
        return worker


class Run:
    """One contender within a set: its worker while it lives, and the record that grows."""

    def __init__(self, contender: Contender, group: Group):
        case = contender.case
        self.contender, self.worker, self.steps, self.step = contender, None, 1, 0.0
        self.held = 0
        self.record: Record = {
            "group": group.group, "case": case.name, "tokens": contender.tokens, "mode": group.mode,
            "status": "done", "blocks": [],
        }

    @property
    def going(self) -> bool:
        """Whether it still takes part."""
        return self.record["status"] == "done"

    def attempt(self, action: Callable[[], None]) -> None:
        """Do something that may end this contender's part; the reason becomes its cell."""
        try:
            action()
        except WorkerError as error:
            self.record |= {"status": error.kind, "reason": error.reason}

    def prepare(self, pool: Pool, slot: int) -> None:
        """Build it, take the first step, time a second one against the limit, and warm up."""
        self.record |= self.build(pool, slot)
        settings = pool.settings
        first = self.one_step(settings)
        self.record["second_seconds"] = first
        if first > settings.limit:
            self.worker.stop()
            raise WorkerError("> limit", f"a step took {first:.1f} seconds")
        self.warm_up(first, settings)

    def build(self, pool: Pool, slot: int) -> dict[str, Any]:
        """Have its worker build it and take the first step; what the worker tells of it."""
        case = self.contender.case
        alone = case.environment == KEEPS and self.record["mode"] == "train"
        self.worker = (pool.fresh if alone else pool.worker)(case, slot)
        reply = self.worker.ask(BUILD_SECONDS + pool.settings.limit, do="prepare", tokens=self.contender.tokens,
                                mode=self.record["mode"], batch=pool.settings.batch)
        return {key: value for key, value in reply.items() if key != "event"}

    def one_step(self, settings: Settings) -> float:
        """Seconds of a step after the first."""
        reply = self.worker.ask(settings.limit + GRACE, do="block", steps=1)
        self.held = reply.get("resident_bytes") or 0
        return reply["seconds"][0]

    def rest(self) -> None:
        """End a worker that keeps too much memory for others to have their turns."""
        if self.held > HOLD:
            self.worker.stop()

    def turn(self, number: int, pool: Pool, slot: int) -> None:
        """Its block in a round, by a worker that is begun again, and warm, if it was ended after the last one."""
        if not self.worker.alive and self.held > HOLD:
            self.build(pool, slot)
            self.one_step(pool.settings)
        self.block(number)
        self.rest()

    def warm_up(self, first: float, settings: Settings) -> None:
        """Half a block without a place in the results; it tells how many steps a block has."""
        self.step = first
        if first < settings.block:
            steps = max(2, block_steps(first, settings) // 2)
            self.step = statistics.median(self.ask_block(steps)["seconds"])
        self.steps = block_steps(self.step, settings)

    def ask_block(self, steps: int, **more: Any) -> dict[str, Any]:
        """A block of steps; ten times the time they should take is too long."""
        return self.worker.ask(30.0 + 10 * steps * max(self.step, 0.01), do="block", steps=steps, **more)

    def block(self, number: int) -> None:
        """The block of one round; the first also tells the memory."""
        wants_memory = number == 0 and self.record["mode"] == "train"
        reply = self.ask_block(self.steps, memory_too=wants_memory)
        self.held = reply.get("resident_bytes") or 0
        self.record["blocks"].append({
            "round": number, "steps": self.steps, "median": statistics.median(reply["seconds"]),
            "cores_used": reply["cores_used"],
        })
        if wants_memory:
            self.record["memory_bytes"] = reply["memory_bytes"]


def measure(
    group: Group, pool: Pool, listener: Callable[[str], None] = lambda text: None
) -> tuple[list[Record], list[Any]]:
    """The records of a set, one for each contender in order, and the background load before each round."""
    pool.keep({contender.case.name for contender in group.contenders})
    runs = [Run(contender, group) for contender in group.contenders]
    seen: dict[str, int] = {}
    slots = []
    for run in runs:
        slots.append(seen.setdefault(run.contender.case.name, 0))
        seen[run.contender.case.name] += 1
        run.attempt(lambda run=run, slot=slots[-1]: run.prepare(pool, slot))
        if run.going:
            run.rest()
        listener(f"  {run.contender.case.name}: {first_words(run)}")
    per_round = sum(run.steps * run.step for run in runs if run.going)
    loads = take_turns(runs, slots, pool, rounds_of(per_round, pool.settings))
    return [run.record for run in runs], loads


def take_turns(runs: list[Run], slots: list[int], pool: Pool, rounds: int) -> list[Any]:
    """All rounds; every second one runs backwards. Gives the background load before each."""
    from .machine import load

    loads = []
    for number in range(rounds):
        loads.append(load())
        for run, slot in list(zip(runs, slots))[:: 1 if number % 2 == 0 else -1]:
            if run.going:
                run.attempt(lambda run=run, slot=slot: run.turn(number, pool, slot))
    return loads


def first_words(run: Run) -> str:
    """What is known of a contender before its rounds."""
    if not run.going:
        return f"{run.record['status']} ({run.record['reason'][:100]})"
    return f"{1000 * run.step:.1f} ms, {run.steps} steps a block"
