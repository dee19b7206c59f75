"""The default profile beside the reference profile, against numbers worked out by hand."""

import pytest
import samples

from keras_vix.bench import profiles, report, store
from keras_vix.bench.unit import Unit


def row(preset, profile, seed, accuracy, seconds, **changes):
    """A finished row of a profile and a seed."""
    unit = Unit(preset, profile=profile, seed=seed)
    return samples.done(preset, profile=profile, seed=seed, test_accuracy=accuracy, epoch_seconds=seconds, unit=unit.to_dict(),
                        fingerprint=unit.fingerprint) | changes  # fmt: skip


def both():
    """A row of both profiles at two common seeds and one of the default's own, and rows without a partner."""
    return [
        row("linformer", "default", 0, 0.90, 2.0), row("linformer", "default", 1, 0.92, 2.0), row("linformer", "default", 2, 0.1, 9.0),
        row("linformer", "reference", 1, 0.80, 8.0), row("linformer", "reference", 0, 0.82, 6.0),
        row("performer_exp", "reference", 0, 0.7, 1.0), row("performer_relu", "default", 0, 0.7, 1.0),
    ]


def lines(rows):
    """The table as dictionaries of texts under its headings."""
    table = profiles.grid(rows)
    return [dict(zip((column.title for column in table.columns), (cell.text for cell in line))) for line in table.lines]


def test_points_and_times_rest_on_the_common_seeds():
    (line,) = lines(both())
    assert line == {
        "Model": "linformer", "Seeds": "2", "Test accuracy, default": "0.9100 ± 0.0141", "Test accuracy, reference": "0.8100 ± 0.0141",
        "Points gained": "+10.0 ± 2.8", "Time/epoch (s), default": "2.00", "Time/epoch (s), reference": "7.00", "Times faster": "3.5",
    }  # fmt: skip


def test_a_loss_is_negative_and_unsteady_steps_are_marked():
    rows = [row("linformer", "default", 0, 0.70, 2.0, step_spread=0.5), row("linformer", "reference", 0, 0.80, 1.0)]
    (line,) = lines(rows)
    assert (line["Points gained"], line["Times faster"], line["Seeds"]) == ("-10.0", "?0.5", "1")


def test_other_options_machines_and_failures_are_no_pair():
    default = row("linformer", "default", 0, 0.9, 2.0)
    for other in (
        row("linformer", "reference", 1, 0.8, 2.0),
        row("linformer", "reference", 0, 0.8, 2.0, cpu="Another CPU"),
        row("linformer", "reference", 0, 0.8, 2.0, status="nan"),
        row("linformer", "reference", 0, 0.8, 2.0, unit=Unit("linformer", profile="reference", overrides={"m": 8}).to_dict()),
    ):
        assert profiles.grid([default, other]) is None


@pytest.mark.long
def test_every_form_of_a_report_has_the_table(tmp_path):
    for one in both():
        store.write(store.path_of(tmp_path, one["label"], one["fingerprint"]), one)
    report.write(tmp_path)
    for name in ("results.md", "results.html", "results.tex"):
        assert "Default beside reference profile" in (tmp_path / name).read_text(), name
    assert "+10.0 ± 2.8" in (tmp_path / "results.md").read_text()
