"""Public pre-trained weights in models of this package."""

import os
import warnings

import keras

from .. import checks
from ..train.build import build
from ..zoo.configure import configure, find
from .plan import HEAD, Plan
from .sources import read
from .transfer import Report


def load_pretrained(
    preset: str,
    source,
    *,
    grid: tuple[int, int] | None = None,
    new_head: bool = False,
    revision: str | None = None,
    sha256: str | None = None,
    return_report: bool = False,
    **options,
) -> keras.Model | tuple[keras.Model, Report]:
    """A compiled model of a preset with the weights of a public checkpoint.

    Raw images go in, pixels from 0 to 255, as for `build`. They are normalised as those were that the weights have been trained
    with, whatever `dataset` says: for ViT by 0.5 and 0.5, for the others by the mean and deviation of ImageNet; `mean` and `std`
    change it.

    Args:
        preset: a name of `keras_vix.list_models()`: a ViT, DeiT, Swin, CaiT or PiT.
        source: a `.safetensors` file in the naming of timm or of transformers, a `.npz` file of the JAX release of ViT, a
            folder with one of them, or a hub name, `"hf:owner/name"` (see `interop.read`). Pickles are refused.
        grid: `(rows, columns)` of the tokens that the weights have been trained with; default a square.
        new_head: whether the head keeps its start, whatever the checkpoint has; needed for one without a head.
        revision, sha256: of the source, see `interop.read`.
        return_report: whether to return `(model, report)`.
        options: as for `build`: `classes`, `input_shape`, `dataset`, `window`, `learning_rate`, ...

    Positions are interpolated to the model's grid, tables of relative positions to its windows. A head for another number of
    classes keeps its start, with a warning if neither `classes` nor `dataset` asked for it.

    Returns:
        The model, as `build` gives it; with `return_report` the `Report` too, as of `interop.restore`.

    Raises:
        TypeError, ValueError, FileNotFoundError, ImportError: as `build`, `interop.read` and `interop.restore`.
    """
    find(preset)
    tensors = read(source, revision, sha256)
    trained = configure(preset, profile="reference")
    model = build(preset, **{"mean": trained.mean, "std": trained.std} | options)
    report = settle(model, tensors, source, grid, new_head)
    if not new_head and not {"classes", "dataset"} & set(options) and any(role.startswith(HEAD) for role in report.new):
        warnings.warn(
            f"The head of {preset} is new: the checkpoint has other classes than the preset's {model.output_shape[-1]}; "
            "classes= says how many are wanted.",
            stacklevel=2,
        )
    return (model, report) if return_report else model


def restore(
    model: keras.Model,
    source,
    *,
    grid: tuple[int, int] | None = None,
    new_head: bool = False,
    revision: str | None = None,
    sha256: str | None = None,
) -> Report:
    """Give a model the weights of a public checkpoint.

    Everything is read and checked before the first weight changes. The naming is told by the names themselves. The model's
    pixel statistics stay as they are; `load_pretrained` sets them too.

    Args:
        model: a built model of this package.
        source: as in `load_pretrained`, or arrays by their names there.
        grid, new_head, revision, sha256: as in `load_pretrained`.

    Returns:
        Roles that have the checkpoint's values, that are new, that have them resampled to another grid or window; as `skipped`
        the names of its tensors that went nowhere: what `interop.names` knows to be of no use here, and a head for other
        classes. Where a distilled model takes a checkpoint without distillation token, `prefix/tokens` and `position/table`
        are among the new ones: what they hold for that token keeps its start.

    Raises:
        TypeError: `model` is no Keras model.
        ValueError: tensors are missing, surplus, of another shape, not finite or no floating-point numbers; the message lists all
            of them, and the model is as it was.
        FileNotFoundError, ImportError: as `interop.read`.
    """
    if not isinstance(model, keras.Model):
        raise TypeError(f"model must be a Keras model. Received: model={type(model).__name__}.")
    return settle(model, read(source, revision, sha256), source, grid, new_head)


def settle(model: keras.Model, tensors, source, grid, new_head: bool) -> Report:
    """Give a model the weights among tensors that are read from `source`."""
    if not isinstance(new_head, bool):
        raise TypeError(f"`new_head` must be True or False. Received: new_head={new_head!r}.")
    plan = Plan(model, tensors, grid if grid is None else checks.pair("grid", grid), new_head)
    plan.check(repr(os.fspath(source)) if isinstance(source, (str, os.PathLike)) else type(source).__name__)
    for role, value in plan.values.items():
        plan.wanted[role].assign(value)
    return plan.report()
