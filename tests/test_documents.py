"""What the documents say is true: their commands run or compose, their programs run, their links lead somewhere.

The pages of `RUN` are walked from top to bottom in a folder of their own. Of all other pages, runs are composed and
checked, and commands that read finished runs get one. CONTRIBUTING.md is walked by `test_contributing.py`.
"""

import os
import re
from pathlib import Path

import pytest
from helpers import commands, documents
from helpers.documents import ROOT, Block

from inducer_bench.cli.commands import NAMES as COMMANDS
from inducer_bench.cli.sweep_size import count
from inducer_bench.config import compose
from scripts.docs import configuration

PAGES = sorted([ROOT / "README.md", ROOT / "results/README.md", *ROOT.glob("docs/**/*.md")])
RUN = {"first_run.md", "your_method.md", "your_data.md"}
GENERATED = {"reference/commands.md", "reference/configuration.md", "reference/records.md", "reference/python.md"}
CONFIGURED = {"validate", "params", "tune", "plan"}  # commands that take overrides
SMALL = ["task.max_train=32", "task.max_eval=16", "trainer.epochs=1", "trainer.device=cpu"]
REPRODUCE = (ROOT / "docs/reproduce.md").read_text()
SEEN: set[tuple[str, ...]] = set()  # commands that were run for another page
SLOW = {"doctor"}  # asks the network, and is tested elsewhere


def name(path):
    return str(path.relative_to(ROOT))


@pytest.fixture(scope="module")
def finished(tmp_path_factory, run_cli):
    """A folder with two finished runs in `runs`."""
    folder = tmp_path_factory.mktemp("finished")
    process = run_cli("-m", "preset=mini", "task=sst2", "method=bitfit,lora", *SMALL, cwd=folder)
    assert process.returncode == 0, process.stderr
    return folder


@pytest.mark.parametrize("page", [*PAGES, ROOT / "CONTRIBUTING.md"], ids=name)
def test_every_block_names_its_language_and_what_it_needs(page):
    for block in documents.blocks(page):
        assert block.language in documents.LANGUAGES, f"{page.name}:{block.line}: ```{block.language}"
        assert block.needs <= documents.NEEDS, f"{page.name}:{block.line}: {block.needs}"


@pytest.mark.parametrize("page", [*PAGES, *ROOT.glob("*.md"), *ROOT.glob("results/*/*.md")], ids=name)
def test_commands_can_be_pasted_into_a_shell(page):
    for block in documents.blocks(page):
        if block.language == "sh":
            assert documents.unquoted(block.body) == [], f"{page.name}:{block.line}"


def test_words_that_a_shell_would_change_are_found():
    body = """ib -m seed=range(5) 'seed=range(5)' "methods=[lora]"   # [a] comment's
    ib methods=[lora,inducer] a.b=c method=glob(*) {x,y}
    """
    assert documents.unquoted(body) == ["seed=range(5)", "methods=[lora,inducer]", "method=glob(*)", "{x,y}"]


@pytest.mark.parametrize("page", [page for page in PAGES if page.name not in RUN], ids=name)
def test_commands_of_a_page_are_right(page, finished, run_cli, tmp_path, monkeypatch):
    monkeypatch.chdir(finished)
    for block in documents.blocks(page):
        write_file(block, finished)
        for command in documents.commands(block.body) if block.language == "sh" else ():
            for words in documents.parts(command):
                where = f"{page.name}:{block.line}: {command}"
                assert documents.unknown_part(words) is None, where
                check(words, finished, run_cli, where, runs=not block.needs)


def check(words, folder, run_cli, where, runs):
    """Run a command that reads runs; compose one that would make them."""
    if "inducer_bench" in words:  # of torchrun and the like
        words = ["inducer-bench", *words[words.index("inducer_bench") + 1 :]]
    elif words[0] in ("sbatch", "docker"):
        words = ["inducer-bench", *(word for word in words if re.match(r"[\w.]+=", word))]
    if words[0] != "inducer-bench":
        return
    rest = words[1:]
    if not rest or rest[0] not in COMMANDS or rest[0] in ("tune", "plan"):
        composed(rest, where)
    elif runs and rest[0] not in SLOW and tuple(rest) not in SEEN:
        SEEN.add(tuple(rest))
        process = run_cli(*with_runs(rest, folder), cwd=folder)
        assert process.returncode == 0, f"{where}\n{process.stderr}"


