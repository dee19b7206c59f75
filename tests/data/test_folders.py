"""Images in folders of their classes: what is read, in which order and shape, and every wrong layout. No network."""

import io
import re
import zipfile

import numpy as np
import pytest
from PIL import Image

import keras_vix
from keras_vix.data import DatasetUnavailable, batches, facts_of, load
from keras_vix.data.pictures import Lazy, Pictures, Stored, decode
from keras_vix.data.trees import Folder
from keras_vix.facts import DATASETS, IMAGENET

SIZES = {"ant": (30, 20), "bee": (20, 30), "cat": (24, 24)}  # (width, height)
LEVELS = {"ant": 40, "bee": 120, "cat": 200}


def picture(level, size, form="PNG", mode="RGB"):
    """An image full of one level of grey."""
    file = io.BytesIO()
    Image.new(mode, size, (level,) * 3 if mode == "RGB" else level).save(file, form)
    return file.getvalue()


def write(folder, files):
    for name, content in files.items():
        place = folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
    return folder


def contents(top="train/", count=5, sizes=SIZES, step=1):
    """Image k of a class is `step * k` levels brighter than its first."""
    return {
        f"{top}{name}/{name}_{k}.png": picture(level + step * k, sizes[name])
        for name, level in LEVELS.items()
        for k in range(count)
    }


def levels(split):
    return np.asarray(split.x)[:, 4, 4, 0].tolist()


def same(first, second):
    pairs = zip((first.train, first.validation, first.test), (second.train, second.validation, second.test))
    return all((np.asarray(a.x) == np.asarray(b.x)).all() and (a.y == b.y).all() for a, b in pairs) and first.facts == second.facts


def test_train_and_test_folders(tmp_path):
    write(tmp_path / "pets", contents() | contents("val/", 2))
    data = load(tmp_path / "pets", image_size=16, validation=0)
    assert levels(data.train) == [level + k for level in LEVELS.values() for k in range(5)]
    assert data.train.y.tolist() == [0] * 5 + [1] * 5 + [2] * 5 and data.test.y.tolist() == [0, 0, 1, 1, 2, 2]
    assert data.train.x.shape == (15, 16, 16, 3) and data.train.x.dtype == np.uint8 and isinstance(data.train.x, np.ndarray)
    facts = data.facts
    assert (facts.name, facts.input_shape, facts.classes, facts.class_names) == ("pets", (16, 16, 3), 3, ("ant", "bee", "cat"))
    found = np.array(levels(data.train)) / 255
    assert facts.mean == pytest.approx([found.mean()] * 3, abs=1e-6) and facts.std == pytest.approx([found.std()] * 3, abs=1e-6)


@pytest.mark.parametrize("part", ["test", "val", "validation"])
def test_every_name_of_the_part_to_test(tmp_path, part):
    write(tmp_path, contents() | contents(f"{part}/", 2))
    assert len(load(tmp_path, image_size=8).test.y) == 6


def test_a_part_without_classes_is_passed_over(tmp_path):
    """As the `test` folder of ImageNet, whose labels are withheld."""
    write(tmp_path, contents() | contents("val/", 2) | {"test/x.png": picture(1, (8, 8))})
    assert load(tmp_path, image_size=8).test.y.tolist() == [0, 0, 1, 1, 2, 2]


def test_folders_of_classes_alone_hold_out_a_fixed_fifth(tmp_path):
    write(tmp_path, contents("", 10) | {"notes.txt": b"no folder", ".git/x.png": b"hidden", "ant/.a.png": b"hidden", "ant/Thumbs.db": b""})
    first, other = (load(tmp_path, image_size=8, seed=seed, validation=0) for seed in (0, 1))
    assert np.bincount(first.test.y).tolist() == [2, 2, 2] and np.bincount(first.train.y).tolist() == [8, 8, 8]
    assert levels(first.test) == levels(other.test)
    assert sorted(levels(first.test) + levels(first.train)) == sorted(level + k for level in LEVELS.values() for k in range(10))


