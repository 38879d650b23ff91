"""Two hundred runs in one process: memory, open files, threads and seconds per run stay where they are after the first.

A sweep is one process, so that a leak of a run is one of the whole sweep.
"""

import json
import subprocess
import sys
from statistics import median

import pytest

RUNS, WARM_UP = 200, 20
# Measured on a busy machine: 639 MB after 20 runs, 671 after 100 and 672 after 200 (one step, of the allocator), 6 open
# files, 5 threads, 3.9 and 2.5 seconds per run. A leak of 0.5 MB per run would be 80 MB.
RSS_GROWTH = 64  # MB, from the first runs after the warm-up to the last
SLOWER = 1.5  # times the seconds of a run: the machine may be busy with other things

PROGRAM = """
import json, sys, time
import psutil
from inducer_bench.config.compose import compose
from inducer_bench.errors import ExitCode
from inducer_bench.runs.run import run

METHODS = ("inducer", "lora", "prefix", "adapter", "bitfit", "inducer_lora", "fine_tune")
SMALL = ["preset=mini", "trainer.epochs=1", "task.max_train=16", "task.max_eval=16", "trainer.batch_size=16"]
NLU, NLG = [*SMALL, "task=sst2"], [*SMALL, "task=webnlg", "task.report=[dev]", "task.decoding.max_new_tokens=5"]
process = psutil.Process()
for i in range(int(sys.argv[1])):
    started = time.perf_counter()
    task, kind = (NLG, "nlg") if i % 20 == 10 else (NLU, "nlu")
    outcome = run(compose([*task, f"method={METHODS[i % len(METHODS)]}", f"seed={i}"]))
    assert (outcome.code, outcome.status) == (ExitCode.DONE, "done"), outcome.message
    found = {"kind": kind, "seconds": time.perf_counter() - started, "threads": process.num_threads()}
    print(json.dumps(found | {"rss": process.memory_info().rss / 2**20, "files": process.num_fds()}), flush=True)
"""


@pytest.mark.slow
def test_two_hundred_runs_in_one_process_leave_it_as_it_was_after_the_first_twenty(tmp_path):
    command = [sys.executable, "-c", PROGRAM, str(RUNS)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=3600)
    assert done.returncode == 0, done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert len(found) == RUNS == len(list(tmp_path.glob("runs/*/*/*/*/record.json")))

    early, late = found[WARM_UP : 2 * WARM_UP], found[-WARM_UP:]

    def middle(runs, key):
        return median(run[key] for run in runs if run["kind"] == "nlu")

    figures = {key: (middle(early, key), middle(late, key)) for key in ("rss", "files", "threads", "seconds")}
    print(figures)  # `pytest -s` shows them
    assert figures["files"][1] <= figures["files"][0]
    assert figures["threads"][1] <= figures["threads"][0]
    assert figures["rss"][1] - figures["rss"][0] < RSS_GROWTH
    assert figures["seconds"][1] < SLOWER * figures["seconds"][0]
