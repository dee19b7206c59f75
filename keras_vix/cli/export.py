"""`keras-vix export`: a model file for another runtime, checked there."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

ModelFile = Annotated[Path, typer.Argument(metavar="MODEL.keras", help="A saved model of images.")]
Target = Annotated[Path, typer.Argument(metavar="PATH", help="NAME.tflite, NAME.onnx, or a folder for a SavedModel.")]
Format = Annotated[str | None, typer.Option("--format", metavar="NAME", help="saved_model, litert or onnx. [default: by PATH]")]
Quantize = Annotated[str | None, typer.Option("--quantize", metavar="int8", help="Weights of dense products in 8 bits.")]
Images = Annotated[Path | None, typer.Option("--images", metavar="DIR", help="Compare on images, in folders by class.")]
Dataset = Annotated[str | None, typer.Option("--dataset", metavar="NAME", help="Compare on its test images: digits, ...")]
Limit = Annotated[int, typer.Option("--limit", min=1, help="Compare on so many of these images.")]
Tolerance = Annotated[float | None, typer.Option(min=0, help="Of outputs. [default: 1e-4 of the largest; any with int8]")]
Seed = Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Of the random images.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def export_command(
    model_file: ModelFile, path: Target, form: Format = None, quantize: Quantize = None, folder: Images = None,
    dataset: Dataset = None, limit: Limit = 360, tolerance: Tolerance = None, seed: Seed = 0, as_json: AsJson = False,
) -> None:
    """Write a model for TensorFlow, LiteRT or ONNX, and compare it there with the model itself."""
    import dataclasses

    from ..bench import store
    from ..interop import ExportError, export
    from ..train import load

    if folder is not None and dataset is not None:
        raise ValueError(f"Give one of --images and --dataset. Received: --images {folder}, --dataset {dataset}.")
    if folder is not None and not folder.is_dir():
        raise ValueError(f"--images must be a folder of images. Received: --images {folder}, which is none.")
    model = load(model_file, compile=False)
    images = None if folder is dataset is None else pictures(model, folder or dataset, limit)
    try:
        report = export(model, path, form, quantize, images=images, tolerance=tolerance, seed=seed)
    except ExportError as error:
        print(f"Error: {error}", file=sys.stderr)
        raise typer.Exit(1) from error
    print(store.to_json(dataclasses.asdict(report)) if as_json else report, end="" if as_json else "\n")


def pictures(model: Any, source: Path | str, limit: int) -> Any:
    """The first test images of a data set, in the size that a model takes."""
    from ..data import load

    size = tuple(model.input_shape[1:3]) if len(model.input_shape) == 4 else None
    data = load(source, image_size=size if None not in (size or (None,)) else None, stream=True)
    return data.test.x[:limit]
