"""Model files from somebody else: each that tries more than to be a model is refused in one sentence, and does nothing."""

import io
import json
import resource
import stat
import subprocess
import sys
import time
import zipfile

import h5py
import keras
import numpy as np
import pytest

import keras_vix
from keras_vix.train import allowed

from . import hostile
from .hostile import CONFIG, WEIGHTS, activation, config_with, entry, function, layer, named, written

SECRET = "what nobody else may read"


@pytest.fixture(scope="module")
def members(tmp_path_factory):
    """What a sound file holds."""
    return hostile.members_of(hostile.sound(tmp_path_factory.mktemp("sound")))


@pytest.fixture
def place(tmp_path, monkeypatch):
    """The folder that a test works in, with a file outside it which nobody may read or change."""
    (tmp_path / "secret").write_text(SECRET)
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "work"


def refused(path, *words, **options):
    """Loading fails at once, in one sentence that has the words, without a process, a connection, a file or much memory."""
    before = {file: file.read_bytes() for file in path.parents[1].rglob("*") if file.is_file()}
    memory, begin = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic()
    with hostile.watched() as done, pytest.raises(ValueError) as caught:
        keras_vix.load(path, **options)
    message = str(caught.value)
    assert done == []
    assert {file: file.read_bytes() for file in path.parents[1].rglob("*") if file.is_file()} == before
    unit = 1024 if sys.platform != "darwin" else 1
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory) * unit < 2**28 and time.monotonic() - begin < 10
    assert "\n" not in message and len(message) < 1000 and path.name in message and SECRET not in message
    assert not [word for word in words if word not in message], message


def test_a_sound_file_loads_and_the_watch_sees_what_it_should(members, place):
    path = written(place / "sound.keras", members)
    with hostile.watched() as done:
        model = keras_vix.load(path)
    assert done == [] and model.name == "tiny" and model.optimizer.name.lower() == "sgd"
    with hostile.watched() as done:
        (place / "x").write_text("")
        subprocess.run([sys.executable, "-c", ""], check=True)
    assert len(done) >= 2


# ---- what a config names -------------------------------------------------------------------------------------------

