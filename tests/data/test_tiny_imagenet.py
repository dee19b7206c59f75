"""Tiny ImageNet's layout, written here in small: folder and zip, what is read, and every wrong layout."""

import io
import shutil
import sys
import tracemalloc
import zipfile

import numpy as np
import pytest
from PIL import Image

from keras_vix.data import DatasetUnavailable, load
from keras_vix.data.pictures import Pictures
from keras_vix.data.trees import Folder, Zip, plain
from keras_vix.facts import DATASETS

FOLDER = "tiny-imagenet-200"
IDS = ["n03", "n01", "n02"]  # not in alphabetical order, as the original's are not
TRAIN, VAL = 6, 4  # images a class
GREY = ("train/n01/images/n01_2.JPEG", 77)


def jpeg(colour, mode="RGB", size=(64, 64)):
    """An image full of one colour; JPEG keeps such colours to within 2."""
    file = io.BytesIO()
    Image.new(mode, size, colour).save(file, "JPEG", quality=95)
    return file.getvalue()


def noise():
    """An image with many bytes of pixels."""
    file = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)).save(file, "JPEG")
    return file.getvalue()


def red(label, number):
    """The red of an image tells its class and its number in the class."""
    return 60 * label + 5 * number + 10


def contents():
    """Every file of the small set by its name: of each class 6 images to train, 4 to validate."""
    files = {"wnids.txt": "\n".join(IDS) + "\n", "words.txt": "n01\tgoldfish, Carassius auratus\nn02\tnewt\nn99\ttoad\n"}
    lines = []
    for label, wnid in enumerate(IDS):
        for number in range(TRAIN):
            files[f"train/{wnid}/images/{wnid}_{number}.JPEG"] = jpeg((red(label, number), 128, 128))
        files[f"train/{wnid}/{wnid}_boxes.txt"] = files[f"train/{wnid}/images/Thumbs.db"] = "no image"
        for number in range(VAL):
            name = f"val_{3 * number + label}.JPEG"
            files[f"val/images/{name}"] = jpeg((red(label, number), 0, 0))
            lines.append(f"{name}\t{wnid}\t0\t1\t62\t63\n")
    files["val/images/.val_0.JPEG"] = "what a file system left behind"
    name, level = GREY
    files[name] = jpeg(level, "L")
    files["train/n98/images/n98_0.JPEG"] = b"of no class, so never opened"
    files["val/val_annotations.txt"] = "".join(reversed(lines))
    files["test/images/test_0.JPEG"] = b"without a label, so never opened"
    return {name: content if isinstance(content, bytes) else content.encode() for name, content in files.items()}


CONTENTS, NOISE = contents(), noise()


def write(folder, files):
    for name, content in files.items():
        place = folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
    return folder


