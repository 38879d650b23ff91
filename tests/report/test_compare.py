"""`inducer-bench compare` puts two finished runs side by side, and says what keeps them from being compared."""

import gzip
import io
import json
import subprocess
import sys
from dataclasses import replace

import pytest
from helpers.handmade import code, data, write_run
from helpers.scores import generation_scores
from rich.console import Console
from scipy import stats

from inducer_bench.cli import compare as command
from inducer_bench.cli import main
from inducer_bench.metrics.score import Score
from inducer_bench.report.examples import read_predictions
from inducer_bench.runs import record as records
from inducer_bench.runs.artefacts import checksums
from inducer_bench.runs.record import Code

MINI = ("preset=mini", "task=sst2")
MACHINE = "cpu x86_64, threads: 1, fp32, torch"


def compare(capsys, *folders):
    assert main.main(["compare", *map(str, folders)]) == 0
    return capsys.readouterr().out


def row(shown, name):
    """The cells of one line of a table."""
    (line,) = (line for line in shown.splitlines() if line.startswith(f"  {name}  "))
    return [cell.strip() for cell in line.strip().split("  ") if cell.strip()]


def predict(folder, rows):
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    (folder / "predictions.jsonl.gz").write_bytes(gzip.compress(lines.encode()))
    records.write(folder, replace(records.read(folder), files=checksums(folder, ["predictions.jsonl.gz"])))


def refusal(capsys, *folders):
    assert main.main(["compare", *map(str, folders)]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    (line,) = captured.err.splitlines()
    return line


@pytest.fixture
def lora(tmp_path):
    """80 % of 200 examples right."""
    return write_run(tmp_path, *MINI, "method=lora", peak_memory_of="tensors_allocated")


@pytest.fixture
def inducer(tmp_path):
    """90 % right, and among these all that `lora` has right."""
    return write_run(tmp_path, *MINI, "method=inducer", score=90.0, parameters=34_000, train_seconds=45.0,
                     peak_memory_of="tensors_allocated")  # fmt: skip


def test_scores_stand_side_by_side_with_a_paired_test(capsys, lora, inducer):
    shown = compare(capsys, lora, inducer)
    name, left, right, difference, interval, p_value, test = row(shown, "accuracy")
    assert (name, left, right, difference, test) == ("accuracy", "80.00", "90.00", "+10.00", "McNemar")
    assert p_value == "< 0.001"
    low, high = map(float, interval.split(" to "))
    normal = 1.96 * (0.1 * 0.9 / 200) ** 0.5 * 100
    assert (low, high) == pytest.approx((10 - normal, 10 + normal), abs=0.7)


def test_p_value_is_that_of_the_examples_that_one_run_alone_has_right(capsys, lora, tmp_path):
    other = write_run(tmp_path, *MINI, "method=inducer", score=82.5)  # 5 more
    assert row(compare(capsys, lora, other), "accuracy")[5] == f"{stats.binomtest(0, 5).pvalue:.3f}"


def test_only_what_differs_in_the_configurations_is_listed(capsys, lora, inducer, tmp_path):
    shown = compare(capsys, lora, inducer)
    assert row(shown, "method.name") == ["method.name", "lora", "inducer"]
    assert row(shown, "method.alpha")[2] == "-"
    assert "  seed " not in shown
    again = write_run(tmp_path, *MINI, "method=lora", "trainer.epochs=2", seed=1)
    configuration = compare(capsys, lora, again).split("\nconfiguration\n")[1].split("\n\n")[0]
    assert {line.split()[0] for line in configuration.splitlines()} == {"key", "seed", "trainer.epochs"}
    assert "configuration: no difference" in compare(capsys, lora, lora)


def test_costs_come_with_their_ratio(capsys, lora, inducer):
    shown = compare(capsys, lora, inducer)
    assert row(shown, "parameters of the method") == ["parameters of the method", "17,000", "34,000", "2.00"]
    assert row(shown, "training, s") == ["training, s", "30.0", "45.0", "1.50"]
    assert row(shown, "peak memory, MiB") == ["peak memory, MiB", "512", "512", "1.00"]
    assert row(shown, "of special-token rows") == ["of special-token rows", "0", "0", "-"]


def test_runs_that_differ_in_nothing_else_get_no_warning(capsys, lora, inducer):
    left, right, rest = compare(capsys, lora, inducer).split("\n", 2)
    assert left.split() == ["left", str(lora)]
    assert right.split() == ["right", str(inducer)]
    assert rest.startswith("\nconfiguration\n")


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"suite": "full"}, "suite: mini -> full; their scores say nothing about each other"),
        ({"data": data("sha256:other")}, "data: sha256:data -> sha256:other; no paired test"),
        ({"plm_fingerprint": "sha256:else"}, "PLM files: sha256:plm -> sha256:else; "),
        ({"protocol": "clean"}, "protocol: paper -> clean; "),
        ({"code": replace(code("0.2.0"), algorithm=1)}, "code: 0.1.0 at 0123456 -> 0.2.0; "),
        ({"versions": {"torch": "3.0"}}, f"machine: {MACHINE} 2.13.0 -> {MACHINE} 3.0; "),
    ],
    ids=lambda value: "" if isinstance(value, str) else next(iter(value)),
)  # fmt: skip
def test_what_keeps_runs_from_being_compared_is_said_in_a_line(capsys, lora, tmp_path, changes, line):
    shown = compare(capsys, lora, write_run(tmp_path / "other", *MINI, "method=lora", **changes))
    warnings = shown.split("\n\n")[0].splitlines()[2:]
    assert len(warnings) == 1
    assert warnings[0].startswith(line)


