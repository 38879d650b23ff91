"""One run on two processes: the same result as on one process, written once, and no deadlock."""

import gzip
import json
import shutil
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

import pytest
from helpers.commands import command
from helpers.runs import write_table

from inducer_bench import distributed
from inducer_bench.config.compose import compose
from inducer_bench.errors import ExitCode
from inducer_bench.runs import record as records
from inducer_bench.runs.run import run

# One process of two. A job is [overrides, rank, step, what that rank does in that step]; each leaves a line of JSON.
WORKER = """
import json, os, signal, sys
from inducer_bench.training import loop
from inducer_bench.config.compose import compose
from inducer_bench.errors import UserError
from inducer_bench.runs.run import run

original = loop.micro_batches
for overrides, rank, at, deed in json.loads(sys.argv[1]):
    steps = []
    def acting(*arguments):
        steps.append(1)
        if (int(os.environ["RANK"]), len(steps)) == (rank, at):
            if deed == "fail":
                raise MemoryError("no room for this")
            os.kill(os.getpid(), getattr(signal, deed))
        return original(*arguments)
    loop.micro_batches = acting
    try:
        outcome = run(compose(overrides))
        print(json.dumps([outcome.status, str(outcome.folder)]), flush=True)
    except UserError as error:
        print(json.dumps(["refused", str(error)]), flush=True)
"""


