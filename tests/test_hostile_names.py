"""Names from users that would lead elsewhere, and texts that a terminal, a shell or a reader of experiments would take for more."""

import os
import pathlib
import stat
import zipfile

import pytest

import keras_vix
from keras_vix import cli
from keras_vix.bench import preflight, report, store, suites
from keras_vix.bench.unit import Unit, failure

from . import hostile

NAMES = (
    "../x", "..", ".", "./x", "/x", "/etc/passwd", "a/../../b", "a/b", "a//b", "..\\x", "C:\\x", "C:x", "\\\\host\\share",
    "CON", "nul", "com1.txt", "aux.", "", " ", "a b", "x\0y", "\0", "x" * 300, "\u202ex", "x\u200f", "\U0001f600", "~root", "~",
    "%2e%2e", "%2e%2e%2fx", "$(touch made)", "; touch made", "`touch made`", "a\nb", "-rf", "file:///etc/passwd",
)  # fmt: skip


def told(name):
    return name[:20].encode("unicode_escape").decode() or "empty"


def files(folder: pathlib.Path) -> dict[str, bytes]:
    """All files and folders around the one that a test works in."""
    return {str(path): path.read_bytes() if path.is_file() else b"" for path in folder.parent.rglob("*")}


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """An empty folder to work in, beside another that is not."""
    (tmp_path / "x").mkdir()
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "data"))
    return tmp_path / "work"


@pytest.mark.parametrize("name", NAMES, ids=told)
def test_a_name_that_leads_elsewhere_leads_nowhere(name, elsewhere, capsys):
    before = files(elsewhere)
    with hostile.watched() as done:
        for ask in (keras_vix.build, keras_vix.describe, lambda name: keras_vix.load_pretrained(name, {})):
            with pytest.raises(ValueError):
                ask(name)
        with pytest.raises((ValueError, FileNotFoundError)):
            keras_vix.data.load(name, data_dir=elsewhere / "data", download=False)
        with pytest.raises((ValueError, FileNotFoundError)):
            keras_vix.build("vit", dataset=name)
        rows = [{"preset": name}, {"preset": "vit", "dataset": name}, {"preset": "vit", "profile": name}]
        for row in rows if name else rows[:1]:
            with pytest.raises((ValueError, OSError)):
                preflight.check(suites.make([row], name="x").units)
        for words in (["bench", "--suite", name], ["tune", name], ["show", name], ["bench", "--models", f"vit:kernel={name}x"],
                      ["bench", "--dataset", name or "../x"], ["tune", "vit", "--dataset", name or "../x"]):  # fmt: skip
            assert cli.main([word for word in words]) == 2, words
    assert done == [] and files(elsewhere) == before
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize("name", NAMES, ids=told)
def test_what_is_stored_under_a_name_stays_in_its_folder(name, elsewhere):
    """Rows by their labels, and folders of results by the names of their suites."""
    out = (elsewhere / "out").resolve()
    path = store.path_of(out, name, "0123456789")
    assert path.resolve().parent == out / "rows" and len(path.name) < 100 and path.name.isascii()
    assert path.name.partition(".")[0] not in store.RESERVED and path.name.isprintable() and not path.name.startswith((".", "-", "~"))
    place = pathlib.Path("runs") / store.slug(name)
    assert place.resolve().parent == (elsewhere / "runs").resolve()


@pytest.mark.parametrize("file", ["..toml", "...toml", "....toml", "con.toml", "\u202e.toml", "a b.toml"], ids=told)
def test_an_experiment_lends_its_folder_a_plain_name(file, elsewhere, capsys):
    (elsewhere / file).write_text('dataset = "digits"\n[[rows]]\npreset = "performer_relu"\n')
    assert cli.main(["bench", file, "--dry-run"]) == 0
    out = capsys.readouterr().out.splitlines()[0].partition(" rows into ")[2]
    assert out.startswith("runs/") and pathlib.Path(out).resolve().parent == (elsewhere / "runs").resolve() and out.isascii()
    assert pathlib.Path(out).name not in store.RESERVED


