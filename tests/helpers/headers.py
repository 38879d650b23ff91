"""The rows on stderr with which a run begins."""

_WIDTH = 12  # of the first column
_ROWS = ("method", "model", "task", "training", "seed", "folder", "data", "parameters", "device", "steps")


def without_header(err: str) -> list[str]:
    """The lines of stderr, but for those of a run's header, each of which is there once and in its order."""
    lines = err.splitlines()
    first = next((number for number, line in enumerate(lines) if line.startswith(f"{_ROWS[0]:<{_WIDTH}}")), len(lines))
    before, rest = lines[:first], lines[first:]
    for name in _ROWS:
        if rest and rest[0].startswith(f"{name:<{_WIDTH}}"):
            rest = rest[1:]
    return before + rest
