"""Messages: one printable line, whatever they quote."""

import pytest

from inducer_bench.errors import LONGEST_MESSAGE, UserError, listed, nearest, shown, unknown


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("naïve ☃ a=b", "naïve ☃ a=b"),
        ("two\nlines\r\t", r"two\nlines\r\t"),
        ("\x1b[31mred\x07", r"\x1b[31mred\x07"),
        ("a\u202eb\u2028c\x85", r"a\u202eb\u2028c\x85"),
        ("half \ud800", r"half \ud800"),
    ],
)
def test_what_a_terminal_would_obey_is_escaped(text, expected):
    assert shown(text) == expected


@pytest.mark.parametrize("text", ["x" * 1_000_000, "\n" * 1_000_000, "\n" * 90, "y" * 101])
def test_a_long_text_loses_its_middle(text):
    found = shown(f"key: {text}; allowed: 1", 100)
    assert len(found) <= 100
    assert found.startswith("key: ")
    assert found.endswith("; allowed: 1")


def test_a_user_error_is_one_line_of_bounded_length():
    message = str(UserError(f"task.name: found '{'a' * 10_000}\n'; allowed: letters"))
    assert len(message) <= LONGEST_MESSAGE
    assert "\n" not in message
    assert message.startswith("task.name: ")
    assert message.endswith("allowed: letters")


def test_a_list_of_thousands_is_cut():
    assert listed(["a", "b"]) == "a, b"
    assert listed([f"n{i}" for i in range(1000)], most=2) == "n0, n1 and 998 more"
    message = str(unknown("task.text", "columm_7", [f"column_{i}" for i in range(60_000)]))
    assert len(message) <= LONGEST_MESSAGE
    assert "did you mean 'column_7'?" in message


TASKS = ("cola", "coqa", "mnli", "qnli", "qqp", "rte", "sst2", "stsb", "webnlg", "wnli")


@pytest.mark.parametrize(
    ("found", "meant"),
    [
        ("sts2", "sst2"),  # neighbours that are swapped are one edit, as the letter that makes it stsb
        ("stbs", "stsb"),
        ("mnil", "mnli"),
        ("wnil", "wnli"),
        ("cloa", "cola"),
    ],
)
def test_nearest_name_has_fewest_edits_and_of_these_the_same_letters(found, meant):
    assert nearest(found, TASKS) == f"did you mean '{meant}'? "


def test_name_like_no_other_has_no_nearest_one():
    assert nearest("zzz", TASKS) == ""
