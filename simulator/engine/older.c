// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * kfuncs as kernels before 6.19 or 7.1 have them, under the names that compat.bpf.h gives them.
 * They do the same as the later ones, which those kernels lack.
 */
#include "kernel.h"

bool scx_bpf_dsq_insert___v2___compat(struct task_struct *p, u64 dsq_id, u64 slice, u64 flags);
bool scx_bpf_dsq_move_to_local___v2___compat(u64 dsq_id, u64 flags);
void scx_bpf_reenqueue_local___v2___compat(void);

struct vtime_args {
	u64 dsq_id, slice, vtime, enq_flags;
};
bool __scx_bpf_dsq_insert_vtime(struct task_struct *p, struct vtime_args *args);

struct select_args {
	s32 prev_cpu;
	u64 wake_flags, flags;
};
s32 __scx_bpf_select_cpu_and(struct task_struct *p, const struct cpumask *allowed,
			     struct select_args *args);

void scx_bpf_dsq_insert___v1(struct task_struct *p, u64 dsq_id, u64 slice, u64 flags)
{
	scx_bpf_dsq_insert___v2___compat(p, dsq_id, slice, flags);
}

void scx_bpf_dsq_insert_vtime___v1(struct task_struct *p, u64 dsq_id, u64 slice, u64 vtime,
				   u64 flags)
{
	struct vtime_args args = {dsq_id, slice, vtime, flags};

	__scx_bpf_dsq_insert_vtime(p, &args);
}

bool scx_bpf_dsq_move_to_local___v1(u64 dsq_id)
{
	return scx_bpf_dsq_move_to_local___v2___compat(dsq_id, 0);
}

s32 scx_bpf_select_cpu_and___v616(struct task_struct *p, s32 prev_cpu, u64 wake_flags,
				  const struct cpumask *allowed, u64 flags)
{
	struct select_args args = {prev_cpu, wake_flags, flags};

	return __scx_bpf_select_cpu_and(p, allowed, &args);
}

/* Before 6.19 it is for cpu_release() alone, which is never called here. */
u32 scx_bpf_reenqueue_local___v1(void)
{
	return ext_in(0, "scx_bpf_reenqueue_local");
}
