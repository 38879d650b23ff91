"""The distance from the released implementation on every parity fixture, as a Markdown table.

python -m scripts.evidence.parity_table ../shared/parity
"""

import sys
from pathlib import Path

from inducer_bench.errors import UserError

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))
from parity.compare import compare


def main(folder: str) -> None:
    """Print one row for each fixture: the largest errors of outputs and gradients in float64.

    Raises:
        UserError: the folder has no fixtures.
    """
    paths = sorted(Path(folder).glob("*.safetensors"))
    if not paths:
        raise UserError(f"'{folder}' has no fixtures (*.safetensors)")
    print("| fixture | tensors | outputs, absolute | relative | gradients, absolute | relative |")
    print("|---|---|---|---|---|---|")
    for path in paths:
        errors = compare(path)
        cells = [f"{kind[of]:.1e}" for of in ("outputs", "gradients") for kind in (errors.absolute, errors.relative)]
        print(f"| {path.stem} | {errors.compared} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main(*sys.argv[1:])