def write_zip(path, files, top=FOLDER + "/", method=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in files.items():
            archive.writestr(top + name, content)
    return path


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    """(a data folder with the folder of the set, a data folder with the zip of it); only read by the tests."""
    extracted, zipped = tmp_path_factory.mktemp("extracted"), tmp_path_factory.mktemp("zipped")
    write(extracted / FOLDER, CONTENTS)
    write_zip(zipped / f"{FOLDER}.zip", CONTENTS)
    return extracted, zipped


@pytest.fixture
def opened(monkeypatch):
    """The names of the JPEG files that were read."""
    names = []
    for kind in (Folder, Zip):

        def read(self, name, limit, old=kind.read):
            if name.endswith("JPEG"):
                names.append(name)
            return old(self, name, limit)

        monkeypatch.setattr(kind, "read", read)
    return names


def reds(split):
    return split.x[:, 32, 32, 0].astype(int)


def same(first, second):
    pairs = zip((first.train, first.validation, first.test), (second.train, second.validation, second.test))
    return all((a.x == b.x).all() and (a.y == b.y).all() for a, b in pairs) and first.facts == second.facts


# What is read -----------------------------------------------------------------------------------------------------


def test_the_row_has_the_published_statistics():
    facts = DATASETS["tiny_imagenet"]
    assert (facts.input_shape, facts.classes, facts.flip) == ((64, 64, 3), 200, True)
    np.testing.assert_allclose(np.array(facts.mean) * 255, [122.4786, 114.2755, 101.3963], atol=0.02)
    np.testing.assert_allclose(np.array(facts.std) * 255, [70.4924, 68.5679, 71.8127], atol=0.02)


def test_images_labels_and_facts(places):
    data = load("tiny_imagenet", data_dir=places[0], validation=0)
    assert data.validation is None
    assert data.train.x.shape == (18, 64, 64, 3) and data.test.x.shape == (12, 64, 64, 3)
    assert data.train.x.dtype == data.test.x.dtype == np.uint8 and data.train.y.dtype == data.test.y.dtype == np.int32
    # A class is numbered by its line in wnids.txt; within it images follow their names.
    assert data.train.y.tolist() == [0] * 6 + [1] * 6 + [2] * 6
    wanted = [red(label, number) for label in range(3) for number in range(TRAIN)]
    wanted[8] = GREY[1]
    assert np.abs(reds(data.train) - wanted).max() <= 2
    # val_0, val_1, val_10, val_11, val_2 ...: the order of names, with labels from the annotations.
    order = sorted(range(12), key=str)
    assert data.test.y.tolist() == [place % 3 for place in order]
    assert np.abs(reds(data.test) - [red(place % 3, place // 3) for place in order]).max() <= 2
    facts = data.facts
    assert (facts.name, facts.classes, facts.input_shape) == ("tiny_imagenet", 3, (64, 64, 3))
    assert facts.class_names == ("n03", "goldfish, Carassius auratus", "newt")
    assert facts.mean == DATASETS["tiny_imagenet"].mean and "CS231n" in facts.source


def test_grey_becomes_three_equal_channels(places):
    data = load("tiny_imagenet", data_dir=places[0], validation=0)
    assert np.ptp(data.train.x[8], axis=-1).max() == 0 and abs(int(data.train.x[8].mean()) - GREY[1]) <= 2
    assert np.ptp(data.train.x[7], axis=-1).min() > 0


def test_validation_is_taken_from_the_training_images(places):
    data = load("tiny_imagenet", data_dir=places[0], validation=1 / 6)
    assert [len(split.y) for split in (data.train, data.validation, data.test)] == [15, 3, 12]
    assert data.validation.y.tolist() == [0, 1, 2]
    together = sorted([*reds(data.train), *reds(data.validation)])
    assert together == sorted(reds(load("tiny_imagenet", data_dir=places[0], validation=0).train))
    assert all(isinstance(split.x, np.ndarray) for split in (data.train, data.validation, data.test))


@pytest.mark.parametrize("kind", [0, 1], ids=["folder", "zip"])
def test_limit_opens_the_chosen_files_only(places, opened, kind):
    data = load("tiny_imagenet", data_dir=places[kind], limit=6, validation=1 / 3)
    assert [len(split.y) for split in (data.train, data.validation, data.test)] == [4, 2, 6]
    assert len(opened) == len(set(opened)) == 12 and sum("train/" in name for name in opened) == 6
    assert np.bincount(np.concatenate([data.train.y, data.validation.y])).tolist() == [2] * 3
    assert np.bincount(data.test.y).tolist() == [2] * 3
    whole = load("tiny_imagenet", data_dir=places[kind], validation=0)
    assert set(zip(reds(data.test), data.test.y)) < set(zip(reds(whole.test), whole.test.y))
    opened.clear()
    load("tiny_imagenet", data_dir=places[kind], limit=6, seed=1)
    assert len(opened) == 12


def test_nothing_but_labelled_images_is_opened(places, opened):
    load("tiny_imagenet", data_dir=places[0])
    images = {name for name in CONTENTS if name.endswith("JPEG")}
    assert sorted(opened) == sorted(images - {"test/images/test_0.JPEG", "train/n98/images/n98_0.JPEG", "val/images/.val_0.JPEG"})


def test_image_size(places):
    data = load("tiny_imagenet", data_dir=places[0], image_size=(16, 8))
    assert data.facts.input_shape == data.train.x.shape[1:] == data.validation.x.shape[1:] == data.test.x.shape[1:] == (16, 8, 3)
    assert np.abs(data.test.x[0, 4, 4, 0].astype(int) - red(0, 0)) <= 2


def test_fewer_classes_of_the_same_folder(tmp_path):
    folder = write(tmp_path / FOLDER, CONTENTS)
    (folder / "wnids.txt").write_text("n02 \r\nn03")
    lines = CONTENTS["val/val_annotations.txt"].decode().splitlines()
    for line in lines:
        if "n01" in line:
            (folder / "val/images" / line.split("\t")[0]).unlink()
    (folder / "val/val_annotations.txt").write_text("\n".join(line for line in lines if "n01" not in line))
    data = load(folder, validation=0)
    assert data.facts.classes == 2 and data.train.y.tolist() == [0] * 6 + [1] * 6
    assert abs(reds(data.train)[0] - red(2, 0)) <= 2 and len(data.test.y) == 8


# Where it may lie -------------------------------------------------------------------------------------------------


def test_every_place_gives_the_same(places, tmp_path, monkeypatch):
    extracted, zipped = places
    wanted = load("tiny_imagenet", data_dir=extracted)
    monkeypatch.setenv("TFDS_DATA_DIR", str(zipped))
    flat = write_zip(tmp_path / "flat.ZIP", CONTENTS, top="", method=zipfile.ZIP_STORED)
    for source, where in [
        ("tiny_imagenet", zipped),
        ("tiny_imagenet", None),
        ("tiny_imagenet", extracted / FOLDER),
        (str(extracted / FOLDER), None),
        (extracted / FOLDER, None),
        (extracted, None),
        (str(zipped / f"{FOLDER}.zip"), None),
        (zipped / f"{FOLDER}.zip", None),
        (flat, None),
    ]:
        assert same(load(source, data_dir=where, download=False), wanted), (source, where)


def test_nothing_is_written(places):
    before = [sorted(place.rglob("*")) for place in places]
    for place in places:
        load("tiny_imagenet", data_dir=place)
    assert [sorted(place.rglob("*")) for place in places] == before


def test_a_relative_path_and_a_folder_that_is_called_like_a_set(places, monkeypatch, tmp_path):
    monkeypatch.chdir(places[0])
    assert load(FOLDER).facts.classes == 3
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "digits", CONTENTS)
    assert load("digits", limit=20).facts.name == "digits"
    assert load("./digits").facts.name == "tiny_imagenet"


def test_archives_of_arrays_come_first(tmp_path):
    np.savez(tmp_path / "tiny_imagenet.npz", x=np.zeros((10, 64, 64, 3), np.uint8) + 9, y=np.arange(10), split=np.arange(10) % 2)
    write(tmp_path / FOLDER, {"wnids.txt": b""})
    assert load("tiny_imagenet", data_dir=tmp_path, validation=0).facts == DATASETS["tiny_imagenet"]


@pytest.mark.parametrize("download", [False, True])
def test_not_there(tmp_path, download, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)  # it could try the network
    with pytest.raises(DatasetUnavailable) as caught:
        load("tiny_imagenet", data_dir=tmp_path, download=download)
    wanted = [tmp_path / FOLDER, tmp_path / f"{FOLDER}.zip", tmp_path / "wnids.txt", tmp_path / "tiny_imagenet.npz"]
    for words in ("not downloaded", "Put the original tiny-imagenet-200.zip there", *map(str, wanted)):
        assert words in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_versions_are_refused(tmp_path):
    with pytest.raises(ValueError, match="neither versions nor"):
        load("tiny_imagenet:1.0.0", data_dir=tmp_path)


@pytest.mark.parametrize("name", ["gone.zip", "./gone.zip"])
def test_a_path_to_nothing(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"gone\.zip'; there is nothing"):
        load(name)


def test_without_pillow_what_to_install_is_named(places, monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(ImportError, match="pip install pillow"):
        load("tiny_imagenet", data_dir=places[0])


# Wrong layouts ----------------------------------------------------------------------------------------------------


ONE = "train/n02/images/n02_3.JPEG"
NOTES = "val/val_annotations.txt"


def without(name):
    return {key: content for key, content in CONTENTS.items() if not key.startswith(name)}


def with_text(name, text):
    return {**CONTENTS, name: text.encode()}


def noted(old, new):
    text = CONTENTS[NOTES].decode()
    assert old in text
    return with_text(NOTES, text.replace(old, new, 1))


def png():
    file = io.BytesIO()
    Image.new("RGB", (64, 64)).save(file, "PNG")
    return file.getvalue()


def huge():
    """A JPEG whose header promises 65,000 x 65,000 pixels."""
    content = bytearray(CONTENTS[ONE])
    place = content.index(b"\xff\xc0") + 5
    content[place : place + 4] = (65000).to_bytes(2, "big") * 2
    return bytes(content)


WRONG = {
    "no ids": (without("wnids.txt"), r"wnids\.txt is needed"),
    "empty ids": (with_text("wnids.txt", "\n"), r"wnids\.txt', which is empty"),
    "id twice": (with_text("wnids.txt", "n03\nn01\nn03\nn02\n"), r"line 3 of .*wnids\.txt': 'n03', which line 1"),
    "blank line": (with_text("wnids.txt", "n03\n\nn01\nn02\n"), r"line 2 of .*wnids\.txt': ''"),
    "ids of bytes": ({**CONTENTS, "wnids.txt": b"\xff\xfe"}, r"UTF-8 is needed.*wnids\.txt"),
    "class without a folder": (with_text("wnids.txt", "n03\nn01\nn02\nn04\n"), r"train/n04/images' without any"),
    "class without images": (without("train/n01/images"), r"train/n01/images' without any"),
    "no annotations": (without(NOTES), r"val_annotations\.txt is needed"),
    "unknown class": (noted("n01", "n77"), r"line \d+ of .*val_annotations\.txt': 'n77'"),
    "no class": (noted("val_5.JPEG\tn02\t0\t1\t62\t63", "val_5.JPEG"), r"line 3 of .*val_annotations\.txt': ''"),
    "missing image": (noted("val_5.JPEG", "val_55.JPEG"), r"line 3 of .*'val_55\.JPEG', not in"),
    "image twice": (noted("val_5.JPEG", "val_8.JPEG"), r"line 3 of .*'val_8\.JPEG', named before"),
    "image without annotation": ({**CONTENTS, "val/images/val_99.JPEG": b""}, r"1 without, such as 'val_99\.JPEG'"),
    "nothing to validate": (without("val/images") | {NOTES: b""}, r"val/images' .*: no image"),
    "text for an image": ({**CONTENTS, ONE: b"not an image"}, rf"JPEG image is needed.*{ONE}"),
    "empty image": ({**CONTENTS, ONE: b""}, rf"JPEG image is needed.*{ONE}"),
    "another format": ({**CONTENTS, ONE: png()}, rf"JPEG image is needed.*{ONE}"),
    "half an image": ({**CONTENTS, ONE: NOISE[: len(NOISE) // 2]}, rf"whole JPEG image is needed.*{ONE}' .image file is truncated"),
    "half a header": ({**CONTENTS, ONE: NOISE[:300]}, rf"JPEG image is needed.*{ONE}"),
    "another size": ({**CONTENTS, ONE: jpeg((1, 2, 3), size=(64, 48))}, rf"64 x 64 pixels is needed.*{ONE}' of 64 x 48"),
    "a bomb": ({**CONTENTS, ONE: huge()}, rf"{ONE}.*(exceeds limit|65000 x 65000)"),
    "a large file": ({**CONTENTS, ONE: CONTENTS[ONE] + bytes(2**20)}, rf"at most 1,048,576 bytes.*{ONE}"),
    "a path among the ids": (with_text("wnids.txt", "n03\n../../etc\n"), r"line 2 of .*'\.\./\.\./etc', which is no name"),
    "an absolute id": (with_text("wnids.txt", "/etc\n"), "'/etc', which is no name"),
    "a backslash": (with_text("wnids.txt", "..\\x\n"), "which is no name"),
    "the folder above": (with_text("wnids.txt", "..\n"), "'..', which is no name"),
    "a path among the images": (noted("val_5.JPEG", "../images/val_5.JPEG"), r"'\.\./images/val_5\.JPEG', not in"),
    "an absolute image": (noted("val_5.JPEG", "/etc/passwd"), "'/etc/passwd', not in"),
}


@pytest.mark.parametrize("kind", ["folder", "zip"])
@pytest.mark.parametrize("case", WRONG)
def test_wrong_layouts(tmp_path, case, kind):
    files, words = WRONG[case]
    place = write(tmp_path / FOLDER, files) if kind == "folder" else write_zip(tmp_path / "set.zip", files)
    with pytest.raises(ValueError, match=words):
        load(place)


def test_no_traversal_even_where_it_would_lead_to_images(tmp_path):
    """Files that a careless join would reach, and read as a class."""
    folder = write(tmp_path / FOLDER, with_text("wnids.txt", "n03\nn01\n../../outside\n"))
    shutil.copytree(folder / "train/n02/images", tmp_path / "outside/images")
    with pytest.raises(ValueError, match="no name of a folder"):
        load(folder)
    for name in ("../outside/images/n02_0.JPEG", str(tmp_path / "outside/images/n02_0.JPEG"), "train/../../outside/images/n02_0.JPEG"):
        with pytest.raises(ValueError, match="stay within its folder"):
            Folder(folder).read(name, 10**6)
    with pytest.raises(ValueError, match="stay within its folder"):
        Folder(folder).names("../outside/images")


def test_plain_names():
    assert all(plain(name) for name in ("n01443537", "val_0.JPEG", "a b", "...", "ö"))
    assert not any(plain(name) for name in ("", ".", "..", "a/b", "/a", "a\\b", "C:a", "a\0b"))


def test_members_of_a_zip_with_paths_are_never_looked_up(tmp_path, opened, places):
    strange = {"../../val/images/val_9.JPEG": b"", "val/images/../../x.JPEG": b"", "val/images/sub/x.JPEG": b""}
    path = write_zip(tmp_path / "set.zip", {**CONTENTS, **strange})
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("/etc/x.JPEG", b"")
        archive.mkdir(f"{FOLDER}/val/images")
        archive.mkdir(f"{FOLDER}/val/images/folder.JPEG")
    assert len(load(path).test.y) == 12
    tree = Zip(path)
    assert tree.names("") == [] and tree.names(FOLDER) == ["wnids.txt", "words.txt"] == Folder(places[0]).names(FOLDER)
    assert tree.names(f"{FOLDER}/val/images") == Folder(places[0]).names(f"{FOLDER}/val/images")
    assert not any(".." in name or name.startswith("/") or "x.JPEG" in name for name in opened)
    assert sorted(tmp_path.iterdir()) == [path]


def test_a_zip_whose_declared_size_is_absurd_is_not_unpacked(tmp_path, monkeypatch):
    path = write_zip(tmp_path / "set.zip", {**CONTENTS, ONE: bytes(2**24)})
    assert path.stat().st_size < 2**18
    start, sizes = zipfile.ZipFile.open, []
    monkeypatch.setattr(zipfile.ZipFile, "open", lambda self, member: sizes.append(member.file_size) or start(self, member))
    with pytest.raises(ValueError, match=rf"{ONE}' with 16,777,216"):
        load(path)
    assert sizes and max(sizes) <= 2**20


def test_a_zip_that_declares_less_than_it_holds_is_not_inflated(tmp_path):
    path = write_zip(tmp_path / "set.zip", {ONE: bytes(2**24)}, top="")
    content = path.read_bytes()
    path.write_bytes(content.replace((2**24).to_bytes(4, "little"), (900).to_bytes(4, "little")))
    tree = Zip(path)
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=rf"whole zip is needed.*{ONE}.*CRC"):
            tree.read(ONE, 2**20)
        assert tracemalloc.get_traced_memory()[1] < 2**22
    finally:
        tracemalloc.stop()


def flip(path, member, offset):
    """One byte of a member's packed content changed, that many bytes before its end."""
    with zipfile.ZipFile(path) as archive:
        info = archive.getinfo(f"{FOLDER}/{member}")
    content = bytearray(path.read_bytes())
    content[info.header_offset + 30 + len(info.filename) + info.compress_size - offset] ^= 255
    path.write_bytes(content)


def test_damaged_zips(tmp_path):
    path = write_zip(tmp_path / "set.zip", CONTENTS, method=zipfile.ZIP_STORED)
    flip(path, ONE, 5)
    with pytest.raises(ValueError, match=rf"whole zip is needed.*{ONE}.*CRC"):
        load(path)
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(ValueError, match="whole zip is needed.*set.zip"):
        load(path)
    path = write_zip(tmp_path / "other.zip", CONTENTS, method=zipfile.ZIP_LZMA)
    with pytest.raises(ValueError, match=r"stored or deflated.*wnids\.txt"):
        load(path)


@pytest.mark.parametrize("offset, value, words", [(6, 255, "whole zip is needed.*version 25"), (8, 1, "stored or deflated")])
def test_zips_of_a_later_version_or_with_a_password(tmp_path, offset, value, words):
    path = write_zip(tmp_path / "set.zip", CONTENTS)
    content = bytearray(path.read_bytes())
    content[content.index(b"PK\x01\x02") + offset] = value  # in the list of members, of which wnids.txt is the first
    path.write_bytes(content)
    with pytest.raises(ValueError, match=words):
        load(path)


def test_the_first_bad_image_is_the_one_named(tmp_path):
    """Whichever thread is first."""
    bad = {name: b"" for name in CONTENTS if name.startswith("train/n02")}
    with pytest.raises(ValueError, match="n02_0.JPEG"):
        load(write(tmp_path, {**CONTENTS, **bad}), validation=0)


def test_pictures_are_chosen_without_being_opened(places, opened):
    names = np.array([name for name in CONTENTS if name.startswith("train/n03") and name.endswith("JPEG")])
    pictures = Pictures(Folder(places[0] / FOLDER), names, (64, 64, 3))
    chosen = pictures[np.arange(6) % 2 == 1]
    assert len(pictures) == 6 and len(chosen) == 3 and opened == []
    x = np.asarray(chosen)
    assert sorted(opened) == names[1::2].tolist() and np.abs(x[:, 0, 0, 0].astype(int) - [red(0, n) for n in (1, 3, 5)]).max() <= 2
    grey = np.asarray(Pictures(pictures.tree, names[:2], (64, 64, 1)), np.float32)
    assert grey.shape == (2, 64, 64, 1) and grey.dtype == np.float32
