"""WebNLG's published layouts, which texts are used, the seen and the unseen, and damaged files."""

import gzip
import json

import pytest
import sacrebleu
from helpers.reading import refusal
from helpers.webnlg_files import FORMATS, TEST, TRAIN, as_json, as_xml, shipped, task_on

from inducer_bench.metrics.score import Score
from inducer_bench.tasks.webnlg import WebNlgTask, plain


@pytest.fixture
def write(tmp_path):
    """A function that writes files by name, where a list of entries is written as JSON or XML; gives the task."""

    def write(*overrides, **files):
        for name, content in files.items():
            split, _, kind = name.partition("_")
            text = FORMATS[kind](content) if isinstance(content, list) else content
            data = text.encode() if isinstance(text, str) else text
            (tmp_path / f"{split}.{kind}").write_bytes(data)
        return task_on(tmp_path, *overrides)

    return write


# -- what is read ------------------------------------------------------------------------------------------------------


def test_entry_becomes_segments_of_plain_names_and_its_good_texts(write):
    first, second = write(train_json=TRAIN).read("train")
    assert first.name == "1"
    assert first.source == (
        ("<subject>", "Elm Airport"), ("<property>", "cityServed"), ("<object>", "Elmton, Norland"),
    )  # fmt: skip
    assert first.targets == first.references == ("Elm Airport serves Elmton & <Norland>.", "Elmton, Zürich.")
    assert [opening for opening, _ in second.source] == ["<subject>", "<property>", "<object>"] * 2
    assert [text for _, text in second.source][3:] == ["Elmton", "population", "5021"]


def test_xml_and_json_and_packed_files_give_the_same_samples(write, tmp_path):
    made = {}
    for kind, text in FORMATS.items():
        task = write(**{f"train_{kind}": TRAIN, f"test_{kind}": TEST})
        made[kind] = [task.read(split) for split in ("train", "test")]
        for split, entries in (("train", TRAIN), ("test", TEST)):
            (tmp_path / f"{split}.{kind}").unlink()
            (tmp_path / f"{split}.{kind}.gz").write_bytes(gzip.compress(text(entries).encode()))
        made[f"{kind}.gz"] = [task.read(split) for split in ("train", "test")]
        for split in ("train", "test"):
            (tmp_path / f"{split}.{kind}.gz").unlink()
    assert made["json"] == made["json.gz"] == made["xml"] == made["xml.gz"]


def test_text_is_taken_without_the_white_space_around_it_and_a_byte_order_mark_is_no_text(write):
    entries = [("City", [(" Oakton ", "in", " Norland")], [("good", " Oakton is in Norland.\n")])]
    (sample,) = write(train_json=b"\xef\xbb\xbf" + as_json(entries).encode()).read("train")
    assert [text for _, text in sample.source] == ["Oakton", "in", "Norland"]
    assert sample.targets == ("Oakton is in Norland.",)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Ada_Barlow", "Ada Barlow"),
        ('"Elmton,_Norland"', "Elmton, Norland"),
        ('  "5021.5"  ', "5021.5"),
        ('a "b" c', 'a "b" c'),
        ("birthPlace", "birthPlace"),
    ],
)
def test_names_are_made_plain(name, expected):
    assert plain(name) == expected


def test_limits_count_entries_with_a_good_text(write):
    task = write("task.max_train=2", "task.max_eval=1", train_json=[TRAIN[2], *TRAIN], test_json=TEST)
    assert [sample.name for sample in task.read("train")] == ["2", "3"]
    assert [sample.name for sample in task.read("test")] == ["3"]


# -- seen and unseen ---------------------------------------------------------------------------------------------------


def test_categories_of_train_are_seen_and_all_of_train_counts(write):
    # "Food" has no good text in train, and the limit leaves "Airport" alone: neither changes what is known.
    task = write("task.max_train=1", train_json=TRAIN, test_json=TEST)
    assert [sample.group for sample in task.read("test")] == ["seen", "unseen", "seen"]
    assert [sample.group for sample in task.read("train")] == ["seen"]


def test_splits_may_be_in_different_formats(write):
    assert [sample.group for sample in write(train_xml=TRAIN, test_json=TEST).read("test")] == [
        "seen", "unseen", "seen",
    ]  # fmt: skip


