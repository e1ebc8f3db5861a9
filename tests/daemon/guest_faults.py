# SPDX-License-Identifier: GPL-2.0-or-later
"""Scenes of the real daemon on a real sched_ext kernel; played in the lab by test_faults.py.

    python -m tests.daemon.guest_faults [SCENE...]

Each scene prints what it saw as one line of JSON; the tests judge it. Scenes share a daemon if
possible, because each start takes seconds under emulation.
"""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import psutil

from bpf.kernel import sysfs
from bpf.paths import helper
from daemon.api.client import Client
from daemon.api.models import (
    ApprovalRequest,
    Arm,
    CandidateRequest,
    EventKind,
    HoldRequest,
    ParametersRequest,
    RollbackRequest,
    StatusView,
    TrialRequest,
    TrialState,
    TrialView,
    WindowValue,
)
from process import Fault, Limit, run
from tests.daemon.running import Place, Running, running

BAD = Path(__file__).parents[1] / "bpf" / "schedulers"
CGROUPS = Path("/sys/fs/cgroup")
CPU1 = Path("/sys/devices/system/cpu/cpu1/online")
# The guest is ours alone.
PLACE = Path("/var/tmp/daemon")  # noqa: S108
LEASE_S = 3.0
TABLES: dict[str, dict[str, Any]] = {
    "daemon": {"autonomy": "auto", "interval_s": 0.5},
    "trial": {
        "window_s": 1.0,
        "settle_s": 0.1,
        "min_windows": 4,
        "max_windows": 4,
        "samples_min": 1,
        "lease_s": LEASE_S,
    },
    "limits": {"cooldown_s": 0.0, "trials_per_hour": 1000, "ejections": 1000},
    # What goes wrong in the kernel is what the scenes are about: the simulator would stop it.
    "gates": {"simulate": False},
}
Seen = dict[str, Any]


class Stage:
    """One daemon, and what the scenes do with it."""

    def __init__(self, daemon: Running) -> None:
        self.daemon = daemon
        self.client: Client = daemon.control()
        self._sources: dict[str, str] = {}

    def library(self, name: str, **parameters: Any) -> str:
        """The id of a candidate from the library."""
        request = CandidateRequest(library=name, parameters=parameters)
        view = self.client.create_candidate(request)
        assert view.proven, view
        return view.id

    def bad(self, name: str, **parameters: Any) -> Seen:
        """The gates' answer about one of the deliberately bad schedulers."""
        request = CandidateRequest(
            source=(BAD / f"{name}.bpf.c").read_text(),
            name=name.replace("_", "-"),
            parameters=parameters,
        )
        return self.client.create_candidate(request).model_dump(mode="json")

    def hold(self, id: str) -> StatusView:
        return self.client.hold(HoldRequest(candidate=id))

    def status(self) -> Seen:
        """The state according to the daemon and according to the kernel."""
        status, kernel = self.client.status(), sysfs.read()
        return {
            **status.model_dump(mode="json"),
            "sysfs": {"state": kernel.state, "ops": kernel.ops, "enable_seq": kernel.enable_seq},
        }

    def until_loaded(self, name: str) -> None:
        """Wait until the daemon holds this scheduler."""
        limit = Limit(60)
        while not limit.passed():
            loaded = self.client.status().loaded
            if loaded is not None and loaded.name == name:
                return
            time.sleep(0.05)
        raise AssertionError(f"{name} was not loaded")

    def finished(self, id: str) -> Seen:
        """The finished trial."""
        limit = Limit(60)
        while (view := self.client.trial(id)).ended == 0 and not limit.passed():
            time.sleep(0.1)
        return view.model_dump(mode="json")

    def fed(self, candidate: str, better: bool) -> TrialView:
        """A whole trial with a client's values, in which the candidate is clearly better or
        worse."""
        request = TrialRequest(
            candidate=candidate, objective="measurement m lower", fed_by_client=True
        )
        view = self.client.start_trial(request)
        turn = 0
        while view.state is TrialState.RUNNING:
            turn += 1
            good = (view.next_arm is Arm.CANDIDATE) == better
            value = WindowValue(value=(1.0 if good else 3.0) + 0.01 * turn)
            view = self.client.feed_window(view.id, value)
        return view

    def kinds_after(self, number: int) -> list[list[str]]:
        return [[e.kind.value, e.message] for e in self.daemon.events(number)]

    def calm(self) -> None:
        """Wait until nothing of ours is in the kernel."""
        with contextlib.suppress(Fault):
            self.client.release("the scene is over")
        until_disabled()


