"""What a model would get from a checkpoint, worked out before anything changes."""

import math
import re
from collections import defaultdict
from collections.abc import Mapping
from typing import Any, NamedTuple

import keras
import numpy as np

from .names import KINDS, LAYOUTS, Layout
from .resample import resize_offsets, resize_positions
from .transfer import Report, roles, shape, some, square, token_grid
from .turns import turn

HEAD = "head/"
OWN = re.compile(r"stage\d+_block\d+_mixer/mixer/kernel/|projection/e")  # what a kernel has beside the projections round it
PROBLEMS = ("missing", "surplus", "of another shape", "not finite", "no floating-point numbers")


class Origin(NamedTuple):
    """Where a weight comes from.

    Args:
        choices: names of tensors; the first choice that is there counts. A choice of several names is their sum, one below the
            other, as far as those after the first are there.
        turns: how each is turned.
        kind: of `names.KINDS`.
    """

    choices: tuple[tuple[str, ...], ...]
    turns: tuple[str, ...]
    kind: str


def origins(layout: Layout, wanted) -> dict[str, Origin]:
    """Where each role comes from in a layout, as far as its table knows them."""
    found = {}
    for theirs, ours, kind in layout.rows:
        for there, here, turns in KINDS[kind]:
            pattern = numbered(ours + here)
            for role in wanted:
                if match := pattern.fullmatch(role):
                    numbers = counted(match.groupdict())
                    names = (tuple((name + there).format(**numbers) for name in one.split("+")) for one in theirs.split("|"))
                    found[role] = Origin(tuple(names), turns, kind)
    return found


def numbered(template: str) -> re.Pattern:
    """What fits a name with `{s}`, `{b}` and so on for numbers."""
    return re.compile(re.sub(r"\\{(\w+)\\}", r"(?P<\1>\\d+)", re.escape(template)))


def counted(digits: Mapping[str, str]) -> dict[str, int]:
    """The numbers of `{s}`, `{s0}`, `{s1}` and so on."""
    return {name + end: int(text) + more for name, text in digits.items() for end, more in (("", 0), ("0", -1), ("1", 1))}


def plain(tensors: Mapping[str, Any], prefix: str) -> dict[str, str]:
    """The checkpoint's names by themselves without a prefix."""
    found: dict[str, str] = {}
    for name in tensors:
        short = name.removeprefix(prefix)
        found[name if short in found else short] = name
    return found


