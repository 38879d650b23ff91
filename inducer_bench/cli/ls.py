"""`inducer-bench ls [what]`: list tasks, PLMs, methods and other choices, or runs; one line each."""

from pathlib import Path

from inducer_bench.cli.parser import Parser
from inducer_bench.config.compose import choices, files
from inducer_bench.errors import ExitCode, UserError, unknown
from inducer_bench.runs import record as records
from inducer_bench.runs.record import Record

_GROUPS = {
    "tasks": "task",
    "plms": "plm",
    "methods": "method",
    "presets": "preset",
    "protocols": "protocol",
    "experiments": "experiment",
}


def main(arguments: list[str]) -> int:
    """List one kind of thing, or every kind that ships with the package; returns the exit code."""
    parser = Parser(prog="inducer-bench ls", description="List what is available, one line each.")
    parser.add_argument("what", nargs="?", help=", ".join([*_GROUPS, "runs"]))
    parser.add_argument("--runs", default="runs", metavar="DIR", help="the folder of the runs (default: runs)")
    parser.add_config_dir()
    args = parser.parse_args(arguments)
    if args.what == "runs":
        return _list_runs(Path(args.runs))
    if args.what is not None and args.what not in _GROUPS:
        raise unknown("ls", args.what, [*_GROUPS, "runs"])
    for title in [args.what] if args.what else _GROUPS:
        if not args.what:
            print(f"{title}:")
        paths = {path.stem: path for path in reversed(files(_GROUPS[title], args.config_dir))}  # the shipped one counts
        for name in choices(_GROUPS[title], args.config_dir):
            print(f"  {name:<16} {_summary(paths[name])}")
    return ExitCode.DONE


def _list_runs(root: Path) -> int:
    """Print one line for each record, by setting and seed; unreadable ones come first and make the exit code 1."""
    code = ExitCode.DONE
    found: list[tuple[Record, Path]] = []
    for folder in records.find(root):
        try:
            record = records.read(folder)
        except UserError as error:
            print(f"  damaged      {error}")
            code = ExitCode.FAILED
            continue
        assert record is not None
        found.append((record, folder))
    found.sort(key=lambda run: (run[0].suite, run[0].task, run[0].plm, run[0].method, run[0].seed, run[1]))
    lines = [
        (r.status, f"{r.suite}/{r.task}", r.plm, r.method, f"seed {r.seed}", r.headline(), str(folder))
        for r, folder in found
    ]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        print("  " + "  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip())
    return code


def _summary(path: Path) -> str:
    """The first comment line of a config file that is not Hydra's package line."""
    lines = path.read_text(encoding="utf-8").splitlines()
    comments = [line.removeprefix("#").strip() for line in lines if line.startswith("# ") and "@package" not in line]
    return comments[0] if comments else ""
