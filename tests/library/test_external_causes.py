# SPDX-License-Identifier: GPL-2.0-or-later
"""Why an installed scheduler did not start: real output, and the cause that we report."""

import pytest

from process import FaultType
from scheduler_library.external_causes import (
    LONGEST_LINE,
    SHOWN_LINES,
    Around,
    explain,
    last_words,
    sentence,
)

LINK = "ln -s /usr/lib/modules/7.3.4/config /boot/config-7.3.4"
SOUND = Around()
BARE = Around(config_remedy=LINK)

# What scx_bpfland 1.1.4 printed on a kernel without sched_ext.
OLD_KERNEL = """\
17:36:35 \x1b[0m\x1b[33m[WARN] \x1b[0mCurrent MEMLOCK limit: soft=8388608, hard=8388608
17:36:35 \x1b[0m\x1b[34m[INFO] \x1b[0mNUMA nodes: 1
17:36:35 \x1b[0m\x1b[34m[INFO] \x1b[0mscx_bpfland 1.1.4 x86_64-unknown-linux-gnu SMT off
17:36:35 \x1b[0m\x1b[34m[INFO] \x1b[0mscheduler options: /usr/bin/scx_bpfland
Error: sched_ext_ops.dump() missing, kernel too old?

Stack backtrace:
   0: anyhow::error::<impl anyhow::Error>::msg
   1: scx_utils::compat::check_min_requirements
   8: __libc_start_call_main
             at ./csu/../sysdeps/nptl/libc_start_call_main.h:58:16
"""
# What scx_flash 1.1.4 said in the lab, without the kernel's configuration.
NO_LOAD = """\
17:53:02 \x1b[0m\x1b[34m[INFO] \x1b[0mscheduler options: /run/lab/files/scx_flash
17:53:05 \x1b[0m\x1b[34m[INFO] \x1b[0mkernel features: arena_fetch_bitops=no prog_stream_fds=no
Error: Failed to load BPF program

Caused by:
    Invalid argument (os error 22)
"""
LOAD = "Error: Failed to load BPF program\n\nCaused by:\n    {}"
VERIFIER = """\
libbpf: prog 'lavd_enqueue': BPF program load failed: Permission denied
libbpf: prog 'lavd_enqueue': -- BEGIN PROG LOAD LOG --
0: R1=ctx() R10=fp0
R2 !read_ok
processed 1 insns (limit 1000000) max_states_per_insn 0 total_states 0
-- END PROG LOAD LOG --
Error: Failed to load BPF program

Caused by:
    Permission denied (os error 13)
"""
LAYERS = """\
2026-11-30T17:36:35.123456Z  INFO ThreadId(01) scx_layered: src/main.rs:5100: scx_layered 1.1.4
Error: Failed to parse specs[0] ("f:/etc/layers.json")

Caused by:
    No such file or directory (os error 2)
"""


