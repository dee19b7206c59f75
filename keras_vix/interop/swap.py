"""Another attention in a trained model, or another image or number of classes: a new model, and what became of the weights."""

import contextlib
import inspect
import random
from collections.abc import Iterator
from functools import partial
from typing import Any

import keras

from .. import checks
from ..base import Layer, arguments
from ..kernels import KERNELS
from ..zoo.lookup import lookup
from .carry import carry, compile_like, pairing
from .rebuild import Rebuild, again, leaves
from .sites import is_graph
from .successors import TARGETS, Choice, choose, mixers_of
from .transfer import Report


def swap_mixer(
    model: keras.Model,
    kernel: str | type | None = None,
    m: int | None = None,
    *,
    mixer: str | None = None,
    blocks: int | slice | list | tuple | None = None,
    input_shape: tuple[int, int, int] | None = None,
    classes: int | None = None,
    seed: int = 0,
    compile: bool = True,
    **options: Any,
) -> tuple[keras.Model, Report]:
    """A new model with another attention in its blocks, all other weights copied; the given model stays as it is.

    >>> model = keras_vix.build("vit", dataset="digits", dim=16, depth=2, num_heads=2)
    >>> new, report = keras_vix.swap_mixer(model, "nystrom", m=8)
    >>> new, report = keras_vix.swap_mixer(model, "linformer", m=16, input_shape=(12, 8, 1), classes=5)
    >>> new.input_shape, new.output_shape
    ((None, 12, 8, 1), (None, 5))
    >>> new, report = keras_vix.swap_mixer(model, mixer="atrous", window=4, rates=(1, 2), blocks=slice(1, None))
    >>> report.new
    ('stage0_block1_mixer/mixer/gate/kernel', 'stage0_block1_mixer/mixer/gate/bias')

    The model may be one of `build`, one from a file, or any other functional or sequential model with attention layers of
    `keras_vix.layers`, bare or in a `Residual`, also in models inside it. Every layer is made anew of its own configuration,
    under its name and policy. Left as they are: class attention, which is linear in the tokens already, the token
    transformers in front of a T2T-ViT, and mixers without a kernel.

    Args:
        model: a built functional or sequential model; its layers and optimizer are not touched.
        kernel: `softmax`, `performer`, `linformer`, `nystrom`, `lsa`, `talking_heads`, or a class; default as it was.
        m: the rank of a kernel that has one. Needed, except from a kernel of the same class, whose own it keeps, and for
            Performers whose features do without (`relu`, `exp` and `elu` with `m=None`).
        mixer: `attention` (over all tokens), `window` (2-D windows) or `atrous` (windows at several rates of dilation, the
            hybrid); default as it was. Where tokens stand in front of the others, or queries, keys and values have no bias while
            the output has, `window` is `AtrousAttention(rates=(1,))`, which has these and no shift.
        blocks: which attention layers, counted from 0 in the order of their calls: an index, a slice, or several indices;
            default all.
        input_shape: `(height, width, channels)` of other images; default as they were. Positions are interpolated, grids follow.
        classes: number of classes of a new head; one of as many classes as before is copied.
        seed: of everything random in the new layers.
        compile: whether to compile the new model as the old one is, if that is: a new optimizer of the same settings, without its
            state. Weights that it left out of weight decay are left out, and new vectors.
        options: arguments of the kernel (`features`, `iterations`, `share`, ...) and of the mixer (`window`, `rates`,
            `relative_bias`, ...); `shift` goes to every second of the swapped layers on a grid; `grid` where the model does not
            tell it.

    What is not said stays: a kernel of the same class keeps its arguments, one of another takes over the dropout. Linformer
    starts from means of runs of tokens (`start="pool"`), talking heads from mixings that do nothing, unless `start` or `mix_std`
    say otherwise. Weights of one name go from kernel to kernel: learned scales, the projections of a Linformer of as many rows,
    those of a Performer with as many features drawn alike.

    Returns:
        The new model, and a `Report` of roles: `copied`, `interpolated` and `new` name weights of the new model, as
        `interop.transfer.roles` does, `skipped` those of the old one.

    Raises:
        TypeError, ValueError: for anything unknown or that does not fit; nothing is changed by then.

    Source: Choromanski et al. 2020, arXiv:2009.14794, section 4 (weights of exact attention in a linear one, then fine-tuned);
    positions at another resolution: Dosovitskiy et al. 2021, arXiv:2010.11929, section 3.2.
    """
    check(model, kernel, mixer, blocks, input_shape, classes, compile)
    mixers = mixers_of(model)
    cls = None if kernel is None else lookup(KERNELS, kernel, "kernel")
    choice = Choice(cls, m, mixer, checks.seed("seed", seed), options)
    chosen = {} if kernel is mixer is None else choose(mixers, blocks)
    choice.check(list(chosen.values()))
    changes = {id(old): partial(choice.make, old, place) for place, old in chosen.items()}
    if classes is not None:
        changes |= new_head(model, checks.integer("classes", classes))
    made, report, pairs = renew(model, choice, changes, input_shape, seed)
    if compile and model.compiled:
        compile_like(model, made, pairs)
    return made, report


