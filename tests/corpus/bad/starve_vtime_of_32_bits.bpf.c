/* SPDX-License-Identifier: GPL-2.0-only */
/* Virtual time in one queue; 32 bits are enough for differences. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

#define TREE 0

static u32 now_v;

struct vt {
	u32 at;
};

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct vt);
} vts SEC(".maps");

void BPF_STRUCT_OPS(narrow_enqueue, struct task_struct *p, u64 enq_flags)
{
	struct vt *v = bpf_task_storage_get(&vts, p, 0, 0);

	if (v && (s32)(now_v - v->at) > 20000000)
		v->at = now_v - 20000000;
	scx_bpf_dsq_insert_vtime(p, TREE, SCX_SLICE_DFL, v ? v->at : now_v, enq_flags);
}

void BPF_STRUCT_OPS(narrow_dispatch, s32 cpu, struct task_struct *prev)
{
	scx_bpf_dsq_move_to_local(TREE, 0);
}

void BPF_STRUCT_OPS(narrow_running, struct task_struct *p)
{
	struct vt *v = bpf_task_storage_get(&vts, p, 0, 0);

	if (v && (s32)(v->at - now_v) > 0)
		now_v = v->at;
}

void BPF_STRUCT_OPS(narrow_stopping, struct task_struct *p, bool runnable)
{
	struct vt *v = bpf_task_storage_get(&vts, p, 0, 0);

	/* In units of a weight of 1, so that nothing is lost to rounding. */
	if (v)
		v->at += (SCX_SLICE_DFL - p->scx.slice) * 10000 / p->scx.weight;
}

s32 BPF_STRUCT_OPS(narrow_init_task, struct task_struct *p, struct scx_init_task_args *args)
{
	struct vt *v = bpf_task_storage_get(&vts, p, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);

	if (!v)
		return -ENOMEM;
	v->at = now_v;
	return 0;
}

s32 BPF_STRUCT_OPS_SLEEPABLE(narrow_init)
{
	return scx_bpf_create_dsq(TREE, -1);
}

SCX_OPS_DEFINE(narrow_ops, .enqueue = (void *)narrow_enqueue, .dispatch = (void *)narrow_dispatch,
	       .running = (void *)narrow_running, .stopping = (void *)narrow_stopping,
	       .init_task = (void *)narrow_init_task, .init = (void *)narrow_init,
	       .timeout_ms = 5000U, .name = "narrow");