def on_two_processes(jobs, folder, timeout=300):
    """Exit code, JSON lines and stderr of both processes."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])

    def process(rank):
        place = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}
        own = folder / f"process {rank}"
        own.mkdir()
        environment = {**place, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
        return command([json.dumps(jobs)], own, environment=environment, timeout=timeout, program=WORKER)

    with ThreadPoolExecutor() as both:
        ended = list(both.map(process, ("0", "1")))
    assert not any(one.hung for one in ended), ended
    return [(one.code, [json.loads(line) for line in one.out.splitlines()], one.err) for one in ended]


@pytest.fixture(scope="module")
def room(tmp_path_factory):
    return tmp_path_factory.mktemp("processes")


@pytest.fixture(scope="module")
def without_dropout(tiny_roberta_folder, tiny_gpt2_folder, room):
    """Copies of the tiny PLMs: dropout is the one thing that depends on which process sees an example."""
    rates = ("hidden_dropout_prob", "attention_probs_dropout_prob", "resid_pdrop", "embd_pdrop", "attn_pdrop")
    copies = {}
    for name, original in (("roberta", tiny_roberta_folder), ("gpt2", tiny_gpt2_folder)):
        copies[name] = shutil.copytree(original, room / original.name)
        path = copies[name] / "config.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **dict.fromkeys(rates, 0.0)}))
    return copies


@pytest.fixture(scope="module")
def classifying(without_dropout, sst2_folder):
    """2 epochs of 8 steps with accumulation; the last batch of an epoch has one example, and one share of it none."""
    return [
        f"plm.path={without_dropout['roberta']}", f"task.data_dir={sst2_folder}", "task.max_length=32",
        "task.max_train=57", "method.r_k=4", "trainer.lr=5e-3", "trainer.epochs=2", "trainer.batch_size=8",
        "trainer.micro_batch_size=3", "trainer.eval_batch_size=5", "trainer.log_every=2", "trainer.checkpoint_every=3",
        "trainer.device=cpu",
    ]  # fmt: skip


@pytest.fixture(scope="module")
def generating(without_dropout, room):
    """2 epochs of 3 steps, then texts."""
    data = room / "text_to_text"
    data.mkdir()
    write_table(data)
    return [
        "task=text_to_text", "task.metrics=[chrf]", "task.metric=chrf", f"plm.path={without_dropout['gpt2']}",
        f"task.data_dir={data}", "task.max_length=60", "task.decoding.max_new_tokens=6", "method.r_k=4", "method.r_v=4",
        "trainer.lr=1e-2", "trainer.warmup=0", "trainer.epochs=2", "trainer.batch_size=7", "trainer.eval_batch_size=2",
        "trainer.log_every=1", "trainer.device=cpu",
    ]  # fmt: skip


@pytest.fixture(scope="module")
def launched(classifying, generating, room):
    """Six jobs of one launch, to start two processes only once."""
    damaged = room / "damaged"
    damaged.mkdir()
    (damaged / "train.tsv").write_text("sentence\tlabel\nfine\t7\n")
    (damaged / "dev.tsv").write_text("sentence\tlabel\nfine\t1\n")
    two = f"output_dir={room / 'two'}"
    done = [*classifying, two]
    jobs = [
        [done, 0, 0, None],
        [[*generating, two], 0, 0, None],
        [done, 0, 0, None],
        [[*done, f"task.data_dir={damaged}"], 0, 0, None],
        [[*done, "seed=1"], 1, 5, "SIGTERM"],
        [[*done, "seed=2"], 1, 5, "fail"],
    ]
    return on_two_processes(jobs, room)


@pytest.fixture(scope="module")
def alone(classifying, generating, room):
    """The folders of the first, second and fifth job, run by one process without interruption."""
    one = f"output_dir={room / 'one'}"
    runs = ([*classifying, one], [*generating, one], [*classifying, one, "seed=1"])
    return [run(compose(overrides)).folder for overrides in runs]


def events(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def predictions(folder):
    lines = gzip.decompress((folder / "predictions.jsonl.gz").read_bytes()).decode().splitlines()
    return [json.loads(line) for line in lines]


def assert_close(found, expected):
    """Equal but for rounding, anywhere in lists and dictionaries."""
    if isinstance(expected, dict):
        assert found.keys() == expected.keys()
        found, expected = list(found.values()), list(expected.values())
    if isinstance(expected, list):
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            assert_close(one, other)
    elif isinstance(expected, float):
        assert found == pytest.approx(expected, rel=1e-3, abs=1e-5)
    else:
        assert found == expected


def test_every_process_ends_and_says_the_same(launched):
    (code, lines, errors), (other_code, other_lines, _) = launched
    assert [status for status, _ in lines] == ["done", "done", "skipped", "refused", "interrupted"], errors
    assert lines == other_lines
    assert (code, other_code) == (ExitCode.FAILED, ExitCode.OUT_OF_MEMORY)


@pytest.mark.parametrize("job", [0, 1], ids=["classification", "generation"])
def test_two_processes_compute_what_one_computes(launched, alone, job):
    two, one = Path(launched[0][1][job][1]), alone[job]
    assert events(two) != []
    assert_close(events(two), events(one))
    assert_close(predictions(two), predictions(one))
    ours, expected = records.read(two), records.read(one)
    assert_close(asdict(ours)["scores"], asdict(expected)["scores"])
    assert_close(ours.evaluations, expected.evaluations)
    for key in ("config_hash", "steps", "best_epoch", "examples", "parameters"):
        assert getattr(ours, key) == getattr(expected, key)
    assert ours.tokens.real == expected.tokens.real
    assert (ours.processes, expected.processes) == (2, 1)


def test_one_process_writes(launched, alone):
    """Two writers would log every line twice; and what they leave are the files of one."""
    folder = Path(launched[0][1][0][1])
    files = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert files == {str(path.relative_to(alone[0])) for path in alone[0].rglob("*") if path.is_file()}
    lines = [line.split("INFO ")[1].split("  loss")[0] for line in (folder / "log.txt").read_text().splitlines()]
    assert len(lines) == len(set(lines))


def test_bad_data_are_rejected_by_all_processes_in_one_line(launched):
    assert "train.tsv, line 2: found label '7'" in launched[1][1][3][1]


def test_signal_to_one_process_stops_all_at_one_step_and_one_process_resumes(launched, classifying, alone, room):
    folder = Path(launched[0][1][4][1])
    record = records.read(folder)
    assert (record.status, "stopped at step" in record.error) == ("interrupted", True)
    resumed = run(compose([*classifying, f"output_dir={room / 'two'}", "seed=1"]))
    assert "resuming at step" in (folder / "log.txt").read_text()
    assert resumed.folder == folder
    assert_close(events(folder), events(alone[2]))
    assert_close(predictions(folder), predictions(alone[2]))


def test_failure_of_one_process_ends_all_and_its_traceback_is_in_the_folder(launched, classifying, room):
    overrides = [*classifying, f"output_dir={room / 'two'}", "seed=2", "dry_run=true"]
    folder = run(compose(overrides)).folder
    assert records.read(folder).status == "failed"
    assert "MemoryError: no room for this" in (folder / "log.txt").read_text()


def test_shares_cover_every_item_once(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "3")
    shares = []
    for rank in ("0", "1", "2"):
        monkeypatch.setenv("RANK", rank)
        shares.append(distributed.shard(["a", "b", "c", "d"]))
    assert shares == [["a", "d"], ["b"], ["c"]]


@pytest.mark.slow
def test_torchrun_prints_the_result_once(classifying, tmp_path):
    program = Path(sys.executable).with_name("torchrun")
    words = [program, "--standalone", "--nproc-per-node=2", "-m", "inducer_bench", *classifying]
    ended = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False)
    assert ended.returncode == 0, ended.stderr
    *_, headline, folder = ended.stdout.splitlines()
    assert headline.startswith("accuracy ")
    assert ended.stdout.count("accuracy ") == 1
    assert records.read(tmp_path / folder).processes == 2
