/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Holding tasks of a group that is ahead of its share or has used its quota, and releasing
 * them.
 *
 * enqueue() asks holds(); dispatch() asks stays(), which also releases, and ends with
 * last_resort(); running(), stopping(), runnable() and quiescent() call group_runs(),
 * group_stops(), group_runnable() and group_quiescent(); init_task() calls group_joins(),
 * cpu_offline() hand_over_held(). Put GROUP_OPS into SCX_OPS_DEFINE, and SCX_OPS_ENQ_LAST into
 * its flags: otherwise the kernel would let a task of a throttled group go on where nothing
 * else wants the CPU.
 *
 * Define before: `struct task_ctx`, as <schedpilot/cgroup_member.bpf.h> wants it, and with
 *
 *	u64 queued_at; when it began to wait, ns
 *
 * Define afterwards: requeue(), which moves a released task to the queue that it would join
 * now in an LLC, in its place there.
 */
#ifndef SCHEDPILOT_CGROUP_HOLD_BPF_H
#define SCHEDPILOT_CGROUP_HOLD_BPF_H

#include <schedpilot/cgroup_settle.bpf.h>
#include <schedpilot/cgroups.bpf.h>
#include <schedpilot/hand_over.bpf.h>
#include <schedpilot/idle.bpf.h>
#include <schedpilot/llc_queues.bpf.h>
#include <schedpilot/requeue.bpf.h>

/* The slice of a task that runs although its group is held, ns. */
#define HELD_SLICE_NS 1000000

/* Bounds of how long a released task is expected to run, ns. */
#define LEAST_BURST_NS 50000ULL
#define MOST_BURST_NS  4000000ULL
/* A held task gives way to those that come later by up to this many times that. */
#define BRIEF_FIRST 5

/*
 * Whether the task's group is held. Kernel threads never are: others wait for them. Nor are
 * tasks that exit: they give back what they have.
 */
static u32 hold_of(const struct task_struct *p, const struct task_ctx *t)
{
	struct group *g;

	if (!nr_groups || (p->flags & (PF_KTHREAD | PF_EXITING)))
		return NOT_HELD;
	g = group_of(t);
	return g ? g->held : NOT_HELD;
}

/* A waking task may not take an idle CPU if its group has used its quota. */
static bool may_start(const struct task_struct *p, const struct task_ctx *t)
{
	return hold_of(p, t) != THROTTLED;
}

/* The CPU time that the task is likely to take before its group is looked at again, ns. */
static u64 likely_burst(const struct task_ctx *t)
{
	u64 burst = t->member.burst > t->member.last_burst ? t->member.burst : t->member.last_burst;

	if (burst < LEAST_BURST_NS)
		return LEAST_BURST_NS;
	return burst < MOST_BURST_NS ? burst : MOST_BURST_NS;
}

/*
 * A held task's place: about when its group will no longer be held; later for a task that runs
 * long, so that those of its group that run briefly go first. Time goes on, so nobody who is held
 * later overtakes it for ever.
 */
static u64 due_at(const struct task_ctx *t, const struct group *g)
{
	return t->member.waits_from + (g ? g->lead : 0) + BRIEF_FIRST * likely_burst(t);
}

static void put_aside(struct task_struct *p, struct task_ctx *t, u32 held, u64 enq_flags)
{
	struct group *g = group_of(t);

	ever_held = 1;
	if (held == THROTTLED) {
		scx_bpf_dsq_insert(p, PUT_AWAY, HELD_SLICE_NS, enq_flags);
		return;
	}
	scx_bpf_dsq_insert_vtime(p, SPARE, HELD_SLICE_NS, due_at(t, g), enq_flags);
	/* An idle CPU takes it at once: it has nobody else to run. */
	wake_idle_cpu(p);
}

/* In enqueue(): whether the task has to wait for its group, and was put aside. */
static bool holds(struct task_struct *p, struct task_ctx *t, u64 enq_flags)
{
	u32 held = hold_of(p, t);

	group_waits(t);
	if (held) {
		put_aside(p, t, held, enq_flags);
		return true;
	}
	/* It was released after this CPU had found nothing to run, and the CPU goes idle. */
	if (enq_flags & SCX_ENQ_LAST) {
		scx_bpf_dsq_insert(p, SCX_DSQ_LOCAL, HELD_SLICE_NS, enq_flags);
		return true;
	}
	return false;
}

/*
 * Release whom the tree allows to run again, of those in one of the queues. A global function,
 * which the verifier checks once and not along every path through dispatch().
 */