MARK = {"command": "touch made", "args": ["touch", "made"]}
LOOKUP = {"vocabulary": "../secret", "name": "lookup"}
CONFIGS = {
    # Any module, CVE-2025-1550; an existing function that runs the rest, CVE-2025-8747.
    "a program as a layer": (layer(entry("os", "system", MARK)), "'system' of module 'os'"),
    "a process as a layer": (layer(entry("subprocess", "Popen", MARK)), "'Popen' of module 'subprocess'"),
    "a program as an activation": (activation(function("os", "system")), "'system' of module 'os'"),
    "a built-in function": (activation(function("builtins", "eval")), "'eval' of module 'builtins'"),
    "a registered name": (layer(entry("keras.layers", "Dense", {"units": 2}, "os>system")), None),
    "a module of Keras and its own imports": (activation(function("keras.src.utils.file_utils", "os")), "'os'"),
    "files by a function of Keras": (activation(function("keras.src.utils.file_utils", "rmtree")), "'rmtree'"),
    "a download": (activation(function("keras.utils", "get_file")), "'get_file' of module 'keras.utils'"),
    "a download as a layer": (layer(entry("keras.utils", "get_file", {"origin": "http://x"})), "'get_file'"),
    "another file": (activation(function("keras.saving", "load_model")), "'load_model' of module 'keras.saving'"),
    "another file as a layer": (layer(entry("keras.models", "load_model", {"filepath": "x.h5"})), "'load_model'"),
    "a model in JSON": (activation(function("keras.models", "model_from_json")), "'model_from_json'"),
    # Safe mode off, CVE-2025-9906.
    "safe mode off": (activation(function("keras.config", "enable_unsafe_deserialization")), "'enable_unsafe_deserialization'"),
    "safe mode off as a layer": (layer(entry("keras.config", "enable_unsafe_deserialization")), "'enable_unsafe_deserialization'"),
    "safe mode off in two words": (layer(entry("keras", "config.enable_unsafe_deserialization")), "'config.enable_unsafe"),
    "safe mode off within": (
        activation(function("keras.src.saving.serialization_lib", "enable_unsafe_deserialization")), "'keras.src.saving"),
    "a helper": (activation(function("builtins", "deserialize")), "'deserialize'"),
    "a helper without a module": (lambda config: config["config"]["layers"].append(
        {"class_name": "deserialize", "config": {}, "name": "a", "inbound_nodes": []}), "'deserialize' of module 'None'"),
    # Layers that carry code, or files.
    "code": (layer(entry("keras.layers", "Lambda", {"name": "l", "function": hostile.bytecode()})), "module"),
    "code under another name": (layer(entry("keras.src.layers.core.lambda_layer", "Lambda", {"name": "l"})), "'Lambda'"),
    "code without a module": (layer({"class_name": "Lambda", "module": None, "config": {"name": "l"}}), "'Lambda'"),
    "code as an activation": (activation(hostile.bytecode()), "'__lambda__'"),
    "a SavedModel": (layer(entry("keras.layers", "TFSMLayer", {"filepath": "../x"})), "'TFSMLayer'"),
    "a module of torch": (layer(entry("keras.layers", "TorchModuleWrapper", {"module": "x"})), "'TorchModuleWrapper'"),
    "a file of words": (layer(entry("keras.layers", "StringLookup", LOOKUP)), "'StringLookup'"),
    "a file of numbers": (layer(entry("keras.layers", "IntegerLookup", LOOKUP)), "'IntegerLookup'"),
    "a type of TensorFlow": (activation(
        {"class_name": "__typespec__", "spec_name": "TensorSpec", "module": "tensorflow", "config": [], "registered_name": None}),
        "'__typespec__'"),
    # Places: everywhere.
    "in how it was compiled": (lambda config: config["compile_config"].update(loss=entry("os", "system", MARK)), "'system'"),
    "in how it was built": (lambda config: config["build_config"].update(x=[{"y": entry("os", "system", MARK)}]), "'system'"),
    "in a call": (lambda config: config["config"]["layers"][1]["inbound_nodes"][0]["kwargs"].update(
        training=function("os", "system")), "'system'"),
    "in a value": (activation({"class_name": "__slice__", "config": {"start": entry("os", "system", MARK), "stop": 1, "step": 1}}),
                   "'system'"),
    "at the top": (lambda config: entry("os", "system", MARK), "'system'"),
    "in a list": (lambda config: [entry("os", "system", MARK)], "'system'"),
    "a name that is none": (layer(entry("os", ["system"], MARK)), "'os'"),
    "no name": (activation({"module": "builtins", "class_name": "function", "config": None}), "'None'"),
}


@pytest.mark.parametrize("case", CONFIGS)
def test_a_config_names_layers_and_the_like_of_keras_and_this_package_alone(case, members, place):
    change, words = CONFIGS[case]
    path = written(place / "x.keras", config_with(members, change))
    if words is None:  # of the two things that it names Keras takes the sound one, or none
        with hostile.watched() as done:
            try:
                assert type(keras_vix.load(path).layers[1]) is keras.layers.Dense
            except ValueError as error:
                assert "registered_name" in str(error)
        assert done == []
        return
    refused(path, words, "name layers, losses, metrics, optimizers and the like of keras and keras_vix")
    refused(path, words, compile=False)


def test_a_switch_that_somebody_left_off_changes_nothing(members, place):
    """Keras' own switch wins over `safe_mode=True`."""
    keras.config.enable_unsafe_deserialization()
    try:
        lambdas = config_with(members, layer(entry("keras.layers", "Lambda", {"name": "l", "function": hostile.bytecode()})))
        refused(written(place / "x.keras", lambdas), "x.keras")
    finally:
        keras.utils.clear_session(free_memory=False)


