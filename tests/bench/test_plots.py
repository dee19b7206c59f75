"""Figures: what is on the axes, where the best epoch stands, and that no labels collide."""

import io
import itertools
import sys

import pytest
import samples

from keras_vix.bench import plots


def lines(panel, label):
    """The lines of a panel with that label."""
    return [line for line in panel.get_lines() if line.get_label() == label]


def test_a_history_has_two_panels_with_two_curves_and_the_best_epoch():
    history = samples.history()
    figure = plots.plot_history(history, title="performer_relu m=16")
    assert figure.get_suptitle() == "performer_relu m=16"
    assert [panel.get_title(loc="left") for panel in figure.axes] == ["Loss", "Accuracy"]
    best = 1 + history["val_accuracy"].index(max(history["val_accuracy"]))
    for panel, name in zip(figure.axes, ("loss", "accuracy")):
        for label, key in (("training", name), ("validation", f"val_{name}")):
            (line,) = lines(panel, label)
            assert list(line.get_xdata()) == list(range(1, 31))
            assert list(line.get_ydata()) == history[key]
        (dashed,) = lines(panel, "_best")
        assert list(dashed.get_xdata()) == [best, best] and dashed.get_linestyle() == "--"
        assert len(panel.get_lines()) == 3
    assert [text.get_text() for text in figure.axes[1].texts] == [f"best epoch {best}"]


def test_the_best_loss_is_the_lowest():
    history = {"loss": [3.0, 1.0, 2.0], "val_loss": [3.0, 2.0, 1.0], "accuracy": [0.1, 0.2, 0.3]}
    figure = plots.plot_history(history, best="loss")
    assert lines(figure.axes[0], "_best")[0].get_xdata()[0] == 2


def test_a_diverged_history_can_be_drawn():
    history = samples.history(3) | {"val_accuracy": [0.5, None, None], "val_loss": [1.0, None, None]}
    figure = plots.plot_history(history)
    assert lines(figure.axes[0], "_best")[0].get_xdata()[0] == 1
    history["val_accuracy"] = [None] * 3
    assert lines(plots.plot_history(history).axes[0], "_best") == []


def test_a_keras_history_object_will_do():
    class History:
        history = samples.history(2)

    assert len(plots.plot_history(History()).axes) == 2


@pytest.mark.parametrize("history", [{}, {"loss": [1.0]}, {"val_accuracy": [1.0]}])
def test_a_history_needs_its_curves(history):
    with pytest.raises(ValueError, match="loss and the curve that decides"):
        plots.plot_history(history)


def boxes(figure):
    """The label boxes of the picture of all rows, and its points, in pixels."""
    panel = figure.axes[0]
    figure.canvas.draw()
    labels = [text.get_window_extent(figure.canvas.get_renderer()) for text in panel.texts]
    points = [panel.transData.transform(point) for dots in panel.collections
              for point in getattr(dots, "get_offsets", lambda: [])() if len(dots.get_paths()) == 1]
    return labels, points


@pytest.mark.parametrize("crowd", [False, True])
def test_no_label_touches_another_or_a_point(crowd):
    rows = samples.suite()
    if crowd:
        rows = [row | {"epoch_seconds": 0.5 + 0.001 * n, "test_accuracy": 0.95} for n, row in enumerate(rows)]
        rows.append(samples.done("far", epoch_seconds=0.9, test_accuracy=0.9))
    figure = plots.plot_accuracy_time(rows)
    labels, points = boxes(figure)
    assert sorted(text.get_text() for text in figure.axes[0].texts) == sorted(row["label"] for row in rows)
    assert not any(one.overlaps(two) for one, two in itertools.combinations(labels, 2))
    assert len(points) >= len(rows)
    assert not any(box.contains(*point) for box in labels for point in points)


