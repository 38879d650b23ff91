"""The HTML page in a browser: figures that enlarge, zoom, follow the colour scheme, and are saved."""

import re

from helpers.browser import TABLE, chart_width, focused, saved, until


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
