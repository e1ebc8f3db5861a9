/* SPDX-License-Identifier: GPL-2.0-only */
/* Spreads tasks over as many queues as CPUs are online; CPUs that come and go are counted. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

static u32 nr_online;

static u64 home(const struct task_struct *p)
{
	u32 nr = nr_online;

	return nr ? (u32)p->pid % nr : 0;
}

void BPF_STRUCT_OPS(homes_enqueue, struct task_struct *p, u64 enq_flags)
{
	scx_bpf_dsq_insert(p, home(p), SCX_SLICE_DFL, enq_flags);
}

void BPF_STRUCT_OPS(homes_dispatch, s32 cpu, struct task_struct *prev)
{
	u32 nr = nr_online, i;

	if (scx_bpf_dsq_move_to_local((u32)cpu % (nr ? nr : 1), 0))
		return;
	bpf_for (i, 0, nr) {
		if (scx_bpf_dsq_move_to_local(i, 0))
			return;
	}
}

void BPF_STRUCT_OPS(homes_cpu_online, s32 cpu)
{
	__sync_fetch_and_add(&nr_online, 1);
}

void BPF_STRUCT_OPS(homes_cpu_offline, s32 cpu)
{
	__sync_fetch_and_sub(&nr_online, 1);
}

s32 BPF_STRUCT_OPS_SLEEPABLE(homes_init)
{
	const struct cpumask *online = scx_bpf_get_online_cpumask();
	s32 i, error = 0;

	nr_online = bpf_cpumask_weight(online);
	scx_bpf_put_cpumask(online);
	bpf_for (i, 0, nr_online) {
		error = scx_bpf_create_dsq(i, -1);
		if (error)
			break;
	}
	return error;
}

SCX_OPS_DEFINE(homes_ops, .enqueue = (void *)homes_enqueue, .dispatch = (void *)homes_dispatch,
	       .cpu_online = (void *)homes_cpu_online, .cpu_offline = (void *)homes_cpu_offline,
	       .init = (void *)homes_init, .timeout_ms = 5000U, .name = "homes");
