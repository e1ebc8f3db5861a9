/* SPDX-License-Identifier: GPL-2.0-only */
/* A queue for each CPU, made when the CPU comes online. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

void BPF_STRUCT_OPS(lazy_cpu_online, s32 cpu)
{
	scx_bpf_kick_cpu(cpu, SCX_KICK_IDLE);
}

s32 BPF_STRUCT_OPS_SLEEPABLE(lazy_init_task, struct task_struct *p, struct scx_init_task_args *args)
{
	s32 error;

	if (!args->fork)
		return 0;
	error = scx_bpf_create_dsq(scx_bpf_task_cpu(p), -1);
	return error == -EEXIST ? 0 : error;
}

void BPF_STRUCT_OPS(lazy_enqueue, struct task_struct *p, u64 enq_flags)
{
	scx_bpf_dsq_insert(p, scx_bpf_task_cpu(p), SCX_SLICE_DFL, enq_flags);
}

void BPF_STRUCT_OPS(lazy_dispatch, s32 cpu, struct task_struct *prev)
{
	scx_bpf_dsq_move_to_local(cpu, 0);
}

SCX_OPS_DEFINE(lazy_ops, .init_task = (void *)lazy_init_task, .cpu_online = (void *)lazy_cpu_online,
	       .enqueue = (void *)lazy_enqueue, .dispatch = (void *)lazy_dispatch, .name = "lazy");
