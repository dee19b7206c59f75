"""Steps of whole Keras models on any backend: `train_on_batch` and `predict_on_batch`, compiled alike for all."""

import math

from ..place import Job, Part, Place, images


def model_job(part: Part, place: Place, mode: str, jit: bool) -> Job:
    """One training step with Adam, or one prediction; both end with a figure on the host."""
    import keras

    pixels, labels = (keras.ops.convert_to_tensor(array) for array in images(place))
    model = part.layer
    compiled = jit or keras.backend.backend() == "jax"
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer=keras.optimizers.Adam(1e-3), loss=loss, jit_compile=compiled)

    def train() -> None:
        model.train_on_batch(pixels, labels)

    def predict() -> None:
        model.predict_on_batch(pixels)

    counted = None if part.multiply_adds is None else part.multiply_adds * place.batch
    parameters = sum(math.prod(weight.shape) for weight in model.trainable_weights)
    return Job(train if mode == "train" else predict, parameters, counted, 4 * parameters)
