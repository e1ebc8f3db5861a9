# SPDX-License-Identifier: GPL-2.0-or-later
"""`make demo`: the scene on a real sched_ext kernel, then the account and the report.

The kernel is this machine's own if it has sched_ext and we are root, else Debian's in the lab.
"""

import asyncio
import os
import shutil
import sys
from pathlib import Path

from bpf.kernel import sysfs
from cli import report
from demo import account
from demo.compiled import compiled_for_guest
from demo.scene import COMPILED, SCENE_S, WORKLOAD
from lab.machine import Port
from lab.recipe import recipe_for
from lab.root import ensure
from lab.tree import project_root
from lab.vm import run_in_lab
from process import Fault, FaultType, fault_of, run, start_lines, within

OUT = Path("report")
# The scene ends by itself with an account; this limit catches everything else.
LIMIT_S = 1.5 * SCENE_S
BUILD_S = 300.0


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def show(data: bytes) -> None:
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


async def here(out: Path) -> int:
    """Play it on this very machine; returns the scene's exit status."""
    said = account.Relay(out, show)
    words: list[str | Path] = [sys.executable, "-m", "demo.scene", "--out", out]
    child = await start_lines(words, on_error_line=lambda line: show(f"{line}\n".encode()))
    try:
        async with within(LIMIT_S) as limit:
            async for line in child.lines():
                said(line)
            return await child.wait()
    except TimeoutError:
        raise Fault(FaultType.TIMEOUT, f"the demo did not finish within {limit.words()}") from None
    finally:
        await child.end()


def perform(out: Path) -> int:
    """Play the scene on a kernel with sched_ext; returns its exit status."""
    if sysfs.read().supported and os.geteuid() == 0:
        say("this machine's own kernel has sched_ext: the demo runs right here")
        run(["make", "-s", "-C", "bpf"], timeout=BUILD_S)
        return asyncio.run(here(out))
    say("no sched_ext here: Debian's kernel is booted in a virtual machine")
    root = ensure(recipe_for(project_root()), lambda line: say(f"lab: {line}"))
    compiled = compiled_for_guest(root, WORKLOAD, say)

    said = account.Relay(out, show)

    def on_output(port: Port, data: bytes) -> None:
        if port is Port.STDOUT:
            said(data)
        else:
            sys.stderr.buffer.write(data)
            sys.stderr.buffer.flush()

    return run_in_lab(
        ["python", "-m", "demo.scene", "--out", "/out"],
        timeout=LIMIT_S,
        out=out,
        on_output=on_output,
        files={COMPILED.name: compiled} if compiled else {},
        progress=lambda line: say(f"lab: {line}"),
    ).status


def draw() -> Path | None:
    """The report, if there is data for it."""
    recorded = OUT / "report.json"
    if not recorded.exists():
        return None
    page = OUT / "demo.html"
    try:
        found = report.read(recorded)
        report.write(found, page)
        report.write(found, OUT / "demo.png")
    except Fault as fault:
        say(f"the report could not be drawn: {fault}")
    return page if page.exists() else None


def main() -> int:
    os.chdir(project_root())
    try:
        shutil.rmtree(OUT, ignore_errors=True)
        OUT.mkdir(exist_ok=True)
    except OSError as error:
        sys.stderr.write(fault_of(error).report() + "\n")
        return 1
    status, why = 1, ""
    try:
        status = perform(OUT.resolve())
    except KeyboardInterrupt:
        say("")
        why = "it was interrupted"
    except Fault as fault:
        sys.stderr.write(fault.report() + "\n")
        if fault.type is FaultType.MISSING_TOOL:
            return 2
        why = str(fault)
    except OSError as error:
        why = str(fault_of(error))
    except Exception as error:  # noqa: BLE001 - the user gets a message, not a traceback
        why = account.defect(OUT, error)
    say("")
    found = account.read(OUT)
    for line in account.told(found, why):
        say(line)
    if page := draw():
        say(f"the report, with the picture: {page} (logs and figures beside it)")
    elif any(OUT.iterdir()):
        say(f"logs of what ran: {OUT}/")
    return 0 if found.whole else status or 1


if __name__ == "__main__":
    raise SystemExit(main())