def test_points_stand_at_time_and_accuracy_and_failed_rows_are_left_out():
    rows = [samples.done("a", epoch_seconds=2.0, test_accuracy=0.5), samples.broken()]
    panel = plots.plot_accuracy_time(rows).axes[0]
    assert [text.get_text() for text in panel.texts] == ["a"]
    assert (panel.get_xlabel(), panel.get_ylabel()) == ("seconds per epoch", "test accuracy")
    assert any(dots.get_offsets().tolist() == [[2.0, 0.5]] for dots in panel.collections)


def test_only_runs_that_differ_in_m_are_joined():
    twice = [samples.done("a", seed=seed, epoch_seconds=1.0 + seed) for seed in (0, 1)]
    ladder = [samples.done("b", m=m, epoch_seconds=1.0 + m) for m in (16, 8)]
    assert plots.plot_accuracy_time(twice).axes[0].get_lines() == []
    (line,) = plots.plot_accuracy_time(ladder).axes[0].get_lines()
    assert list(line.get_xdata()) == [9.0, 17.0]


def test_the_error_bar_is_that_of_a_share():
    row = samples.done(test_accuracy=0.5, test_images=100)
    assert plots.standard_error(row, "test_accuracy") == pytest.approx(0.05)


def test_times_far_apart_get_a_logarithmic_axis():
    near = [samples.done("a", epoch_seconds=1.0), samples.done("b", epoch_seconds=2.0)]
    far = [samples.done("a", epoch_seconds=1.0), samples.done("b", epoch_seconds=20.0)]
    assert plots.plot_accuracy_time(near).axes[0].get_xscale() == "linear"
    assert plots.plot_accuracy_time(far).axes[0].get_xscale() == "log"


def test_the_grid_has_a_panel_for_each_preset_with_all_curves():
    rows = samples.suite()
    figure = plots.plot_grid(rows)
    panels = [panel for panel in figure.axes if panel.get_title(loc="left")]
    assert [panel.get_title(loc="left") for panel in panels] == list(dict.fromkeys(row["preset"] for row in rows))
    assert all(len(panel.get_lines()) == len(rows) for panel in panels)
    relu = next(panel for panel in panels if panel.get_title(loc="left") == "performer_relu")
    words = [text.get_text() for text in relu.get_legend().get_texts()]
    assert words == [f"m={row['m']} {row['history']['val_accuracy'][-1]:.3f}" for row in rows if row["preset"] ==
                     "performer_relu"]


def test_many_families_differ_in_colour_or_marker():
    looks = plots.families([samples.done(f"preset{n}") for n in range(40)])
    assert len(set(looks.values())) == 40


@pytest.mark.parametrize("draw", [plots.plot_accuracy_time, plots.plot_grid])
def test_no_rows_give_an_empty_picture(draw):
    assert plots.encode(draw([]), "png").startswith(b"\x89PNG")


def test_files_are_repeatable_and_of_the_right_size():
    from matplotlib.image import imread

    one, two = (plots.encode(plots.plot_history(samples.history()), "svg") for _ in range(2))
    assert one == two and b"<svg" in one
    picture = imread(io.BytesIO(plots.encode(plots.plot_history(samples.history()), "png")), format="png")
    assert picture.shape[:2] == (420, 960)  # 2.1 x 4.8 inches at 200 dots


def test_drawing_leaves_the_global_style_alone():
    import matplotlib

    before = dict(matplotlib.rcParams)
    plots.encode(plots.plot_grid(samples.suite()), "png")
    assert dict(matplotlib.rcParams) == before
    pyplot = sys.modules.get("matplotlib.pyplot")
    assert pyplot is None or pyplot.get_fignums() == []


def test_the_reference_profile_is_dashed_beside_the_default():
    rows = [samples.done("a", profile=profile, fingerprint=profile, unit={"preset": "a", "profile": profile}) for profile in ("default", "reference")]
    for given, dashes in ((rows, {"-", "--"}), (rows[1:], {"-"})):
        (panel,) = [panel for panel in plots.plot_grid(given).axes if panel.lines]
        assert {line.get_linestyle() for line in panel.lines} == dashes
