/* SPDX-License-Identifier: GPL-2.0-only */
/* Has the callbacks for cgroups' weights and quotas, and does nothing in them. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

#define SHARED 0

void BPF_STRUCT_OPS(deaf_enqueue, struct task_struct *p, u64 enq_flags)
{
	scx_bpf_dsq_insert(p, SHARED, 5000000, enq_flags);
}

void BPF_STRUCT_OPS(deaf_dispatch, s32 cpu, struct task_struct *prev)
{
	scx_bpf_dsq_move_to_local(SHARED);
}

s32 BPF_STRUCT_OPS_SLEEPABLE(deaf_init)
{
	return scx_bpf_create_dsq(SHARED, -1);
}

void BPF_STRUCT_OPS(deaf_set_weight, struct cgroup *cgrp, u32 weight)
{
}

void BPF_STRUCT_OPS(deaf_set_bandwidth, struct cgroup *cgrp, u64 period_us, u64 quota_us,
		    u64 burst_us)
{
}

SCX_OPS_DEFINE(deaf_ops, .enqueue = (void *)deaf_enqueue, .dispatch = (void *)deaf_dispatch,
	       .init = (void *)deaf_init, .cgroup_set_weight = (void *)deaf_set_weight,
	       .cgroup_set_bandwidth = (void *)deaf_set_bandwidth, .name = "t_deaf");