@pytest.mark.parametrize(
    "content, words",
    [
        (b"{", "no JSON"), (b"", "no JSON"), (b"\xff\xfe", "no JSON"), (b"[" * 10**5 + b"]" * 10**5, "64 levels"),
        (b"[" * 70 + b"]" * 70, "64 levels"), (b'{"a":' * 70 + b"1" + b"}" * 70, "64 levels"), (b" " * (2**24 + 1), "16,777,217"),
    ],
    ids=["cut", "empty", "binary", "very deep", "deep list", "deep record", "large"],
)
def test_a_config_is_json_of_bounded_size_and_depth(content, words, members, place):
    refused(written(place / "x.keras", members | {CONFIG: content}), CONFIG, words)


@keras.saving.register_keras_serializable(package="elsewhere")
class Registered(keras.layers.Layer):
    """A layer of another package, which an import has registered."""

    def call(self, x):
        return 2 * x


class Own(keras.layers.Layer):
    """A layer of a user."""

    def call(self, x):
        return 3 * x


@keras.saving.register_keras_serializable(package="elsewhere")
def doubled(x):
    """An activation of another package."""
    return 2 * x


def test_what_is_given_may_be_named_and_nothing_else(members, place):
    def saved(name, *layers):
        path = place / f"{name}.keras"
        keras.Sequential([keras.Input((4,)), *layers]).save(path)
        return path

    x = np.ones((1, 4), "float32")
    path = saved("own", Own())
    refused(path, "'Own' of module", "custom_objects={'Own': ...}")
    refused(path, "'Own'", custom_objects={"Registered": Registered})
    assert keras_vix.load(path, custom_objects={"Own": Own}).predict(x, verbose=0)[0, 0] == 3
    path = saved("registered", Registered())
    refused(path, "'Registered' of module", "custom_objects={'elsewhere>Registered': ...}")
    refused(path, "'Registered'", custom_objects={"elsewhere>Other": Own})
    for name in ("elsewhere>Registered", "Registered"):
        assert keras_vix.load(path, custom_objects={name: Registered}).predict(x, verbose=0)[0, 0] == 2
    path = saved("function", keras.layers.Activation(doubled))
    refused(path, "'elsewhere>doubled'")
    bare = config_with(members, activation("elsewhere>doubled"))  # as older versions of Keras wrote it
    refused(written(place / "bare.keras", bare), f"'elsewhere>doubled' of module {__name__!r}", "custom_objects={'elsewhere>doubled': ...}")
    assert keras_vix.load(path, custom_objects={"elsewhere>doubled": doubled}).predict(x, verbose=0)[0, 0] == 2


@pytest.mark.parametrize("given", [[Own], {"Own": 3}, {3: Own}, "Own"], ids=str)
def test_what_is_given_is_a_dict_of_classes(given, members, place):
    with pytest.raises(TypeError, match="`custom_objects` must be a dict"):
        keras_vix.load(written(place / "x.keras", members), custom_objects=given)


