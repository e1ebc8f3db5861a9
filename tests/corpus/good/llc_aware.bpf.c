/* SPDX-License-Identifier: GPL-2.0-only */
/* A queue for each last-level cache; a CPU serves its own cache's first, and now and then
 * another's. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

extern const int sd_llc_id __ksym __weak;

static u64 turns;

static u64 llc_of(s32 cpu)
{
	const int *id;

	if (!&sd_llc_id)
		return 0;
	id = bpf_per_cpu_ptr(&sd_llc_id, cpu);
	return id ? (u32)*id : 0;
}

void BPF_STRUCT_OPS(llc_enqueue, struct task_struct *p, u64 enq_flags)
{
	s32 cpu;

	scx_bpf_dsq_insert(p, llc_of(scx_bpf_task_cpu(p)), SCX_SLICE_DFL, enq_flags);
	cpu = scx_bpf_pick_idle_cpu(p->cpus_ptr, 0);
	if (cpu >= 0)
		scx_bpf_kick_cpu(cpu, SCX_KICK_IDLE);
}

static bool elsewhere(u64 start)
{
	u32 nr = scx_bpf_nr_cpu_ids(), i;

	bpf_for (i, 0, nr) {
		if (scx_bpf_dsq_move_to_local((start + i) % nr, 0))
			return true;
	}
	return false;
}

void BPF_STRUCT_OPS(llc_dispatch, s32 cpu, struct task_struct *prev)
{
	u64 turn = __sync_fetch_and_add(&turns, 1);

	if (turn % 16 == 15 && elsewhere(turn / 16))
		return;
	if (!scx_bpf_dsq_move_to_local(llc_of(cpu), 0))
		elsewhere(turn);
}

/* A cache has the number of one of its CPUs. */
s32 BPF_STRUCT_OPS_SLEEPABLE(llc_init)
{
	u32 nr = scx_bpf_nr_cpu_ids(), i;
	s32 error = 0;

	bpf_for (i, 0, nr) {
		error = scx_bpf_create_dsq(i, -1);
		if (error)
			break;
	}
	return error;
}

SCX_OPS_DEFINE(llc_ops, .enqueue = (void *)llc_enqueue, .dispatch = (void *)llc_dispatch,
	       .init = (void *)llc_init, .name = "g_llc");
