"""Preparing sets: two processes at once, downloads that fail, damaged files. A server on this machine is all the network."""

import hashlib
import http.server
import os
import re
import struct
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from keras_vix.data import DatasetUnavailable, batches, load, verify
from keras_vix.data import catalogue, records
from keras_vix.data.prepared import Source

tfds = pytest.importorskip("tensorflow_datasets")

ROOT = Path(__file__).resolve().parents[2]
COUNT, TEST = 40, 10


def environment(**changes):
    paths = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    return os.environ | {"PYTHONPATH": paths, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""} | changes


def together(folder, times, processes=2, **changes):
    """What each of some processes found, that ask for the same sets at once."""
    command = [sys.executable, "-c", "import sys; from tests.data.builders import main; main(*sys.argv[1:])", str(folder), str(times)]
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "cwd": ROOT}
    started = [subprocess.Popen(command, env=environment(**changes), **options) for _ in range(processes)]
    ended = [process.communicate(timeout=230) for process in started]
    assert [process.returncode for process in started] == [0] * processes, "\n".join(words for _, words in ended)
    return [[line[2:] for line in out.splitlines() if line.startswith("= ")] for out, _ in ended]


def write(folder, count=COUNT, splits=("train", "test"), form=None, labels=4):
    """A small set prepared by TensorFlow Datasets itself; image k is full of k."""
    rows = [{"image": np.full((6, 6, 3), k, np.uint8), "label": k % labels if labels else -1} for k in range(count)]
    options = {"file_format": form} if form else {}
    tfds.dataset_builders.store_as_tfds_dataset(
        name="tiny", version="1.0.0", data_dir=str(folder), disable_shuffling=True,
        split_datasets={split: list(enumerate(rows)) for split in splits},
        features=tfds.features.FeaturesDict({"image": tfds.features.Image(shape=(6, 6, 3)), "label": tfds.features.ClassLabel(num_classes=4)}),
        **options,
    )
    return folder / "tiny/1.0.0"


# Two processes at once --------------------------------------------------------------------------------------------


@pytest.mark.long
def test_two_processes_prepare_one_set(tmp_path):
    found = together(tmp_path, 2, PATCHES_PAUSE="0.5")
    assert found[0] == found[1] and len(found[0]) == 2 and len(set(found[0])) == 1 and found[0][0].startswith(f"{COUNT} {TEST} ")


# Downloads --------------------------------------------------------------------------------------------------------


CONTENT = bytes(range(200))


class Server(http.server.BaseHTTPRequestHandler):
    """Answers each request with the next of `answers`: content and the length it claims."""

    answers: list = []
    asked = 0

    def do_GET(self):
        kind = type(self)
        content, length = kind.answers[min(kind.asked, len(kind.answers) - 1)]
        kind.asked += 1
        self.send_response(200)
        self.send_header("Content-Length", str(length))
        self.end_headers()
        self.wfile.write(content)
        self.close_connection = True

    def log_message(self, *_):
        pass


WHOLE, HALF = (CONTENT, 200), (CONTENT[:100], 200)
PAGE = (b"<html>Please sign in</html>", 27)
LONG = (CONTENT + b"more", 204)


@pytest.fixture
def served(monkeypatch, tmp_path):
    """A function from answers to a call of `load` that downloads from them; the right length and checksum are registered."""
    kind = type("Answers", (Server,), {})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), kind)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}/levels.bin"
    from tests.data import builders

    monkeypatch.setattr(builders, "URL", url)
    info = tfds.core.download.checksums.UrlInfo(size=200, checksum=hashlib.sha256(CONTENT).hexdigest(), filename="levels.bin")
    monkeypatch.setattr(builders.Patches, "url_infos", {url: info})
    monkeypatch.setattr(catalogue.time, "sleep", kind_sleeps := Sleeps())

    def call(*answers):
        kind.answers, kind.asked = answers, 0
        return load("patches", data_dir=tmp_path, validation=0)

    call.kind, call.sleeps = kind, kind_sleeps.slept
    yield call
    server.shutdown()
    server.server_close()


class Sleeps:
    """A pause that nobody waits for."""

    def __init__(self):
        self.slept = []

    def __call__(self, seconds):
        self.slept.append(seconds)


