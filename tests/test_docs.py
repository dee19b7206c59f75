"""The pages that are made from the package are those that lie in `docs/`, and every link of a page leads somewhere."""

import importlib.util
import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("benchmarks/*.md")])


def script(name):
    """A script of `docs/` as a module."""
    spec = importlib.util.spec_from_file_location(name, ROOT / f"docs/{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.long
def test_the_page_of_models_is_up_to_date():
    module = script("make_models")
    assert module.page() == (ROOT / "docs/models.md").read_text(), "run: python docs/make_models.py"


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
        if not target.startswith(("http://", "https://")):
            assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", [page for page in PAGES if "![" in page.read_text()], ids=lambda p: str(p.relative_to(ROOT)))
def test_under_every_picture_stands_what_made_it(page):
    below = re.findall(r"^!\[[^\]]+\]\([^)]+\)\n\n((?:.+\n)+)", page.read_text(), re.M)
    assert len(below) == page.read_text().count("![")
    made = re.compile(r"`(make|python|keras-vix) [\w ./-]+`|`plot_attention\(|`found\.plot\(\)`|```sh\n(make|python|keras-vix) ")
    assert not [text for text in below if not made.search(text)]


@pytest.mark.parametrize(
    "name, words",
    [
        ("swin_t", ["block of stage 4", "× 6", "neighbours merged", "49 tokens x 768", "attention in 2-D windows, exact", "1,000 logits"]),
        ("hybrid_vin_rope", ["convolutional stem", "1 learned token in front", "x + attention, Nyström", "(rotary)", "first token"]),
        ("performer_softmax", ["32 x 32 x 3", "8 x 8 = 64 tokens x 96", "learned positions", "tokens side by side", "10 logits"]),
    ],
)
def test_a_picture_of_blocks_says_what_the_model_is(name, words):
    import xml.etree.ElementTree as tree

    from keras_vix.zoo import configure
    from keras_vix.zoo.outline import outline

    config = configure(name)
    root = tree.fromstring(script("blocks").picture(config, outline(config, name), "a title"))
    told = [text.text for text in root.iter("{http://www.w3.org/2000/svg}text")]
    missing = [word for word in words if not any(word in text for text in told if text)]
    assert not missing and root.find("{http://www.w3.org/2000/svg}title").text == "a title"
    height = float(root.get("viewBox").split()[3])
    boxes = root.findall("{http://www.w3.org/2000/svg}rect")
    assert all(0 <= float(box.get("y")) and float(box.get("y")) + float(box.get("height")) <= height for box in boxes)


def test_every_public_name_has_a_page():
    import keras_vix

    module, told = script("make_api"), {}
    text = "".join(module.page(name, title, told) for name, title in module.MODULES.items())
    for name in keras_vix.__all__:
        thing = getattr(keras_vix, name)
        if callable(thing):
            assert f"keras_vix.{name}\n" in text, name
    assert set(module.MODULES) >= {f"keras_vix.{name}" for name in ("layers", "train", "data", "callbacks", "interop", "interpret", "tune")}
