/* SPDX-License-Identifier: GPL-2.0-only */
/* Remembers each run of each task, to learn from later. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

struct run {
	s32 pid;
	u64 at;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1 << 24);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct run);
	__type(value, u64);
} runs SEC(".maps");

void BPF_STRUCT_OPS(diary_enqueue, struct task_struct *p, u64 enq_flags)
{
	scx_bpf_dsq_insert(p, SCX_DSQ_GLOBAL, SCX_SLICE_DFL, enq_flags);
}

void BPF_STRUCT_OPS(diary_stopping, struct task_struct *p, bool runnable)
{
	struct run key = {};
	u64 left = p->scx.slice;

	key.pid = p->pid;
	key.at = scx_bpf_now();
	bpf_map_update_elem(&runs, &key, &left, BPF_ANY);
}

SCX_OPS_DEFINE(diary_ops, .enqueue = (void *)diary_enqueue, .stopping = (void *)diary_stopping,
	       .name = "diary");
