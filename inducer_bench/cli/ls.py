"""`inducer-bench ls [what]`: list tasks, PLMs, methods and other choices, or runs; one line each."""

from pathlib import Path

from inducer_bench.cli.parser import Parser, runs_folder
from inducer_bench.config.compose import choices, files
from inducer_bench.errors import ExitCode, printable, unknown
from inducer_bench.runs import record as records

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
        return _list_runs(runs_folder(args.runs))
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
    """Print one line for each record, by setting and seed; those left out come first and make the exit code 1."""
    found, left_out = records.find(root)
    for reason in left_out:
        print(f"  left out     {reason}")
    found.sort(key=lambda run: (run[1].suite, run[1].task, run[1].plm, run[1].method, run[1].seed, run[0]))
    lines = [
        (r.status, printable(f"{r.suite}/{r.task}"), *map(printable, (r.plm, r.method)), f"seed {r.seed}",
         r.headline(), printable(str(folder)))
        for folder, r in found
    ]  # fmt: skip
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        print("  " + "  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip())
    return ExitCode.FAILED if left_out else ExitCode.DONE


def _summary(path: Path) -> str:
    """The first comment line of a config file that is not Hydra's package line."""
    lines = path.read_text(encoding="utf-8").splitlines()
    comments = [line.removeprefix("#").strip() for line in lines if line.startswith("# ") and "@package" not in line]
    return comments[0] if comments else ""