def test_what_is_written_takes_the_place_of_a_link_and_does_not_follow_it(elsewhere):
    other = elsewhere.parent / "x" / "other"
    other.write_text("as it was")
    (elsewhere / "rows").mkdir()
    row = failure(Unit("vit"), "error", "no reason")
    path = store.path_of(elsewhere, row["label"], row["fingerprint"])
    for link in (path, elsewhere / "results.md", elsewhere / "results.csv"):
        link.symlink_to(other)
    store.write(path, row)
    report.write(elsewhere, (), formats=("md", "csv"))
    assert other.read_text() == "as it was"
    assert not path.is_symlink() and not (elsewhere / "results.md").is_symlink() and "no reason" in (elsewhere / "results.md").read_text()


# ---- experiments ---------------------------------------------------------------------------------------------------

ROW = b'[[rows]]\npreset = "performer_relu"\n'


@pytest.mark.parametrize(
    "content, words",
    [
        (b"x = " + b"[" * 10**5 + b"]" * 10**5, "recursion"),
        (b"x = " + b"{a = " * 10**5 + b"1" + b"}" * 10**5, "recursion"),
        (b"[" + b"a." * 10**5 + b"a]\n", "suite.toml"),
        (b"a." * 10**5 + b"a = 1\n", "line 1 has 100,000 dots, where 200 are enough"),
        (b"seed = " + b"9" * 10**5 + b"\n" + ROW, "digits"),
        (b"seed = 1e400\n" + ROW, "seed"),
        (b"validation = 1e400\n" + ROW, "validation"),
        (b"seed = 1\n[rows]\nseed = 1\nseed = 2\n", "suite.toml"),
        (b"\xef\xbb\xbf\x00" + ROW, "suite.toml"),
        (b"\xff\xfe" + ROW, "suite.toml"),
        (b'preset = "vit"\n!!python/object:os.system [x]\n', "suite.toml"),
        (b"[[rows]]\npreset = ['vit']\n", "preset"),
    ],
    ids=["deep lists", "deep records", "deep name", "deep key", "digits", "infinite", "infinite share", "twice", "binary", "no UTF-8", "YAML", "no name"],
)  # fmt: skip
def test_an_experiment_that_cannot_be_read_is_refused_at_once(content, words, elsewhere, capsys):
    (elsewhere / "suite.toml").write_bytes(content)
    assert cli.main(["bench", "suite.toml", "--dry-run"]) == 2
    said = capsys.readouterr().err
    assert words in said and len(said) < 1500 and "Traceback" not in said
    assert [path.name for path in elsewhere.iterdir()] == ["suite.toml"]


@pytest.mark.skipif(not pathlib.Path("/dev/zero").exists(), reason="needs a file without an end")
def test_an_experiment_without_an_end_is_read_up_to_its_limit():
    with pytest.raises(ValueError, match="1,000,000 are enough"):
        suites.read(pathlib.Path("/dev/zero"))


