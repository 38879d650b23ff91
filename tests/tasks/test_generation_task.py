"""What generation tasks share, against naive constructions and a full-logits cross entropy in float64."""

import dataclasses
import math
from functools import cache

import pytest
import torch
import transformers as tf
from helpers.architectures import VOCABULARY, build, tokens
from helpers.method_options import OPTIONS
from torch import nn

import inducer_bench as ib
from inducer_bench.config.compose import compose
from inducer_bench.errors import UserError
from inducer_bench.methods.architectures import LAYOUTS
from inducer_bench.plm.load import load_tokenizer
from inducer_bench.tasks.options import SPECIAL_TOKENS
from inducer_bench.tasks.sample import Sample
from inducer_bench.tasks.text_to_text import TextToTextTask
from inducer_bench.training.batching import micro_batches

PAD, TARGET, END = (
    VOCABULARY + SPECIAL_TOKENS.index(token) for token in ("<pad>", "<target_sm>", "<eos_sm>")
)  # fmt: skip
LENGTHS = [(5, 4), (9, 1), (3, 7), (8, 2), (4, 4)]  # of prompt and target with its end


def encoded(lengths=LENGTHS):
    """Examples of random tokens, as `encode` makes them."""
    made = []
    for seed, (prompt, target) in enumerate(lengths):
        ids = tokens(1, prompt + target, seed)[0].tolist()
        ids[0], ids[prompt - 1], ids[-1] = VOCABULARY + 6, TARGET, END
        made.append(
            {
                "input_ids": ids,
                "token_type_ids": [VOCABULARY + 8] * (prompt - 1) + [TARGET] * (target + 1),
                "prompt_length": prompt,
                "length": len(ids),
            }
        )
    return made


@cache
def shipped():
    return compose(["task=text_to_text"]).task


def make_task(architecture="gpt2", tokenizer=None, vocabulary=VOCABULARY, **changes):
    config = dataclasses.replace(shipped(), **changes)
    return TextToTextTask(config, tokenizer, {"vocab_size": vocabulary, "model_type": architecture})


@pytest.fixture(scope="module")
def tokenizer(tiny_gpt2_folder):
    config = compose(["task=text_to_text", f"plm.path={tiny_gpt2_folder}", "task.max_length=64", "method=bitfit"])
    return load_tokenizer(config.plm)


def tuned_model(architecture, method="lora"):
    """A tuned float64 model whose special tokens and method matter."""
    tuned = ib.attach(build(architecture), method, special_tokens=len(SPECIAL_TOKENS), **OPTIONS[method])
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in tuned.trained_parameters().values():
            parameter.add_(torch.randn_like(parameter) * 0.3)
    return tuned.eval()