def test_a_connection_that_ends_early_is_tried_again(served):
    assert len(served(HALF, HALF, WHOLE).train.y) == COUNT
    assert served.kind.asked == 3 and [pause for pause in served.sleeps if pause >= 1] == [1.0, 2.0]


def test_a_connection_that_always_ends_early_leaves_nothing_behind(served, tmp_path):
    with pytest.raises(DatasetUnavailable, match="download=True, which failed with .*copy a folder"):
        served(HALF)
    assert served.kind.asked == 4 and [pause for pause in served.sleeps if pause >= 1] == [1.0, 2.0, 4.0]
    assert catalogue.prepared_folder(tmp_path, "patches") is None
    assert len(served(WHOLE).train.y) == COUNT


@pytest.mark.parametrize("answer", [PAGE, LONG], ids=["page", "length"])
def test_what_is_not_the_file_is_refused_at_once(served, tmp_path, answer):
    with pytest.raises(DatasetUnavailable, match="Checksum"):
        served(answer)
    assert served.kind.asked == 1 and [pause for pause in served.sleeps if pause >= 1] == []
    assert len(served(WHOLE).test.y) == TEST


def test_a_damaged_set_is_downloaded_anew(served, tmp_path):
    served(WHOLE)
    (shard,) = (tmp_path / "patches/1.0.0").glob("*train*")
    good = shard.read_bytes()
    shard.write_bytes(good[:-9])
    with pytest.raises(DatasetUnavailable):
        served.kind.answers, served.kind.asked = [HALF], 0
        catalogue.renew("patches", tmp_path)
    assert verify("patches", tmp_path).problems, "what was there came back"
    served.kind.answers = [WHOLE]
    assert catalogue.renew("patches", tmp_path) == tmp_path / "patches/1.0.0"
    assert not verify("patches", tmp_path).problems and not list((tmp_path / "patches").glob("*.damaged"))


@pytest.mark.parametrize("name", ["digits", "tiny_imagenet", "mine"])
def test_what_is_never_downloaded_is_not_downloaded_anew(tmp_path, name):
    np.savez(tmp_path / "mine.npz", x=np.zeros((4, 3, 3, 1), np.uint8), y=np.arange(4), split=np.arange(4) % 2)
    with pytest.raises(ValueError, match=f"Received: '{name}'; copy it anew yourself"):
        catalogue.renew(name, tmp_path)


# Damage -----------------------------------------------------------------------------------------------------------


def shard(place, part="train"):
    (path,) = place.glob(f"*{part}.tfrecord*")
    return path