@pytest.mark.parametrize("value", ["[" * 10**5, "9" * 10**5, "[" * 1500, "9" * 1999, "{a = " * 300, '"' + "x" * 3000], ids=lambda v: v[:1] + str(len(v)))
def test_a_value_of_a_command_line_is_bounded(value, elsewhere, capsys):
    assert cli.main(["bench", "--models", "performer_relu", "--set", f"m={value}", "--dry-run"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("Error: ") and len(said) < 5000 and list(elsewhere.iterdir()) == []


# ---- terminals -----------------------------------------------------------------------------------------------------


def test_no_text_steers_a_terminal(elsewhere, capsys):
    """Names in messages of errors, in lines of progress and in tables come without what a terminal obeys."""
    from keras_vix.bench import progress
    from keras_vix.cli import tune

    escape = "\x1b]0;title\x07\x1b[31m[red]x\r\u202e"
    row = failure(Unit("vit"), "error", escape) | {"label": escape}
    event = {"event": "row", "number": 1, "units": 1, "label": escape, "row": row}
    texts = [progress.words(event, ""), progress.words({"event": "unit", "label": escape}, ""), tune.cell(escape)]
    (elsewhere / "suite.toml").write_text('[[rows]]\npreset = "performer_relu"\n"\\u001b[31m" = 1\n')
    for words in (["show", escape], ["bench", "--models", escape], ["bench", "suite.toml"], ["bench", f"{escape}.toml"]):
        assert cli.main(words) == 2
        texts.append(capsys.readouterr().err)
    assert not [text for text in texts if any(not (c.isprintable() or c == "\n") for c in text)]
    assert all("31m" in text for text in texts[:3]) and "\\[red]" in texts[2]


# ---- archives of images --------------------------------------------------------------------------------------------


def zipped(path, *members):
    """A zip of one picture in each of two classes, and of other members."""
    import io

    import numpy as np
    from PIL import Image

    picture = io.BytesIO()
    Image.fromarray(np.zeros((8, 8, 3), "uint8")).save(picture, "PNG")
    own = {f"{part}/{name}/{number}.png": picture.getvalue() for part in ("train", "test") for name in "ab" for number in range(4)}
    return hostile.written(path, own, *members)


@pytest.mark.parametrize(
    "member",
    [("../x.png", b""), ("/x.png", b""), ("C:\\x.png", b""), ("train/a/../../x.png", b""), ("train/a/..\\x.png", b"")],
    ids=lambda member: member[0],
)
def test_a_zip_of_images_with_paths_is_read_without_them(member, elsewhere):
    data = keras_vix.data.load(zipped(elsewhere / "set.zip", member))
    assert len(data.train.y) + len(data.validation.y) == 8 and [path.name for path in elsewhere.iterdir()] == ["set.zip"]


def test_a_link_in_a_zip_of_images_is_not_followed(elsewhere):
    (elsewhere / "x.png").write_bytes(b"")
    path = zipped(elsewhere / "set.zip", (hostile.named("train/a/9.png", stat.S_IFLNK), os.fsencode(elsewhere / "x.png")))
    with pytest.raises(ValueError, match="train/a/9.png"):
        keras_vix.data.load(path)


def test_a_zip_holds_each_image_once(elsewhere):
    with pytest.raises(ValueError, match="each file once.*train/a/0.png' twice"):
        keras_vix.data.load(zipped(elsewhere / "set.zip", ("train/a/0.png", b"another")))


def test_a_zip_of_many_members_is_listed_in_seconds(elsewhere):
    with zipfile.ZipFile(elsewhere / "set.zip", "w") as archive:
        for number in range(70_000):
            archive.writestr(f"{number}/x", b"")
    with pytest.raises(ValueError):
        keras_vix.data.load(elsewhere / "set.zip")


class Bomb:
    """Runs a program when it is unpickled."""

    def __reduce__(self):
        return os.system, ("touch made",)


@pytest.mark.parametrize("place", ["cifar-10-batches-py/data_batch_1", "cifar10.npz", "cifar10/cifar-10-python.tar.gz", "cifar-10-python.pkl"])
def test_no_pickle_among_the_data_sets_is_opened(place, elsewhere):
    import pickle

    import numpy as np

    path = elsewhere / "data" / place
    path.parent.mkdir(parents=True)
    bomb = np.array([Bomb()], dtype=object)
    np.savez(path, x=bomb, y=bomb, split=bomb) if path.suffix == ".npz" else path.write_bytes(pickle.dumps(Bomb()))
    before = files(elsewhere)
    with hostile.watched() as done, pytest.raises((ValueError, FileNotFoundError)):
        keras_vix.data.load("cifar10", data_dir=elsewhere / "data", download=False)
    assert done == [] and files(elsewhere) == before
