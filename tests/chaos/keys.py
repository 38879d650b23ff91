"""Every key of the configuration with values that it cannot have, or that are at the edge of what it can."""

from collections.abc import Iterator
from typing import Any

from chaos.cases import ANY, EITHER, REFUSED, TINY, TINY_NLG, Case
from inducer_bench.config.compose import compose
from inducer_bench.runs.identity import canonical

_NOT_NUMBERS = ("abc", "[]", "{a:1}", "nan", "inf", "''", "1e400", "0x10", "1_0", "true")
_NUMBERS = ("-1", "0", "1e-320", "1e308", "1000000000000000000000")
_NOT_TEXTS = ("[]", "{a:1}", "''", "null")
_ODD_NAMES = ("a/b", "..", ".", "'a b\tc'", "'line\\nbreak'", "-x", "x" * 300, "naïve☃", "2024", "1e3", "true")
_NAMED = ("task.name", "plm.name", "output_dir", "tracker.project")  # decide where things are written
_SECTIONS = ("plm", "trainer", "task", "method", "protocol", "tracker")


def cases() -> Iterator[Case]:
    """Keys of a classification and of a generation, each with values of no type, of another type and out of range."""
    seen: set[str] = set()
    for base in (TINY, TINY_NLG):
        config = compose(base)
        for key, value in _leaves(canonical(config)):
            if key in seen or ".recipes." in key:
                continue
            seen.add(key)
            for given in _values(key, value):
                yield _case(base, key, value, given)
    for key in _NAMED:
        for given in _ODD_NAMES:
            if (key, given) != ("output_dir", ".."):  # which is what it says
                yield Case("names", f"{key}={_short(given)}", [*TINY, f"{key}={given}"], EITHER, (key, "no mini task"))
    for section in _SECTIONS:
        for given in ("null", "3", "[]", "nope"):
            yield Case("sections", f"{section}={given}", [*TINY, f"{section}={given}"], REFUSED, (section,))
        yield Case("sections", f"{section}.nope=1", [*TINY, f"{section}.nope=1"], REFUSED, (f"{section}.nope",))
        yield Case("sections", f"+{section}.nope=1", [*TINY, f"+{section}.nope=1"], REFUSED, (f"{section}.nope",))


def _case(base: list[str], key: str, value: Any, given: str) -> Case:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    wrong = (number and given in _NOT_NUMBERS and given not in ("0x10", "1_0")) or (
        isinstance(value, bool) and given not in ("0", "1", "true")
    )
    allowed = REFUSED if wrong else ANY if number else EITHER
    says = (key, *key.rpartition(".")[::2])  # or the key that takes its value, or the one above
    return Case("keys", f"{key}={_short(given)}", [*base, f"{key}={given}"], allowed, says)


def _values(key: str, value: Any) -> tuple[str, ...]:
    if isinstance(value, bool):
        return ("abc", "2", "null", "[]")
    if isinstance(value, int | float):
        return (*_NOT_NUMBERS, *_NUMBERS)
    if isinstance(value, list):
        return ("abc", "[]", "[null]", "3")
    return _NOT_TEXTS


def _leaves(values: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, dict) and value:
            yield from _leaves(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _short(text: str) -> str:
    return text if len(text) < 40 else f"{text[:3]}... ({len(text)})"
