"""The HTML page as a parser reads it: what it says, what it may do, and that nothing in a row becomes an element."""

import base64
import hashlib
import html.parser
import re

import pytest
import report_samples
import samples

from keras_vix.bench import figures, report, web

VOID = {"meta", "img", "input", "wbr"}
ALLOWED = {
    "html", "head", "meta", "title", "style", "body", "header", "nav", "main", "footer", "dialog", "form", "script", "h1", "h2", "h3", "p", "div", "span",
    "code", "button", "a", "section", "label", "input", "select", "option", "fieldset", "legend", "output", "table", "caption", "thead", "tbody", "tr",
    "th", "td", "figure", "figcaption", "img", "strong", "details", "summary", "dl", "dt", "dd", "pre", "article", "ul", "li", "wbr",
}  # fmt: skip


class Page(html.parser.HTMLParser):
    """Elements, their attributes and the text inside them; every element has to be closed in order."""

    def __init__(self, text: str):
        super().__init__()
        self.open, self.elements, self.texts = [], [], {}
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        assert tag in ALLOWED, tag
        self.elements.append((tag, dict(attributes)))
        assert len(dict(attributes)) == len(attributes)
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open:
            self.texts.setdefault(self.open[-1], []).append(data)

    def all(self, tag: str) -> list[dict]:
        return [attributes for name, attributes in self.elements if name == tag]


PIXEL = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR42mP4//8/AAX+Av4N70a4AAAAAElFTkSuQmCC")


@pytest.fixture(scope="module")
def no_drawing():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(figures, "files_of", lambda drawing: {"png": PIXEL, "svg": b"<svg/>"})
        yield


@pytest.fixture(scope="module")
def hostile(tmp_path_factory, no_drawing):
    texts = report_samples.HOSTILE
    out = report_samples.folder(tmp_path_factory.mktemp("hostile"), report_samples.hostile(), texts[2], "\n\n".join(texts), texts[15])
    report.write(out, formats=("html",))
    return (out / "results.html").read_text()


@pytest.fixture(scope="module")
def mixed(tmp_path_factory, no_drawing):
    out = report_samples.folder(tmp_path_factory.mktemp("mixed"), report_samples.mixed(), "Mixed", "Text.", "keras-vix bench x.toml")
    report.write(out, formats=("html",))
    return (out / "results.html").read_text()


def test_a_long_name_breaks_behind_an_underscore():
    assert web.breakable("window_1d") == "window_<wbr>1d" and web.breakable("<_>") == "&lt;_<wbr>&gt;" and web.breakable("vit") == "vit"


def test_names_of_a_table_break_there(mixed):
    assert ">performer_<wbr>relu m=16</a>" in mixed


def test_elements_escape_what_is_no_markup():
    assert web.tag("p", "<b>", web.tag("i", "x"), title="\"'<>&") == '<p title="&quot;&#x27;&lt;&gt;&amp;">&lt;b&gt;<i>x</i></p>'
    assert web.tag("input", hidden=True, value=None, checked=False) == "<input hidden>"
    assert web.tag("a", class_="x", aria_label="y") == '<a class="x" aria-label="y"></a>'


def test_nothing_in_a_row_becomes_an_element_or_an_address(hostile):
    page = Page(hostile)
    for tag, attributes in page.elements:
        assert not any(name.startswith("on") or name == "style" for name in attributes), (tag, attributes)
        for name in ("href", "src", "action"):
            value = attributes.get(name)
            assert value is None or re.fullmatch(r"#[a-z]+(-\d+)?|data:image/png;base64,[A-Za-z0-9+/=]+", value), (tag, value)
    assert len(page.all("script")) == len(page.all("style")) == len(page.all("title")) == 1
    assert page.texts["title"] == [report_samples.HOSTILE[2]]
    assert report_samples.HOSTILE[0] in page.texts["a"]
    assert not any(ord(character) < 32 and character != "\n" for character in hostile)
    assert "\u202e" not in hostile


