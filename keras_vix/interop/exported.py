"""What an export was found to be, as a record; and the error of one that was not."""

import dataclasses


class ExportError(RuntimeError):
    """An export that could not be written or run, or whose answers are too far from the model's. Nothing of it is kept."""


@dataclasses.dataclass(frozen=True)
class Exported:
    """A printable record of one exported model, measured in the runtime of its format.

    Args:
        path: where it lies.
        format: `saved_model`, `litert` or `onnx`.
        quantize: `int8`, or `None` for float32.
        bytes: on disk, of all files.
        difference: largest absolute difference of any output from the model's own, in float32.
        largest: absolute value of the model's outputs, to compare the difference with.
        agreement: share of images with the same prediction: of those that were given, or of the random ones where none were.
        images: how many were compared, random and given.
        batches: sizes of the batches that were run.
        runtime: name and version of what ran the file.
        notes: what was changed in the model for the export.
    """

    path: str
    format: str
    quantize: str | None
    bytes: int
    difference: float
    largest: float
    agreement: float
    images: int
    batches: tuple[int, ...]
    runtime: str
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        sizes = ", ".join(map(str, self.batches))
        rows = [
            ("size", f"{self.bytes:,} bytes"),
            ("largest difference", f"{self.difference:.2g}, of outputs up to {self.largest:.3g}"),
            ("equal predictions", f"{self.agreement:.4f}"),
            ("compared", f"{self.images} images in batches of {sizes}, in {self.runtime}"),
            *(("changed", note) for note in self.notes),
        ]
        head = f"{self.path}: {self.format}, {self.quantize or 'float32'}"
        return "\n".join([head, *(f"  {label:<21} {text}" for label, text in rows)])

    def _repr_pretty_(self, printer, cycle):
        printer.text(str(self))
