"""The HTML page in a real browser, from a file, without a network: sorting, filtering, hiding, enlarging, copying, and small screens."""

import shutil

import pytest
import report_samples
import samples

from keras_vix.bench import figures, plots, report

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (extra `browser`)")
CHROMIUM = next((path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this machine")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run"]


@pytest.fixture(scope="module")
def chromium():
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """A page with everything: seeds, failures, costs, figures, a long name, and a text that would like to be a script."""
    rows = [*report_samples.mixed(), report_samples.done("transformer_local", test_accuracy=None, test_ce=0.02),
            samples.broken("vit", "killed", "<script>document.title = 'hacked'</script>") | {"label": "n" * 150}]
    out = report_samples.folder(tmp_path_factory.mktemp("browser"), rows, "<img src=x onerror=\"document.title='hacked'\">")
    png = plots.encode(plots.plot_history(samples.history(), title="A figure"), "png")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(figures, "files_of", lambda drawing: {"png": png, "svg": b"<svg/>"})
        report.write(out, formats=("html",))
    return out / "results.html"


class Watched:
    """A page that is open, and what it said and asked for."""

    def __init__(self, chromium, path, width=1280, scheme="light"):
        self.context = chromium.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
        self.page = self.context.new_page()
        self.said, self.asked = [], []
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.goto(path.as_uri())

    def column(self, title, table="#results table"):
        """The texts of a column from top to bottom, rows that are shown only."""
        return self.page.eval_on_selector(table, """(table, title) => {
            const place = [...table.tHead.rows].at(-1).cells;
            const index = [...place].findIndex((head) => head.textContent === title);
            return [...table.tBodies[0].rows].filter((row) => !row.hidden).map((row) => row.cells[index].textContent);
        }""", title)


@pytest.fixture
def watched(chromium, results):
    """A fresh page; afterwards nothing was said and nothing but the file (and what is inside it) was asked for."""
    found = Watched(chromium, results)
    yield found
    found.context.close()
    assert found.said == []
    assert [url for url in found.asked if not url.startswith(("file://", "data:image/png"))] == []
    assert sum(url.startswith("file://") for url in found.asked) == 1


def test_numbers_sort_by_value_both_ways_and_dashes_stay_last(watched):
    page = watched.page
    button = page.locator("#results table").first.get_by_role("button", name="Time/epoch (s)")
    head = page.locator("#results table").first.locator("thead th", has=page.get_by_role("button", name="Time/epoch (s)"))
    before = watched.column("Time/epoch (s)")
    assert head.get_attribute("aria-sort") is None
    button.click()
    up = watched.column("Time/epoch (s)")
    assert head.get_attribute("aria-sort") == "ascending" and sorted(before) == sorted(up)
    values = [float(text.strip("?~")) for text in up if text != "–"]
    assert values == sorted(values) and values[-1] == 10 and up[-2:] == ["–", "–"]
    button.focus()
    page.keyboard.press("Enter")
    down = watched.column("Time/epoch (s)")
    assert head.get_attribute("aria-sort") == "descending" and down[0] == "10.0" and down[-2:] == ["–", "–"]
    page.locator("#results table").first.get_by_role("button", name="Model", exact=True).click()
    names = watched.column("Model")
    assert names[0].startswith("linformer") and names == sorted(names, key=str.lower)
    assert page.locator("#results table [aria-sort]").count() == 1


def test_rows_are_filtered_by_words_and_by_choice(watched):
    page = watched.page
    total = len(watched.column("Model"))
    page.fill("#filter", "LINFORMER 0.82")
    assert watched.column("Model") == ["linformer"]
    assert page.text_content("#found").startswith("1 of ")
    assert page.locator("details.run:visible").count() == 1 and page.locator("#more-0 tbody tr:visible").count() == 0
    page.fill("#filter", "")
    assert len(watched.column("Model")) == total and page.text_content("#found") == ""
    page.select_option("select[data-choice=status]", "error")
    assert watched.column("Model") == ["nystromformer (error)"]
    page.select_option("select[data-choice=status]", "")
    page.select_option("select[data-choice=preset]", "linformer")
    assert len(watched.column("Model")) == 3


def test_groups_of_columns_can_be_hidden(watched):
    page = watched.page
    for group, title in (("time", "Time/epoch (s)"), ("accuracy", "Test accuracy"), ("cost", "Parameters"), ("memory", "Training memory (MiB)")):
        heads = page.get_by_role("columnheader", name=title)
        assert heads.first.is_visible()
        page.uncheck(f"input[data-group={group}]")
        assert not heads.first.is_visible() and page.locator(f"td.g-{group}:visible").count() == 0
        page.check(f"input[data-group={group}]")
        assert heads.first.is_visible()
    assert page.locator("#results tbody th").first.is_visible()


def test_a_figure_opens_large_and_escape_closes_it(watched):
    page = watched.page
    button = page.locator("#figures .enlarge").first
    button.click()
    large = page.locator("dialog")
    assert large.is_visible() and page.locator("#enlarged").get_attribute("src") == button.locator("img").get_attribute("src")
    assert page.locator("#enlarged").evaluate("(image) => image.decode().then(() => image.naturalWidth)") > 500
    page.keyboard.press("Escape")
    assert not large.is_visible()
    button.focus()
    page.keyboard.press("Enter")
    assert large.is_visible()
    page.get_by_role("button", name="Close").click()
    assert not large.is_visible()


def test_a_name_leads_to_its_run_and_its_command_is_copied(watched):
    page = watched.page
    watched.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_role("link", name="performer_exp").first.click()
    run = page.locator("details.run[open]")
    assert run.count() == 1 and run.locator("img").first.is_visible()
    run.locator(".copy").click()
    run.locator(".copy", has_text="Copied").wait_for()
    row = report_samples.done("performer_exp")
    told = f"keras-vix bench --models performer_exp --dataset digits --seed 0 --out runs/{row['fingerprint']}"
    assert page.evaluate("navigator.clipboard.readText()") == told


def test_nothing_in_a_row_runs(watched):
    assert watched.page.title() == "<img src=x onerror=\"document.title='hacked'\">"
    assert watched.page.locator("script").count() == 1 and watched.page.locator("h1 img").count() == 0


def test_the_policy_stops_a_script_that_was_put_in_by_hand(chromium, results, tmp_path):
    """That the page's own policy is in force, and not only written down."""
    text = results.read_text().replace("<main>", "<main><script>document.title = 'hacked'</script><img src='http://127.0.0.1:9/x.png'>")
    (tmp_path / "bad.html").write_text(text)
    bad = Watched(chromium, tmp_path / "bad.html")
    assert bad.page.title() != "hacked" and sum("Content Security Policy" in words for words in bad.said) >= 2
    assert bad.page.evaluate("""() => { try { document.body.innerHTML = "<b>x</b>"; return "done"; } catch (error) { return error.name; } }""") == "TypeError"
    bad.context.close()


@pytest.mark.parametrize("width", [1280, 400])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_never_scrolls_sideways_and_its_tables_do(chromium, results, width, scheme):
    found = Watched(chromium, results, width, scheme)
    page = found.page
    page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    box = page.locator("#results .box").first
    assert box.evaluate("(box) => box.scrollWidth > box.clientWidth && box.clientWidth <= innerWidth")
    first = box.locator("tbody th").first
    left = first.bounding_box()["x"]
    box.evaluate("(box) => { box.scrollLeft = 300; }")
    assert abs(first.bounding_box()["x"] - left) < 2  # the name stays where it is
    assert first.bounding_box()["width"] < width / 2 - 20
    assert contrast(page) >= 4.5
    assert page.evaluate("Math.min(...[...document.querySelectorAll('td, p, a, button')].map((one) => parseFloat(getComputedStyle(one).fontSize)))") >= 12
    found.context.close()
    assert found.said == []


def contrast(page) -> float:
    """The smallest contrast (WCAG 2) between the text of the page and what is behind it."""
    return page.evaluate("""() => {
        const light = (text) => {
            const [r, g, b] = text.match(/[\\d.]+/g).slice(0, 3).map((one) => one / 255)
                .map((one) => (one <= 0.03928 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4));
            return 0.2126 * r + 0.7152 * g + 0.0722 * b;
        };
        const behind = (element) => {
            for (let one = element; one; one = one.parentElement) {
                const colour = getComputedStyle(one).backgroundColor;
                if (!colour.endsWith(", 0)")) return colour;
            }
            return "rgb(255, 255, 255)";
        };
        const texts = [...document.querySelectorAll("p, td, th, th a, h1, h2, dt, dd, summary, code, .badge, .copy, figcaption, label")];
        return Math.min(...texts.filter((one) => one.offsetParent).map((one) => {
            const [a, b] = [light(getComputedStyle(one).color), light(behind(one))].sort((x, y) => y - x);
            return (a + 0.05) / (b + 0.05);
        }));
    }""")


def test_on_paper_the_whole_table_is_there(chromium, results):
    found = Watched(chromium, results, 1032)
    found.page.emulate_media(media="print")
    assert found.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert not found.page.locator(".controls, nav").first.is_visible()
    assert found.page.locator("#results table").first.evaluate("(table) => table.offsetWidth <= document.body.clientWidth")
    found.context.close()


def test_without_a_script_everything_can_be_read(chromium, results):
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(results.as_uri())
    assert page.locator("#results tbody tr:visible").count() == len(report_samples.mixed()) + 2
    assert not page.locator(".controls").is_visible() and not page.locator(".copy").first.is_visible()
    context.close()
