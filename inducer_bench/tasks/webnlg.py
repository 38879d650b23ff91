"""WebNLG 2017: a text that expresses a set of RDF triples (Gardent et al. 2017, https://aclanthology.org/W17-3518).

Read from JSON, from XML, or from folders of XML files. A text counts if its comment is "good" or if it has none, as in
the later releases, and if it is English, where train has several languages. Of a text with annotations, as the enriched
release has them, the element <text> is read.
"""

from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from inducer_bench.errors import UserError, listed
from inducer_bench.metrics.metric import Row
from inducer_bench.tasks import source
from inducer_bench.tasks.files import ending, find, parts, read_json, read_text
from inducer_bench.tasks.generation import GenerationTask
from inducer_bench.tasks.options import WebNlgOptions
from inducer_bench.tasks.sample import Sample
from inducer_bench.tasks.sequence import Frame, Segment

FRAME = Frame("<bos_webnlg>", "<bos_webnlg>", "<target_webnlg>", "<eos_webnlg>")
SEEN, UNSEEN = "seen", "unseen"  # categories that train has entries of, and others

Entry = tuple[str, str, list[tuple[str, str, str]], list[tuple[str, str]]]  # id, category, triples, (language, text)

_ENGLISH = "en"
_ANNOTATIONS = {"sortedtripleset", "references", "template", "lexicalization"}  # next to <text> in a <lex>


class WebNlgTask(GenerationTask):
    """Texts for triples, scored on all entries and on those of seen and of unseen categories."""

    config: WebNlgOptions
    frame = FRAME

    def read(self, split: str) -> list[Sample]:
        """The entries of a split that have a good text.

        Raises:
            UserError: the file is missing, damaged or of another layout; or no entry has a good text.
        """
        seen, language = self._of_train
        samples, entries = [], list(_entries(self.config, split))
        for name, category, triples, found in entries:
            if texts := tuple(text for spoken, text in found if spoken == language):
                samples.append(Sample(name, _segments(triples), texts, texts, SEEN if category in seen else UNSEEN))
        if entries and not samples:
            raise UserError(
                f"{source.where(self.config, split)}, entry {entries[0][0]}: no text ({language}) with comment=good or "
                "without a comment; nor has any other entry one"
            )
        return source.limited(self.config, split, samples)

    @cached_property
    def _of_train(self) -> tuple[set[str], str]:
        """The categories of train, and the language of its texts: English, if there are several."""
        entries = list(_entries(self.config, "train"))
        languages = {language for _, _, _, texts in entries for language, _ in texts} or {_ENGLISH}
        if len(languages) > 1 and _ENGLISH not in languages:
            found = listed(sorted(languages))
            raise UserError(
                f"{source.where(self.config, 'train')}: found texts in {found}; allowed: one language, or also English"
            )
        return {entry[1] for entry in entries}, _ENGLISH if _ENGLISH in languages else languages.pop()

    def new_row(self, values: dict[str, Any], where: str) -> Sample:
        """`{"triples": [["subject", "property", "object"], ...]}`."""
        try:
            name, _, checked, _ = _checked((where, "", list(values["triples"]), []))
        except (KeyError, TypeError, ValueError) as error:
            raise UserError(
                f"{where}: {_problem(error)}; expected triples: [[subject, property, object], ...]"
            ) from None
        return Sample(name, _segments(checked), (), ())

    def source_of(self, sample: Sample) -> dict[str, Any]:
        """The triples, as the model reads them."""
        texts = [text for _, text in sample.source]
        return {"triples": [texts[start : start + 3] for start in range(0, len(texts), 3)]}

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
    folder = source.data_folder(task)
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
            texts = [(text.get("lang"), text["lex"]) for text in entry["lexicalisations"] if _is_good(text)]
            yield _checked((str(number), entry["category"], triples, texts))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise UserError(f"{path}, entry {number}: {_problem(error)}") from None


def _from_xml(path: Path) -> Iterator[Entry]:
    try:
        root = ElementTree.fromstring(read_text(path))
    except ElementTree.ParseError as error:
        raise UserError(f"{path}, line {error.position[0]}: not whole XML ({error.msg})") from None
    for entry in root.iter("entry"):
        name = entry.get("eid", "")
        try:
            triples = [tuple(part.strip() for part in _text(t).split("|")) for t in entry.iter("mtriple")]
            texts = [(lex.get("lang"), _text_of_lex(lex)) for lex in entry.iter("lex") if _is_good(lex)]
            yield _checked((name, entry.attrib["category"], triples, texts))
        except (KeyError, TypeError, ValueError) as error:
            raise UserError(f"{path}, entry {name}: {_problem(error)}") from None


def _is_good(text: dict[str, Any] | ElementTree.Element) -> bool:
    return (text.get("comment") or "good") == "good"


def _text_of_lex(lex: ElementTree.Element) -> str:
    """Its text, or that of its child <text>."""
    inner = lex.findall("text")
    if len(inner) > 1 or (not inner and any(child.tag in _ANNOTATIONS for child in lex)):
        raise ValueError(f"found {len(inner)} <text> in a <lex> with annotations; expected one")
    return _text(inner[0] if inner else lex)


def _text(element: ElementTree.Element) -> str:
    """Its whole text, that within markup included."""
    text = "".join(element.itertext())
    if not text.strip():
        raise ValueError(f"an empty <{element.tag}>")
    return text


def _checked(entry: tuple[str, Any, list[Any], list[Any]]) -> Entry:
    """The entry, with its texts stripped, and their languages in lower case: English, if none is named.

    Raises:
        ValueError: a part is not text, a text is empty, or a triple does not have three parts.
    """
    name, category, triples, texts = entry
    if not triples or any(not isinstance(triple, list | tuple) or len(triple) != 3 for triple in triples):
        raise ValueError("expected triples of subject, property and object")
    spoken = [(language or _ENGLISH, text) for language, text in texts]
    parts_of_triples = [part for triple in triples for part in triple]
    if not all(
        isinstance(text, str) for text in [category, *parts_of_triples, *(text for pair in spoken for text in pair)]
    ):
        raise ValueError("expected text in category, triples and texts")
    if not all(text.strip() for _, text in spoken):
        raise ValueError("an empty text")
    return name, category, triples, [(language.lower(), text.strip()) for language, text in spoken]


def _problem(error: Exception) -> str:
    if isinstance(error, KeyError):
        return f"no {error}"
    return str(error) if isinstance(error, ValueError) else "not in WebNLG's layout"
