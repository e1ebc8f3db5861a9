# SPDX-License-Identifier: GPL-2.0-or-later
"""The surroundings of schedulers on a machine: read from files, and judged."""

from dataclasses import replace
from pathlib import Path

import pytest

from bpf.kernel.doctor_check import Check, DoctorVerdict
from bpf.kernel.doctor_surroundings import surroundings_checks
from bpf.kernel.surroundings import (
    FIRST_NAMESPACES,
    Cgroups,
    Denial,
    Server,
    Surroundings,
    cgroups_of,
    denials_in,
    foreign_namespaces,
    read_surroundings,
    real_time_of,
)

SOUND = Surroundings()
BPF_DENIED = Denial("SELinux", "schedpilot-runn", "prog_load (bpf)")
CONFINED = Denial("AppArmor", "bwrap", "userns_create")
NO_SERVER = replace(SOUND, ext_server=Server.ABSENT)
OK, WARN, FAIL = DoctorVerdict.OK, DoctorVerdict.WARN, DoctorVerdict.FAIL


def check_of(around: Surroundings, name: str) -> Check:
    return next(each for each in surroundings_checks(around) if each.name == name)


@pytest.mark.parametrize(
    ("name", "around", "verdict", "said"),
    [
        ("kernel lockdown", SOUND, OK, "not in this kernel"),
        ("kernel lockdown", replace(SOUND, lockdown="none"), OK, "none"),
        (
            "kernel lockdown",
            replace(SOUND, lockdown="integrity"),
            OK,
            "schedulers and signals work",
        ),
        ("kernel lockdown", replace(SOUND, lockdown="confidentiality"), FAIL, "are refused"),
        ("Secure Boot", replace(SOUND, secure_boot=True), OK, "has to be signed"),
        ("Secure Boot", replace(SOUND, secure_boot=False), OK, "off"),
        ("SELinux, AppArmor", replace(SOUND, selinux="enforcing"), OK, "enforcing"),
        (
            "SELinux, AppArmor",
            replace(SOUND, selinux="enforcing", denials=(BPF_DENIED,)),
            FAIL,
            "SELinux denied schedpilot-runn: prog_load (bpf)",
        ),
        (
            "SELinux, AppArmor",
            replace(SOUND, selinux="permissive", denials=(BPF_DENIED,)),
            WARN,
            "only reports",
        ),
        (
            "SELinux, AppArmor",
            replace(SOUND, apparmor=True, denials=(CONFINED,)),
            FAIL,
            "AppArmor denied bwrap: userns_create",
        ),
        ("control groups", replace(SOUND, cgroups=Cgroups.V1), WARN, "command names alone"),
        ("control groups", replace(SOUND, cgroups=Cgroups.HYBRID), WARN, "controller is in v1"),
        ("control groups", replace(SOUND, cgroups=Cgroups.NONE), WARN, "not mounted"),
        ("namespaces", replace(SOUND, namespaces=("cgroup",)), WARN, "not the host's"),
        ("namespaces", replace(SOUND, namespaces=("pid",)), WARN, "cannot select them"),
        ("namespaces", replace(SOUND, namespaces=("user", "pid")), FAIL, "own user namespace"),
        ("tickless CPUs", replace(SOUND, nohz_full="2-3"), WARN, "timer ticks again"),
        ("real-time tasks", replace(SOUND, real_time=("jackd",)), OK, "jackd"),
        ("real-time tasks", replace(NO_SERVER, real_time=("jackd",)), WARN, "starves"),
        ("deadline server", SOUND, OK, "cannot starve"),
        ("deadline server", NO_SERVER, OK, "fair_server serves"),
        ("deadline server", replace(NO_SERVER, real_time=("jackd",)), WARN, "starve"),
        ("deadline server", replace(NO_SERVER, throttled=False), WARN, "throttling is off"),
        ("deadline server", replace(SOUND, ext_server=Server.OFF), WARN, "ext_server is off"),
        ("deadline server", replace(SOUND, ext_server=Server.UNKNOWN), OK, "as root"),
    ],
)
def test_each_is_judged_by_its_effect_on_schedulers(
    name: str, around: Surroundings, verdict: DoctorVerdict, said: str
) -> None:
    """Each says what it is, what it means, and, unless all is well, what to do."""
    found = check_of(around, name)
    assert found.verdict is verdict
    assert said in f"{found.found} {found.meaning}"
    assert bool(found.remedy) or verdict is OK


