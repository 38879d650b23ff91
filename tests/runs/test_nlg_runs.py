"""Whole runs of generation tasks on a tiny PLM: texts, scores, selection, and exact resumption."""

import gzip
import json
import math

import pytest
import torch
from helpers.auto_classes import GENERATOR
from helpers.runs import PEOPLE, built, killed, results, write_table
from helpers.webnlg_files import as_json
from safetensors.torch import load_file

import inducer_bench as ib
from inducer_bench.config.compose import compose
from inducer_bench.errors import ExitCode, UserError
from inducer_bench.metrics.score import Score
from inducer_bench.plm.load import load_model
from inducer_bench.runs import record as records
from inducer_bench.runs.run import run
from inducer_bench.tasks.generation import GenerationTask
from inducer_bench.training.evaluation import evaluate, evaluate_final

D = 32  # width of the tiny GPT-2


def webnlg_entries(count, categories):
    return [
        (
            categories[i % len(categories)],
            [(PEOPLE[i % 8], "likes", f"film_{i}")],
            [("good", f"{PEOPLE[i % 8]} likes the film {i} .")] * (1 + i % 2) + [("toFix", "no")],
        )
        for i in range(count)
    ]


def write_webnlg(folder):
    for split, count, categories in (("train", 16, "AB"), ("dev", 6, "AB"), ("test", 7, "ABC")):
        (folder / f"{split}.json").write_text(as_json(webnlg_entries(count, categories)))


def write_coqa(folder):
    for split, count in (("train", 6), ("dev", 4)):
        rows = [
            {
                "source": ("cnn", "race")[i % 2],
                "story": f"{PEOPLE[i]} saw a film .",
                "questions": ["Who ?", "What ?", "Why ?"][: 1 + i % 3],
                "answers": {"input_text": [PEOPLE[i], "a film", "great story"][: 1 + i % 3]},
            }
            for i in range(count)
        ]
        (folder / f"coqa-{split}-v1.0.jsonl").write_text("\n".join(map(json.dumps, rows)))


WRITERS = {"webnlg": write_webnlg, "coqa": write_coqa, "text_to_text": write_table}
METRICS = {
    "webnlg": ["task.metrics=[bleu,bleu_multi,chrf,rougeL]"],
    "coqa": [],
    "text_to_text": ["task.metrics=[chrf,rouge1]", "task.metric=chrf"],
}


@pytest.fixture
def overrides(tiny_gpt2_folder, tmp_path):
    """A function that writes a task's data and gives the overrides of a short run with dropout and accumulation."""

    def overrides(task):
        folder = tmp_path / task
        folder.mkdir()
        WRITERS[task](folder)
        return [
            f"task={task}", *METRICS[task], f"plm.path={tiny_gpt2_folder}", f"task.data_dir={folder}",
            "task.max_length=60", "task.decoding.max_new_tokens=6", "method.r_k=4", "method.r_v=4", "trainer.lr=1e-2",
            "trainer.warmup=0", "trainer.epochs=2", "trainer.batch_size=6", "trainer.micro_batch_size=4",
            "trainer.log_every=2", "trainer.checkpoint_every=3", f"output_dir={tmp_path / 'runs'}",
        ]  # fmt: skip

    return overrides


def predictions_in(folder):
    text = gzip.decompress((folder / "predictions.jsonl.gz").read_bytes()).decode()
    return [json.loads(line) for line in text.splitlines()]


def events(folder, kind):
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [line for line in lines if line["event"] == kind]


def test_webnlg_run_records_scores_of_all_seen_and_unseen_with_signatures(overrides):
    outcome = run(compose(overrides("webnlg")))
    assert outcome.code == ExitCode.DONE
    record = records.read(outcome.folder)
    metrics = ("bleu", "bleu_multi", "chrf", "rougeL")
    assert set(record.scores) == {f"{name}{part}" for part in ("", "_seen", "_unseen") for name in metrics}
    assert all(score.value >= 0 and score.signature for score in record.scores.values())
    assert "version:" in record.scores["bleu_seen"].signature
    # 16 and 6 entries with one or two good texts each are 24 and 9 sequences; texts are written for test's 7 entries.
    assert record.examples == {"train": 24, "selection": 9, "test": 7}
    assert record.losses == {}
    assert record.parameters.tokens == 16 * D
    assert record.parameters.head == 0
    saved = load_file(outcome.folder / "adapter/adapter.safetensors")
    assert [tuple(tensor.shape) for name, tensor in saved.items() if "special_tokens" in name] == [(16, D)]


