"""Times and sizes as people read them."""


def clock(seconds: float) -> str:
    """A time to wait: 0:07, 1:44, 2:03:10."""
    hours, rest = divmod(round(seconds), 3600)
    return f"{hours}:{rest // 60:02}:{rest % 60:02}" if hours else f"{rest // 60}:{rest % 60:02}"


def duration(seconds: float) -> str:
    """Seconds with two digits, in the unit that suits them."""
    for unit, size in (("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds / size:.{0 if seconds >= 10 * size else 1}f} {unit}"
    return f"{seconds:.{0 if seconds >= 10 else 1}f} s"


def size(count: float) -> str:
    """Bytes with two digits, in the unit that suits them."""
    for unit, bytes_ in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= bytes_:
            return f"{count / bytes_:.{0 if count >= 10 * bytes_ else 1}f} {unit}"
    return f"{count:.0f} B"
