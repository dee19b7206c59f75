"""Gradient checkpointing: a call whose inner values are not kept for the gradient, but computed again."""

import keras
from keras import ops

BACKENDS = ("tensorflow", "jax", "torch")


def recomputed(layer: keras.layers.Layer, call, *tensors):
    """`call(*tensors)`, of which only `tensors` and the result are kept: the gradient makes the call once more.

    A second call must see what the first one saw, or the gradient would be that of another function. So everything that changes
    is handed in: the seeds of dropout and the running means of batch normalisation are those from before the first call, and what
    the call does to them is done once, outside.

    Args:
        layer: owner of every variable that `call` reads.
        call: a function of `tensors` that hands `training` to each layer it calls, since the second call is made outside of any.
        tensors: whatever a gradient may flow to, apart from the variables.
    """
    weights, state = layer.trainable_variables, layer.non_trainable_variables
    # TensorFlow would read a variable where it is used, torch changes a state in its place: neither is what it is now
    read = ops.copy if keras.config.backend() == "tensorflow" else ops.convert_to_tensor
    given, before = [read(variable) for variable in weights], [ops.copy(variable) for variable in state]
    moved: list[int] = []  # which of `state` the call changes, the same in every call

    def pure(*arguments):
        values, inputs = arguments[: len(weights)], arguments[len(weights) :]
        known = [*zip(weights, values), *zip(state, before)]
        with keras.StatelessScope(state_mapping=known, initialize_variables=False) as scope:
            start = [scope.get_current_value(variable) for variable in state]
            out = call(*inputs)
            after = [scope.get_current_value(variable) for variable in state]
        moved[:] = [place for place, pair in enumerate(zip(start, after)) if pair[0] is not pair[1]]
        return (out, *(ops.stop_gradient(news(start[place], after[place])) for place in moved))

    out, *changes = keras.remat(pure)(*given, *tensors)
    for place, new in zip(moved, changes):
        variable = state[place]
        if keras.backend.is_float_dtype(variable.dtype):
            variable.assign(new)
        else:
            variable.assign_add(ops.cast(new, variable.dtype))
    return out


def news(before, after):
    """The new value of a state, or of a whole number, how much it grew: a gradient's bookkeeping wants no integers."""
    floats = keras.backend.is_float_dtype(keras.backend.standardize_dtype(after.dtype))
    return after if floats else ops.cast(after - before, "float32")
