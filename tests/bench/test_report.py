"""The pages of a results folder, and that they can always be remade from the rows."""

import json
import os
import re
import threading
import time
import warnings

import pytest
import report_samples
import samples

from keras_vix.bench import figures, plots, report, store, web


@pytest.fixture
def folder(tmp_path):
    """A results folder with two finished rows and a failed one, listed in an order of their own."""
    rows = [samples.done("b"), samples.done("a", m=16), samples.broken("c")]
    for row in rows:
        store.write(store.path_of(tmp_path, row["label"], row["fingerprint"]), row)
    report.describe_suite(tmp_path, "Three | rows", "A paragraph.", "keras-vix bench", [r["fingerprint"] for r in rows])
    return tmp_path


def test_all_pages_are_written(folder):
    rows = report.write(folder)
    assert [row["label"] for row in rows] == ["b", "a m=16", "c"]
    assert {path.name for path in folder.iterdir() if not path.name.startswith(".")} == {
        "rows", "figures", "suite.json", "results.json", "results.csv", "results.md", "results.tex", "results.html",
    }
    assert [row["label"] for row in json.loads((folder / "results.json").read_text())["rows"]] == ["b", "a m=16", "c"]
    assert len((folder / "results.csv").read_text().splitlines()) == 4


def test_the_page_reads_well_and_its_figures_exist(folder):
    rows = report.write(folder)
    text = (folder / "results.md").read_text()
    assert text.startswith("# Three \\| rows\n\nA paragraph.\n\nData: digits (1,294 training,")
    assert "Command: `keras-vix bench`." in text and "\n\n\n" not in text
    found = re.findall(r"!\[.*?\]\((.*?)\)", text)
    assert len(found) == len(figures.wanted(rows)) >= 4
    for figure in found:
        assert (folder / figure).read_bytes().startswith(b"\x89PNG")
        assert (folder / figure).with_suffix(".svg").exists()
    assert "| cpu | Test CPU |" in text and "| keras | 3.15.1 |" in text


@pytest.mark.long
def test_only_new_histories_are_drawn_again(folder):
    report.write(folder)
    pictures = {path: path.stat().st_mtime_ns for path in (folder / "figures").glob("history-*.png")}
    assert len(pictures) == 2
    report.write(folder, [samples.done("b")["fingerprint"]])
    changed = [path.name for path, then in pictures.items() if path.stat().st_mtime_ns != then]
    assert len(changed) == 1 and changed[0].startswith("history-b-")


@pytest.mark.long
def test_a_figure_that_got_another_name_leaves_no_file_behind(tmp_path):
    """Two rows that share m=16 are named without it, until a third has another m."""
    rows = [samples.done("a", m=16), samples.done("b", m=16), samples.done("a", m=32)]
    names = []
    for count in (2, 3):
        for row in rows[:count]:
            store.write(store.path_of(tmp_path, row["label"], row["fingerprint"]), row)
        (tmp_path / "figures").mkdir(exist_ok=True)
        (tmp_path / "figures" / "my-own.png").write_bytes(b"mine")
        report.write(tmp_path)
        names.append({path.name for path in (tmp_path / "figures").glob("history-*")})
        kept = {one["name"] for one in json.loads((tmp_path / "figures" / "index.json").read_text())["drawn"]}
        assert {path.stem for path in (tmp_path / "figures").iterdir()} == kept | {"index", "my-own"}
    assert len(names[0]) == 4 and len(names[1]) == 6 and not names[0] & names[1]


@pytest.mark.long
def test_a_torn_suite_file_costs_the_title_only(folder):
    (folder / "suite.json").write_text("{")
    assert len(report.write(folder)) == 3
    assert (folder / "results.md").read_text().startswith("# Results\n")


def test_rows_of_earlier_runs_keep_their_places(folder):
    report.describe_suite(folder, "More", "", "", ["new", samples.done("b")["fingerprint"]])
    assert report.suite_of(folder)["order"][-1] == "new" and len(report.suite_of(folder)["order"]) == 4


def test_no_usable_row_writes_nothing(tmp_path):
    assert report.write(tmp_path) == []
    assert list(tmp_path.iterdir()) == []


