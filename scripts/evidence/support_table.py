"""Every method and every type of `method=peft` on every supported architecture, or the reason why not, in Markdown.

    python -m scripts.evidence.support_table

Each pair is tried on the tiny models of the contract test (`tests/methods/test_contract.py`), which checks the promises
of a method for every pair that is marked with `yes`: attached, run forwards and backwards, and detached.
"""

import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import transformers
from transformers import PreTrainedModel

import inducer_bench as ib

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))
from helpers.architectures import ARCHITECTURES, build, loss, tokens
from helpers.attached import assert_as_built
from helpers.method_options import OPTIONS
from helpers.peft_types import TYPES, config_for

Attach = Callable[[PreTrainedModel], ib.TunedModel]


def main() -> None:
    """Print one table of methods and one of peft's types."""
    warnings.simplefilter("ignore")
    quiet: Any = transformers.logging
    quiet.set_verbosity_error()
    print_table({name: attaching(name, options) for name, options in OPTIONS.items()})
    print("\n## Types of `method=peft`\n")
    print_table({name: attaching_peft(name) for name in TYPES})


def print_table(rows: dict[str, Attach]) -> None:
    """Print one row for each method and one footnote for each reason."""
    reasons: list[str] = []
    print(f"| | {' | '.join(ARCHITECTURES)} |")
    print("|---" * (len(ARCHITECTURES) + 1) + "|")
    supported = 0
    for name, attach in rows.items():
        cells = []
        for architecture in ARCHITECTURES:
            reason = why_not(attach, architecture)
            if reason is None:
                supported += 1
                cells.append("yes")
                continue
            if reason not in reasons:
                reasons.append(reason)
            cells.append(f"no ({reasons.index(reason) + 1})")
        print(f"| `{name}` | {' | '.join(cells)} |")
    print(f"\n{supported} pairs of {len(rows) * len(ARCHITECTURES)}.")
    for number, reason in enumerate(reasons, start=1):
        print(f"\n({number}) {reason}")


def attaching(name: str, options: dict[str, Any]) -> Attach:
    """How to attach a method of this package."""
    return lambda model: ib.attach(model, name, **options)


def attaching_peft(name: str) -> Attach:
    """How to attach a type of peft's."""
    return lambda model: ib.attach(model, "peft", peft_type=name, config=config_for(name, model))


def why_not(attach: Attach, architecture: str) -> str | None:
    """The error of a model of this architecture on the way from attaching to detaching; None if there is none."""
    model = build(architecture)
    try:
        tuned = attach(model)
        loss(tuned, tokens(2, 5)).backward()
        tuned.detach()
    except ib.errors.UserError as error:
        return str(error).replace(type(model).__name__, "the model")
    assert_as_built(model, architecture)
    return None


if __name__ == "__main__":
    main()
