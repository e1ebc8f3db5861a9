/* SPDX-License-Identifier: GPL-2.0-only */
/* A wakeup preempts whoever has run for more than 2 ms on the CPU that it comes to. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

#define FIFO 0

struct cpu_ctx {
	u64 since;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct cpu_ctx);
} cpus SEC(".maps");

static struct cpu_ctx *ctx_of(s32 cpu)
{
	u32 zero = 0;

	return bpf_map_lookup_percpu_elem(&cpus, &zero, cpu);
}

void BPF_STRUCT_OPS(brisk_enqueue, struct task_struct *p, u64 enq_flags)
{
	s32 cpu = scx_bpf_task_cpu(p);
	struct cpu_ctx *c = ctx_of(cpu);

	scx_bpf_dsq_insert(p, FIFO, 8000000, enq_flags);
	if (!(enq_flags & SCX_ENQ_WAKEUP))
		return;
	if (c && c->since && scx_bpf_now() - c->since > 2000000)
		scx_bpf_kick_cpu(cpu, SCX_KICK_PREEMPT);
}

void BPF_STRUCT_OPS(brisk_dispatch, s32 cpu, struct task_struct *prev)
{
	scx_bpf_dsq_move_to_local(FIFO, 0);
}

void BPF_STRUCT_OPS(brisk_running, struct task_struct *p)
{
	struct cpu_ctx *c = ctx_of(scx_bpf_task_cpu(p));

	if (c)
		c->since = scx_bpf_now();
}

void BPF_STRUCT_OPS(brisk_stopping, struct task_struct *p, bool runnable)
{
	struct cpu_ctx *c = ctx_of(scx_bpf_task_cpu(p));

	if (c)
		c->since = 0;
}

s32 BPF_STRUCT_OPS_SLEEPABLE(brisk_init)
{
	return scx_bpf_create_dsq(FIFO, -1);
}

SCX_OPS_DEFINE(brisk_ops, .enqueue = (void *)brisk_enqueue, .dispatch = (void *)brisk_dispatch,
	       .running = (void *)brisk_running, .stopping = (void *)brisk_stopping,
	       .init = (void *)brisk_init, .name = "g_brisk");
