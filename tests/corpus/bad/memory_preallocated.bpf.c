/* SPDX-License-Identifier: GPL-2.0-only */
/* A table of all pids there can be, with room for notes on each. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

struct notes {
	u64 history[128];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 4 << 20);
	__type(key, u32);
	__type(value, struct notes);
} notes SEC(".maps");

void BPF_STRUCT_OPS(notes_enqueue, struct task_struct *p, u64 enq_flags)
{
	u32 pid = p->pid;
	struct notes *n = bpf_map_lookup_elem(&notes, &pid);

	if (n)
		n->history[0] = scx_bpf_now();
	scx_bpf_dsq_insert(p, SCX_DSQ_GLOBAL, SCX_SLICE_DFL, enq_flags);
}

SCX_OPS_DEFINE(notes_ops, .enqueue = (void *)notes_enqueue, .name = "notes");
