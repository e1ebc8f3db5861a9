# SPDX-License-Identifier: GPL-2.0-or-later
"""The kernel's state, read from a folder that looks like its own."""

from pathlib import Path

from bpf.kernel import sysfs

EVENTS = "SCX_EV_SELECT_CPU_FALLBACK 3\nSCX_EV_NEW_ONE_OF_TOMORROW 12\nnot a counter\n\n"


def _fake(root: Path, **files: str) -> Path:
    for name, text in files.items():
        path = root / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def test_an_enabled_scheduler_is_read_whole(tmp_path: Path) -> None:
    """State, name, sequences and counters of an enabled scheduler are all read."""
    root = _fake(
        tmp_path,
        state="enabled\n",
        root__ops="rusty\n",
        root__events=EVENTS,
        switch_all="1\n",
        enable_seq="7\n",
        nr_rejected="0\n",
        hotplug_seq="2\n",
    )
    state = sysfs.read(root)
    assert state.enabled
    assert state.supported
    assert (state.ops, state.switch_all) == ("rusty", True)
    assert (state.enable_seq, state.nr_rejected, state.hotplug_seq) == (7, 0, 2)
    assert state.events == {"SCX_EV_SELECT_CPU_FALLBACK": 3, "SCX_EV_NEW_ONE_OF_TOMORROW": 12}


def test_no_scheduler_is_an_empty_name(tmp_path: Path) -> None:
    """With nothing loaded there is no `root` folder, and the name is empty."""
    state = sysfs.read(_fake(tmp_path, state="disabled\n", enable_seq="7\n"))
    assert state.supported
    assert not state.enabled
    assert state.ops == ""
    assert state.events == {}


def test_a_kernel_without_sched_ext_is_told_apart(tmp_path: Path) -> None:
    """If the folder is missing, the kernel has no sched_ext, and nothing is raised."""
    state = sysfs.read(tmp_path / "absent")
    assert not state.supported
    assert state.enable_seq == -1
