/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * locality: tasks stay where their data is cached, until fairness says otherwise.
 *
 * One queue for each CPU and one for each last-level cache (LLC). A task waits in the
 * queue of the CPU it last ran on, as long as few wait there and it has not had more
 * than its share; else in the queue of that CPU's LLC, from which every CPU of the LLC
 * takes the one furthest behind. A CPU without work steals: in its LLC first, then
 * anywhere.
 *
 * No queue depends on its CPU: every CPU regularly looks into its LLC's queue and into one
 * foreign queue, in rotation, even if it has work of its own.
 */
#include <schedpilot/cgroup_member.bpf.h>
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

UEI_DEFINE(uei);

/* Queue ids: a CPU's own is its number, an LLC's is this plus the LLC's number. */
#define LLC_BASE 0x100000

/* Live. Longest uninterrupted run while others wait, ns. */
volatile u64 slice_ns = 5000000;
/* Live. A task that slept may be at most this far behind the clock, ns of virtual time. */
volatile u64 credit_ns = 5000000;
/* Live. A task further ahead of the clock than this leaves its CPU's queue, ns of virtual time. */
volatile u64 lead_ns = 10000000;
/* Live. At most this many tasks wait in a CPU's own queue; more go to the LLC's. */
volatile u64 own_tasks = 2;
/* Load. No task should wait much longer than this for its turn, ns. */
const volatile u64 max_wait_ns = 600000000;
/* Load. Slices never become shorter than this, ns. */
const volatile u64 min_slice_ns = 500000;
/* Load. Every how many turns a CPU serves its LLC's queue before its own. */
const volatile u64 llc_turns = 4;
/* Load. Every how many turns a CPU looks into a foreign queue before its own. */
const volatile u64 foreign_turns = 8;

/* Counters in the map `stats`, summed over CPUs by the reader. */
enum counter_index {
	STAT_DIRECT,	  /* wakeups that found an idle CPU */
	STAT_OWN,	  /* tasks that joined their CPU's queue */
	STAT_LLC,	  /* tasks that joined their LLC's queue */
	STAT_STOLEN_NEAR, /* turns taken from another CPU of the same LLC */
	STAT_STOLEN_FAR,  /* turns taken from another LLC */
	STAT_KTHREAD,	  /* per-CPU kernel threads let through */
	STAT_LATE,	  /* tasks served out of order because they waited too long */
	NR_COUNTERS,
};

struct task_ctx {
	u64 vtime;	      /* virtual time, ns of CPU time of a task of weight 100 */
	u64 started_at;	      /* when it last began to run, ns; 0 while it does not */
	u64 counted;	      /* its part of an LLC's runnable_weight; 0 while it sleeps */
	u32 llc;	      /* the LLC to whose clock vtime belongs */
	u64 queued_at;	      /* when it began to wait, ns */
	struct member member; /* its place among control groups */
};

struct cpu_ctx {
	u64 turn;      /* dispatches so far */
	u64 looked_at; /* when it last looked for late tasks, ns */
	u32 foreign;   /* the foreign CPU it looked at last */
	u32 late_cpu;  /* the CPU among whose queues it looked last */
};

#include <schedpilot/accounting.bpf.h>
#include <schedpilot/cgroup_hold.bpf.h>
#include <schedpilot/cgroup_settle.bpf.h>
#include <schedpilot/counters.bpf.h>
#include <schedpilot/cpus.bpf.h>
#include <schedpilot/hand_over.bpf.h>
#include <schedpilot/idle.bpf.h>
#include <schedpilot/kthreads.bpf.h>
#include <schedpilot/late.bpf.h>
#include <schedpilot/llc.bpf.h>
#include <schedpilot/llc_queues.bpf.h>
#include <schedpilot/look.bpf.h>
#include <schedpilot/slices.bpf.h>
#include <schedpilot/tasks.bpf.h>
#include <schedpilot/timing.bpf.h>
#include <schedpilot/virtual_time.bpf.h>

/* Slices shrink with the number of runnable tasks (by weight), so that all get a turn in time. */
static u64 slice_for(u32 llc)
{
	return bounded_slice(slice_ns, reach(llc, max_wait_ns), min_slice_ns);
}

