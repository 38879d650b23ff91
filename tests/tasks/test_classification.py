"""The classification task against naive formulas in float64, with Python floats."""

import dataclasses
import math
from types import SimpleNamespace

import pytest
import torch
from torch import nn
from transformers import GPT2ForSequenceClassification

from inducer_bench.config.compose import compose
from inducer_bench.errors import UserError
from inducer_bench.plm.load import load_tokenizer, match_padding
from inducer_bench.tasks.cache import EncodedExamples
from inducer_bench.tasks.classification import ClassificationTask
from inducer_bench.tasks.classification_rows import LabelledTexts

ROWS = [
    LabelledTexts(("a dull and clumsy film",), 0),
    LabelledTexts(("great",), 1),
    LabelledTexts(("a moving film , great acting",), 2),
]
PAIRS = [LabelledTexts(("a film", "great acting"), 0), LabelledTexts(("a dull and clumsy story of a family", "no"), 1)]


def make_task(folder, **changes):
    config = compose([f"plm.path={folder}", "task.max_length=32", "task.labels=[bad,good,odd]"])
    return ClassificationTask(dataclasses.replace(config.task, **changes), load_tokenizer(config.plm), {})


@pytest.fixture(scope="module")
def task(tiny_roberta_folder):
    return make_task(tiny_roberta_folder)


class Table(nn.Module):
    """A model whose logits are given, whatever it reads; it notes what it was called with."""

    def __init__(self, logits):
        super().__init__()
        self.logits = nn.Parameter(logits)
        self.called_with = None

    def forward(self, **inputs):
        self.called_with = inputs
        return SimpleNamespace(logits=self.logits)


def predicted(task, model, examples):
    return task.rows(task.predict(model, task.collate(examples)), examples)


def softmax(row):
    total = sum(math.exp(x) for x in row)
    return [math.exp(x) / total for x in row]


LOGITS = [[0.3, -1.2, 2.0], [1.5, 1.4, -0.7], [-3.0, 0.25, 0.5]]
LABELS = [0, 1, 2]


@pytest.fixture
def batch(task):
    return task.collate(task.encode(ROWS))


def test_encoded_rows_are_the_tokenizer_s_own_unpadded_ids(task):
    encoded = task.encode(ROWS)
    for row, example in zip(ROWS, encoded, strict=True):
        assert example["input_ids"] == task.tokenizer(row.texts[0])["input_ids"]
        assert example["length"] == len(example["input_ids"])
        assert example["labels"] == row.label


def test_pairs_are_joined_as_the_plm_joins_them(task):
    encoded = task.encode(PAIRS)
    assert task.tokenizer.decode(encoded[0]["input_ids"]) == "<s>a film</s></s>great acting</s>"


@pytest.mark.parametrize("rows", [ROWS, PAIRS])
def test_long_texts_are_cut_to_the_maximum_length(tiny_roberta_folder, rows):
    encoded = make_task(tiny_roberta_folder, max_length=7).encode(rows)
    assert max(example["length"] for example in encoded) == 7
    assert all(example["input_ids"][-1] == 2 for example in encoded)


@pytest.mark.parametrize(("rows", "special", "what"), [(ROWS, 2, "a text"), (PAIRS, 4, "a pair")])
def test_maximum_length_leaves_room_for_a_word_besides_special_tokens(tiny_roberta_folder, rows, special, what):
    assert make_task(tiny_roberta_folder, max_length=special + 1).encode(rows)[0]["length"] == special + 1
    for length in range(1, special + 1):
        with pytest.raises(UserError) as caught:
            make_task(tiny_roberta_folder, max_length=length).encode(rows)
        assert str(caught.value) == (
            f"task.max_length: found {length}; allowed: at least {special + 1}, for this PLM's tokenizer adds "
            f"{special} special tokens to {what}"
        )


def test_decoder_needs_no_room_for_special_tokens(tiny_gpt2_folder):
    assert [example["length"] for example in make_task(tiny_gpt2_folder, max_length=1).encode(ROWS)] == [1, 1, 1]


@pytest.mark.parametrize("texts", [("",), ("", "")], ids=["text", "pair"])
def test_empty_text_on_a_decoder_is_a_blank_whatever_is_in_its_batch(tiny_gpt2_folder, texts):
    task = make_task(tiny_gpt2_folder)
    model = GPT2ForSequenceClassification.from_pretrained(tiny_gpt2_folder, num_labels=3).eval()
    match_padding(model, task.tokenizer)
    (blank,) = task.encode([LabelledTexts((" ",), 1)])
    empty = task.encode(2 * [LabelledTexts(texts, 1)])
    assert empty == 2 * [blank]
    long = task.encode([LabelledTexts(("a dull and clumsy film", *texts[1:]), 0)])
    with torch.no_grad():
        alone, among = (predicted(task, model, examples)[0] for examples in (empty, [*empty, *long]))
    assert among["probabilities"] == pytest.approx(alone["probabilities"], rel=1e-5)
    assert EncodedExamples.from_list(empty).take([0, 1]) == empty


