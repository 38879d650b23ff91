"""The HTML page in a browser: sorting, searching, filtering and saving tables, and the runs behind a cell."""

import re
from urllib.parse import unquote

from helpers.browser import TABLE, cell, column, focused, saved, until

from inducer_bench.report import render, store

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


def test_tables_are_saved_as_the_command_writes_them(page, built):
    table = built["mini/sst2"]
    links = page.locator(f"{TABLE} > .downloads a")
    for kind, text in (("CSV", render.csv_text([table])), ("LaTeX", render.latex(table)),
                       ("Markdown", render.markdown(table))):  # fmt: skip
        name, content = saved(page, links.filter(has_text=kind))
        assert name.startswith("sst2.")
        assert content.decode() == text


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
