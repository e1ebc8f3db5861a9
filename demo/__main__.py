# SPDX-License-Identifier: GPL-2.0-only
"""`make demo`: the scene on a real sched_ext kernel, then the account and the report.

The kernel is this machine's own where it has sched_ext and we are root, and Debian's in the
lab otherwise.
"""

import json
import os
import shutil
import sys
from pathlib import Path

from bpf import sysfs
from cli.report import report
from daemon.api.models import TrialState, TrialView
from lab.machine import Port
from lab.tree import project_root
from lab.vm import run_in_lab
from process import Fault, FaultType, run

OUT = Path("report")
# The scene takes four minutes under emulation on two CPUs; a slower machine gets three times that.
LIMIT_S = 900.0


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def perform(out: Path) -> int:
    """Play the scene where there is sched_ext; its exit status."""
    if sysfs.read().supported and os.geteuid() == 0:
        say("this machine's own kernel has sched_ext: the demo runs right here")
        run(["make", "-s", "-C", "bpf"], timeout=300)
        done = run(
            [sys.executable, "-m", "demo.scene", "--out", out],
            timeout=LIMIT_S,
            check=False,
            capture=False,
        )
        return done.status
    say("no sched_ext here: Debian's kernel is booted in a virtual machine")

    def on_output(port: Port, data: bytes) -> None:
        stream = sys.stdout if port is Port.STDOUT else sys.stderr
        stream.buffer.write(data)
        stream.buffer.flush()

    return run_in_lab(
        ["python", "-m", "demo.scene", "--out", "/out"],
        timeout=LIMIT_S,
        out=out,
        on_output=on_output,
        progress=lambda line: say(f"lab: {line}"),
    ).status


def trial_of(account: dict[str, object], key: str) -> TrialView | None:
    raw = account.get(key)
    return TrialView.model_validate(raw) if raw else None


def account_of(out: Path) -> list[str]:
    """What happened, in a few lines."""
    path = out / "account.json"
    if not path.exists():
        return ["the demo ended before there was anything to tell"]
    account = json.loads(path.read_text(encoding="utf-8"))
    lines: list[str] = []
    kept, bad = trial_of(account, "kept"), trial_of(account, "bad")
    if kept is not None and kept.verdict is not None:
        v = kept.verdict
        lines += [
            f"kept: {kept.scheduler}, tried on {kept.objective} in {len(kept.windows)} windows, "
            "alternating with the kernel's default",
            f"  ratio to the default {v.ratio:.2f}, {v.confidence:.0%} interval "
            f"{v.low:.2f} to {v.high:.2f} (below 1 is better)",
        ]
    if bad is not None:
        state = "rolled back" if bad.state is TrialState.ROLLED_BACK else bad.state.value
        lines.append(f"bad choice: {bad.scheduler} {state} after {len(bad.windows)} windows")
        lines.append(f"  {bad.reason}")
    return lines


def main() -> int:
    os.chdir(project_root())
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir()
    try:
        status = perform(OUT.resolve())
        recorded = OUT / "report.json"
        if recorded.exists():
            report(OUT / "demo.html", "", "1h", recorded, json=False)
            report(OUT / "demo.png", "", "1h", recorded, json=False)
    except Fault as fault:
        sys.stderr.write(fault.report() + "\n")
        return 2 if fault.type is FaultType.MISSING_TOOL else 1
    say("")
    for line in account_of(OUT):
        say(line)
    say(f"the report, with the picture: {OUT / 'demo.html'} (logs and figures beside it)")
    return status


if __name__ == "__main__":
    raise SystemExit(main())
