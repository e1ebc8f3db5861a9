# SPDX-License-Identifier: GPL-2.0-or-later
"""Finds what keeps schedulers from loading on this machine, and what to do about it.

    python -m bpf.kernel.doctor [--json]

Exits with 0 if nothing fails (warnings do not count), 1 otherwise, 2 on wrong usage.
"""

import argparse
import json
import re
import sys
from collections.abc import Sequence
from dataclasses import asdict

from bpf.kernel.controls import GROUP_CALLBACK, ResourceControl, usage_words, without_callback
from bpf.kernel.doctor_check import Check, DoctorVerdict
from bpf.kernel.doctor_facts import DoctorFacts, gather
from bpf.kernel.doctor_surroundings import surroundings_checks

# The end of a release that Debian 13 has from its backports, and the flavour in it.
_BACKPORTED = re.compile(r"\+deb13-([a-z0-9-]+)$")


def _kernel(facts: DoctorFacts) -> list[Check]:
    ext, found = facts.state.supported, facts.kernel
    if ext:
        first = Check("kernel", DoctorVerdict.OK, found, "this kernel has sched_ext")
    else:
        first = Check(
            "kernel",
            DoctorVerdict.FAIL,
            found + (", CONFIG_SCHED_CLASS_EXT=" + facts.config if facts.config else ""),
            "this kernel has no sched_ext: no scheduler can be loaded",
            "boot a kernel with CONFIG_SCHED_CLASS_EXT=y (6.12 or later; Debian 13: from "
            "backports, 6.16 or later), or use `schedpilot lab run`",
        )
    if facts.btf:
        btf = Check("kernel types", DoctorVerdict.OK, "BTF present", "programs can be built for it")
    else:
        btf = Check(
            "kernel types",
            DoctorVerdict.FAIL,
            "no /sys/kernel/btf/vmlinux",
            "nothing can be built for this kernel",
            "boot a kernel with CONFIG_DEBUG_INFO_BTF=y",
        )
    return [first, btf, _configuration(facts), *([_malformed(facts)] if facts.btf and ext else [])]


def _configuration(facts: DoctorFacts) -> Check:
    name = "kernel configuration"
    if not facts.config_remedy:
        return Check(
            name, DoctorVerdict.OK, facts.config_file, "third-party schedulers can ask for it"
        )
    return Check(
        name,
        DoctorVerdict.WARN,
        "not where libbpf looks",
        "third-party schedulers (scx_*) that ask for it end with `Invalid argument`; our own do "
        "not",
        facts.config_remedy,
    )


def _malformed(facts: DoctorFacts) -> Check:
    bad = facts.malformed
    if not bad:
        return Check(
            "scheduler functions", DoctorVerdict.OK, f"{facts.kfuncs} kfuncs", "all can be called"
        )
    shown = ", ".join(bad[:6]) + (f" and {len(bad) - 6} more" if len(bad) > 6 else "")
    return Check(
        "scheduler functions",
        DoctorVerdict.FAIL,
        f"{len(bad)} of {facts.kfuncs} kfuncs malformed: {shown}",
        "the kernel's build left an internal `aux` argument in their types: every scheduler "
        "that calls one is refused (`func_proto incompatible with vmlinux`)",
        f"{_sound_kernel(facts.kernel)}; Debian's 7.1 and 7.2 are affected, 7.0 and 7.3.4 are "
        "sound",
    )


def _sound_kernel(release: str) -> str:
    """How to get a kernel with sound types, where the distribution is known to have one."""
    flavour = _BACKPORTED.search(release)
    if flavour is None:
        return "boot another kernel"
    return f"apt install -t trixie-backports linux-image-{flavour[1]} (7.3.4 or newer) and boot it"


def _scheduler(facts: DoctorFacts) -> list[Check]:
    state = facts.state
    checks = []
    if state.supported:
        running = f"{state.ops or 'unnamed'} ({state.state})"
        if not state.enabled:
            running = "the kernel's own"
        checks.append(
            Check(
                "current scheduler",
                DoctorVerdict.OK,
                running,
                "as /sys/kernel/sched_ext says",
            )
        )
    if facts.loaders:
        checks.append(
            Check(
                "other loaders",
                DoctorVerdict.WARN,
                ", ".join(facts.loaders),
                "another program loads schedulers here; schedpilot leaves its scheduler alone "
                "and can load none meanwhile",
                "stop it to let schedpilot take over: systemctl disable --now scx_loader scx",
            )
        )
    else:
        checks.append(
            Check("other loaders", DoctorVerdict.OK, "none", "no other program loads schedulers")
        )
    if facts.isolated:
        checks.append(
            Check(
                "isolated CPUs",
                DoctorVerdict.FAIL,
                facts.isolated,
                "with isolcpus= the kernel refuses to enable a scheduler (EINVAL)",
                "boot without isolcpus=; cpusets can keep CPUs apart",
            )
        )
    return checks


