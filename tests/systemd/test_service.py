# SPDX-License-Identifier: GPL-2.0-or-later
"""The installed service under real systemd: `make install` into the lab, one boot, many tests."""

import json
import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from lab.vm import run_in_lab
from process import run

ROOT = Path(__file__).parent.parent.parent

pytestmark = pytest.mark.vm


@dataclass(frozen=True)
class Seen:
    """What tests/systemd/guest.sh recorded."""

    folder: Path

    def text(self, name: str) -> str:
        return (self.folder / f"{name}.txt").read_text(errors="replace").strip()

    def status(self, name: str) -> int:
        return int((self.folder / f"{name}.status").read_text())

    def assert_worked(self, name: str) -> None:
        trouble = (self.folder / f"{name}.err").read_text(errors="replace")
        assert self.status(name) == 0, f"{name}: {self.text(name)}\n{trouble}\n{self._journal()}"

    def _journal(self) -> str:
        journal = self.folder / "all.txt"
        return journal.read_text(errors="replace")[-6000:] if journal.exists() else ""


# The simulator's engine takes a minute to compile under emulation, and seconds on the host.
ENGINE = (
    "from pathlib import Path; from simulator.build import engine_for; "
    'engine_for(cache_folder=Path("/out/cache"))'
)


def _tree(folder: Path, *, script: str) -> Path:
    """A tree with only the installed files of the project: nothing else can be imported."""
    tree = folder / "tree"
    shutil.copytree(ROOT / "packaging", tree / "packaging")
    for name in ("Makefile", "pyproject.toml", f"tests/systemd/{script}", "tests/systemd/keeps.py"):
        shutil.copy(ROOT / name, tree / Path(name).name)
    return tree


def _stage(out: Path) -> tuple[Path, Path]:
    """The output of `make install` into an empty root, as a tar, with a cache as it is after a
    while; made natively, with the guest's tools."""
    out.mkdir()
    # pip and the lab find their index, their proxy and their cache in the environment.
    env = dict(os.environ)
    pip: list[str | Path] = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "-q",
        "--no-deps",
        "-w",
        out,
        ROOT,
    ]
    run(pip, timeout=300, env=env)
    (wheel,) = out.glob("*.whl")
    install = f"make -s install DESTDIR=/out/stage WHEEL=/out/{wheel.name}"
    # The guest's environment has the dependencies; see guest.sh.
    script = f"{install} PIP_ARGS='--no-deps --no-index' && tar -C /out/stage -cf /out/stage.tar ."
    script += f" && python -c '{ENGINE}' && tar -C /out/cache -cf /out/cache.tar simulators"
    chroot: list[str | Path] = [
        sys.executable,
        "-m",
        "lab",
        "chroot",
        "--out",
        out,
        "--",
        "sh",
        "-c",
        script,
    ]
    run(chroot, timeout=600, env=env, cwd=ROOT)
    return out / "stage.tar", out / "cache.tar"


@pytest.fixture(scope="module")
def staged(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ...]:
    """The installed files and the cache, as archives."""
    return _stage(tmp_path_factory.mktemp("stage") / "out")


@pytest.fixture(scope="module")
def seen(staged: tuple[Path, ...], tmp_path_factory: pytest.TempPathFactory) -> Seen:
    """One boot of an installed machine, from start to uninstall."""
    folder = tmp_path_factory.mktemp("systemd")
    tree = _tree(folder, script="guest.sh")
    for made in staged:
        shutil.copy(made, tree)
    result = run_in_lab(
        ["sh", "guest.sh"],
        systemd=True,
        timeout=480,
        out=folder / "out",
        tree=tree,
    )
    assert result.status == 0, f"{result.text}\n{result.error_text}"
    return Seen(folder / "out")


@pytest.fixture(scope="module")
def rebooted(
    seen: Seen, staged: tuple[Path, ...], tmp_path_factory: pytest.TempPathFactory
) -> Seen:
    """The next boot of that machine: its state folder, and the kernel's new boot_id."""
    folder = tmp_path_factory.mktemp("rebooted")
    tree = _tree(folder, script="guest_reboot.sh")
    for made in (*staged, seen.folder / "state.tar"):
        shutil.copy(made, tree)
    result = run_in_lab(
        ["sh", "guest_reboot.sh"], systemd=True, timeout=480, out=folder / "out", tree=tree
    )
    assert result.status == 0, f"{result.text}\n{result.error_text}"
    return Seen(folder / "out")


