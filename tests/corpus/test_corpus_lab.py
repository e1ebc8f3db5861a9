# SPDX-License-Identifier: GPL-2.0-or-later
"""A real kernel with the corpus: it accepts and runs the good ones, and stops the bad ones that no
other gate can stop.
"""

import json
import re
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

import pytest

from lab.vm import run_in_lab
from tests.target import Target

from .table import END, KERNEL_GATE, expected, names, source

pytestmark = pytest.mark.vm

ROOT = Path(__file__).parents[2]
# What the guest needs to ask its kernel, and no more: the disk for it is made each time.
SHIPPED = ("pyproject.toml", "bpf", "process", "tests/corpus/guest_run.py")
# One of each kind; all are run by hand: make test TESTS='-m long tests/corpus'
SOME = ("llc_aware", "mask_partition", "per_cpu_with_stealing", "share_by_process", "timer_of_load")
VERIFIED = [name for name, each in expected().items() if each.gate == KERNEL_GATE]
GOOD = names("good")
# Emulated, and with room for a crowded machine.
BOOT_S, EACH_S = 150.0, 20.0
# Later than this is a wakeup that a person would notice as a machine that hangs.
STARVED_S = 5.0

Seen = dict[str, dict[str, Any]]


def play(
    target: Target,
    work: Path,
    kind: Literal["bad", "good"],
    shown: Iterable[str],
    held: Iterable[str],
    *,
    seconds: float,
) -> Seen:
    """Show some to the lab's kernel and run some there, in one boot."""
    tree = work / "tree"
    for name in SHIPPED:
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, tree / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, tree / name)
    both = [*shown, *held]
    for name in both:
        target.build(source(kind, name), tree / "objects", name=f"{name}{END}").require()
    hotplug = [name for name in held if "cpu_offline" in source(kind, name).read_text()]
    words = ["python", "-m", "tests.corpus.guest_run", "objects", "--seconds", str(seconds)]
    done = run_in_lab(
        [*words, "--names", ",".join(held), "--hotplug", ",".join(hotplug)],
        tree=tree,
        timeout=BOOT_S + EACH_S * len(both),
    )
    assert done.status == 0, f"{done.text}\n{done.error_text}"
    lines = [json.loads(line) for line in done.text.splitlines()]
    assert [line["name"] for line in lines] == sorted(both)
    return {line["name"]: line for line in lines}


@pytest.fixture(scope="session")
def bad(target: Target, tmp_path_factory: pytest.TempPathFactory) -> Seen:
    return play(target, tmp_path_factory.mktemp("bad"), "bad", VERIFIED, [], seconds=0)


@pytest.mark.parametrize("name", VERIFIED)
def test_the_verifier_refuses_what_only_it_can_see(bad: Seen, name: str) -> None:
    """The kernel accepts none of them, and its log says why."""
    assert bad[name]["refused"], bad[name]
    log = "\n".join([bad[name]["refused"], *bad[name]["log"]])
    assert re.search(expected()[name].message, log), log


def _fine(seen: dict[str, Any]) -> None:
    assert not seen["refused"], seen
    assert seen["end"] == "", seen
    assert seen["woken"], seen
    assert seen["late_s"] < STARVED_S, seen


@pytest.mark.long
def test_good_schedulers_run_on_a_real_kernel(
    target: Target, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Some of each kind: the verifier accepts them, and they serve everybody under load."""
    seen = play(target, tmp_path_factory.mktemp("good"), "good", [], SOME, seconds=1.5)
    for name in SOME:
        _fine(seen[name])


@pytest.mark.long
def test_every_good_scheduler_runs_on_a_real_kernel(
    target: Target, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Five seconds each, under load, with tasks moved about: nobody is ejected or starved."""
    seen = play(target, tmp_path_factory.mktemp("every"), "good", [], GOOD, seconds=5)
    for name in GOOD:
        _fine(seen[name])
