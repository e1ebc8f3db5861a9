/* SPDX-License-Identifier: GPL-2.0-only */
/* Tells a process its place in the line by a word in its own memory. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

const volatile u64 address;
static u64 place;

void BPF_STRUCT_OPS(teller_enqueue, struct task_struct *p, u64 enq_flags)
{
	scx_bpf_dsq_insert(p, SCX_DSQ_GLOBAL, SCX_SLICE_DFL, enq_flags);
}

void BPF_STRUCT_OPS(teller_running, struct task_struct *p)
{
	u64 now = __sync_fetch_and_add(&place, 1);

	if (address)
		bpf_probe_write_user((void *)address, &now, sizeof(now));
}

SCX_OPS_DEFINE(teller_ops, .enqueue = (void *)teller_enqueue, .running = (void *)teller_running,
	       .name = "teller");