def test_webnlg_predictions_are_in_the_order_of_the_entries(overrides):
    outcome = run(compose(overrides("webnlg")))
    rows, expected = predictions_in(outcome.folder), webnlg_entries(7, "ABC")
    assert [row["index"] for row in rows] == list(range(7))
    assert [row["id"] for row in rows] == [str(number) for number in range(1, 8)]
    assert [row["group"] for row in rows] == ["unseen" if entry[0] == "C" else "seen" for entry in expected]
    assert [row["references"] for row in rows] == [[t for kind, t in e[2] if kind == "good"] for e in expected]
    assert {row["split"] for row in rows} == {"test"}
    assert not any("<" in row["prediction"] for row in rows)


def test_scores_of_a_run_are_those_of_its_predictions(overrides):
    config = compose(overrides("webnlg"))
    outcome = run(config)
    task = built(config).task
    scores = task.score_answers(predictions_in(outcome.folder))
    assert scores == outcome.record.scores


@pytest.mark.parametrize("history", ["gold", "model"])
def test_coqa_run_answers_turn_after_turn_and_writes_the_official_file(overrides, history):
    outcome = run(compose([*overrides("coqa"), f"task.history={history}"]))
    assert outcome.code == ExitCode.DONE
    assert {"f1", "em", "f1_news", "f1_mid-high_school", "em_in_domain"} <= set(outcome.record.scores)
    rows = predictions_in(outcome.folder)
    assert [row["id"] for row in rows] == ["0/1", "1/1", "1/2", "2/1", "2/2", "2/3", "3/1"]
    assert json.loads((outcome.folder / "coqa_predictions.json").read_text()) == [
        {"id": row["id"][0], "turn_id": int(row["id"][2]), "answer": row["prediction"]} for row in rows
    ]


def test_text_to_text_run_pools_references(overrides):
    outcome = run(compose(overrides("text_to_text")))
    assert list(outcome.record.scores) == ["chrf", "rouge1"]
    rows = predictions_in(outcome.folder)
    assert [len(row["references"]) for row in rows] == [2, 1, 1, 1, 1]
    assert outcome.message.startswith("chrf ")
    assert not (outcome.folder / "coqa_predictions.json").exists()


@pytest.mark.parametrize("task", ["webnlg", "coqa"])
def test_saved_adapter_writes_the_recorded_texts(overrides, task):
    config = compose(overrides(task))
    outcome = run(config)
    setting = built(config)
    torch.manual_seed(99)
    tuned = ib.load(load_model(config.plm, GENERATOR), outcome.folder / "adapter")
    (split,) = config.task.report
    result = evaluate_final(setting.accelerator, tuned, setting.task, setting.eval_data[split], batch_size=3)
    sources = [{"input": given} for given in setting.task.inputs(split, setting.eval_data[split])]
    rows = [{**row, **given} for row, given in zip(result.predictions, sources, strict=True)]
    expected = [{"split": split, "index": i, **row} for i, row in enumerate(rows)]
    assert expected == predictions_in(outcome.folder)
    untrained = evaluate_final(setting.accelerator, setting.tuned, setting.task, setting.eval_data[split], batch_size=3)
    assert [row["prediction"] for row in untrained.predictions] != [row["prediction"] for row in expected]


@pytest.mark.parametrize(("where", "at"), [("step", 5), ("rename", 9)])
def test_killed_run_started_again_ends_bit_for_bit_as_the_uninterrupted_one(overrides, where, at, tmp_path):
    own = overrides("webnlg")
    killed(where, at, own, tmp_path)
    resumed = run(compose(own))
    assert "resuming at step" in (resumed.folder / "log.txt").read_text()
    whole = run(compose([*own, f"output_dir={tmp_path / 'whole'}"]))
    assert results(resumed.folder) == results(whole.folder)


def test_epoch_of_lowest_perplexity_is_kept_and_patience_ends_the_run(overrides, monkeypatch):
    found = iter([9.0, 4.0, 7.0, 5.0, 3.0])

    def score(self, predictions):
        return {"perplexity": Score(value=next(found), signature="of this test")}

    monkeypatch.setattr(GenerationTask, "score", score)
    config = compose([*overrides("webnlg"), "trainer.epochs=5", "trainer.patience=2"])
    record = run(config).record
    assert (record.best_epoch, record.selection_score) == (2, 4.0)
    assert [entry["perplexity"] for entry in record.evaluations] == [9.0, 4.0, 7.0, 5.0]  # two were no better


