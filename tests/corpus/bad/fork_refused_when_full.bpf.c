/* SPDX-License-Identifier: GPL-2.0-only */
/* Knows every task by pid; a task it cannot remember may not start. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

struct known {
	u64 born_at;
	u64 ran_ns;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 256);
	__type(key, s32);
	__type(value, struct known);
} known SEC(".maps");

s32 BPF_STRUCT_OPS(census_init_task, struct task_struct *p, struct scx_init_task_args *args)
{
	struct known new = {.born_at = scx_bpf_now()};
	s32 pid = p->pid;

	return bpf_map_update_elem(&known, &pid, &new, BPF_ANY);
}

void BPF_STRUCT_OPS(census_enqueue, struct task_struct *p, u64 enq_flags)
{
	scx_bpf_dsq_insert(p, SCX_DSQ_GLOBAL, SCX_SLICE_DFL, enq_flags);
}

void BPF_STRUCT_OPS(census_stopping, struct task_struct *p, bool runnable)
{
	s32 pid = p->pid;
	struct known *k = bpf_map_lookup_elem(&known, &pid);

	if (k)
		k->ran_ns = p->se.sum_exec_runtime;
}

SCX_OPS_DEFINE(census_ops, .init_task = (void *)census_init_task, .enqueue = (void *)census_enqueue,
	       .stopping = (void *)census_stopping, .name = "census");