def composed(words, where):
    """Compose the configuration of a run; of a sweep, that of its first job."""
    if {"--help", "--version"} & set(words):
        return
    rest, config_dir = documents.overrides([word for word in words if word not in ("tune", "plan")])
    tuning = "tune" in words
    rest = [w if "=" in w else f"experiment={w}" for w in rest]
    rest = [w for w in rest if not (tuning and re.match(r"(tune\.\w+|methods|trials|seeds)=", w))]
    rest = [
        re.sub(r"^([\w.]+)=(range\((\d+)\)|glob\(.*)$", lambda m: f"{m[1]}={0 if m[3] else 'lora'}", w) for w in rest
    ]
    rest = [re.sub(r"^([\w./]+)=([^\[{,]+),.*$", r"\1=\2", w) for w in rest]
    rest = [w for w in rest if not w.startswith(("hydra/", "hydra.", "+hydra."))]
    if any("recipe=" in w for w in rest):
        rest = [w for w in rest if not w.startswith("recipe=")]
    try:
        compose.compose(rest, config_dir)
    except Exception as error:
        pytest.fail(f"{where}\n{error}")


def with_runs(words, folder):
    """The words of a command with the folders of finished runs for RUN, and one that is new for FOLDER."""
    every = (path.parent for path in folder.glob("runs/*/*/*/*/record.json"))
    found = iter(sorted(every, key=lambda run: (run.parent.name != "lora", run)))  # LoRA can be merged
    new = folder / f"new-{len(list(folder.iterdir()))}"
    return [
        str(next(found)) if word == "RUN" else str(new) if word in ("FOLDER", "shared", "merged") else word
        for word in words
    ]


@pytest.mark.parametrize("page", [page for page in PAGES if page.name in RUN], ids=name)
def test_walk_through_a_page_works(page, tmp_path, run_cli):
    for block in documents.blocks(page):
        write_file(block, tmp_path)
        for command in documents.commands(block.body) if block.language == "sh" and not block.needs else ():
            text = None
            for words in documents.parts(command):
                if words[0] == "echo":
                    text = " ".join(words[1:])
                    continue
                assert documents.unknown_part(words) is None, command
                process = run_cli(*shrunk(words[1:], tmp_path), cwd=tmp_path, stdin=(text or "").encode())
                assert process.returncode == 0, f"{page.name}:{block.line}: {command}\n{process.stderr}"


def shrunk(words, folder):
    """The words of a command; of a run, on few examples."""
    if words[0] in COMMANDS and words[0] != "tune":
        return with_runs(words, folder)
    if words[0] == "tune":
        return [re.sub(r"^(trials|seeds)=\d+", r"\1=1", word) for word in words] + SMALL
    if {"--help", "--cfg", "--version"} & set(words):
        return words
    return [*(word.replace("range(2)", "0").replace("range(3)", "0") for word in words), *SMALL]


def write_file(block: Block, folder: Path):
    if block.file is not None:
        (folder / block.file).parent.mkdir(parents=True, exist_ok=True)
        (folder / block.file).write_text(block.body)


def test_programs_of_the_pages_run(finished):
    """All in one process; each page has its own names."""
    pages = {}
    for page in PAGES:
        programs = [b for b in documents.blocks(page) if b.language == "python" and b.file is None]
        for block in programs:
            compile(block.body, f"{page.name}:{block.line}", "exec")
        pages[name(page)] = "\n".join(block.body for block in programs if not block.needs)
    program = f"import sys; sys.path.insert(0, {str(ROOT)!r})\n"
    program += f"for page, body in {pages!r}.items(): exec(compile(body, page, 'exec'), {{}})"
    ended = commands.command([], finished, program=program)
    assert ended.code == 0, ended.err


@pytest.mark.parametrize("page", [*PAGES, *ROOT.glob("*.md")], ids=name)
def test_links_to_files_lead_somewhere(page):
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.S)
    for target in re.findall(r"\]\(([^)\s:#]+)(?:#[^)]*)?\)", text):
        found = (page.parent / target).resolve()
        relative = os.path.relpath(found, ROOT / "docs")
        assert found.exists() or relative in GENERATED, f"{page.name}: {target}"


def test_every_page_is_in_the_navigation():
    listed = set(re.findall(r": (\S+\.md)$", (ROOT / "mkdocs.yml").read_text(), re.M))
    written = {str(path.relative_to(ROOT / "docs")) for path in ROOT.glob("docs/**/*.md")}
    assert listed == written | GENERATED | {"changelog.md"}


