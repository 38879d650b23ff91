"""The files of `conf/` and of the user's own folder, without composing them; importing this is cheap.

`config_dir` is everywhere a folder of the user's (`--config-dir`) with further files in the layout of `conf/`:
`method/mine.yaml` in it is the choice `method=mine`. Where both have a file, the shipped one counts, as in Hydra.
"""

from pathlib import Path

from inducer_bench.files import CONF_DIR


def choices(group: str, config_dir: Path | None = None) -> list[str]:
    """The choices of a config group; files whose name begins with _ are shared by others and are none."""
    return sorted({path.stem for path in files(group, config_dir) if not path.stem.startswith("_")})


def files(group: str, config_dir: Path | None = None) -> list[Path]:
    """The files of a config group: first the shipped ones, then the user's."""
    found = [path for folder in _folders(config_dir) for path in sorted((folder / group).glob("*.yaml"))]
    return [path for path in found if path.is_file()]


def groups(config_dir: Path | None = None) -> list[str]:
    """The config groups that a run can choose from; `table` is for `inducer-bench tables`."""
    found = {path.name for folder in _folders(config_dir) for path in folder.iterdir() if path.is_dir()}
    return sorted(found - {"table"})


def _folders(config_dir: Path | None) -> list[Path]:
    return [CONF_DIR, *([config_dir] if config_dir else [])]