def test_units_are_valid(seen: Seen) -> None:
    """systemd reports nothing about either unit."""
    seen.assert_worked("register")
    seen.assert_worked("verify")
    assert seen.text("verify") == ""


@pytest.mark.parametrize("name", ["security", "security-agent"])
def test_exposure_is_at_most_three(seen: Seen, name: str) -> None:
    """`systemd-analyze security` rates each unit at 3.0 or better."""
    seen.assert_worked(name)


def test_service_becomes_ready(seen: Seen) -> None:
    """The service starts, and its status says that this kernel has sched_ext."""
    seen.assert_worked("start")
    seen.assert_worked("status")
    assert json.loads(seen.text("status"))["kernel"]["supported"] is True


def test_strangers_may_look_and_not_touch(seen: Seen) -> None:
    """Any user may read the status; only root and the group may act."""
    seen.assert_worked("observe-stranger")
    assert seen.status("control-stranger") != 0
    assert seen.text("sockets").splitlines() == [
        "/run/schedpilot/observe.sock 666 root root",
        "/run/schedpilot/control.sock 660 root schedpilot",
    ]


def test_hardened_service_builds_and_loads(seen: Seen) -> None:
    """Under all restrictions clang runs confined, and the kernel confirms the scheduler."""
    seen.assert_worked("run")
    assert seen.text("state-loaded") == "enabled"
    assert "fifo" in seen.text("ops-loaded")


def test_hardened_service_simulates(seen: Seen) -> None:
    """The gates run under the same restrictions, the simulator with the whole stress set; a gate
    that did not run says why."""
    seen.assert_worked("gates")
    gates = {each["gate"]: each for each in json.loads(seen.text("gates"))["gates"]}
    assert list(gates) == ["static", "build", "controls", "simulate", "verify", "canary"]
    assert all(each["passed"] for each in gates.values())
    simulated = gates["simulate"]["figures"]
    assert simulated["scenarios"] == simulated["of"] >= 12
    assert "KVM" in gates["canary"]["skipped"]


def test_hardened_service_probes(seen: Seen) -> None:
    """BCC finds the kernel's headers, compiles and attaches under the same restrictions."""
    seen.assert_worked("probe")
    probe = json.loads(seen.text("probe"))
    assert probe["source"] == "bcc"
    assert probe["tables"]


def test_hardened_service_puts_a_probe_into_a_program(seen: Seen) -> None:
    """The service's capabilities are enough, without a perf event."""
    seen.assert_worked("uprobe")
    answer = json.loads(seen.text("uprobe"))
    assert (answer["kind"], answer["source"]) == ("uprobe", "bcc")


def test_runner_is_real_time_with_locked_memory(seen: Seen) -> None:
    """The limits of the unit let the runner take real-time priority and lock its memory."""
    text = seen.text("runner")
    assert "SCHED_FIFO" in text or "SCHED_RR" in text, text
    assert "VmLck:\t       0 kB" not in text, text


def test_rollback_is_in_the_journal(seen: Seen) -> None:
    """A rollback is one journal record with the documented fields, found by the name of its
    event."""
    seen.assert_worked("rollback")
    assert seen.text("state-rolled-back") == "disabled"
    (record,) = [json.loads(line) for line in seen.text("journal").splitlines()]
    assert record["SYSLOG_IDENTIFIER"] == "schedpilotd"
    assert record["SCHEDPILOT_EVENT"] == "rollback"
    assert "fifo" in record["SCHEDPILOT_SCHEDULER"]
    assert record["SCHEDPILOT_REASON"] == "the test asks for it"
    assert len(record["MESSAGE_ID"]) == 32


def test_catalog_explains_the_rollback(seen: Seen) -> None:
    """`journalctl -x` adds the catalog's explanation to the record."""
    assert "-- Subject:" in seen.text("explained") or "░░ Subject:" in seen.text("explained")


def test_measures_read_the_journal_in_the_agents_sandbox(seen: Seen) -> None:
    """With the group that may read the journal, a line of a real unit is a sample; without it the
    message says so, and what to do."""
    (opened,) = json.loads(seen.text("measure-open"))
    assert opened["value"] == 12.5
    assert opened["count"] > 0
    assert (opened["unit"], opened["take"]) == ("ms", "p99")
    (closed,) = json.loads(seen.text("measure-closed"))
    assert "the journal may not be read" in closed["fault"]
    assert "SupplementaryGroups=systemd-journal" in closed["hint"]


