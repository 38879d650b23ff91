"""What tests of sequences share: texts that are numbers, and the released code's arguments as our segments."""

import os
from pathlib import Path

from inducer_bench.tasks.coqa import FRAME as COQA
from inducer_bench.tasks.sequence import Sequences
from inducer_bench.tasks.text_to_text import FRAME as SUMMARY
from inducer_bench.tasks.webnlg import FRAME as WEBNLG

FIRST = 28  # id of <pad>
FRAMES = {"webnlg": WEBNLG, "qa": COQA, "summarization": SUMMARY}
PARITY = Path(os.environ.get("INDUCER_BENCH_PARITY", Path(__file__).parents[3] / "shared" / "parity"))


class Numbers:
    """A tokenizer whose texts are numbers: "8 9" -> [8, 9]."""

    def __call__(self, texts, add_special_tokens):
        assert not add_special_tokens
        return {"input_ids": [[int(part) for part in text.split()] for text in texts]}

    def decode(self, ids, skip_special_tokens):
        return " ".join(map(str, ids))


def text(ids):
    return " ".join(map(str, ids))


def sequences(frame, max_length=512, source_tokens=None):
    return Sequences(frame, Numbers(), FIRST, max_length, source_tokens)


def source(task, arguments):
    """Our segments for the released code's arguments."""
    if task == "webnlg":
        return [(f"<{part}>", text(triple[part])) for triple in arguments["source"]
                for part in ("subject", "property", "object")]  # fmt: skip
    if task == "summarization":
        return [("<source_sm>", text(arguments["source"]))]
    document = arguments.get("persona", arguments.get("personality"))
    openings = ("<question>", "<answer>")
    return [("<document>", text(document[0])),
            *((openings[i % 2], text(turn)) for i, turn in enumerate(arguments["history"]))]  # fmt: skip