def test_a_zip_is_the_folder(tmp_path):
    files = contents() | contents("val/", 2)
    write(tmp_path / "pets", files)
    with zipfile.ZipFile(tmp_path / "pets.zip", "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    assert same(load(tmp_path / "pets", image_size=12), load(tmp_path / "pets.zip", image_size=12))


def test_chosen_classes_in_the_order_given(tmp_path):
    write(tmp_path / "pets", contents() | contents("val/", 2))
    (tmp_path / "list.txt").write_text("# two of them\ncat a furry one\n\nant\n")
    for classes in (["cat", "ant"], tmp_path / "list.txt", str(tmp_path / "list.txt")):
        data = load(tmp_path / "pets", image_size=8, classes=classes, validation=0)
        assert levels(data.train) == [200 + k for k in range(5)] + [40 + k for k in range(5)]
        assert data.train.y.tolist() == [0] * 5 + [1] * 5 and data.facts.class_names == ("cat", "ant") and len(data.test.y) == 4


def test_images_of_one_shape_need_no_size(tmp_path):
    sizes = dict.fromkeys(SIZES, (12, 10))
    write(tmp_path, contents(sizes=sizes))
    assert load(tmp_path).train.x.shape[1:] == (10, 12, 3)
    odd = tmp_path / "train/bee/bee_3.png"
    odd.write_bytes(picture(1, (11, 10)))
    with pytest.raises(ValueError, match="12 x 10 pixels is needed.*bee_3.png' of 11 x 10"):
        load(tmp_path)


def test_grey_images_have_one_channel(tmp_path):
    files = {name: picture(50, (9, 9), mode="L") for name in contents()}
    write(tmp_path, files)
    assert load(tmp_path).facts.input_shape == (9, 9, 1)


def test_the_middle_is_cut_and_resized():
    """Red, green and blue thirds: of the wide image only green is left, of the tall one likewise."""
    thirds = np.zeros((20, 60, 3), np.uint8)
    for third in range(3):
        thirds[:, 20 * third : 20 * third + 20, third] = 250
    for pixels in (thirds, thirds.transpose(1, 0, 2)):
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, "PNG")
        found = decode(Image, file.getvalue(), (10, 10, 3), str, ("PNG",), exact=False)
        assert (found[1:-1, 1:-1] == (0, 250, 0)).all() and found.shape == (10, 10, 3)


@pytest.mark.parametrize("form", ["JPEG", "PNG", "BMP", "GIF", "WEBP", "PPM"])
def test_formats(tmp_path, form):
    write(tmp_path, {f"{name}/a.{form.lower()}": picture(level, (10, 10), form) for name, level in LEVELS.items()})
    write(tmp_path, {f"{name}/b.{form}": picture(level, (10, 10), form) for name, level in LEVELS.items()})
    data = load(tmp_path, validation=0)
    assert np.abs(np.array(sorted(levels(data.train) + levels(data.test))) - sorted([*LEVELS.values()] * 2)).max() <= 2


@pytest.mark.parametrize("mode", ["P", "RGBA", "CMYK", "1", "LA"])
def test_other_modes_become_three_channels(tmp_path, mode):
    form = "JPEG" if mode == "CMYK" else "PNG"
    file = io.BytesIO()
    Image.new("RGB", (10, 10), (255, 255, 255)).convert(mode).save(file, form)
    write(tmp_path, contents(sizes=dict.fromkeys(SIZES, (10, 10))) | {f"train/ant/z.{form.lower()}": file.getvalue()})
    data = load(tmp_path, validation=0, stream=True)
    chosen = [k for k, number in enumerate(data.train.x.names) if data.train.x.tree.full(number).endswith(f"z.{form.lower()}")]
    part = data.train if chosen else data.test
    chosen = chosen or [k for k, number in enumerate(part.x.names) if part.x.tree.full(number).endswith(f"z.{form.lower()}")]
    assert np.asarray(part.x[np.array(chosen)]).min() >= 250


