/* SPDX-License-Identifier: GPL-2.0-only */
/* Refuses to raise priorities while it is loaded: setpriority() fails. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

void BPF_STRUCT_OPS(fixed_enqueue, struct task_struct *p, u64 enq_flags)
{
	scx_bpf_dsq_insert(p, SCX_DSQ_GLOBAL, SCX_SLICE_DFL, enq_flags);
}

SEC("kprobe/__x64_sys_setpriority")
int fixed_setpriority(struct pt_regs *regs)
{
	bpf_override_return(regs, -1);
	return 0;
}

SCX_OPS_DEFINE(fixed_ops, .enqueue = (void *)fixed_enqueue, .name = "fixed");