def test_rows_that_all_failed_still_make_a_page(tmp_path):
    row = samples.broken()
    store.write(store.path_of(tmp_path, row["label"], row["fingerprint"]), row)
    report.write(tmp_path)
    text = (tmp_path / "results.md").read_text()
    assert "linformer (killed)" in text and "![" not in text and not (tmp_path / "figures").exists()


def test_noise_is_told():
    assert report.warnings_of([samples.done()]) == []
    (text,) = report.warnings_of([samples.done("a", busy_at_start=True), samples.done("b", slow_epochs=[4])])
    assert "rows started: a." in text and "twice the median: b." in text


# ---- what is drawn, and when ---------------------------------------------------------------------------------------


@pytest.fixture
def drawn(monkeypatch):
    """Figures that cost nothing; the list of those that were drawn."""
    names = []

    def files(drawing):
        names.append(drawing.name)
        return {"png": PIXEL, "svg": b"<svg/>"}

    def shared(rows):
        return [plots.Drawing(name, name, "", None) for name in ("accuracy_time", "validation_accuracy")] if any(map(own, rows)) else []

    def own(row):
        return [plots.Drawing("history", row["label"], "", None)] if row.get("history") else []

    monkeypatch.setattr(figures, "files_of", files)
    monkeypatch.setattr(figures, "suite_figures", shared)
    monkeypatch.setattr(figures, "run_figures", own)
    return names


# A PNG of one pixel.
PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de0000000c4944415408d763f8ffff3f0005fe02fea735818e0000000049454e44ae426082"
)


def test_a_figure_is_drawn_again_only_if_what_it_shows_has_changed(folder, drawn):
    report.write(folder, ())
    assert sorted(drawn) == ["accuracy_time", "history", "history", "validation_accuracy"]
    drawn.clear()
    report.write(folder, ())
    assert drawn == []
    row = samples.done("b", test_accuracy=0.5)
    store.write(store.path_of(folder, row["label"], row["fingerprint"]), row)
    report.write(folder, ())
    assert sorted(drawn) == ["accuracy_time", "history", "validation_accuracy"]
    drawn.clear()
    report.write(folder)
    assert len(drawn) == 4


def test_a_figure_that_was_deleted_is_drawn_again(folder, drawn):
    report.write(folder, ())
    drawn.clear()
    (folder / "figures" / "accuracy_time.svg").unlink()
    report.write(folder, ())
    assert drawn == ["accuracy_time"]


def test_after_a_row_figures_and_html_wait_and_the_tables_do_not(folder, drawn):
    report.refresh(folder)
    assert drawn and (folder / "results.html").exists()
    drawn.clear()
    page = (folder / "results.html").read_text()
    row = samples.done("d")
    store.write(store.path_of(folder, row["label"], row["fingerprint"]), row)
    report.refresh(folder)
    assert drawn == [] and (folder / "results.html").read_text() == page
    for form in ("md", "csv", "json", "tex"):
        assert "| d |" in (folder / "results.md").read_text() and len((folder / "results.csv").read_text().splitlines()) == 5
    then = time.time() - 1.5 * report.PAUSE
    os.utime(folder / "results.html", (then, then))
    report.refresh(folder)
    assert "history" in drawn and ">d</a>" in (folder / "results.html").read_text()


def test_drawing_never_takes_more_than_a_share_of_the_time(folder, drawn):
    report.write(folder)
    made = (folder / "results.html").stat().st_mtime
    assert not report.due(folder, made + report.PAUSE - 1) and report.due(folder, made + report.PAUSE + 1)
    assert report.due(folder, made - 3600)  # a clock that was set back
    index = json.loads((folder / "figures" / "index.json").read_text())
    store.write_text(folder / "figures" / "index.json", json.dumps(index | {"seconds": 10}))
    assert not report.due(folder, made + 199) and report.due(folder, made + 201)


def test_a_figure_that_cannot_be_drawn_costs_itself_only(folder, monkeypatch):
    def fail(drawing):
        if drawing.name == "accuracy_time":
            raise RuntimeError("no such colour")
        return {"png": PIXEL, "svg": b"<svg/>"}

    monkeypatch.setattr(figures, "files_of", fail)
    with pytest.warns(UserWarning, match="accuracy_time: RuntimeError: no such colour"):
        report.write(folder)
    text = (folder / "results.md").read_text()
    assert "accuracy_time" not in text and "validation_accuracy.png" in text


