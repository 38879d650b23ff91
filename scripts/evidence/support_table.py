"""Every method on every supported architecture, or the reason why not, as a Markdown table.

    python -m scripts.evidence.support_table

Attaches the methods to the tiny models of the contract test (`tests/methods/test_contract.py`), which checks the
promises of a method for every pair that is marked with `yes`.
"""

import sys
from pathlib import Path

import inducer_bench as ib

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))
from helpers.architectures import ARCHITECTURES, build
from helpers.method_options import OPTIONS


def main() -> None:
    """Print one row for each method and one footnote for each reason."""
    reasons: list[str] = []
    print(f"| | {' | '.join(ARCHITECTURES)} |")
    print("|---" * (len(ARCHITECTURES) + 1) + "|")
    supported = 0
    for method, options in OPTIONS.items():
        cells = []
        for architecture in ARCHITECTURES:
            model = build(architecture)
            try:
                ib.attach(model, method, **options)
                cells.append("yes")
                supported += 1
            except ib.errors.UserError as error:
                reason = str(error).replace(type(model).__name__, "the model")
                if reason not in reasons:
                    reasons.append(reason)
                cells.append(f"no ({reasons.index(reason) + 1})")
        print(f"| `{method}` | {' | '.join(cells)} |")
    print(f"\n{supported} pairs of {len(OPTIONS) * len(ARCHITECTURES)}.")
    for number, reason in enumerate(reasons, start=1):
        print(f"\n({number}) {reason}")


if __name__ == "__main__":
    main()
