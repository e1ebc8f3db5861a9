# SPDX-License-Identifier: GPL-2.0-or-later
"""The table of kernels: what was found becomes a row, and what does not work a sentence."""

from typing import Any

import pytest

from bpf.kernel.features import Features

from .guest import LIBRARY, POLICY
from .looked import KernelLook
from .table import BEGIN, END, HEADINGS, rendered, replaced, row

CALLBACKS = frozenset({"cgroup_init", "cgroup_set_weight"})
LINK = {"ops": "fifo", "counters": 9, "end": "detached", "why": "request"}


def found(release: str = "6.16.12+deb13-cloud-amd64", **changes: Any) -> KernelLook:
    seen: dict[str, Any] = {
        "release": release,
        "failing": {},
        "warned": {},
        "probes": {"runqlat": []},
        "signals": {"workloads": 7, "lost": 0, "open": True, "turns": True},
        "recorder": {"records": 200, "lost": 0},
        LIBRARY: {"fifo": LINK, "fair": LINK},
        POLICY: {"01": {"ops": "a"}, "02": {"ops": "b"}},
    }
    features = Features(("scx_bpf_create_dsq", "scx_bpf_kick_cpu"), ())
    look: dict[str, Any] = {"features": features, "callbacks": CALLBACKS, "refused": {}}
    seen |= changes.pop("seen", {})
    return KernelLook(**{**look, **changes, "seen": seen})


def test_a_kernel_on_which_everything_works_is_a_row() -> None:
    """The row has numbers of what was tried, and no word of the build."""
    assert row(found()) == (
        "6.16.12",
        "2",
        "2 of 2",
        "2 of 2",
        "cpu.weight",
        "9",
        "yes",
        "yes",
        "yes",
    )


def test_what_no_scheduler_can_honour_is_said() -> None:
    """A control without its callback is named with the kernel that first had it."""
    text = rendered([found()])
    assert "- 6.16.12: the kernel has no callback cgroup_set_bandwidth; Linux 6.17 has it." in text
    assert "- 6.16.12: the kernel has no callback cgroup_set_idle; Linux 6.19 has it." in text


def test_what_does_not_build_counts_and_is_said_once() -> None:
    """Schedulers with the same reason share a sentence."""
    why = "scx_bpf_create_dsq() cannot be called on this kernel, whose types describe it wrongly"
    look = found(
        refused={f"{LIBRARY}fifo": why, f"{LIBRARY}fair": why, f"{POLICY}01": why},
        seen={
            LIBRARY: {},
            POLICY: {"02": {"trouble": "the kernel did not accept it: no", "hint": ""}},
        },
    )
    assert row(look)[2:4] == ("0 of 2", "0 of 2")
    assert row(look)[5] == "–"
    text = rendered([look])
    assert f"- 6.16.12: 3 schedulers: {why}." in text
    assert "- 6.16.12: 1 scheduler: the kernel did not accept it: no." in text


def test_programs_that_do_not_work_say_why() -> None:
    """Signals, recorder and probes each have a cell, and a sentence if something is missing."""
    look = found(
        seen={
            "signals": {"workloads": 3, "lost": 0, "open": True, "turns": False},
            "recorder": {"trouble": "the recorder ended with status 1: no BTF", "hint": ""},
            "probes": {"runqlat": ["headers"], "offcpu": ["headers"]},
        }
    )
    assert row(look)[6:] == ("yes, without turns", "no", "no")
    text = rendered([look])
    assert text.count("headers") == 1
    assert "recorder: the recorder ended with status 1: no BTF." in text


def test_the_page_gets_the_table_between_its_marks() -> None:
    """The rest of the page stays, however often it is written."""
    page = f"before\n{BEGIN}\nold\n{END}\nafter\n"
    once = replaced(page, rendered([found()]))
    assert once.startswith("before\n")
    assert once.endswith("\nafter\n")
    assert "old" not in once
    assert f"| {' | '.join(HEADINGS)} |" in once
    assert replaced(once, rendered([found()])) == once
    with pytest.raises(ValueError, match="place"):
        replaced("no marks", "")