@pytest.mark.parametrize("torn", ["{", "[]", '{"schema": 1}', '{"schema": 1, "drawn": [{}]}', '{"schema": 1, "drawn": 3}'])
def test_a_torn_index_of_figures_costs_nothing_but_drawing_them_again(folder, drawn, torn):
    report.write(folder)
    store.write_text(folder / "figures" / "index.json", torn)
    report.write(folder, ())
    assert len(drawn) == 8


def test_an_index_cannot_name_a_file_elsewhere(folder, drawn):
    report.write(folder)
    index = json.loads((folder / "figures" / "index.json").read_text())
    store.write_bytes(folder / "secret.png", PIXEL)
    index["drawn"][0]["name"] = "../secret"
    store.write_text(folder / "figures" / "index.json", json.dumps(index))
    assert all(one["name"] != "../secret" for one in figures.drawn_of(folder))


# ---- which pages ---------------------------------------------------------------------------------------------------


def test_only_the_pages_asked_for_are_written(folder, drawn):
    report.write(folder, formats=("csv", "tex"))
    assert not drawn and {path.name for path in folder.glob("results*")} == {"results.csv", "results.tex"}
    with pytest.raises(ValueError, match="format must be of md, csv, json, tex, html. Received: format='pdf'"):
        report.write(folder, formats=("md", "pdf"))


def test_rows_of_several_seeds_get_a_table_of_means_on_every_page(tmp_path, drawn):
    report.write(report_samples.folder(tmp_path, report_samples.mixed()))
    assert "## Over seeds" in (tmp_path / "results.md").read_text() and "0.9100 ± 0.0100" in (tmp_path / "results.md").read_text()
    assert "0.9100 $\\pm$ 0.0100" in (tmp_path / "results.tex").read_text()
    assert "0.9100 ± 0.0100" in (tmp_path / "results.html").read_text()
    assert len((tmp_path / "results_by_seed.csv").read_text().splitlines()) == 4


def test_models_that_are_only_measured_get_a_table_of_their_own(tmp_path, drawn):
    report.write(report_samples.folder(tmp_path, [report_samples.cost("softmax"), report_samples.cost("performer", 448)]))
    text = (tmp_path / "results.md").read_text()
    assert "| Model | Tokens | Input | Images/step | Multiply-adds |" in text and "| 448x448x3 |" in text
    assert "accuracy" not in text.lower() and "–" not in text.split("## Environment")[0]


def test_the_log_of_a_failed_row_is_on_the_page_as_it_is(tmp_path, drawn):
    report.write(report_samples.folder(tmp_path, [samples.broken() | {"log": "```\n# no heading\n<b>"}]))
    text = (tmp_path / "results.md").read_text()
    assert "## Failed rows\n\n### linformer\n\n    ```\n    # no heading\n    <b>\n" in text


# ---- several folders -----------------------------------------------------------------------------------------------


def test_several_folders_make_one_page(tmp_path, drawn):
    one = report_samples.folder(tmp_path / "one", [report_samples.done("b"), report_samples.done("a")], "First", "About one.", "keras-vix bench one")
    two = report_samples.folder(tmp_path / "two", [report_samples.done("a", test_accuracy=0.5)], "Second", "About two.", "keras-vix bench two")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    rows = report.write(tmp_path / "joined", folders=[one, two])
    assert [(row["label"], row["folder"]) for row in rows] == [("b", "one"), ("a", "one"), ("a", "two")]
    text = (tmp_path / "joined" / "results.md").read_text()
    assert text.startswith("# First and Second\n\nAbout one.\n\nAbout two.\n\n")
    assert "Command: `keras-vix bench one; keras-vix bench two`" in text
    assert "| Model | Folder |" in text and "| a | two |" in text
    assert len(list((tmp_path / "joined" / "figures").glob("history-*.png"))) == 3
    assert all(path.read_bytes() == content for path, content in before.items())


def test_folders_of_one_name_are_told_apart(tmp_path):
    assert report.distinct([tmp_path / "a" / "runs", tmp_path / "b" / "runs"]) == ["a/runs", "b/runs"]
    assert report.distinct([tmp_path / "runs"]) == ["runs"]


