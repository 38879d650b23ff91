"""What a reader sees on the HTML page in a browser, and how long a test waits for it."""

import time
from pathlib import Path

TABLE = "#mini-sst2"
WAIT = 60_000  # milliseconds; a busy machine draws slowly


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


def saved(page, link):
    with page.expect_download() as download:
        link.press("Enter")  # a click may miss what moves as figures are drawn
    return download.value.suggested_filename, Path(download.value.path()).read_bytes()
