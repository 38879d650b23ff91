"""Labelled rows: texts, codes of labels, numbers, and labels found in the data."""

import json
import os
import reprlib
import subprocess
import sys

import pytest

from inducer_bench.config.compose import compose
from inducer_bench.errors import UserError
from inducer_bench.tasks import classification_rows
from inducer_bench.tasks.classification_rows import LabelledTexts, find_labels


@pytest.fixture
def write(tmp_path):
    """A function that writes a split as JSON lines and gives the task that reads it."""

    def write(rows, *overrides, split="train"):
        lines = [json.dumps(dict(zip(("text", "label"), row, strict=True))) for row in rows]
        (tmp_path / f"{split}.jsonl").write_text("\n".join(lines) + "\n")
        return compose(["task=classification", f"task.data_dir={tmp_path}", *overrides]).task

    return write


def read_rows(task, split):
    return list(classification_rows.read_rows(task, split, find_labels(task)))


def labels_of(task, split="train"):
    return [row.label for row in read_rows(task, split)]


NUMBERS = ["task.labels=number", "task.metrics=[pearson]", "task.metric=pearson"]


def refusal(task, read=read_rows):
    with pytest.raises(UserError) as caught:
        read(*[task, "train"][: read.__code__.co_argcount])
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_label_is_given_by_name_or_by_code(write):
    rows = [("a", "bad"), ("b", 0), ("c", "good"), ("d", "1"), ("e", 1.0)]
    assert labels_of(write(rows, "task.labels=[bad,good]")) == [0, 0, 1, 1, 1]


def test_names_that_are_numbers_are_no_codes(write, tmp_path):
    assert labels_of(write([("a", 1), ("b", "3")], "task.labels=[1,2,3]")) == [0, 2]
    message = refusal(write([("a", 1), ("b", 0)], "task.labels=[1,2,3]"))
    assert message == f"{tmp_path / 'train.jsonl'}, line 2: found label '0'; allowed: 1, 2, 3"
    message = refusal(write([("a", "-1"), ("b", "0")], "task.labels=['-2','-1']"))
    assert message.endswith("line 2: found label '0'; allowed: -2, -1")


@pytest.mark.parametrize(
    ("found", "labels"),
    [
        (["no", "yes", "no", "maybe"], ["maybe", "no", "yes"]),
        ([2, 10, 1], ["1", "2", "10"]),
        ([0.0, 1.0], ["0", "1"]),
        ([True, False], ["False", "True"]),
        (["01", 1, "0", "00", "1", "٠"], ["0", "00", "٠", "01", "1"]),  # equal numbers are different texts
        (["9" * 5000, "10"], ["10", "9" * 5000]),
        (["pos ", "neg "], ["neg ", "pos "]),
        ([2, 10.0, -2], ["-2", "10", "2"]),
    ],
)
def test_labels_not_given_are_those_of_train_sorted(write, found, labels):
    task = write([("a", label) for label in found])
    assert find_labels(task) == labels
    assert labels_of(task) == [labels.index(str(int(x)) if isinstance(x, float) else str(x)) for x in found]


def test_all_of_train_is_searched_for_labels_whatever_the_limit(write):
    task = write([("a", "x"), ("b", "y"), ("c", "z")], "task.max_train=1")
    assert find_labels(task) == ["x", "y", "z"]
    assert len(read_rows(task, "train")) == 1


def test_label_that_only_dev_has_is_refused(write):
    write([("a", "z")], split="dev")
    task = write([("a", "x"), ("b", "y")])
    with pytest.raises(UserError, match=r"dev\.jsonl, line 1: found label 'z'; allowed: x, y$"):
        read_rows(task, "dev")
    write([("a", "1")], split="dev")
    with pytest.raises(UserError, match=r"found label '1'; allowed: x, y$"):  # no code, as nobody has listed names
        read_rows(task, "dev")


@pytest.mark.parametrize(
    ("label", "complaint"),
    [
        ("", "the label is empty"),
        (" \t", "the label is empty"),
        ("-", "the label '-' marks a row without one"),
        (-1, "the label '-1' marks a row without one"),
        (-1.0, "the label '-1' marks a row without one"),
        ("NaN", "the label 'NaN' marks a row without one"),
    ],
)
def test_row_without_a_label_is_no_class_of_its_own(write, tmp_path, label, complaint):
    task = write([("a", "x"), ("b", "y"), ("c", label)])
    allowed = "allowed: a label in each row, or task.labels=[...] with this one"
    assert refusal(task) == f"{tmp_path / 'train.jsonl'}, line 3: {complaint}; {allowed}"