@pytest.mark.parametrize(
    ("text", "around", "type", "why", "remedy"),
    [
        (OLD_KERNEL, SOUND, FaultType.UNSUPPORTED, "dump() missing", "newer kernel"),
        (
            'Error: Failed to open or read file "/sys/kernel/sched_ext/hotplug_seq"',
            SOUND,
            FaultType.UNSUPPORTED,
            "no sched_ext",
            "CONFIG_SCHED_CLASS_EXT",
        ),
        (NO_LOAD, BARE, FaultType.LOAD_FAILED, "the kernel's configuration", LINK),
        (NO_LOAD, SOUND, FaultType.LOAD_FAILED, "did not accept", "verbose"),
        (
            f"libbpf: failed to open system Kconfig\n{NO_LOAD}",
            BARE,
            FaultType.UNSUPPORTED,
            "needs the kernel's configuration",
            LINK,
        ),
        (
            "libbpf: extern 'CONFIG_HZ' (strong): not resolved\nError: Failed to load BPF program",
            BARE,
            FaultType.UNSUPPORTED,
            "needs the kernel's configuration",
            LINK,
        ),
        (VERIFIER, SOUND, FaultType.VERIFIER_REFUSED, "verifier refused", "verbose"),
        (
            LOAD.format("Permission denied (os error 13)"),
            SOUND,
            FaultType.VERIFIER_REFUSED,
            "verifier refused",
            "version",
        ),
        (
            LOAD.format("Argument list too long (os error 7)"),
            SOUND,
            FaultType.VERIFIER_REFUSED,
            "verifier refused",
            "version",
        ),
        (
            "libbpf: extern (func ksym) 'scx_bpf_new': not found in kernel or module BTFs",
            SOUND,
            FaultType.UNSUPPORTED,
            "a function that this kernel does not have",
            "newer kernel",
        ),
        (
            "Error: the running kernel's BTF has malformed scx kfunc prototype(s): scx_bpf_x.",
            SOUND,
            FaultType.UNSUPPORTED,
            "pahole",
            "doctor",
        ),
        (
            "libbpf: map 'arena': failed to create: -EINVAL\nError: Failed to load BPF program",
            BARE,
            FaultType.UNSUPPORTED,
            "arenas",
            "CONFIG_BPF_JIT",
        ),
        (
            "Error: Could not initialize arenas, setup_arenas returned -12",
            SOUND,
            FaultType.UNSUPPORTED,
            "arenas",
            "6.12",
        ),
        ("Error: No layer spec", SOUND, FaultType.BAD_PARAMETER, "got none", "layers="),
        (LAYERS, SOUND, FaultType.BAD_PARAMETER, "No such file", "layer file"),
        (
            'Error: Terminal spec "rest" must have an empty match',
            SOUND,
            FaultType.BAD_PARAMETER,
            "layers are not valid",
            "layer file",
        ),
        (
            "Error: another sched_ext scheduler is already running",
            SOUND,
            FaultType.FOREIGN_SCHEDULER,
            "room for one",
            "stop the service",
        ),
        (
            "Error: Failed to attach struct_ops BPF programs\n\nCaused by:\n"
            "    Device or resource busy (os error 16)",
            SOUND,
            FaultType.FOREIGN_SCHEDULER,
            "room for one",
            "stop the service",
        ),
        (
            "Error: Permission denied (os error 13)",
            Around(root=False),
            FaultType.NOT_ALLOWED,
            "not root",
            "sudo",
        ),
        (
            LOAD.format("Operation not permitted (os error 1)"),
            Around(root=False),
            FaultType.NOT_ALLOWED,
            "not root",
            "sudo",
        ),
        (
            LOAD.format("Operation not permitted (os error 1)"),
            Around(lockdown="confidentiality"),
            FaultType.NOT_ALLOWED,
            "locked down (confidentiality)",
            "Secure Boot",
        ),
        (
            LOAD.format("Operation not permitted (os error 1)"),
            SOUND,
            FaultType.NOT_ALLOWED,
            "capabilities",
            "CAP_BPF",
        ),
        (
            'Error: creating "/var/run/scx/root"\n\nCaused by:\n'
            "    Read-only file system (os error 30)",
            SOUND,
            FaultType.NOT_ALLOWED,
            "/var/run/scx/root",
            "ReadWritePaths",
        ),
        (
            "Error: Failed to attach struct_ops BPF programs\n\nCaused by:\n"
            "    Invalid argument (os error 22)",
            Around(isolated="2-3"),
            FaultType.LOAD_FAILED,
            "isolcpus=2-3",
            "boot without isolcpus",
        ),
        (
            "error: invalid value 'abc' for '--slice-us <SLICE_US>': invalid digit found in string"
            "\n\nFor more information, try '--help'.",
            SOUND,
            FaultType.BAD_PARAMETER,
            "--slice-us",
            "library show scx_x",
        ),
        (
            "error: unexpected argument '--warp' found\n\nUsage: scx_x [OPTIONS]",
            SOUND,
            FaultType.BAD_PARAMETER,
            "--warp",
            "library show scx_x",
        ),
        (
            "/usr/bin/scx_x: error while loading shared libraries: libelf.so.1: cannot open shared "
            "object file: No such file or directory",
            SOUND,
            FaultType.NOT_INSTALLED,
            "libelf.so.1",
            "ldd",
        ),
        (
            "/usr/bin/scx_x: /lib/x86_64-linux-gnu/libc.so.6: version `GLIBC_2.38' not found "
            "(required by /usr/bin/scx_x)",
            SOUND,
            FaultType.NOT_INSTALLED,
            "GLIBC_2.38",
            "built for this system",
        ),
        (
            "Error: kernel is missing CONFIG_FUNCTION_TRACER",
            SOUND,
            FaultType.UNSUPPORTED,
            "CONFIG_FUNCTION_TRACER",
            "kernel",
        ),
        (
            "thread 'main' panicked at src/main.rs:369:9:"
            "\ncalled `Result::unwrap()` on an `Err` value"
            "\nnote: run with `RUST_BACKTRACE=1` environment variable to display a backtrace",
            SOUND,
            FaultType.LOAD_FAILED,
            "called `Result::unwrap()`",
            "defect",
        ),
        (
            "DEBUG DUMP\n  arena not there\nEXIT: runnable task stall (a[7] failed to run for 5s)",
            SOUND,
            FaultType.EJECTED,
            "runnable task stall",
            "other options",
        ),
        ("", SOUND, FaultType.LOAD_FAILED, "does not say why", "by hand"),
        ("Error: something new", SOUND, FaultType.LOAD_FAILED, "something new", "by hand"),
    ],
)
def test_each_cause_is_told_with_its_remedy(
    text: str, around: Around, type: FaultType, why: str, remedy: str
) -> None:
    """The program's last message becomes a cause in plain words, with the message itself and what
    to do."""
    cause = explain("scx_x", text.splitlines(), around)
    assert cause.type is type
    assert why in cause.why
    assert remedy in cause.remedy


