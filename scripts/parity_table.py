"""Distance from the released implementation on every parity fixture, as a Markdown table.

python scripts/parity_table.py ../shared/parity
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from parity.compare import compare


def main(folder: Path) -> None:
    """One row for each fixture: largest errors of outputs and gradients in float64."""
    print("| fixture | tensors | outputs, absolute | relative | gradients, absolute | relative |")
    print("|---|---|---|---|---|---|")
    for path in sorted(folder.glob("*.safetensors")):
        errors = compare(path)
        cells = [f"{kind[of]:.1e}" for of in ("outputs", "gradients") for kind in (errors.absolute, errors.relative)]
        print(f"| {path.stem} | {errors.compared} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