def test_scores_are_those_of_all_and_of_each_group(write):
    task = write("task.metrics=[bleu,chrf]", train_json=TRAIN, test_json=TEST)
    texts = ["Oakton lies in Norland.", "Ada Barlow was born in a town.", "Leeks come from there."]
    rows = task.predictions(task.read("test"), texts)
    scores = task.score_answers(rows)
    for suffix, indices in (("", [0, 1, 2]), ("_seen", [0, 2]), ("_unseen", [1])):
        references = [[text for _, text in TEST[i][2]] for i in indices]
        streams = [[r[0] for r in references], [r[1] if len(r) > 1 else None for r in references]]
        bleu = sacrebleu.corpus_bleu([texts[i] for i in indices], streams if suffix != "_unseen" else streams[:1])
        assert scores[f"bleu{suffix}"].value == pytest.approx(bleu.score)
        assert scores[f"bleu{suffix}"].signature.startswith("BLEU|nrefs:")
    assert set(scores) == {f"{name}{suffix}" for name in ("bleu", "chrf") for suffix in ("", "_seen", "_unseen")}
    assert scores["bleu_seen"].value != scores["bleu_unseen"].value


def test_group_without_entries_has_no_score_and_says_so(write):
    task = write("task.metrics=[bleu]", train_json=TRAIN, test_json=TEST[:1])
    scores = task.score_answers(task.predictions(task.read("test"), ["Oakton is in Norland."]))
    assert scores["bleu"].value == scores["bleu_seen"].value == pytest.approx(100.0)
    assert scores["bleu_unseen"] == Score(value=None, signature="bleu", reason="not computed: no entries")


# -- damaged files -----------------------------------------------------------------------------------------------------


def without(key):
    return lambda entry: entry.pop(key)


def setting(value, *path):
    def change(entry):
        for key in path[:-1]:
            entry = entry[key]
        entry[path[-1]] = value

    return change


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (without("category"), "no 'category'"),
        (without("modifiedtripleset"), "no 'modifiedtripleset'"),
        (without("lexicalisations"), "no 'lexicalisations'"),
        (lambda entry: entry["modifiedtripleset"][0].pop("object"), "no 'object'"),
        (lambda entry: entry["lexicalisations"][0].pop("lex"), "no 'lex'"),
        (setting(" \n", "lexicalisations", 0, "lex"), "an empty text"),
        (setting(7, "lexicalisations", 0, "lang"), "expected text"),
        (setting(["a | b | c"], "modifiedtripleset"), "not in WebNLG's layout"),
        (setting([], "modifiedtripleset"), "expected triples of subject, property and object"),
        (setting(None, "lexicalisations", 0, "lex"), "expected text"),
        (setting(5, "modifiedtripleset", 0, "object"), "expected text"),
        (setting(None, "category"), "expected text"),
        (setting(None, "lexicalisations"), "not in WebNLG's layout"),
        (setting(["text"], "lexicalisations"), "not in WebNLG's layout"),
        (setting("text", "modifiedtripleset"), "not in WebNLG's layout"),
    ],
)
def test_entry_of_another_layout_is_named(write, tmp_path, change, complaint):
    content = json.loads(as_json(TRAIN))
    change(content["entries"][1]["2"])
    message = refusal(write(train_json=json.dumps(content)))
    assert message.startswith(f"{tmp_path / 'train.json'}, entry 2: {complaint}")


@pytest.mark.parametrize("content", [{"entry": []}, [], "text", {"entries": None}, {"entries": [3]}, {"entries": "ab"}])
def test_json_of_another_layout_is_told(write, tmp_path, content):
    message = refusal(write(train_json=json.dumps(content)))
    assert message == f"{tmp_path / 'train.json'}: not in WebNLG's layout; expected an object with a list 'entries'"


@pytest.mark.parametrize("entry", [None, [], "text"])
def test_entry_that_is_no_object_is_named(write, tmp_path, entry):
    assert refusal(write(train_json=json.dumps({"entries": [{"7": entry}]}))).startswith(
        f"{tmp_path / 'train.json'}, entry 7: "
    )


