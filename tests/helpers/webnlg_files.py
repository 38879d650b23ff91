"""WebNLG's published layouts, made from a few entries, and the task on a folder that holds them."""

import dataclasses
import json
from functools import cache
from xml.etree import ElementTree

from inducer_bench.config.compose import compose
from inducer_bench.tasks.webnlg import WebNlgTask

Entry = tuple[str, list[tuple[str, str, str]], list[tuple[str, str]]]  # category, triples, (comment, text)

TRAIN: list[Entry] = [
    ("Airport", [("Elm_Airport", "cityServed", '"Elmton,_Norland"')],
     [("good", "Elm Airport serves Elmton & <Norland>."), ("toFix", "Elm serve Elmton"), ("good", "Elmton, Zürich.")]),
    ("City", [("Elmton", "country", "Norland"), ("Elmton", "population", "5021")],
     [("good", "Elmton, a city of 5021, lies in Norland.")]),
    ("Food", [("Bean", "origin", "Norland")], [("toFix", "Bean from Norland")]),
]  # fmt: skip
TEST: list[Entry] = [
    ("City", [("Oakton", "country", "Norland")], [("good", "Oakton is in Norland."), ("good", "Norland has Oakton.")]),
    ("Artist", [("Ada_Barlow", "birth_place", "Oakton")], [("good", "Ada Barlow was born in Oakton.")]),
    ("Food", [("Leek", "origin", "Oakton")], [("good", "Leeks come from Oakton.")]),
]


def as_json(entries: list[Entry]) -> str:
    """As the benchmark's own JSON has it."""
    parts = ("subject", "property", "object")
    content = [
        {
            str(number): {
                "category": category,
                "size": str(len(triples)),
                "originaltriplesets": {"originaltripleset": [[dict.fromkeys(parts, "not used")]]},
                "modifiedtripleset": [dict(zip(parts, triple, strict=True)) for triple in triples],
                "lexicalisations": [
                    {"comment": comment, "lex": text, "xml_id": f"Id{i}", "lang": ""}
                    for i, (comment, text) in enumerate(texts, start=1)
                ],
                "xml_id": f"Id{number}",
            }
        }
        for number, (category, triples, texts) in enumerate(entries, start=1)
    ]
    return json.dumps({"entries": content}, ensure_ascii=False, indent=1)


def as_xml(entries: list[Entry]) -> str:
    """As the challenge published it."""
    root = ElementTree.Element("benchmark")
    inner = ElementTree.SubElement(root, "entries")
    for number, (category, triples, texts) in enumerate(entries, start=1):
        attributes = {"category": category, "eid": str(number), "size": str(len(triples))}
        entry = ElementTree.SubElement(inner, "entry", attributes)
        original = ElementTree.SubElement(entry, "originaltripleset")
        ElementTree.SubElement(original, "otriple").text = "not | used | here"
        modified = ElementTree.SubElement(entry, "modifiedtripleset")
        for triple in triples:
            ElementTree.SubElement(modified, "mtriple").text = " | ".join(triple)
        for i, (comment, text) in enumerate(texts, start=1):
            ElementTree.SubElement(entry, "lex", {"comment": comment, "lid": f"Id{i}"}).text = f" {text}\n"
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, encoding="unicode")


FORMATS = {"json": as_json, "xml": as_xml}


@cache
def shipped(*overrides):
    return compose(["task=webnlg", *overrides]).task


def task_on(folder, *overrides, **files):
    """The shipped task on a folder; `files` are other names of splits."""
    config = shipped(*overrides)
    config = dataclasses.replace(config, data_dir=str(folder), files={**config.files, **files})
    return WebNlgTask(config, None, {"vocab_size": 100, "model_type": "gpt2"})
