# SPDX-License-Identifier: GPL-2.0-or-later
"""`make demo` from outside: it never ends in a traceback, and always explains its end."""

from pathlib import Path

import pytest

from demo import __main__ as demo
from demo.account import Book, DemoAccount, DemoStep, Relay
from process import Fault, FaultType


@pytest.mark.parametrize(
    ("trouble", "says"),
    [
        (Fault(FaultType.TIMEOUT, "the guest did not finish within 900 s"), "within 900 s"),
        (OSError(28, "No space left on device", "report"), "No space left on device"),
        (KeyboardInterrupt(), "interrupted"),
        (ZeroDivisionError("division by zero"), "a defect, ZeroDivisionError"),
    ],
)
def test_whatever_goes_wrong_is_told_in_words(
    trouble: BaseException,
    says: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """The text says what was reached, why it stopped and what to do, and names only reports that
    exist."""

    def perform(out: Path) -> int:
        relay = Relay(out, demo.show)
        Book(lambda line: relay(line.encode())).write(DemoAccount().after(DemoStep.DAEMON))
        raise trouble

    monkeypatch.setattr(demo, "OUT", tmp_path / "report")
    monkeypatch.setattr(demo, "perform", perform)
    monkeypatch.chdir(tmp_path)
    assert demo.main() == 1
    out, error = capfd.readouterr()
    assert "reached: the daemon ran" in out
    assert says in out
    assert "to do:" in out
    assert "Traceback" not in out + error
    assert "demo.html" not in out
