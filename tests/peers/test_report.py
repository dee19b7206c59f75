"""Reports from stored measurements."""

import csv
import io

import pytest
from peers import figures, records, report, tables
from peers.results import Results

from .samples import attention, measurements, record


@pytest.fixture
def results():
    return Results(measurements(attention()))


def rows(markdown):
    return {cells[1].strip(): [cell.strip() for cell in cells[2:-1]] for line in markdown.splitlines()
            if (cells := line.split("|")) and len(cells) > 2}


def test_speed_ups_are_over_the_reference_of_the_same_set(results):
    found = rows(tables.speed_ups(results, "attention", "train"))
    assert found["keras MultiHeadAttention (TensorFlow)"] == ["10.0 ms", "160 ms", "2,560 ms"]
    assert found["**keras_vix Linformer (TensorFlow)**"] == ["0.25", "1.00", "4.00"]


def test_a_resumed_contender_is_compared_with_the_reference_beside_it():
    more = [record("tensorflow-mha", 64, [0.020] * 3, number=1), record("torch-sdpa", 64, [0.010] * 3, number=1)]
    results = Results(measurements(attention() + more))
    for case, ratio in (("torch-sdpa", 2.0), ("tensorflow-vix-linformer", 0.25)):
        assert results.speed_up(results.find("attention", "train", case, 64)).median == pytest.approx(ratio)


def test_cells_without_a_figure_say_why():
    more = [record("torch-sdpa", 64, [], status="> limit", reason="a step took 13.0 seconds")]
    results = Results(measurements(attention() + more))
    assert rows(tables.milliseconds(results, "attention", "train"))["torch scaled_dot_product_attention"] == [
        "> limit", "–", "–"]
    assert "> limit – a step took 13.0 seconds (attention forward + backward N = 64)" in report.troubles(results)


def test_break_even_is_told_in_tokens(results):
    found = rows(tables.break_evens(results, "train"))["**keras_vix Linformer (TensorFlow)**"]
    assert found == ["from 256", "–"]


def test_memory_is_in_mebibytes(results):
    assert rows(tables.memory(results))["**keras_vix Linformer (TensorFlow)**"] == ["64", "256", "1,024"]


def test_time_over_floor_uses_the_framework_of_the_contender():
    floors = [
        record("tensorflow-square", 0, [2 * 2048**3 / 1e11], "forward", "floors"),
        record("tensorflow-tall", 0, [2 * 32768 * 128 * 128 / 5e10], "forward", "floors"),
        record("tensorflow-sum", 0, [12 * 2**26 / 1e10], "forward", "floors"),
    ]
    layer = record("tensorflow-mha", 64, [0.12], multiply_adds=10**9)
    results = Results(measurements([*floors, layer]))
    assert results.machine_speed("tensorflow") == pytest.approx((1e11, 1e10))
    assert rows(tables.over_floors(results, "train"))["keras MultiHeadAttention (TensorFlow)"] == ["2.00"]
    assert "100 GFLOP/s" in tables.machine(results) and "10.0 GB/s" in tables.machine(results)


def test_doubling_pairs_rounds():
    case = "tensorflow-vix-linformer"
    made = [record(case, 64, [1.0, 2.0], group="doubling"), record(case, 128, [2.1, 4.2], group="doubling")]
    assert rows(tables.doubling(Results(measurements(made))))["**keras_vix Linformer (TensorFlow)**"] == ["2.10"]


def test_models_show_parameters_and_both_modes():
    made = [record("tensorflow-mha-model", 1024, [0.2], mode, "models") for mode in ("train", "forward")]
    made += [record("torch-vit-pytorch-model", 1024, [0.1], "train", "models", parameters=9)]
    found = rows(tables.models(Results(measurements(made))))
    assert found["keras MultiHeadAttention model (TensorFlow)"] == ["1,024", "66,048", "200", "1.00", "200", "1.00"]
    assert found["vit-pytorch ViT model"] == ["1,024", "9", "100", "2.00", "–", "–"]


@pytest.mark.long
def test_a_folder_gets_its_report_table_and_figures(tmp_path):
    records.save(tmp_path, measurements(attention()))
    written = {path.name for path in report.write(tmp_path)}
    assert written == {"report.md", "measurements.csv", "speed.png", "speed.svg", "memory.png", "memory.svg"}
    page = (tmp_path / "report.md").read_text(encoding="utf-8")
    assert "some CPU" in page and str(tmp_path) not in page
    lines = list(csv.DictReader(io.StringIO((tmp_path / "measurements.csv").read_text(encoding="utf-8"))))
    assert len(lines) == 12 and lines[1]["speed_up"] == "0.25"


def test_labels_move_apart_and_keep_their_order():
    assert figures.apart([10.0, 10.0], 4.0) == pytest.approx([8.0, 12.0])
    assert figures.apart([30.0, 10.0], 4.0) == [30.0, 10.0]


def test_a_curve_is_read_between_its_points():
    assert figures.height({100: 1.0, 400: 16.0}, 200) == pytest.approx(4.0)