def test_label_of_minus_one_that_is_listed_is_one(write):
    assert labels_of(write([("a", 1), ("b", "-1")], "task.labels=['-1','1']")) == [1, 0]


def test_labels_that_differ_by_blanks_alone_are_refused(write, tmp_path):
    message = refusal(write([("a", "pos"), ("b", "neg"), ("c", "pos "), ("d", "neg")]))
    assert message.startswith(
        f"{tmp_path / 'train.jsonl'}, line 3: found label 'pos ', and 'pos' before; allowed: one of"
    )
    assert "line 2: found label 'neg '; did you mean 'neg'? allowed: pos, neg" in refusal(
        write([("a", "pos"), ("b", "neg ")], "task.labels=[pos,neg]")
    )


def test_order_of_labels_is_the_same_in_every_process(tmp_path):
    (tmp_path / "train.csv").write_text(
        "text,label\n" + "".join(f"t,{label}\n" for label in ("01", 1, "001", "٠١", "١"))
    )
    code = f"""
from inducer_bench.config.compose import compose
from inducer_bench.tasks.classification_rows import find_labels
print(ascii(find_labels(compose(["task=classification", "task.data_dir={tmp_path}"]).task)))
"""
    found = {
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, env={**os.environ, "PYTHONHASHSEED": seed}, check=True
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert found == {ascii(["001", "01", "1", "٠١", "١"]).encode() + b"\n"}


def test_message_shows_some_of_many_labels(write):
    rows = [("a", f"label {number} {'x' * 1000}") for number in range(3000)]
    task = write(rows)
    labels = find_labels(task)
    write([("a", "y" * 100_000)], split="dev")
    with pytest.raises(UserError, match=r"dev\.jsonl, line 1: found label 'yyy") as caught:
        list(classification_rows.read_rows(task, "dev", labels))
    assert len(str(caught.value)) <= 600


def test_given_labels_and_numbers_need_no_search(write):
    assert find_labels(write([], "task.labels=[x,y]")) == ["x", "y"]
    assert find_labels(write([], *NUMBERS)) is None


def test_single_label_and_f1_of_many_are_refused(write):
    assert "train.jsonl: found labels [x]; expected two or more" in refusal(write([("a", "x")]), find_labels)
    many = write([("a", "x"), ("b", "y"), ("c", "z")], "task.metrics=[f1]", "task.metric=f1")
    assert refusal(many, find_labels) == (
        "task.metrics: found 'f1'; did you mean 'f1_macro'? allowed with 3 labels: accuracy, f1_macro, f1_weighted, "
        "precision_macro, recall_macro, balanced_accuracy, matthews"
    )
    other = write([("a", "x"), ("b", "y")], "task.metrics=[accuracy,'f1:z']")
    assert refusal(other, find_labels) == "task.metrics: found 'f1:z'; allowed: f1: and x, y"


def test_numbers_are_read_from_numbers_and_from_text(write):
    assert labels_of(write([("a", 2.5), ("b", "3.25"), ("c", 4)], *NUMBERS)) == [2.5, 3.25, 4.0]


@pytest.mark.parametrize("value", ["high", None, True, [1], "nan", "inf", "", "-", 10**400, "1e400"])
def test_what_is_no_number_is_refused_with_its_line(write, value):
    message = refusal(write([("a", 1.0), ("b", value)], *NUMBERS))
    assert message.endswith(f"train.jsonl, line 2: found {reprlib.repr(value)}; expected a number")


@pytest.mark.parametrize("value", [1e18, "-1e39"])
def test_a_number_whose_square_is_none_in_float32_is_refused(write, value):
    message = refusal(write([("a", 1.0), ("b", value)], *NUMBERS))
    assert message.endswith(f"line 2: found {reprlib.repr(value)}; expected a number below 1e+18")


@pytest.mark.parametrize(
    ("row", "complaint"),
    [
        ((3, "x"), "line 2, 'text': found 3 (int); expected text"),
        ((None, "x"), "line 2, 'text': found None (NoneType); expected text"),
        ((["b"], "x"), "line 2, 'text': found ['b'] (list); expected text"),
        (("b", "w"), "line 2: found label 'w'; allowed: x, y, 0, 1"),
        (("b", ""), "line 2: found label ''; allowed: x, y, 0, 1"),
        (("b", 2), "line 2: found label '2'; allowed: x, y, 0, 1"),
        (("b", "2.0"), "line 2: found label '2'; allowed: x, y, 0, 1"),
        (("b", " 1"), "line 2: found label ' 1'; did you mean '1'? allowed: x, y, 0, 1"),
        (("b", "X"), "line 2: found label 'X'; did you mean 'x'? allowed: x, y, 0, 1"),
        (("b", -1), "line 2: found label '-1'; allowed: x, y, 0, 1"),
        (("b", None), "line 2: found label None (NoneType); expected text or a whole number"),
        (("b", 0.5), "line 2: found label 0.5 (float); expected text or a whole number"),
    ],
)
def test_text_or_label_of_another_kind_is_refused_with_its_line(write, row, complaint):
    assert refusal(write([("a", "x"), row], "task.labels=[x,y]")).endswith(complaint)


def test_pair_of_columns_is_read_in_the_order_given(tmp_path):
    (tmp_path / "train.csv").write_text('b,a,mark\nsecond,"first, or so",1\n')
    overrides = ["task=classification", f"task.data_dir={tmp_path}", "task.text=[a,b]", "task.label=mark"]
    task = compose([*overrides, "task.labels=[no,yes]"]).task
    assert read_rows(task, "train") == [LabelledTexts(("first, or so", "second"), 1)]


@pytest.mark.parametrize(("name", "content"), [("train.tsv", "text\tlabel\n"), ("train.json", "[]")])
def test_split_without_examples_is_refused(tmp_path, name, content):
    (tmp_path / name).write_text(content)
    task = compose(["task=classification", f"task.data_dir={tmp_path}", "task.labels=[x,y]"]).task
    assert refusal(task) == f"{tmp_path / name}: no examples"


# -- GLUE ------------------------------------------------------------------------------------------------------------

PUBLISHED = {  # the first lines of the files as GLUE publishes them, with sentences of our own
    "sst2": ("dev", "sentence\tlabel\nfine film \t1\n", LabelledTexts(("fine film ",), 1)),
    "cola": ("dev", "gj04\t1\t\tThey left.\ngj04\t0\t*\tThey leaved.\n", LabelledTexts(("They left.",), 1)),
    "mnli": (
        "dev_matched",
        "index\tpromptID\tpairID\tgenre\tsentence1_binary_parse\tsentence2_binary_parse\tsentence1_parse\t"
        "sentence2_parse\tsentence1\tsentence2\tlabel1\tlabel2\tgold_label\n"
        "0\t1\t1c\tfiction\t( a )\t( b )\t(X a)\t(X b)\tAll left.\tSome left.\tneutral\tentailment\tcontradiction\n",
        LabelledTexts(("All left.", "Some left."), 2),
    ),
    "mrpc": ("dev", "Quality\t#1 ID\t#2 ID\t#1 String\t#2 String\n1\t5\t6\tHe left .\tHe went .\n",
             LabelledTexts(("He left .", "He went ."), 1)),
    "qqp": ("dev", "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate\n1\t2\t3\tWho?\tWhich one?\t0\n",
            LabelledTexts(("Who?", "Which one?"), 0)),
    "stsb": ("dev", "index\tgenre\tfilename\tyear\told_index\tsource1\tsource2\tsentence1\tsentence2\tscore\n"
             "0\tnews\tf\t2012\t1\tnone\tnone\tHe left.\tHe went.\t4.750\n",
             LabelledTexts(("He left.", "He went."), 4.75)),
    "qnli": ("dev", "index\tquestion\tsentence\tlabel\n0\tWho left?\tHe left.\tentailment\n",
             LabelledTexts(("Who left?", "He left."), 0)),
    "rte": ("dev", "index\tsentence1\tsentence2\tlabel\n0\tAll left.\tNone left.\tnot_entailment\n",
            LabelledTexts(("All left.", "None left."), 1)),
    "wnli": ("dev", "index\tsentence1\tsentence2\tlabel\n0\tHe left.\tJim left.\t1\n",
             LabelledTexts(("He left.", "Jim left."), 1)),
}  # fmt: skip


@pytest.mark.parametrize("name", PUBLISHED)
def test_glue_is_read_as_it_is_published(tmp_path, name):
    stem, content, row = PUBLISHED[name]
    (tmp_path / f"{stem}.tsv").write_text(content)
    task = compose([f"task={name}", f"task.data_dir={tmp_path}"]).task
    assert read_rows(task, "dev")[0] == row


@pytest.mark.parametrize("name", PUBLISHED)
def test_glue_is_read_with_the_columns_of_the_hub_too(tmp_path, name):
    stem, _, row = PUBLISHED[name]
    task = compose([f"task={name}", f"task.data_dir={tmp_path}"]).task
    record = dict(zip(task.text, row.texts, strict=True)) | {"label": row.label, "idx": 0}
    (tmp_path / f"{stem}.jsonl").write_text(json.dumps(record))
    assert read_rows(task, "dev") == [row]
