/* SPDX-License-Identifier: GPL-2.0-only */
/* Puts who yields behind all that came within the last 20 ms. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

#define SHARED 0

struct about {
	bool yielded;
};

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct about);
} tasks SEC(".maps");

s32 BPF_STRUCT_OPS(g_gives_init_task, struct task_struct *p, struct scx_init_task_args *args)
{
	return bpf_task_storage_get(&tasks, p, 0, BPF_LOCAL_STORAGE_GET_F_CREATE) ? 0 : -ENOMEM;
}

bool BPF_STRUCT_OPS(g_gives_yield, struct task_struct *from, struct task_struct *to)
{
	struct about *about = bpf_task_storage_get(&tasks, from, 0, 0);

	if (about)
		about->yielded = true;
	from->scx.slice = 0;
	return false;
}

void BPF_STRUCT_OPS(g_gives_enqueue, struct task_struct *p, u64 enq_flags)
{
	struct about *about = bpf_task_storage_get(&tasks, p, 0, 0);
	u64 at = scx_bpf_now();

	if (about && about->yielded) {
		about->yielded = false;
		at += 20000000;
	}
	scx_bpf_dsq_insert_vtime(p, SHARED, 5000000, at, enq_flags);
}

void BPF_STRUCT_OPS(g_gives_dispatch, s32 cpu, struct task_struct *prev)
{
	scx_bpf_dsq_move_to_local(SHARED, 0);
}

s32 BPF_STRUCT_OPS_SLEEPABLE(g_gives_init)
{
	return scx_bpf_create_dsq(SHARED, -1);
}

SCX_OPS_DEFINE(g_gives_ops, .enqueue = (void *)g_gives_enqueue,
	       .dispatch = (void *)g_gives_dispatch, .yield = (void *)g_gives_yield,
	       .init_task = (void *)g_gives_init_task, .init = (void *)g_gives_init,
	       .name = "g_gives");
