"""The HTML page in a browser: any width, keyboard, contrast, print, no scripts, and texts that would do harm."""

import json
from urllib.parse import urlparse

import pytest
from helpers import handmade
from helpers.browser import TABLE, cell, chart_width, column, focused, until
from helpers.handmade import MINI
from helpers.pages import EVIL, page_of, tables_of


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
    page.locator(f"{TABLE} figure .enlarge").press("Enter")  # a click may miss what moves as figures are drawn
    page.locator("#viewer svg.marks").wait_for()
    page.keyboard.press("Escape")
    page.emulate_media(color_scheme="light")
    assert page.evaluate("JSON.stringify(REPORT)") == before
    assert json.loads(before)["runs"]
    assert urlparse(page.url).scheme == "file"
