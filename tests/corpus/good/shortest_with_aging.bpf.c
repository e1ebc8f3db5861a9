/* SPDX-License-Identifier: GPL-2.0-only */
/* Shortest burst first, where waiting counts: the place in the line is the time of arrival plus the
 * burst. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

#define LINE	   0
#define LONGEST_NS 50000000ULL

struct burst {
	u64 average_ns, before_ns;
};

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct burst);
} bursts SEC(".maps");

static u64 expected(struct task_struct *p)
{
	struct burst *b = bpf_task_storage_get(&bursts, p, 0, 0);

	if (!b)
		return LONGEST_NS;
	return b->average_ns < LONGEST_NS ? b->average_ns : LONGEST_NS;
}

void BPF_STRUCT_OPS(aging_enqueue, struct task_struct *p, u64 enq_flags)
{
	scx_bpf_dsq_insert_vtime(p, LINE, SCX_SLICE_DFL, scx_bpf_now() + expected(p), enq_flags);
}

void BPF_STRUCT_OPS(aging_dispatch, s32 cpu, struct task_struct *prev)
{
	scx_bpf_dsq_move_to_local(LINE, 0);
}

void BPF_STRUCT_OPS(aging_quiescent, struct task_struct *p, u64 deq_flags)
{
	struct burst *b = bpf_task_storage_get(&bursts, p, 0, 0);
	u64 total = p->se.sum_exec_runtime;

	if (!b || !(deq_flags & SCX_DEQ_SLEEP))
		return;
	b->average_ns = __calc_avg(b->average_ns, total - b->before_ns, 2);
	b->before_ns = total;
}

s32 BPF_STRUCT_OPS(aging_init_task, struct task_struct *p, struct scx_init_task_args *args)
{
	struct burst first = {.average_ns = 1000000, .before_ns = p->se.sum_exec_runtime};

	return bpf_task_storage_get(&bursts, p, &first, BPF_LOCAL_STORAGE_GET_F_CREATE) ? 0
											: -ENOMEM;
}

s32 BPF_STRUCT_OPS_SLEEPABLE(aging_init)
{
	return scx_bpf_create_dsq(LINE, -1);
}

SCX_OPS_DEFINE(aging_ops, .enqueue = (void *)aging_enqueue, .dispatch = (void *)aging_dispatch,
	       .quiescent = (void *)aging_quiescent, .init_task = (void *)aging_init_task,
	       .init = (void *)aging_init, .name = "g_aging");
