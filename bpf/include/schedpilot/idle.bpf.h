/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * No CPU stays idle while a task that it may run waits.
 *
 * Call this at the end of enqueue(): a CPU may have become idle since select_cpu() looked,
 * and select_cpu() was not called for a task whose slice ended.
 */
#ifndef SCHEDPILOT_IDLE_BPF_H
#define SCHEDPILOT_IDLE_BPF_H

#include <scx/common.bpf.h>

/* Wake an idle CPU that the task may use, preferably near its last one. False: there is none. */
static bool wake_idle_cpu(const struct task_struct *p)
{
	s32 cpu = scx_bpf_pick_idle_cpu(p->cpus_ptr, 0);

	if (cpu < 0)
		return false;
	scx_bpf_kick_cpu(cpu, SCX_KICK_IDLE);
	return true;
}

#endif
