# SPDX-License-Identifier: GPL-2.0-or-later
"""Small schedulers to put mistakes into, and the static check of a text."""

from bpf.build.clang import find_clang
from bpf.build.diagnostics import Diagnostic
from bpf.build.kit import language_flags
from bpf.static.child import examine

HEAD = '#include <scx/common.bpf.h>\n\nchar _license[] SEC("license") = "GPL";\n\n'
GOOD_ENQUEUE = "\tscx_bpf_dsq_insert(p, QUEUE, SCX_SLICE_DFL, enq_flags);\n"
GOOD_DISPATCH = "\tscx_bpf_dsq_move_to_local(QUEUE, 0);\n"
GOOD_INIT = "\treturn scx_bpf_create_dsq(QUEUE, -1);\n"


def scheduler(
    enqueue: str = GOOD_ENQUEUE,
    *,
    dispatch: str = GOOD_DISPATCH,
    init: str = GOOD_INIT,
    select: str = "",
    before: str = "",
    members: str = '.timeout_ms = 5000U, .name = "sample"',
) -> str:
    """A scheduler with one queue, in which the given parts replace its own."""
    chosen = (
        "s32 BPF_STRUCT_OPS(sample_select_cpu, struct task_struct *p, s32 prev_cpu, "
        f"u64 wake_flags)\n{{\n{select}}}\n\n"
        if select
        else ""
    )
    bound = ".select_cpu = (void *)sample_select_cpu, " if select else ""
    return (
        f"{HEAD}#define QUEUE 7\n{before}\n"
        "void BPF_STRUCT_OPS(sample_enqueue, struct task_struct *p, u64 enq_flags)\n"
        f"{{\n{enqueue}}}\n\n"
        f"void BPF_STRUCT_OPS(sample_dispatch, s32 cpu, struct task_struct *prev)\n"
        f"{{\n{dispatch}}}\n\n"
        f"s32 BPF_STRUCT_OPS_SLEEPABLE(sample_init)\n{{\n{init}}}\n\n{chosen}"
        f"SCX_OPS_DEFINE(sample_ops, {bound}.enqueue = (void *)sample_enqueue, "
        ".dispatch = (void *)sample_dispatch, .init = (void *)sample_init, "
        f"{members});\n"
    )


def said(text: str, name: str = "sample.bpf.c") -> tuple[Diagnostic, ...]:
    """The static check's findings for a text, in this process."""
    return examine(name, {name: text.encode()}, find_clang().path, language_flags())
