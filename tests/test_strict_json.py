"""JSON that Python's own module lets through, or stumbles over, is an error with a line."""

import json

import pytest

from inducer_bench import strict_json


@pytest.mark.parametrize(
    "value", [{"a": [1, 2.5, None, True, "é"]}, "\ud83d\ude00", r"\ud800", "a\\\\b", [], 10**4000, 1e-320]
)
@pytest.mark.parametrize("ascii", [True, False])
def test_json_is_read_as_pythons_module_reads_it(value, ascii):
    text = json.dumps(value, ensure_ascii=ascii) if isinstance(value, str | dict) else json.dumps(value)
    assert strict_json.loads(text) == json.loads(text)


@pytest.mark.parametrize(
    ("text", "reason", "line"),
    [
        ('{"a": 1', "Expecting", 1),
        ('{"a": 1,\n "b": NaN}', "NaN is not", 2),
        ("[-Infinity]", "-Infinity is not", 1),
        ('{"a": 1.5,\n "b": -1e400}', "-1e400 is too large for a float", 2),
        ("[" * 100_000, "nested too deeply", 1),
        ('{"a":' * 100_000, "nested too deeply", 1),
        ("1" * 5000, "too many digits", 1),
        ('["ok",\n"\\ud83d"]', "half of a surrogate pair", 2),
        ('"\\udc00\\ud800"', "half of a surrogate pair", 1),
        ('{"\\uD800": 1}', "half of a surrogate pair", 1),
    ],
)
def test_what_is_no_json_has_a_reason_and_a_line(text, reason, line):
    with pytest.raises(json.JSONDecodeError, match=reason) as caught:
        strict_json.loads(text)
    assert caught.value.lineno == line


def test_repeated_key_is_an_error_where_keys_are_unique():
    text = '{"a": {"x": 1, "b": 2, "x": 3}}'
    assert strict_json.loads(text) == {"a": {"x": 3, "b": 2}}
    assert strict_json.loads('[{"x": 1}, {"x": 2}, {}]', unique_keys=True) == [{"x": 1}, {"x": 2}, {}]
    with pytest.raises(json.JSONDecodeError, match='an object has the key "x" twice'):
        strict_json.loads(text, unique_keys=True)


@pytest.mark.parametrize("value", [float("nan"), [float("inf")]])
def test_nothing_undefined_is_written(value):
    with pytest.raises(ValueError, match="JSON compliant"):
        strict_json.dumps(value)
