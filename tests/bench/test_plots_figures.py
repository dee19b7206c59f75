"""Every figure: what is drawn where, for which rows, and that nothing in a row can break one."""

import io
import itertools
import math
import random

import figure_samples
import numpy as np
import pytest
import samples

from keras_vix.bench import plots
from keras_vix.bench.plots import catalogue, labels, looks, predictions, scaling, stages, timing, tradeoff
from tests.presets import sampled


def texts(figure):
    """All words that are seen in a figure, as matplotlib Text."""
    import matplotlib.text

    with looks.style():
        figure.canvas.draw()
    return [text for text in figure.findobj(matplotlib.text.Text) if text.get_visible() and text.get_text().strip()]


def words(figure):
    return {text.get_text() for text in texts(figure)}


def by_gid(figure, gid):
    return figure.findobj(lambda artist: artist.get_gid() == gid)


def lines(panel, label):
    return [line for line in panel.get_lines() if line.get_label() == label]


def overlaps(boxes):
    return [pair for pair in itertools.combinations(boxes, 2) if pair[0].overlaps(pair[1])]


# ---- accuracy against costs ----------------------------------------------------------------------------------------


def test_the_front_is_ringed_and_nothing_else():
    rows = [samples.done(name, epoch_seconds=time, test_accuracy=accuracy)
            for name, time, accuracy in (("a", 1.0, 0.5), ("b", 2.0, 0.4), ("c", 3.0, 0.8))]
    rows.append(samples.done("d", epoch_seconds=0.5, test_accuracy=0.9, retried=True))
    rows.append(samples.done("e", epoch_seconds=0.5, test_accuracy=0.9, status="nan"))
    panel = plots.plot_accuracy_time(rows).axes[0]
    (rings,) = by_gid(panel.figure, "front")
    assert rings.get_offsets().tolist() == [[1.0, 0.5], [3.0, 0.8]]
    (stairs,) = [found for found in panel.collections if found.get_label() == "_front"]
    (path,) = stairs.get_segments()
    assert path.tolist()[:3] == [[1.0, 0.5], [3.0, 0.5], [3.0, 0.8]] and path[-1][0] == panel.get_xlim()[1]
    assert sorted(text.get_text() for text in panel.texts) == ["a", "b", "c", "d"]


def test_a_retried_run_is_hollow():
    rows = [samples.done("a"), samples.done("b", epoch_seconds=0.7, retried=True)]
    dots = {tuple(found.get_offsets()[0]): found.get_facecolor()[0] for found in plots.plot_accuracy_time(rows).axes[0].collections
            if found.get_zorder() == 3}
    assert tuple(dots[0.7, 0.9361]) == (1, 1, 1, 1) and tuple(dots[0.5, 0.9361]) != (1, 1, 1, 1)


def test_costs_are_in_the_units_of_the_axis():
    rows = [samples.done("a", train_memory_bytes=2**21), samples.done("b", train_memory_bytes=2**22)]
    panel = plots.plot_tradeoff(rows, "train_memory_bytes").axes[0]
    assert panel.get_xlabel() == "peak memory of training (MiB)"
    (rings,) = by_gid(panel.figure, "front")
    assert rings.get_offsets().tolist() == [[2.0, 0.9361]]
    with pytest.raises(ValueError, match="x must be one of epoch_seconds.*Received: x='beauty'"):
        plots.plot_tradeoff(rows, "beauty")


def test_many_runs_have_numbers_and_a_key():
    rows = [samples.done(f"preset{n}", epoch_seconds=1 + n % 7, test_accuracy=0.5 + 0.005 * n) for n in range(60)]
    figure = plots.plot_accuracy_time(rows)
    (panel,) = figure.axes
    assert sorted(int(text.get_text()) for text in panel.texts) == list(range(1, 61))
    (key,) = figure.legends
    assert [text.get_text() for text in key.get_texts()] == [f"{n + 1} preset{n}" for n in range(60)]
    figure.canvas.draw()
    boxes = [text.get_window_extent() for text in panel.texts]
    assert not overlaps(boxes) and not overlaps([text.get_window_extent() for text in key.get_texts()])


def test_seeds_are_one_point_with_their_deviation():
    figure = plots.plot_accuracy_time(figure_samples.seeds(3))
    assert len(figure.axes[0].texts) == 10


