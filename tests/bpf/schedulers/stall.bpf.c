/* SPDX-License-Identifier: GPL-2.0-only */
/* Works for a while, then leaves every task where it is: the kernel's watchdog ends it,
 * which is set to see it well before a lease of seconds runs out. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

#define SHARED 0

/* Time of good behaviour after the start, ns. */
const volatile u64 good_ns = 500000000;

static u64 started_at;
UEI_DEFINE(uei);

void BPF_STRUCT_OPS(stall_enqueue, struct task_struct *p, u64 enq_flags)
{
	scx_bpf_dsq_insert(p, SHARED, SCX_SLICE_DFL, enq_flags);
}

void BPF_STRUCT_OPS(stall_dispatch, s32 cpu, struct task_struct *prev)
{
	if (bpf_ktime_get_ns() - started_at < good_ns)
		scx_bpf_dsq_move_to_local(SHARED);
}

s32 BPF_STRUCT_OPS_SLEEPABLE(stall_init)
{
	started_at = bpf_ktime_get_ns();
	return scx_bpf_create_dsq(SHARED, -1);
}

void BPF_STRUCT_OPS(stall_exit, struct scx_exit_info *ei)
{
	UEI_RECORD(uei, ei);
}

SCX_OPS_DEFINE(stall_ops, .enqueue = (void *)stall_enqueue, .dispatch = (void *)stall_dispatch,
	       .init = (void *)stall_init, .exit = (void *)stall_exit, .timeout_ms = 500,
	       .name = "t_stall");