def test_new_input_may_have_the_column_names_of_the_publisher(tiny_roberta_folder):
    task = make_task(tiny_roberta_folder, text=["premise", "hypothesis"], published={"premise": "sentence1"})
    for name in ("premise", "sentence1"):
        assert task.new_row({name: "a", "hypothesis": "b", "label": None}, "line 1").texts == ("a", "b")


def test_cut_takes_from_the_longer_text_of_a_pair(tiny_roberta_folder):
    encoded = make_task(tiny_roberta_folder, max_length=10).encode(
        [LabelledTexts(("a dull and clumsy story of a family", "no"), 1)]
    )
    assert task_text(tiny_roberta_folder, encoded[0]["input_ids"]).endswith("</s></s>no</s>")


def task_text(folder, ids):
    return make_task(folder).tokenizer.decode(ids)


def test_batch_is_padded_to_its_longest_example_and_masked(task, batch):
    encoded = task.encode(ROWS)
    longest = max(example["length"] for example in encoded)
    assert set(batch) == {"input_ids", "attention_mask", "labels"}
    assert batch["input_ids"].shape == batch["attention_mask"].shape == (3, longest)
    for i, example in enumerate(encoded):
        ids, padding = example["input_ids"], longest - example["length"]
        assert batch["input_ids"][i].tolist() == ids + [task.tokenizer.pad_token_id] * padding
        assert batch["attention_mask"][i].tolist() == [1] * len(ids) + [0] * padding
    assert batch["labels"].tolist() == LABELS


def test_collating_leaves_the_examples_as_they_were(task):
    encoded = task.encode(ROWS)
    task.collate(encoded)
    assert encoded == task.encode(ROWS)


def test_tokenizer_without_padding_token_collates_too(tiny_gpt2_folder):
    gpt2 = make_task(tiny_gpt2_folder)
    batch = gpt2.collate(gpt2.encode(ROWS))
    lengths = [len(gpt2.tokenizer(row.texts[0])["input_ids"]) for row in ROWS]
    assert batch["attention_mask"].sum(dim=1).tolist() == lengths
    assert (batch["input_ids"][batch["attention_mask"] == 0] == gpt2.tokenizer.eos_token_id).all()


def test_loss_is_the_summed_cross_entropy(task, batch):
    loss = task.loss(Table(torch.tensor(LOGITS)), batch)
    expected = -sum(math.log(softmax(row)[label]) for row, label in zip(LOGITS, LABELS, strict=True))
    assert loss.item() == pytest.approx(expected, rel=1e-6)
    assert task.count(task.encode(ROWS)) == 3


def test_smoothed_labels_spread_over_all_classes(task, batch):
    loss = task.loss(Table(torch.tensor(LOGITS)), batch, label_smoothing=0.1)
    expected = -sum(
        (0.9 * (j == label) + 0.1 / 3) * math.log(p)
        for row, label in zip(LOGITS, LABELS, strict=True)
        for j, p in enumerate(softmax(row))
    )
    assert loss.item() == pytest.approx(expected, rel=1e-6)


def test_gradient_of_the_loss_is_softmax_minus_one_hot(task, batch):
    model = Table(torch.tensor(LOGITS))
    task.loss(model, batch).backward()
    expected = [
        [p - (j == label) for j, p in enumerate(softmax(row))] for row, label in zip(LOGITS, LABELS, strict=True)
    ]
    torch.testing.assert_close(model.logits.grad, torch.tensor(expected))


def test_half_precision_logits_are_scored_in_float32(task, batch):
    model = Table(torch.tensor(LOGITS).bfloat16())
    loss = task.loss(model, batch)
    assert loss.dtype == torch.float32
    rounded = model.logits.detach().float().tolist()
    expected = -sum(math.log(softmax(row)[label]) for row, label in zip(rounded, LABELS, strict=True))
    assert loss.item() == pytest.approx(expected, rel=1e-6)


def test_labels_are_not_shown_to_the_model(task, batch):
    model = Table(torch.tensor(LOGITS))
    task.loss(model, batch)
    assert set(model.called_with) == {"input_ids", "attention_mask"}


def test_predictions_are_the_largest_logit_with_probabilities_and_losses(task, batch):
    with torch.no_grad():
        predictions = task.rows(task.predict(Table(torch.tensor(LOGITS)), batch), ROWS)
    assert [row["prediction"] for row in predictions] == [2, 0, 2]
    assert [row["label"] for row in predictions] == LABELS
    for row, logits, label in zip(predictions, LOGITS, LABELS, strict=True):
        assert row["probabilities"] == pytest.approx(softmax(logits), rel=1e-6)
        assert row["loss"] == pytest.approx(-math.log(softmax(logits)[label]), rel=1e-5)


def test_score_counts_right_predictions(task):
    predictions = [{"label": label, "prediction": 1} for label in (1, 0, 1, 2)]
    assert task.score(predictions)["accuracy"].value == 50.0