def test_another_order_brings_labels_nearer_to_their_points():
    """Ten points in a crowd: greedily in the given order a label lands far off, which the order that is taken avoids."""

    def far(order):
        places = labels.arrange(marks, order, labels.Box(0, 0, 800, 600), [], True)
        return labels.cost(marks, places) if places else math.inf

    rng = np.random.default_rng(0)
    marks = [labels.Mark(*rng.uniform((250, 250), (450, 350)), rng.uniform(60, 200), 14, 6) for _ in range(10)]
    tried = labels.orders(10)
    assert list(tried[0]) == list(range(10)) and len(tried) == 41 and all(sorted(order) == list(range(10)) for order in tried)
    assert tried == labels.orders(10) and len(labels.orders(60)) == 7 and len(labels.orders(401)) == 1
    assert 1000 < min(map(far, tried)) < 0.8 * far(tried[0]) < 3000


def test_the_nearest_of_all_orders_is_drawn(monkeypatch):
    """The opposite choice leaves labels far off their points."""
    crowd = ((0.744, 0.9861), (1.021, 0.9944), (0.974, 0.9889), (0.770, 0.9944), (0.776, 0.9861), (0.699, 0.9917), (0.937, 0.9861),
             (0.784, 0.9806), (0.628, 0.9944), (1.561, 0.9778))
    rows = [row | {"epoch_seconds": time, "test_accuracy": accuracy, "test_images": 360}
            for row, (time, accuracy) in zip(samples.suite(), crowd, strict=True)]

    def lengths():
        (panel,) = plots.plot_accuracy_time(rows).axes
        ends = [panel.transAxes.transform(line.get_xydata()) for line in lines(panel, "_leader")]
        return sum(math.dist(*pair) for pair in ends)

    near, cost = lengths(), labels.cost
    monkeypatch.setattr(labels, "cost", lambda *given: -cost(*given))
    assert near < 0.5 * lengths()


def test_no_label_lies_on_the_line_to_another():
    crowd = ((0.942, 0.9861), (0.988, 0.9889), (0.797, 0.9889), (0.866, 0.9944), (1.093, 0.9861), (1.004, 0.9917), (1.249, 0.9861),
             (0.937, 0.9806), (0.821, 0.9917), (1.563, 0.9778))
    figure = plots.plot_accuracy_time([row | {"epoch_seconds": time, "test_accuracy": accuracy, "test_images": 360}
                                       for row, (time, accuracy) in zip(samples.suite(), crowd, strict=True)])
    (panel,) = figure.axes
    figure.canvas.draw()
    leaders = [panel.transAxes.transform(line.get_xydata()) for line in lines(panel, "_leader")]
    assert leaders
    for text in panel.texts:
        box = text.get_window_extent().padded(-1.5)
        for start, end in leaders:
            assert not any(box.contains(*(start + share / 20 * (end - start))) for share in range(21)), text.get_text()


def test_a_place_that_is_full_gives_numbers_instead_of_overlaps():
    rows = [samples.done(f"a_rather_long_name_of_a_model_{n}") for n in range(12)]
    panel = plots.plot_accuracy_time(rows).axes[0]
    assert len(panel.texts) == 12
    panel.figure.canvas.draw()
    assert not overlaps([text.get_window_extent() for text in panel.texts])


# ---- costs against tokens ------------------------------------------------------------------------------------------


def test_break_even_points_are_ringed_barred_and_written():
    rows = [figure_samples.cost(one, side, time) for one, times in (
        ("", (100, 400, 1600)), ("kernel=linformer m=64", (200, 400, 800)), ("kernel=performer features=relu m=64", (99, 300, 600)),
        ("mixer=atrous", (500, 1000, 2000)),
    ) for side, time in zip((160, 320, 640), times)]
    figure = plots.plot_scaling(rows)
    upper, lower = figure.axes
    assert {line.get_label() for line in upper.get_lines()} == {"exact attention", "linformer", "performer", "atrous"}
    (exact,) = lines(upper, "exact attention")
    assert list(exact.get_xdata()) == [100, 400, 1600] and list(exact.get_ydata()) == [100, 400, 1600]
    (rings,) = by_gid(figure, "break-even")
    assert rings.get_offsets().tolist() == [[pytest.approx(400), pytest.approx(400)]]
    bars = [(bar.get_x(), bar.get_x() + bar.get_width(), round(bar.get_y() + bar.get_height() / 2)) for bar in by_gid(figure, "ahead")]
    assert bars == [(100, 1600, 1), (pytest.approx(400), 1600, 2)]
    assert [text.get_text() for text in lower.get_yticklabels()] == ["exact attention", "performer", "linformer", "atrous"]
    assert {"at every size", "from about 400", "not up to 1,600", "2.7 ×", "2.0 ×", "0.80 ×", "at 1,600"} <= words(figure)
    assert upper.get_xscale() == upper.get_yscale() == "log"


