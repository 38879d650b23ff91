"""JSON as the standard has it (RFC 8259), read and written: what Python's own module lets through is an error here.

Python reads and writes NaN and Infinity, makes infinity of a number that is too large, reads half a surrogate pair that
no encoder takes, and leaves its own parser by other errors than its own where values are nested too deeply or an
integer has too many digits.
"""

import json
import math
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
        JSONDecodeError: the text is not JSON, holds NaN, Infinity, a number too large for a float or half a surrogate
            pair, is nested too deeply, or holds an integer of too many digits. `lineno` is the line, where it is known;
            else `pos` is 0.
    """
    try:
        pairs = _unique if unique_keys else None
        value = json.loads(text, parse_constant=_reject, parse_float=_finite, object_pairs_hook=pairs)
    except JSONDecodeError:
        raise
    except _RepeatedKeyError as error:
        raise JSONDecodeError(f"an object has the key {error} twice", text, 0) from None
    except _NotFiniteError as error:
        number, problem = error.args
        raise JSONDecodeError(f"{number} is {problem}", text, max(text.find(number), 0)) from None
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
    """NaN, Infinity or -Infinity, or a number that would become one of them; and what is wrong with it."""


class _RepeatedKeyError(Exception):
    """The key of an object, quoted."""


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        raise _RepeatedKeyError(json.dumps(Counter(key for key, _ in pairs).most_common(1)[0][0]))
    return value


def _reject(constant: str) -> NoReturn:
    raise _NotFiniteError(constant, "not a JSON value")


def _finite(number: str) -> float:
    value = float(number)
    if math.isinf(value):
        raise _NotFiniteError(number, "too large for a float")
    return value
