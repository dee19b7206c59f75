"""The table of data sets against itself and against the images."""

import dataclasses

import numpy as np
import pytest

from keras_vix.data import load
from keras_vix.facts import DATASETS


@pytest.mark.parametrize("name", DATASETS)
def test_each_row_agrees_with_itself(name):
    facts = DATASETS[name]
    assert facts.name == name
    assert len(facts.input_shape) == 3
    assert len(facts.mean) == len(facts.std) == facts.input_shape[2]
    assert all(0 < value < 1 for value in facts.mean + facts.std)
    if facts.class_names:  # empty when they come with the images
        assert len(facts.class_names) == len(set(facts.class_names)) == facts.classes


def test_only_sets_of_many_classes_name_them_later():
    nameless = ["tiny_imagenet", "imagenet", "imagenet100", "imagenette", "places365_small"]
    assert [name for name, facts in DATASETS.items() if not facts.class_names] == nameless


def test_facts_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        DATASETS["mnist"].classes = 11


def test_fine_labels_of_cifar100_are_in_alphabetical_order():
    assert list(DATASETS["cifar100"].class_names) == sorted(DATASETS["cifar100"].class_names)


def test_figures_with_a_sense_of_direction_are_not_flipped():
    assert [name for name, facts in DATASETS.items() if not facts.flip] == ["digits", "mnist"]


def test_statistics_of_digits_are_those_of_its_training_images():
    data = load("digits", validation=0)
    assert data.train.x.shape[1:] == data.facts.input_shape
    np.testing.assert_allclose(data.facts.mean, data.train.x.mean() / 255, atol=5e-4)
    np.testing.assert_allclose(data.facts.std, data.train.x.std() / 255, atol=5e-4)