class Float64(nn.Module):
    """Keeps `float()`, with which the task leaves half precision, from rounding float64 logits."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, **inputs):
        return _Exact(self.model(**inputs))


class _Exact:
    def __init__(self, logits):
        self.logits = logits

    def float(self):
        return self.logits


def predicted(task, model, examples):
    return task.rows(task.predict(model, task.collate(examples)), examples)


def naive_losses(tuned, example, segments, smoothing=0.0):
    """-log p of each token of the target, one example and the whole of its logits, smoothed over all V + 16 classes."""
    ids = torch.tensor([example["input_ids"]])
    extra = {"token_type_ids": torch.tensor([example["token_type_ids"]])} if segments else {}
    log_probabilities = tuned(input_ids=ids, **extra).logits[0].log_softmax(-1)
    assert log_probabilities.shape[-1] == VOCABULARY + 16
    losses = []
    for place in range(example["prompt_length"], example["length"]):
        row = log_probabilities[place - 1]
        wanted = row[example["input_ids"][place]]
        losses.append(-((1 - smoothing) * wanted + smoothing * row.mean()))
    return torch.stack(losses)


# -- batches -----------------------------------------------------------------------------------------------------------


def test_batch_is_padded_on_the_right_and_marks_where_targets_are_predicted():
    examples = encoded()
    batch = make_task().collate(examples)
    width = max(example["length"] for example in examples)
    wanted = {"input_ids": [], "token_type_ids": [], "attention_mask": [], "logits_at": []}
    labels = []
    for row, example in enumerate(examples):
        padding = width - example["length"]
        wanted["input_ids"].append(example["input_ids"] + [PAD] * padding)
        wanted["token_type_ids"].append(example["token_type_ids"] + [PAD] * padding)
        wanted["attention_mask"].append([1] * example["length"] + [0] * padding)
        wanted["logits_at"] += [
            row * width + place for place in range(width) if example["prompt_length"] <= place + 1 < example["length"]
        ]
        labels += example["input_ids"][example["prompt_length"] :]
    assert {name: tensor.tolist() for name, tensor in batch.items()} == {**wanted, "labels": labels}
    assert batch["logits_at"].dtype == torch.int64


@pytest.mark.parametrize("architecture", ["gpt2", "llama"])
def test_rows_and_terms_may_be_padded_to_any_shape_and_count_for_nothing(architecture):
    tuned, task, examples = tuned_model(architecture), make_task(architecture), encoded()
    plain, wide = task.collate(examples), task.collate(examples, length=15, terms=24)
    assert wide["input_ids"].shape == wide["attention_mask"].shape == (5, 15)
    assert wide["logits_at"].shape == wide["labels"].shape == (24,)
    trained = list(tuned.trained_parameters().values())
    losses = [task.loss(Float64(tuned), batch, 0.1) for batch in (plain, wide)]
    torch.testing.assert_close(losses[1], losses[0], rtol=1e-12, atol=0)
    for found, expected in zip(*(torch.autograd.grad(loss, trained) for loss in losses), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-12)
    rows, others = (task.rows(task.predict(Float64(tuned), batch), examples) for batch in (plain, wide))
    assert [row["count"] for row in rows] == [row["count"] for row in others] == [target for _, target in LENGTHS]
    assert [row["loss"] for row in others] == pytest.approx([row["loss"] for row in rows], rel=1e-12)


@pytest.mark.parametrize(
    ("model", "config", "after_head"),
    [
        (tf.Gemma2ForCausalLM, tf.Gemma2Config, {"final_logit_softcapping": 0.5, "head_dim": 8}),
        (tf.GraniteForCausalLM, tf.GraniteConfig, {"logits_scaling": 0.1}),
        (tf.CohereForCausalLM, tf.CohereConfig, {"logit_scale": 9.0}),
    ],
)
def test_loss_is_the_model_s_own_where_it_caps_or_scales_logits(model, config, after_head):
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2}
    own = {"vocab_size": VOCABULARY, "num_key_value_heads": 1, "pad_token_id": 1, "initializer_range": 0.3}
    tuned = ib.attach(model(config(**sizes, **own, **after_head)).eval(), "fine_tune", special_tokens=16)
    task, examples = make_task(tuned.config.model_type), encoded()
    batch = task.collate(examples)
    labels = torch.full(batch["input_ids"].shape, -100)
    labels.view(-1)[batch["logits_at"] + 1] = batch["labels"]
    expected = tuned(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"], labels=labels).loss
    found = task.loss(tuned, batch) / task.count(examples)
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=0)
    trained = list(tuned.trained_parameters().values())
    for ours, reference in zip(*(torch.autograd.grad(loss, trained) for loss in (found, expected)), strict=True):
        torch.testing.assert_close(ours, reference, rtol=1e-4, atol=1e-6)


def test_model_without_an_output_embedding_has_no_logits_at_positions():
    tuned = ib.attach(build("roberta"), "head_only")
    with pytest.raises(UserError, match="logits_at: found RobertaForSequenceClassification; allowed: a language model"):
        tuned(input_ids=tokens(2, 5), logits_at=torch.tensor([3]))
    assert tuned(input_ids=tokens(2, 5)).logits.shape == (2, 3)


def test_models_without_segment_embeddings_get_no_segments():
    assert set(make_task("llama").collate(encoded())) == {"input_ids", "attention_mask", "logits_at", "labels"}


def test_layout_of_an_unknown_architecture_says_whether_it_takes_segments():
    plain = {"vocab_size": VOCABULARY, "model_type": "unheard_of"}
    layout = LAYOUTS["gpt2"]
    assert not TextToTextTask(shipped(), None, plain).segments
    assert TextToTextTask(shipped(), None, plain, layout=layout).segments
    assert not TextToTextTask(shipped(), None, plain, layout=dataclasses.replace(layout, adds_segments=False)).segments


def test_collating_leaves_the_examples_as_they_were():
    examples = encoded()
    make_task().collate(examples)
    assert examples == encoded()


def test_loss_has_a_term_for_each_token_of_a_target_and_its_end():
    task, examples = make_task(), encoded()
    assert task.count(examples) == sum(target for _, target in LENGTHS)
    assert task.count(examples) == len(task.collate(examples)["labels"])


def test_encoded_sample_has_one_sequence_for_each_target(tokenizer):
    task = make_task(tokenizer=tokenizer, vocabulary=317)
    samples = [
        Sample("0", (("<source_sm>", "a film"),), ("great", "a delight"), ("great",)),
        Sample("1", (("<source_sm>", "a story"),), ("", "a mess"), ("a mess",)),
    ]
    examples = task.encode(samples)
    texts = [task.sequences.decode(example["input_ids"][example["prompt_length"] :]) for example in examples]
    assert texts == ["great", "a delight", "", "a mess"]
    assert [task.count([example]) for example in examples][2] == 1  # the end alone
    sources = [task.sequences.decode(example["input_ids"][2:]) for example in examples]
    assert sources == ["a film", "a film", "a story", "a story"]


# -- loss --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.9])
@pytest.mark.parametrize("architecture", ["gpt2", "llama"])
def test_loss_is_the_smoothed_cross_entropy_of_full_logits(architecture, smoothing):
    tuned, task = tuned_model(architecture), make_task(architecture)
    expected = torch.cat([naive_losses(tuned, example, task.segments, smoothing) for example in encoded()]).sum()
    loss = task.loss(Float64(tuned), task.collate(encoded()), smoothing)
    torch.testing.assert_close(loss, expected, rtol=1e-12, atol=0)
    single = task.loss(tuned, task.collate(encoded()), smoothing)
    assert single.dtype == torch.float32
    assert single.item() == pytest.approx(expected.item(), rel=1e-5)


@pytest.mark.parametrize("method", ["inducer", "prefix", "fine_tune"])
@pytest.mark.parametrize("architecture", ["gpt2", "llama"])
def test_gradients_of_padded_micro_batches_add_up_to_those_of_the_naive_loss(architecture, method):
    tuned, task, examples = tuned_model(architecture, method), make_task(architecture), encoded()
    count = sum(target for _, target in LENGTHS)  # of the whole batch: targets have different lengths
    trained = list(tuned.trained_parameters().values())
    losses = torch.cat([naive_losses(tuned, example, task.segments, 0.1) for example in examples])
    expected = torch.autograd.grad(losses.mean(), trained)
    for size in (None, 1, 2, 3):
        for parameter in trained:
            parameter.grad = None
        for micro in micro_batches(examples, size):
            (task.loss(Float64(tuned), task.collate(micro), 0.1) / task.count(examples)).backward()
        assert count == task.count(examples)
        for parameter, wanted in zip(trained, expected, strict=True):
            torch.testing.assert_close(parameter.grad, wanted, rtol=1e-9, atol=1e-12)
    assert any(gradient.abs().max() > 1e-3 for gradient in expected)


def test_prompts_and_padding_have_no_part_in_the_loss():
    tuned, task = tuned_model("gpt2"), make_task()
    short, long = encoded([(4, 3)]), encoded([(4, 3), (12, 9)])
    alone = task.loss(Float64(tuned), task.collate(short))
    together = task.loss(Float64(tuned), task.collate(long))
    other = torch.stack([*naive_losses(tuned, long[1], segments=True)]).sum()
    torch.testing.assert_close(together - other, alone, rtol=1e-10, atol=1e-12)
    perfect = Fixed(task.collate(long)["labels"])
    assert task.loss(perfect, task.collate(long)).item() == pytest.approx(0.0, abs=1e-6)


class Fixed(nn.Module):
    """Is sure of these labels."""

    def __init__(self, labels):
        super().__init__()
        self.labels = labels

    def forward(self, **_):
        return torch.nn.functional.one_hot(self.labels, VOCABULARY + 16) * 1e4


# -- prediction and perplexity -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("architecture", ["gpt2", "llama"])
def test_predictions_of_a_padded_batch_are_those_of_single_examples(architecture):
    tuned, task, examples = tuned_model(architecture), make_task(architecture), encoded()
    with torch.no_grad():
        together = predicted(task, Float64(tuned), examples)
        for example, row in zip(examples, together, strict=True):
            (alone,) = predicted(task, Float64(tuned), [example])
            naive = naive_losses(tuned, example, task.segments)
            assert row["count"] == alone["count"] == len(naive)
            assert row["loss"] == pytest.approx(alone["loss"], rel=1e-12)
            assert row["loss"] == pytest.approx(naive.sum().item(), rel=1e-12)


def test_perplexity_is_of_all_tokens_and_not_a_mean_over_texts():
    rows = [{"loss": 6.0, "count": 2}, {"loss": 1.0, "count": 5}]
    score = make_task().score(rows)["perplexity"]
    assert score.value == pytest.approx(math.exp(7.0 / 7))
    assert "per token" in score.signature


def test_model_that_knows_nothing_is_as_perplexed_as_there_are_tokens():
    task, examples = make_task(), encoded()
    batch = task.collate(examples)

    class Uniform(nn.Module):
        def forward(self, **_):
            return torch.zeros(len(batch["labels"]), VOCABULARY + 16)

    assert task.score(predicted(task, Uniform(), examples))["perplexity"].value == pytest.approx(VOCABULARY + 16)


@pytest.mark.parametrize("loss", [1e6, math.inf, math.nan])
def test_perplexity_beyond_all_numbers_is_infinite(loss):
    assert make_task().score([{"loss": loss, "count": 1}])["perplexity"].value == math.inf


def test_lowest_perplexity_selects_the_epoch():
    assert make_task().selection == ("perplexity", -1)


# -- what decides the tokens -------------------------------------------------------------------------------------------


def test_cache_key_depends_on_the_number_of_embeddings(tokenizer):
    keys = [make_task(tokenizer=tokenizer, vocabulary=size).encoding_key() for size in (317, 318)]
    assert keys[0] != keys[1]
    sample = [Sample("0", (("<source_sm>", "a film"),), ("great",), ("great",))]
    encoded = [make_task(tokenizer=tokenizer, vocabulary=size).encode(sample) for size in (317, 318)]
    assert encoded[0] != encoded[1]  # which is why


def test_cache_key_depends_on_lengths_and_not_on_how_texts_are_decoded_and_scored(tokenizer):
    key = make_task(tokenizer=tokenizer).encoding_key()
    decoding = dataclasses.replace(make_task().config.decoding, beams=7)
    assert make_task(tokenizer=tokenizer, decoding=decoding, metrics=["ter"]).encoding_key() == key
    assert make_task(tokenizer=tokenizer, max_length=100).encoding_key() != key
    assert make_task(tokenizer=tokenizer, source_tokens=100).encoding_key() != key


def test_source_without_room_is_refused_before_training(tokenizer, tmp_path):
    (tmp_path / "test.csv").write_text("source,target\na film,great\n")
    new = make_task().config.decoding.max_new_tokens
    shortest = {"tokenizer": tokenizer, "data_dir": str(tmp_path)}
    assert (
        len(make_task(**shortest, max_length=new + 4).eval_data("test")) == 1
    )  # <bos_sm> <source_sm> film <target_sm>
    with pytest.raises(UserError) as caught:
        make_task(**shortest, max_length=new + 3).eval_data("test")
    assert str(caught.value) == (
        f"task.max_length: found {new + 3}; a source of 1 segments needs at least 4 tokens, and 3 are left; "
        "raise it, or lower task.decoding.max_new_tokens"
    )
