"""Published recipes, and labels that are shares."""

import keras
import numpy as np
import pytest

import keras_vix
from keras_vix.data import POLICIES
from keras_vix.train import SOURCES, Accuracy, Crossentropy, Recipe, SigmoidCrossentropy, SmoothedCrossentropy, compile, recipe
from keras_vix.train.compile import optimizer, rate
from keras_vix.train.sources import LEVELS


def value(x):
    return keras.ops.convert_to_numpy(x)


@pytest.mark.parametrize("name", SOURCES)
def test_every_source_is_a_recipe_with_a_policy(name):
    made = recipe("performer_relu", recipe=name)
    assert made.recipe == name and made.augment in POLICIES


def test_published_values():
    deit, cait, swin, small, augreg, t2t, binary = (
        recipe("vit", recipe=name) for name in ("deit", "cait", "swin_imagenet", "small_data", "augreg", "t2t", "binary")
    )
    assert (deit.epochs, deit.batch_size, deit.weight_decay, deit.clip_norm, deit.repeats) == (300, 1024, 0.05, None, 3)
    assert (deit.learning_rate, deit.warmup_rate, deit.final_rate) == pytest.approx((1e-3, 1e-6, 1e-5))
    assert (deit.warmup * deit.epochs, deit.label_smoothing, deit.augment) == (pytest.approx(5), 0.1, "deit")
    assert (cait.epochs, cait.batch_size, cait.weight_decay) == (400, 1024, 0.05)
    assert (swin.clip_norm, swin.repeats, swin.warmup_rate, swin.final_rate) == (5.0, 1, 5e-7, 5e-6)
    assert swin.warmup * 300 == pytest.approx(20)
    assert (small.epochs, small.batch_size, small.learning_rate, small.decay_all, small.repeat_all) == (100, 128, 1e-3, True, True)
    assert (augreg.loss, augreg.clip_norm, augreg.weight_decay, augreg.label_smoothing) == ("sigmoid", 1.0, 0.1, 0.0)
    assert augreg.warmup == pytest.approx(0.1066, abs=1e-4)
    assert (t2t.batch_size, t2t.learning_rate, t2t.weight_decay) == (512, pytest.approx(5e-4), 0.05)
    assert (binary.learning_rate, binary.weight_decay, binary.warmup, binary.augment) == (pytest.approx(5e-4), 0, 0, "crop")


def test_the_rate_follows_the_batch_where_the_source_says_so():
    assert recipe("vit", recipe="deit", batch_size=256).learning_rate == pytest.approx(2.5e-4)
    assert recipe("vit", recipe="deit", batch_size=256, learning_rate=2e-4).learning_rate == 2e-4
    assert recipe("vit", recipe="small_data", batch_size=256).learning_rate == 1e-3
    assert recipe("vit", recipe="deit", batch_size=4).final_rate <= 5e-4 / 128


def test_policies_by_data_set_and_levels():
    assert recipe("vit", "tiny_imagenet", recipe="small_data").augment == "small_imagenet"
    assert recipe("vit", "cifar10", recipe="small_data").augment == "small"
    assert {level for sizes in LEVELS.values() for level in sizes.values()} <= set(POLICIES)
    assert LEVELS["imagenet"]["ti16"] == "light1" and LEVELS["imagenet21k"]["l16"] == "medium2"


def test_the_first_and_the_last_rate():
    schedule = rate(recipe("vit", recipe="deit"), 3000)
    values = [float(schedule(step)) for step in (0, 25, 50, 3000)]
    assert values == pytest.approx([1e-6, (1e-3 + 1e-6) / 2, 1e-3, 1e-5], rel=1e-3)
    assert float(rate(recipe("vit", recipe="binary"), 100)(100)) == pytest.approx(1e-5, rel=1e-3)


def test_build_takes_a_published_recipe():
    model = keras_vix.build("performer_relu", dataset="digits", depth=1, recipe="augreg", batch_size=64)
    assert isinstance(model.loss, SigmoidCrossentropy) and float(model.optimizer._learning_rate) == pytest.approx(1e-3 / 3)
    with pytest.raises(ValueError, match="recipe='deitt'.*Did you mean 'deit'"):
        keras_vix.build("performer_relu", recipe="deitt")