def test_without_exact_attention_there_are_lines_only():
    rows = [figure_samples.cost("kernel=linformer m=64", side) for side in (224, 448)]
    figure = plots.plot_scaling(rows)
    assert by_gid(figure, "ahead") == [] and by_gid(figure, "break-even") == []
    assert len(figure.axes[0].get_lines()) == 1
    (drawing,) = [one for one in plots.suite_figures(rows) if one.name == "tokens_step"]
    assert "no single row of exact attention" in drawing.caption


def test_a_mixer_that_did_not_reach_every_size_is_compared_where_it_was_measured():
    rows = [figure_samples.cost("", side) for side in (224, 448)] + [
        figure_samples.cost("kernel=linformer m=64", side) for side in (224, 448, 1024)] + [
        figure_samples.cost("mixer=fourier", 1024, status="oom")]
    found = scaling.curves(rows, "train_step_seconds")
    assert {name: list(points) for name, points in found.items()} == {"exact attention": [196, 784], "linformer": [196, 784, 4096]}
    assert "at 784" in words(plots.plot_scaling(rows))


def test_tick_labels_of_sizes_do_not_collide():
    figure = plots.plot_scaling(figure_samples.resolution())
    figure.canvas.draw()
    ticks = [text.get_window_extent() for text in figure.axes[1].get_xticklabels() if text.get_text()]
    assert len(ticks) >= 4 and not overlaps(ticks)
    assert figure.axes[1].get_xticklabels()[-1].get_text() == "4,096"


def test_each_backend_has_a_figure_of_its_own():
    rows = figure_samples.resolution()
    rows += [row | {"backend": "jax"} for row in rows]
    found = [one.name for one in plots.suite_figures(rows) if one.name.startswith("tokens_step")]
    assert found == ["tokens_step-tensorflow-cpu-1", "tokens_step-jax-cpu-1"]


def test_scaling_needs_a_known_cost():
    with pytest.raises(ValueError, match="key must be one of train_step_seconds"):
        plots.plot_scaling([], "beauty")


# ---- times ---------------------------------------------------------------------------------------------------------


def test_epoch_times_of_few_runs_are_lines_with_a_hollow_first_point():
    rows = [samples.done(name, epoch_times=figure_samples.epoch_times(8, seconds)) for name, seconds in (("a", 1.0), ("b", 2.0))]
    (panel,) = plots.plot_epoch_times(rows).axes
    assert [list(line.get_xdata()) for line in lines(panel, "_epochs")] == [list(range(2, 9))] * 2
    assert [(list(line.get_xdata()), line.get_markerfacecolor()) for line in lines(panel, "_first")] == [([1], "white")] * 2
    assert [lines(panel, "_first")[n].get_ydata()[0] for n in (0, 1)] == [4.0, 8.0]
    assert panel.get_yscale() == "log"
    assert [text.get_text().split("  ")[0] for text in panel.texts] == ["a", "b"]


def test_epoch_times_of_many_runs_are_rows_the_fastest_first():
    rows = [samples.done(f"preset{n}", epoch_times=figure_samples.epoch_times(5, 20 - n)) for n in range(15)]
    (panel,) = plots.plot_epoch_times(rows).axes
    assert [text.get_text() for text in panel.get_yticklabels()] == [f"preset{n}" for n in range(14, -1, -1)]
    medians = [line.get_xdata()[0] for line in lines(panel, "_median")]
    assert medians == sorted(medians) and medians[0] == pytest.approx(6.0, rel=0.1)
    assert len(lines(panel, "_first")) == 15


