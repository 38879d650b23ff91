"""The HTML page in a browser: what a reader clicks, types, reads and downloads."""

import json
import re
import shutil
import time
from pathlib import Path
from urllib.parse import unquote, urlparse

import pytest
from helpers import handmade
from helpers.handmade import MINI
from helpers.pages import EVIL, page_of, tables_of

from inducer_bench.report import render, store

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
TABLE = "#mini-sst2"
WAIT = 60_000  # milliseconds; a busy machine draws slowly

pytestmark = pytest.mark.skipif(BROWSER is None, reason="there is no Chromium on the PATH")


@pytest.fixture(scope="module")
def browser():
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        yield found
        found.close()


@pytest.fixture(scope="module")
def report(sweep, built, tmp_path_factory):
    """The path of the page."""
    out = tmp_path_factory.mktemp("report")
    (out / "index.html").write_text(page_of(sweep, out, list(built.values())))
    return out / "index.html"


@pytest.fixture(scope="module")
def opened(browser):
    """Opens a page of one width and scheme; at the end of the module no page has told an error or asked for a file."""
    told = []
    kept = {}

    def open_(path, width=1200, scheme="light", **options):
        key = (path, width, scheme, *options.items())
        if key not in kept:
            context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, **options)
            context.set_default_timeout(WAIT)
            page = kept[key] = context.new_page()
            scripts = options.get("java_script_enabled", True)  # without them, figures are files beside the page
            page.on("console", lambda message: told.append(message.text) if scripts else None)
            page.on("pageerror", lambda error: told.append(str(error)))
            page.on("dialog", lambda dialog: (told.append(dialog.message), dialog.dismiss()))
            page.on("request", lambda request: told.append(request.url) if scripts else None)
        kept[key].goto(path.as_uri())
        return kept[key]

    yield open_
    pages = {path.as_uri() for path, *_ in kept}
    assert [text for text in told if text not in pages and not text.startswith(("blob:", "data:"))] == []


@pytest.fixture
def page(opened, report):
    return opened(report)


def until(check):
    """Waits for a check to hold; the browser's own waiting evaluates texts, which the page's policy does not allow."""
    end = time.monotonic() + WAIT / 1000
    while not check():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def column(page, at, table=TABLE):
    """The texts of a column, from top to bottom."""
    return page.locator(f"{table} tbody tr:visible > :nth-child({at})").all_text_contents()


def focused(page):
    return page.evaluate("document.activeElement.textContent")


def cell(page, method, at=1, table=TABLE):
    """The button in a cell of a method's first row."""
    return page.locator(f'{table} tbody tr[data-method="{method}"] td:nth-of-type({at}) button').first


def chart_width(page, within):
    return page.locator(f"{within} svg.marks").first.evaluate("svg => svg.getBoundingClientRect().width")


# -- tables ------------------------------------------------------------------------------------------------------------


def test_heading_sorts_by_its_numbers_best_first_then_turns_then_undoes(page):
    heading = page.locator(f"{TABLE} .sorts th").nth(1)
    before = column(page, 1)

    def numbers():
        return [float(found[0]) for text in column(page, 2) if (found := re.findall(r"^[\d.]+", text))]

    assert numbers() != sorted(numbers(), reverse=True)
    heading.locator("button").click()
    assert heading.get_attribute("aria-sort") == "descending"
    assert numbers() == sorted(numbers(), reverse=True)
    assert len(numbers()) < len(before)
    assert column(page, 2)[len(numbers()) :] == [text for text in column(page, 2) if not re.match(r"\d", text)]
    heading.locator("button").click()
    assert heading.get_attribute("aria-sort") == "ascending"
    assert numbers() == sorted(numbers())
    assert re.match(r"\d", column(page, 2)[0])
    heading.locator("button").click()
    assert heading.get_attribute("aria-sort") is None
    assert column(page, 1) == before


def test_sorting_by_names_orders_numbers_in_them_by_size(page):
    page.locator("#runs .sorts button", has_text="seed").click()
    seeds = [int(text) for text in column(page, 5, "#runs")]
    assert seeds == sorted(seeds)
    page.locator("#runs .sorts button", has_text="method").click()
    assert column(page, 1, "#runs") == sorted(column(page, 1, "#runs"))
    assert page.locator("#runs [aria-sort]").count() == 1


