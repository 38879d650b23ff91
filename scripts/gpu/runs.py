"""Whole runs through the command line: an epoch with its score, several at a time, after a kill, without memory.

    python -m scripts.gpu.runs epoch --methods lora inducer fine_tune --device cuda
    python -m scripts.gpu.runs seeds --methods lora inducer
    python -m scripts.gpu.runs jobs | resume | memory

MiniLM (GPU_CHECK_PLM, a folder) on SST-2; with --mini the mini suite. `seeds` trains 1, 5 and 10 seeds side by side.
`jobs` compares a sweep over five seeds one after another with five processes on the device. `resume` trains twice, the
second time with a kill in between: both runs must be equal. `memory` sweeps over two batch sizes with little memory:
the first run must be recorded as out of memory, and the second be done.
"""

import argparse
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter, sleep

import torch

from inducer_bench.errors import ExitCode
from inducer_bench.runs import record as records
from inducer_bench.runs.record import FinishedRecord, Record
from inducer_bench.strict_json import loads
from scripts.bench import harness

SEEDS = 5
SIDE_BY_SIDE = (1, 5, 10)
REFUSING = """
import sys, torch
from torch.nn import functional as F
allowed, embedding = int(sys.argv.pop(1)), F.embedding
def refusing(ids, *args, **kwargs):
    if ids.numel() > allowed:
        raise torch.OutOfMemoryError("out of memory, as if this were a GPU")
    return embedding(ids, *args, **kwargs)
F.embedding = refusing
from inducer_bench.cli.main import entry_point
entry_point()
"""  # the command line on a CPU that has memory for so many tokens


def main(arguments: Sequence[str] | None = None) -> None:
    """Publish one row for each run."""
    parser = harness.parser(__doc__)
    checks = {"epoch": epoch, "seeds": seeds, "jobs": jobs, "resume": resume, "memory": memory}
    parser.add_argument("what", choices=list(checks))
    parser.add_argument("--methods", nargs="+", default=["lora"])
    args = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as room:
        rows, note = checks[args.what](args, Path(room))
    harness.publish(f"runs_{args.what}", rows, args.device, note, args.out)


def base(args: argparse.Namespace) -> list[str]:
    """The overrides of every run."""
    if args.mini:
        return ["preset=mini", "task=sst2", "task.max_train=128", "task.max_eval=64", f"trainer.device={args.device}"]
    return [
        "task=sst2", f"task.data_dir={args.data / 'sst2'}", "plm=roberta-base", "plm.name=minilm",
        f"plm.path={os.environ['GPU_CHECK_PLM']}", f"trainer.device={args.device}",
    ]  # fmt: skip


def start(overrides: Sequence[str], program: Sequence[str] = ("-m", "inducer_bench")) -> subprocess.Popen[bytes]:
    """A process of the command line, in a group of its own."""
    return subprocess.Popen([sys.executable, *program, *overrides], start_new_session=True)


def finished(overrides: Sequence[str], room: Path) -> FinishedRecord:
    """Run to the end; the one record below `room`."""
    if code := start([*overrides, f"output_dir={room}"]).wait():
        sys.exit(f"runs: exit code {code}")
    [found] = records_below(room)
    assert isinstance(found, FinishedRecord)
    return found


def records_below(room: Path) -> list[Record]:
    """The records of all runs below a folder, in order of their time."""
    paths = sorted(room.rglob(records.FILE), key=lambda path: path.stat().st_mtime)
    return [record for path in paths if (record := records.read(path.parent)) is not None]


def described(record: FinishedRecord) -> harness.Row:
    """The score, speed and memory of a run."""
    return {
        "method": record.method, "plm": record.plm, "steps": record.steps, "precision": record.dtype,
        record.metric: record.scores[record.metric].value, "seconds": record.train_seconds,
        "steps a second": record.steps / record.train_seconds, "evaluation, seconds": record.eval_seconds,
        "peak MiB": (record.own_memory or 0) / 2**20,
    }  # fmt: skip


# -- the checks --------------------------------------------------------------------------------------------------------


def epoch(args: argparse.Namespace, room: Path) -> tuple[list[harness.Row], str]:
    """One epoch of each method; `whole` is the time of the process, its start included."""
    rows, size = [], [] if args.mini else ["task.max_train=20000"]
    for method in args.methods:
        started = perf_counter()
        record = finished([*base(args), *size, f"method={method}", "trainer.epochs=1"], room / method)
        rows.append({**described(record), "whole, seconds": perf_counter() - started})
    what = "the mini suite's SST-2" if args.mini else "20,000 sentences of SST-2"
    return rows, f"One epoch of {what}, seed 0, from the command line."


