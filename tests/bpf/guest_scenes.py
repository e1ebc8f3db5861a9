# SPDX-License-Identifier: GPL-2.0-or-later
# ruff: noqa: ASYNC110, ASYNC240 - small files of /proc and /sys, polled because they have no event
"""Scenes on a real sched_ext kernel; run in the lab by test_kernel.py.

    python tests/bpf/guest_scenes.py OUT.json [SCENE...]

Each scene stores what it saw; the tests judge it.
"""

import asyncio
import contextlib
import json
import os
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from bpf.build.objects import build_object
from bpf.kernel import doctor, sysfs
from bpf.kernel.doctor_facts import gather
from bpf.runner.lines import Stats
from bpf.runner.process import Runner, Value, describe, verify
from process import Fault, Limit, run, within

HERE = Path(__file__).parent
OUT = Path("/tmp/objects")  # noqa: S108 - the guest is ours alone
Seen = dict[str, Any]
SCENES: dict[str, Callable[[], Awaitable[Seen]]] = {}


def scene(function: Callable[[], Awaitable[Seen]]) -> Callable[[], Awaitable[Seen]]:
    SCENES[function.__name__] = function
    return function


def object_of(name: str) -> Path:
    return build_object(HERE / "schedulers" / f"{name}.bpf.c", OUT).require()


def state() -> str:
    return sysfs.read().state


async def until_disabled(limit_s: float = 10.0) -> float:
    """Milliseconds until the kernel's own scheduler is back."""
    start = time.monotonic()
    limit = Limit(limit_s)
    while state() != "disabled" and not limit.passed():
        await asyncio.sleep(0.005)
    return (time.monotonic() - start) * 1000


async def fault_of(waiting: Awaitable[object]) -> Seen:
    """The fault with which something ends."""
    try:
        await waiting
    except Fault as fault:
        return {
            "type": fault.type.value,
            "what": fault.what,
            "why": fault.why,
            "hint": fault.hint,
            "details": list(fault.details),
            "state": state(),
        }
    return {"type": "", "state": state()}


async def last_event(runner: Runner) -> Seen:
    async for event in runner.events():
        if not isinstance(event, Stats):
            return {**event.model_dump(), "explained": getattr(event, "explain", str)()}
    return {}


@scene
async def building() -> Seen:
    first = build_object(HERE / "schedulers" / "plain.bpf.c", OUT)
    second = build_object(HERE / "schedulers" / "error.bpf.c", OUT)
    broken = build_object(HERE / "schedulers" / "broken.bpf.c", OUT)
    return {
        "ok": [first.ok, second.ok, broken.ok],
        "seconds": [first.seconds, second.seconds, broken.seconds],
        "diagnostics": [str(each) for each in (*first.diagnostics, *second.diagnostics)],
    }


@scene
async def examining() -> Seen:
    return {check.name: check.verdict.value for check in doctor.examine(gather())}


@scene
async def describing() -> Seen:
    return (await describe(object_of("plain"))).model_dump()


@scene
async def verifying() -> Seen:
    verified = await verify(object_of("plain"))
    return {"ops": verified.ops, "load_ms": verified.load_ms, "state": state()}


@scene
async def holding() -> Seen:
    before = sysfs.read()
    runner = await Runner.start(
        object_of("plain"), lease_s=20, stats_s=0.2, parameters={"min_slice_ns": 100000}
    )
    held = sysfs.read()
    status = Path(f"/proc/{runner.pid}/status").read_text()
    figures = {
        line.split(":")[0]: int(line.split()[1])
        for line in status.splitlines()
        if line.startswith(("VmRSS", "VmLck"))
    }
    seen: Seen = {
        "attached": runner.attached.model_dump(),
        "enabled": [held.state, held.ops, held.enable_seq - before.enable_seq],
        "policy": os.sched_getscheduler(runner.pid),
        "memory_kb": figures,
    }
    await runner.set("slice_ns", 2000000)
    await runner.set("offset", -7)
    await runner.set("fast", False)
    await runner.put("slices", (1).to_bytes(4, "little"), (900000).to_bytes(8, "little"))
    await runner.remove("slices", (1).to_bytes(4, "little"))
    seen["refused"] = [
        await fault_of(runner.set("min_slice_ns", 1)),
        await fault_of(runner.set("absent", 1)),
        await fault_of(runner.set("offset", 40000)),
        await fault_of(runner.put("absent", b"\0", b"\0")),
        await fault_of(runner.put("slices", b"\0", b"\0")),
    ]
    async for event in runner.events():
        if isinstance(event, Stats) and any(event.counters):
            seen["stats"] = event.model_dump()
            break
    await runner.detach()
    seen["end"] = await last_event(runner)
    seen["after"] = state()
    seen["late"] = await fault_of(runner.set("slice_ns", 1))
    return seen


@scene
async def lease_running_out() -> Seen:
    runner = await Runner.start(object_of("plain"), lease_s=1)
    start = time.monotonic()
    end = await last_event(runner)
    return {"end": end, "seconds": time.monotonic() - start, "state": state()}


