"""Stored measurements, looked up the way tables and figures ask for them."""

import math
from collections.abc import Mapping
from typing import Any

from . import summary
from .case import Case
from .cases import CASES
from .plan import reference
from .summary import Spread

Record = Mapping[str, Any]


class Results:
    """The records of one folder.

    Args:
        measurements: what `records.load` gives.
    """

    def __init__(self, measurements: Mapping[str, Any]):
        self.measurements = measurements
        self.backend = measurements["kind"].get("backend", "tensorflow")
        self.index: dict[tuple[str, str, str, int], Record] = {}
        self.by_set: dict[tuple[int, str, int], Record] = {}
        for record in measurements["records"]:
            self.index.setdefault((record["group"], record["mode"], record["case"], record["tokens"]), record)
            self.by_set[record["set"], record["case"], record["tokens"]] = record

    def find(self, group: str, mode: str, case: str, tokens: int) -> Record | None:
        """One record, if there is one."""
        return self.index.get((group, mode, case, tokens))

    def cases(self, group: str) -> list[Case]:
        """Cases with records in a group, in the order of the table of cases."""
        names = {name for own, _, name, _ in self.index if own == group}
        return [case for case in CASES if case.name in names]

    def tokens(self, group: str, mode: str) -> list[int]:
        """The numbers of tokens measured in a group and mode."""
        return sorted({size for own, how, _, size in self.index if (own, how) == (group, mode)})

    def reference(self, record: Record) -> Record | None:
        """The reference that took turns with a record."""
        name = reference(record["group"], self.backend)
        found = self.by_set.get((record["set"], name, record["tokens"])) if name else None
        return found if found and found["status"] == "done" else None

    def speed_up(self, record: Record) -> Spread | None:
        """How many times faster than the reference, over the rounds of both."""
        other = self.reference(record)
        if other is None or record["status"] != "done":
            return None
        found = summary.ratios(other["blocks"], record["blocks"])
        return summary.spread(found) if found else None

    def curve(self, mode: str, case: str, figure: str = "seconds") -> dict[int, float]:
        """Median seconds, or bytes of memory, of a case of the attention group by tokens."""
        found = {}
        for size in self.tokens("attention", mode):
            record = self.find("attention", mode, case, size)
            if record is not None and record["status"] == "done":
                value = summary.seconds(record).median if figure == "seconds" else record.get(figure)
                found |= {size: value} if value else {}
        return found

    def machine_speed(self, environment: str) -> tuple[float, float] | None:
        """Operations and bytes a second that a framework reached on this machine; None if it was not measured."""
        found = {}
        for case in self.cases("floors"):
            record = self.find("floors", "forward", case.name, 0)
            if case.environment == environment and record["status"] == "done":
                found[case.name.removeprefix(f"{environment}-")] = rate(case, record)
        products = [value for name, value in found.items() if name != "sum"]
        return (max(products), found["sum"]) if products and "sum" in found else None

    def over_floor(self, case: Case, record: Record) -> float | None:
        """The measured time over the floor of its products and bytes; None where products are not counted."""
        speed = self.machine_speed(case.environment)
        if speed is None or record["status"] != "done" or not record.get("multiply_adds"):
            return None
        least = summary.floor(record["multiply_adds"], record["moved_bytes"], record["mode"], *speed)
        return summary.seconds(record).median / least

    def doubling(self, case: str) -> Spread | None:
        """Time at twice the tokens over time, round by round, for the largest pair measured."""
        sizes = self.tokens("doubling", "train")
        pairs = [(size, 2 * size) for size in sizes if 2 * size in sizes]
        found = [self.find("doubling", "train", case, size) for size in pairs[-1]] if pairs else []
        if len(found) < 2 or any(record is None or record["status"] != "done" for record in found):
            return None
        return summary.spread(summary.ratios(found[1]["blocks"], found[0]["blocks"]))


def rate(case: Case, record: Record) -> float:
    """Operations a second of a product, or bytes a second of a sum (two floats read, one written)."""
    sizes = case.options["sizes"]
    work = 2 * math.prod(sizes) if case.maker == "product" else 12 * math.prod(sizes)
    return work / summary.seconds(record).median