def test_a_run_of_one_epoch_has_a_time_too():
    rows = [samples.done(name, epoch_times=figure_samples.epoch_times(1, 2.0, first=1.0)) for name in "ab"]
    (panel,) = plots.plot_epoch_times(rows).axes
    assert [list(line.get_ydata()) for line in lines(panel, "_first")] == [[2.0], [2.0]]
    assert timing.steady([[2.0]]) == 2.0 and timing.steady([[9.0, 1.0, 3.0, 2.0]]) == 2.0


def test_bars_are_sorted_and_written():
    rows = [samples.done(name, test_seconds=time, throughput=1 / time) for name, time in (("slow", 3.0), ("quick", 1.0))]
    (panel,) = plots.plot_bars(rows).axes
    assert [text.get_text() for text in panel.get_yticklabels()] == ["quick", "slow"]
    assert [bar.get_width() for bar in panel.patches] == [1.0, 3.0] and [text.get_text() for text in panel.texts] == ["1.00", "3.00"]
    assert [text.get_text() for text in plots.plot_bars(rows, "throughput").axes[0].get_yticklabels()] == ["quick", "slow"]
    with pytest.raises(ValueError, match="key must be one of test_seconds, throughput"):
        plots.plot_bars(rows, "beauty")


def test_seeds_are_dots_with_mean_and_deviation():
    rows = [samples.done("a", seed=seed, test_accuracy=value) for seed, value in enumerate((0.7, 0.8, 0.9))] + [samples.done("b")]
    (panel,) = plots.plot_seeds(rows).axes
    assert [text.get_text() for text in panel.get_yticklabels()] == ["b", "a"]
    assert [text.get_text() for text in panel.texts] == ["0.9361", "0.8000 ± 0.1000"]
    assert list(lines(panel, "_seeds")[1].get_xdata()) == [0.7, 0.8, 0.9]
    assert list(lines(panel, "_sd")[1].get_xdata()) == [pytest.approx(0.7), pytest.approx(0.9)]


# ---- ranks and starts ----------------------------------------------------------------------------------------------


def test_accuracy_over_m_has_a_line_for_each_family_and_a_band_for_exact_attention():
    figure = plots.plot_ranks(figure_samples.ranks())
    (panel,) = figure.axes
    assert [text.get_text() for text in panel.get_xticklabels()] == ["16", "32", "64", "128"]
    (band,) = by_gid(figure, "exact")
    error = math.sqrt(0.771 * 0.229 / 10000)
    assert (band.get_y(), band.get_height()) == (pytest.approx(0.771 - error), pytest.approx(2 * error))
    (exact,) = lines(panel, "_exact")
    assert list(exact.get_ydata()) == [0.771, 0.771]
    assert {text.get_text() for text in panel.texts} == {"exact attention", "performer_relu", "performer_softmax", "linformer"}
    figure.canvas.draw()
    assert not overlaps([text.get_window_extent() for text in panel.texts])
    colours = {name: look[0] for name, look in plots.families(figure_samples.ranks()).items()}
    drawn = [container.lines[0].get_color() for container in panel.containers]
    assert drawn == [colours[name] for name in ("performer_relu", "performer_softmax", "linformer")]


def test_a_family_with_one_m_has_no_line():
    assert plots.suite_figures([samples.done("a", m=16), samples.done("b")])
    assert not [one for one in plots.suite_figures([samples.done("a", m=16), samples.done("b")]) if one.name == "accuracy_m"]
    assert plots.plot_ranks([]).axes[0].get_lines() == []


def test_starts_are_paired():
    rows = figure_samples.checkpoint_pairs()
    figure = plots.plot_starts(rows)
    assert [panel.get_title(loc="left") for panel in figure.axes] == ["vil", "vip"]
    for panel, scratch, checkpoint in zip(figure.axes, rows[1::2], rows[2::2]):
        assert list(lines(panel, "scratch")[0].get_ydata()) == scratch["history"]["accuracy"]
        assert list(lines(panel, "checkpoint")[0].get_ydata()) == checkpoint["history"]["accuracy"]
        assert lines(panel, "scratch")[0].get_linestyle() == "--" and lines(panel, "checkpoint")[0].get_linestyle() == "-"
    assert plots.plot_starts([]).axes


# ---- test images and classes ---------------------------------------------------------------------------------------


