# SPDX-License-Identifier: GPL-2.0-only
"""What every test shares: tests that need the lab are skipped, with the reason, where it
cannot run; under continuous integration (`CI` set) nothing may be skipped.
"""

import os
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@cache
def _without_lab() -> str:
    """Why the lab cannot run here and what to do about it; empty where it can."""
    from lab.root import available  # late: most runs select tests that never need it

    fault = available(ROOT)
    return "" if fault is None else f"{fault}; {fault.hint}"


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("vm") and (reason := _without_lab()):
        pytest.skip(reason)


def _skips(config: pytest.Config) -> list[pytest.TestReport]:
    """The skipped tests of a run in which skipping is a failure."""
    if os.environ.get("CI", "").lower() in ("", "0", "false"):
        return []
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    skipped: list[pytest.TestReport] = reporter.stats.get("skipped", []) if reporter else []
    return skipped


def pytest_sessionfinish(session: pytest.Session) -> None:
    if session.exitstatus == pytest.ExitCode.OK and _skips(session.config):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    skips = _skips(config)
    if not skips:
        return
    terminalreporter.section("skipped where nothing may be", red=True)
    for report in skips:
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        terminalreporter.line(f"{report.nodeid}: {reason}")