@pytest.mark.parametrize(("command", "jobs"), re.findall(r"`inducer-bench -m (experiment=.*?)` \| (\d+) \|", REPRODUCE))
def test_numbers_of_jobs_of_the_paper_are_right(command, jobs):
    overrides = command.split()
    hydra = compose.composed_with_hydra(overrides).hydra
    assert count(overrides, hydra, None) == int(jobs)


def test_every_key_of_the_configuration_has_a_meaning():
    assert configuration.undocumented() == []


COLUMNS = {
    "SST-2": "SST-2 (",
    "CoLA": "CoLA (",
    "MRPC": "MRPC (",
    "STS-B": "STS-B (",
    "RTE": "RTE (",
    "WebNLG": ", BLEU, smollm2",
    "unseen": ", BLEU unseen",
    "CoQA split": "CoQA dev split",
}  # README -> claims


def test_intervals_on_the_page_of_real_models_are_those_of_the_records():
    """Without their signs: `2.8 points worse (1.2 to 4.4)` is -4.4 to -1.2 of the inducer."""
    number = r"[+-]?(\d+(?:\.\d+)?)"
    claims = (ROOT / "results/real/claims.md").read_text()
    known = {frozenset(ends) for ends in re.findall(rf"{number}(?: to |, ){number}", claims)}
    page = " ".join((ROOT / "results/real/README.md").read_text().split())
    told = page.partition("## What was found")[2].partition("## How it is done")[0]
    shown = re.findall(rf"[(;,] ?{number} to {number}(?=[,;)])", told)
    assert len(shown) > 50
    assert [ends for ends in shown if frozenset(ends) not in known] == []


PLACES = {  # a row of the page of real models -> how its place in claims begins and ends
    "SST-2, accuracy": ("SST-2 (19,000", "examples)"),
    "the same with all data": ("SST-2 (63,981", "on minilm"),
    "its seen categories": ("WebNLG", "BLEU seen"),
    "its unseen categories": ("WebNLG", "BLEU unseen"),
    "WebNLG, BLEU": ("WebNLG", "examples)"),
    "CoQA split, F1": ("CoQA", "examples)"),
    "mean of MiniLM's tasks": ("Mean over 5", "tasks"),
    "mean of SmolLM2's": ("Mean over 2", "tasks"),
}
OTHERS = ("Fine-tuning", "Prefix", "Prefix, not reparameterised", "LoRA")


def test_differences_on_the_page_of_real_models_are_those_of_the_records():
    claims = (ROOT / "results/real/claims.md").read_text().partition("## (a)")[2].partition("## (b)")[0]
    rows = [line.strip("| ").split(" | ") for line in claims.splitlines() if " | Inducer | " in line]
    page = (ROOT / "results/real/README.md").read_text().partition("**Inducers minus")[2].partition("**MiniLM on")[0]
    (_, *written), expected = documents.table(page), []
    for what, *_ in written:
        start, end = PLACES.get(what, (what.partition(",")[0] + " (", "examples)"))
        cells = {row[2]: row for row in rows if row[0].startswith(start) and row[0].endswith(end)}
        found = [what, next(iter(cells.values()))[3]]
        for other in OTHERS:
            if other in cells:
                difference, _, interval = cells[other][5].partition(" ")
                marked = f"**{difference}**" if cells[other][7] in ("better", "worse") else difference
                found.append(f"{marked} ({interval.strip('[]').replace(', ', ' to ')})")
            else:
                found.append("")
        expected.append(found)
    assert written == expected
    assert sum(bool(cell) for row in written for cell in row[2:]) == len(rows)


def test_results_in_the_readme_are_those_of_the_records():
    """The page that they are compared with is made from the records, as another test checks."""
    page = (ROOT / "results/real/claims.md").read_text()
    heads, *rows = documents.table(page.partition("## Scores")[2].partition("## (a)")[0])
    found = {row[0]: dict(zip(heads, row, strict=True)) for row in rows}
    (_, *shown), *written = documents.table(
        (ROOT / "README.md").read_text().partition("## Results")[2].partition("## Cite")[0]
    )
    columns = {name: next(head for head in heads if COLUMNS[name] in head) for name in shown}
    assert len(written) == 7
    for title, *cells in written:
        expected = [found[title][columns[name]].rpartition(" (")[0] for name in shown]
        assert cells == expected, title