# ---- several writers -----------------------------------------------------------------------------------------------


def test_two_writers_never_tear_a_page(tmp_path, drawn):
    rows = [report_samples.done("performer_relu", seed) for seed in range(12)]
    report_samples.folder(tmp_path, rows[:1])
    stop, torn, errors = threading.Event(), [], []

    def look():
        while not stop.is_set():
            for name, end in (("results.md", "\n"), ("results.html", "</html>\n"), ("results.json", "}\n"), ("results.csv", "\n")):
                path = tmp_path / name
                if path.exists() and not path.read_text().endswith(end):
                    torn.append(name)

    def run(own):
        try:
            for row in own:
                store.write(store.path_of(tmp_path, row["label"], row["fingerprint"]), row)
                report.refresh(tmp_path)
            report.write(tmp_path, ())
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(rows[part::2],)) for part in range(2)]
    watcher = threading.Thread(target=look)
    for thread in (watcher, *threads):
        thread.start()
    for thread in threads:
        thread.join()
    stop.set()
    watcher.join()
    assert errors == [] and torn == []
    assert len(json.loads((tmp_path / "results.json").read_text())["rows"]) == 12
    assert (tmp_path / "results.html").read_text().count('class="run"') == 12
    assert len(figures.drawn_of(tmp_path)) == 14 and not list(tmp_path.rglob("*.tmp"))


# ---- hostile rows --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    """The pages of rows in which every text tries to be something else."""
    out = tmp_path_factory.mktemp("hostile")
    texts = report_samples.HOSTILE
    report_samples.folder(out, report_samples.hostile(), texts[0], "\n\n".join(texts), texts[15])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(figures, "files_of", lambda drawing: {"png": PIXEL, "svg": b"<svg/>"})
        report.write(out)
    return out


def test_hostile_texts_are_nothing_but_text_in_markdown(hostile):
    """As a Markdown renderer that lets HTML through shows the page: no link, no element, no heading and no column too many."""
    import markdown_it

    text = (hostile / "results.md").read_text()
    tokens = markdown_it.MarkdownIt("commonmark", {"html": True}).enable("table").parse(text)
    inner = [child for token in tokens for child in token.children or ()]
    assert not {token.type for token in (*tokens, *inner)} & {"html_block", "html_inline", "link_open", "strong_open_", "em_open", "s_open"}
    assert all(re.fullmatch(r"figures/[\w.-]+\.png", token.attrs["src"]) for token in inner if token.type == "image")
    headings = [tokens[place + 1].content for place, token in enumerate(tokens) if token.type == "heading_open" and token.tag == "h1"]
    assert headings == ["&lt;script>alert(1)&lt;/script>"]
    assert {token.content for token in inner if token.type == "code_inline"} <= {"$(touch hacked); touch hacked && 'quoted' \"twice\"", "~", "?"}
    heads = sum(token.type == "th_open" for token in tokens)
    cells = sum(token.type == "td_open" for token in tokens)
    environment = 2 * (text.split("## Environment")[1].count("\n| ") - 1)
    assert cells - environment == 2 * len(report_samples.HOSTILE) * (heads - 2)
    prose = re.sub(r"\n    .*|\]\(figures/.*?\)", "", text)
    assert "://" not in prose and "www." not in prose
    assert not any(ord(character) < 32 and character != "\n" for character in text)


def test_hostile_texts_are_no_formulas(hostile):
    import csv

    with (hostile / "results.csv").open(encoding="utf-8", newline="") as file:
        lines = list(csv.reader(file))
    assert len(lines) == 1 + 2 * len(report_samples.HOSTILE) and len({len(line) for line in lines}) == 1
    for line in lines[1:]:
        for cell in line:
            assert not cell.startswith(("=", "+", "@", "\t", "\r")) and (not cell.startswith("-") or float(cell))


def test_hostile_figures_are_no_figures():
    """Wrong types, too: numbers that are text, lists or infinite, records that are numbers."""
    bad = {"test_accuracy": "<b>", "val_accuracy": [1], "epochs": True, "epoch_seconds": float("inf"), "multiply_adds": 1e300, "tokens": {},
           "history": 3, "environment": [1], "config": "x", "recipe": 7, "slow_epochs": 5, "m": {}, "seed": "0", "batch_size": None}
    row = report.clean([report_samples.done(**bad)])[0]
    assert all(row[key] is None for key in ("test_accuracy", "val_accuracy", "epochs", "epoch_seconds", "multiply_adds", "tokens", "m", "seed"))
    assert row["history"] == row["environment"] == row["config"] == row["recipe"] == {} and row["slow_epochs"] == []