def test_search_shows_rows_with_every_word_and_hides_empty_tables(page):
    everything = page.locator("main tbody tr:visible").count()
    page.get_by_role("searchbox").fill("LORA sst2")
    rows = page.locator("main section.table tbody tr:visible")
    texts = rows.all_text_contents()
    assert 0 < len(texts) < everything
    assert all("lora" in text.lower() for text in texts)
    assert page.locator("output").text_content().startswith(f"{len(texts)} of {everything} rows")
    page.get_by_role("searchbox").fill("gate=false")
    assert column(page, 1, "#runs") == ["Inducer"] * 3
    page.get_by_role("searchbox").fill("no such thing")
    assert rows.count() == 0
    assert page.locator("main section.table:visible").count() == 0
    assert page.locator("nav li:visible").count() == 0
    page.get_by_role("button", name="Clear").click()
    until(lambda: not page.locator("output").text_content())
    assert page.locator("main tbody tr:visible").count() == everything


def test_filters_choose_task_model_and_method(page):
    page.locator("[name=task]").select_option("mnli")
    visible = page.locator("main section.table:visible")
    assert visible.count() > 1
    assert all("mnli" in (tasks or "mnli") for tasks in visible.evaluate_all("all => all.map(s => s.dataset.tasks)"))
    assert set(column(page, 2, "#runs")) == {"mnli"}
    page.locator("[name=plm]").select_option("mini_roberta")
    assert column(page, 2, "#runs") == []
    page.get_by_role("button", name="Clear").click()
    page.locator("[name=method]").select_option(label="LoRA")
    rows = page.locator("main section.table tbody tr:visible")
    assert {*rows.evaluate_all("rows => rows.map(row => row.dataset.method)")} == {"lora"}
    page.get_by_role("button", name="Clear").click()


# -- the runs behind a cell --------------------------------------------------------------------------------------------


def runs_of(sweep, method):
    runs = [run for _, run in store.load(sweep).runs.values()]
    return [run for run in runs if (run.record.method, run.record.suite, run.record.plm_weights)
            == (method, "mini", "pretrained")]  # fmt: skip


def test_cell_opens_its_runs_with_scores_files_curve_and_command(page, report, sweep):
    cell(page, "lora").click()
    panel = page.locator("#panel")
    rows = panel.locator("table").first.locator("tbody tr")
    expected = sorted((str(run.seed), f"{run.record.scores['accuracy'].value:.2f}") for run in runs_of(sweep, "lora"))
    assert sorted(tuple(row.locator("td").all_text_contents()[:3:2]) for row in rows.all()) == expected
    links = [unquote(link.get_attribute("href")) for link in rows.first.locator("a").all()]
    assert links[0].endswith("/")
    assert all((report.parent / link).exists() for link in links)
    assert any(link.endswith("record.json") for link in links)
    command = panel.locator("pre.command").first.text_content()
    assert command.startswith("inducer-bench preset=mini task=sst2 method=lora seed=")
    panel.locator("svg.marks").wait_for()
    assert panel.locator("svg.marks path[aria-roledescription='line mark']").count() == len(expected)
    assert not re.search("null|undefined|NaN", panel.text_content())
    page.keyboard.press("Escape")
    assert not panel.is_visible()
    assert focused(page).startswith("91.0")


def test_panel_says_what_sets_a_setting_apart(page):
    rows = page.locator('section[id^="mini-"] tbody tr[data-method="inducer"]', has_text="gate")
    rows.first.locator("td button").first.click()
    tables = page.locator("#panel table").all_text_contents()
    assert any("method.gate" in text and "false" in text and "true" in text for text in tables[1:2])
    assert any("method.gate" in text for text in tables[2:3])
    page.get_by_role("button", name="Close").click()
    assert not page.locator("#panel").is_visible()