def until_disabled(limit_s: float = 20.0) -> float:
    """Seconds until the kernel's own scheduler is back."""
    start = time.monotonic()
    limit = Limit(limit_s)
    while sysfs.read().state != "disabled" and not limit.passed():
        time.sleep(0.005)
    return time.monotonic() - start


def fault_of(action: Callable[[], object]) -> Seen:
    """The fault with which an action ends."""
    try:
        action()
    except Fault as fault:
        return {
            "type": fault.type.value,
            "what": fault.what,
            "why": fault.why,
            "hint": fault.hint,
            "details": list(fault.details),
        }
    return {"type": ""}


def runner_pid(daemon: Running) -> int:
    """The process that holds the scheduler for this daemon."""
    for child in psutil.Process(daemon.process.pid).children(recursive=True):
        if child.name().startswith("schedpilot-runn") and "--lease" in child.cmdline():
            return child.pid
    raise AssertionError("the daemon has no runner")


@contextlib.contextmanager
def busy() -> Iterator[None]:
    """More running tasks than CPUs: on an idle machine hardly any task passes `enqueue`."""
    hogs = [subprocess.Popen(["sh", "-c", "while :; do :; done"]) for _ in range(3)]
    try:
        yield
    finally:
        for hog in hogs:
            hog.kill()
            hog.wait()


def answers() -> float:
    """The seconds that a new process takes, to show that the machine responds."""
    start = time.monotonic()
    run(["/bin/true"], timeout=20)
    return time.monotonic() - start


# ---------------------------------------------------------------- with a daemon in auto mode

SCENES: dict[str, Callable[[Stage], Seen]] = {}


def scene(function: Callable[[Stage], Seen]) -> Callable[[Stage], Seen]:
    SCENES[function.__name__] = function
    return function


@scene
def hold_and_release(stage: Stage) -> Seen:
    number = stage.daemon.last_event()
    stage.hold(stage.library("fifo"))
    held = stage.status()
    stage.client.release("enough")
    return {"held": held, "released": stage.status(), "events": stage.kinds_after(number)}


@scene
def live_parameters(stage: Stage) -> Seen:
    stage.hold(stage.library("jobs"))

    def set_to(parameters: dict[str, Any], **maps: Any) -> StatusView:
        return stage.client.set_parameters(ParametersRequest(parameters=parameters, maps=maps))

    seen: Seen = {
        "set": set_to({"slice_ns": 2_000_000, "longest_first": False}).model_dump(mode="json"),
        "filled": fault_of(
            lambda: set_to({}, expected_runtime={str(os.getpid()): 5_000_000_000, "1": 7})
        ),
        "range": fault_of(lambda: set_to({"slice_ns": 1})),
        "load_only": fault_of(lambda: set_to({"look_ns": 20_000_000})),
        "unknown": fault_of(lambda: set_to({"slize_ns": 2_000_000})),
        "no_map": fault_of(lambda: set_to({}, expected_runtimes={"1": 7})),
        "key": fault_of(lambda: set_to({}, expected_runtime={"9999999999": 7})),
    }
    dump = subprocess.run(
        ["bpftool", "-j", "map", "dump", "name", "expected_runtim"],
        capture_output=True,
        text=True,
        check=False,
    )
    seen["map"] = dump.stdout
    seen["after"] = stage.status()
    return seen


@scene
def bad_candidates(stage: Stage) -> Seen:
    def create(**request: Any) -> Seen:
        return fault_of(lambda: stage.client.create_candidate(CandidateRequest(**request)))

    return {
        "range": create(library="fifo", parameters={"slice_ns": 1}),
        "unknown": create(library="no-such-thing"),
        "not_installed": create(library="scx_lavd"),
    }


