"""The real files in `../shared/data`, where they are: counts, labels, and the text of a row."""

from collections import Counter
from pathlib import Path

import pytest

from inducer_bench.config.compose import compose
from inducer_bench.tasks.classification_rows import find_labels, read_rows
from inducer_bench.tasks.coqa import read_dialogues
from inducer_bench.tasks.registry import TASKS
from inducer_bench.tasks.webnlg import _entries

FOLDER = Path(__file__).parents[2].parent / "shared" / "data"
pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason="needs the real data sets in ../shared/data")

COUNTS = {  # task -> folder, overrides, examples by split, dev examples by label
    "sst2": ("sst2", [], {"train": 67_349, "dev": 872}, {0: 428, 1: 444}),
    "mnli": (
        "mnli", ["task.files.train=train_part1"], {"train": 8_999, "dev": 9_815, "dev_mismatched": 9_832},
        {0: 3_479, 1: 3_123, 2: 3_213},
    ),
    "cola": ("glue/cola", [], {"train": 8_551, "dev": 1_043}, {0: 322, 1: 721}),
    "mrpc": ("glue/mrpc", [], {"train": 3_668, "dev": 408}, {0: 129, 1: 279}),
    "rte": ("glue/rte", [], {"train": 2_490, "dev": 277}, {0: 146, 1: 131}),
    "qnli": ("glue/qnli", ["task.files.train=train_part"], {"train": 8_999, "dev": 5_463}, {0: 2_702, 1: 2_761}),
    "stsb": ("glue/stsb", [], {"train": 5_749, "dev": 1_500}, None),
}  # fmt: skip


@pytest.mark.parametrize("name", COUNTS)
def test_real_files_have_the_published_counts(name):
    folder, overrides, counts, by_label = COUNTS[name]
    if not (FOLDER / folder).is_dir():
        pytest.skip(f"needs ../shared/data/{folder}")
    task = compose([f"task={name}", f"task.data_dir={FOLDER / folder}", *overrides]).task
    rows = {split: list(read_rows(task, split, find_labels(task))) for split in task.splits()}
    assert {split: len(found) for split, found in rows.items()} == counts
    labels = [row.label for row in rows["dev"]]
    if by_label:
        assert Counter(labels) == by_label
    else:
        assert (min(labels), max(labels)) == (0.0, 5.0)
    assert {len(row.texts) for row in rows["dev"]} == {len(task.text)}


# -- generation --------------------------------------------------------------------------------------------------------


def generation_task(name, folder, *overrides):
    """The task on real files, without a tokenizer: only its readers work."""
    if not (FOLDER / folder).is_dir():
        pytest.skip(f"needs ../shared/data/{folder}")
    config = compose([f"task={name}", f"task.data_dir={FOLDER / folder}", *overrides]).task
    return TASKS[config.kind](config, None, {"vocab_size": 50_257, "model_type": "gpt2"})


def texts_in(samples):
    return {split: sum(len(sample.references) for sample in found) for split, found in samples.items()}


def test_webnlg_has_the_published_entries_texts_and_categories():
    task = generation_task("webnlg", "webnlg2017")
    samples = {split: task.read(split) for split in ("train", "dev", "test")}
    entries = {split: sum(1 for _ in _entries(task.config, split)) for split in samples}
    assert entries == {"train": 6_940, "dev": 872, "test": 1_862}
    assert texts_in(samples) == {"train": 18_025, "dev": 2_258, "test": 4_928}
    assert {split: Counter(sample.group for sample in found) for split, found in samples.items()} == {
        "train": {"seen": 6_935}, "dev": {"seen": 871}, "test": {"seen": 971, "unseen": 891},
    }  # fmt: skip
    # The others, 5 and 1, have no good text.
    everything = [sample for found in samples.values() for sample in found]
    assert {len(sample.source) // 3 for sample in everything} == set(range(1, 8))
    assert all(text == text.strip() != "" for sample in everything for text in sample.references)
    assert not any("_" in text for sample in everything for opening, text in sample.source if opening == "<subject>")


def test_coqa_dev_has_the_published_dialogues_and_questions():
    task = generation_task("coqa", "coqa", "task.files.dev=dev")
    dialogues = read_dialogues(task.config, "dev")
    assert (len(dialogues), sum(len(dialogue.questions) for dialogue in dialogues)) == (500, 7_983)
    assert Counter(dialogue.source for dialogue in dialogues) == dict.fromkeys(
        ("mctest", "gutenberg", "race", "cnn", "wikipedia"), 100
    )
    samples = task.read("dev")
    assert len({sample.name for sample in samples}) == len(samples) == 7_983
    assert samples[0].name == "3dr23u6we5exclen4th8uq9rb42tel/1"
    assert Counter(len(sample.source) for sample in samples) == {2: 500, 4: 500, 6: 6_983}


@pytest.mark.parametrize(("split", "turns", "references"), [("train", 20, 1), ("dev", 12, 4)])
def test_coqa_s_official_format_is_read(split, turns, references):
    task = generation_task("coqa", "coqa/official_format_sample")
    samples = task.read(split)
    assert len(samples) == turns
    assert {len(sample.references) for sample in samples} == {references}
    assert samples[0].source[-1][1].endswith("?")


def test_coqa_s_two_formats_agree_on_a_dialogue():
    official = generation_task("coqa", "coqa/official_format_sample").read("dev")
    rows = generation_task("coqa", "coqa", "task.files.dev=dev", "task.max_eval=12", "task.sample=first").read("dev")
    for one, other in zip(official, rows, strict=True):
        assert (one.name, one.targets, one.group) == (other.name, other.targets, other.group)
        assert one.source[1:] == other.source[1:]


def test_e2e_is_read_as_any_table_with_its_references_together():
    task = generation_task("text_to_text", "e2e", "task.text=mr", "task.target=ref")
    samples = {split: task.read(split) for split in ("train", "dev", "test")}
    assert {split: len(found) for split, found in samples.items()} == {"train": 4_862, "dev": 547, "test": 630}
    assert texts_in(samples) == {"train": 42_061, "dev": 4_672, "test": 4_693}