def test_no_decay_for_vectors_scalars_tokens_and_positions():
    names = ("kernel", "temperature", "shift", "tokens", "table", "gamma", "relative_bias")
    shapes = ((3, 3), (), (3,), (1, 3), (5, 3), (3,), (9, 2))
    weights = [keras.Variable(np.zeros(shape, "float32"), name=name) for name, shape in zip(names, shapes)]
    spared, all_of_them = optimizer(Recipe(), None, weights), optimizer(Recipe(decay_all=True), None, weights)
    assert [spared._use_weight_decay(weight) for weight in weights] == [True] + [False] * 6
    assert all(all_of_them._use_weight_decay(weight) for weight in weights)


def cross_entropy(rows, logits):
    return -(rows * (logits - np.log(np.exp(logits).sum(-1, keepdims=True)))).sum(-1)


LOGITS = np.random.default_rng(0).normal(size=(5, 4)).astype("float32")
LABELS = np.array([0, 3, 1, 1, 2])
ROWS = np.eye(4, dtype="float32")[LABELS]
MIXED = 0.3 * ROWS + 0.7 * ROWS[::-1]


@pytest.mark.parametrize("labels", [LABELS, LABELS[:, None], ROWS])
def test_integers_and_rows_mean_the_same(labels):
    smoothed = 0.9 * ROWS + 0.1 / 4
    assert float(SmoothedCrossentropy(0.1)(labels, LOGITS)) == pytest.approx(cross_entropy(smoothed, LOGITS).mean(), rel=1e-5)
    for metric, expected in ((Accuracy(), (LOGITS.argmax(1) == LABELS).mean()), (Crossentropy(), cross_entropy(ROWS, LOGITS).mean())):
        metric.update_state(labels, LOGITS)
        assert float(metric.result()) == pytest.approx(expected, rel=1e-5)


def test_mixed_labels():
    smoothed = 0.9 * MIXED + 0.1 / 4  # smoothing before mixing gives the same rows: tests/data/test_regions.py
    assert float(SmoothedCrossentropy(0.1)(MIXED, LOGITS)) == pytest.approx(cross_entropy(smoothed, LOGITS).mean(), rel=1e-5)
    metric = Accuracy()
    metric.update_state(MIXED, LOGITS)
    metric.update_state(LABELS, LOGITS)
    hits = [LOGITS.argmax(1) == MIXED.argmax(1), LOGITS.argmax(1) == LABELS]
    assert float(metric.result()) == pytest.approx(np.mean(hits))


def test_sigmoid_loss():
    p = 1 / (1 + np.exp(-LOGITS.astype(float)))
    expected = -(MIXED * np.log(p) + (1 - MIXED) * np.log(1 - p)).sum(-1).mean()
    assert float(SigmoidCrossentropy()(MIXED, LOGITS)) == pytest.approx(expected, rel=1e-5)
    with pytest.raises(ValueError, match="label_smoothing"):
        Recipe(loss="sigmoid", label_smoothing=0.1)


def test_rows_of_another_length_are_refused():
    with pytest.raises(ValueError, match=r"\(5, 3\)"):
        SmoothedCrossentropy()(np.zeros((5, 3), "float32"), LOGITS)


def test_losses_and_metrics_return_from_their_config():
    for made in (SmoothedCrossentropy(0.1), SigmoidCrossentropy(), Accuracy(), Crossentropy()):
        again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(made))
        assert type(again) is type(made) and again.name == made.name


def test_weights_end_at_their_running_mean():
    x, y = np.random.default_rng(0).normal(size=(16, 3)).astype("float32"), np.arange(16) % 2
    ends = []
    for ema in (None, 0.9):
        keras.utils.set_random_seed(0)
        model = compile(keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)]), Recipe(ema=ema, learning_rate=0.1))
        start = value(model.layers[0].kernel)
        model.fit(x, y, batch_size=4, epochs=2, shuffle=False, verbose=0)
        ends.append(value(model.layers[0].kernel))
    assert 0 < np.abs(ends[1] - start).mean() < np.abs(ends[0] - start).mean()


@pytest.mark.parametrize(
    "fields, error, words",
    [
        ({"ema": 1.0}, ValueError, "ema=1.0"),
        ({"repeats": 0}, ValueError, "repeats=0"),
        ({"loss": "hinge"}, ValueError, "loss='hinge'"),
        ({"final_rate": 1.0}, ValueError, "final_rate=1.0"),
        ({"repeat_all": 1}, TypeError, "repeat_all=1"),
        ({"recipe": "mine"}, ValueError, "recipe='mine'"),
    ],
)
def test_wrong_fields(fields, error, words):
    with pytest.raises(error, match=words):
        Recipe(**fields)
