"""The blocks of code in the documents, and what can be said of a command without running it.

A block is fenced and names its language. A comment right above it may say more:

    <!-- file: NAME -->    its content is that file, for the blocks that follow
    <!-- needs: WHAT -->   it is checked, but not run: gpu, network, slurm, docker, key
"""

import importlib.metadata
import importlib.util
import re
import shlex
import textwrap
import tomllib
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
NEEDS = {"gpu", "network", "slurm", "docker", "key"}
LANGUAGES = {"sh", "python", "yaml", "json", "text", "bibtex"}
FENCE = re.compile(r"((?:^ *<!--.*?-->\n)*)^( *)```(\S*)\n(.*?)^ *```$", re.M | re.S)
DIRECTIVE = re.compile(r"<!-- (file|needs): (.*?) -->")
OPTIONS = {"-m", "--multirun", "--plan"}  # of a run, without a value
WITH_VALUE = {"--config-dir", "-cd", "--cfg", "--limit", "--time", "--difference", "--config-name"}
CONTROL = {"&&", "|", ">", "<", ";"}
SHELL = {"echo", "grep", "export", "cd", "source", "git", "wandb"}  # what is not part of this project


@dataclass(frozen=True)
class Block:
    """A fenced block of a document."""

    line: int  # of the fence
    language: str
    body: str
    file: str | None
    needs: frozenset[str]


def blocks(path: Path) -> list[Block]:
    """The fenced blocks of a document, in order."""
    text = path.read_text(encoding="utf-8")
    found = []
    for match in FENCE.finditer(text):
        said = dict(DIRECTIVE.findall(match[1]))
        line = text.count("\n", 0, match.start(3)) + 1
        body = textwrap.dedent(match[4])
        found.append(Block(line, match[3], body, said.get("file"), frozenset(said.get("needs", "").split())))
    return found


def unquoted(body: str) -> list[str]:
    """The words of a block of shell that bash, zsh or sh would not pass on as they are written."""
    bare = re.sub(r"""'[^']*'|"[^"]*"|(?:^|(?<=\s))#.*""", "", body, flags=re.M)
    return [word for word in bare.split() if re.search(r"[][(){}*?~]", word)]


def commands(body: str) -> list[str]:
    """The command lines of a block of shell: those that are continued are joined, comments are dropped."""
    lines = [line for line in body.replace("\\\n", " ").splitlines() if line.strip()]
    joined = [shlex.join(words) if not CONTROL & set(words) else line for line in lines if (words := _words(line))]
    return [line for line in joined if line]


def parts(command: str) -> list[list[str]]:
    """The words of each program that a command line starts."""
    found: list[list[str]] = [[]]
    words = iter(_words(command))
    for word in words:
        if word in ("&&", "|", ";"):
            found.append([])
        elif word in (">", "<"):
            next(words)
        else:
            found[-1].append(word)
    return found


def overrides(words: list[str]) -> tuple[list[str], Path | None]:
    """The overrides among the words of a run, the first value of each that has several; and its `--config-dir`."""
    found, config_dir, rest = [], None, iter(words)
    for word in rest:
        if word in OPTIONS:
            continue
        if word in WITH_VALUE:
            value = next(rest)
            config_dir = Path(value) if word in ("--config-dir", "-cd") else config_dir
        else:
            found.append(word)
    return found, config_dir


def unknown_part(words: list[str]) -> str | None:
    """What a command that is not run names, and this project does not have; None if all is there."""
    program, rest = words[0], words[1:]
    if program in SHELL or program == "inducer-bench":
        return None
    if program == "make":
        targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M)
        return next((word for word in rest if word not in targets and "=" not in word), None)
    if program == "pip":
        return _unknown_requirement(rest)
    if program in ("python", "torchrun", "accelerate"):
        module = rest[rest.index("-m") + 1]
        return None if importlib.util.find_spec(module) else module
    if program in ("sh", "sbatch", "docker"):
        return next((w for w in rest if w.startswith(("scripts/", "examples/")) and not (ROOT / w).is_file()), None)
    scripts = {script.name for script in importlib.metadata.entry_points(group="console_scripts")}
    return None if program in scripts else program


def _unknown_requirement(words: list[str]) -> str | None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for word in words:
        extras = re.search(r"\[(.*)\]", word)
        for extra in extras[1].split(",") if extras else []:
            if extra not in project["optional-dependencies"]:
                return extra
    return None


def _words(line: str) -> list[str]:
    lexer = shlex.shlex(line, posix=True, punctuation_chars="&|<>;")
    lexer.whitespace_split = True
    lexer.commenters = "#"
    return list(lexer)


def table(text: str) -> list[list[str]]:
    """The cells of the one table of a Markdown text, by row, the head among them."""
    lines = [line.strip("|").split("|") for line in text.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line] for line in lines if set("".join(line)) - set("-: ")]
