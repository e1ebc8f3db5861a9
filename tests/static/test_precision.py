# SPDX-License-Identifier: GPL-2.0-or-later
"""Correct schedulers, about which the check must report nothing."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from bpf.build.diagnostics import Diagnostic
from bpf.static.check import check_source
from lab.tree import project_root
from process import Fault
from tests.policy_lab import cookbook

from .sample import said

ROOT = project_root()
OWN = [
    *sorted(ROOT.glob("scheduler_library/schedulers/*/*.bpf.c")),
    *sorted(ROOT.glob("docs/generated-c/*.bpf.c")),
]


def _of_all(sources: list[Path], headers: tuple[Path, ...] = ()) -> dict[str, list[Diagnostic]]:
    with ThreadPoolExecutor(2) as pool:
        found = pool.map(lambda each: check_source(each, headers=headers), sources)
    return {path.name: list(each) for path, each in zip(sources, found, strict=True) if each}


def test_our_own_schedulers_leave_nothing_to_say() -> None:
    """The library and the policy compiler's output have no error and no warning."""
    assert len(OWN) > 10
    assert _of_all(OWN) == {}


def test_every_policy_of_the_cookbook_passes() -> None:
    """The C of each line in the guide has no error and no warning."""
    policies = [cookbook.compiled(line) for line in cookbook.lines()]
    assert len(policies) > 20
    assert {each.text: found for each in policies if (found := said(each.source))} == {}


def test_the_kernels_examples_pass() -> None:
    """The unchanged examples of tools/sched_ext have no error."""
    from lab.recipe import recipe_for
    from lab.root import available, ensure
    from tests.simulator.kernel_source import examples

    if fault := available(ROOT):
        pytest.skip(f"{fault}; {fault.hint}")
    try:
        folder = examples(ensure(recipe_for(ROOT), lambda _: None))
    except Fault as missing:
        pytest.skip(f"the kernel's source package cannot be fetched: {missing}")
    sources = sorted(folder.glob("*.bpf.c"))
    assert len(sources) > 5
    found = _of_all(sources, tuple(sorted(folder.glob("*.h"))))
    errors = {
        name: [each for each in said if each.severity == "error"] for name, said in found.items()
    }
    assert not any(errors.values()), errors
