"""Tables against texts written by hand: order of columns, escapes, failed rows, captions."""

import csv
import io

import pytest
import samples

from keras_vix.bench import tables

NASTY = "=HYPERLINK(\"x\")|<b>`*[1]*"


def test_markdown_of_one_row_is_exactly_this():
    assert tables.to_markdown([samples.done(m=16)]) == (
        "| Model | Train accuracy | Validation accuracy | Validation loss | Epochs | Time/epoch (s) | Time/step (ms) | "
        "Test accuracy | Best epoch | Best val. accuracy | Validation CE | Test CE | Parameters | Tokens | "
        "Multiply-adds | Images/s | Backend | Device |\n"
        "|:---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|:---|:---|\n"
        "| performer_relu m=16 | 0.9313 | 0.9400 | 0.2500 | 30 | 0.50 | 25.4 | 0.9361 | 27 | 0.9500 | 0.2000 | 0.2100 "
        "| 138,890 | 64 | 9,458,304 | 2,588 | tensorflow | cpu |\n"
    )


def test_a_failed_row_says_so():
    text = tables.to_markdown([samples.broken(message="no memory")])
    assert "| linformer (killed) | – | – |" in text
    assert text.endswith("\n\n- **linformer** killed: no memory\n")


def test_times_of_few_steady_epochs_are_marked():
    text = tables.to_markdown([samples.done(steady_epochs=2)])
    assert "| ~0.50 | ~25.4 | 0.9361 |" in text and "| ~2,588 |" in text


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("a|b", "a\\|b"), ("<script>", "&lt;script>"), ("a & b", "a &amp; b"), ("two\nlines", "two lines"),
        ("_a_ snake_case __", "\\_a\\_ snake_case \\_\\_"), ("~1 ~~a~~", "~1 \\~~a\\~~"), ("https://a.b www.c.d", "https&#58;//a.b www&#46;c.d"),
        ("`code` *b* [x]", "\\`code\\` \\*b\\* \\[x\\]"), ("\x1b[31mred", "\\[31mred"), ("a\\|b", "a\\\\\\|b"),
    ],
)
def test_markdown_escapes(text, escaped):
    assert tables.escape_markdown(text) == escaped


@pytest.mark.parametrize(
    ("text", "escaped"),
    [("# a", "\\# a"), ("- a", "\\- a"), ("12. a", "12\\. a"), ("1) a", "1\\) a"), ("> a", "\\> a"), ("=", "\\="), ("a # b", "a # b"), ("12 a", "12 a")],
)
def test_a_paragraph_starts_no_block(text, escaped):
    assert tables.paragraph(text) == escaped


def test_prose_keeps_plain_words_as_code():
    assert tables.prose("the suite `backbone`, `--epochs` and `a=3`") == "the suite `backbone`, `--epochs` and `a=3`"
    assert tables.prose("`<b>` `a_` ``") == r"\`&lt;b>\` \`a\_\` \`\`"


def test_a_nasty_label_stays_in_its_cell():
    lines = tables.to_markdown([samples.done(label=NASTY)]).splitlines()
    assert lines[2].startswith('| =HYPERLINK("x")\\|&lt;b>\\`\\*\\[1\\]\\* | 0.9313 |')


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        ("=1+1", "'=1+1"), ("+cmd", "'+cmd"), ("-2", "'-2"), ("@SUM", "'@SUM"), ("\tx", "'\tx"), ("\rx", "'\rx"),
        ("plain", "plain"), ("", ""), (-2.5, -2.5), (3, 3),
    ],
)
def test_no_csv_cell_is_a_formula(value, cell):
    assert tables.safe(value) == cell


