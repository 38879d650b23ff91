"""Data files that cannot be read, or whose fault would show only later."""

import gzip
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from helpers.commands import Trouble

from chaos.cases import EITHER, REFUSED, TINY, TINY_NLG, Case, files, text_file

_CLASSIFY = [
    *"task=classification task.data_dir=d plm=mini_roberta method=lora task.max_length=64".split(),
    *"trainer.epochs=1 trainer.batch_size=4 output_dir=runs".split(),
]
_ON_DECODER = [word.replace("mini_roberta", "mini_gpt2") for word in _CLASSIFY]
_TRANSLATE = [
    *"task=text_to_text task.data_dir=d plm=mini_gpt2 method=lora task.max_length=64 trainer.epochs=1".split(),
    *"trainer.batch_size=4 output_dir=runs task.decoding.max_new_tokens=4 task.metrics=[bleu]".split(),
]
_WEBNLG = [
    *"task=webnlg task.data_dir=d plm=mini_gpt2 method=lora task.max_length=64 trainer.epochs=1".split(),
    *"trainer.batch_size=4 output_dir=runs task.decoding.max_new_tokens=4 task.metrics=[bleu]".split(),
]
_COQA = [
    *"task=coqa task.source=files task.data_dir=d plm=mini_gpt2 method=lora task.max_length=128".split(),
    *"trainer.epochs=1 trainer.batch_size=4 output_dir=runs task.decoding.max_new_tokens=4".split(),
]

_ROWS = [
    {"text": f"the film is {word}", "label": label}
    for word, label in (("good", "pos"), ("bad", "neg"), ("great", "pos"), ("awful", "neg"))
]
_PAIRS = [{"source": f"Ada saw {i} films", "target": f"Films seen by Ada : {i}"} for i in range(4)]
_DEEP = "[" * 100_000


def cases() -> Iterator[Case]:
    """Tables of texts and labels, of sources and targets, WebNLG's and CoQA's files, and files that are none."""
    yield from _tables()
    yield from _labels()
    yield from _texts()
    yield from _pairs()
    yield from _webnlg()
    yield from _coqa()
    yield from _no_files()


