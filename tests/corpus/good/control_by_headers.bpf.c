/* SPDX-License-Identifier: GPL-2.0-only */
/* First come, first served; weights, quotas and idle groups are left to schedpilot's headers. */
#include <schedpilot/cgroup_member.bpf.h>
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

#define QUEUE 0
#define SLICE 5000000ULL

struct task_ctx {
	struct member member;
	u64 queued_at;
};

#include <schedpilot/cgroup_hold.bpf.h>

s32 BPF_STRUCT_OPS(g_headers_select_cpu, struct task_struct *p, s32 prev_cpu, u64 wake_flags)
{
	bool idle = false;

	return scx_bpf_select_cpu_dfl(p, prev_cpu, wake_flags, &idle);
}

void BPF_STRUCT_OPS(g_headers_enqueue, struct task_struct *p, u64 enq_flags)
{
	struct task_ctx *t = ctx_of(p);

	if (t)
		t->queued_at = scx_bpf_now();
	if (t && holds(p, t, enq_flags))
		return;
	scx_bpf_dsq_insert(p, QUEUE, SLICE, enq_flags);
	wake_idle_cpu(p);
}

static void requeue(struct bpf_iter_scx_dsq *it, struct task_struct *p, struct task_ctx *t, u32 llc)
{
	scx_bpf_dsq_move(it, p, QUEUE, 0);
}

void BPF_STRUCT_OPS(g_headers_dispatch, s32 cpu, struct task_struct *prev)
{
	stays(prev, scx_bpf_now());
	if (!scx_bpf_dsq_move_to_local(QUEUE, 0))
		last_resort(prev, SLICE);
}

void BPF_STRUCT_OPS(g_headers_runnable, struct task_struct *p, u64 enq_flags)
{
	struct task_ctx *t = ctx_of(p);

	if (t)
		group_runnable(p, t);
}

void BPF_STRUCT_OPS(g_headers_quiescent, struct task_struct *p, u64 deq_flags)
{
	struct task_ctx *t = ctx_of(p);

	if (t)
		group_quiescent(t);
}

void BPF_STRUCT_OPS(g_headers_running, struct task_struct *p)
{
	struct task_ctx *t = ctx_of(p);

	if (t)
		group_runs(p, t, scx_bpf_now());
}

void BPF_STRUCT_OPS(g_headers_stopping, struct task_struct *p, bool runnable)
{
	struct task_ctx *t = ctx_of(p);

	if (t)
		group_stops(t, scx_bpf_now());
}

s32 BPF_STRUCT_OPS(g_headers_init_task, struct task_struct *p, struct scx_init_task_args *args)
{
	struct task_ctx *t = new_ctx(p);

	if (!t)
		return -ENOMEM;
	group_joins(t, args);
	return 0;
}

void BPF_STRUCT_OPS(g_headers_cpu_online, s32 cpu)
{
	cpu_comes(cpu);
}

void BPF_STRUCT_OPS(g_headers_cpu_offline, s32 cpu)
{
	cpu_goes(cpu);
	hand_over(QUEUE, cpu);
	hand_over_held(cpu);
}

s32 BPF_STRUCT_OPS_SLEEPABLE(g_headers_init)
{
	return llcs_init() ?: groups_init() ?: scx_bpf_create_dsq(QUEUE, -1);
}

SCX_OPS_DEFINE(g_headers_ops, .select_cpu = (void *)g_headers_select_cpu,
	       .enqueue = (void *)g_headers_enqueue, .dispatch = (void *)g_headers_dispatch,
	       .runnable = (void *)g_headers_runnable, .quiescent = (void *)g_headers_quiescent,
	       .running = (void *)g_headers_running, .stopping = (void *)g_headers_stopping,
	       .init_task = (void *)g_headers_init_task, .cpu_online = (void *)g_headers_cpu_online,
	       .cpu_offline = (void *)g_headers_cpu_offline, .init = (void *)g_headers_init,
	       GROUP_OPS.flags = SCX_OPS_ENQ_LAST, .name = "g_headers");