def renew(model: keras.Model, choice: Choice, changes, input_shape, seed: int) -> tuple[keras.Model, Report, list]:
    """The model made anew with these changes, not compiled, what became of its weights, and which weights are pairs."""
    work = Rebuild(changes)
    with seeded(seed):
        made = work.model(model, inputs_for(model, input_shape))
    made = of_class(model, made)
    pairs = pairing(work, choice)
    report = carry(work, model, made, pairs)
    choice.begin()
    return made, report, pairs


def check(model, kernel, mixer, blocks, input_shape, classes, compile) -> None:
    """Find the mistakes that need no layer."""
    check_model(model, compile)
    if mixer is not None:
        checks.choice("mixer", mixer, TARGETS)
    if kernel is mixer is input_shape is classes is None:
        raise ValueError("One of `kernel`, `mixer`, `input_shape` and `classes` is needed. Received: none of them.")
    if kernel is mixer is None and blocks is not None:
        raise ValueError(f"`blocks` says where a `kernel` or `mixer` goes. Received: blocks={blocks!r}, and neither of them.")


def check_model(model, compile) -> None:
    """Refuse what cannot be made anew."""
    if not isinstance(model, keras.Model):
        raise TypeError(f"`model` must be a Keras model. Received: model={type(model).__name__}.")
    if not is_graph(model):
        raise ValueError(
            "`model` must be functional, keras.Model(inputs, outputs), or a built keras.Sequential, to be made anew. "
            f"Received: a {type(model).__name__}; of a Distiller take the `student`."
        )
    if not isinstance(compile, bool):
        raise TypeError(f"`compile` must be True or False. Received: compile={compile!r}.")


def new_head(model: keras.Model, classes: int) -> dict:
    """A change of the last layer with weights to so many classes.

    Raises:
        ValueError: that is no head.
    """
    for layer in reversed(list(leaves(model))):
        name = "classes" if isinstance(layer, Layer) and "classes" in arguments(type(layer)) else "units"
        if name == "classes" or isinstance(layer, keras.layers.Dense):
            return {id(layer): lambda config, *_: type(layer).from_config({**config, name: classes})}
        if layer.weights:
            break
    raise ValueError("`classes` is for a model that ends in a head or a dense layer. Received: a model that does not.")


def inputs_for(model: keras.Model, input_shape) -> list:
    """New inputs like those of a model, its images of another shape if one is given."""
    shapes = [tuple(x.shape) for x in model.inputs]
    if input_shape is not None:
        if not isinstance(input_shape, (tuple, list)) or len(input_shape) != 3:
            raise ValueError(f"`input_shape` must be (height, width, channels). Received: input_shape={input_shape!r}.")
        wanted = tuple(checks.integer("input_shape", side) for side in input_shape)
        images = [place for place, shape in enumerate(shapes) if len(shape) == 4]
        if len(images) != 1:
            raise ValueError(f"`input_shape` is for a model of one image. Received: a model of inputs {shapes}.")
        if shapes[images[0]][-1] != wanted[-1]:
            raise ValueError(
                f"`input_shape` must have the channels of the model, {shapes[images[0]][-1]}. Received: input_shape={wanted}."
            )
        shapes[images[0]] = shapes[images[0]][0], *wanted
    return [again(x, shape) for x, shape in zip(model.inputs, shapes)]


@contextlib.contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Inside, weights and dropouts are drawn from `seed`; the sequence outside goes on as though nothing had been drawn."""
    state = random.getstate()
    random.seed(seed)
    try:
        yield
    finally:
        random.setstate(state)


def of_class(model: keras.Model, made: keras.Model) -> keras.Model:
    """The new graph in a model of the old one's class, if that is made of inputs and outputs."""
    if type(model) is type(made) or not {"inputs", "outputs"} <= set(inspect.signature(type(model).__init__).parameters):
        return made
    return type(model)(inputs=made.input, outputs=made.output, name=model.name)
