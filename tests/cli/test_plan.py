"""A plan says what a command would do, and does nothing."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace

import pytest
from helpers.handmade import data, write_run
from joblib import cpu_count
from omegaconf import OmegaConf

from inducer_bench.cli import commands, hydra_internals, main, planned_study
from inducer_bench.cli.planned import elapsed, planned_sweep
from inducer_bench.cli.sweep_size import count
from inducer_bench.config.choices import choices
from inducer_bench.config.compose import compose, composed_with_hydra, explain
from inducer_bench.files import CONF_DIR
from inducer_bench.runs import record as records
from inducer_bench.runs.identity import identify
from inducer_bench.training.units import duration, size

RECORDS = Path(__file__).parents[2] / "results" / "mini" / "runs"
MINI = ["preset=mini", "task=sst2"]


def plan(capsys, *arguments, code=0):
    """The JSON of a plan."""
    assert main.main(["plan", "--json", "--time", "0", *map(str, arguments)]) == code
    return json.loads(capsys.readouterr().out)


def tree(folder):
    return {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in folder.rglob("*")}


def write(root, *overrides, seed=0, **changes):
    """A handmade run in the place where the command line would look for it."""
    identity = identify(compose([*MINI, *overrides, f"seed={seed}"]))
    return write_run(
        root, *MINI, *overrides, seed=seed, data=data(identity.data), plm_fingerprint=identity.plm, **changes
    )


# -- jobs --------------------------------------------------------------------------------------------------------------


def launched(arguments):
    """The overrides and configuration of each job that Hydra gives to its launcher."""
    options = hydra_internals.checked(commands.parser("run").parse_args(["-m", *arguments]))
    options.overrides.append(f"hydra.sweep.dir={tempfile.mkdtemp()}")
    found = []

    def task(composed):
        overrides = hydra_internals.HydraConfig.get().overrides.task
        found.append((list(overrides), composed.get("refused") or OmegaConf.to_yaml(composed)))

    hydra_internals.run_hydra(options, True, CONF_DIR, task, explain)
    return found


@pytest.mark.parametrize(
    "arguments",
    [
        ["experiment=mini", "method=lora,prefix", "seed=range(2)"],
        ["task=glob(m*)", "method=own,lora"],
        [*MINI, "trainer.lr=1e-3,2e-3", "+method.nonsense=1,2"],
        [*MINI, "plm=gpt2,mini_gpt2", "output_dir=x/${hydra:job.num}", "task.text=[a,b],[c,d]", "~tracker"],
    ],
)
def test_jobs_are_those_that_hydra_launches(arguments):
    composer = hydra_internals.Composer(arguments, CONF_DIR, None)
    found = []
    for number, job in enumerate(composer.jobs(composed_with_hydra(arguments).hydra.sweeper.params or {})):
        try:
            found.append((job, OmegaConf.to_yaml(composer.composed(job, number))))
        except Exception as error:
            found.append((job, str(explain(error, job))))
    assert found == launched(arguments)
    assert len(found) > 1


@pytest.mark.parametrize("experiment", choices("experiment"))
def test_jobs_of_an_experiment_are_as_many_as_the_sweep_counts(experiment):
    overrides = [f"experiment={experiment}"]
    hydra = composed_with_hydra(overrides).hydra
    swept = hydra.sweeper.params or {}  # a study of one task sweeps over nothing
    jobs = hydra_internals.Composer(overrides, CONF_DIR, None).jobs(swept)
    assert len(jobs) == len(set(map(tuple, jobs))) == count(overrides, hydra, None)
    assert len(jobs) > 1 or not swept


def test_job_that_hydra_gives_its_number_has_it():
    found = planned_sweep([*MINI, "seed=3,4", "output_dir=x/${hydra:job.num}"], None)
    assert [job.runs[0].config.output_dir for job in found.jobs] == ["x/0", "x/1"]


def test_job_that_does_not_compose_is_listed_and_the_others_are_planned(capsys, tmp_path):
    found = plan(capsys, *MINI, "method=lora", "trainer.lr=-1,0.1,-2", f"output_dir={tmp_path}", code=2)
    assert (found["jobs"], found["totals"]["runs"]) == (3, 1)
    assert [job["reason"] for job in found["refused"]] == [
        f"trainer.lr: found {rate}; allowed: greater than 0" for rate in (-1, -2)
    ]


def test_seeds_side_by_side_are_runs_of_one_job(capsys, tmp_path):
    found = plan(capsys, *MINI, "method=lora", "seeds=3", f"output_dir={tmp_path}")
    assert (found["jobs"], found["totals"]["runs"]) == (1, 3)


def test_run_that_is_there_twice_counts_once(capsys, tmp_path):
    found = plan(capsys, *MINI, "method=lora", "trainer.log_every=1,2", f"output_dir={tmp_path}")
    assert (found["jobs"], found["totals"]["runs"]) == (2, 1)
    assert "1 of the runs occur twice, and run once" in found["notes"]


# -- what is done ------------------------------------------------------------------------------------------------------


def test_committed_runs_are_found_done(capsys):
    found = plan(capsys, "nlu_mini", "seed=range(4)", f"output_dir={RECORDS}")
    assert {row["method"]: (row["runs"], row["done"], row["left"]) for row in found["rows"]} == dict.fromkeys(
        {folder.name for folder in (RECORDS / "sst2" / "mini_roberta").iterdir()}, (4, 3, 1)
    )
    assert found["totals"]["costed"] == 11
    assert {source for row in found["rows"] for source in row["sources"]} == {"3 finished runs"}


def test_every_state_is_told_apart(capsys, tmp_path):
    write(tmp_path, "method=lora", seed=0)
    for seed, status in enumerate(("failed", "oom", "interrupted"), start=1):
        write(tmp_path, "method=lora", seed=seed, status=status)
    killed = write(tmp_path, "method=lora", seed=4, status="failed")
    (killed / "checkpoint").mkdir()
    (killed / records.FILE).unlink()
    damaged = write(tmp_path, "method=lora", seed=5)
    (damaged / records.FILE).write_text("{")
    found = plan(capsys, *MINI, "method=lora", "seed=range(7)", f"output_dir={tmp_path}", code=2)
    (row,) = found["rows"]
    assert row["states"] == {"done": 1, "failed": 1, "oom": 1, "interrupted": 2, "refused": 1, "to do": 1}
    assert (row["done"], row["left"]) == (1, 5)
    assert "not a whole record" in found["refused"][0]["reason"]
    assert any(note.startswith("1 failed and 1 oom before") for note in found["notes"])


def test_nothing_is_written(capsys, tmp_path):
    write(tmp_path / "runs", "method=lora", seed=0)
    before = tree(tmp_path)
    plan(capsys, *MINI, "method=lora", "seed=0,1", f"output_dir={tmp_path / 'runs'}")
    plan(capsys, *MINI, "method=lora", "seed=0,1", f"output_dir={tmp_path / 'nowhere'}")
    assert tree(tmp_path) == before


def test_plan_needs_neither_torch_nor_a_network(tmp_path):
    program = (
        "import sys\nfrom inducer_bench.cli.main import main\n"
        f"assert main(['plan', 'nlu_mini', 'seed=0,7', 'output_dir={RECORDS}']) == 0\n"
        "assert not {'torch', 'transformers', 'huggingface_hub'} & set(sys.modules)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, timeout=600, check=False
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines()[12].startswith("22 jobs: 11 done, 11 to run")


@pytest.mark.parametrize(
    ("overrides", "line"),
    [
        (["task=sst2"], "the data of 'sst2' are not on this machine"),
        (["task=webnlg"], "task.data_dir: missing"),
        (["preset=mini", "task=sst2", "plm=roberta-base"], "PLM 'roberta-base' is not on this machine"),
    ],
)
def test_without_data_or_plm_the_jobs_are_planned_all_the_same(overrides, line, capsys, tmp_path):
    found = plan(capsys, *overrides, "method=lora,inducer", "seed=0,1", f"output_dir={tmp_path}")
    assert (found["totals"]["runs"], found["totals"]["left"]) == (4, 4)
    assert any(note.startswith("whether runs are done cannot be known") and line in note for note in found["notes"])
    assert main.main(["plan", "--time", "0", *overrides, "method=lora", f"output_dir={tmp_path}"]) == 0
    assert "1 job: ? done, at most 1 to run" in capsys.readouterr().out


# -- what is said ------------------------------------------------------------------------------------------------------


def test_hours_disk_and_time_at_two_jobs_at_a_time(capsys, tmp_path):
    for seed in range(2):
        write(tmp_path, "method=lora", seed=seed)  # 30 and 31 s, and 1.5 s of evaluation each
    arguments = [*MINI, "method=lora", "seed=range(5)", f"output_dir={tmp_path}"]
    found = plan(capsys, *arguments, "hydra/launcher=joblib", "hydra.launcher.n_jobs=2")
    assert found["workers"] == 2
    totals = found["totals"]
    assert [totals[key] for key in ("seconds", "low", "high", "elapsed")] == pytest.approx([96, 94.5, 97.5, 64])
    assert totals["left_bytes"] > 3 * 4 * 17_000
    assert main.main(["plan", *arguments]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split()[:5] == ["sst2", "mini_roberta", "lora", "5", "2"]
    assert lines[2:4] == [
        "5 jobs: 2 done, 3 to run",
        "time: about 1.6 min; without the start of each run",
    ]
    assert lines[-1] == f"start it: inducer-bench -m {' '.join(arguments)}".replace("seed=range(5)", "'seed=range(5)'")


def test_disk_that_is_too_small_is_told(capsys, tmp_path, monkeypatch):
    write(tmp_path, "method=lora")
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=1000))
    found = plan(capsys, *MINI, "method=lora", "seed=1", f"output_dir={tmp_path}")
    assert found["totals"]["free_bytes"] == 1000
    assert any(note.startswith("disk: there is less free") for note in found["notes"])


@pytest.mark.parametrize("before", [[], ["-m"]])
def test_flag_on_a_command_line_does_the_same(before, capsys, tmp_path):
    arguments = [*MINI, "method=lora,inducer", f"output_dir={tmp_path}"]
    assert main.main(["plan", "--time", "0", *before, *arguments]) == 0
    expected = capsys.readouterr().out
    assert main.main([*before, *arguments[:1], "--plan", *arguments[1:], "--time", "0"]) == 0
    assert capsys.readouterr().out == expected
    assert not (tmp_path / "sweeps").exists()


def test_study_is_trials_then_runs_of_winners(capsys, tmp_path):
    write(tmp_path, "method=lora")
    study = [*MINI, "methods=[lora,head_only]", "trials=3", "seeds=2", "tune.max_train=1000", f"output_dir={tmp_path}"]
    found = plan(capsys, "tune", *study)
    runs = {(row["method"], row["kind"]): (row["runs"], row["done"]) for row in found["rows"]}
    assert runs == {(method, kind): (count, 0) for method in ("lora", "head_only")
                    for kind, count in (("trial", 3), ("confirmation", 3), ("final", 2))}  # fmt: skip
    trial, final = (next(row for row in found["rows"] if row["kind"] == kind) for kind in ("trial", "final"))
    assert trial["seconds"] / 3 < final["seconds"] / 2
    assert main.main(["tune", "--plan", *study, "--time", "0", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["rows"] == found["rows"]
    assert not (tmp_path / "searches").exists()


def test_trials_that_have_ended_are_done(capsys, tmp_path):
    study = [*MINI, "methods=[lora]", "trials=2", "seeds=1", f"output_dir={tmp_path}"]
    (first, second, _) = planned_study.planned_study(study, None).jobs
    for job, status, error in ((first, "done", None), (second, "failed", "diverged: loss nan")):
        config = job.runs[0].config
        identity = identify(config)
        overrides = [word for word in job.overrides.split() if not word.startswith("seed=")]
        changes = {"data": data(identity.data), "plm_fingerprint": identity.plm}
        write_run(tmp_path, *overrides, status=status, **changes, **({"error": error} if error else {}))
    rows = plan(capsys, "tune", *study)["rows"]
    assert {row["kind"]: (row["runs"], row["done"]) for row in rows} == {"trial": (2, 2), "final": (1, 0)}


@pytest.mark.parametrize("protocol", [[], ["protocol=clean"]], ids=["default", "named"])
@pytest.mark.parametrize(
    ("method", "own"), [("lora", "method.r=8"), ("inducer", "method.r_k=2"), ("prefix", "method.length=3")]
)
def test_a_study_takes_keys_of_its_methods(method, own, protocol, capsys, tmp_path):
    study = [*MINI, f"methods=[{method}]", "trials=2", "seeds=1", f"output_dir={tmp_path}", *protocol, own]
    key, value = own.removeprefix("method.").split("=")
    jobs = planned_study.planned_study(study, None).jobs
    assert {getattr(run.config.method, key) for job in jobs for run in job.runs} == {int(value)}


def test_a_key_that_one_of_the_methods_lacks_is_told_with_what_it_takes(capsys):
    assert main.main(["plan", "tune", *MINI, "methods=[lora,bitfit]", "method.r=8"]) == 2
    told = capsys.readouterr().err
    assert told.startswith("inducer-bench: method.r: there is no such key; allowed in method: name")
    assert "r_k" not in told


def test_two_choices_with_the_same_settings_are_refused(capsys, tmp_path):
    (tmp_path / "method").mkdir()
    shipped = (CONF_DIR / "method" / "bitfit.yaml").read_text()
    (tmp_path / "method" / "again.yaml").write_text(f"# the same\n{shipped}")
    own = ["--config-dir", str(tmp_path), "methods=[bitfit,lora,again]", "trials=1", "seeds=1"]
    assert main.main(["plan", "tune", *MINI, *own]) == 2
    assert capsys.readouterr().err == (
        "inducer-bench: tune.methods: found 'bitfit' and 'again', which have the same settings; allowed: one of them\n"
    )


def test_difference_is_asked_of_committed_runs(capsys):
    found = plan(capsys, *MINI, "method=lora,inducer", "seed=range(3)", f"output_dir={RECORDS}", "--difference", "3")
    (power,) = found["power"]
    assert (power["metric"], power["pairs"], power["seeds"], power["difference"]) == ("accuracy", 1, 3, 3.0)
    assert {"lora", "inducer"} <= set(power["methods"])
    assert 1 < power["shown"] < 20
    assert (power["needed"] > 3) == (power["shown"] > 3)  # three seeds show a difference of 3, or it takes more of them


def test_without_a_pilot_the_plan_says_what_to_run(capsys, tmp_path):
    found = plan(capsys, "preset=mini", "task=sst2,mnli", "method=lora,inducer", f"output_dir={tmp_path}")
    assert found["power"] == []
    assert any("sst2 on mini_roberta, mnli on mini_roberta" in note for note in found["notes"])


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["nlu_minni"], "plan: unknown 'nlu_minni'; did you mean 'nlu_mini'?"),
        (["--difference", "0"], "--difference: found '0'; allowed: a number above 0, at most 1,000,000"),
        (["--time", "long"], "--time: found 'long'"),
        (["--cfg", "job"], "unrecognized arguments: --cfg"),
        (["task=sst3"], "task: unknown 'sst3'"),
        (["seed=range(100000)"], "seed: found a sweep of 100,000 jobs"),
        (["hydra.sweeper._target_=x.Other"], "hydra/sweeper: 'x.Other' chooses each job by the results of others"),
        (["tune", "method=lora"], "method: not allowed in tune"),
        (["nlu_mini", "nlu_main"], "override 'nlu_main': found no key; did you mean 'experiment=nlu_main'?"),
    ],
)
def test_bad_input_is_told_in_a_line(arguments, line, capsys):
    assert main.main(["plan", *arguments]) == 2
    err = capsys.readouterr().err
    assert line in err
    assert err.count("\n") == 1


# -- arithmetic --------------------------------------------------------------------------------------------------------


def test_elapsed_time_is_that_of_workers_that_take_the_next_job():
    assert elapsed([3.0, 1.0, 1.0, 4.0], 2) == 6.0  # 3 | 1 1 4
    assert elapsed([3.0, 1.0, 1.0, 4.0], 1) == 9.0
    assert elapsed([3.0, 1.0], 64) == 3.0
    assert elapsed([], 2) == 0.0


@pytest.mark.parametrize(
    ("launcher", "workers"),
    [
        ([], 1),
        (["hydra/launcher=joblib", "hydra.launcher.n_jobs=3"], 3),
        (["hydra/launcher=joblib", "hydra.launcher.n_jobs=-1"], min(cpu_count(), 10)),
        (["hydra/launcher=submitit_slurm", "hydra.launcher.array_parallelism=8"], 8),
        (["hydra/launcher=joblib", "hydra.launcher.n_jobs=3", "hydra.sweeper.max_batch_size=2"], 2),
    ],
)
def test_workers_are_those_of_the_launcher(launcher, workers):
    assert planned_sweep([*MINI, "seed=range(10)", *launcher], None).workers == workers


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0, "0.0 s"), (9.94, "9.9 s"), (59.0, "59 s"), (90, "1.5 min"), (1e6, "278 h")],
)
def test_duration(seconds, text):
    assert duration(seconds) == text


@pytest.mark.parametrize(("count", "text"), [(0, "0 B"), (1500, "1.5 kB"), (2**30, "1.1 GB"), (68e9, "68 GB")])
def test_size(count, text):
    assert size(count) == text
