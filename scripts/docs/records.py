"""The page of all keys of `record.json`, from the classes of a record."""

import dataclasses

from inducer_bench.runs.record import SCHEMA, FinishedRecord, Record
from scripts.docs.fields import fields

INTRODUCTION = f"""\
# Keys of a record

`record.json`, schema {SCHEMA}. A run that is not done has the first table alone. `scores` maps a name to its `value`,
`signature`, and the `reason` if there is no value. `checksum` and `schema` stand beside these keys.
"""
HEAD = "| key | type | meaning |\n|---|---|---|"


def page() -> str:
    """The page, as Markdown."""
    every = {field.name for field in dataclasses.fields(Record)}
    sections = {"Of every run": True, "Of a run that is done": False}
    lines = [INTRODUCTION]
    for title, first in sections.items():
        lines += [f"## {title}", "", HEAD]
        for field in fields(FinishedRecord):
            if (field.key.split(".")[0] in every) == first:
                lines.append(f"| `{field.key}` | {field.allowed} | {field.meaning.replace('|', '&#124;')} |")
        lines.append("")
    return "\n".join(lines)
