"""`inducer-bench ls [what]`: list tasks, models, methods and other choices, or runs; one line each."""

import argparse
from collections.abc import Iterator
from pathlib import Path

from inducer_bench.cli.parser import Parser, completed
from inducer_bench.config.choices import choices, files
from inducer_bench.errors import ExitCode, unknown

HELP = "tasks, plms, methods, presets, protocols, experiments, trackers, trainers, tables, ablations, metrics, runs"
_GROUPS = {
    "tasks": "task",
    "plms": "plm",
    "methods": "method",
    "presets": "preset",
    "protocols": "protocol",
    "experiments": "experiment",
    "trackers": "tracker",
    "trainers": "trainer",
    "ablations": "ablation",
    "tables": "table",
}
_RUNS, _METRICS = "runs", "metrics"
_KINDS = (*_GROUPS, _METRICS, _RUNS)


def arguments(parser: Parser) -> None:
    """What to list, and of runs which, how and in which order."""
    parser.description = "List what is available, one line each; or runs, with what differs between them."
    what = parser.add_argument("what", nargs="?", metavar="WHAT", help=", ".join(_KINDS))
    completed(what, lambda **_: list(_KINDS))
    parser.add_config_dir()
    runs = parser.add_argument_group("runs")
    runs.add_argument("--runs", metavar="DIR", help="the folder of the runs (default: runs)")
    about = "only those: status, suite, task, plm, method, seed, hash or any key of the configuration; * stands for " \
            "anything, a comma for or; may be repeated"  # fmt: skip
    runs.add_argument("--filter", action="append", default=[], metavar="KEY=VALUE", help=about)
    about = "their order: date, score, seconds, parameters, or a key as in --filter (default: by setting and seed)"
    runs.add_argument("--sort", metavar="KEY", help=about)
    runs.add_argument("--reverse", action="store_true", help="in the opposite order")
    runs.add_argument("--json", action="store_true", help="print one JSON array, with scores, costs and configuration")


def main(args: argparse.Namespace) -> int:
    """List one kind of thing, or every kind that ships with the package; returns the exit code."""
    if args.what == _RUNS:
        from inducer_bench.cli.ls_runs import list_runs

        return list_runs(args)
    if args.what is not None and args.what not in _KINDS:
        raise unknown("ls", args.what, _KINDS)
    for kind in [args.what] if args.what else (*_GROUPS, _METRICS):
        if not args.what:
            print(f"{kind}:")
        for name, about in _metrics() if kind == _METRICS else _of_group(_GROUPS[kind], args.config_dir):
            print(f"  {name:<16} {about}")
    return ExitCode.DONE


def _of_group(group: str, config_dir: Path | None) -> Iterator[tuple[str, str]]:
    paths = {path.stem: path for path in reversed(files(group, config_dir))}  # the shipped one counts
    for name in choices(group, config_dir):
        about = summary(paths[name])
        if group == "experiment":
            from inducer_bench.cli.sweep_size import jobs_of_experiment

            about = f"{jobs_of_experiment(paths[name], config_dir):<10} {about}"
        yield name, about


def _metrics() -> Iterator[tuple[str, str]]:
    from inducer_bench.metrics.table import METRICS

    for metric in METRICS:
        better = "higher" if metric.better > 0 else "lower"
        yield (
            metric.name,
            f"{metric.label}, of {metric.of}{' of two classes' if metric.binary else ''}; {better} is better",
        )


def summary(path: Path) -> str:
    """The first comment line of a config file that is not Hydra's package line."""
    lines = path.read_text(encoding="utf-8").splitlines()
    comments = [line.removeprefix("#").strip() for line in lines if line.startswith("# ") and "@package" not in line]
    return comments[0] if comments else ""