WRONG = {
    "empty": ({}, r"wnids\.txt is needed.*images in folders of their classes"),
    "no images": ({"train/ant/notes.txt": b""}, "images in folders of their classes"),
    "a class without images": (contents() | {"train/dog/notes.txt": b""}, "train/dog' without any"),
    "a class to test that is unknown": (contents() | {"val/dog/x.png": picture(1, (8, 8))}, "val/dog', which train has not"),
    "text": (contents() | {"train/bee/bee_3.png": b"text"}, "An image .*bee_3.png', which is none"),
    "no header": (contents() | {"train/bee/bee_0.png": b"text"}, "An image .*bee_0.png"),
    "half": (contents() | {"train/bee/bee_3.png": contents()["train/bee/bee_3.png"][:60]}, "whole image is needed.*bee_3.png"),
    "another kind of file": (contents() | {"train/bee/bee_3.png": picture(1, (8, 8), "TIFF")}, "bee_3.png', which is none"),
    "sixteen bits": (contents() | {"train/bee/bee_3.png": picture(1, (8, 8), mode="I;16")}, "8 bits a channel.*bee_3.png"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_folders(tmp_path, case):
    files, words = WRONG[case]
    write(tmp_path, files)
    with pytest.raises(ValueError, match=words):
        load(tmp_path, image_size=8)


def test_several_shapes_without_a_size(tmp_path):
    with pytest.raises(ValueError, match=r"20 x 30 and 24 x 24 in .*give image_size"):
        load(write(tmp_path, contents()))


def test_an_image_too_large_to_decode(tmp_path, monkeypatch):
    monkeypatch.setattr("keras_vix.data.pictures.PIXELS", 500)
    with pytest.raises(ValueError, match="at most 500 pixels.*of 30 x 20"):
        load(write(tmp_path, contents()), image_size=8)


@pytest.mark.parametrize(
    "classes, words",
    [(["dog"], "without 'dog'"), ([], "different names"), (["ant", "ant"], "different names"), ([3], "different names"),
     ("gone.txt", "gone.txt"), ("twice.txt", "twice.txt' with .*ant")],
)
def test_wrong_classes(tmp_path, monkeypatch, classes, words):
    write(tmp_path / "pets", contents())
    monkeypatch.chdir(tmp_path)
    (tmp_path / "twice.txt").write_text("ant\nbee\nant\n")
    with pytest.raises((ValueError, FileNotFoundError), match=words):
        load(tmp_path / "pets", image_size=8, classes=classes)


def test_chosen_classes_that_no_image_to_test_is_of(tmp_path):
    write(tmp_path, contents() | {"val/bee/x.png": picture(1, (8, 8))})
    with pytest.raises(ValueError, match="test of the chosen classes are needed.*val' without any"):
        load(tmp_path, image_size=8, classes=["cat", "ant"])


@pytest.mark.parametrize("options", [{"stream": 1}, {"stream": "no"}])
def test_wrong_streams(options):
    with pytest.raises(TypeError, match="stream must be"):
        load("digits", **options)


def test_classes_are_not_for_arrays():
    with pytest.raises(ValueError, match="classes is for folders"):
        load("digits", classes=["1"])


# ImageNet ---------------------------------------------------------------------------------------------------------


def imagenet(folder, count=3):
    ids = [f"n{number:08d}" for number in range(120)]
    image = picture(90, (30, 20), "JPEG")
    files = {f"train/{wnid}/{wnid}_{k}.JPEG": image for wnid in ids for k in range(count)}
    write(folder, files | {f"val/{wnid}/v.JPEG": image for wnid in ids})
    return ids


def test_imagenet_from_a_folder(tmp_path, monkeypatch):
    ids = imagenet(tmp_path / "imagenet")
    data = load("imagenet", data_dir=tmp_path, validation=0, stream=True, download=False)
    assert data.facts.input_shape == (224, 224, 3) and data.facts.classes == 120 and data.facts.class_names == tuple(ids)
    assert (data.facts.name, data.facts.mean) == ("imagenet", IMAGENET.mean) and data.train.x.shape == (360, 224, 224, 3)
    with pytest.raises(FileNotFoundError, match="imagenet100.txt"):
        load("imagenet100", data_dir=tmp_path, download=False)
    (tmp_path / "imagenet100.txt").write_text("\n".join(reversed(ids[:100])))
    data = load("imagenet100", data_dir=tmp_path, validation=0, image_size=8)
    assert data.facts.class_names == tuple(reversed(ids[:100])) and data.train.x.shape == (300, 8, 8, 3) and len(data.test.y) == 100
    (tmp_path / "few.txt").write_text("n00000000\n")
    monkeypatch.setenv("KERAS_VIX_IMAGENET100", str(tmp_path / "few.txt"))
    with pytest.raises(ValueError, match="100 classes is needed.*with 1"):
        load("imagenet100", data_dir=tmp_path)


def test_imagenet_that_is_not_there(tmp_path):
    pytest.importorskip("tensorflow_datasets")
    with pytest.raises(DatasetUnavailable, match="imagenet2012"):
        load("imagenet", data_dir=tmp_path, download=False)


# Not decoded until asked for --------------------------------------------------------------------------------------


def test_a_stream_is_what_the_arrays_are(tmp_path):
    write(tmp_path, contents(count=10) | contents("val/", 2))
    whole, lazy = (load(tmp_path, image_size=(16, 12), stream=stream, seed=3) for stream in (False, True))
    assert isinstance(lazy.train.x, Lazy) and isinstance(whole.train.x, np.ndarray) and same(whole, lazy)
    for options in ({}, {"shuffle": True, "augment": "crop", "workers": 3}, {"shuffle": True, "workers": 1}, {"repeats": 2}):
        mine, other = (batches(data.train, 4, seed=5, **options) for data in (whole, lazy))
        for index in range(len(mine)):
            assert all((a == b).all() for a, b in zip(mine[index], other[index])), options


def test_without_facts_a_stream_is_measured(tmp_path):
    write(tmp_path, contents(count=10))
    data = load(tmp_path, image_size=8, stream=True, validation=0)
    fed = batches(data.train, 4, augment="deit")
    np.testing.assert_allclose(fed._mean, np.asarray(data.train.x).mean((0, 1, 2)) / 255, atol=1e-5)


def test_the_first_batch_opens_its_own_files_only(tmp_path, monkeypatch):
    write(tmp_path, contents(count=10) | contents("val/", 2))
    data = load(tmp_path, image_size=8, stream=True, validation=0)
    opened = []
    start = Folder.read
    monkeypatch.setattr(Folder, "read", lambda self, name, limit: opened.append(name) or start(self, name, limit))
    batches(data.train, 4, workers=1)[1]
    assert opened == [f"train/ant/ant_{k}.png" for k in (4, 5, 6, 7)]


def test_a_lazy_array_answers_as_an_array_does(tmp_path):
    write(tmp_path, contents(count=4))
    x = load(tmp_path, image_size=8, stream=True, validation=0).train.x
    array = np.asarray(x)
    assert (x.shape, x.dtype, x.ndim, len(x), x.nbytes) == (array.shape, array.dtype, 4, len(array), array.nbytes)
    assert all((np.asarray(x[chosen]) == array[chosen]).all() for chosen in (np.array([3, 1]), array[:, 0, 0, 0] > 99, slice(2, 5), 0, -1))
    assert np.asarray(x, np.float32).dtype == np.float32


def test_large_sets_stream_by_themselves(tmp_path, monkeypatch):
    write(tmp_path, contents())
    monkeypatch.setattr("keras_vix.data.sources.STREAM_FROM", 15 * 8 * 8 * 3)
    assert isinstance(load(tmp_path, image_size=8).train.x, Lazy)
    assert isinstance(load(tmp_path, image_size=8, limit=10).train.x, np.ndarray)
    assert isinstance(load(tmp_path, image_size=8, stream=False).train.x, np.ndarray)


@pytest.fixture
def unmeasured(monkeypatch):
    """Nothing is decoded for the statistics."""
    monkeypatch.setattr("keras_vix.data.folders.sample_statistics", lambda x: ((0.5,) * 3, (0.25,) * 3))


def test_a_bad_image_is_named_by_the_batch_that_wants_it(tmp_path, unmeasured):
    write(tmp_path, contents() | {"train/bee/bee_3.png": b"text"})
    data = load(tmp_path, image_size=8, stream=True, validation=0)
    with pytest.raises(ValueError, match="bee_3.png"):
        [batch for batch in batches(data.train, 4, workers=2)]


@pytest.mark.long
def test_a_model_learns_from_a_stream_on_any_backend(tmp_path):
    write(tmp_path, contents(count=16) | contents("val/", 4))
    data = load(tmp_path, image_size=8, stream=True, validation=0.25)
    model = keras_vix.build("transformer_global", dataset=data.facts, depth=1, dim=16, num_heads=2, learning_rate=1e-2)
    model.fit(batches(data.train, 6, shuffle=True), validation_data=batches(data.validation, 6), epochs=8, verbose=0)
    found = model.predict(batches(data.test, 5), verbose=0).argmax(-1)
    assert (found == data.test.y).mean() >= 0.9


# A cache of decoded images ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("where", [True, "own"])
def test_decoded_images_are_kept(tmp_path, monkeypatch, where):
    folder = write(tmp_path / "pets", contents() | contents("val/", 2))
    cache = True if where is True else tmp_path / where
    options = {"image_size": 8, "data_dir": tmp_path / "data"}
    plain, first = load(folder, **options), load(folder, cache=cache, **options)
    assert isinstance(first.train.x, Lazy) and same(plain, first)
    place = tmp_path / ("data/cache" if where is True else where)
    kept = sorted(path for path in place.iterdir() if path.suffix == ".npy")
    assert len(kept) == 2 and np.load(kept[0]).dtype == np.uint8 and not list(place.glob(".*.tmp"))
    with monkeypatch.context() as patch:
        patch.setattr(Pictures, "read_all", None)  # nothing is decoded any more, but for a look at the statistics
        patch.setattr("keras_vix.data.folders.sample_statistics", lambda x: (plain.facts.mean, plain.facts.std))
        assert same(load(folder, cache=cache, **options), plain)
        small = load(folder, cache=cache, limit=6, seed=9, **options)
        assert len(small.train.y) + len(small.validation.y) == 6
    (folder / "train/ant/ant_0.png").write_bytes(picture(7, (30, 20)))
    assert 7 in levels(load(folder, cache=cache, stream=False, validation=0, **options).train)


def test_a_full_disk_is_told_before_anything_is_written(tmp_path, monkeypatch):
    folder = write(tmp_path / "pets", contents())
    monkeypatch.setattr("shutil.disk_usage", lambda path: type("Usage", (), {"free": 1000})())
    with pytest.raises(OSError, match="1,000 bytes free"):
        load(folder, image_size=8, cache=tmp_path / "cache")
    assert not [path for path in (tmp_path / "cache").iterdir() if not path.name.endswith(".lock")]


def test_an_interrupted_cache_leaves_nothing_and_is_made_next_time(tmp_path, unmeasured):
    folder = write(tmp_path / "pets", contents() | {"train/bee/bee_3.png": b"text"})
    with pytest.raises(ValueError, match="bee_3.png"):
        load(folder, image_size=8, cache=tmp_path / "cache")
    assert not [path for path in (tmp_path / "cache").iterdir() if not path.name.endswith(".lock")]
    write(folder, contents())
    assert len(load(folder, image_size=8, cache=tmp_path / "cache").train.y) > 0


def test_a_file_of_other_images_in_the_cache_is_named(tmp_path, unmeasured):
    folder, cache = write(tmp_path / "pets", contents() | contents("val/", 2)), tmp_path / "cache"
    load(folder, image_size=8, cache=cache)
    (kept,) = cache.glob("images-train-*.npy")
    for other in (np.zeros((15, 9, 8, 3), np.uint8), np.zeros((15, 8, 8, 3), np.float32)):
        np.save(kept, other)
        shapes = f"(15, 8, 8, 3) are needed. Received: '{kept}' with {other.shape}; delete that file"
        with pytest.raises(ValueError, match=re.escape(shapes)):
            load(folder, image_size=8, cache=cache)


def test_images_in_a_file_have_its_size():
    images = Stored(np.zeros((4, 8, 8, 3), np.uint8))
    assert images.sized((8, 8)) is images
    with pytest.raises(ValueError, match=r"size=\(6, 8\) for \(8, 8, 3\); cache that size"):
        images.sized((6, 8))


# Facts without the images -----------------------------------------------------------------------------------------


def test_facts_of(tmp_path):
    write(tmp_path / "pets", contents())
    facts = facts_of(tmp_path / "pets", image_size=16)
    assert facts.classes == 3 and facts.input_shape == (16, 16, 3)
    assert facts_of("cifar10") is DATASETS["cifar10"] and facts_of("imagenette", image_size=96).input_shape == (96, 96, 3)
    found = keras_vix.describe("performer_softmax", m=8, dataset=facts).config
    assert found["classes"] == 3 and found["input_shape"] == (16, 16, 3) and found["mean"] == facts.mean