def test_denials_are_found_in_the_kernels_log() -> None:
    """Those of our programs and of BPF, each once, and nothing of what else was denied."""
    log = "\n".join(
        [
            "audit: type=1400 audit(1.2:3): avc:  denied  { prog_load } for  pid=7 "
            'comm="schedpilot-runn" scontext=system_u:system_r:unconfined_service_t:s0 '
            "tcontext=x tclass=bpf permissive=0",
            'avc:  denied  { prog_load } for  pid=8 comm="schedpilot-runn" tclass=bpf',
            'avc:  denied  { read } for  pid=9 comm="httpd" name="x" tclass=file',
            'audit: apparmor="DENIED" operation="userns_create" class="namespace" '
            'profile="unconfined" pid=3 comm="bwrap" requested="userns_create"',
            'apparmor="DENIED" operation="open" profile="cupsd" pid=3 comm="cupsd"',
            'avc:  denied  { map_create } for  pid=9 comm="\x1b[31mevil" tclass=bpf',
        ]
    )
    assert denials_in(log) == (
        BPF_DENIED,
        CONFINED,
        Denial("SELinux", "?[31mevil", "map_create (bpf)"),
    )


@pytest.mark.parametrize(
    ("mounts", "found"),
    [
        ("", Cgroups.UNKNOWN),
        ("proc /proc proc rw 0 0", Cgroups.NONE),
        ("cgroup2 /sys/fs/cgroup cgroup2 rw 0 0", Cgroups.V2),
        ("cgroup /sys/fs/cgroup/cpu cgroup rw,cpu 0 0", Cgroups.V1),
        (
            "cgroup /sys/fs/cgroup/cpu cgroup rw,cpu 0 0\n"
            "cgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0",
            Cgroups.HYBRID,
        ),
    ],
)
def test_the_version_of_control_groups_is_read(mounts: str, found: Cgroups) -> None:
    """From what is mounted."""
    assert cgroups_of(mounts) is found


def test_real_time_programs_are_named() -> None:
    """Not kernel threads, and not a program whose name looks like another field."""

    def stat(name: str, policy: int, parent: int = 1, flags: int = 0) -> str:
        rest = [0] * 28
        return (
            f"7 ({name}) S {parent} 1 1 0 -1 {flags} {' '.join(map(str, rest))} 17 0 50 {policy} 0"
        )

    found = real_time_of(
        [
            stat("jackd", 1),
            stat("jackd", 1),
            stat("a) S 2 (b", 2),
            stat("migration/0", 1, parent=2),
            stat("sugov", 6, flags=0x00200000),
            stat("bash", 0),
            "",
        ]
    )
    assert found == ("a) S 2 (b", "jackd")


def test_namespaces_other_than_the_hosts_are_named(tmp_path: Path) -> None:
    """The kernel's numbers for the first ones decide, whatever this test's own numbers are."""
    assert set(foreign_namespaces()) <= set(FIRST_NAMESPACES)
    for kind in ("cgroup", "pid"):
        (tmp_path / kind).touch()
    assert set(foreign_namespaces(tmp_path)) == {"cgroup", "pid"}


def test_a_machine_is_read_from_its_files(tmp_path: Path) -> None:
    """Whatever is missing is unknown, and nothing is raised."""
    assert read_surroundings(tmp_path, log=False) == Surroundings(
        cgroups=Cgroups.UNKNOWN,
        ext_server=Server.UNKNOWN,
        fair_server=Server.UNKNOWN,
        throttled=None,
    )
    files = {
        "sys/kernel/security/lockdown": "none [integrity] confidentiality\n",
        "sys/fs/selinux/enforce": "1",
        "sys/module/apparmor/parameters/enabled": "Y\n",
        "proc/mounts": "cgroup2 /sys/fs/cgroup cgroup2 rw 0 0\n",
        "sys/devices/system/cpu/nohz_full": "(null)\n",
        "sys/kernel/debug/sched/fair_server/cpu0/runtime": "50000000\n",
        "proc/sys/kernel/sched_rt_runtime_us": "-1\n",
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert read_surroundings(tmp_path, log=False) == Surroundings(
        lockdown="integrity",
        selinux="enforcing",
        apparmor=True,
        ext_server=Server.ABSENT,
        throttled=False,
    )