class Plan:
    """What a model would get from a checkpoint: `values` by role, and everything that speaks against it.

    Args:
        model: built.
        tensors: by the checkpoint's names.
        grid: `(rows, columns)` of its tokens; `None`: a square.
        new_head: whether the model's head keeps its start, whatever there is.

    Raises:
        ValueError: no layout knows any of the names.
    """

    def __init__(self, model: keras.Model, tensors: Mapping[str, np.ndarray], grid, new_head: bool):
        self.model, self.tensors, self.grid = model, tensors, grid
        self.wanted = roles(model)
        self.layout, self.prefix, self.origins, self.names = self._recognise()
        self.values: dict[str, np.ndarray] = {}
        self.moved: list[str] = []
        self.new: list[str] = []
        self.used: set[str] = set()
        self.problems: dict[str, dict[str, str]] = defaultdict(dict)
        self.new_head = new_head or self._classes_differ()
        for role in self.wanted:
            self._place(role)
        self.skipped = self._rest()

    def report(self) -> Report:
        """What becomes of everything."""
        apart = {*self.moved, *self.new}
        copied = tuple(role for role in self.values if role not in apart)
        return Report(copied, tuple(self.new), tuple(self.moved), self.skipped)

    def check(self, source: str) -> None:
        """Refuse a checkpoint with any problem.

        Args:
            source: what to call it.

        Raises:
            ValueError: the message lists all of them.
        """
        if not self.problems:
            return
        found = [(what, self.problems[what].values()) for what in PROBLEMS if what in self.problems]
        listed = [f"{what} ({len(names)}): {', '.join(names)}" for what, names in found]
        if any(role.startswith(HEAD) for role in self.problems["missing"]):
            listed.append("new_head=True leaves the head as it starts.")
        raise ValueError(
            "A checkpoint must have a tensor for every weight of the model, of its shape, and no others. "
            f"Received: source={source}, {len(self.tensors)} tensors in the naming of {self.layout.name}; nothing was loaded.\n"
            + "\n".join(listed)
        )

    def _recognise(self):
        """The layout that knows most of the names, the prefix they have, where roles come from, and the names without prefix."""
        best, most = None, 0
        for layout in LAYOUTS:
            prefix = next((prefix for prefix in layout.prefixes if any(name.startswith(prefix) for name in self.tensors)), "")
            found, names = origins(layout, self.wanted), plain(self.tensors, prefix)
            known = {name for origin in found.values() for choice in origin.choices for name in choice} & set(names)
            if len(known) > most:
                best, most = (layout, prefix, found, names), len(known)
        if best is None:
            layouts = "; ".join(layout.name for layout in LAYOUTS)
            received = some(tuple(self.tensors)) or "none"
            raise ValueError(f"Names must be of a known layout ({layouts}). Received: {len(self.tensors)} tensors, {received}.")
        return best

    def _present(self, role: str) -> tuple[str, ...]:
        """The names that a role comes from, as far as they are there."""
        choices = self.origins[role].choices if role in self.origins else ()
        return next((tuple(name for name in choice if name in self.names) for choice in choices if choice[0] in self.names), ())

    def _tensor(self, name: str) -> np.ndarray:
        return self.tensors[self.names[name]]

    def _float(self, name: str) -> np.ndarray:
        with np.errstate(over="ignore"):  # what becomes infinite is refused
            return self._tensor(name).astype("float32", copy=False)

    def _turned(self, role: str, name: str) -> np.ndarray:
        """A tensor turned for a role, in float32."""
        heads = getattr(self._inner(role), "num_heads", None)
        return turn(self._float(name), self.origins[role].turns, shape(self.wanted[role]), heads)

    def _inner(self, role: str):
        """The mixer that a weight belongs to, if it is in a block."""
        return getattr(self.model.get_layer(role.split("/")[0]), "inner", None) if "_block" in role else None

    def _own(self, role: str) -> np.ndarray:
        """The model's own value."""
        return np.array(keras.ops.convert_to_numpy(self.wanted[role]), "float32")

    def _classes_differ(self) -> bool:
        """Whether there is a head, whole, of another number of classes."""
        counts = set()
        for role in self.wanted:
            if role.startswith(HEAD) and (names := self._present(role)):
                try:
                    found, wanted = self._turned(role, names[0]).shape, shape(self.wanted[role])
                except ValueError:  # of another shape: `_place` says so
                    return False
                if found[:-1] != wanted[:-1]:
                    return False
                counts.add((found[-1], wanted[-1]))
        return len(counts) == 1 and len(set(*counts)) == 2

    def _place(self, role: str) -> None:
        """Find the value of one weight, or what speaks against it."""
        if (self.new_head and role.startswith(HEAD)) or (role not in self.origins and OWN.match(role)):
            self.new.append(role)
            return
        names = self._present(role)
        if not names:
            self._miss(role, self.origins[role].choices[0][0] if role in self.origins else "")
            return
        self.used.update(names[:1])
        if not all([self._sound(name) for name in names]):
            return
        try:
            value = PLACERS.get(self.origins[role].kind, Plan._one)(self, role, names)
            if value is not None and value.shape != shape(self.wanted[role]):
                raise ValueError
        except ValueError as error:
            own = " + ".join(f"{self.names[name]} {self._tensor(name).shape}" for name in names)
            why = f": {error}" if str(error) else ""
            text = f"{own}, for {role}, which needs {shape(self.wanted[role])}{why}"
            self.problems["of another shape"].setdefault(names[0], text)
            return
        if value is not None:
            self.values[role] = value

    def _miss(self, role: str, name: str) -> None:
        """Note a tensor that is missing; of a tensor that is cut in three, once."""
        text = (name if role.startswith(HEAD) else self.prefix + name) if name else f"what {role} is in this naming"
        if text not in self.problems["missing"].values():
            self.problems["missing"][role] = text

    def _sound(self, name: str) -> bool:
        """Whether a tensor holds finite numbers."""
        if self._tensor(name).dtype.kind != "f":
            self.problems["no floating-point numbers"][name] = f"{self.names[name]} ({self._tensor(name).dtype})"
        elif not np.isfinite(self._float(name)).all():
            self.problems["not finite"][name] = self.names[name]
        else:
            return True
        return False

    def _one(self, role: str, names):
        return self._turned(role, names[0])

    def _tokens(self, role: str, names):
        """Tokens in front, one below the other, as many as the model has."""
        rows, value = shape(self.wanted[role])[0], self._turned(role, names[0])
        for name in names[1:]:
            if len(value) < rows:
                value = np.concatenate([value, self._turned(role, name)])
                self.used.add(name)
        if len(value) >= rows:
            return value[:rows]
        if self.new_head:
            self.new.append(role)
            return np.concatenate([value, self._own(role)[len(value) :]])
        absent = [name for name in self.origins[role].choices[0] if name not in names]
        self._miss(role, absent[0] if absent else f"a second token in {names[0]}")
        return None

    def _front(self) -> int:
        """Tokens in front in the checkpoint."""
        return sum(self._tensor(name).shape[1] for name in self._present("prefix/tokens") if self._tensor(name).ndim == 3)

    def _positions(self, role: str, names):
        """Positions interpolated to the model's grid, those of the tokens in front as they are."""
        value, front, here = self._turned(role, names[0]), self._front(), token_grid(self.model)
        there = self.grid or (math.isqrt(max(len(value) - front, 0)),) * 2
        if self.origins[role].kind == "map of positions":  # of places only
            front, there, value = 0, value.shape[:2], value.reshape(-1, value.shape[-1])
        if len(value) != front + math.prod(there) or self.grid not in (None, there):
            wanted = "a square" if self.grid is None else f"grid={self.grid}"
            raise ValueError(f"no {front} tokens in front of {wanted}; grid=(rows, columns) says what there is")
        extra = shape(self.wanted[role])[0] - math.prod(here) - front
        if value.shape[1:] != shape(self.wanted[role])[1:]:
            return value
        if extra > 0 and not self.new_head:
            return None  # the token of that position is missing, as `_tokens` says
        moved = resize_positions(value, there, here, front, front + min(extra, 0))
        if extra > 0:
            self.new.append(role)
            return np.concatenate([moved[:front], self._own(role)[front : front + extra], moved[front:]])
        if there != here:
            self.moved.append(role)
        return moved

    def _offsets(self, role: str, names):
        """A table of relative positions, resampled to the model's window."""
        value, window = self._turned(role, names[0]), self._inner(role).window
        there = square((math.isqrt(len(value)) + 1) // 2, len(value))
        if there is None:
            raise ValueError("no offsets of a square window")
        if window == there or value.shape[1:] != shape(self.wanted[role])[1:]:
            return value
        self.moved.append(role)
        return resize_offsets(value, there, window)

    def _rest(self) -> tuple[str, ...]:
        """Names of tensors that are left out by right; what is left over otherwise is a problem."""
        ignored = [numbered(name) for name in self.layout.ignored]
        if self.new_head:
            heads = [origin.choices for role, origin in self.origins.items() if role.startswith(HEAD)]
            ignored += [numbered(name) for choices in heads for choice in choices for name in choice]
        rest = {name: full for name, full in self.names.items() if name not in self.used}
        by_right = {name for name in rest if any(pattern.fullmatch(name) for pattern in ignored)}
        self.problems["surplus"].update({name: full for name, full in rest.items() if name not in by_right})
        if not self.problems["surplus"]:
            del self.problems["surplus"]
        return tuple(full for name, full in rest.items() if name in by_right)


PLACERS = {
    "tokens": Plan._tokens,
    "positions": Plan._positions,
    "map of positions": Plan._positions,
    "offsets": Plan._offsets,
}