def seeds(args: argparse.Namespace, room: Path) -> tuple[list[harness.Row], str]:
    """Several seeds side by side on one frozen PLM."""
    size, counts = ([], (1, 2)) if args.mini else (["task.max_train=3200"], SIDE_BY_SIDE)
    rows: list[harness.Row] = []
    for method in args.methods:
        for count in counts:
            place, started = room / method / str(count), perf_counter()
            run = [*base(args), *size, f"method={method}", "trainer.epochs=1", f"seeds={count}", f"output_dir={place}"]
            if code := start(run).wait():
                sys.exit(f"runs: exit code {code}")
            whole = perf_counter() - started
            done = [record for record in records_below(place) if isinstance(record, FinishedRecord)]
            assert len(done) == count
            steps, training = done[0].steps, max(record.train_seconds for record in done)
            rows.append({"method": method, "seeds": count, "steps of each": steps, "training, seconds": training,
                         "milliseconds a seed and step": 1000 * training / count / steps,
                         "whole, seconds": whole})  # fmt: skip
    return rows, "Seeds side by side on SST-2, one epoch; `whole` includes the start."


def jobs(args: argparse.Namespace, room: Path) -> tuple[list[harness.Row], str]:
    """A sweep over seeds, in one process and in as many as there are seeds."""
    size, several = ([], 2) if args.mini else (["task.max_train=4800"], SEEDS)
    rows: list[harness.Row] = []
    for count in (1, several):
        launcher = [] if count == 1 else ["hydra/launcher=joblib", f"hydra.launcher.n_jobs={count}"]
        overrides = [*base(args), *size, "method=lora", "trainer.epochs=1", f"seed=range({several})", *launcher]
        started = perf_counter()
        if code := start(["-m", *overrides, f"output_dir={room / str(count)}"]).wait():
            sys.exit(f"runs: exit code {code}")
        whole = perf_counter() - started
        done = [record for record in records_below(room / str(count)) if isinstance(record, FinishedRecord)]
        assert len(done) == several
        steps, training = sum(record.steps for record in done), sum(record.train_seconds for record in done)
        rows.append({"runs at a time": count, "runs": several, "steps": steps, "whole, seconds": whole,
                     "steps a second while training": count * steps / training})  # fmt: skip
    return rows, "LoRA on SST-2, one epoch; `whole` includes the start of every process."


def resume(args: argparse.Namespace, room: Path) -> tuple[list[harness.Row], str]:
    """A whole run, and one that is killed when it has saved a state in its first epoch."""
    size, every = ([], 3) if args.mini else (["task.max_train=3200"], 50)
    often = ["trainer.log_every=2", f"trainer.checkpoint_every={every}"]
    run = [*base(args), *size, "method=inducer", "trainer.epochs=3", "trainer.deterministic=true", *often]
    records_of = {"whole": finished(run, room / "whole")}
    process = start([*run, f"output_dir={room / 'killed'}"])
    while process.poll() is None and not any((room / "killed").rglob("state.safetensors")):
        sleep(0.01)
    assert process.poll() is None, "the run ended before it could be killed"
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    records_of["killed"] = finished(run, room / "killed")
    curves = {name: losses(room / name) for name in records_of}
    rows = [{"run": name, **described(record), "last loss": curves[name][-1],
             "equal": curves[name] == curves["whole"]} for name, record in records_of.items()]  # fmt: skip
    if curves["killed"] != curves["whole"]:
        print(harness.table(rows))
        sys.exit("runs: the resumed run went another way")
    return rows, "Three epochs of inducers, trainer.deterministic; killed after the first checkpoint, and resumed."


def losses(folder: Path) -> list[float]:
    """The logged training losses of the one run below a folder."""
    [path] = folder.rglob("metrics.jsonl")
    lines = [loads(line) for line in path.read_text().splitlines()]
    return [line["loss"] for line in lines if line["event"] == "train"]


def memory(args: argparse.Namespace, room: Path) -> tuple[list[harness.Row], str]:
    """A sweep over a batch that does not fit and one that does."""
    large, small = (1024, 64) if args.mini else (8192, 16)
    sizes = [f"task.max_train={large}", f"trainer.batch_size={large},{small}"]
    run = [*base(args), *sizes, "method=fine_tune", "trainer.epochs=1", f"output_dir={room}"]
    program, capped = little_memory(args.device, 1024, 4096)
    code = start(["-m", *run, *capped], program).wait()
    statuses = {record.config["trainer"]["batch_size"]: record.status for record in records_below(room)}
    rows: list[harness.Row] = [{"batch": size, "status": statuses[size]} for size in sorted(statuses)]
    if code != ExitCode.OUT_OF_MEMORY or [row["status"] for row in rows] != ["done", "oom"]:
        print(harness.table(rows))
        sys.exit(f"runs: exit code {code}")
    return rows, f"Fine-tuning with little memory, a GiB on a GPU; exit code {code}."


def little_memory(device: torch.device, mib: int, tokens: int) -> tuple[list[str], list[str]]:
    """The program and the overrides of a run with little memory: MiB on a GPU, tokens of a batch on a CPU."""
    if device.type == "cpu":
        return ["-c", REFUSING, str(tokens)], []
    share = mib * 2**20 / torch.cuda.get_device_properties(device).total_memory
    return ["-m", "inducer_bench"], [f"trainer.gpu_memory={share:.8f}"]


if __name__ == "__main__":
    main()