def test_truncated_json_is_told_with_its_line(write, tmp_path):
    text = as_json(TRAIN)
    lines = text.count("\n") + 1
    message = refusal(write(train_json=text[: text.rindex("]")]))
    assert message.startswith(f"{tmp_path / 'train.json'}, line {lines - 1}: not JSON (")


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("Elmton | country | Norland", "Elmton | country", "entry 2: expected triples of subject, property and object"),
        ("Elmton | country | Norland", "", "entry 2: an empty <mtriple>"),
        ("| Norland", "| Nor | land", "entry 2: expected triples of subject, property and object"),
        (' category="City"', "", "entry 2: no 'category'"),
        ("\n", "\n", None),
    ],
)
def test_xml_entry_of_another_layout_is_named(write, tmp_path, old, new, complaint):
    text = as_xml(TRAIN)
    assert old in text
    task = write(train_xml=text.replace(old, new))
    if complaint is None:  # as it was
        assert len(task.read("train")) == 2
    else:
        assert refusal(task) == f"{tmp_path / 'train.xml'}, {complaint}"


def test_xml_entry_without_triples_or_with_an_empty_text_is_named(write, tmp_path):
    path = tmp_path / "train.xml"
    entry = '<entry category="A" eid="Id9" size="1">{}</entry>'
    empty = "<modifiedtripleset><mtriple>a | b | c</mtriple></modifiedtripleset><lex comment='good' lid='1'/>"
    assert refusal(write(train_xml=f"<benchmark><entries>{entry.format('')}</entries></benchmark>")) == (
        f"{path}, entry Id9: expected triples of subject, property and object"
    )
    assert refusal(write(train_xml=f"<benchmark><entries>{entry.format(empty)}</entries></benchmark>")) == (
        f"{path}, entry Id9: an empty <lex>"
    )


@pytest.mark.parametrize("cut", ["</lex>", "</benchmark>"])
def test_truncated_xml_is_told_with_its_line(write, tmp_path, cut):
    text = as_xml(TRAIN)
    text = text[: text.rindex(cut)]
    message = refusal(write(train_xml=text))
    assert message.startswith(f"{tmp_path / 'train.xml'}, line {text.count(chr(10)) + 1}: not whole XML (")


@pytest.mark.parametrize("kind", FORMATS)
def test_split_without_entries_is_refused(write, tmp_path, kind):
    assert refusal(write(**{f"train_{kind}": []})) == f"{tmp_path / f'train.{kind}'}: no examples"
    only_bad = TRAIN[2:]
    assert refusal(write(**{f"train_{kind}": only_bad})) == (
        f"{tmp_path / f'train.{kind}'}, entry 1: no text (en) with comment=good or without a comment; nor has any "
        "other entry one"
    )


@pytest.mark.parametrize("kind", FORMATS)
def test_empty_file_and_wrong_encoding_are_told(write, tmp_path, kind):
    path = tmp_path / f"train.{kind}"
    assert refusal(write(**{f"train_{kind}": " \n"})) == f"{path}: an empty file"
    text = FORMATS[kind](TRAIN)
    line = text[: text.index("ü")].count("\n") + 1
    message = refusal(write(**{f"train_{kind}": text.encode("latin-1")}))
    assert message.startswith(f"{path}, line {line}: not UTF-8 (")


def test_file_that_is_not_gzip_is_told(write, tmp_path):
    task = write()
    (tmp_path / "train.json.gz").write_bytes(gzip.compress(as_json(TRAIN).encode())[:60])
    assert refusal(task).startswith(f"{tmp_path / 'train.json.gz'}: not a whole gzip file (")


def test_missing_file_is_named_with_what_was_looked_for(write, tmp_path):
    task = write(train_json=TRAIN)
    message = refusal(task, "test")
    assert message.startswith(f"task.data_dir: no test.(json|xml)[.gz] and no folder of XML files in '{tmp_path}'; ")
    assert message.endswith("found: train.json; for another name give task.files.test")


def test_damage_in_train_is_told_when_test_is_read_too(write, tmp_path):
    assert refusal(write(train_json="{", test_json=TEST), "test").startswith(f"{tmp_path / 'train.json'}, line 1: ")


def test_without_a_folder_one_is_asked_for():
    task = WebNlgTask(shipped(), None, {"vocab_size": 100, "model_type": "gpt2"})
    message = refusal(task)
    assert message.startswith("task.data_dir: missing; task 'webnlg' reads local files: give a folder with train, dev")
    assert message.endswith("as json, xml")