__noinline int release(u64 queue, u32 kind, u64 now)
{
	struct task_struct *p;

	bpf_for_each (scx_dsq, p, queue, 0) {
		struct task_ctx *t = ctx_of(p);
		struct group *g = t ? group_of(t) : NULL;
		u32 held;

		if (!g)
			continue;
		held = hold_of(p, t);
		if (held == kind) {
			/* Nobody waits for ever: it gets a moment, which its group owes. */
			if (!before(now, t->member.waits_from + LONGEST_HOLD_NS)) {
				scx_bpf_dsq_move_set_slice(BPF_FOR_EACH_ITER, HELD_SLICE_NS);
				scx_bpf_dsq_move(BPF_FOR_EACH_ITER, p, SCX_DSQ_GLOBAL, 0);
			}
		} else if (held == THROTTLED) {
			scx_bpf_dsq_move(BPF_FOR_EACH_ITER, p, PUT_AWAY, 0);
		} else if (held == AHEAD) {
			scx_bpf_dsq_move_set_vtime(BPF_FOR_EACH_ITER, due_at(t, g));
			scx_bpf_dsq_move_vtime(BPF_FOR_EACH_ITER, p, SPARE, 0);
		} else if (!nr_groups || __sync_fetch_and_sub(&g->grants, likely_burst(t)) > 0) {
			t->queued_at = now;
			requeue(BPF_FOR_EACH_ITER, p, t, llc_of_task(p));
			wake_idle_cpu(p);
		}
	}
	return 0;
}

/*
 * In dispatch(), before it chooses: release whom the tree allows to run again; `prev` if it may
 * go on, else NULL.
 */
static struct task_struct *stays(struct task_struct *prev, u64 now)
{
	struct task_ctx *t;

	if (!nr_groups && !ever_held)
		return prev;
	if (release_due && __sync_lock_test_and_set(&release_due, 0)) {
		release(PUT_AWAY, THROTTLED, now);
		release(SPARE, AHEAD, now);
	}
	if (!prev)
		return NULL;
	t = ctx_of(prev);
	return t && hold_of(prev, t) ? NULL : prev;
}

/*
 * At the end of dispatch(), where no queue has work for this CPU: `prev` goes on with this
 * slice, ns. If its group is held, a task of a group that is less ahead goes first.
 */
static void last_resort(struct task_struct *prev, u64 slice)
{
	struct task_ctx *t = NULL;
	u32 held = NOT_HELD;

	if (prev && (prev->scx.flags & SCX_TASK_QUEUED)) {
		t = ctx_of(prev);
		held = t ? hold_of(prev, t) : NOT_HELD;
	} else {
		prev = NULL;
	}
	if (ever_held && (!prev || held) && scx_bpf_dsq_nr_queued(SPARE) > 0 &&
	    scx_bpf_dsq_move_to_local(SPARE, 0))
		return;
	if (prev && held != THROTTLED)
		scx_bpf_task_set_slice(prev, slice);
}

static void group_runs(const struct task_struct *p, struct task_ctx *t, u64 now)
{
	group_waits_no_more(t, now);
	t->member.charged_at = nr_groups ? now : 0;
	/* It waited in a queue when its group was throttled. */
	if (hold_of(p, t) == THROTTLED)
		scx_bpf_kick_cpu(scx_bpf_task_cpu(p), SCX_KICK_PREEMPT);
}

static void group_stops(struct task_ctx *t, u64 now)
{
	group_charge(t, now);
	t->member.charged_at = 0;
}

/* In init_task(). */
static void group_joins(struct task_ctx *t, const struct scx_init_task_args *args)
{
#ifdef KERNEL_HAS_CGROUP_INIT
	t->member.slot = slot_of(args->cgroup);
#else
	t->member.slot = ROOT_TASKS;
#endif
}

/* In cpu_offline(). */
static void hand_over_held(s32 cpu)
{
	hand_over(SPARE, cpu);
	hand_over(PUT_AWAY, cpu);
}

#ifdef KERNEL_HAS_CGROUP_INIT /* CONFIG_EXT_GROUP_SCHED */
/* Tasks that run long are charged, and stopped if their group is held, at each tick. */
void BPF_STRUCT_OPS(groups_tick, struct task_struct *p)
{
	struct task_ctx *t;

	if (!nr_groups)
		return;
	t = ctx_of(p);
	if (!t)
		return;
	group_charge(t, scx_bpf_now());
	if (hold_of(p, t))
		scx_bpf_task_set_slice(p, 0);
}
#endif

/* For SCX_OPS_DEFINE. vmlinux.h says which of them its kernel has. */
#ifdef KERNEL_HAS_CGROUP_SET_BANDWIDTH /* 6.17 */
#define GROUP_QUOTA_OPS .cgroup_set_bandwidth = (void *)groups_cgroup_set_bandwidth,
#else
#define GROUP_QUOTA_OPS
#endif
#ifdef KERNEL_HAS_CGROUP_SET_IDLE /* 6.19 */
#define GROUP_IDLE_OPS .cgroup_set_idle = (void *)groups_cgroup_set_idle,
#else
#define GROUP_IDLE_OPS
#endif
#ifdef KERNEL_HAS_CGROUP_INIT
#define GROUP_OPS                                                                                  \
	.tick = (void *)groups_tick, .cgroup_init = (void *)groups_cgroup_init,                    \
	.cgroup_exit = (void *)groups_cgroup_exit, .cgroup_move = (void *)groups_cgroup_move,      \
	.cgroup_set_weight = (void *)groups_cgroup_set_weight, GROUP_QUOTA_OPS GROUP_IDLE_OPS
#else
#define GROUP_OPS
#endif

#endif
