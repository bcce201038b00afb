"""What holds for every test: none is skipped, and what takes long begins first.

A test that does not run proves nothing, and a suite that is green because half of it was skipped lies. So a skip,
wherever it is asked for (a mark, a call in a test or a fixture, a whole module, `importorskip`), is turned into a
failure that names the test and the reason; the same goes for an expected failure.

Files are given to the processes in the order in which they stand. Those that mostly wait (for a browser, a process, a
network) come first, among those that compute for a minute, so that neither is left for the end.
"""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# These machines are shared and noisy: no test asserts a time, property tests included.
settings.register_profile("uzel", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("uzel")


LONG = (
    "sim/", "faces/web_page/", "sim_core/", "test_bench.py", "chaos/", "e2e/", "faces/api/test_api_schema.py", "faces/",
)  # fmt: skip
"""Where tests take long, the longest first."""


def _turn(item: pytest.Item) -> int:
    path = item.path.relative_to(Path(__file__).parent).as_posix()
    return next((turn for turn, begin in enumerate(LONG) if path.startswith(begin)), len(LONG))


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=_turn)


def _fail_if_skipped(report: pytest.TestReport | pytest.CollectReport) -> None:
    if not report.skipped:
        return
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
    expected = getattr(report, "wasxfail", None)
    if expected is not None:
        reason = f"expected failure: {expected}"
        del report.wasxfail
    report.outcome = "failed"
    report.longrepr = f"skipping is not allowed here ({reason})"


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    _fail_if_skipped(report)
    return report


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    _fail_if_skipped(report)
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show what a test says of itself: its recorded property "summary"."""
    for report in [*terminalreporter.stats.get("passed", []), *terminalreporter.stats.get("failed", [])]:
        for name, value in report.user_properties:
            if name == "summary":
                terminalreporter.write_line(str(value))
