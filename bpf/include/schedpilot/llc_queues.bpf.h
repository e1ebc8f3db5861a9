/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One dispatch queue for each LLC, for every queue of a scheduler.
 *
 * A task waits in the queue of the LLC where it last ran, and every CPU of that LLC takes from
 * it. A CPU that would go idle takes from other LLCs: those of its NUMA node first. So no CPU is
 * idle while a task waits that it may run. <schedpilot/balance.bpf.h> keeps shares equal where
 * all CPUs are busy.
 *
 * With one LLC a dispatch queue has the number of the queue itself.
 */
#ifndef SCHEDPILOT_LLC_QUEUES_BPF_H
#define SCHEDPILOT_LLC_QUEUES_BPF_H

#include <schedpilot/hand_over.bpf.h>
#include <schedpilot/llc.bpf.h>

/* The dispatch queue of `queue` (below 256) in an LLC. */
static u64 queue_in(u64 queue, u32 llc)
{
	return (u64)llc << 8 | queue;
}

/* In init(), after llcs_init(). */
static s32 create_queues(u64 queue)
{
	s32 error = 0;
	u32 llc;

	bpf_for (llc, 0, most_llcs) {
		error = scx_bpf_create_dsq(queue_in(queue, llc), -1);
		if (error)
			break;
	}
	return error;
}

/* The LLC of the CPU where a task is, or last was. */
static u32 llc_of_task(const struct task_struct *p)
{
	return llc_of(scx_bpf_task_cpu(p));
}

/* Give this CPU the first task of its LLC's queue that it may run. */
static bool take_first(u64 queue, u32 llc)
{
	return scx_bpf_dsq_move_to_local(queue_in(queue, llc), 0);
}

/*
 * The same from the queue of another LLC, for a CPU that would go idle: near ones first, in
 * rotation, so that each LLC is helped in turn.
 */
__noinline int steal(u64 queue, u32 mine)
{
	u32 far, i, other, start = llc_at(mine)->robbed;
	s32 node = llc_at(mine)->node;

	bpf_for (far, 0, 2) {
		bpf_for (i, 1, nr_llcs + 1) {
			other = (start + i) % nr_llcs;
			if (other == mine || (llc_at(other)->node != node) != far)
				continue;
			if (scx_bpf_dsq_nr_queued(queue_in(queue, other)) <= 0)
				continue;
			if (scx_bpf_dsq_move_to_local(queue_in(queue, other), 0)) {
				llc_at(mine)->robbed = other;
				return 1;
			}
		}
	}
	return 0;
}

/* In cpu_offline(): tasks of the CPU may wait in any LLC, where balance() took them. */
static void hand_over_all(u64 queue, s32 cpu)
{
	u32 llc;

	bpf_for (llc, 0, nr_llcs)
		hand_over(queue_in(queue, llc), cpu);
}

#endif
