"""JSON as the standard has it (RFC 8259), read and written: what Python's own module lets through is an error here.

Python reads and writes NaN and Infinity, reads half a surrogate pair that no encoder takes, and leaves its own parser
by other errors than its own where values are nested too deeply or an integer has too many digits.
"""

import json
import re
from collections import Counter
from json import JSONDecodeError
from typing import Any, NoReturn

# Half of a surrogate pair, written as an escape; the first alternative skips whole pairs and escaped backslashes.
_HALF = re.compile(r"\\\\|\\u[dD][89abAB]..\\u[dD][c-fC-F]..|(\\u[dD][89a-fA-F]..)")


def loads(text: str, unique_keys: bool = False) -> Any:
    """The value that a JSON text stands for.

    Args:
        text: JSON.
        unique_keys: an object that has a key twice is an error; by default the last one counts.

    Raises:
        JSONDecodeError: the text is not JSON, holds NaN, Infinity or half a surrogate pair, is nested too deeply, or
            holds an integer of too many digits. `lineno` is the line, where it is known; else `pos` is 0.
    """
    try:
        value = json.loads(text, parse_constant=_reject, object_pairs_hook=_unique if unique_keys else None)
    except JSONDecodeError:
        raise
    except _RepeatedKeyError as error:
        raise JSONDecodeError(f"an object has the key {error} twice", text, 0) from None
    except _NotFiniteError as error:
        raise JSONDecodeError(f"{error} is not a JSON value", text, max(text.find(str(error)), 0)) from None
    except RecursionError:
        raise JSONDecodeError("nested too deeply", text, 0) from None
    except ValueError as error:  # int() of more than 4,300 digits
        raise JSONDecodeError(f"an integer of too many digits: {error}", text, 0) from None
    half = next((found for found in _HALF.finditer(text) if found[1]), None)
    if half is not None:
        raise JSONDecodeError(f"{half[0]} is half of a surrogate pair, not a character", text, half.start())
    return value


def dumps(value: Any, **options: Any) -> str:
    """The JSON text of a value; options are those of `json.dumps`.

    Raises:
        ValueError: a number is NaN or infinite.
        TypeError: JSON has no form for a value.
    """
    return json.dumps(value, allow_nan=False, **options)


class _NotFiniteError(Exception):
    """NaN, Infinity or -Infinity."""


class _RepeatedKeyError(Exception):
    """The key of an object, quoted."""


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        raise _RepeatedKeyError(json.dumps(Counter(key for key, _ in pairs).most_common(1)[0][0]))
    return value


def _reject(constant: str) -> NoReturn:
    raise _NotFiniteError(constant)
