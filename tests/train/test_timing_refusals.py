"""What `Timing` refuses; nothing here is timed, so that these tests need no machine to themselves."""

import keras
import pytest

from keras_vix.train.timing import Timing

from .test_timing import BATCH, numbers, tiny


@pytest.mark.skipif(keras.config.backend() == "torch", reason="Keras itself allows one step per call only on torch")
def test_several_steps_in_one_call_are_refused():
    with pytest.raises(ValueError, match=r"steps_per_execution=2.*per_step=False"):
        tiny(steps_per_execution=2).fit(*numbers(), batch_size=BATCH, verbose=0, callbacks=[Timing()])


@pytest.mark.parametrize("images", [0, -1, 2.5, True, "many"])
def test_a_nonsensical_number_of_images_is_refused(images):
    with pytest.raises(ValueError, match="positive whole number"):
        Timing(images=images)


def test_a_summary_needs_an_epoch():
    with pytest.raises(ValueError, match="at least one finished epoch"):
        Timing().summary()