def test_the_policy_allows_exactly_the_style_and_the_script_of_the_page(hostile):
    page = Page(hostile)
    (policy,) = [one["content"] for one in page.all("meta") if one.get("http-equiv") == "Content-Security-Policy"]
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == rules["base-uri"] == rules["form-action"] == "'none'" and rules["img-src"] == "data:"
    for name, tag in (("style-src", "style"), ("script-src", "script")):
        (text,) = page.texts[tag]
        assert rules[name] == f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
    assert "unsafe" not in policy and rules["require-trusted-types-for"] == "'script'"
    assert hostile.index("Content-Security-Policy") < hostile.index("<style>")


def test_the_script_writes_text_and_never_markup():
    script, style = web.source_of("page.js"), web.source_of("page.css")
    for word in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "Function(", "fetch(", "XMLHttpRequest", "import(", "http"):
        assert word not in script
    for word in ("@import", "url(", "http", "expression", "@font-face"):
        assert word not in style
    assert len(script) < 8_000 and len(style) < 12_000


def test_every_link_leads_somewhere_and_no_name_is_used_twice(mixed):
    page = Page(mixed)
    names = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(names) == len(set(names))
    assert {one["href"][1:] for one in page.all("a") if one["href"].startswith("#")} <= set(names)


def test_every_cell_has_its_column_and_every_number_what_sorts_it(mixed):
    for table in re.findall(r"<table.*?</table>", mixed, re.DOTALL):
        groups, *heads = re.findall(r"<tr.*?</tr>", re.search("<thead>.*?</thead>", table, re.DOTALL).group(), re.DOTALL)
        columns = len(re.findall("<th", (heads or [groups])[-1]))
        if heads:
            assert sum(map(int, re.findall(r'colspan="(\d+)"', groups))) == columns
        for line in re.findall(r"<tr.*?</tr>", table.split("<tbody>")[1], re.DOTALL):
            cells = re.findall(r"<t[hd]([^>]*)>(.*?)</t[hd]>", line)
            assert len(cells) == columns
            assert all(("data-v" in said) == (text != "–") for said, text in cells)


def test_what_is_known_of_a_run_is_with_it(mixed):
    page = Page(mixed)
    runs = [one for one in page.all("details") if one.get("class") == "run"]
    assert len(runs) == len(report_samples.mixed())
    assert "keras-vix bench --models performer_relu:m=16 --dataset digits --seed 2" in mixed
    assert mixed.count("Run again by the command of its suite.") == 2
    assert "last line &lt;b&gt;" in mixed and "Half the batch." in mixed and ">noisy</span>" in mixed
    assert {one["data-choice"] for one in page.all("select")} == {"status", "preset"}
    assert {one["data-group"] for one in page.all("input") if "data-group" in one} == {"accuracy", "time", "memory", "cost"}


def test_sections_that_have_nothing_to_say_are_left_out(tmp_path, no_drawing):
    report.write(report_samples.folder(tmp_path, [samples.done()]), formats=("html",))
    text = (tmp_path / "results.html").read_text()
    assert re.findall(r"<h2>(.*?)</h2>", text) == ["Results", "Figures", "Each run", "Environment"]
    assert "<select" not in text and "Process peak (MiB)" in text


def test_published_tables_stand_in_the_page(tmp_path, no_drawing):
    rows = [samples.done("vit", dataset="cifar10"), samples.done("hybrid_vip", dataset="cifar10")]
    report.write(report_samples.folder(tmp_path, rows, study="hybrid_xformers_2022"), formats=("html",))
    text = (tmp_path / "results.html").read_text()
    assert "Beside the published tables" in text and "<th scope=\"row\">ViT</th>" in text and ">56.81</td>" in text


def test_a_figure_larger_than_its_room_is_a_link():
    text = web.figure(web.Picture("figures/a.png", "A", "said", None, b""))
    assert 'href="figures/a.png"' in text and "<img" not in text
    text = web.figure(web.Picture("figures/a.png", "A", "said", None, PIXEL))
    assert 'width="1"' in text and 'height="1"' in text and "data:image/png;base64," in text
