/* SPDX-License-Identifier: GPL-2.0-only */
/* Writes behind the value of a map. The kernel's verifier would refuse it. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, u64);
} storage SEC(".maps");

u32 seen;

s32 BPF_STRUCT_OPS(bad_init_task, struct task_struct *p, struct scx_init_task_args *args)
{
	return bpf_task_storage_get(&storage, p, 0, BPF_LOCAL_STORAGE_GET_F_CREATE) ? 0 : -ENOMEM;
}

void BPF_STRUCT_OPS(bad_enqueue, struct task_struct *p, u64 enq_flags)
{
	volatile u64 *value = bpf_task_storage_get(&storage, p, 0, 0);
	u32 at = seen / 10;

	seen++;
	if (!value)
		return;
	scx_bpf_dsq_insert(p, SCX_DSQ_GLOBAL, SCX_SLICE_DFL, enq_flags);
	value[at] = 1;
}

SCX_OPS_DEFINE(bad_ops, .init_task = (void *)bad_init_task, .enqueue = (void *)bad_enqueue,
	       .name = "t_past_the_end");
