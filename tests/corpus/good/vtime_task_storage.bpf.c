/* SPDX-License-Identifier: GPL-2.0-only */
/* Weighted vtime by measured CPU time, kept in task storage; the machine's clock only moves on. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

#define TIMELINE 0

struct task_time {
	u64 vtime, since;
};

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct task_time);
} times SEC(".maps");

const volatile u64 credit_ns = 5000000;
static u64 clock;

static struct task_time *time_of(struct task_struct *p)
{
	return bpf_task_storage_get(&times, p, 0, 0);
}

void BPF_STRUCT_OPS(stored_enqueue, struct task_struct *p, u64 enq_flags)
{
	struct task_time *t = time_of(p);

	if (!t) {
		scx_bpf_dsq_insert_vtime(p, TIMELINE, 3000000, clock, enq_flags);
		return;
	}
	if (time_before(t->vtime, clock - credit_ns))
		t->vtime = clock - credit_ns;
	scx_bpf_dsq_insert_vtime(p, TIMELINE, 3000000, t->vtime, enq_flags);
}

void BPF_STRUCT_OPS(stored_dispatch, s32 cpu, struct task_struct *prev)
{
	scx_bpf_dsq_move_to_local(TIMELINE, 0);
}

void BPF_STRUCT_OPS(stored_running, struct task_struct *p)
{
	struct task_time *t = time_of(p);
	u64 now = clock;

	if (!t)
		return;
	t->since = scx_bpf_now();
	if (time_before(now, t->vtime))
		__sync_val_compare_and_swap(&clock, now, t->vtime);
}

void BPF_STRUCT_OPS(stored_stopping, struct task_struct *p, bool runnable)
{
	struct task_time *t = time_of(p);

	if (t)
		t->vtime += scale_by_task_weight_inverse(p, scx_bpf_now() - t->since);
}

s32 BPF_STRUCT_OPS(stored_init_task, struct task_struct *p, struct scx_init_task_args *args)
{
	struct task_time *t = bpf_task_storage_get(&times, p, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);

	if (!t)
		return -ENOMEM;
	t->vtime = clock;
	return 0;
}

s32 BPF_STRUCT_OPS_SLEEPABLE(stored_init)
{
	return scx_bpf_create_dsq(TIMELINE, -1);
}

SCX_OPS_DEFINE(stored_ops, .enqueue = (void *)stored_enqueue, .dispatch = (void *)stored_dispatch,
	       .running = (void *)stored_running, .stopping = (void *)stored_stopping,
	       .init_task = (void *)stored_init_task, .init = (void *)stored_init,
	       .name = "g_stored");