def flipped(place):
    path = shard(place)
    content = bytearray(path.read_bytes())
    content[len(content) // 2 + 40] ^= 4
    path.write_bytes(content)


def cut(place):
    shard(place).write_bytes(shard(place).read_bytes()[:-40])


def short(place):
    """A whole number of records, but too few."""
    path = shard(place)
    content = path.read_bytes()
    path.write_bytes(content[: -(len(content) // COUNT)] if len(content) % COUNT == 0 else content[: records_end(path)])


def records_end(path):
    block = next(records.blocks(path))
    return int(block.offset[-1]) - records.HEAD


def gone(place):
    shard(place, "test").unlink()


def empty(place):
    shard(place).write_bytes(b"")


def miscounted(place):
    path = place / "dataset_info.json"
    path.write_text(path.read_text().replace(f'"{COUNT}"', f'"{COUNT + 1}"'))


def garbled(place):
    (place / "dataset_info.json").write_text("{")


DAMAGE = {
    "flipped byte": (flipped, "does not fit its checksum"), "cut off": (cut, "do not hold"), "a record less": (short, "39 instead of 40"),
    "missing": (gone, "test.* is missing"), "empty": (empty, "train.* is empty"), "wrong counts": (miscounted, "40 instead of 41"),
    "no JSON": (garbled, "dataset_info.json"),
}


@pytest.mark.parametrize("case", DAMAGE)
def test_damage_is_found_by_every_way_in(tmp_path, case):
    damage, words = DAMAGE[case]
    place = write(tmp_path)
    assert verify("tiny", tmp_path) == ("tiny", (), "80 records in 2 files, every checksum compared")
    damage(place)
    for full in (True, False):
        problems = verify("tiny", tmp_path, full=full).problems
        assert problems and re.search(words, problems[0]) and "doctor --data tiny --redownload" in problems[0]
    with pytest.raises(ValueError, match="doctor --data tiny --redownload"):
        load("tiny", data_dir=tmp_path, download=False)


@pytest.mark.parametrize("name", ["../{DATASET}", "..\\\\{DATASET}"])
def test_a_file_that_would_lie_elsewhere_is_damage(tmp_path, name):
    place = tmp_path / "tiny/1.0.0"
    place.mkdir(parents=True)
    (place / "features.json").write_text("{}")
    split = f'{{"name": "train", "shardLengths": ["1"], "filepathTemplate": "{name}"}}'
    (place / "dataset_info.json").write_text(f'{{"name": "tiny", "splits": [{split}]}}')
    (problem,) = verify("tiny", tmp_path).problems
    told = name.replace("{DATASET}", "tiny")
    assert f"dataset_info.json and a features.json are needed. Received: '{place}' (ValueError: a file name '{told}')" in problem


def test_every_byte_of_a_record_is_guarded(tmp_path):
    path = shard(write(tmp_path, count=2))
    content = path.read_bytes()
    for place in range(len(content)):
        path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        with pytest.raises(ValueError):
            records.count(path)


@pytest.mark.parametrize("block", [64, 300, 2**25])
def test_blocks_of_any_size_hold_the_same_records(tmp_path, monkeypatch, block):
    path = shard(write(tmp_path))
    whole = records.scan([path], "label")
    monkeypatch.setattr(records, "BLOCK", block)
    found = records.scan([path], "label")
    assert all((a == b).all() for a, b in zip(whole, found)) and found.label.tolist() == [k % 4 for k in range(COUNT)]


def framed(content):
    """A record with this content, and its checksums."""
    def checksum(piece):
        return int(records.masked(records.crc32c(np.frombuffer(piece, np.uint8), np.array([0]), np.array([len(piece)])))[0])

    head = struct.pack("<Q", len(content))
    return head + struct.pack("<I", checksum(head)) + content + struct.pack("<I", checksum(content))


def labelled(*labels):
    """The content of a record with so many labels."""
    from tensorflow_datasets.proto import tf_example_pb2

    found = tf_example_pb2.Example()
    found.features.feature["label"].int64_list.value.extend(labels)
    return found.SerializeToString()


@pytest.mark.parametrize(
    "content, words",
    [
        (b"text", r"record with features is needed.*x.tfrecord', record at byte \d+ .*prepare the set anew"),
        (b"", r"record with one label is needed.*x.tfrecord', record at byte \d+ with 0"),
        (labelled(1, 2), r"record with one label is needed.*x.tfrecord', record at byte \d+ with 2"),
    ],
    ids=["text", "no label", "two labels"],
)
def test_a_whole_record_that_is_no_labelled_image_is_named(tmp_path, content, words):
    good = framed(labelled(3))
    path = tmp_path / "x.tfrecord"
    path.write_bytes(good)
    assert records.scan([path], "label").label.tolist() == [3]
    path.write_bytes(good + framed(content))
    with pytest.raises(ValueError, match=words.replace(r"\d+", str(len(good)))):
        records.scan([path], "label")


def test_a_file_cut_off_while_its_images_are_read_is_named(tmp_path):
    place = write(tmp_path)
    train = load("tiny", data_dir=tmp_path, validation=0, stream=True).train
    cut(place)
    assert np.asarray(train.x[:5]).shape == (5, 6, 6, 3)
    with pytest.raises(ValueError, match="whole record is needed.*train.*record at byte .*cut off; prepare the set anew"):
        np.asarray(train.x)


def test_an_encoded_image_is_bounded(tmp_path, monkeypatch):
    write(tmp_path)
    monkeypatch.setattr("keras_vix.data.prepared.FILE_LIMIT", 10)
    with pytest.raises(ValueError, match="one image of at most 10 bytes is needed.*train.*record at byte 0"):
        load("tiny", data_dir=tmp_path)
    source = Source([{"image": b"1234"}, {"image": b"12345"}], "image")
    assert source.read(0, 4) == b"1234"
    with pytest.raises(ValueError, match="at most 4 bytes is needed. Received: image 1"):
        source.read(1, 4)


def test_the_checksum_is_castagnolis():
    """RFC 3720, appendix B.4: 32 bytes of zeros, of ones, rising and falling; and the usual nine digits."""
    pieces = [bytes(32), b"\xff" * 32, bytes(range(32)), bytes(range(31, -1, -1)), b"123456789", b""]
    content = np.frombuffer(b"".join(pieces), np.uint8)
    lengths = np.array([len(piece) for piece in pieces])
    found = records.crc32c(content, np.cumsum(lengths) - lengths, lengths)
    assert [f"{value:08x}" for value in found] == ["8a9136aa", "62a8ab43", "46dd794e", "113fdb5c", "e3069283", "00000000"]


def test_a_large_set_that_passed_is_not_read_again_until_it_changes(tmp_path, monkeypatch):
    place = write(tmp_path)
    monkeypatch.setattr("keras_vix.data.damage.KEPT_FROM", 1)
    assert "compared" in verify("tiny", tmp_path).words
    counted = []
    monkeypatch.setattr("keras_vix.data.damage.count", lambda path: counted.append(path) or COUNT)
    assert "not changed since" in verify("tiny", tmp_path, full=False).words and not counted
    assert verify("tiny", tmp_path).problems == () and len(counted) == 2
    os.utime(shard(place), ns=(1, 1))
    assert verify("tiny", tmp_path, full=False).problems == () and len(counted) == 4


def test_the_index_of_a_large_set_is_kept(tmp_path, monkeypatch):
    write(tmp_path)
    monkeypatch.setattr("keras_vix.data.prepared.KEPT_FROM", 1)
    first = load("tiny", data_dir=tmp_path, stream=True)
    kept = sorted((tmp_path / "cache").glob("*.npz"))
    assert len(kept) == 2
    with monkeypatch.context() as patch:
        patch.setattr("keras_vix.data.prepared.scan", lambda files, label: pytest.fail("read again"))
        again = load("tiny", data_dir=tmp_path)
    assert (np.asarray(first.train.x) == again.train.x).all() and (first.train.y == again.train.y).all()
    kept[0].write_bytes(b"torn")
    assert (load("tiny", data_dir=tmp_path).train.x == again.train.x).all()


def test_archives_and_folders_are_looked_through(tmp_path):
    np.savez(tmp_path / "mine.npz", x=np.zeros((4, 3, 3, 1), np.uint8), y=np.arange(4), split=np.arange(4) % 2)
    assert verify("mine", tmp_path).problems == ()
    path = tmp_path / "mine.npz"
    content = bytearray(path.read_bytes())
    content[80] ^= 255
    path.write_bytes(content)
    assert "mine.npz" in verify("mine", tmp_path).problems[0]
    assert verify("digits").problems == () and verify("cifar100", tmp_path).words == "not on this machine"
    with pytest.raises(ValueError, match="lower case"):
        verify("CIFAR", tmp_path)


# What is read -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["array_record"])
def test_other_file_formats(tmp_path, form):
    pytest.importorskip("array_record")
    write(tmp_path, form=form)
    data = load("tiny", data_dir=tmp_path, validation=0, stream=True)
    assert np.asarray(data.train.x)[:, 0, 0, 0].tolist() == list(range(COUNT)) and data.test.y.tolist() == [k % 4 for k in range(COUNT)]
    assert "checksums were not compared" in verify("tiny", tmp_path).words


def test_a_part_whose_labels_are_withheld_is_no_test_part(tmp_path):
    place = write(tmp_path / "withheld", splits=("test",), labels=0)
    other = write(tmp_path, splits=("train", "validation"))
    shard(place, "test").rename(other / shard(place, "test").name.replace("test", "x"))
    withheld = next(other.glob("*-x.*"))
    withheld.rename(other / withheld.name.replace("-x.", "-test."))
    import json

    info = json.loads((other / "dataset_info.json").read_text())
    info["splits"] += json.loads((place / "dataset_info.json").read_text())["splits"]
    (other / "dataset_info.json").write_text(json.dumps(info))
    data = load("tiny", data_dir=tmp_path, validation=0)
    assert data.test.y.tolist() == [k % 4 for k in range(COUNT)]


def test_threads_read_one_file(tmp_path):
    write(tmp_path)
    whole, lazy = (load("tiny", data_dir=tmp_path, stream=stream) for stream in (False, True))
    for _ in range(5):
        pairs = zip(batches(whole.train, 3, shuffle=True), batches(lazy.train, 3, shuffle=True, workers=8))
        assert all((a[0] == b[0]).all() and (a[1] == b[1]).all() for a, b in pairs)
