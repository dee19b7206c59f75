"""A built or trained model at another image size."""

from functools import partial

import keras

from .. import checks
from .carry import compile_like
from .successors import Choice, mixers_of
from .swap import check_model, renew
from .transfer import Report, some


def resize(
    model: keras.Model,
    input_shape: tuple[int, int, int],
    *,
    window: int | tuple[int, int] | None = None,
    compile: bool = True,
) -> tuple[keras.Model, Report]:
    """The same model for images of another size, square or oblong, with all its weights; the given model stays as it is.

    >>> model = keras_vix.build("vit", dim=16, depth=1, num_heads=2)
    >>> large, report = keras_vix.resize(model, (48, 64, 3))
    >>> model.input_shape, large.input_shape, report.interpolated
    ((None, 32, 32, 3), (None, 48, 64, 3), ('position/table',))
    >>> swin = keras_vix.build("swin_t", dataset="cifar10", patch=4, window=4, dim=(8,), depth=(2,), num_heads=(1,))
    >>> large, report = keras_vix.resize(swin, (64, 64, 3), window=8)
    >>> report.interpolated
    ('stage0_block0_mixer/mixer/relative_bias', 'stage0_block1_mixer/mixer/relative_bias')

    Position tables, tables of window biases, Linformer's projections and a head that sees all tokens side by side are resampled,
    every other weight is copied. At the same size every weight keeps its bits. What comes out is an ordinary model: it trains,
    saves and loads as the first one. At another size it is less accurate until it is fine-tuned.

    Args:
        model: a built functional or sequential model, of `build`, of `load` or any other with layers of this package.
        input_shape: `(height, width, channels)` of the new images, as many channels as before.
        window: side of the windows in tokens, or `(rows, columns)`; default as they are. One that `clamp` makes smaller for a
            small grid stays small for a large one unless this says otherwise. Where windows are shifted it is by half of it.
        compile: whether to compile the new model as the old one is, if that is: a new optimizer of the same settings, without its
            state.

    Returns:
        The new model, and a `Report` of roles: `copied` and `interpolated`; `new` and `skipped` are empty.

    Raises:
        TypeError, ValueError: for an image that does not fit, such as one that the patch does not divide, and for a model with
            weights that have no meaning at another size; the message names them. Nothing is changed.

    Source: positions at another resolution: Dosovitskiy et al. 2021, arXiv:2010.11929, section 3.2; windows: Liu et al. 2021,
    arXiv:2103.14030, section 4.1.
    """
    check_model(model, compile)
    if input_shape is None:
        raise ValueError("`input_shape` must be (height, width, channels). Received: input_shape=None.")
    choice, changes = with_window(model, window)
    made, report, pairs = renew(model, choice, changes, input_shape, seed=0)
    lost = dict.fromkeys(report.new + report.skipped)
    if lost:
        raise ValueError(
            f"Every weight must have a meaning at the other size. Received: input_shape={tuple(input_shape)}, "
            f"for which there is none of {some(tuple(lost))}; swap_mixer(model, input_shape=...) starts such weights anew."
        )
    if compile and model.compiled:
        compile_like(model, made, pairs)
    return made, report


def with_window(model: keras.Model, window) -> tuple[Choice, dict]:
    """What becomes of layers with windows for another window: the choice, and the changes that it asks for."""
    if window is None:
        return Choice(None, None, None, 0, {}), {}
    sides = checks.pair("window", window)
    found = [mixer for mixer in mixers_of(model) if hasattr(mixer, "window")]
    if not found:
        raise ValueError(f"`window` is for a model with windows. Received: window={window!r}, and a model without.")
    half = sides[0] // 2 if isinstance(window, int) else tuple(side // 2 for side in sides)
    moved = any(any(checks.pair("shift", getattr(mixer, "shift", 0), 0)) for mixer in found)
    choice = Choice(None, None, None, 0, {"window": window} | ({"shift": half} if moved else {}))
    choice.check(found)
    return choice, {id(old): partial(choice.make, old, place) for place, old in enumerate(found)}
