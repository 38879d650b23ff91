"""Hydra's private functions that this package calls are there, with the arguments that it gives."""

import argparse
import inspect

import pytest
from hydra._internal import utils
from hydra.core.utils import env_override

from inducer_bench.cli import hydra_internals
from inducer_bench.errors import UserError


def test_run_hydra_takes_parsed_arguments():
    taken = inspect.signature(utils._run_hydra).parameters
    assert {"args", "args_parser", "task_function", "config_path", "config_name"} <= set(taken)


def test_parser_knows_the_options_that_are_read():
    parsed = utils.get_args_parser().parse_args(["-m", "--config-dir", "x", "--cfg", "job", "seed=1"])
    assert (parsed.multirun, parsed.config_dir, parsed.cfg, parsed.resolve) == (True, "x", "job", False)
    assert parsed.overrides == ["seed=1"]


def test_environment_is_overridden_for_a_time(monkeypatch):
    monkeypatch.delenv("HYDRA_FULL_ERROR", raising=False)
    with env_override({"HYDRA_FULL_ERROR": "1"}):
        assert utils._is_env_set("HYDRA_FULL_ERROR")
    assert not utils._is_env_set("HYDRA_FULL_ERROR")


def test_option_that_hydra_does_not_have_is_refused():
    with pytest.raises(UserError, match="'--sweep': not understood"):
        hydra_internals.parse(["--sweep", "seed=1"])
    assert isinstance(hydra_internals.parse(["seed=1"]), argparse.Namespace)


def test_option_that_unpickles_a_file_is_refused_and_the_file_is_not_read(tmp_path, run_cli):
    pickle = tmp_path / "job.pickle"
    pickle.write_bytes(b"cos\nsystem\n(S'touch PWNED'\ntR.")
    process = run_cli("--experimental-rerun", pickle, cwd=tmp_path)
    assert process.returncode == 2
    assert process.stderr.startswith("inducer-bench: --experimental-rerun: not allowed")
    assert process.stderr.count("\n") == 1
    assert not (tmp_path / "PWNED").exists()
