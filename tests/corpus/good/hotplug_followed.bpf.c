/* SPDX-License-Identifier: GPL-2.0-only */
/* Slices follow the number of CPUs, which come and go; bound tasks of a leaving CPU leave with it.
 */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

#define MAIN 0

static s64 nr_online = 1;

void BPF_STRUCT_OPS(follows_enqueue, struct task_struct *p, u64 enq_flags)
{
	s64 cpus = nr_online > 0 ? nr_online : 1;
	s32 waiting = scx_bpf_dsq_nr_queued(MAIN);
	u64 slice = 40000000ULL * cpus / (waiting > 0 ? waiting + 1 : 1);

	if (slice > 6000000)
		slice = 6000000;
	if (slice < 1000000)
		slice = 1000000;
	scx_bpf_dsq_insert(p, MAIN, slice, enq_flags);
}

void BPF_STRUCT_OPS(follows_dispatch, s32 cpu, struct task_struct *prev)
{
	scx_bpf_dsq_move_to_local(MAIN, 0);
}

void BPF_STRUCT_OPS(follows_cpu_online, s32 cpu)
{
	__sync_fetch_and_add(&nr_online, 1);
}

/* dispatch() is no longer called there; the global queue is served to the last. */
void BPF_STRUCT_OPS(follows_cpu_offline, s32 cpu)
{
	struct task_struct *p;

	__sync_fetch_and_sub(&nr_online, 1);
	bpf_for_each (scx_dsq, p, MAIN, 0) {
		if (scx_bpf_task_cpu(p) == cpu)
			scx_bpf_dsq_move(BPF_FOR_EACH_ITER, p, SCX_DSQ_GLOBAL, 0);
	}
}

s32 BPF_STRUCT_OPS_SLEEPABLE(follows_init)
{
	const struct cpumask *online = scx_bpf_get_online_cpumask();

	nr_online = bpf_cpumask_weight(online);
	scx_bpf_put_cpumask(online);
	return scx_bpf_create_dsq(MAIN, -1);
}

SCX_OPS_DEFINE(follows_ops, .enqueue = (void *)follows_enqueue,
	       .dispatch = (void *)follows_dispatch, .cpu_online = (void *)follows_cpu_online,
	       .cpu_offline = (void *)follows_cpu_offline, .init = (void *)follows_init,
	       .timeout_ms = 5000U, .name = "g_follows");
