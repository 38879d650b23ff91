"""The package's own configuration files, which no test changes, are parsed once in a process: a fourth of composing."""

import pickle

from hydra._internal.core_plugins.file_config_source import FileConfigSource
from hydra.plugins.config_source import ConfigResult

from inducer_bench.files import CONF_DIR

_parse = FileConfigSource.load_config
_parsed: dict[tuple[str, str], bytes] = {}


def install() -> None:
    """Make Hydra take a copy of what it has read before. Files of other folders are read each time."""
    FileConfigSource.load_config = _load_config


def _load_config(source: FileConfigSource, config_path: str) -> ConfigResult:
    if source.path != str(CONF_DIR):
        return _parse(source, config_path)
    key = (source.provider, config_path)
    if key not in _parsed:
        _parsed[key] = pickle.dumps(_parse(source, config_path))
    found: ConfigResult = pickle.loads(_parsed[key])
    return found
