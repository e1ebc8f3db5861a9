/* SPDX-License-Identifier: GPL-2.0-only */
/* Counts on a callback that the simulator never makes. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

s32 BPF_STRUCT_OPS_SLEEPABLE(cgroups_cgroup_init, struct cgroup *cgrp,
			     struct scx_cgroup_init_args *args)
{
	return 0;
}

SCX_OPS_DEFINE(cgroups_ops, .cgroup_init = (void *)cgroups_cgroup_init, .name = "t_cgroups");