def test_the_way_after_a_swap_has_its_stages_and_the_same_model_from_scratch():
    rows = figure_samples.swaps()
    found = stages.paths(rows)
    assert [path.row["unit"]["overrides"]["kernel"] for path in found] == ["lsa", "nystrom", "linformer"]
    assert [round(path.row["swap_accuracy"], 3) for path in found] == [0.71, 0.51, 0.31]
    assert all(path.scratch["runs"] == path.row["runs"] == 3 for path in found)
    assert [round(path.scratch["test_accuracy"], 3) for path in found] == [0.41] * 3
    figure = plots.plot_stages(rows)
    (panel,) = figure.axes
    (teacher,) = [line for line in panel.lines if line.get_label() == "_teacher"]
    assert np.allclose(teacher.get_xdata(), 0.982)
    ways = [line for line in panel.lines if line.get_label() == "_way"]
    assert [len(line.get_xdata()) for line in ways] == [2, 3, 3]  # one was not distilled
    assert np.allclose(ways[1].get_xdata(), [0.51, 0.8, 0.92])
    words = [text.get_text() for text in figure.legends[0].get_texts()]
    assert words == ["after the swap", "after distillation", "after fine-tuning", stages.SCRATCH, "the model before"]


def test_the_same_model_from_scratch_may_have_another_rate():
    rows = figure_samples.swaps()
    for row in rows:
        if row["init"] == "checkpoint":
            row["unit"]["overrides"] = row["unit"]["overrides"] | {"learning_rate": 1e-3}
    found = stages.paths(rows)
    assert [round(path.scratch["test_accuracy"], 3) for path in found] == [0.41] * 3
    (panel,) = plots.plot_stages(rows).axes
    assert [text.get_text() for text in panel.get_yticklabels()] == ["lsa", "nystrom", "linformer"]


def test_rows_that_started_from_nothing_have_no_way():
    assert stages.paths(samples.suite()) == [] and "stages" not in [one.name for one in plots.suite_figures(samples.suite())]
    assert "stages" in [one.name for one in plots.suite_figures(figure_samples.swaps(1))]


def test_wrong_answers_are_marked_by_more_than_colour():
    row = figure_samples.classified()
    figure = plots.plot_samples(row)
    assert len(figure.axes) == 10
    for panel, sample in zip(figure.axes, row["samples"]):
        good = sample["label"] == sample["predicted"]
        first, second = panel.get_xlabel().split("\n")
        assert first == f"{'✓' if good else '✗'} {row['class_names'][sample['predicted']]}"
        assert second == ("" if good else f"is {row['class_names'][sample['label']]}")
        assert {spine.get_linewidth() for spine in panel.spines.values()} == {1.0 if good else 3.0}
        assert panel.get_title() == f"{100 * sample['confidence']:.0f} %"
        assert panel.get_images()[0].get_array().shape == (32, 32, 3)


@pytest.mark.parametrize("png", [None, "", "no base64", "aGVsbG8=", 7])
def test_a_picture_that_cannot_be_read_is_said_to_be_missing(png):
    row = figure_samples.classified()
    row["samples"] = [row["samples"][0] | {"png": png}]
    assert "no picture" in words(plots.plot_samples(row))


def test_a_huge_picture_is_not_decoded():
    assert predictions.pixels({"png": figure_samples.picture(side=1001, colour=False)}) is None


def test_grey_pictures_and_classes_without_names():
    row = figure_samples.classified(class_names=None)
    row["samples"] = [{"label": 3, "predicted": 5, "confidence": None, "png": figure_samples.picture(colour=False)}]
    panel = plots.plot_samples(row).axes[0]
    assert panel.get_xlabel() == "✗ 5\nis 3" and panel.get_title() == ""


def test_confusion_is_normalised_by_true_class():
    import numpy as np

    row = samples.done(confusion=[[6, 2, 0], [0, 5, 0], [0, 0, 0]], class_names=["a", "b", "c"])
    figure = plots.plot_confusion(row)
    (panel,) = figure.axes
    shown = np.asarray(panel.get_images()[0].get_array().filled(np.nan))
    assert np.array_equal(shown, [[0.75, 0.25, 0], [0, 1, 0], [np.nan] * 3], equal_nan=True)
    assert {(text.get_position(), text.get_text()) for text in panel.texts} == {((0, 0), "75"), ((1, 0), "25"), ((1, 1), "100")}
    assert len(by_gid(figure, "empty")) == 1
    assert [text.get_text() for text in panel.get_xticklabels()] == ["a", "b", "c"]
    assert (panel.get_xlabel(), panel.get_ylabel()) == ("predicted class", "true class")


