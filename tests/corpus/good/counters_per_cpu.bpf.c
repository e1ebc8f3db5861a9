/* SPDX-License-Identifier: GPL-2.0-only */
/* Global FIFO that counts what it does, for each CPU, and sums up by a callback. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

enum { COUNT_DIRECT, COUNT_QUEUED, NR_COUNTS };

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, NR_COUNTS);
	__type(key, u32);
	__type(value, u64);
} counts SEC(".maps");

u64 total;

static void count(u32 which)
{
	u64 *value = bpf_map_lookup_elem(&counts, &which);

	if (value)
		(*value)++;
}

static long add(struct bpf_map *map, u32 *key, u64 *value, u64 *sum)
{
	*sum += *value;
	return 0;
}

s32 BPF_STRUCT_OPS(counts_select_cpu, struct task_struct *p, s32 prev_cpu, u64 wake_flags)
{
	bool idle = false;
	s32 cpu = scx_bpf_select_cpu_dfl(p, prev_cpu, wake_flags, &idle);

	if (idle) {
		count(COUNT_DIRECT);
		scx_bpf_dsq_insert(p, SCX_DSQ_LOCAL, SCX_SLICE_DFL, 0);
	}
	return cpu;
}

void BPF_STRUCT_OPS(counts_enqueue, struct task_struct *p, u64 enq_flags)
{
	count(COUNT_QUEUED);
	scx_bpf_dsq_insert(p, SCX_DSQ_GLOBAL, SCX_SLICE_DFL, enq_flags);
}

void BPF_STRUCT_OPS(counts_tick, struct task_struct *p)
{
	u64 sum = 0;

	bpf_for_each_map_elem(&counts, add, &sum, 0);
	total = sum;
}

SCX_OPS_DEFINE(counts_ops, .select_cpu = (void *)counts_select_cpu,
	       .enqueue = (void *)counts_enqueue, .tick = (void *)counts_tick, .name = "g_counts");
