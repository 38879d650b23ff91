"""WebNLG 2017: a text that expresses a set of RDF triples (Gardent et al. 2017, https://aclanthology.org/W17-3518).

Read from JSON, from XML, or from folders of XML files.
"""

from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from inducer_bench.errors import UserError
from inducer_bench.metrics.metric import Row
from inducer_bench.tasks.files import ending, find, parts, read_json, read_text
from inducer_bench.tasks.generation import GenerationTask
from inducer_bench.tasks.options import WebNlgOptions
from inducer_bench.tasks.sample import Sample
from inducer_bench.tasks.sequence import Frame, Segment
from inducer_bench.tasks.source import data_folder, limited

FRAME = Frame("<bos_webnlg>", "<bos_webnlg>", "<target_webnlg>", "<eos_webnlg>")
SEEN, UNSEEN = "seen", "unseen"  # categories that train has entries of, and others

Entry = tuple[str, str, list[tuple[str, str, str]], list[str]]  # id, category, triples, good texts


class WebNlgTask(GenerationTask):
    """Texts for triples, scored on all entries and on those of seen and of unseen categories."""

    config: WebNlgOptions
    frame = FRAME

    def read(self, split: str) -> list[Sample]:
        """The entries of a split that have a good text.

        Raises:
            UserError: the file is missing, damaged or of another layout.
        """
        seen = self._categories_of_train
        samples = [
            Sample(name, _segments(triples), tuple(texts), tuple(texts), SEEN if category in seen else UNSEEN)
            for name, category, triples, texts in _entries(self.config, split)
            if texts
        ]
        return limited(self.config, split, samples)

    @cached_property
    def _categories_of_train(self) -> set[str]:
        return {category for _, category, _, _ in _entries(self.config, "train")}

    def new_row(self, values: dict[str, Any], where: str) -> Sample:
        """`{"triples": [["subject", "property", "object"], ...]}`."""
        try:
            triples = [tuple(triple) for triple in values["triples"]]
            name, _, checked, _ = _checked((where, "", triples, []))
        except (KeyError, TypeError) as error:
            raise UserError(
                f"{where}: {_missing(error)}; expected triples: [[subject, property, object], ...]"
            ) from None
        return Sample(name, _segments(checked), (), ())

    def parts(self, predictions: Sequence[Row]) -> dict[str, Sequence[int]]:
        """All entries, and those of seen and of unseen categories."""
        groups = {
            group: [index for index, row in enumerate(predictions) if row["group"] == group] for group in (SEEN, UNSEEN)
        }
        return {**super().parts(predictions), **groups}


def _segments(triples: list[tuple[str, str, str]]) -> tuple[Segment, ...]:
    openings = ("<subject>", "<property>", "<object>")
    return tuple((opening, plain(part)) for triple in triples for opening, part in zip(openings, triple, strict=True))


def plain(name: str) -> str:
    """A name of the knowledge base as it would be written in a text: `"Aarhus,_Denmark"` -> `Aarhus, Denmark`."""
    return name.strip().strip('"').replace("_", " ")


def _entries(task: WebNlgOptions, split: str) -> Iterator[Entry]:
    folder = data_folder(task)
    assert folder is not None  # the hub does not have this task
    for part, path in parts(find(task, folder, split)).items():
        for name, category, triples, texts in _from_json(path) if ending(path) == "json" else _from_xml(path):
            # Each file of a tree numbers its entries anew.
            yield f"{part}/{name}" if part else name, category, triples, texts


def _from_json(path: Path) -> Iterator[Entry]:
    content = read_json(path)
    try:
        entries = [entry for wrapped in content["entries"] for entry in wrapped.items()]
    except (KeyError, TypeError, AttributeError):
        raise UserError(f"{path}: not in WebNLG's layout; expected an object with a list 'entries'") from None
    for number, entry in entries:
        try:
            triples = [(t["subject"], t["property"], t["object"]) for t in entry["modifiedtripleset"]]
            texts = [text["lex"] for text in entry["lexicalisations"] if text["comment"] == "good"]
            yield _checked((str(number), entry["category"], triples, texts))
        except (KeyError, TypeError) as error:
            raise UserError(f"{path}, entry {number}: {_missing(error)}") from None


def _from_xml(path: Path) -> Iterator[Entry]:
    try:
        root = ElementTree.fromstring(read_text(path))
    except ElementTree.ParseError as error:
        raise UserError(f"{path}, line {error.position[0]}: not whole XML ({error.msg})") from None
    for entry in root.iter("entry"):
        name = entry.get("eid", "")
        try:
            triples = [tuple(part.strip() for part in _text(t).split("|")) for t in entry.iter("mtriple")]
            texts = [_text(lex) for lex in entry.iter("lex") if lex.get("comment") == "good"]
            yield _checked((name, entry.attrib["category"], triples, texts))
        except (KeyError, TypeError) as error:
            raise UserError(f"{path}, entry {name}: {_missing(error)}") from None


def _text(element: ElementTree.Element) -> str:
    if element.text is None:
        raise TypeError(f"an empty <{element.tag}>")
    return element.text


def _checked(entry: tuple[str, Any, list[Any], list[Any]]) -> Entry:
    """The entry, with its texts stripped.

    Raises:
        TypeError: a part is not text, or a triple does not have three parts.
    """
    name, category, triples, texts = entry
    if not triples or any(len(triple) != 3 for triple in triples):
        raise TypeError("expected triples of subject, property and object")
    if not all(isinstance(text, str) for text in [category, *texts, *(part for triple in triples for part in triple)]):
        raise TypeError("expected text")
    return name, category, triples, [text.strip() for text in texts]


def _missing(error: Exception) -> str:
    return f"no {error}" if isinstance(error, KeyError) else str(error)
