/* SPDX-License-Identifier: GPL-2.0-only */
/* One queue; what waits for a CPU that leaves the kernel queues anew. */
#include <scx/common.bpf.h>
char _license[] SEC("license") = "GPL";
#define Q 0
void BPF_STRUCT_OPS(keeps_enqueue, struct task_struct *p, u64 enq_flags)
{
	s32 cpu;
	scx_bpf_dsq_insert(p, Q, SCX_SLICE_DFL, enq_flags);
	cpu = scx_bpf_pick_idle_cpu(p->cpus_ptr, 0);
	if (cpu >= 0)
		scx_bpf_kick_cpu(cpu, SCX_KICK_IDLE);
}
void BPF_STRUCT_OPS(keeps_dispatch, s32 cpu, struct task_struct *prev)
{
	scx_bpf_dsq_move_to_local(Q, 0);
}
s32 BPF_STRUCT_OPS_SLEEPABLE(keeps_init)
{
	return scx_bpf_create_dsq(Q, -1);
}
void BPF_STRUCT_OPS_SLEEPABLE(keeps_online, s32 cpu)
{
}
void BPF_STRUCT_OPS_SLEEPABLE(keeps_offline, s32 cpu)
{
}
SCX_OPS_DEFINE(keeps_ops, .enqueue = (void *)keeps_enqueue, .dispatch = (void *)keeps_dispatch,
	       .init = (void *)keeps_init, .cpu_online = (void *)keeps_online,
	       .cpu_offline = (void *)keeps_offline, .timeout_ms = 3000, .name = "g_keeps_queue");