def test_many_classes_have_a_scale_and_the_worst_pairs_instead_of_numbers():
    figure = plots.plot_confusion(figure_samples.classified(100))
    panel, bar = figure.axes
    assert len(panel.texts) == 0 and len(panel.get_xticks()) == 10
    assert "100 %" in {text.get_text() for text in bar.get_yticklabels()}
    import numpy as np

    counts = np.array(figure_samples.classified(100)["confusion"], float)
    shares = counts / counts.sum(1, keepdims=True)
    np.fill_diagonal(shares, 0)
    true, taken = np.unravel_index(shares.argmax(), shares.shape)
    assert figure.get_supxlabel().split("\n")[1] == f"class {true} as class {taken}, {100 * shares.max():.0f} %"


@pytest.mark.parametrize("confusion", [None, [], [[1, 2]], [[1, 2], [3]], [[1, -1], [0, 1]], [["a", 1], [1, 1]], [[None, 1], [1, 1]], 3])
def test_a_matrix_must_be_one(confusion):
    row = samples.done(confusion=confusion)
    with pytest.raises(ValueError, match="must be a square of counts. Received: confusion="):
        plots.plot_confusion(row)
    assert [one.name.split("-")[0] for one in plots.run_figures(row)] == ["history"]


# ---- which figures there are ---------------------------------------------------------------------------------------


def test_a_suite_has_the_figures_that_apply():
    names = lambda rows: [one.name for one in plots.suite_figures(rows)]
    assert names([]) == []
    assert names([samples.broken()]) == []
    assert names([samples.done()]) == ["validation_accuracy"]
    assert names(samples.suite()) == ["accuracy_time", "accuracy_multiply_adds", "validation_accuracy", "accuracy_m"]
    assert names(figure_samples.seeds()) == ["accuracy_time", "accuracy_multiply_adds", "validation_accuracy", "seeds", "accuracy_m",
                                             "epoch_times", "test_time"]
    assert names(figure_samples.checkpoint_pairs())[3:] == ["scratch_checkpoint", "epoch_times", "test_time"]
    assert names(figure_samples.resolution()) == ["tokens_step", "tokens_latency", "tokens_memory", "tokens_inference_memory",
                                                  "tokens_multiply_adds"]


def test_a_run_has_the_figures_that_apply():
    row = figure_samples.classified(label="a/b ../c", fingerprint="12../34")
    names = [one.name for one in plots.run_figures(row)]
    assert names == [f"{what}-a-b-..-c-12..-34" for what in ("history", "predictions", "confusion")]
    assert plots.run_figures(samples.broken()) == []


def test_data_sets_never_share_a_figure():
    rows = samples.suite() + [row | {"dataset": "../mnist"} for row in samples.suite()]
    found = plots.suite_figures(rows)
    assert [one.name for one in found if "time" in one.name] == ["accuracy_time-digits", "accuracy_time-mnist"]
    assert found[0].title == "Test accuracy against time on digits"
    assert len(found[0].draw().axes[0].texts) == 10


def test_captions_say_how_many_runs_and_what_bars_mean():
    found = {one.name: one.caption for one in plots.suite_figures([*figure_samples.seeds(), samples.broken()])}
    assert "30 runs of 10 configurations. 1 more failed and is not shown." in found["accuracy_time"]
    assert "one standard deviation over seeds" in found["accuracy_time"]
    assert "one standard error" in {one.name: one.caption for one in plots.suite_figures(samples.suite())}["accuracy_time"]
    tokens = {one.name: one.caption for one in plots.suite_figures(figure_samples.resolution())}["tokens_step"]
    assert "performer positive: overtakes at about 660 tokens." in tokens and "atrous: not up to 4,096 tokens." in tokens
    assert "linformer, window, fourier: ahead from the first size, 196 tokens." in tokens and "(batch of 1)" in tokens