def test_run_that_failed_says_why(page):
    row = page.locator("#runs tbody tr", has_text="failed")
    row.locator("th button").click()
    text = page.locator("#panel").text_content()
    assert "failed: failed" in text
    assert not re.search("null|undefined|NaN", text)
    assert "No learning curve was recorded" in text
    page.keyboard.press("Escape")


def test_curve_of_a_run_shows_values_under_the_pointer(page):
    cell(page, "lora").click()
    point = page.locator("#panel svg.marks path[aria-roledescription='point']").first
    point.wait_for()
    point.hover()
    tip = page.locator(".tip")
    tip.wait_for()
    assert re.search(r"seed \d.*accuracy on the selection set[\d.]+", tip.text_content())
    page.keyboard.press("Escape")


# -- figures -----------------------------------------------------------------------------------------------------------


def test_figure_enlarges_shows_values_and_gives_the_focus_back(page):
    figure = page.locator(f"{TABLE} figure")
    figure.scroll_into_view_if_needed()
    figure.locator("svg.marks").wait_for()
    small = chart_width(page, f"{TABLE} figure")
    button = figure.get_by_role("button", name="Enlarge")
    button.focus()
    page.keyboard.press("Enter")
    page.locator("#viewer svg.marks").wait_for()
    until(lambda: chart_width(page, "#viewer") > 1.5 * small)
    page.locator("#viewer svg.marks path[aria-roledescription='point']").nth(2).hover()
    tip = page.locator(".tip")
    tip.wait_for()
    assert re.search(r"method.+value\d", tip.text_content())
    front = page.evaluate(
        "() => { const box = document.querySelector('.tip').getBoundingClientRect();"
        " return getComputedStyle(document.querySelector('.tip')).display !== 'none' && box.width > 0; }"
    )
    assert front
    page.keyboard.press("Escape")
    assert not page.locator("#viewer").is_visible()
    assert focused(page) == "Enlarge"


def test_wheel_zooms_a_large_figure_and_leaves_the_small_one_alone(page):
    figure = page.locator(f"{TABLE} figure")
    figure.scroll_into_view_if_needed()
    figure.locator("svg.marks").wait_for()
    ticks = "all => all.map(text => text.textContent).join()"
    for within, zooms in ((f"{TABLE} figure", False), ("#viewer", True)):
        if zooms:
            figure.get_by_role("button", name="Enlarge").click()
            page.locator("#viewer svg.marks").wait_for()
            until(lambda: chart_width(page, "#viewer") > 700)
        labels = page.locator(f"{within} svg.marks .role-axis-label text")
        before = labels.evaluate_all(ticks)
        page.locator(f"{within} svg.marks path[aria-roledescription='point']").nth(2).hover()
        page.mouse.wheel(0, -300)
        page.wait_for_timeout(300)
        assert (labels.evaluate_all(ticks) != before) is zooms
    page.keyboard.press("Escape")


def brightness(page, selector, what):
    colour = page.locator(selector).first.evaluate(f"one => getComputedStyle(one).{what}")
    return sum(int(part) for part in re.findall(r"\d+", colour)[:3]) / 765


def test_colours_follow_the_scheme_at_once_figures_too(page):
    figure = f"{TABLE} figure"
    page.locator(figure).scroll_into_view_if_needed()
    page.locator(f"{figure} svg.marks").wait_for()
    mark = f"{figure} svg.marks path[aria-roledescription='point']"
    label = f"{figure} svg.marks .role-axis-label text"
    for scheme, dark in (("light", False), ("dark", True), ("light", False)):
        page.emulate_media(color_scheme=scheme)
        until(lambda: (brightness(page, label, "fill") > 0.5) is dark)  # noqa: B023
        assert (brightness(page, "body", "backgroundColor") < 0.2) is dark
        assert (brightness(page, "body", "color") > 0.8) is dark
        assert (brightness(page, f"{figure} svg.marks", "backgroundColor") < 0.2) is dark
        assert (brightness(page, mark, "fill") > 0.4) is dark  # #222222 in the specification


# -- downloads ---------------------------------------------------------------------------------------------------------


def saved(page, link):
    with page.expect_download() as download:
        link.click()
    return download.value.suggested_filename, Path(download.value.path()).read_bytes()


