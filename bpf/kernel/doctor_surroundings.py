# SPDX-License-Identifier: GPL-2.0-or-later
"""The doctor's verdicts on what surrounds schedulers. Pure."""

from bpf.kernel.doctor_check import Check, DoctorVerdict
from bpf.kernel.surroundings import Cgroups, Server, Surroundings

OK, WARN, FAIL = DoctorVerdict.OK, DoctorVerdict.WARN, DoctorVerdict.FAIL
# How many names are shown.
SHOWN = 6


def surroundings_checks(around: Surroundings) -> list[Check]:
    """One verdict on each, most basic first."""
    return [
        _lockdown(around),
        _secure_boot(around),
        _modules(around),
        _cgroups(around),
        _namespaces(around),
        _nohz_full(around),
        _real_time(around),
        _server(around),
    ]


def _lockdown(around: Surroundings) -> Check:
    name = "kernel lockdown"
    match around.lockdown:
        case "confidentiality":
            return Check(
                name,
                FAIL,
                "confidentiality",
                "BPF programs may not read the kernel's memory: the signals program and nearly "
                "every scheduler are refused",
                "boot with lockdown=integrity, or without lockdown=confidentiality",
            )
        case "integrity":
            return Check(name, OK, "integrity", "this level lets BPF schedulers and signals work")
        case "none":
            return Check(name, OK, "none", "it keeps nothing from schedpilot")
        case _:
            return Check(name, OK, "not in this kernel", "it keeps nothing from schedpilot")


def _secure_boot(around: Surroundings) -> Check:
    name = "Secure Boot"
    if around.secure_boot:
        return Check(
            name,
            OK,
            "on",
            "it has no effect on schedulers by itself: most distributions then lock the kernel "
            "down for integrity, and a kernel that you build has to be signed (mokutil --import) "
            "before it boots",
        )
    found = "off" if around.secure_boot is False else "not to be seen"
    return Check(name, OK, found, "it keeps nothing from schedpilot")


def _modules(around: Surroundings) -> Check:
    """SELinux and AppArmor."""
    name = "SELinux, AppArmor"
    active = [f"SELinux ({around.selinux})"] if around.selinux else []
    active += ["AppArmor"] if around.apparmor else []
    found = ", ".join(active) or "neither"
    if not around.denials:
        return Check(name, OK, found, "nothing was denied to schedpilot since the boot")
    said = [f"{each.by} denied {each.comm}: {each.what}" for each in around.denials]
    denied_by = {each.by for each in around.denials}
    if denied_by == {"SELinux"} and around.selinux == "permissive":
        return Check(
            name,
            WARN,
            _listed(said),
            "SELinux is permissive and only reports; with `enforcing` this would fail",
            "ausearch -m avc -ts boot --raw | audit2allow -M schedpilot && "
            "semodule -i schedpilot.pp",
        )
    remedies = []
    if "SELinux" in denied_by:
        remedies.append(
            "allow it: ausearch -m avc -ts boot --raw | audit2allow -M schedpilot && "
            "semodule -i schedpilot.pp"
        )
    if "AppArmor" in denied_by:
        remedies.append(
            "find the profile with aa-status, and add the rule that the journal names to its file "
            "in /etc/apparmor.d/local/"
        )
    return Check(
        name,
        FAIL,
        _listed(said),
        "what was denied does not work: loading needs bpf and perfmon, compiling needs user "
        "namespaces",
        "; ".join(remedies),
    )


def _cgroups(around: Surroundings) -> Check:
    name = "control groups"
    match around.cgroups:
        case Cgroups.V2:
            return Check(name, OK, "v2", "workloads are named by their cgroups")
        case Cgroups.HYBRID:
            return Check(
                name,
                WARN,
                "hybrid: v1 and v2",
                "workloads have the names of the v2 tree; the CPU controller is in v1, so weights "
                "and quotas that are set there are not shown with them",
                "boot with systemd.unified_cgroup_hierarchy=1",
            )
        case Cgroups.V1:
            return Check(
                name,
                WARN,
                "v1 alone",
                "the kernel's BPF programs see only v2: all processes look like one group, and "
                "workloads are told apart by their command names alone",
                "boot with systemd.unified_cgroup_hierarchy=1 (systemd 256 and later has only v2)",
            )
        case Cgroups.NONE:
            return Check(
                name,
                WARN,
                "not mounted",
                "workloads are told apart by their command names alone",
                "mount -t cgroup2 cgroup2 /sys/fs/cgroup",
            )
        case _:
            return Check(name, OK, "unknown", "/proc/mounts cannot be read")