def test_more_presets_than_a_page_holds_go_on_the_next():
    rows = [samples.done(f"preset{n}", history=samples.history(3)) for n in range(30)]
    found = [one for one in plots.suite_figures(rows) if one.name.startswith("validation")]
    assert [one.name for one in found] == ["validation_accuracy", "validation_accuracy-2"]
    heads = [panel.get_title(loc="left") for one in found for panel in one.draw().axes if panel.get_title(loc="left")]
    assert heads == [f"preset{n}" for n in range(30)]


def test_a_grid_of_seeds_has_a_mean_and_a_band():
    figure = plots.plot_grid(figure_samples.seeds(3))
    panel = figure.axes[0]
    rows = [row for row in figure_samples.seeds(3) if row["preset"] == "transformer_global"]
    mean = sum(row["history"]["val_accuracy"][-1] for row in rows) / 3
    (text,) = panel.get_legend().get_texts()
    assert text.get_text().startswith(f"{mean:.3f} ± ")
    assert len(panel.get_lines()) == 10 and len(panel.collections) == 1


EVERYTHING = {
    "ten runs": samples.suite, "seeds": figure_samples.seeds, "ranks": figure_samples.ranks, "starts": figure_samples.checkpoint_pairs,
    "tokens": figure_samples.resolution,
    "sixty": lambda: [samples.done(f"a_model_of_a_kind_{n % 20}", m=n // 20 + 1, epoch_seconds=1 + n % 9, test_accuracy=0.5 + n / 200, test_seconds=1.0 + n,
                                   history=samples.history(40, 0.6 + n / 200), epoch_times=figure_samples.epoch_times(40, 1.0 + n))
                      for n in range(60)],
    "one epoch": lambda: [row | {"history": samples.history(1), "epoch_times": figure_samples.epoch_times(1, 2.0)}
                          for row in samples.suite()],
}


@pytest.mark.parametrize("what", sampled(EVERYTHING, sample=[*EVERYTHING][:1]))
def test_letters_are_six_points_high_at_half_a_page_and_files_are_small(what):
    rows = EVERYTHING[what]()
    for drawing in plots.suite_figures(rows):
        figure = drawing.draw()
        shrink = looks.HALF_PAGE / figure.get_figwidth()
        smallest = min(text.get_fontsize() for text in texts(figure))
        assert smallest * shrink >= 6.0, drawing.name
        assert len(plots.encode(figure, "png")) < 160_000, drawing.name


@pytest.mark.long
@pytest.mark.parametrize("classes", [2, 20, 100])
def test_figures_of_a_run_are_readable_and_small(classes):
    for drawing in plots.run_figures(figure_samples.classified(classes, side=64)):
        figure = drawing.draw()
        assert min(text.get_fontsize() for text in texts(figure)) * looks.HALF_PAGE / figure.get_figwidth() >= 6.0
        assert len(plots.encode(figure, "png")) < 160_000 and b"<svg" in plots.encode(figure, "svg")


# ---- hostile rows --------------------------------------------------------------------------------------------------


HOSTILE = [r"$\frac{1}{0}$ m=$x", "_hidden", "a\nb\tc\0d", "<script>alert(1)</script>", "%s {0} \\n", "模型 🙂", "x" * 500, "$", "=1+1", ""]


@pytest.mark.long
def test_no_name_breaks_a_figure_and_all_are_shown_as_they_are():
    rows = [row | {"label": name, "preset": name, "message": name} for row, name in zip(figure_samples.seeds(1), HOSTILE)]
    for drawing in plots.suite_figures(rows):
        figure = drawing.draw()
        assert plots.encode(figure, "png").startswith(b"\x89PNG") and b"<svg" in plots.encode(figure, "svg")
        assert not any(text.get_parse_math() for text in texts(figure)), drawing.name
    assert r"$\frac{1}{0}$" in words(plots.plot_bars(rows))
    row = figure_samples.classified(label=HOSTILE[0], class_names=HOSTILE)
    for drawing in plots.run_figures(row):
        assert set(drawing.name) <= set("abcdefghijklmnopqrstuvwxyz0123456789_.-")
        assert plots.encode(drawing.draw(), "png")


