# SPDX-License-Identifier: GPL-2.0-or-later
"""Where the gates that need no kernel disagree with a selftest, and why."""

_ENDLESS = (
    "endless slices for all: right where the scheduler has one task on one CPU "
    "(SCX_OPS_SWITCH_PARTIAL), and refused since elsewhere whoever runs keeps the CPU"
)

# By scheduler and setting.
EXCEPTIONS = {
    "enable_cmask": (
        "an argument in an arena does not pass the macro BPF_PROG of the libbpf that is installed"
    ),
    "maybe_null_fail_dsp": (
        "uses `prev` of ops.dispatch without looking whether it is NULL: the verifier refuses it, "
        "which is a later gate; in these workloads it never is NULL"
    ),
    "maybe_null_fail_yld": (
        "prints from `to` of ops.yield without looking whether it is NULL: the verifier refuses "
        "it, which is a later gate; in simulation nothing is printed"
    ),
    "nohz_tick infinite": _ENDLESS,
    "nohz_tick finite": _ENDLESS,
    "prog_run": "userspace runs a program that ends the scheduler; here nobody runs it",
    "select_cpu_vtime": (
        "starves its own queue beside hogs, since the global queue comes before ops.dispatch; the "
        "test has none"
    ),
}