/* The task's place in a queue of an LLC: its virtual time, brought within bounds of the clock. */
static u64 place_in(u32 llc, struct task_ctx *t)
{
	follow(t, llc);
	settle(t, credit_ns, reach(llc, max_wait_ns));
	return t->vtime;
}

s32 BPF_STRUCT_OPS(locality_select_cpu, struct task_struct *p, s32 prev_cpu, u64 wake_flags)
{
	bool idle = false;
	s32 cpu = select_idle_cpu(p, prev_cpu, wake_flags, &idle);
	struct task_ctx *t;
	u32 llc;

	if (!idle)
		return cpu;
	t = ctx_of(p);
	if (t && may_start(p, t)) {
		llc = llc_of(cpu);
		place_in(llc, t);
		count(STAT_DIRECT);
		scx_bpf_dsq_insert(p, SCX_DSQ_LOCAL, slice_for(llc), 0);
	}
	return cpu;
}

/* The queue that the task joins now. */
static u64 queue_of(const struct task_struct *p, u64 vtime)
{
	s32 cpu = scx_bpf_task_cpu(p);
	u32 llc = llc_of(cpu);

	if (p->nr_cpus_allowed > 1 && (scx_bpf_dsq_nr_queued(cpu) >= (s32)own_tasks ||
				       before(llc_at(llc)->clock + lead_ns, vtime))) {
		count(STAT_LLC);
		return LLC_BASE + llc;
	}
	count(STAT_OWN);
	return cpu;
}

void BPF_STRUCT_OPS(locality_enqueue, struct task_struct *p, u64 enq_flags)
{
	struct task_ctx *t = ctx_of(p);
	u32 llc = llc_of_task(p);
	u64 vtime;

	if (is_woken_kthread(p, enq_flags)) {
		count(STAT_KTHREAD);
		scx_bpf_dsq_insert(p, SCX_DSQ_LOCAL, slice_for(llc), enq_flags);
		return;
	}
	if (!t) {
		vtime = llc_at(llc)->clock;
		scx_bpf_dsq_insert_vtime(p, queue_of(p, vtime), slice_for(llc), vtime, enq_flags);
		return;
	}
	if (holds(p, t, enq_flags))
		return;
	t->queued_at = scx_bpf_now();
	vtime = place_in(llc, t);
	scx_bpf_dsq_insert_vtime(p, queue_of(p, vtime), slice_for(llc), vtime, enq_flags);
	/* An idle CPU will steal it. */
	wake_idle_cpu(p);
}

/* Its group is no longer held. It goes back to the CPU where it was. */
static void requeue(struct bpf_iter_scx_dsq *it, struct task_struct *p, struct task_ctx *t, u32 llc)
{
	u64 vtime = place_in(llc, t);

	scx_bpf_dsq_move_set_slice(it, slice_for(llc));
	scx_bpf_dsq_move_set_vtime(it, vtime);
	scx_bpf_dsq_move_vtime(it, p, queue_of(p, vtime), 0);
}

/* Take a task that waits for another CPU: of the same LLC if `near`, else of any other. */
static bool steal_from_cpus(s32 cpu, u32 llc, bool near)
{
	u32 i, other;

	bpf_for (i, 1, nr_cpus) {
		other = ((u32)cpu + i) % nr_cpus;
		if ((llc_of(other) == llc) != near)
			continue;
		if (scx_bpf_dsq_nr_queued(other) > 0 && scx_bpf_dsq_move_to_local(other, 0)) {
			count(near ? STAT_STOLEN_NEAR : STAT_STOLEN_FAR);
			return true;
		}
	}
	return false;
}

/* Take a task that waits for any CPU of another LLC. */
static bool steal_from_llcs(u32 llc)
{
	u32 i, other;

	bpf_for (i, 1, nr_llcs) {
		other = (llc + i) % nr_llcs;
		if (scx_bpf_dsq_nr_queued(LLC_BASE + other) > 0 &&
		    scx_bpf_dsq_move_to_local(LLC_BASE + other, 0)) {
			count(STAT_STOLEN_FAR);
			return true;
		}
	}
	return false;
}

