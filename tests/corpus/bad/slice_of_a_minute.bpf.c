/* SPDX-License-Identifier: GPL-2.0-only */
/* Long slices for throughput, as the manual of our batch system says. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

#define MSEC   1000000ULL
#define SEC_NS (1000ULL * MSEC)

const volatile u64 slice_ns = 60ULL * SEC_NS;

void BPF_STRUCT_OPS(grid_enqueue, struct task_struct *p, u64 enq_flags)
{
	scx_bpf_dsq_insert(p, SCX_DSQ_GLOBAL, slice_ns, enq_flags);
}

SCX_OPS_DEFINE(grid_ops, .enqueue = (void *)grid_enqueue, .timeout_ms = 5000U, .name = "grid");
