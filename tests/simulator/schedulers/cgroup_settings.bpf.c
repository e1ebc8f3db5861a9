/* SPDX-License-Identifier: GPL-2.0-only */
/* Says what it hears of a cgroup: weight, cpu.idle, cpu.max. Ends itself at one of the calls. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

UEI_DEFINE(uei);

/* Which call it ends at, from 1 on; 0: none. Those for the root do not count. */
const volatile u32 end_at;
u32 nr_calls;

static bool is_the_one(struct cgroup *cgrp)
{
	return cgrp->level && ++nr_calls == end_at;
}

s32 BPF_STRUCT_OPS_SLEEPABLE(settings_cgroup_init, struct cgroup *cgrp,
			     struct scx_cgroup_init_args *args)
{
	if (!is_the_one(cgrp))
		return 0;
	scx_bpf_exit(0, "init weight %u idle %d quota %lld period %llu burst %llu", args->weight,
		     args->sched_idle, args->bw_quota_us, args->bw_period_us, args->bw_burst_us);
	return 0;
}

void BPF_STRUCT_OPS(settings_set_weight, struct cgroup *cgrp, u32 weight)
{
	if (is_the_one(cgrp))
		scx_bpf_exit(0, "weight %u", weight);
}

void BPF_STRUCT_OPS(settings_set_idle, struct cgroup *cgrp, bool idle)
{
	if (is_the_one(cgrp))
		scx_bpf_exit(0, "idle %d", idle);
}

void BPF_STRUCT_OPS(settings_set_bandwidth, struct cgroup *cgrp, u64 period_us, u64 quota_us,
		    u64 burst_us)
{
	if (is_the_one(cgrp))
		scx_bpf_exit(0, "quota %lld period %llu burst %llu", quota_us, period_us, burst_us);
}

void BPF_STRUCT_OPS(settings_exit, struct scx_exit_info *ei)
{
	UEI_RECORD(uei, ei);
}

/* clang-format off */
SCX_OPS_DEFINE(settings_ops,
	       .cgroup_init		= (void *)settings_cgroup_init,
	       .cgroup_set_weight	= (void *)settings_set_weight,
	       .cgroup_set_idle		= (void *)settings_set_idle,
	       .cgroup_set_bandwidth	= (void *)settings_set_bandwidth,
	       .exit			= (void *)settings_exit,
	       .name			= "t_settings");
/* clang-format on */