@scene
async def lease_renewed() -> Seen:
    runner = await Runner.start(object_of("plain"), lease_s=1)
    for _ in range(8):
        await runner.renew()
        await asyncio.sleep(0.3)
    held = state()
    await runner.detach()
    return {"held": held, "end": await last_event(runner)}


@scene
async def runner_killed() -> Seen:
    runner = await Runner.start(object_of("plain"), lease_s=60)
    os.kill(runner.pid, signal.SIGKILL)
    return {"ms": await until_disabled(), "state": state()}


@scene
async def owner_killed() -> Seen:
    program = (
        "import asyncio, sys, pathlib\n"
        "from bpf.runner.process import Runner\n"
        "async def main():\n"
        "    await Runner.start(pathlib.Path(sys.argv[1]), lease_s=60)\n"
        "    print('held', flush=True)\n"
        "    await asyncio.sleep(60)\n"
        "asyncio.run(main())\n"
    )
    owner = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, str(object_of("plain")), stdout=asyncio.subprocess.PIPE
    )
    assert owner.stdout is not None
    await owner.stdout.readline()
    held = state()
    owner.kill()
    return {"held": held, "ms": await until_disabled(), "state": state()}


@scene
async def stalling() -> Seen:
    runner = await Runner.start(object_of("stall"), lease_s=60)
    end = await last_event(runner)
    run(["true"], timeout=20)  # the machine answers
    return {"end": end, "state": state()}


@scene
async def failing() -> Seen:
    # A running task whose name is not UTF-8, and has a quote, a backslash and an escape.
    name = rb"open('/proc/self/comm', 'wb').write(bytes([255, 34, 92, 10, 27, 91]))"
    hostile = await asyncio.create_subprocess_exec(
        sys.executable, "-c", name.decode() + "\nprint(flush=True)\nwhile True: pass", stdout=-1
    )
    assert hostile.stdout is not None
    await hostile.stdout.readline()
    try:
        runner = await Runner.start(object_of("error"), lease_s=60, parameters={"after": 5})
        return {"end": await last_event(runner), "state": state()}
    finally:
        hostile.kill()


@scene
async def leaving() -> Seen:
    # SCX_ECODE_ACT_RESTART, and a code of the scheduler's own.
    code = 1 << 48 | 5
    runner = await Runner.start(
        object_of("error"), lease_s=60, parameters={"exit_code": code, "after": 5}
    )
    return {"end": await last_event(runner), "state": state()}


@scene
async def refused() -> Seen:
    return await fault_of(verify(object_of("refuse")))


@scene
async def ejected_while_enabling() -> Seen:
    object = object_of("eject_enabling")
    return {
        str(how): await fault_of(Runner.start(object, lease_s=60, parameters={"how": how}))
        for how in (0, 1, 2)
    }


@scene
async def not_bpf() -> Seen:
    text, cut = OUT / "text.bpf.o", OUT / "cut.bpf.o"
    text.write_text("this is no object\n")
    cut.write_bytes(object_of("plain").read_bytes()[:5000])
    files = {"text": text, "cut": cut, "program": Path("/bin/true"), "absent": OUT / "absent"}
    return {name: await fault_of(verify(path)) for name, path in files.items()}


@scene
async def bad_parameters() -> Seen:
    object = object_of("plain")
    bad: dict[str, Value] = {"absent": 1, "offset": 40000, "fast": 7, "slice_ns": "much"}
    return {
        name: await fault_of(verify(object, parameters={name: value}))
        for name, value in bad.items()
    }


@scene
async def second_scheduler() -> Seen:
    first = await Runner.start(object_of("plain"), lease_s=60)
    fault = await fault_of(Runner.start(object_of("error"), lease_s=60))
    still = sysfs.read().ops
    await first.detach()
    return {"fault": fault, "still": still}


@scene
async def cpu_leaving() -> Seen:
    online = Path("/sys/devices/system/cpu/cpu1/online")
    runner = await Runner.start(object_of("plain"), lease_s=60)
    try:
        online.write_text("0")
        end = await last_event(runner)
    finally:
        online.write_text("1")
    return {"end": end, "state": state()}


@scene
async def isolated_cpus() -> Seen:
    return await fault_of(Runner.start(object_of("plain"), lease_s=60))


async def main() -> None:
    shutil.rmtree(OUT, ignore_errors=True)
    seen: Seen = {}
    for name in sys.argv[2:] or [each for each in SCENES if each != "isolated_cpus"]:
        try:
            async with within(120):
                seen[name] = await SCENES[name]()
        except (Exception, TimeoutError):  # noqa: BLE001 - the tests show it
            seen[name] = {"trouble": traceback.format_exc()}
        with contextlib.suppress(OSError):
            await until_disabled()
        print(name, flush=True)
    Path(sys.argv[1]).write_text(json.dumps(seen, indent=1))


if __name__ == "__main__":
    asyncio.run(main())
