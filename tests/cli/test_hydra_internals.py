"""Hydra's private functions that this package calls are there, with the arguments that it gives."""

import inspect

import pytest
from hydra._internal import utils
from hydra.core.utils import env_override

from inducer_bench.cli import commands, hydra_internals
from inducer_bench.errors import UserError


def options(*arguments):
    """What Hydra's functions are given for these arguments."""
    return hydra_internals.checked(commands.parser(commands.RUN).parse_intermixed_args(arguments))


def test_run_hydra_takes_parsed_arguments():
    taken = inspect.signature(utils._run_hydra).parameters
    assert {"args", "args_parser", "task_function", "config_path", "config_name"} <= set(taken)


def test_parser_knows_the_options_that_are_read():
    given = ["-m", "--cfg", "job", "--info", "config", "--config-name", "x", "seed=1"]
    parsed, own = (vars(parser.parse_args(given)) for parser in (utils.get_args_parser(), commands.parser("run")))
    assert {key: own[key] for key in parsed if key in own} == {key: parsed[key] for key in parsed if key in own}


def test_environment_is_overridden_for_a_time(monkeypatch):
    monkeypatch.delenv("HYDRA_FULL_ERROR", raising=False)
    with env_override({"HYDRA_FULL_ERROR": "1"}):
        assert utils._is_env_set("HYDRA_FULL_ERROR")
    assert not utils._is_env_set("HYDRA_FULL_ERROR")


def test_option_that_hydra_does_not_have_is_refused():
    with pytest.raises(UserError, match="unrecognized arguments: --sweep; see inducer-bench --help"):
        options("--sweep", "seed=1")


def test_options_may_stand_among_overrides():
    found = options("seed=1", "-m", "method=lora")
    assert (found.multirun, found.overrides) == (True, ["seed=1", "method=lora"])


def test_every_option_that_hydra_reads_is_there():
    read = vars(utils.get_args_parser().parse_args([]))
    assert set(read) <= set(vars(options("seed=1")))


def test_option_that_unpickles_a_file_is_refused_and_the_file_is_not_read(tmp_path, run_cli):
    pickle = tmp_path / "job.pickle"
    pickle.write_bytes(b"cos\nsystem\n(S'touch PWNED'\ntR.")
    process = run_cli("--experimental-rerun", pickle, cwd=tmp_path)
    assert process.returncode == 2
    assert process.stderr.startswith("inducer-bench: --experimental-rerun: not allowed")
    assert process.stderr.count("\n") == 1
    assert not (tmp_path / "PWNED").exists()
