# SPDX-License-Identifier: GPL-2.0-or-later
"""What the lab looks for in a dead guest's console."""

from lab.machine import End, evidence, failure
from process import FaultType

NOISE = b"".join(b"[ 1.%03d] noise %d\r\n" % (each, each) for each in range(500))
OOPS = b"[ 2.0] BUG: kernel NULL pointer dereference\r\n[ 2.1] RIP: 0010:somewhere+0x1\r\n"
PANIC = b"[ 2.2] Kernel panic - not syncing: Fatal exception in interrupt\r\n"


def end(console: bytes = b"", *, begun: bool = True, overdue: bool = False, error: str = "") -> End:
    lines, panic = evidence(console)
    return End(None, 1.0 if begun else None, overdue, lines, panic, error)


def test_a_panic_is_shown_with_what_led_to_it() -> None:
    """The lines include the crash before the word panic and the trace after it."""
    lines, panic = evidence(NOISE + OOPS + PANIC + b"[ 2.3] Kernel Offset: disabled\r\n")
    assert panic == "Fatal exception in interrupt"
    assert "[ 2.1] RIP: 0010:somewhere+0x1" in lines
    assert lines[-1] == "[ 2.3] Kernel Offset: disabled"
    assert len(lines) < 100


def test_without_a_panic_the_last_lines_are_shown() -> None:
    """If the guest dies silently, the last lines of the console are shown."""
    lines, panic = evidence(NOISE)
    assert panic == ""
    assert lines[-1].endswith("noise 499")
    assert len(lines) < 100


def test_terminal_codes_in_the_console_are_made_harmless() -> None:
    """The guest's output cannot control the reader's terminal."""
    assert evidence(b"\x1b[2Jhello\r\n")[0] == ("?[2Jhello",)


def test_each_end_has_its_own_fault() -> None:
    """A panic, a slow boot, a slow command and an error from QEMU give different faults."""
    assert "panicked" in failure(end(PANIC, overdue=True)).what
    assert "come up" in failure(end(begun=False, overdue=True)).what
    assert failure(end(overdue=True)).type is FaultType.TIMEOUT
    assert failure(end(begun=False, error="bad option")).why == "bad option"


def test_only_a_guest_that_failed_by_itself_is_booted_again() -> None:
    """The lab does not retry a command that began, or an option that QEMU refuses."""
    assert end(PANIC, begun=False).never_came_up
    assert end(begun=False, overdue=True).never_came_up
    assert not end(PANIC).never_came_up
    assert not end(overdue=True).never_came_up
    assert not end(begun=False, error="bad option").never_came_up
