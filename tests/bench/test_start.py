"""What a row of the benchmark begins from: other initial weights make other accuracies of every result that was ever kept."""

import keras
import numpy as np
import pytest

from keras_vix.bench import measure, suites

STARTS = {
    "transformer_global": -6.149431380134,
    "transformer_local": 16.659803347759,
    "transformer_local_1d": 1.139989249313,
    "performer_relu m=16": 19.110352596855,
    "performer_relu m=64": -44.211309243724,
    "performer_softmax m=16": 19.110352596855,
    "performer_softmax m=64": -44.211309243724,
    "performer_exp": -6.149431380134,
    "linformer": -22.489878989842,
    "nystromformer": -6.149431380134,
}


class Begun(Exception):
    """The model of a unit stands, and nothing has trained it yet."""


def start(unit, monkeypatch):
    """The weights and projections of a unit's model as its measurement begins, in one number."""

    def stop(model, recipe):
        raise Begun(model)

    monkeypatch.setattr(measure, "inference_figures", stop)
    with pytest.raises(Begun) as begun:
        measure.trained(unit)
    (model,) = begun.value.args
    values = np.concatenate([keras.ops.convert_to_numpy(weight).ravel().astype("float64") for weight in model.weights])
    return float(values @ np.cos(np.arange(len(values))))


@pytest.mark.skipif(keras.config.backend() != "tensorflow", reason="another backend draws other weights from the same seed")
@pytest.mark.parametrize("label", STARTS)
def test_a_row_begins_from_the_weights_it_always_began_from(label, monkeypatch):
    unit = next(unit for unit in suites.load(suites.find("digits"), backend="tensorflow").units if unit.label == label)
    assert unit.seed == 0
    assert start(unit, monkeypatch) == pytest.approx(STARTS[label], rel=1e-5)
