"""A model without values in its weights counts like the model itself, and leaves nothing behind."""

import sys

import keras
import pytest

from keras_vix.zoo import assemble, configure
from keras_vix.zoo.count import multiply_adds, operations, published_parameters, tokens, trainable_parameters
from keras_vix.zoo.describe import describe
from keras_vix.zoo.outline import outline, without_values
from keras_vix.zoo.presets import PRESETS


@pytest.mark.parametrize("name", ["performer_softmax", "transformer_local", "vin_rope", "binary_vit"])
@pytest.mark.parametrize("profile", ["default", "reference"])
def test_it_counts_like_the_model(name, profile):
    config = configure(name, dataset="digits", profile=profile)
    bare, whole = outline(config, name), assemble(config, name)
    for count in (trainable_parameters, multiply_adds, operations, tokens):
        assert count(bare) == count(whole)
    counting = PRESETS[name].counting
    assert published_parameters(bare, counting) == published_parameters(whole, counting)
    assert [w.shape for w in bare.weights] == [w.shape for w in whole.weights]


def test_nothing_is_allocated():
    """356 million parameters, 1.4 GB, of which none has a value."""
    bare = outline(configure("cait_m48", init="keras"), "cait_m48")
    assert trainable_parameters(bare) > 3.5e8
    assert all(weight._value is None for weight in bare.weights)


def test_no_weight_gets_a_value_later():
    """Keras gives values, at the end of a scope, to what was made without them in the same thread."""
    config = configure("performer_softmax", dataset="digits")
    bare = outline(config, "performer_softmax")
    with keras.StatelessScope():
        pass
    assert all(weight._value is None for weight in bare.weights)


def test_what_goes_wrong_in_it_is_raised():
    with pytest.raises(ValueError, match="Linformer .* needs 1 <= m <= tokens. Received: m=65"):
        outline(configure("linformer", dataset="digits", m=65), "linformer")
    with pytest.raises(ZeroDivisionError):
        without_values(lambda: 1 / 0)


def test_descriptions_are_made_of_it(monkeypatch):
    """A description allocates nothing."""
    made = []
    monkeypatch.setattr(sys.modules[describe.__module__], "outline", lambda *words: made.append(outline(*words)) or made[-1])
    assert describe("performer_softmax", dataset="digits").trainable_parameters == trainable_parameters(made[0])
