# SPDX-License-Identifier: GPL-2.0-or-later
"""Why an installed scheduler did not start, from its last output, and what to do about it.

The output of such a program is third-party text, and may contain names of tasks: it is cut, made
safe for a terminal and shown, but never followed. The table below was made from the messages of
schedulers of the scx family (1.1), libbpf and the dynamic linker.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from process import FaultType, printable

# How much of its output is kept, and how much is shown.
MOST_LINES = 50
SHOWN_LINES = 12
LONGEST_LINE = 300
LONGEST_SENTENCE = 240

_ESCAPES = re.compile(r"\x1b(?:\[[0-9;?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|.)")
# A Rust backtrace: its head, then numbered frames, each followed by its place.
_BACKTRACE = re.compile(r"^[Ss]tack backtrace:")
_FRAME = re.compile(r"^\s+(?:\d{1,4}: |at )")
_NOISE = re.compile(r"^\s*(?:note: run with `RUST_BACKTRACE|For more information, try|Caused by:$)")
# `12:30:01 [ERROR] text`, `2026-01-01T00:00:00.1Z ERROR ThreadId(01) scx_x: src/main.rs:7: text`.
_STAMP = re.compile(
    r"^(?:\d{4}-\d\d-\d\dT)?\d\d:\d\d:\d\d(?:\.\d{1,9})?Z?\s+\[?(?P<level>[A-Z]{4,5})\]?:?\s+"
    r"(?:ThreadId\(\d+\)\s+)?(?:[\w:]+:\s+)?(?:\S+\.rs:\d+:\s+)?"
)
_TALK = ("INFO", "DEBUG", "TRACE")
_LESS = ("WARN", *_TALK)
_PANIC = re.compile(r"^thread '.{0,100}' .{0,40}panicked at (?:'(?P<old>.*)', )?")


@dataclass(frozen=True)
class Around:
    """Facts about the machine beside the program's output.

    `config_remedy`: what to do if libbpf does not find the kernel's configuration, else empty.
    `lockdown`: the kernel's lockdown mode if one is active. `root`: whether we run as root.
    `isolated`: CPUs that `isolcpus=` isolates.
    """

    config_remedy: str = ""
    lockdown: str = ""
    root: bool = True
    isolated: str = ""


@dataclass(frozen=True)
class Cause:
    """Why it did not start, in the form of a fault: its type, plain words, what to do."""

    type: FaultType
    why: str
    remedy: str


_THROWN_OUT = re.compile(r"^EXIT: (?!unregistered from user)")
_TROUBLE = r"(?:fail|error|not |missing|unsupported|returned|cannot|could|invalid)"
# The first match wins, so causes come before their consequences. `{name}` is the program's entry.
_TABLE: tuple[tuple[str, FaultType, str, str], ...] = (
    (
        _THROWN_OUT.pattern,
        FaultType.EJECTED,
        "the kernel ejected it while it was being enabled",
        "the reason follows `EXIT`; try other options, or another scheduler",
    ),
    (
        r"error while loading shared libraries|cannot open shared object file",
        FaultType.NOT_INSTALLED,
        "a library that it needs is not installed",
        "install the library that is named; `ldd` on the program shows all of them",
    ),
    (
        r"version `?GLIBC\w*_[\d.]+' not found|Exec format error",
        FaultType.NOT_INSTALLED,
        "the program was built for another system",
        "install one that was built for this system, or build it here",
    ),
    (
        r"failed to execute .*: (?:No such file|Permission denied)",
        FaultType.NOT_INSTALLED,
        "the program cannot be executed",
        "install it anew, and check its mode",
    ),
    (
        r"^error: (?:unexpected argument|unrecognized |invalid value|a value is required|"
        r"the argument |the following required|equal sign is needed|one or more required|"
        r"Found argument|.{0,60}wasn't expected)",
        FaultType.BAD_PARAMETER,
        "it does not accept its options",
        "`schedpilot library show {name}` lists the options of the installed version",
    ),
    (
        r"No layer spec\b",
        FaultType.BAD_PARAMETER,
        "it needs layers and got none",
        "give it a layer file: layers=/etc/schedpilot/layers.json (docs/peers.md shows one)",
    ),
    (
        r"Failed to parse specs\[|Too many layer specs|(?:Non-t|\bT)erminal spec |"
        r"\bSpec \".{0,200}\" has |HintEquals match|invalid (?:util|cpus)_range|"
        r"Template match has unexpected|cpus_range(?:_frac)? (?:cannot|values)",
        FaultType.BAD_PARAMETER,
        "its layers are not valid",
        "correct what it names in the layer file (docs/peers.md shows one)",
    ),
    (
        r"another sched_ext scheduler is already running|already running|"
        r"Device or resource busy|\(os error 16\)|\bEBUSY\b",
        FaultType.FOREIGN_SCHEDULER,
        "another scheduler is in the kernel; there is room for one",
        "stop the service or program that loaded it; /sys/kernel/sched_ext/root/ops has its name",
    ),
    (
        r"failed to open system Kconfig|extern '?\(?(?:kcfg)?\)?.*CONFIG_\w+.*not resolved|"
        r"\(kcfg\) 'CONFIG_",
        FaultType.UNSUPPORTED,
        "it needs the kernel's configuration, and libbpf does not find it",
        "{config}",
    ),
    (
        r"malformed scx kfunc|func_proto incompatible with vmlinux",
        FaultType.UNSUPPORTED,
        "the kernel's BTF describes kfuncs wrongly (it was built with pahole before 1.26)",
        "boot another kernel: `schedpilot doctor` says which kfuncs are malformed",
    ),
    (
        r"kernel too old|\.dump\(\) missing|sched_ext_ops\S* (?:is )?not found|"
        r"failed to find BTF info for struct_ops|/sys/kernel/sched_ext/\S*\"|"
        r"CONFIG_SCHED_CLASS_EXT|kernel (?:does not|doesn't) support sched_ext",
        FaultType.UNSUPPORTED,
        "the kernel is too old for it, or has no sched_ext",
        "boot a newer kernel with CONFIG_SCHED_CLASS_EXT=y, or install an older version of it",
    ),
    (
        r"CONFIG_DEBUG_INFO_BTF|btf__load_vmlinux_btf|(?:load|find|valid) (?:kernel|vmlinux) BTF",
        FaultType.UNSUPPORTED,
        "the kernel has no type information (BTF)",
        "boot a kernel with CONFIG_DEBUG_INFO_BTF=y",
    ),
    (
        r"CONFIG_FUNCTION_TRACER|missing CONFIG_\w+",
        FaultType.UNSUPPORTED,
        "the kernel was built without something that it needs",
        "boot a kernel that has what it names, such as a distribution's usual one",
    ),
    (
        rf"(?i:^.*\barena\w*.*{_TROUBLE})|(?i:^.*{_TROUBLE}.*\barena)",
        FaultType.UNSUPPORTED,
        "it needs BPF arenas, which this kernel does not have or does not let it use",
        "boot a kernel from 6.12 on with CONFIG_BPF_JIT and an MMU, on x86_64 or arm64",
    ),
    (
        r"not found in kernel or module BTFs|but wasn't resolved|extern \((?:func|var) ksym\)|"
        r"unresolved k(?:func|sym)|calling (?:invalid )?kernel func(?:tion)? |"
        r"kernel function \S+ (?:is not|does not|args)|invalid func unknown",
        FaultType.UNSUPPORTED,
        "it calls a function that this kernel does not have, or has with another signature",
        "boot a newer kernel, or install a version of it that was made for this one",
    ),
    (
        r"PROG LOAD LOG|BPF program load failed|program is too large|processed \d+ insns|"
        r"back-edge from insn|invalid mem access|R\d+ (?:invalid|unbounded|!read_ok|type=)|"
        r"\bverifier\b|Failed to load BPF program[\s\S]{0,200}\((?:os error (?:7|13|28))\)",
        FaultType.VERIFIER_REFUSED,
        "the kernel's verifier refused it",
        "run it by hand with its verbose option to see the verifier's messages; most often "
        "another version of it, or of the kernel, helps",
    ),
    (
        r"Read-only file system|\(os error 30\)|\bEROFS\b",
        FaultType.NOT_ALLOWED,
        "it writes to a place that is read-only for it, as most are for a service",
        "leave out the option that needs it, or allow the place: `systemctl edit schedpilotd`, "
        "`[Service]`, `ReadWritePaths=` and the path",
    ),
    (
        r"Operation not permitted|Permission denied|\(os error (?:1|13)\)|\bE(?:PERM|ACCES)\b",
        FaultType.NOT_ALLOWED,
        "it may not load BPF programs: {rights}",
        "{rights_remedy}",
    ),
    (
        r"Cannot allocate memory|\(os error 12\)|\bENOMEM\b|memory allocation of \d+",
        FaultType.LOAD_FAILED,
        "there is not enough memory for it",
        "free memory, or raise the service's memory limit",
    ),
    (
        r"Failed to load BPF program[\s\S]{0,200}(?:Invalid argument|os error 22)",
        FaultType.LOAD_FAILED,
        "{einval}",
        "{einval_remedy}",
    ),
    (
        r"Failed to attach[\s\S]{0,200}(?:Invalid argument|os error 22)",
        FaultType.LOAD_FAILED,
        "{attach}",
        "{attach_remedy}",
    ),
    (
        r"panicked at ",
        FaultType.LOAD_FAILED,
        "it crashed",
        "this is a defect of the program: try another version of it, or tell its authors",
    ),
)
_NEEDLES = tuple(re.compile(needle, re.MULTILINE) for needle, *_ in _TABLE)
_UNKNOWN = Cause(
    FaultType.LOAD_FAILED, "it does not say why", "run it by hand to see what it needs"
)


def _words(around: Around) -> dict[str, str]:
    """The values of the table's words in braces on this machine."""
    words = {
        "config": around.config_remedy or "`schedpilot doctor` looks for it",
        "rights": "we are not root",
        "rights_remedy": "load it through the service, or run with sudo",
        "einval": "the kernel did not accept its BPF programs",
        "einval_remedy": (
            "run it by hand with its verbose option to see why; most often another version of "
            "it, or of the kernel, helps"
        ),
        "attach": "the kernel did not accept it",
        "attach_remedy": "see the kernel's log (dmesg)",
    }
    if around.root:
        words |= {
            "rights": "capabilities are missing",
            "rights_remedy": "run where BPF may be loaded: a container often may not "
            "(CAP_BPF, CAP_PERFMON, CAP_SYS_ADMIN)",
        }
    if around.lockdown:
        words |= {
            "rights": f"the kernel is locked down ({around.lockdown})",
            "rights_remedy": "boot without lockdown; with Secure Boot the kernel often locks "
            "itself down",
        }
    if around.config_remedy:
        words |= {
            "einval": "most likely it needs the kernel's configuration, which libbpf does not find",
            "einval_remedy": around.config_remedy,
        }
    if around.isolated:
        words |= {
            "attach": f"CPUs are isolated at boot (isolcpus={around.isolated}), with which "
            "sched_ext does not enable",
            "attach_remedy": "boot without isolcpus=, or use cpusets",
        }
    return words