def test_what_keras_itself_offers_may_be_named(place):
    """A layer, a model, a function or whatever else a sound config has, of each kind."""
    layers, rates = keras.layers, keras.optimizers.schedules
    x = keras.Input((6, 4))
    y = layers.Bidirectional(layers.LSTM(2, return_sequences=True))(x)
    y = layers.TimeDistributed(layers.Dense(4, keras.activations.gelu, kernel_regularizer=keras.regularizers.L2(1e-3)))(y)
    y = layers.Dense(4, kernel_initializer=keras.initializers.GlorotNormal(keras.random.SeedGenerator(1)),
                     kernel_constraint=keras.constraints.MaxNorm(2), dtype=keras.DTypePolicy("mixed_float16"))(y)  # fmt: skip
    y = keras.Sequential([layers.Dense(4, activation=keras.ops.relu), layers.Normalization(mean=0.0, variance=1.0)])(keras.ops.abs(y) + y)
    y = layers.RandomRotation(0.1)(layers.Reshape((6, 4, 1))(layers.MultiHeadAttention(2, 2)(y, y)))
    model = keras.Model(x, keras.Model(inner := keras.Input((6, 4, 1)), layers.Flatten()(inner))(y))
    adam = keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam(rates.CosineDecay(0.1, 10)))
    model.compile(adam, keras.losses.sparse_categorical_crossentropy, [keras.metrics.SparseTopKCategoricalAccuracy(2), "accuracy"])
    adam.build(model.trainable_variables)
    model.save(place / "x.keras")
    again = keras_vix.load(place / "x.keras")
    data = np.ones((2, 6, 4), "float32")
    assert np.array_equal(again.predict(data, verbose=0), model.predict(data, verbose=0)) and again.optimizer.built


# ---- what an archive holds -----------------------------------------------------------------------------------------

MEMBERS = {
    "above": (("../x", b""), "'../x' would lie elsewhere"),
    "above from within": (("assets/../../x", b""), "would lie elsewhere"),
    "absolute": (("/tmp/x", b""), "'/tmp/x' would lie elsewhere"),
    "a drive": (("C:\\x", b""), "would lie elsewhere"),
    "backslashes": (("assets\\..\\..\\x", b""), "would lie elsewhere"),
    "a name cut by NUL": ((named("config.json\0.png"), b""), "would lie elsewhere"),
    "the folder itself": (("./x", b""), "'./x' would lie elsewhere"),
    "an empty part": (("assets//x", b""), "would lie elsewhere"),
    "a link": ((named("assets/x", stat.S_IFLNK), b"../../secret"), "'assets/x' is no plain file"),
    "a pipe": ((named("assets/x", stat.S_IFIFO), b""), "'assets/x' is no plain file"),
    "a device": ((named("assets/x", stat.S_IFCHR), b""), "'assets/x' is no plain file"),
    "twice": ((CONFIG, b"{}"), "'config.json' is there twice"),
    "twice in other letters": (("Config.JSON", b"{}"), "'Config.JSON' is there twice"),
}


@pytest.mark.parametrize("case", MEMBERS)
def test_members_lie_within_and_are_plain_files(case, members, place):
    member, words = MEMBERS[case]
    refused(written(place / "x.keras", members, member), words)


@pytest.mark.parametrize("size", [10 * 2**30, 100 * 2**30])
def test_a_member_that_claims_to_be_huge_is_not_unpacked(size, members, place):
    path = hostile.claiming(place / "x.keras", members, size)
    assert path.stat().st_size < 2 * 2**20
    refused(path, f"unpack to {size // 10**9:,}"[:12])


def test_members_that_unpack_to_a_thousand_times_their_size(members, place):
    zeros = zipfile.ZipInfo("assets/zeros")
    zeros.compress_type = zipfile.ZIP_DEFLATED
    path = written(place / "x.keras", members, (zeros, bytes(2**26)))
    assert path.stat().st_size < 2**18
    refused(path, "unpack to 67,")


def test_an_archive_has_at_most_a_thousand_members(members, place):
    refused(written(place / "x.keras", members, *((f"assets/{n}", b"") for n in range(allowed.MEMBERS))), "1,003 members")


def test_what_is_packed_by_other_means_is_refused(members, place):
    for method in (zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2):
        refused(written(place / "x.keras", members, method=method), "neither stored nor deflated")


def test_an_archive_that_was_packed_again_loads(members, place):
    model = keras_vix.load(written(place / "x.keras", members, ("assets/a/b", b""), method=zipfile.ZIP_DEFLATED))
    assert model.name == "tiny"


