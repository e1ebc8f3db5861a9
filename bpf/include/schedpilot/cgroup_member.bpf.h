/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a task's context has for control groups. Include this before `struct task_ctx`, and put
 * into that
 *
 *	struct member member; its place among control groups
 */
#ifndef SCHEDPILOT_CGROUP_MEMBER_BPF_H
#define SCHEDPILOT_CGROUP_MEMBER_BPF_H

#include <scx/common.bpf.h>

struct member {
	u32 slot;	/* number of its group, see <schedpilot/cgroups.bpf.h> */
	u32 weighs;	/* directly in the root: its part of that weight; 0 while it sleeps */
	u64 charged_at; /* until when the group has been charged for it, ns; 0: it does not run */
	u64 burst;	/* CPU time since it last slept, ns */
	u64 last_burst; /* the same at its last sleep, ns */
	u64 waits_from; /* when it began to wait for a CPU, ns; 0: it does not */
};

#endif