def _refused_by_a_gate(stage: Stage, name: str) -> Seen:
    view = stage.bad(name)
    trial = TrialRequest(candidate=view["id"])
    return {
        "view": view,
        "trial": fault_of(lambda: stage.client.start_trial(trial)),
        "hold": fault_of(lambda: stage.hold(view["id"])),
        "status": stage.status(),
    }


@scene
def not_compiling(stage: Stage) -> Seen:
    return _refused_by_a_gate(stage, "broken")


@scene
def refused_by_the_verifier(stage: Stage) -> Seen:
    return _refused_by_a_gate(stage, "refuse")


@scene
def ejected_while_enabling(stage: Stage) -> Seen:
    number = stage.daemon.last_event()
    id = stage.bad("eject_enabling", how=0)["id"]
    other = stage.bad("eject_enabling", how=1)["id"]
    first, again = fault_of(lambda: stage.hold(id)), fault_of(lambda: stage.hold(id))
    trial = stage.client.start_trial(TrialRequest(candidate=other))
    return {
        "first": first,
        "again": again,
        "trial": stage.finished(trial.id),
        "trial_again": fault_of(lambda: stage.client.start_trial(TrialRequest(candidate=other))),
        "id": id,
        "status": stage.status(),
        "events": stage.kinds_after(number),
        "seconds": answers(),
    }


def _ejected_in_a_trial(stage: Stage, name: str, **parameters: Any) -> Seen:
    number = stage.daemon.last_event()
    id = stage.bad(name, **parameters)["id"]
    # The client feeds the baseline's window and then waits: nothing but the kernel's own word
    # can end this trial, however late a busy machine makes that.
    request = TrialRequest(candidate=id, objective="measurement m lower", fed_by_client=True)
    trial = stage.client.start_trial(request)
    assert trial.next_arm is Arm.BASELINE, trial
    with busy():
        stage.client.feed_window(trial.id, WindowValue(value=1.0))
        finished = stage.finished(trial.id)
    again = TrialRequest(candidate=id)
    return {
        "id": id,
        "trial": finished,
        "again": fault_of(lambda: stage.client.start_trial(again)),
        "held": fault_of(lambda: stage.hold(id)),
        "status": stage.status(),
        "candidate": stage.client.candidate(id).model_dump(mode="json"),
        "events": stage.kinds_after(number),
        "seconds": answers(),
    }


@scene
def failing_in_a_trial(stage: Stage) -> Seen:
    return _ejected_in_a_trial(stage, "error", after=200)


@scene
def stalling_in_a_trial(stage: Stage) -> Seen:
    return _ejected_in_a_trial(stage, "stall")


@scene
def failing_while_held(stage: Stage) -> Seen:
    number = stage.daemon.last_event()
    id = stage.bad("error", after=500)["id"]
    stage.hold(id)
    with busy():
        stage.daemon.until(EventKind.ROLLBACK, number)
    return {
        "id": id,
        "again": fault_of(lambda: stage.hold(id)),
        "status": stage.status(),
        "events": stage.kinds_after(number),
    }


@scene
def asking_for_restarts(stage: Stage) -> Seen:
    # SCX_ECODE_ACT_RESTART: it leaves and wants to be loaded afresh, for ever.
    number = stage.daemon.last_event()
    id = stage.bad("error", after=200, exit_code=1 << 48)["id"]
    before = sysfs.read().enable_seq
    with busy():
        stage.hold(id)
        stage.daemon.until(EventKind.QUARANTINED, number)
    return {
        "id": id,
        "loads": sysfs.read().enable_seq - before,
        "status": stage.status(),
        "events": stage.kinds_after(number),
    }


@scene
def runner_killed(stage: Stage) -> Seen:
    number = stage.daemon.last_event()
    id = stage.library("fifo")
    stage.hold(id)
    os.kill(runner_pid(stage.daemon), signal.SIGKILL)
    seconds = until_disabled()
    stage.daemon.until(EventKind.ROLLBACK, number)
    return {
        "seconds": seconds,
        "status": stage.status(),
        "again": fault_of(lambda: stage.hold(id)),
        "events": stage.kinds_after(number),
    }


