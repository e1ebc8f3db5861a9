// SPDX-License-Identifier: GPL-2.0-only
/* Each CPU has its own queue and a counter of its own, and all count in one more. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

static u64 all_turns;

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, u64);
} own_turns SEC(".maps");

struct turns {
	u64 nr;
};

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct turns);
} turns_of_tasks SEC(".maps");

void BPF_STRUCT_OPS(counts_enqueue, struct task_struct *p, u64 enq_flags)
{
	scx_bpf_dsq_insert(p, SCX_DSQ_LOCAL, 1000000, enq_flags);
}

void BPF_STRUCT_OPS(counts_running, struct task_struct *p)
{
	struct turns *turns = bpf_task_storage_get(&turns_of_tasks, p, 0, 0);
	u32 zero = 0;
	u64 *own = bpf_map_lookup_elem(&own_turns, &zero);

	if (own)
		(*own)++;
	if (turns)
		turns->nr++;
	__sync_fetch_and_add(&all_turns, 1);
}

s32 BPF_STRUCT_OPS(counts_init_task, struct task_struct *p, struct scx_init_task_args *args)
{
	return bpf_task_storage_get(&turns_of_tasks, p, 0, BPF_LOCAL_STORAGE_GET_F_CREATE) ? 0
											   : -12;
}

SCX_OPS_DEFINE(counts_ops, .enqueue = (void *)counts_enqueue, .running = (void *)counts_running,
	       .init_task = (void *)counts_init_task, .name = "counts");
