"""Reports at the end of a test run how many pairs of method and architecture the contract covered."""

from collections import Counter

import pytest

_outcomes: Counter[str] = Counter()


@pytest.hookimpl
def pytest_runtest_logreport(report):
    if report.when == "call" and "methods/test_contract.py" in report.nodeid and "[" in report.nodeid:
        _outcomes[report.nodeid.split("[")[1].rstrip("]")] += 1


def pytest_terminal_summary(terminalreporter):
    if _outcomes:
        terminalreporter.write_line(
            f"contract: {sum(_outcomes.values())} checks on {len(_outcomes)} pairs of method and architecture: "
            + ", ".join(sorted(_outcomes))
        )
