"""The page of a sweep, opened in Chromium."""

import shutil

import pytest
from helpers.browser import WAIT
from helpers.pages import page_of

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@pytest.fixture(scope="package")
def browser():
    """Chromium, started once for the folder."""
    if BROWSER is None:
        pytest.skip("there is no Chromium on the PATH")
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        yield found
        found.close()


@pytest.fixture(scope="package")
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
    for each in kept.values():
        each.context.close()
    pages = {path.as_uri() for path, *_ in kept}
    assert [text for text in told if text not in pages and not text.startswith(("blob:", "data:"))] == []


@pytest.fixture
def page(opened, report):
    """The page, loaded anew."""
    return opened(report)