def test_tables_are_saved_as_the_command_writes_them(page, built):
    table = built["mini/sst2"]
    links = page.locator(f"{TABLE} > .downloads a")
    for kind, text in (("CSV", render.csv_text([table])), ("LaTeX", render.latex(table)),
                       ("Markdown", render.markdown(table))):  # fmt: skip
        name, content = saved(page, links.filter(has_text=kind))
        assert name.startswith("sst2.")
        assert content.decode() == text


def test_figures_are_saved_on_white_whatever_the_scheme(page):
    page.emulate_media(color_scheme="dark")
    figure = page.locator(f"{TABLE} figure")
    name, content = saved(page, figure.get_by_role("link", name="SVG"))
    assert name == "sst2.spread.svg"
    assert content.startswith(b"<svg")
    assert b'fill="white"' in content
    name, content = saved(page, figure.get_by_role("link", name="PNG"))
    assert content.startswith(b"\x89PNG")
    page.emulate_media(color_scheme="light")


# -- reading -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [400, 800, 1600])
def test_page_is_never_wider_than_the_window(opened, report, width):
    page = opened(report, width)
    overflow = "document.documentElement.scrollWidth - innerWidth"
    assert page.evaluate(overflow) <= 0
    figure = page.locator(f"{TABLE} figure")
    figure.scroll_into_view_if_needed()
    figure.locator("svg.marks").wait_for()
    room = figure.locator(".chart").evaluate("chart => chart.clientWidth")
    until(lambda: chart_width(page, f"{TABLE} figure") <= room)
    assert page.evaluate(overflow) <= 0
    cell(page, "lora").click()
    panel = page.locator("#panel")
    panel.locator("svg.marks").wait_for()
    assert panel.evaluate("panel => panel.scrollWidth - panel.clientWidth") <= 0
    assert panel.evaluate("panel => panel.getBoundingClientRect().width") <= width
    page.keyboard.press("Escape")


def test_first_column_and_heading_stay_in_sight(opened, report):
    page = opened(report, 400)
    table = page.locator("#runs .scroll")
    table.evaluate("box => box.scrollTo(300, 300)")
    boxes = "box => [box, box.querySelector('tbody tr:last-child th'), box.querySelector('.sorts th:nth-child(5)')]" \
            ".map(one => one.getBoundingClientRect()).map(one => [one.left, one.top])"  # fmt: skip
    (left, top), (row_left, _), (_, heading_top) = table.evaluate(boxes)
    assert row_left == pytest.approx(left, abs=1)
    assert top - 1 <= heading_top <= top + 3


def test_everything_can_be_done_by_keyboard(page):
    page.locator(f"{TABLE} .sorts button").nth(1).focus()
    page.keyboard.press("Enter")
    assert page.locator(f"{TABLE} .sorts th").nth(1).get_attribute("aria-sort") == "descending"
    for _ in range(12):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.matches('tbody .cell')"):
            break
    assert focused(page) == column(page, 1)[0]
    page.keyboard.press("ArrowRight")
    assert focused(page).startswith("91.0")
    page.keyboard.press("ArrowDown")
    assert focused(page).startswith("71.0")
    page.keyboard.press("Enter")
    assert page.locator("#panel-title").text_content().endswith(": accuracy")
    assert page.evaluate("document.querySelector('#panel').contains(document.activeElement)")
    page.keyboard.press("Escape")
    assert focused(page).startswith("71.0")
    stops = page.locator(f'{TABLE} .cell[tabindex="0"]').count()
    assert stops == 1


def test_texts_have_contrast_in_both_schemes(page):
    script = """() => {
      const parts = (colour) => colour.match(/[\\d.]+/g).slice(0, 3).map((part) => part / 255);
      const bright = (colour) => parts(colour)
        .map((part) => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4)
        .reduce((sum, part, at) => sum + part * [0.2126, 0.7152, 0.0722][at], 0);
      const paper = bright(getComputedStyle(document.body).backgroundColor);
      const contrast = (one) => {
        const ink = bright(getComputedStyle(one).color);
        return (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05);
      };
      return Math.min(...[...document.querySelectorAll("p, a, th, td, small, sup, label, li")].map(contrast));
    }"""
    for scheme in ("dark", "light"):
        page.emulate_media(color_scheme=scheme)
        assert page.evaluate(script) >= 4.5