def test_files_cut_short(members, place):
    whole = written(place / "x.keras", members).read_bytes()
    for length in (0, 1, 100, len(whole) // 2, len(whole) - 1):
        (place / "x.keras").write_bytes(whole[:length])
        refused(place / "x.keras", "must be whole")


def test_a_whole_model_in_hdf5_is_refused_by_its_name(place):
    keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)]).save(place / "x.h5")
    refused(place / "x.h5", "ends in .keras")


# ---- what the weights hold -----------------------------------------------------------------------------------------


def arrays(**more):
    """What fills an HDF5 file with the weights of the sound model, one of them made otherwise."""

    def fill(file):
        group = file.create_group("layers/dense/vars")
        group["1"] = np.zeros(2, "float32")
        more["fill"](group)

    return hostile.hdf5(fill)


def virtual(group):
    layout = h5py.VirtualLayout((4, 2), "uint8")
    layout[:] = h5py.VirtualSource("../secret.h5", "x", (4, 2), "uint8")
    group.create_virtual_dataset("0", layout)


WEIGHT = {
    "an array that claims terabytes": (
        lambda group: group.create_dataset("0", (10**6, 10**6), "float32", chunks=(1000, 1000)), "claims shape (1000000, 1000000)"),
    "an array that shrinks a thousand times": (
        lambda group: group.create_dataset("0", data=np.zeros((2**12, 2**12), "float32"), compression="gzip"), "claims shape"),
    "an array that was never written": (lambda group: group.create_dataset("0", (2**20, 2), "float32"), "claims shape"),
    "an array somewhere else": (
        lambda group: (group.file.create_dataset("elsewhere/0", (2**30,), "float32"), group.create_dataset("0", (4, 2))), "claims shape"),
    "bytes of another file": (
        lambda group: group.create_dataset("0", (2, 4), "uint8", external=[("../secret", 0, 8)]), "lies in another file"),
    "an array of another file": (virtual, "lies in another file"),
    "a link to another file": (lambda group: group.update({"0": h5py.ExternalLink("../secret.h5", "/x")}), "is a link"),
    "a link within": (lambda group: group.update({"0": h5py.SoftLink("/layers/dense/vars/1")}), "is a link"),
    "a group by a link": (lambda group: group.file.update({"optimizer": h5py.ExternalLink("../secret.h5", "/")}), "'/optimizer' is a link"),
}


@pytest.mark.parametrize("case", WEIGHT)
def test_weights_lie_in_their_own_file_and_are_as_large_as_they_claim(case, members, place):
    fill, words = WEIGHT[case]
    with h5py.File(place.parent / "secret.h5", "w") as file:
        file["x"] = np.frombuffer(SECRET[:8].encode(), "uint8").reshape(4, 2)
    refused(written(place / "x.keras", members | {WEIGHTS: arrays(fill=fill)}), words)


def test_weights_are_hdf5(members, place):
    refused(written(place / "x.keras", members | {WEIGHTS: b"\x80\x04K\x01."}), "no HDF5 file")
    others = {name: content for name, content in members.items() if name != WEIGHTS}
    refused(written(place / "x.keras", others | {"model.weights.npz": b"\x80\x04K\x01."}), "no model.weights.h5")


def test_a_group_that_holds_itself_is_looked_at_once(members, place):
    weights = io.BytesIO(members[WEIGHTS])
    with h5py.File(weights, "a") as file:
        file["layers/dense/again"] = file["layers"]
    path = written(place / "x.keras", members | {WEIGHTS: weights.getvalue()})
    assert np.array_equal(keras_vix.load(path).get_weights()[0], keras_vix.load(written(place / "y.keras", members)).get_weights()[0])


def test_the_file_is_as_large_as_the_package_makes_them():
    """Far below the limits: the largest config has many layers, none is deep."""
    model = keras_vix.build("cait_xxs36", dim=16, num_heads=2, input_shape=(32, 32, 3), classes=10, patch=8)
    config = json.dumps(keras.saving.serialize_keras_object(model))
    assert len(config) < allowed.TEXT / 50
    allowed.check_config(json.loads(config), {})
