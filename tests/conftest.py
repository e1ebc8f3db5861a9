# SPDX-License-Identifier: GPL-2.0-or-later
"""What all tests share: tests that need the lab are skipped, with the reason, if it cannot run; in
continuous integration (`CI` set) nothing may be skipped.
"""

import os
import signal
import tempfile
from collections.abc import Generator, Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from process import Fault, measure

if TYPE_CHECKING:
    from tests.target import Target

ROOT = Path(__file__).parent.parent


def pytest_configure(config: pytest.Config) -> None:
    """Children can be interrupted, even if a shell started the tests in the background."""
    for number in (signal.SIGINT, signal.SIGQUIT):
        if signal.getsignal(number) is signal.SIG_IGN:
            handler = signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL
            signal.signal(number, handler)
    # The time that an example takes shows only how busy the machine is.
    settings.register_profile("unhurried", settings(), deadline=None)
    settings.load_profile("unhurried")


@cache
def _marks_itself(file: Path) -> bool:
    return "mark.vm" in file.read_text("utf-8")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Generated examples reach the same code many times, and would be the largest part of
    coverage's cost."""
    for item in items:
        if item.get_closest_marker("hypothesis"):
            item.add_marker(pytest.mark.no_cover)
        if item.get_closest_marker("vm") and not _marks_itself(item.path):
            raise pytest.UsageError(
                f"{item.nodeid} is marked `vm` from elsewhere: the Makefile finds tests that need "
                "the lab by `mark.vm` in their own file"
            )


def pytest_report_header() -> list[str]:
    """The header says why time limits are longer here."""
    words = measure().words()
    return [words] if words else []


@cache
def _without_lab() -> str:
    """Why the lab cannot run here and what to do about it; empty if it can."""
    from lab.root import available  # late: most runs select tests that never need it

    fault = available(ROOT)
    return "" if fault is None else f"{fault}; {fault.hint}"


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("vm") and (reason := _without_lab()):
        pytest.skip(reason)


@pytest.fixture(scope="session")
def target() -> "Iterator[Target]":
    """The lab's kernel, to compile for."""
    from tests.target import lab_target, missing  # late, likewise

    if reason := missing():
        pytest.skip(reason)
    # Not one of pytest's folders: the sandboxed compiler is another user, and those are private.
    with tempfile.TemporaryDirectory(prefix="schedpilot-target-") as folder:
        Path(folder).chmod(0o755)
        yield lab_target(Path(folder))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A failure shows the fault's material, such as the last words of a panicking guest."""
    report = yield
    if report.failed and call.excinfo and isinstance(call.excinfo.value, Fault):
        report.sections.append(("the fault", call.excinfo.value.report()))
    return report


def _skips(config: pytest.Config) -> list[pytest.TestReport]:
    """The skipped tests, if skipping is a failure in this run."""
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