def test_overfitting_run_keeps_the_weights_of_its_best_epoch(overrides, tmp_path):
    """Real perplexities: dev, with train's words in another order, gets worse again once train's order is learnt."""
    own = [override for override in overrides("webnlg") if not override.startswith("method.")]
    dev = [(*entry[:2], [("good", " ".join(entry[2][0][1].split()[::-1]))]) for entry in webnlg_entries(6, "AB")]
    (tmp_path / "webnlg" / "dev.json").write_text(as_json(dev))
    fast = ["method=fine_tune", "trainer.epochs=7", "trainer.lr=5e-3", "trainer.schedule=constant"]
    config = compose([*own, *fast, "trainer.patience=null"])
    outcome = run(config)
    perplexities = [entry["perplexity"] for entry in outcome.record.evaluations]
    assert min(perplexities) < min(perplexities[0], perplexities[-1])  # else the first or last weights would do as well
    assert outcome.record.best_epoch == perplexities.index(min(perplexities)) + 1
    setting = built(config)
    tuned = ib.load(load_model(config.plm, GENERATOR), outcome.folder / "adapter")
    again = evaluate(setting.accelerator, tuned, setting.task, setting.splits.selection, 64)
    assert again.scores["perplexity"].value == pytest.approx(min(perplexities), rel=1e-5)
    assert math.exp(again.loss) == pytest.approx(min(perplexities), rel=1e-5)


def test_labels_are_smoothed_in_training_and_nowhere_else(overrides):
    own = [*overrides("webnlg"), "trainer.lr=1e-12", "trainer.epochs=1", "trainer.log_every=1"]
    plain, smoothed = (run(compose([*own, f"trainer.label_smoothing={value}"])).folder for value in (0.0, 0.5))
    losses = [[event["loss"] for event in events(folder, "train")] for folder in (plain, smoothed)]
    assert all(abs(one - other) > 1e-3 for one, other in zip(*losses, strict=True))
    one, other = (events(folder, "evaluation")[0] for folder in (plain, smoothed))
    assert one["perplexity"] == pytest.approx(other["perplexity"], rel=1e-6)
    assert one["loss"] == pytest.approx(math.log(one["perplexity"]), rel=1e-6)


def test_logged_training_loss_is_per_token(overrides):
    """An untrained model is about as perplexed in training as on dev, however many texts a batch has."""
    own = [*overrides("webnlg"), "trainer.lr=1e-12", "trainer.epochs=1", "trainer.log_every=1"]
    folder = run(compose([*own, "trainer.label_smoothing=0.0"])).folder
    (dev,) = events(folder, "evaluation")
    assert all(event["loss"] == pytest.approx(dev["loss"], rel=0.15) for event in events(folder, "train"))


def test_decoding_settings_reach_the_texts(overrides):
    own = overrides("webnlg")
    long, short = (
        [row["prediction"] for row in predictions_in(run(compose([*own, *more])).folder)]
        for more in ([], ["task.decoding.max_new_tokens=2"])
    )
    assert all(one.startswith(other) for one, other in zip(long, short, strict=True))
    assert long != short


def test_second_run_is_a_no_op_and_another_decoding_is_another_run(overrides):
    own = overrides("text_to_text")
    first = run(compose(own))
    assert run(compose(own)).message.startswith("already done: chrf ")
    other = run(compose([*own, "task.decoding.beams=2"]))
    assert other.folder != first.folder
    assert other.code == ExitCode.DONE


def test_dry_run_takes_a_step(overrides, tmp_path):
    outcome = run(compose([*overrides("coqa"), "dry_run=true"]))
    assert outcome.message.startswith("dry run: loss ")
    assert not (tmp_path / "runs").exists()


def test_damaged_test_file_is_told_before_anything_is_trained(overrides, tmp_path):
    own = overrides("webnlg")
    (tmp_path / "webnlg" / "test.json").write_text('{"entries": [')
    with pytest.raises(UserError, match=r"test\.json, line 1: not JSON"):
        run(compose(own))
    assert not list((tmp_path / "runs").rglob("metrics.jsonl"))