/* Look into the queue of one foreign CPU and that of its LLC, the next one each time. */
static bool look_abroad(s32 cpu, struct cpu_ctx *c)
{
	u32 other = (c->foreign + 1) % nr_cpus;

	c->foreign = other;
	if (other == (u32)cpu)
		return false;
	return scx_bpf_dsq_move_to_local(other, 0) ||
	       scx_bpf_dsq_move_to_local(LLC_BASE + llc_of(other), 0);
}

void BPF_STRUCT_OPS(locality_dispatch, s32 cpu, struct task_struct *prev)
{
	u32 llc = llc_of(cpu);
	u64 now = scx_bpf_now();
	struct cpu_ctx *c = cpu_ctx(cpu);
	struct task_struct *may_stay;

	if (!c)
		return;
	c->turn++;
	if (!before(now, c->looked_at + LOOK_NS)) {
		c->looked_at = now;
		/* Also in a foreign queue, whose own CPU may be gone or busy with other classes. */
		c->late_cpu = (c->late_cpu + 1) % nr_cpus;
		serve_late_in(cpu, max_wait_ns, 0, now, cpu);
		serve_late_in(LLC_BASE + llc, max_wait_ns, 0, now, cpu);
		serve_late_in(c->late_cpu, max_wait_ns, 0, now, cpu);
		serve_late_in(LLC_BASE + llc_of(c->late_cpu), max_wait_ns, 0, now, cpu);
	}
	may_stay = stays(prev, now);
	if (foreign_turns && c->turn % foreign_turns == 0 && look_abroad(cpu, c))
		return;
	if (llc_turns && c->turn % llc_turns == 0 && scx_bpf_dsq_move_to_local(LLC_BASE + llc, 0))
		return;
	if (scx_bpf_dsq_move_to_local(cpu, 0) || scx_bpf_dsq_move_to_local(LLC_BASE + llc, 0))
		return;
	/* A task whose slice ended continues if there is nothing else here. */
	if (may_stay && (may_stay->scx.flags & SCX_TASK_QUEUED)) {
		scx_bpf_task_set_slice(may_stay, slice_for(llc));
		return;
	}
	if (!steal_from_cpus(cpu, llc, true) && !steal_from_llcs(llc) &&
	    !steal_from_cpus(cpu, llc, false))
		last_resort(prev, slice_for(llc));
}

void BPF_STRUCT_OPS(locality_cpu_online, s32 cpu)
{
	cpu_comes(cpu);
}

void BPF_STRUCT_OPS(locality_cpu_offline, s32 cpu)
{
	cpu_goes(cpu);
	hand_over(cpu, cpu);
	hand_over(LLC_BASE + llc_of(cpu), cpu);
	hand_over_held(cpu);
}

s32 BPF_STRUCT_OPS_SLEEPABLE(locality_init)
{
	s32 error = llcs_init();
	u32 i;

	if (!error)
		error = groups_init();
	if (error)
		return error;
	bpf_for (i, 0, nr_cpus) {
		error = scx_bpf_create_dsq(i, -1);
		if (error)
			return error;
	}
	bpf_for (i, 0, most_llcs) {
		error = scx_bpf_create_dsq(LLC_BASE + i, -1);
		if (error)
			return error;
	}
	return 0;
}

void BPF_STRUCT_OPS(locality_exit, struct scx_exit_info *ei)
{
	UEI_RECORD(uei, ei);
}

/* clang-format off */
SCX_OPS_DEFINE(locality_ops,
	       .select_cpu	= (void *)locality_select_cpu,
	       .enqueue		= (void *)locality_enqueue,
	       .dispatch	= (void *)locality_dispatch,
	       .runnable	= (void *)account_runnable,
	       .quiescent	= (void *)account_quiescent,
	       .running		= (void *)account_running,
	       .stopping	= (void *)account_stopping,
	       .init_task	= (void *)account_init_task,
	       .cpu_online	= (void *)locality_cpu_online,
	       .cpu_offline	= (void *)locality_cpu_offline,
	       .init		= (void *)locality_init,
	       .exit		= (void *)locality_exit,
	       GROUP_OPS
	       .flags		= SCX_OPS_ENQ_LAST,
	       .timeout_ms	= 5000U,
	       .name		= "locality");
/* clang-format on */