def _controls(facts: DoctorFacts) -> Check:
    """What the cgroups use, and whether schedulers can honour it on this kernel."""
    name, in_use = "resource controls", facts.controls
    used = "; ".join(usage_words(each, in_use.of(each)) for each in in_use.used)
    found = in_use.unread or used or "no cgroup has a weight or a quota"
    # Without sched_ext nothing is loaded, so there is nothing that could ignore them.
    if facts.state.supported and facts.callbacks:
        lacking = {each: without_callback(each, facts.callbacks) for each in ResourceControl}
        wanted = [each for each in ResourceControl if lacking[each] and each in in_use.used]
        if GROUP_CALLBACK not in facts.callbacks:
            wanted = list(ResourceControl)
        if wanted:
            return Check(
                name,
                DoctorVerdict.WARN,
                found,
                f"no scheduler can honour {', '.join(wanted)} here: {lacking[wanted[0]]}",
                "boot a kernel with CONFIG_EXT_GROUP_SCHED=y, 6.19 or later for all of them; or "
                "let schedulers ignore them: [gates] allow_ignoring",
            )
    if in_use.unread:
        return Check(
            name,
            DoctorVerdict.WARN,
            found,
            "nobody can say what a scheduler would ignore",
            "boot with cgroups of version 2: systemd.unified_cgroup_hierarchy=1",
        )
    meaning = "the gate `controls` refuses a scheduler that ignores them"
    return Check(
        name, DoctorVerdict.OK, found, meaning if in_use.used else "no scheduler can ignore any"
    )


def _tool(name: str, found: str, trouble: str, meaning: str, loss: str, remedy: str) -> Check:
    if found and not trouble:
        return Check(name, DoctorVerdict.OK, found, meaning)
    return Check(name, DoctorVerdict.FAIL, trouble or "not found", loss, remedy)


def _tools(facts: DoctorFacts) -> list[Check]:
    return [
        _tool(
            "clang",
            facts.clang,
            facts.clang_trouble,
            "schedulers can be compiled",
            "no scheduler can be compiled",
            "apt install clang-19",
        ),
        _tool(
            "libbpf headers",
            "present" if facts.libbpf_headers else "",
            "",
            "schedulers can include them",
            "no scheduler can be compiled",
            "apt install libbpf-dev",
        ),
        _tool(
            "bpftool",
            facts.bpftool,
            "",
            "the kernel's types can be written as C",
            "no scheduler can be compiled for this kernel",
            "apt install bpftool",
        ),
        _tool(
            "runner",
            facts.runner,
            facts.runner_trouble,
            "schedulers can be loaded",
            "no scheduler can be loaded",
            "install schedpilot, or build the helpers: make -C bpf",
        ),
        _tool(
            "sandbox",
            "" if facts.sandbox_trouble else "bubblewrap works",
            facts.sandbox_trouble,
            "clang is confined while it reads untrusted sources",
            "nothing is compiled without it",
            "apt install bubblewrap; allow user namespaces "
            "(sysctl kernel.unprivileged_userns_clone=1, or the distribution's AppArmor profile)",
        ),
    ]


def _signals(facts: DoctorFacts) -> list[Check]:
    pressure = Check(
        "pressure (PSI)", DoctorVerdict.OK, "present", "stalls of the machine are visible"
    )
    if not facts.pressure:
        pressure = Check(
            "pressure (PSI)",
            DoctorVerdict.WARN,
            "no /proc/pressure",
            "stalls of the whole machine are not visible",
            "boot with psi=1, or a kernel with CONFIG_PSI=y",
        )
    counters = Check(
        "perf counters", DoctorVerdict.OK, "present", "cycles and cache misses are visible"
    )
    if not facts.perf_counters:
        counters = Check(
            "perf counters",
            DoctorVerdict.WARN,
            "no hardware counters",
            "cycles, instructions and cache misses are not reported (usual in virtual machines)",
            "run on hardware, or give the virtual machine a PMU",
        )
    rights = Check("rights", DoctorVerdict.OK, "root", "schedulers can be loaded from here")
    if not facts.root:
        rights = Check(
            "rights",
            DoctorVerdict.WARN,
            "not root",
            "the service can load schedulers, you by hand cannot",
            "run with sudo to load one by hand",
        )
    return [pressure, counters, rights]


def examine(facts: DoctorFacts) -> list[Check]:
    """The verdicts on a machine, most basic first."""
    return [
        *_kernel(facts),
        *_scheduler(facts),
        *surroundings_checks(facts.around),
        _controls(facts),
        *_tools(facts),
        *_signals(facts),
    ]


def healthy(checks: Sequence[Check]) -> bool:
    return all(check.verdict is not DoctorVerdict.FAIL for check in checks)


def _print(checks: Sequence[Check]) -> None:
    from rich.console import Console  # imported late: not needed for --json
    from rich.table import Table
    from rich.text import Text

    colour = {
        DoctorVerdict.OK: "green",
        DoctorVerdict.WARN: "yellow",
        DoctorVerdict.FAIL: "bold red",
    }
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for heading in ("", "check", "found", "meaning and remedy"):
        table.add_column(heading, overflow="fold")
    for check in checks:
        # Findings may contain names from the system: they are never read as markup.
        advice = Text(check.meaning)
        if check.remedy:
            advice.append(f"\n→ {check.remedy}", style="italic")
        table.add_row(
            Text(check.verdict.value, style=colour[check.verdict]),
            Text(check.name),
            Text(check.found),
            advice,
        )
    Console().print(table)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="schedpilot doctor",
        description=(
            "Find what keeps schedulers from loading here, and how to fix it. Exits with 0 if "
            "nothing fails, 1 otherwise."
        ),
    )
    parser.add_argument("--json", action="store_true", help="one JSON document")
    options = parser.parse_args(arguments)
    checks = examine(gather())
    if options.json:
        document = {"healthy": healthy(checks), "checks": [asdict(check) for check in checks]}
        print(json.dumps(document, indent=2))
    else:
        _print(checks)
    return 0 if healthy(checks) else 1


if __name__ == "__main__":
    sys.exit(main())