def test_advisor_runs_as_its_own_user(seen: Seen) -> None:
    """The advisor's unit starts, unprivileged."""
    seen.assert_worked("agent-start")
    assert seen.text("agent-active") == "active"
    assert seen.text("agent-user") == "schedpilot-agent"


def test_killed_daemon_frees_the_kernel_and_returns(seen: Seen) -> None:
    """After SIGKILL with a scheduler loaded the kernel's own is back, and systemd restarts the
    daemon."""
    seen.assert_worked("run-again")
    seen.assert_worked("disabled-after-kill")
    seen.assert_worked("restarted")
    seen.assert_worked("answers")


def test_a_power_profile_is_a_regime_of_its_own(seen: Seen) -> None:
    """The real service changes the profile on the system bus: what was kept for the earlier one is
    unloaded, comes back with it, and the journal has each change."""
    for step in ("power-start", "power-seen", "keep", "power-saver", "power-saver-seen"):
        seen.assert_worked(step)
    assert seen.text("state-kept") == "enabled"
    assert seen.text("state-saver") == "disabled"
    (kept,) = json.loads(seen.text("status-saver"))["kept"]
    assert (kept["power"], kept["scheduler"], kept["state"]) == ("balanced", "fifo", "elsewhere")
    seen.assert_worked("power-back")
    said = [json.loads(line)["MESSAGE"] for line in seen.text("journal-power").splitlines()]
    assert [each.removeprefix("the power regime is ").partition(",")[0] for each in said] == [
        "balanced",
        "power-saver",
        "balanced",
    ]
    assert "fifo was kept for that, and was unloaded" in said[1]


def test_killed_daemon_puts_back_what_was_kept(seen: Seen) -> None:
    """SIGKILL with a kept scheduler: the hardened service finds it again, and says why."""
    seen.assert_worked("restarted-kept")
    seen.assert_worked("put-back")
    assert "fifo" in seen.text("ops-put-back")
    record = json.loads(seen.text("journal-put-back").splitlines()[-1])
    assert record["SCHEDPILOT_SCHEDULER"] == "fifo"
    assert "kernel and object are the same" in record["SCHEDPILOT_REASON"]


def test_stopping_restores_first(seen: Seen) -> None:
    """When `systemctl stop` returns, the kernel's own scheduler runs again."""
    seen.assert_worked("stop")
    assert seen.text("state-stopped") == "disabled"
    assert seen.text("result") == "success"


def test_uninstall_leaves_nothing_of_ours(seen: Seen) -> None:
    """Every installed file is gone."""
    seen.assert_worked("uninstall")
    assert (seen.folder / "left.txt").read_text() == ""


# ---------------------------------------------------------------- a reboot, with what was kept


def _told(seen: Seen, name: str) -> str:
    """The newest message in a journal that a step wrote down."""
    return str(json.loads(seen.text(name).splitlines()[-1])["MESSAGE"])


@pytest.mark.long
@pytest.mark.parametrize("case", ["load", "kernel"])
def test_after_a_reboot_it_is_loaded_if_the_operator_wants(rebooted: Seen, case: str) -> None:
    """With `load` it runs again; on another kernel (so the store says) it is proven anew first."""
    rebooted.assert_worked(f"{case}-settled")
    status = json.loads(rebooted.text(f"{case}-status"))
    assert (status["loaded"]["name"], status["loaded"]["why"]) == ("fifo", "kept")
    assert "fifo" in rebooted.text(f"{case}-ops")
    said = _told(rebooted, f"{case}-put-back")
    assert '"load"' in said
    assert ("for which the gates passed it anew" in said) == (case == "kernel")


@pytest.mark.long
def test_after_a_reboot_it_is_forgotten_if_the_operator_wants(rebooted: Seen) -> None:
    """With `no` nothing is loaded or kept, and the journal says why."""
    rebooted.assert_worked("no-settled")
    status = json.loads(rebooted.text("no-status"))
    assert (status["loaded"], status["kept"]) == (None, [])
    assert '"no"' in _told(rebooted, "no-not-put-back")


@pytest.mark.long
def test_after_a_reboot_a_fresh_trial_decides(rebooted: Seen) -> None:
    """With `trial` nothing is loaded before the machine has been seen for a while; then a trial of
    it begins, against the kernel's own scheduler."""
    rebooted.assert_worked("trial-settled")
    (kept,) = json.loads(rebooted.text("trial-status"))["kept"]
    assert kept["state"] == "trial"
    assert "has to win a fresh trial" in _told(rebooted, "trial-not-put-back")
    assert "of fifo against the kernel default" in _told(rebooted, "trial-started")