def test_talk_is_no_cause() -> None:
    """A program's progress messages decide nothing."""
    said = ["17:36:35 [INFO] the verifier will not fail, arena not used", "Error: plain trouble"]
    assert explain("scx_x", said, SOUND).why == "it says: plain trouble"


@pytest.mark.parametrize(
    ("text", "chosen"),
    [
        (OLD_KERNEL, "sched_ext_ops.dump() missing, kernel too old?"),
        (NO_LOAD, "Failed to load BPF program: Invalid argument (os error 22)"),
        (
            "Error: a\n\nCaused by:\n    0: b\n    1: c\n\nStack backtrace:\n   0: x",
            "a: b: c",
        ),
        ("12:00:00 [ERROR] first\n12:00:01 [INFO] then this", "first"),
        ("thread 'main' panicked at 'old style', src/main.rs:1:1", "old style"),
        ("one\n\ntwo\n", "two"),
        ("", ""),
    ],
)
def test_of_the_last_words_the_one_that_says_why(text: str, chosen: str) -> None:
    """Errors come before progress messages, and the causes behind an error belong to it."""
    assert sentence(text.splitlines()) == chosen


def test_hostile_words_are_cut_and_made_safe() -> None:
    """Length, escapes and braces are removed, whatever the program prints."""
    said = [
        "Error: \x1b]0;owned\x07{why} {0} \x1b[2J\u202e" + "x" * 100_000,
        *["{name}" * 10_000] * 200,
        "Error: \x1b[31mDevice or resource busy {config}\x9b\r",
    ]
    cause = explain("scx_x", said, BARE)
    shown = "\n".join([cause.why, cause.remedy, *last_words(said)])
    assert cause.type is FaultType.FOREIGN_SCHEDULER
    assert "Device or resource busy {config}" in cause.why
    assert all(letter.isprintable() or letter == "\n" for letter in shown)
    assert len(shown) < (SHOWN_LINES + 4) * LONGEST_LINE