def test_csv_starts_with_the_columns_of_the_table_and_keeps_numbers():
    rows = [samples.done(m=16, val_loss=-0.5), samples.broken(message="=1+1,\n\"x\"")]
    first, second, third = csv.reader(io.StringIO(tables.to_csv(rows)))
    assert first[:8] == [
        "label", "train_accuracy", "val_accuracy", "val_loss", "epochs", "epoch_seconds", "step_seconds",
        "test_accuracy",
    ]
    assert len(first) == len(set(first)) == len(second) == len(third)
    assert second[:8] == ["performer_relu m=16", "0.93125", "0.94", "-0.5", "30", "0.5", "0.0254", "0.9361"]
    assert third[1:8] == [""] * 7
    assert dict(zip(first, third))["message"] == "'=1+1,\n\"x\""


def test_settings_get_a_column_only_where_rows_differ():
    one, two = samples.done(), samples.done(seed=1, batch_size=32)
    assert [column.title for column in tables.columns_of([one, one])][:2] == ["Model", "Train accuracy"]
    assert [column.title for column in tables.columns_of([one, two])][:4] == [
        "Model", "Batch size", "Seed", "Train accuracy",
    ]


def test_published_counts_and_top_five_are_columns_where_a_row_has_them():
    def titles(*rows):
        return [column.title for column in tables.columns_of(rows)]

    plain, more = samples.done(), samples.done("vit", published_parameters=100, published_megabytes=209.391, test_top5=0.99)
    assert titles(plain)[-1] == "Device"
    assert titles(plain, more)[-3:] == ["Test top-5", "Published count", "Published size (MB)"]
    assert "| 0.9900 | 100 | 209.39 |" in tables.to_markdown([plain, more])
    keys = {key: set(csv.DictReader(tables.to_csv(rows).splitlines()).fieldnames) for key, rows in ((1, [plain]), (2, [plain, more]))}
    assert keys[2] - keys[1] == {"test_top5", "published_megabytes"}


def test_labels_leave_out_what_all_rows_share():
    def row(preset, **overrides):
        words = [preset, *(f"{key}={value}" for key, value in overrides.items())]
        return samples.done(preset, label=" ".join(words), unit={"preset": preset, "overrides": overrides})

    rows = [row("vit", augment="none", patch=2), row("vip", augment="none", patch=4)]
    assert [one["label"] for one in tables.told_apart(rows)] == ["vit patch=2", "vip patch=4"]
    assert "augment=none" in tables.caption(rows) and "patch" not in tables.caption(rows)
    assert tables.told_apart(rows[:1])[0]["label"] == "vit augment=none patch=2"  # of a single row nothing is known to be shared
    assert [one["label"] for one in rows] == ["vit augment=none patch=2", "vip augment=none patch=4"]


def test_json_records_leave_out_single_steps_only():
    row = samples.done()
    (record,) = tables.to_records([row])
    assert row.keys() - record.keys() == {"step_times"}


def test_the_terminal_table_shows_text_as_it_is():
    import rich.console

    stream = io.StringIO()
    rows = [samples.done(label="[red]x[/red]"), samples.broken()]
    rich.console.Console(file=stream, width=200).print(tables.to_rich(rows, "Title [b]"))
    text = stream.getvalue()
    assert "[red]x[/red]" in text and "Title [b]" in text and "linformer (killed)" in text and "138,890" in text


def test_a_caption_says_what_was_measured_where():
    assert tables.caption([samples.done()], "keras-vix bench `x`") == (
        "Data: digits (1,294 training, 143 validation, 360 test images), 30 epochs, batch size 64, profile default, "
        "seed 0. Machine: Test CPU, 2 cores. Command: `keras-vix bench x`."
    )


def test_a_caption_does_not_hide_differences():
    rows = [samples.done(), samples.done(epochs=50, seed=1, dataset="mnist", cpu="Other CPU")]
    text = tables.caption(rows)
    assert "several datasets" in text and "30 to 50 epochs" in text and "several seeds" in text
    assert "Machine" not in text
    assert tables.caption([samples.broken()]) == "Data: digits, profile default, seed 0."


@pytest.mark.parametrize(("value", "text"), [(0.1234, "0.12"), (9.99, "9.99"), (10.04, "10.0"), (123.4, "123")])
def test_seconds_have_about_three_digits(value, text):
    assert tables.seconds(value) == text
