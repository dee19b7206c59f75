"""What a model is and costs, before it is trained."""

import dataclasses
import textwrap

import keras

from .. import checks
from ..facts import Facts
from .config import Config
from .configure import configure, find
from .count import (
    binary_multiply_adds,
    multiply_adds,
    operations,
    published_parameters,
    tokens,
    trainable_parameters,
)
from .outline import outline, without_values
from .presets import PRESETS
from .sequence import SEQUENCES, assemble_sequence, configure_sequence, sequence_multiply_adds
from .size import published_megabytes


@dataclasses.dataclass(frozen=True)
class Description:
    """A printable record of one model.

    Args:
        name: of the preset.
        title: what it is, in a few words.
        trainable_parameters: scalars that training moves.
        published_parameters: the same model in the source's own way of counting.
        published_megabytes: the source's "Size (MB)", an estimate (`zoo.size`), or `None` where it has none.
        tokens: that the first block sees.
        multiply_adds: of one image, or one pair of sequences, through the model, products only.
        binary_multiply_adds: those among them of two numbers of two values each; operations: the cost when these count 1/64
            (`zoo.count.operations`).
        config: the whole record, as a plain dictionary.
        source: paper or report; differs: what differs from it.
    """

    name: str
    title: str
    trainable_parameters: int
    published_parameters: int
    published_megabytes: float | None
    tokens: int
    multiply_adds: int
    binary_multiply_adds: int
    operations: int
    config: dict
    source: str
    differs: str

    def __str__(self) -> str:
        counts = [
            ("trainable parameters", f"{self.trainable_parameters:,}"),
            ("published parameters", f"{self.published_parameters:,}"),
            ("published size", "-" if self.published_megabytes is None else f"{self.published_megabytes:.2f} MB (an estimate)"),
            ("tokens", f"{self.tokens:,}"),
            ("multiply-adds", f"{self.multiply_adds:,}"),
            *self._binary(),
            ("source", self.source),
            ("differs", self.differs or "-"),
            ("options", _words(self.config.get("options", {}))),
            ("config", _words({k: v for k, v in self.config.items() if k != "options"})),
        ]
        lines = [textwrap.fill(text, 110, initial_indent=f"  {label:<21} ", subsequent_indent=" " * 24) for label, text in counts]
        return "\n".join([f"{self.name}: {self.title}", *lines])

    def _binary(self):
        if not self.binary_multiply_adds:
            return []
        return [("  of them binary", f"{self.binary_multiply_adds:,}"), ("operations", f"{self.operations:,}")]

    def _repr_pretty_(self, printer, cycle):
        printer.text(str(self))


def _words(values: dict) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in values.items()) or "-"


def describe(preset: str, *, dataset: str | Facts | None = None, profile: str = "default", **overrides) -> Description:
    """A printable record of what `build` with the same arguments would make.

    Args:
        preset, dataset, profile, overrides: as for `keras_vix.build`.

    Raises:
        TypeError, ValueError: as `keras_vix.build`.
    """
    config = configure(preset, dataset=dataset, profile=profile, **overrides)
    return describe_built(preset, config, outline(config, preset))


def describe_built(preset: str, config: Config, model: keras.Model) -> Description:
    """The same record of a model that is there already, made of `config`."""
    row = find(preset)
    published = published_parameters(model, row.counting)
    return Description(
        name=preset,
        title=row.title,
        trainable_parameters=trainable_parameters(model),
        published_parameters=published,
        published_megabytes=published_megabytes(config, row.family, published),
        tokens=tokens(model),
        multiply_adds=multiply_adds(model),
        binary_multiply_adds=binary_multiply_adds(model),
        operations=operations(model),
        config=config.to_dict(),
        source=row.source,
        differs=row.differs,
    )


def describe_sequence(preset: str, **overrides) -> Description:
    """The same record of a preset of `SEQUENCES`; its tokens are those of the source, its multiply-adds those of one pair.

    Raises:
        TypeError, ValueError: for an unknown field, or a value out of range.
    """
    row, config = SEQUENCES[preset], configure_sequence(preset, **overrides)
    model = without_values(lambda: assemble_sequence(config, preset))
    parameters, products = trainable_parameters(model), sequence_multiply_adds(model)
    return Description(
        name=preset,
        title=row.title,
        trainable_parameters=parameters,
        published_parameters=parameters,
        published_megabytes=None,
        tokens=config.source_length,
        multiply_adds=products,
        binary_multiply_adds=0,
        operations=products,
        config=dataclasses.asdict(config),
        source=row.source,
        differs=row.differs,
    )


def list_models(pattern: str = "*", kind: str = "image") -> list[str]:
    """Names of the presets that match a shell-style pattern, such as `"*performer*"`, in the zoo's order.

    >>> keras_vix.list_models("swin*")
    ['swin_t', 'swin_s', 'swin_b', 'swin_l']
    >>> keras_vix.list_models(kind="sequence")
    ['transformer_base', 'transformer_big']

    Args:
        pattern: of the names.
        kind: `image`, from an image to its class, or `sequence`, from one sequence to another.
    """
    import fnmatch

    presets = {"image": PRESETS, "sequence": SEQUENCES}[checks.choice("kind", kind, ("image", "sequence"))]
    return [name for name in presets if fnmatch.fnmatchcase(name, pattern)]