def test_controls_and_figures_have_names(page):
    nameless = page.locator("button, input, select, a[href], [role=region], nav").evaluate_all(
        "all => all.filter(one => !(one.textContent.trim() || one.ariaLabel || one.labels?.length))"
        ".map(one => one.outerHTML)"
    )
    assert nameless == []
    figure = page.locator(f"{TABLE} figure")
    figure.scroll_into_view_if_needed()
    svg = figure.locator("svg.marks")
    svg.wait_for()
    assert "Every seed" in figure.locator(".chart").get_attribute("aria-label")


def test_print_has_the_tables_and_no_controls(page):
    page.emulate_media(media="print")
    assert page.locator(f"{TABLE} table").is_visible()
    assert not page.locator(".toolbar").is_visible()
    assert not page.locator("nav").is_visible()
    assert page.locator("#runs .scroll").evaluate("box => getComputedStyle(box).overflow") == "visible"
    page.emulate_media(media="screen")


def test_reduced_motion_is_respected(page):
    cell(page, "lora").click()
    moving = "panel => getComputedStyle(panel).animationName"
    assert page.locator("#panel").evaluate(moving) == "slide"
    page.emulate_media(reduced_motion="reduce")
    assert page.locator("#panel").evaluate(moving) == "none"
    page.emulate_media(reduced_motion="no-preference")
    page.keyboard.press("Escape")


def test_tables_and_files_are_there_without_scripts(opened, report):
    page = opened(report, 1200, java_script_enabled=False)
    assert page.locator(f"{TABLE} tbody tr").count() > 5
    assert not page.locator(".toolbar").is_visible()
    assert not page.locator("button:visible").count()
    link = page.locator(f"{TABLE} > .downloads a").first.get_attribute("href")
    assert link == "mini/sst2.csv"


def test_hostile_texts_are_shown_and_do_nothing(opened, tmp_path):
    for seed in (0, 1):
        for method in ("lora", "bitfit"):
            handmade.write_run(tmp_path / "runs", *MINI, f"method={method}", seed=seed, command=EVIL,
                               plm_fingerprint=EVIL, scores={"accuracy": 80.0 + seed, EVIL: 1.0})  # fmt: skip
    record = handmade.record_of(handmade.configuration((*MINI, "method=lora")))
    config = {**record.config, "method": {"name": "gone.away", "value": EVIL}}
    handmade.write_run(tmp_path / "runs", *MINI, config=config, method="gone.away", error=EVIL, status="failed",
                       command=EVIL)  # fmt: skip
    built = tables_of(tmp_path / "runs")
    (tmp_path / "index.html").write_text(page_of(tmp_path / "runs", tmp_path, built))
    page = opened(tmp_path / "index.html")
    elements = page.evaluate("document.querySelectorAll('script, img').length")
    assert elements == 5
    page.get_by_role("searchbox").fill("</script>")
    page.get_by_role("button", name="Clear").click()
    page.locator("#runs tbody tr", has_text="failed").locator("th button").click()
    assert "<script>alert(1)</script>" in page.locator("#panel").text_content()
    page.keyboard.press("Escape")
    page.locator("#runs tbody tr", has_text="done").first.locator("th button").click()
    page.locator("#panel svg.marks").wait_for()
    assert page.evaluate("document.querySelectorAll('script, img').length") == elements
    page.keyboard.press("Escape")


def test_embedded_data_do_not_change_by_use(page):
    before = page.evaluate("JSON.stringify(REPORT)")
    page.emulate_media(color_scheme="dark")
    page.locator(f"{TABLE} figure .enlarge").click()
    page.locator("#viewer svg.marks").wait_for()
    page.keyboard.press("Escape")
    page.emulate_media(color_scheme="light")
    assert page.evaluate("JSON.stringify(REPORT)") == before
    assert json.loads(before)["runs"]
    assert urlparse(page.url).scheme == "file"