@scene
def runner_killed_in_a_trial(stage: Stage) -> Seen:
    kept = stage.library("fair")
    stage.hold(kept)
    tried = stage.library("fifo")
    trial = stage.client.start_trial(TrialRequest(candidate=tried, window_s=3))
    stage.until_loaded("fifo")
    os.kill(runner_pid(stage.daemon), signal.SIGKILL)
    return {
        "trial": stage.finished(trial.id),
        "kept": kept,
        "status": stage.status(),
        "again": fault_of(lambda: stage.client.release()),
    }


@scene
def foreign_scheduler(stage: Stage) -> Seen:
    number = stage.daemon.last_event()
    ours = stage.library("fair")
    theirs = stage.library("fifo")
    object = next((stage.daemon.place.cache / "candidates" / theirs).glob("*.bpf.o"))
    with subprocess.Popen(
        [helper("schedpilot-runner"), "--object", str(object), "--lease", "120"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as foreign:
        assert foreign.stdout is not None
        said = next((line for line in foreign.stdout if b'"verified"' not in line), b"")
        assert b'"attached"' in said, said
        before = stage.status()
        stage.daemon.until(EventKind.FOREIGN, number)
        seen: Seen = {
            "hold": fault_of(lambda: stage.hold(ours)),
            "trial": fault_of(lambda: stage.client.start_trial(TrialRequest(candidate=ours))),
            "release": fault_of(lambda: stage.client.release()),
            "before": before,
            "status": stage.status(),
            "alive": foreign.poll() is None,
            "events": stage.kinds_after(number),
        }
        assert foreign.stdin is not None
        foreign.stdin.close()
    until_disabled()
    seen["afterwards"] = fault_of(lambda: stage.hold(ours))
    return seen


@scene
def two_trials_at_once(stage: Stage) -> Seen:
    ids = [stage.library("fifo"), stage.library("fair")]
    results: list[Seen] = []

    def start(id: str) -> None:
        with stage.daemon.control() as client:
            request = TrialRequest(candidate=id, window_s=5)
            results.append(fault_of(lambda: client.start_trial(request)))

    threads = [threading.Thread(target=start, args=(id,)) for id in ids]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    hold = fault_of(lambda: stage.hold(ids[0]))
    trial = stage.client.status().trial
    stage.client.rollback(RollbackRequest(reason="enough of it"))
    return {
        "results": results,
        "hold": hold,
        "trial": stage.finished(trial),
        "status": stage.status(),
    }


@scene
def measured_trial(stage: Stage) -> Seen:
    with subprocess.Popen(
        [sys.executable, "-c", "import time\nwhile True: time.sleep(0.002)"]
    ) as sleeper:
        try:
            trial = stage.client.start_trial(TrialRequest(candidate=stage.library("fifo")))
            finished = stage.finished(trial.id)
        finally:
            sleeper.kill()
    episode = stage.client.episode(finished["episode"]).model_dump(mode="json")
    return {"trial": finished, "episode": episode, "status": stage.status()}


@scene
def kept_before(stage: Stage) -> Seen:
    fifo, fair = stage.library("fifo"), stage.library("fair")
    seen: Seen = {"first": stage.fed(fifo, better=True).model_dump(mode="json")}
    seen["one_kept"] = stage.status()
    seen["second"] = stage.fed(fair, better=True).model_dump(mode="json")
    seen["two_kept"] = stage.status()
    stage.client.rollback(RollbackRequest(reason="not so good after all"))
    seen["rolled_back"] = stage.status()
    # A third that is ejected, and one that is worse: what was kept goes on.
    bad = stage.bad("error", after=300)["id"]
    trial = stage.client.start_trial(TrialRequest(candidate=bad, window_s=3))
    with busy():
        seen["ejected"] = stage.finished(trial.id)
    seen["after_ejection"] = stage.status()
    seen["worse"] = stage.fed(stage.library("batch"), better=False).model_dump(mode="json")
    seen["after_worse"] = stage.status()
    seen["same"] = fault_of(lambda: stage.client.start_trial(TrialRequest(candidate=fifo)))
    seen["ids"] = {"fifo": fifo, "fair": fair}
    return seen


@scene
def failed_hold_keeps_what_was(stage: Stage) -> Seen:
    fifo = stage.library("fifo")
    stage.hold(fifo)
    bad = stage.bad("eject_enabling", how=2)["id"]
    return {"hold": fault_of(lambda: stage.hold(bad)), "fifo": fifo, "status": stage.status()}


@scene
def hotplug(stage: Stage) -> Seen:
    number = stage.daemon.last_event()
    stage.hold(stage.library("fifo"))
    try:
        CPU1.write_text("0")
        stage.daemon.until(EventKind.LOADED, stage.daemon.last_event() - 1)
        gone = stage.kinds_after(number)
        time.sleep(1)
        without = stage.status()
    finally:
        CPU1.write_text("1")
    time.sleep(2)
    return {
        "gone": gone,
        "without": without,
        "status": stage.status(),
        "events": stage.kinds_after(number),
    }


@scene
def frozen(stage: Stage) -> Seen:
    # Stopped, not dead: its end of the runner's input stays open, so only the lease helps.
    number = stage.daemon.last_event()
    id = stage.library("batch")
    stage.hold(id)
    stage.daemon.process.send_signal(signal.SIGSTOP)
    try:
        seconds = until_disabled()
    finally:
        stage.daemon.process.send_signal(signal.SIGCONT)
    stage.daemon.until(EventKind.ROLLBACK, number)
    return {"id": id, "seconds": seconds, "status": stage.status()}


@contextlib.contextmanager
def with_a_quota(name: str, maximum: str) -> Iterator[None]:
    """A unit's cgroup with a quota, in which two tasks want two CPUs."""
    if not (CGROUPS / "cgroup.procs").exists():
        subprocess.run(["mount", "-t", "cgroup2", "cgroup2", CGROUPS], check=True)
    (CGROUPS / "cgroup.subtree_control").write_text("+cpu")
    folder = CGROUPS / name
    folder.mkdir()
    (folder / "cpu.max").write_text(maximum)
    inside = f"echo $$ > {folder}/cgroup.procs; while :; do :; done"
    hogs = [subprocess.Popen(["sh", "-c", inside]) for _ in range(2)]
    try:
        yield
    finally:
        for hog in hogs:
            hog.kill()
            hog.wait()
        folder.rmdir()
        (CGROUPS / "cgroup.subtree_control").write_text("-cpu")


@scene
def quota_ignored(stage: Stage) -> Seen:
    with with_a_quota("shop.service", "20000 100000"):
        seen: Seen = {"plain": stage.bad("plain"), "deaf": stage.bad("deaf")}
        # It says that it honours quotas, and does not: only a trial shows that.
        # By CPU time it is better: nothing but the quota speaks against it.
        request = TrialRequest(
            candidate=seen["deaf"]["id"],
            workload="cgroup:/shop.service",
            objective="cpu",
            window_s=6,
        )
        trial = stage.client.start_trial(request)
        seen["trial"] = stage.finished(trial.id)
    return {**seen, "status": stage.status()}


# ---------------------------------------------------------------- ends, and other modes

ENDS = ("terminated", "remembered", "asked", "killed", "put_back", "observed")


def terminated(stage: Stage) -> Seen:
    """SIGTERM during a trial; the last scene of its daemon."""
    quarantined = stage.bad("broken")["id"]
    trial = stage.client.start_trial(TrialRequest(candidate=stage.library("fair"), window_s=5))
    stage.until_loaded("fair")
    held = stage.status()
    start = time.monotonic()
    status = stage.daemon.end()
    return {
        "held": held,
        "status": status,
        "seconds": time.monotonic() - start,
        "sysfs": sysfs.read().state,
        "said": stage.daemon.said(),
        "trial": trial.id,
        "quarantined": quarantined,
    }


def remembered(stage: Stage, before: Seen) -> Seen:
    """After a restart: quarantines and the history are as they were."""
    return {
        "quarantined": before["quarantined"],
        "status": stage.status(),
        "trial": stage.client.trial(before["trial"]).model_dump(mode="json"),
        "episodes": [each.model_dump(mode="json") for each in stage.client.episodes(last=5)],
    }


def asked(stage: Stage) -> Seen:
    """Approvals, in ask mode."""
    number = stage.daemon.last_event()
    fifo = stage.library("fifo")

    def waiting(window_s: float) -> TrialView:
        return stage.client.start_trial(TrialRequest(candidate=fifo, window_s=window_s))

    first, second, third = waiting(20), waiting(21), waiting(22)
    seen: Seen = {
        "first": first.model_dump(mode="json"),
        "again": waiting(20).model_dump(mode="json"),
        "others": [second.approval, third.approval],
        "before": stage.status(),
        "declined": stage.client.approve(
            first.approval, ApprovalRequest(approve=False, reason="not today")
        ).model_dump(mode="json"),
        "twice": fault_of(
            lambda: stage.client.approve(first.approval, ApprovalRequest(approve=True))
        ),
        "approved": stage.client.approve(second.approval, ApprovalRequest(approve=True)).model_dump(
            mode="json"
        ),
        "events": stage.kinds_after(number),
    }
    seen["busy"] = fault_of(
        lambda: stage.client.approve(third.approval, ApprovalRequest(approve=True))
    )
    seen["still_waits"] = stage.client.trial(third.id).model_dump(mode="json")
    stage.client.rollback(RollbackRequest(reason="seen enough"))
    seen["ended"] = stage.finished(second.id)
    return seen


def killed(stage: Stage) -> Seen:
    """SIGKILL while a kept scheduler is loaded; the last scene of its daemon."""
    stage.fed(stage.library("fifo"), better=True)
    held = sysfs.read().state
    stage.daemon.process.kill()
    return {"held": held, "seconds": until_disabled(), "sysfs": sysfs.read().state}


def put_back(stage: Stage) -> Seen:
    """The next daemon finds what was kept."""
    stage.until_loaded("fifo")
    event = stage.daemon.until(EventKind.PUT_BACK)
    return {"told": event.message, "status": stage.status()}


def observed(stage: Stage) -> Seen:
    """Autonomy `observe`: nothing is tried, and an operator may hold by hand."""
    fifo = stage.library("fifo")
    return {
        "trial": fault_of(lambda: stage.client.start_trial(TrialRequest(candidate=fifo))),
        "hold": stage.hold(fifo).model_dump(mode="json"),
    }


@contextlib.contextmanager
def on_stage(autonomy: str) -> Iterator[Stage]:
    place = Place(PLACE, {**TABLES, "daemon": {"autonomy": autonomy, "interval_s": 0.5}})
    with running(place) as daemon:
        stage = Stage(daemon)
        try:
            yield stage
        finally:
            stage.client.close()


def main() -> None:
    wanted = sys.argv[1:]
    shutil.rmtree(PLACE, ignore_errors=True)
    seen: Seen = {}

    def play(name: str, stage: Stage, act: Callable[[], Seen]) -> None:
        if wanted and name not in wanted:
            return
        start, begun = time.monotonic(), len(stage.daemon.said())
        try:
            seen[name] = act()
        except Exception:  # noqa: BLE001 - the tests show it
            trouble = f"{traceback.format_exc()}\nthe daemon said:\n{stage.daemon.said()[begun:]}"
            seen[name] = {"trouble": trouble}
        seen[name]["took_s"] = time.monotonic() - start
        # A line for each, so that what was seen is not lost with the machine.
        print(json.dumps({name: seen[name]}), flush=True)
        stage.calm()

    if not wanted or set(wanted) & {*SCENES, "terminated"}:
        with on_stage("auto") as stage:
            for name, act in SCENES.items():
                play(name, stage, partial(act, stage))
            play("terminated", stage, partial(terminated, stage))
    if not wanted or set(wanted) & {"remembered", "asked", "killed", "put_back"}:
        with on_stage("ask") as stage:
            if "terminated" in seen:
                play("remembered", stage, partial(remembered, stage, seen["terminated"]))
            play("asked", stage, partial(asked, stage))
            play("killed", stage, partial(killed, stage))
    if not wanted or "put_back" in wanted:
        with on_stage("ask") as stage:
            play("put_back", stage, partial(put_back, stage))
    if not wanted or "observed" in wanted:
        with on_stage("observe") as stage:
            play("observed", stage, partial(observed, stage))


if __name__ == "__main__":
    main()