@pytest.mark.long
def test_any_row_makes_a_page(tmp_path, drawn):
    """Each key of a row in turn is absent, None, or of a type that it should not be of; three of them the store insists on."""
    whole = report_samples.done("performer_relu")
    rows = []
    for number, (key, value) in enumerate((key, value) for key in whole for value in (None, [], {}, "text", -1, True, "absent")):
        if key not in ("schema", "fingerprint"):
            row = {k: v for k, v in whole.items() if k != key} | ({} if value == "absent" else {key: value})
            rows.append({"label": "x", "status": "done", "unit": {}} | row | {"fingerprint": f"{number:010x}"})
    (tmp_path / "rows").mkdir()
    for row in rows:
        (tmp_path / "rows" / f"x-{row['fingerprint']}.json").write_text(json.dumps(row))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        usable = [row for row in rows if all(isinstance(row[key], str) for key in ("status", "label")) and isinstance(row["unit"], dict)]
        assert len(rows) - len(usable) == 15 and len(report.write(tmp_path)) == len(usable)
    assert len((tmp_path / "results.csv").read_text().splitlines()) >= len(usable)


# ---- size and speed ------------------------------------------------------------------------------------------------


def test_the_page_of_sixty_rows_stays_below_eight_megabytes(tmp_path, monkeypatch):
    """Figures beyond the room there is are links to their files."""
    monkeypatch.setattr(figures, "smaller", lambda content: content)
    noise = os.urandom(200_000)
    pictures = [web.Picture(f"figures/{number}.png", f"Figure {number}", "", None, PIXEL + noise) for number in range(60)]
    for number, picture in enumerate(pictures):
        store.write_bytes(tmp_path / picture.path, picture.content)
    drawn = [{"name": str(number), "title": f"Figure {number}", "caption": "", "key": "", "run": None} for number in range(60)]
    store.write_text(tmp_path / "figures" / "index.json", store.to_json({"schema": 1, "seconds": 1, "drawn": drawn}))
    report_samples.folder(tmp_path, [report_samples.done("performer_relu", seed) for seed in range(60)])
    text = report.to_html(report.gather([tmp_path]), report.pictures_of(tmp_path))
    assert 6_000_000 < len(text) < 8_000_000
    assert text.count("<img src=") > 20 and text.count("open the file") > 5
    assert text.count("<img src=") + text.count("open the file") == 60


def test_the_cheap_pages_are_made_without_a_look_at_figures(tmp_path, monkeypatch):
    def refuse(*_):
        raise AssertionError("a figure")

    for name in ("wanted", "draw", "suite_figures", "run_figures", "smaller"):
        monkeypatch.setattr(figures, name, refuse)
    report_samples.folder(tmp_path, report_samples.mixed())
    report.write_pages(tmp_path, report.gather([tmp_path]), report.FORMATS)
    assert {path.suffix for path in tmp_path.glob("results*")} == {".md", ".csv", ".json", ".tex"}


def test_a_figure_inside_the_page_is_smaller_and_looks_the_same():
    import io

    import numpy as np
    from PIL import Image, ImageDraw

    big = Image.new("RGBA", (1200, 900), "white")
    for place in range(60):
        ImageDraw.Draw(big).line((0, 15 * place, 1200, 900 - 10 * place), fill=(4 * place, 120, 200, 255), width=3)
    big = big.resize((800, 600))  # soft edges, as letters and lines have them
    content = io.BytesIO()
    big.save(content, "PNG")
    png, small = content.getvalue(), figures.smaller(content.getvalue())
    assert len(small) < 0.6 * len(png) and figures.smaller(small) == small and figures.smaller(b"no picture") == b"no picture"
    one, two = (np.asarray(Image.open(io.BytesIO(picture)).convert("RGB"), float) for picture in (png, small))
    assert one.shape == two.shape and np.abs(one - two).mean() < 2