def _namespaces(around: Surroundings) -> Check:
    name = "namespaces"
    kinds = around.namespaces
    if not kinds:
        return Check(name, OK, "the host's", "names and processes are those of the host")
    found = "not the host's: " + ", ".join(kinds)
    if "user" in kinds:
        return Check(
            name,
            FAIL,
            found,
            "the kernel loads schedulers only for the host's own user namespace",
            "run schedpilotd on the host, or in a container without user namespaces",
        )
    effects = []
    if "cgroup" in kinds:
        effects.append(
            "names of workloads are those of this container, not the host's: its own cgroup looks "
            "like the root, and everything outside has no name"
        )
    if "pid" in kinds:
        effects.append(
            "the host's other processes are not seen, so policies cannot select them by `cmd` or "
            "`unit`; a loaded scheduler schedules them all the same"
        )
    return Check(
        name,
        WARN,
        found,
        "; ".join(effects),
        "run schedpilotd on the host, or the container with --cgroupns=host --pid=host",
    )


def _nohz_full(around: Surroundings) -> Check:
    name = "tickless CPUs"
    if not around.nohz_full:
        return Check(name, OK, "none", "no CPU is set apart with nohz_full=")
    return Check(
        name,
        WARN,
        around.nohz_full,
        "under a loaded scheduler these CPUs get timer ticks again, because its slices end by "
        "them; what runs there is disturbed",
        "load none while that matters, or boot without nohz_full=",
    )


def _real_time(around: Surroundings) -> Check:
    name = "real-time tasks"
    if not around.real_time:
        return Check(name, OK, "none", "no program has real-time tasks")
    bounded = around.ext_server is Server.ON
    meaning = "the kernel runs them before everything that a scheduler of ours runs; a trial does "
    meaning += "not change how they are served"
    if bounded or around.ext_server is Server.UNKNOWN:
        return Check(name, OK, _listed(around.real_time), meaning)
    return Check(
        name,
        WARN,
        _listed(around.real_time),
        f"{meaning}. One that does not sleep starves the rest of its CPU, and for that the kernel "
        "ejects the scheduler",
        "see the deadline server below, or give them a quota: chrt --deadline",
    )


def _server(around: Surroundings) -> Check:
    name = "deadline server"
    match around.ext_server:
        case Server.ON:
            return Check(
                name, OK, "ext_server", "real-time tasks cannot starve what a scheduler runs"
            )
        case Server.OFF:
            return Check(
                name,
                WARN,
                "ext_server is off",
                "real-time tasks may starve everything that a loaded scheduler runs",
                "echo 50000000 > /sys/kernel/debug/sched/ext_server/cpuN/runtime, for each CPU",
            )
        case Server.UNKNOWN:
            return Check(
                name,
                OK,
                "not to be seen",
                "/sys/kernel/debug/sched cannot be read from here; as root it can",
            )
        case _:
            pass
    fair = "; fair_server serves the kernel's own scheduler only"
    unbounded = around.throttled is False
    return Check(
        name,
        WARN if unbounded or around.real_time else OK,
        f"no ext_server{fair if around.fair_server is Server.ON else ''}",
        "a real-time task that does not sleep can starve what a loaded scheduler runs on its CPU, "
        "until the kernel's watchdog ejects the scheduler for it"
        + (" (and real-time throttling is off)" if unbounded else ""),
        "boot a kernel with it, or bound the real-time tasks: sysctl "
        "kernel.sched_rt_runtime_us=950000"
        if unbounded or around.real_time
        else "",
    )


def _listed(said: tuple[str, ...] | list[str]) -> str:
    shown = ", ".join(said[:SHOWN])
    more = len(said) - SHOWN
    return f"{shown} and {more} more" if more > 0 else shown
