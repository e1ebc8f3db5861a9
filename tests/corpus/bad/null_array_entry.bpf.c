/* SPDX-License-Identifier: GPL-2.0-only */
/* Counts what it does in a per-CPU array. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

enum { STAT_LOCAL, STAT_GLOBAL, NR_COUNTERS };

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, NR_COUNTERS);
	__type(key, u32);
	__type(value, u64);
} stats SEC(".maps");

static void stat_inc(u32 which)
{
	u64 *counter = bpf_map_lookup_elem(&stats, &which);

	(*counter)++;
}

s32 BPF_STRUCT_OPS(stat_select_cpu, struct task_struct *p, s32 prev_cpu, u64 wake_flags)
{
	bool idle = false;
	s32 cpu = scx_bpf_select_cpu_dfl(p, prev_cpu, wake_flags, &idle);

	if (idle) {
		stat_inc(STAT_LOCAL);
		scx_bpf_dsq_insert(p, SCX_DSQ_LOCAL, SCX_SLICE_DFL, 0);
	}
	return cpu;
}

void BPF_STRUCT_OPS(stat_enqueue, struct task_struct *p, u64 enq_flags)
{
	stat_inc(STAT_GLOBAL);
	scx_bpf_dsq_insert(p, SCX_DSQ_GLOBAL, SCX_SLICE_DFL, enq_flags);
}

SCX_OPS_DEFINE(stat_ops, .select_cpu = (void *)stat_select_cpu, .enqueue = (void *)stat_enqueue,
	       .name = "stat");