def test_another_algorithm_is_named(capsys, lora, tmp_path):
    newer = Code(version="0.1.0", algorithm=2, git_sha="0123456789abcdef", git_dirty=False)
    shown = compare(capsys, lora, write_run(tmp_path / "other", *MINI, "method=lora", code=newer))
    assert "\nalgorithm: version 1 -> version 2; equal configurations give other numbers\n" in shown


def test_score_that_was_computed_differently_is_named(capsys, lora, inducer):
    scores = {"accuracy": Score(value=90.0, signature="other")}
    records.write(inducer, replace(records.read(inducer), scores=scores))
    assert "\naccuracy: accuracy -> other; computed differently\n" in compare(capsys, lora, inducer)


def test_predictions_that_do_not_give_the_recorded_score_are_not_tested(capsys, lora, tmp_path):
    other = write_run(tmp_path, *MINI, "method=inducer", score=90.0)
    predict(other, read_predictions(lora, records.read(lora)))
    assert row(compare(capsys, lora, other), "accuracy")[4:] == ["-", "-", "none: the predictions give other scores"]


def test_other_data_are_compared_without_a_test(capsys, lora, tmp_path):
    other = write_run(tmp_path, *MINI, "method=inducer", score=90.0, data=data("other"), predictions=False)
    shown = compare(capsys, lora, other)
    assert row(shown, "accuracy") == ["accuracy", "80.00", "90.00", "+10.00", "-", "-", "none"]
    assert "inducer-bench tables" not in shown


def test_other_examples_of_the_same_data_are_compared_without_a_test(capsys, lora, inducer):
    predict(inducer, [{"split": "dev", "index": 0, "label": 0, "prediction": 0, "loss": 0.5}])
    shown = compare(capsys, lora, inducer)
    assert "\nexamples: the runs predicted different ones; no paired test\n" in shown
    assert row(shown, "accuracy")[4:] == ["-", "-", "none"]


def test_score_that_one_run_lacks_or_that_has_no_test_says_so(capsys, tmp_path):
    task = ("preset=mini", "task=webnlg", "plm=mini_gpt2")
    rows = [{"split": "test", "index": i, "id": str(i), "group": ("seen", "unseen")[i % 2], "prediction": "a b c d e",
             "references": ["a b c d e" if i % 3 else "a b x d e"]} for i in range(20)]  # fmt: skip
    others = [{**row, "prediction": "a b c d f"} for row in rows]

    def bleu(rows):
        texts, references = [row["prediction"] for row in rows], [row["references"] for row in rows]
        return generation_scores(texts, references, ["bleu"])["bleu"].value

    left = write_run(tmp_path, *task, "method=lora", scores={"bleu": bleu(rows), "meteor": 30.0, "ter": 40.0,
                                                            "bleu_seen": bleu(rows[::2])})  # fmt: skip
    right = write_run(tmp_path, *task, "method=prefix", scores={"bleu": bleu(others), "meteor": 31.0, "ter": None,
                                                               "bleu_seen": bleu(others[::2])})  # fmt: skip
    predict(left, rows)
    predict(right, others)
    shown = compare(capsys, left, right)
    assert row(shown, "bleu")[5:] == ["< 0.001", "approximate randomisation"]
    assert row(shown, "bleu_seen")[6] == "approximate randomisation"
    assert row(shown, "meteor") == ["meteor", "30.00", "31.00", "+1.00", "-", "-", "none for this metric"]
    assert row(shown, "ter") == ["ter", "40.00", "-", "-", "-", "-", "-"]


def test_in_a_terminal_the_same_is_drawn_with_lines(capsys, monkeypatch, lora, inducer):
    screen = io.StringIO()
    monkeypatch.setattr(command, "Console", lambda **_: Console(file=screen, force_terminal=True, width=100))
    assert main.main(["compare", str(lora), str(inducer)]) == 0
    for text in ("│ accuracy", "│ 80.00", "│ McNemar", "│ method.name", "│ 34,000", "inducer-bench tables"):
        assert text in screen.getvalue()
    assert capsys.readouterr().out == ""


def test_folder_without_a_record_is_refused(capsys, lora, tmp_path):
    line = refusal(capsys, lora, tmp_path / "nowhere")
    assert f"found '{tmp_path / 'nowhere'}', which holds no record" in line


def test_damaged_record_is_refused(capsys, lora, inducer):
    (inducer / records.FILE).write_text("{")
    assert f"{inducer / records.FILE}: not a whole record" in refusal(capsys, lora, inducer)


def test_damaged_predictions_are_refused(capsys, lora, inducer):
    (inducer / "predictions.jsonl.gz").write_bytes(b"")
    assert f"{inducer / 'predictions.jsonl.gz'}: damaged" in refusal(capsys, lora, inducer)


def test_runs_of_different_tasks_are_refused(capsys, lora, tmp_path):
    other = write_run(tmp_path, "preset=mini", "task=mnli", "method=lora")
    assert "RUN: found runs of sst2 and mnli; allowed: two runs of the same task" in refusal(capsys, lora, other)


def test_failed_run_is_refused(capsys, lora, tmp_path):
    failed = write_run(tmp_path, *MINI, "method=prefix", status="failed")
    assert "which is failed; allowed: a run that is done" in refusal(capsys, lora, failed)


def test_one_folder_is_too_few(capsys, lora):
    assert "arguments are required: RUN" in refusal(capsys, lora)


def test_comparing_labels_imports_neither_torch_nor_sacrebleu(lora, inducer):
    program = "import sys; from inducer_bench.cli.main import main; code = main(['compare', *sys.argv[1:]]);"
    program += "print(code, [name for name in ('torch', 'transformers', 'sacrebleu') if name in sys.modules])"
    process = subprocess.run([sys.executable, "-c", program, lora, inducer], capture_output=True, text=True, check=True)
    assert process.stdout.splitlines()[-1] == "0 []"
