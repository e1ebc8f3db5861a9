# SPDX-License-Identifier: GPL-2.0-or-later
"""Each scheduler of the kernel's selftests is judged as the selftest itself expects."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from lab.recipe import recipe_for
from lab.root import ensure
from lab.tree import project_root
from process import Fault
from tests.selftests.exceptions import EXCEPTIONS
from tests.selftests.known import Verdict, cases, expected
from tests.selftests.through import QUICK, WORKLOADS, Result, judged
from tests.simulator.kernel_source import selftests
from tests.target import Target


@pytest.fixture(scope="module")
def folder() -> Path:
    try:
        return selftests(ensure(recipe_for(project_root()), lambda _: None))
    except Fault as fault:
        pytest.skip(f"the kernel's selftests cannot be fetched: {fault}")


def _wrong(results: Sequence[Result]) -> list[str]:
    """Cases that disagree without a reason, and reasons for cases that agree by now."""
    found = [
        f"{each.case}: expected {each.expected}, found {each.found}: {each.said}"
        for each in results
        if not each.agrees and str(each.case) not in EXCEPTIONS
    ]
    names = {str(each.case) for each in results}
    found += [f"{name}: there is no such selftest any more" for name in EXCEPTIONS.keys() - names]
    return found


def test_gates_agree_with_the_kernels_selftests(
    folder: Path, target: Target, tmp_path: Path
) -> None:
    """A scheduler that has to run is not refused, and one that must not run is; exceptions have
    reasons."""
    assert _wrong(list(judged(folder, cases(folder), target, tmp_path, QUICK))) == []


@pytest.mark.long
def test_gates_agree_under_every_workload(folder: Path, target: Target, tmp_path: Path) -> None:
    """This holds under all workloads, and no exception is out of date."""
    results = list(judged(folder, cases(folder), target, tmp_path, WORKLOADS))
    assert _wrong(results) == []
    assert {str(each.case) for each in results if not each.agrees} == set(EXCEPTIONS)


def test_expectations_are_those_of_the_tests_own_c(folder: Path) -> None:
    """The expectation read from the C is right for a few cases that were checked by hand."""
    found = {str(case): expected(folder, case) for case in cases(folder)}
    assert found["minimal"] is Verdict.RUNS
    assert found["exit enqueue"] is Verdict.EXITS
    assert found["ddsp_bogus_dsq_fail"] is Verdict.ERROR
    assert found["maybe_null_fail_dsp"] is Verdict.REFUSED
    assert found["maybe_null"] is Verdict.RUNS
    assert found["enq_last_no_enq_fails"] is Verdict.ERROR