def test_score_has_the_metrics_that_the_task_names(tiny_roberta_folder):
    task = make_task(tiny_roberta_folder, labels=["bad", "good"], metrics=["f1", "matthews", "accuracy"])
    predictions = [{"label": label, "prediction": found} for label, found in ((1, 1), (1, 0), (0, 0), (0, 0), (0, 1))]
    values = {name: score.value for name, score in task.score(predictions).items()}
    # One true positive, one false, one missed, two true negatives.
    expected = {"f1": 100 * 2 / (2 + 1 + 1), "matthews": 100 * (1 * 2 - 1 * 1) / 6, "accuracy": 60.0}
    assert values == pytest.approx(expected)
    assert list(values) == list(expected)


@pytest.mark.parametrize(
    ("labels", "found", "remarks"),
    [
        ([0, 1, 2], [1, 1, 1], ["all 3 predictions are 'good'"]),
        ([0, 1, 2], [1, 1, 0], []),
        ([1, 1, 1], [1, 1, 1], []),  # nothing else was to be found
        ([0], [1], []),
    ],
)
def test_predictions_of_one_label_alone_are_remarked_upon(task, labels, found, remarks):
    rows = [
        {"label": label, "prediction": code, "prediction_name": task.labels[code]}
        for label, code in zip(labels, found, strict=True)
    ]
    assert task.remarks(rows) == remarks


# -- regression --------------------------------------------------------------------------------------------------------

NUMBERS = [2.5, 0.0, 5.0]
OUTPUTS = [[2.0], [0.25], [-1.0]]


@pytest.fixture
def regression(tiny_roberta_folder):
    return make_task(tiny_roberta_folder, labels="number", metrics=["pearson", "spearman"], metric="pearson")


@pytest.fixture
def numbers(regression):
    rows = [LabelledTexts(row.texts, number) for row, number in zip(ROWS, NUMBERS, strict=True)]
    return regression.collate(regression.encode(rows))


def test_numbers_are_floats_in_the_batch(regression, numbers):
    assert numbers["labels"].dtype == torch.float32
    assert numbers["labels"].tolist() == NUMBERS
    assert regression.config.outputs() == 1


def test_loss_of_a_regression_is_the_summed_squared_error(regression, numbers):
    model = Table(torch.tensor(OUTPUTS))
    loss = regression.loss(model, numbers)
    assert loss.item() == pytest.approx(0.5**2 + 0.25**2 + 6.0**2)
    loss.backward()
    torch.testing.assert_close(model.logits.grad, torch.tensor([[2 * -0.5], [2 * 0.25], [2 * -6.0]]))


def test_predictions_of_a_regression_are_the_outputs(regression, numbers):
    with torch.no_grad():
        predictions = regression.rows(regression.predict(Table(torch.tensor(OUTPUTS)), numbers), ROWS)
    assert [set(row) for row in predictions] == [{"label", "prediction", "loss"}] * 3
    assert [row["prediction"] for row in predictions] == [2.0, 0.25, -1.0]
    assert [row["loss"] for row in predictions] == pytest.approx([0.25, 0.0625, 36.0])


def test_score_of_a_regression_is_the_correlation(regression):
    predictions = [{"label": x, "prediction": 3 * x**3 + 1} for x in (0.0, 1.0, 2.0, 3.0)]
    scores = regression.score(predictions)
    x, y = [row["label"] for row in predictions], [row["prediction"] for row in predictions]
    mean_x, mean_y = sum(x) / 4, sum(y) / 4
    covariance = sum((a - mean_x) * (b - mean_y) for a, b in zip(x, y, strict=True))
    deviation = math.sqrt(sum((a - mean_x) ** 2 for a in x) * sum((b - mean_y) ** 2 for b in y))
    assert scores["pearson"].value == pytest.approx(100 * covariance / deviation)
    assert scores["spearman"].value == pytest.approx(100.0)


def test_labels_of_a_finished_run_need_no_data(tiny_roberta_folder):
    config = compose(
        [f"plm.path={tiny_roberta_folder}", "task=classification", "task.data_dir=/nowhere", "task.max_length=32"]
    )
    task = ClassificationTask(config.task, load_tokenizer(config.plm), {}, labels=["bad", "good"])
    assert task.config.labels == "auto"
    assert task.config.outputs(task.labels) == 2
    assert task.shown({"prediction": 1, "probabilities": [0.25, 0.75]}) == {
        "prediction": "good",
        "probabilities": {"bad": 0.25, "good": 0.75},
    }


def test_a_model_that_takes_segments_for_tokens_is_given_none(tiny_gpt2_folder):
    tokenizer = load_tokenizer(compose([f"plm.path={tiny_gpt2_folder}", "plm=gpt2"]).plm)
    tokenizer.model_input_names = ["input_ids", "token_type_ids", "attention_mask"]
    config = compose([f"plm.path={tiny_gpt2_folder}", "plm=gpt2", "task.max_length=32", "task.labels=[bad,good,odd]"])
    keys = []
    for architecture in ({"model_type": "gpt2"}, {}):
        task = ClassificationTask(config.task, tokenizer, architecture)
        keys.append(set(task.encode(ROWS)[0]))
    assert keys == [{"input_ids", "labels", "length"}, {"input_ids", "token_type_ids", "labels", "length"}]
