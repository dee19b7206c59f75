"""Rows under unequal settings are told apart, and rows measured otherwise are not ranked."""

import samples

from keras_vix.bench import settings

RECIPE = {"optimizer": "adamw", "learning_rate": 0.001, "epochs": 30, "batch_size": 64}


def row(preset, **changes):
    return samples.done(preset, **{"recipe": RECIPE, **changes})


def test_equal_rows_differ_in_nothing():
    assert settings.differences([row("linformer"), row("performer_relu", m=16)]) == {}
    assert settings.differences([]) == {}


def test_every_unequal_setting_is_named_with_its_rows():
    rows = [
        row("linformer"), row("transformer_global", batch_size=32, recipe=RECIPE | {"learning_rate": 0.01, "batch_size": 32}),
        row("performer_exp", environment=samples.SURROUNDINGS | {"packages": {"keras": "4.0"}}),
    ]
    assert settings.differences(rows) == {
        "batch_size": {"64": ["linformer", "performer_exp"], "32": ["transformer_global"]},
        "recipe.learning_rate": {"0.001": ["linformer", "performer_exp"], "0.01": ["transformer_global"]},
        "packages.keras": {"3.15.1": ["linformer", "transformer_global"], "4.0": ["performer_exp"]},
    }


def test_what_an_older_row_does_not_know_is_no_difference():
    old = {key: value for key, value in row("linformer").items() if key not in ("recipe", "environment", "batch_size")}
    assert settings.differences([old, row("performer_exp", devices=1)]) == {}


def test_failed_rows_and_rows_at_half_the_batch_are_not_ranked():
    rows = [row("linformer"), samples.broken("performer_exp"), row("transformer_global", retried=True), row("vit", status="nan")]
    assert [one["label"] for one in settings.ranked(rows)] == ["linformer"]
