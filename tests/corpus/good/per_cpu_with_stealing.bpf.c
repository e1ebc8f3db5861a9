/* SPDX-License-Identifier: GPL-2.0-only */
/* A queue for each CPU; one without work steals, and every eighth turn each looks elsewhere first.
 */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

struct cpu_ctx {
	u64 turn;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct cpu_ctx);
} ctxs SEC(".maps");

static bool steal(s32 thief, u64 turn)
{
	u32 nr = scx_bpf_nr_cpu_ids(), i, from;

	bpf_for (i, 0, nr) {
		from = (thief + turn + i) % nr;
		if (scx_bpf_dsq_move_to_local(from, 0))
			return true;
	}
	return false;
}

s32 BPF_STRUCT_OPS(thieves_select_cpu, struct task_struct *p, s32 prev_cpu, u64 wake_flags)
{
	bool idle = false;
	s32 cpu = scx_bpf_select_cpu_dfl(p, prev_cpu, wake_flags, &idle);

	if (idle)
		scx_bpf_dsq_insert(p, SCX_DSQ_LOCAL, SCX_SLICE_DFL, 0);
	return cpu;
}

void BPF_STRUCT_OPS(thieves_enqueue, struct task_struct *p, u64 enq_flags)
{
	s32 cpu;

	scx_bpf_dsq_insert(p, scx_bpf_task_cpu(p), SCX_SLICE_DFL, enq_flags);
	cpu = scx_bpf_pick_idle_cpu(p->cpus_ptr, 0);
	if (cpu >= 0)
		scx_bpf_kick_cpu(cpu, SCX_KICK_IDLE);
}

void BPF_STRUCT_OPS(thieves_dispatch, s32 cpu, struct task_struct *prev)
{
	u32 zero = 0;
	struct cpu_ctx *c = bpf_map_lookup_elem(&ctxs, &zero);
	u64 turn = c ? c->turn++ : 0;

	if (turn % 8 == 7 && steal(cpu, turn / 8))
		return;
	if (!scx_bpf_dsq_move_to_local(cpu, 0))
		steal(cpu, 1);
}

void BPF_STRUCT_OPS(thieves_cpu_online, s32 cpu)
{
}

/* Whoever is bound to the CPU leaves it through the kernel's queue, which is still served. */
void BPF_STRUCT_OPS(thieves_cpu_offline, s32 cpu)
{
	u32 nr = scx_bpf_nr_cpu_ids(), queue;
	struct task_struct *p;

	bpf_for (queue, 0, nr) {
		bpf_for_each (scx_dsq, p, queue, 0) {
			if (scx_bpf_task_cpu(p) == cpu)
				scx_bpf_dsq_move(BPF_FOR_EACH_ITER, p, SCX_DSQ_GLOBAL, 0);
		}
	}
}

s32 BPF_STRUCT_OPS_SLEEPABLE(thieves_init)
{
	u32 nr = scx_bpf_nr_cpu_ids(), cpu;
	s32 error;

	bpf_for (cpu, 0, nr) {
		error = scx_bpf_create_dsq(cpu, -1);
		if (error)
			return error;
	}
	return 0;
}

SCX_OPS_DEFINE(thieves_ops, .select_cpu = (void *)thieves_select_cpu,
	       .enqueue = (void *)thieves_enqueue, .dispatch = (void *)thieves_dispatch,
	       .cpu_online = (void *)thieves_cpu_online, .cpu_offline = (void *)thieves_cpu_offline,
	       .init = (void *)thieves_init, .timeout_ms = 5000U, .name = "g_thieves");
