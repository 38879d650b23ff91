"""Input for `predict`, and environments in which commands start."""

from collections.abc import Callable, Iterator
from pathlib import Path

from helpers.commands import Trouble

from chaos.cases import DONE, EITHER, REFUSED, TINY, Case, text_file

_GOOD = b'{"sentence": "a good film"}\n'
_LINES: dict[str, tuple[bytes, bool]] = {  # name -> input, and whether it is fine
    "one": (_GOOD, True),
    "nothing": (b"", True),
    "empty text": (b'{"sentence": ""}\n', True),
    "a further key": (b'{"sentence": "a", "x": [1]}\n', True),
    "line separators": ('{"sentence": "a\u2028b\u0085c\u2029d"}\n'.encode(), True),
    "a byte order mark": (b"\xef\xbb\xbf" + _GOOD, True),
    "CRLF": (b'{"sentence": "a"}\r\n{"sentence": "b"}\r\n', True),
    "no line end": (_GOOD.rstrip(), True),
    "1 MB": (b'{"sentence": "' + b"word " * 200_000 + b'"}\n', True),
    "escapes": (b'{"sentence": "\\ud83d\\ude00 \\u0000"}\n', True),
    "half a surrogate pair": (b'{"sentence": "\\ud800"}\n', False),
    "not UTF-8": (b'{"sentence": "\xff\xfe"}\n', False),
    "UTF-16": ('{"sentence": "a"}\n'.encode("utf-16"), False),
    "not JSON": (b"hello\n", False),
    "cut JSON": (b'{"sentence": "a\n', False),
    "deep JSON": (b"[" * 100_000 + b"\n", False),
    "an endless integer": (b'{"sentence": ' + b"1" * 5000 + b"}\n", False),
    "NaN": (b'{"sentence": NaN}\n', False),
    "a number": (b"3\n", False),
    "a list": (b'["a"]\n', False),
    "null": (b'{"sentence": null}\n', False),
    "a number as text": (b'{"sentence": 3}\n', False),
    "a list as text": (b'{"sentence": ["a"]}\n', False),
    "no text": (b'{"text": "a"}\n', False),
    "binary": (bytes(range(256)) + b"\n", False),
}
_ODD_ENVIRONMENTS: dict[str, dict[str, str]] = {
    "WORLD_SIZE=abc": {"WORLD_SIZE": "abc"},
    "WORLD_SIZE=0": {"WORLD_SIZE": "0"},
    "WORLD_SIZE=2 alone": {"WORLD_SIZE": "2", "RANK": ""},
    "WORLD_SIZE=2, RANK=5": {"WORLD_SIZE": "2", "RANK": "5", "MASTER_ADDR": "localhost", "MASTER_PORT": "29511"},
    "RANK=abc": {"WORLD_SIZE": "2", "RANK": "abc", "MASTER_ADDR": "localhost", "MASTER_PORT": "29512"},
    "MASTER_PORT=abc": {"WORLD_SIZE": "2", "RANK": "0", "MASTER_ADDR": "localhost", "MASTER_PORT": "abc"},
    "LOCAL_RANK=x": {"LOCAL_RANK": "x"},
}
_FINE_ENVIRONMENTS: dict[str, dict[str, str]] = {
    "a cache that is a file": {"INDUCER_BENCH_CACHE": "/etc/passwd"},
    "a cache that cannot be made": {"INDUCER_BENCH_CACHE": "/proc/nope"},
    "a cache below a device": {"INDUCER_BENCH_CACHE": "/dev/null/x"},
    "a relative cache": {"INDUCER_BENCH_CACHE": "cache"},
    "no home": {"HOME": "/nonexistent", "INDUCER_BENCH_CACHE": ""},
    "an empty home": {"HOME": "", "INDUCER_BENCH_CACHE": ""},
    "HYDRA_FULL_ERROR=1": {"HYDRA_FULL_ERROR": "1"},
    "COLUMNS=abc": {"COLUMNS": "abc"},
    "TERM=nope": {"TERM": "nope"},
    "TZ=nope": {"TZ": "nope"},
}
_WANDB: dict[str, dict[str, str]] = {
    "a broken URL": {"WANDB_BASE_URL": "http://["},
    "no URL": {"WANDB_BASE_URL": "nope"},
    "an odd mode": {"WANDB_MODE": "nope"},
    "disabled": {"WANDB_MODE": "disabled"},
    "a folder that cannot be made": {"WANDB_DIR": "/proc/nope"},
    "an odd key": {"WANDB_API_KEY": "nope"},
    "an odd silence": {"WANDB_SILENT": "nope"},
    "an odd project": {"WANDB_PROJECT": "a/b"},
    "an odd entity": {"WANDB_ENTITY": "a/b c"},
}


def cases(finished: Callable[[Path], None]) -> Iterator[Case]:
    """Input for `predict`, from stdin and from a file, and odd environments.

    Args:
        finished: prepares the folder `run` of a finished classification.
    """

    def both(content: bytes) -> Callable[[Path], None]:
        def prepare(folder: Path) -> None:
            finished(folder)
            (folder / "in.jsonl").write_bytes(content)

        return prepare

    for name, (content, fine) in _LINES.items():
        allowed = DONE if fine else REFUSED
        yield Case(
            "predict",
            f"stdin: {name}",
            ["predict", "run"],
            allowed,
            ("line 1", "line 2", "sentence"),
            finished,
            content,
            alone=False,
        )
        yield Case(
            "predict",
            f"file: {name}",
            ["predict", "run", "--input", "in.jsonl"],
            allowed,
            ("line 1", "line 2", "sentence"),
            both(content),
            alone=False,
        )
    for name in ("run", "nowhere", "/proc/nope", "''"):
        yield Case(
            "predict",
            f"--input {name}",
            ["predict", "run", "--input", name],
            REFUSED,
            ("--input",),
            finished,
            alone=False,
        )
    yield Case(
        "predict",
        "stdout full",
        ["predict", "run"],
        frozenset({1, 2}),
        (),
        finished,
        _GOOD,
        stdout="/dev/full",
        alone=False,
    )
    for name, values in _ODD_ENVIRONMENTS.items():
        yield Case("environments", name, TINY, EITHER, tuple(values), environment=values)
    for name, values in _FINE_ENVIRONMENTS.items():
        yield Case("environments", name, TINY, DONE, (), environment=values)
    for name, values in _WANDB.items():
        yield Case("W&B", name, [*TINY, "tracker=wandb", "tracker.mode=offline"], DONE, (), environment=values)
    yield Case("environments", "stdout full", TINY, frozenset({0, 1}), (), stdout="/dev/full")
    for size in (100, 5_000, 100_000):
        yield Case(
            "environments",
            f"no file above {size:,} bytes",
            TINY,
            frozenset({0, 1, 2}),
            (),
            trouble=Trouble(file_size=size),
        )
    yield Case(
        "environments",
        "an unwritable folder",
        [*TINY, "output_dir=closed/runs"],
        REFUSED,
        ("output_dir",),
        _closed,
        trouble=Trouble(no_privileges=True),
    )
    yield Case(
        "environments",
        "a file for a folder",
        [*TINY, "output_dir=file"],
        REFUSED,
        ("output_dir",),
        text_file("file", ""),
    )


def _closed(folder: Path) -> None:
    (folder / "closed").mkdir(mode=0o500)
