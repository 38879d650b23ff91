"""`inducer-bench params [overrides] [--json]`: the number of parameters of a method and of its PLM."""

import argparse
import json
import sys

from inducer_bench.cli.parser import Parser
from inducer_bench.errors import ExitCode

HELP = "parameters of method, head and model; needs neither data nor weights"
_LABELS = {
    "method": "method",
    "head": "head",
    "tokens": "special-token rows",
    "plm": "model",
    "percent": "method / model",
}


def arguments(parser: Parser) -> None:
    """Those of a run, and how to print the counts."""
    parser.add_overrides()
    parser.add_argument("--json", action="store_true", help="print JSON")


def main(args: argparse.Namespace) -> int:
    """Build the model without memory for its weights, attach the method, and count."""
    from inducer_bench.config.compose import compose
    from inducer_bench.tasks.options import ClassificationOptions

    config = compose(args.overrides, args.config_dir)

    from inducer_bench.plm.load import empty_model
    from inducer_bench.runs.experiment import attach_method

    model = empty_model(config.plm, config.task.auto_class, config.task.outputs())
    if isinstance(config.task, ClassificationOptions) and config.task.labels == "auto":
        print(f"task.labels: auto; the head is counted for {config.task.outputs()} labels", file=sys.stderr)
    counts = attach_method(config, model).parameter_counts()
    if args.json:
        print(json.dumps(counts))
        return ExitCode.DONE
    print(f"{config.method.name} on {config.plm.name} for {config.task.name}")
    for key, label in _LABELS.items():
        print(f"  {label:<20}" + (f"{counts[key]:>12.4f} %" if key == "percent" else f"{counts[key]:>12,}"))
    return ExitCode.DONE
