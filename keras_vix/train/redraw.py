"""New random features while training."""

import keras

from .. import checks
from ..kernels import Performer


class Redraw(keras.callbacks.Callback):
    """A callback that gives every `Performer` kernel of the model a new projection from time to time while `fit` runs.

    A fixed projection errs in the same directions throughout training, and the weights may grow used to its errors; a
    new one takes that away, at the price of a jump in the loss. Evaluation, prediction and validation never draw.

    Steps are counted by `model.optimizer.iterations` and draws by the kernels, both of which a `.keras` file holds: a
    run that is saved at the end of an epoch, loaded and continued draws the same projections at the same steps as one
    that never stopped.

    >>> model = keras_vix.build("performer_softmax", dataset="digits", dim=16, depth=1, num_heads=2, m=8)
    >>> redraw = keras_vix.callbacks.Redraw(every=1)
    >>> history = model.fit(*keras_vix.data.load("digits", limit=64).train, batch_size=32, callbacks=[redraw], verbose=0)
    >>> int(model.get_layer("stage0_block0_mixer").inner.kernel.draws.numpy())
    1

    Args:
        every: number of training steps between draws, at least 1, or `"epoch"`. A new projection comes just before the
            next step, so the last step of a run, its validation and its file share one. Where several steps run in one
            call (`steps_per_execution`), it comes before the call that holds the step. With data of unknown length
            there may be one draw more where the first epoch ends.

    Raises:
        TypeError: `every` is neither an integer nor `"epoch"`.
        ValueError: `every` is below 1 or another word; when training begins, if no kernel of the model has a
            projection.

    Source: Choromanski et al. 2020, arXiv:2009.14794, section 4.
    """

    def __init__(self, every: int | str = 1000):
        super().__init__()
        word = isinstance(every, str)
        self.every = checks.choice("every", every, ("epoch",)) if word else checks.integer("every", every)

    def on_train_begin(self, logs: dict | None = None) -> None:
        """Find the kernels."""
        # Each look at `self.model` brings JAX' state back into the weights: not in the hook of every step.
        self._at_once = self.model.steps_per_execution
        performers = [layer for layer in self.model._flatten_layers() if isinstance(layer, Performer)]
        self._kernels = [kernel for kernel in performers if kernel.m is not None]
        if not self._kernels:
            raise ValueError(
                "Redraw needs a model with a random projection, that is a Performer kernel with m. "
                f"Received: model={self.model.name!r}, Performer kernels={len(performers)}, with a projection=0; "
                "leave the callback out, or give m."
            )

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        """Read the count of steps, which on a GPU waits for the device, once an epoch."""
        self._done = steps_done(self.model.optimizer)
        if self.every != "epoch":
            self._reached = max(0, self._done - 1) // self.every
        elif self._done:
            self._redraw()

    def on_train_batch_begin(self, batch: int, logs: dict | None = None) -> None:
        """Draw, if one of the steps that come now is the first after a multiple of `every`."""
        # The hook at the end of a batch would make Keras wait for the device after every step; this one does not.
        if self.every == "epoch":
            return
        steps = self.params.get("steps")
        after = batch + self._at_once
        reached = (self._done + (after if steps is None else min(after, steps)) - 1) // self.every
        if reached > self._reached:
            self._reached = reached
            self._redraw()

    def _redraw(self) -> None:
        if keras.config.backend() == "jax":
            # Within an epoch the weights live in the trainer's own state, which would overwrite an assignment.
            self.model.jax_state_sync()
        for kernel in self._kernels:
            kernel.redraw()


def steps_done(optimizer: keras.optimizers.Optimizer) -> int:
    """Training steps that `optimizer` has seen, those that only accumulated gradients included."""
    # The wrapper of mixed_float16 does not know of accumulation.
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    return int(keras.ops.convert_to_numpy(inner.iterations)) * (inner.gradient_accumulation_steps or 1)