def _lines(rows: list[dict[str, object]]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def _table(rows: list[dict[str, object]], separator: str = "\t") -> str:
    columns = list(rows[0])
    lines = [separator.join(columns), *(separator.join(str(row[name]) for name in columns) for row in rows)]
    return "\n".join(lines) + "\n"


def _both(ending: str, train: str | bytes, dev: str | bytes | None = None) -> Callable[[Path], None]:
    return files({f"d/train.{ending}": train, f"d/dev.{ending}": train if dev is None else dev})


def _tables() -> Iterator[Case]:
    tsv, jsonl = _table(_ROWS), _lines(_ROWS)
    wide = ",".join(f"c{i}" for i in range(20_000)) + "\n" + ",".join("x" for _ in range(20_000)) + "\n"
    broken: dict[str, tuple[str, str | bytes]] = {
        "empty": ("tsv", ""),
        "blank lines alone": ("tsv", "\n\n\n"),
        "header alone": ("tsv", "text\tlabel\n"),
        "no such column": ("tsv", tsv.replace("text", "txt")),
        "binary": ("tsv", bytes(range(256)) * 20),
        "UTF-16": ("tsv", tsv.encode("utf-16")),
        "Latin-1": ("tsv", "text\tlabel\ncaf\xe9\tpos\n".encode("latin-1")),
        "NUL bytes": ("tsv", tsv.replace("film", "fi\0lm")),
        "one column twice": ("tsv", tsv.replace("text\t", "label\t")),
        "CR line ends": ("tsv", tsv.replace("\n", "\r")),
        "a field too few": ("tsv", tsv + "only text\n"),
        "a field too many": ("tsv", tsv + "a\tb\tc\n"),
        "not gzip": ("tsv.gz", tsv),
        "cut gzip": ("tsv.gz", gzip.compress(tsv.encode())[:-9]),
        "20,000 columns": ("csv", wide),
        "open quote": ("csv", 'text,label\n"never closed,pos\n'),
        "empty csv": ("csv", ""),
        "cut JSON": ("jsonl", jsonl + '{"text": "a'),
        "deep JSON": ("jsonl", jsonl + _DEEP),
        "endless integer": ("jsonl", jsonl + "1" * 5000),
        "NaN": ("jsonl", jsonl + '{"text": NaN, "label": "pos"}\n'),
        "a list": ("jsonl", "[1, 2]\n"),
        "a number": ("jsonl", "3\n"),
        "null text": ("jsonl", jsonl + '{"text": null, "label": "pos"}\n'),
        "a text that is a list": ("jsonl", jsonl + '{"text": ["a"], "label": "pos"}\n'),
        "half a surrogate pair": ("jsonl", jsonl + '{"text": "\\ud800", "label": "pos"}\n'),
        "a missing key": ("jsonl", jsonl + '{"label": "pos"}\n'),
        "JSON of an object": ("json", '{"a": 1}'),
        "deep JSON file": ("json", _DEEP),
        "no parquet": ("parquet", "PAR1 no"),
        "empty parquet": ("parquet", b""),
    }
    for name, (ending, content) in broken.items():
        yield Case("tables", name, _CLASSIFY, REFUSED, ("train", "dev", "text"), _both(ending, content))
    fine: dict[str, tuple[str, str | bytes]] = {
        "byte order mark": ("tsv", b"\xef\xbb\xbf" + tsv.encode()),
        "CRLF": ("tsv", tsv.replace("\n", "\r\n")),
        "no line end at the end": ("tsv", tsv.rstrip("\n")),
        "gzip": ("tsv.gz", gzip.compress(tsv.encode())),
        "byte order mark in jsonl": ("jsonl", b"\xef\xbb\xbf" + jsonl.encode()),
        "a field of 200,000 letters": ("csv", _table(_ROWS, ",") + "x" * 200_000 + ",pos\n"),
        "line separators in JSON": ("jsonl", jsonl + '{"text": "a\u2028b\u0085c", "label": "pos"}\n'),
        "JSON of a list": ("json", json.dumps(_ROWS)),
        "a line of 2 MB": ("jsonl", jsonl + json.dumps({"text": "word " * 400_000, "label": "pos"}) + "\n"),
        "a pair written as escapes": ("jsonl", jsonl + '{"text": "\\ud83d\\ude00", "label": "pos"}\n'),
    }
    for name, (ending, content) in fine.items():
        yield Case("tables", f"{name} (fine)", _CLASSIFY, frozenset({0}), (), _both(ending, content))


def _labels() -> Iterator[Case]:
    odd = {
        "empty": "",
        "blank": " ",
        "dash": "-",
        "minus one": "-1",
        "escape sequence": "\x1b[31mred",
        "of 10,000 letters": "x" * 10_000,
    }
    for name, label in odd.items():
        rows = [*_ROWS, {"text": "another film", "label": label}]
        allowed = REFUSED if name in ("empty", "blank", "dash", "minus one") else EITHER
        for ending, content in (("jsonl", _lines(rows)), ("csv", _table(rows, ","))):
            yield Case("labels", f"{name}, {ending}", _CLASSIFY, allowed, ("label", "train"), _both(ending, content))
    unseen = _lines([*_ROWS, {"text": "another film", "label": "mixed"}])
    yield Case("labels", "of dev alone", _CLASSIFY, REFUSED, ("mixed",), _both("jsonl", _lines(_ROWS), unseen))
    yield Case("labels", "one alone", _CLASSIFY, EITHER, ("label",), _both("jsonl", _lines([_ROWS[0]] * 4)))
    yield Case(
        "labels",
        "blanks around",
        _CLASSIFY,
        EITHER,
        ("label", "pos"),
        _both("jsonl", _lines([*_ROWS, {**_ROWS[0], "label": "pos "}])),
    )
    many = _lines([{"text": f"film {i}", "label": f"label{i}"} for i in range(5000)])
    yield Case(
        "labels",
        "unknown among 5,000",
        _CLASSIFY,
        REFUSED,
        ("nope",),
        _both("jsonl", many, _lines([{"text": "a", "label": "nope"}])),
    )
    numbers = [*_CLASSIFY, "task.labels=number", "task.metrics=[pearson]", "task.metric=pearson"]
    for name, value in {
        "a word": '"abc"',
        "NaN": "NaN",
        "too large": "1e400",
        "empty": '""',
        "null": "null",
        "true": "true",
        "a list": "[1]",
    }.items():
        content = "".join(f'{{"text": "a {i}", "label": {value if i == 3 else i}}}\n' for i in range(4))
        yield Case("labels", f"number: {name}", numbers, REFUSED, ("label", "line 4"), _both("jsonl", content))
    dates = _lines([{"text": f"film {i}", "label": ("01", "1", "١")[i % 3]} for i in range(6)])
    yield Case("labels", "equal numbers", _CLASSIFY, EITHER, ("label",), _both("jsonl", dates))


def _texts() -> Iterator[Case]:
    empty = [{**row, "text": ""} for row in _ROWS]
    for name, plm in (("encoder", _CLASSIFY), ("decoder", _ON_DECODER)):
        yield Case("texts", f"all empty, {name}", plm, EITHER, ("text", "train"), _both("jsonl", _lines(empty)))
        yield Case(
            "texts", f"one empty, {name}", plm, EITHER, ("text", "train"), _both("jsonl", _lines([*_ROWS, empty[0]]))
        )
        for length in (0, 1, 2, 3, 10_000):
            yield Case(
                "texts",
                f"max_length {length}, {name}",
                [*plm, f"task.max_length={length}"],
                REFUSED if length in (0, 1, 10_000) and name == "encoder" else EITHER,
                ("task.max_length",),
                _both("jsonl", _lines(_ROWS)),
            )
    pairs = [{"a": "a film", "b": "a story", "label": label} for label in ("yes", "no", "yes", "no")]
    for length in (1, 2, 3, 4, 5):
        yield Case(
            "texts",
            f"max_length {length}, pair",
            [*_CLASSIFY, "task.text=[a,b]", f"task.max_length={length}"],
            REFUSED if length < 5 else EITHER,
            ("task.max_length",),
            _both("jsonl", _lines(pairs)),
        )


def _pairs() -> Iterator[Case]:
    for name, row in {
        "empty source": {"source": "", "target": "a"},
        "empty target": {"source": "a", "target": ""},
        "blank target": {"source": "b", "target": " "},
        "both empty": {"source": "", "target": ""},
        "target of a line separator": {"source": "b", "target": "\u2028"},
        "source of 1 MB": {"source": "word " * 200_000, "target": "a"},
        "target of 100 kB": {"source": "a", "target": "word " * 20_000},
    }.items():
        allowed = REFUSED if "target" in name and ("empty" in name or "blank" in name) else EITHER
        yield Case(
            "pairs", name, _TRANSLATE, allowed, ("train", "target", "source"), _both("jsonl", _lines([*_PAIRS, row]))
        )


def _entry(text: str, category: str = "Astronaut", lex: str = '<lex comment="good" lid="Id1">{}</lex>') -> str:
    triple = "<modifiedtripleset><mtriple>Ada | birthPlace | Rivertown</mtriple></modifiedtripleset>"
    return f'<entry category="{category}" eid="Id1" size="1">{triple}{lex.format(text)}</entry>'


def _webnlg() -> Iterator[Case]:
    def case(name: str, train: str | bytes, allowed: frozenset[int] = REFUSED) -> Case:
        good = f"<benchmark><entries>{_entry('Ada was born in Rivertown .')}</entries></benchmark>"
        return Case(
            "webnlg",
            name,
            _WEBNLG,
            allowed,
            ("d/train", "train.xml"),
            files({"d/train.xml": train, "d/dev.xml": good, "d/test.xml": good}),
        )

    def entries(*each: str) -> str:
        return f"<benchmark><entries>{''.join(each)}</entries></benchmark>"

    bomb = '<!DOCTYPE l [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">]>' + entries(_entry("&b;"))
    outside = '<!DOCTYPE l [<!ENTITY a SYSTEM "file:///etc/passwd">]>' + entries(_entry("&a;"))
    yield case("no entries", entries())
    yield case("blank text", entries(_entry(" ")))
    yield case("empty text", entries(_entry("")))
    yield case("no text", entries(_entry("", lex="")))
    yield case("entities", bomb, EITHER)
    yield case("an external entity", outside)
    yield case("cut", entries(_entry("Ada"))[:-20])
    yield case("deep", "<a>" * 100_000)
    yield case("not XML", "hello")
    yield case("other XML", "<html><body/></html>")
    yield case("no triples", entries('<entry category="A" eid="1" size="0"><lex comment="good">Ada</lex></entry>'))
    yield case("nested text", entries(_entry("<text>Ada was born in Rivertown .</text>")), EITHER)
    yield case("inline markup", entries(_entry("Ada <i>Low</i> was born .")), EITHER)
    yield case("no comment", entries(_entry("Ada was born .", lex="<lex>{}</lex>")), EITHER)
    yield case("empty comment", entries(_entry("Ada was born .", lex='<lex comment="">{}</lex>')), EITHER)
    yield case("all bad", entries(_entry("Ada was born .", lex='<lex comment="toFix">{}</lex>')))


def _coqa() -> Iterator[Case]:
    def dialogue(**changes: object) -> dict[str, object]:
        turns = range(1, 4)
        return {
            "id": "x",
            "source": "wikipedia",
            "filename": "f",
            "story": "Ada was born in Rivertown. She is a pilot.",
            "questions": [{"input_text": f"Question {i} ?", "turn_id": i} for i in turns],
            "answers": [
                {"span_start": 0, "span_end": 3, "span_text": "Ada", "input_text": "Ada", "turn_id": i} for i in turns
            ],
        } | changes

    def case(name: str, content: object, allowed: frozenset[int] = REFUSED) -> Case:
        text = content if isinstance(content, str) else json.dumps({"version": "1.0", "data": content})
        good = json.dumps({"version": "1.0", "data": [dialogue()]})
        return Case(
            "coqa",
            name,
            _COQA,
            allowed,
            ("coqa-train", "story", "answers", "questions"),
            files({"d/coqa-train-v1.0.json": text, "d/coqa-dev-v1.0.json": good}),
        )

    yield case("no data", [])
    yield case("data of another type", '{"data": 3}')
    yield case("a list", "[]")
    yield case("deep", _DEEP)
    yield case("no story", [{key: value for key, value in dialogue().items() if key != "story"}])
    yield case("empty story", [dialogue(story="")], EITHER)
    yield case("no questions", [dialogue(questions=[], answers=[])])
    yield case("an answer too few", [dialogue(answers=dialogue()["answers"][:2])])  # type: ignore[index]
    yield case("half a surrogate pair", [dialogue(story="\ud800")])
    yield case("story of 5 MB", [dialogue(story="Ada was born. " * 400_000)], EITHER)
    yield case("questions null", [dialogue(questions=None)])
    yield case(
        "turn ids as text",
        [dialogue(questions=[{"input_text": "Who ?", "turn_id": str(i)} for i in (1, 2, 3)])],
        EITHER,
    )
    yield case("equal turn ids", [dialogue(questions=[{"input_text": "Who ?", "turn_id": 1}] * 3)])


def _no_files() -> Iterator[Case]:
    def fifo(folder: Path) -> None:
        (folder / "d").mkdir()
        os.mkfifo(folder / "d/train.tsv")
        (folder / "d/dev.tsv").write_text(_table(_ROWS))

    def loop(folder: Path) -> None:
        (folder / "d").mkdir()
        (folder / "d/train.tsv").symlink_to("train.tsv")

    def closed(name: str) -> Callable[[Path], None]:
        def prepare(folder: Path) -> None:
            _both("tsv", _table(_ROWS))(folder)
            (folder / name).chmod(0)

        return prepare

    def a_folder(folder: Path) -> None:
        (folder / "d/train.tsv").mkdir(parents=True)
        (folder / "d/dev.tsv").write_text(_table(_ROWS))

    no_privileges = Trouble(no_privileges=True)
    yield Case("files", "no folder", _CLASSIFY, REFUSED, ("task.data_dir",))
    yield Case("files", "a file for a folder", _CLASSIFY, REFUSED, ("task.data_dir",), text_file("d", ""))
    yield Case(
        "files", "an empty folder", _CLASSIFY, REFUSED, ("task.data_dir",), lambda folder: (folder / "d").mkdir()
    )
    yield Case(
        "files", "no dev", _CLASSIFY, REFUSED, ("task.data_dir", "task.files"), text_file("d/train.tsv", _table(_ROWS))
    )
    yield Case(
        "files",
        "two of a name",
        _CLASSIFY,
        REFUSED,
        ("task.files.train",),
        files({"d/train.tsv": "a", "d/train.csv": "b", "d/dev.tsv": "c"}),
    )
    yield Case("files", "a pipe", _CLASSIFY, REFUSED, ("d/train", "task."), fifo)
    yield Case("files", "a loop of links", _CLASSIFY, REFUSED, ("d/train", "task."), loop)
    yield Case("files", "a folder for a file", _CLASSIFY, REFUSED, ("d/train", "task."), a_folder)
    yield Case(
        "files", "an unreadable file", _CLASSIFY, REFUSED, ("d/train",), closed("d/train.tsv"), trouble=no_privileges
    )
    yield Case("files", "an unreadable folder", _CLASSIFY, REFUSED, ("d",), closed("d"), trouble=no_privileges)
    for base, split in ((TINY, "train"), (TINY_NLG, "test")):
        for name in ("../../etc/passwd", "/etc/passwd", "''", ".", "nope", "x" * 300):
            label = f"task.files.{split}={name[:20]} of {base[1]}"
            yield Case(
                "files",
                label,
                [*base, f"task.files.{split}={name}"],
                REFUSED,
                ("task.files", "task.data_dir", "passwd"),
            )
