"""Read YAML files of the user's, and say what is wrong with those that cannot be read."""

from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import MarkedYAMLError, YAMLError

from inducer_bench.errors import UserError, first_line
from inducer_bench.files import read_bytes


def read(path: Path, resolve: bool = False) -> dict[str, Any]:
    """The keys of a file with their values; none of an empty one.

    Args:
        path: of the file.
        resolve: put values in the place of `${...}`.

    Raises:
        UserError: says why it cannot be read, or the line that is wrong; the caller names the file.
    """
    try:
        found = OmegaConf.to_container(OmegaConf.create(read_bytes(path).decode()), resolve=resolve)
    except OSError as error:
        raise UserError(f"cannot be read ({error.strerror})") from None
    except MarkedYAMLError as error:
        line = "" if error.problem_mark is None else f"line {error.problem_mark.line + 1}: "
        raise UserError(f"{line}{error.problem}") from None
    except (ValueError, RecursionError, YAMLError, OmegaConfBaseException) as error:
        raise UserError(first_line(error)) from None
    if not isinstance(found, dict):
        raise UserError("found a list; allowed: keys and values")
    return {str(key): value for key, value in found.items()}


def value(path: Path, key: str) -> Any:
    """The value of a dotted key in a file; None where there is none, or other files decide on it.

    Raises:
        UserError: see `read`; it names the file.
    """
    try:
        return OmegaConf.select(OmegaConf.create(read(path)), key)
    except UserError as error:
        raise _named(path, error) from None
    except OmegaConfBaseException:
        return None


def problem_in(config_dir: Path) -> UserError | None:
    """What is wrong with the first file in the user's folder that cannot be read."""
    for path in sorted(config_dir.rglob("*.yaml")):
        try:
            read(path)
        except UserError as error:
            return _named(path, error)
    return None


def _named(path: Path, error: UserError) -> UserError:
    return UserError(f"--config-dir: '{path}': {error}")  # the files of `conf/` can be read