def clean(line: str) -> str:
    """One line of the program's output, cut, without control characters."""
    text = _ESCAPES.sub("", line[: 4 * LONGEST_LINE]).replace("\t", "    ").rstrip()
    return printable(text[:LONGEST_LINE])


def last_words(said: Iterable[str]) -> tuple[str, ...]:
    """The lines worth showing of a program's last output: no blanks, no backtrace."""
    kept: list[str] = []
    within = False
    for line in (clean(line) for line in list(said)[-MOST_LINES:]):
        within = bool(_BACKTRACE.match(line) or (within and _FRAME.match(line)))
        if line.strip() and not within:
            kept.append(line)
    return tuple(kept[-SHOWN_LINES:])


def sentence(said: Sequence[str]) -> str:
    """The line of a program's last output that gives the reason; empty if there is none. Pure."""
    lines = [line for line in last_words(said) if not _NOISE.match(line)]
    if not lines:
        return ""
    for at in reversed(range(len(lines))):
        if lines[at].startswith(("Error: ", "error: ", "EXIT: ")):
            # anyhow: the error, then its causes, each indented.
            causes = []
            for line in lines[at + 1 :]:
                if not line.startswith(" "):
                    break
                causes.append(re.sub(r"^\s*\d+:\s+", "", line).strip())
            first = lines[at].removeprefix("Error: ").removeprefix("error: ")
            return ": ".join([first, *causes])[:LONGEST_SENTENCE]
        if panic := _PANIC.match(lines[at]):
            follows = lines[at + 1].strip() if at + 1 < len(lines) else ""
            return (panic["old"] or follows or lines[at])[:LONGEST_SENTENCE]
    worst = [line for line in lines if (found := _STAMP.match(line)) and found["level"] == "ERROR"]
    plain = [line for line in lines if not ((f := _STAMP.match(line)) and f["level"] in _LESS)]
    chosen = (worst or plain or lines)[-1]
    return _STAMP.sub("", chosen).strip()[:LONGEST_SENTENCE]


def threw_out(said: Iterable[str]) -> bool:
    """Whether a program's output says that the kernel ejected its scheduler. Pure."""
    return any(_THROWN_OUT.match(clean(line)) for line in list(said)[-MOST_LINES:])


def explain(name: str, said: Sequence[str], around: Around) -> Cause:
    """Why the scheduler `name` did not start. Pure.

    Args:
        said: its output, oldest line first.
        around: other facts about the machine.
    """
    said = list(said)[-MOST_LINES:]
    own = sentence(said)
    lines = [clean(line) for line in said]
    text = "\n".join(
        line for line in lines if not ((found := _STAMP.match(line)) and found["level"] in _TALK)
    )
    for needle, (_, type, why, remedy) in zip(_NEEDLES, _TABLE, strict=True):
        if needle.search(text):
            words = {**_words(around), "name": name}
            why = why.format_map(words)
            return Cause(type, f"{why} (it says: {own})" if own else why, remedy.format_map(words))
    if own:
        return Cause(_UNKNOWN.type, f"it says: {own}", _UNKNOWN.remedy)
    return _UNKNOWN
