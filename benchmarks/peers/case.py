"""The record of a contender, and how cases are found by name."""

import dataclasses
import fnmatch
from collections.abc import Mapping, Sequence
from typing import Any

ENVIRONMENTS = {"tensorflow": "TensorFlow", "jax": "JAX", "torch": "torch"}
MODES = {"train": "forward + backward", "forward": "forward"}
# The tokens at which each group is measured unless others are asked for; `floors` has none.
GROUPS = {
    "floors": (0,),
    "attention": (64, 256, 1024, 4096, 16384),
    "windows": (1024, 3136),
    "models": (1024,),
    "doubling": (8192, 16384),
}
QUADRATIC_LIMIT = 4096  # the scores of exact attention would need 34 GB at 16,384 tokens


@dataclasses.dataclass(frozen=True)
class Case:
    """One contender, whatever the number of tokens.

    Args:
        name: its identity in files and patterns; it begins with its environment.
        label: what tables say.
        environment: the interpreter and the framework it runs in.
        groups: the groups it is measured in.
        maker: `module:function` in `contenders/`, or the kind of a probe of the machine.
        options: arguments of that function.
        jit: whether TensorFlow compiles it with XLA; JAX compiles everything.
        quadratic: whether its cost grows with the square of the tokens.
        keras: whether it runs on whichever backend Keras has.
        ours: whether it is this package's.
    """

    name: str
    label: str
    environment: str
    groups: tuple[str, ...]
    maker: str
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    jit: bool = False
    quadratic: bool = False
    keras: bool = False
    ours: bool = False

    def fits(self, group: str, tokens: int) -> bool:
        """Whether it is measured in this group with so many tokens."""
        return group in self.groups and (not self.quadratic or tokens <= QUADRATIC_LIMIT)


def case(environment: str, name: str, label: str, maker: str, groups: str = "attention", *, jit: bool = False,
         quadratic: bool = False, keras: bool = False, ours: bool = False, **options: Any) -> Case:
    """A case in one line: `groups` are words, further arguments are the maker's."""
    end = "-xla" if jit else ""
    where = f" ({ENVIRONMENTS[environment]}{' + XLA' if jit else ''})" if keras else ""
    return Case(
        f"{environment}-{name}{end}", label + where, environment, tuple(groups.split()), maker, options,
        jit, quadratic, keras, ours,
    )


def matching(pattern: str, cases: Sequence[Case]) -> list[Case]:
    """Cases whose name fits one of several shell patterns, separated by commas.

    Raises:
        ValueError: nothing fits.
    """
    words = [word.strip() for word in pattern.split(",")]
    chosen = [one for one in cases if any(fnmatch.fnmatchcase(one.name, word) for word in words)]
    if not chosen:
        raise ValueError(f"A pattern must fit a case. Received: cases={pattern!r}; --list shows their names.")
    return chosen
