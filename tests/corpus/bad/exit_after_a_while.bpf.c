/* SPDX-License-Identifier: GPL-2.0-only */
/* Runs for a number of decisions, then asks to be loaded anew with fresh statistics. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

#define DECISIONS 2000

static u64 decisions;

void BPF_STRUCT_OPS(fresh_enqueue, struct task_struct *p, u64 enq_flags)
{
	if (__sync_fetch_and_add(&decisions, 1) == DECISIONS)
		scx_bpf_exit(1ULL << 48, "fresh start after %d decisions", DECISIONS);
	scx_bpf_dsq_insert(p, SCX_DSQ_GLOBAL, SCX_SLICE_DFL, enq_flags);
}

SCX_OPS_DEFINE(fresh_ops, .enqueue = (void *)fresh_enqueue, .name = "fresh");