def spoil(value, draw, depth=0):
    """The value with something in it replaced by nonsense."""
    nonsense = [None, "text", -1, 0, math.nan, math.inf, [], {}, [None], True, "$x_1", 10**400, ["a", [1]]]
    if depth and draw.random() < 0.5:
        return draw.choice(nonsense)
    if isinstance(value, dict) and value:
        key = draw.choice(list(value))
        return value | {key: spoil(value[key], draw, depth + 1)}
    if isinstance(value, list) and value:
        place = draw.randrange(len(value))
        return [*value[:place], spoil(value[place], draw, depth + 1), *value[place + 1:]]
    return draw.choice(nonsense)


@pytest.mark.parametrize("seed", range(4))
def test_nonsense_in_rows_breaks_nothing(seed):
    draw = random.Random(seed)
    whole = [figure_samples.classified() | row for row in figure_samples.checkpoint_pairs()] + figure_samples.ranks()
    rows = draw.sample([*whole, *figure_samples.seeds(1), *figure_samples.resolution()], 6)
    for place in range(len(rows)):
        for _ in range(3):
            rows[place] = spoil(rows[place], draw)
    for drawing in [*plots.suite_figures(rows), *plots.run_figures(rows[0])]:
        drawing.draw()


@pytest.mark.parametrize("gone", [
    ("label", "unit", "seed"), ("preset", "fingerprint", "config"), ("dataset", "test_images", "status", "task"),
    ("history", "m", "backend"), ("epoch_seconds", "epoch_times", "device"), ("test_accuracy", "environment"),
], ids="-".join)
def test_any_key_may_be_missing(gone):
    rows = [{name: value for name, value in row.items() if name not in gone} for row in figure_samples.seeds(2)[::5]]
    drawings = plots.suite_figures(rows)
    assert drawings
    for drawing in drawings:
        assert drawing.caption and drawing.draw()


def test_a_run_that_diverged_keeps_its_curve_and_is_called_failed():
    row = samples.done("a", status="nan", history=samples.history(3) | {"val_accuracy": [0.5, None, None]})
    panel = plots.plot_grid([row, samples.done("b", history=samples.history(3))]).axes[0]
    assert [text.get_text() for text in panel.get_legend().get_texts()] == ["failed"]


# ---- parts ---------------------------------------------------------------------------------------------------------


def test_levels_are_spread_without_leaving_their_limits():
    for given in ([5.0, 5.0, 5.0], [0, 0, 1, 9, 10, 10], [10.0] * 5, [0.0] * 5, [1, 4, 9]):
        found = labels.spread(sorted(given), 2.0, 0.0, 12.0)
        assert found == sorted(found) and all(b - a >= 2.0 - 1e-9 for a, b in itertools.pairwise(found))
        assert min(found) >= -1e-9 and max(found) <= 12.0 + 1e-9
    assert labels.spread([1.0, 4.0, 9.0], 2.0, 0.0, 12.0) == [1.0, 4.0, 9.0]


@pytest.mark.long
def test_drawing_every_figure_leaves_matplotlib_alone():
    import sys

    import matplotlib

    before = dict(matplotlib.rcParams)
    for drawing in [*plots.suite_figures(figure_samples.checkpoint_pairs())[3:], *plots.run_figures(figure_samples.classified())]:
        plots.encode(drawing.draw(), "svg")
    assert dict(matplotlib.rcParams) == before
    pyplot = sys.modules.get("matplotlib.pyplot")
    assert pyplot is None or pyplot.get_fignums() == []


def test_equal_rows_give_equal_files():
    for drawing in plots.suite_figures(samples.suite())[:1]:
        for form in ("png", "svg"):
            assert plots.encode(drawing.draw(), form) == plots.encode(drawing.draw(), form)


def test_a_png_has_a_palette_unless_it_shows_pictures():
    from PIL import Image

    mode = lambda figure: Image.open(io.BytesIO(plots.encode(figure, "png"))).mode
    assert mode(plots.plot_history(samples.history(3))) == "P"
    assert mode(plots.plot_samples(figure_samples.classified())) == "RGB"


def test_a_name_that_came_before_gets_a_number():
    one = catalogue.Drawing("a", "", "", lambda: None)
    assert [found.name for found in catalogue.unique([one, one, one._replace(name="b"), one])] == ["a", "a-2", "b", "a-3"]
    assert tradeoff.columns_for(["short"]) == 3 and tradeoff.columns_for(["x" * 35]) == 1
