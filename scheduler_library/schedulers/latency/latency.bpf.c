/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * latency: tasks that run briefly and often run at once, whatever else is going on.
 *
 * A task's kind is measured, not read from its name: the average length of its bursts (CPU
 * time between two sleeps) and the average time between its wakeups. A task with short bursts
 * and frequent wakeups is *brisk*. When it wakes and no CPU is idle, it goes into the brisk
 * queue and takes a CPU from a task that has not slept for a while.
 *
 * Both queues, of which each last-level cache (LLC) has a pair, are ordered by weighted virtual
 * time on one clock (as in `fair`), and the others keep a guaranteed part of each CPU: brisk tasks
 * run up a debt there, and before it grows, one of the others goes first and is not interrupted for
 * a moment.
 */
#include <schedpilot/cgroup_member.bpf.h>
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

UEI_DEFINE(uei);

#define BRISK  0
#define OTHERS 1

/* Live. A task is brisk only if its bursts are shorter than this on average, ns. */
volatile u64 burst_limit_ns = 5000000;
/* Live. A task is brisk only if it wakes at least this often, times a second. */
volatile u64 min_wakes_per_s = 10;
/* Live. Part of each CPU kept for the others while they have work, percent. */
volatile u64 others_percent = 20;
/* Live. Slice of a brisk task, ns. */
volatile u64 brisk_slice_ns = 1000000;
/* Live. Slice of every other task, ns; brisk tasks may end it early. */
volatile u64 slice_ns = 4000000;
/* Live. A task that slept may be at most this far behind the clock, ns of virtual time. */
volatile u64 credit_ns = 4000000;
/* Live. Whether a waking brisk task may take the CPU from another. */
volatile bool preempt = true;
/*
 * Live. Only a task that has run this long without sleeping is interrupted, ns. One that
 * sleeps by itself soon gives way anyway; and a producer that lost the CPU for each item it
 * passes on would switch for every item, although one switch for a batch of them is enough.
 */
volatile u64 hog_ns = 50000000;
/* Live. A slice that was owed to one of the others is not interrupted for this long, ns. */
volatile u64 owed_ns = 1000000;
/* Load. No task should wait much longer than this for its turn, ns. */
const volatile u64 max_wait_ns = 600000000;
/* Load. Slices never become shorter than this, ns. */
const volatile u64 min_slice_ns = 500000;
/* Load. How many CPUs a waking task looks at for one to take; bounds the cost of a wakeup. */
const volatile u32 search_cpus = 64;

/* Counters in the map `stats`, summed over CPUs by the reader. */
enum counter_index {
	STAT_DIRECT,  /* wakeups that found an idle CPU */
	STAT_BRISK,   /* brisk tasks that joined the queue */
	STAT_OTHERS,  /* other tasks that joined the queue */
	STAT_PREEMPT, /* CPUs taken from another task */
	STAT_KTHREAD, /* per-CPU kernel threads let through */
	STAT_OWED,    /* slices the others got because they were owed one */
	STAT_LATE,    /* tasks served out of order because they waited too long */
	NR_COUNTERS,
};

struct task_ctx {
	u64 vtime;	  /* virtual time, ns of CPU time of a task of weight 100 */
	u64 started_at;	  /* when it last began to run, ns; 0 while it does not */
	u64 counted;	  /* its part of an LLC's runnable_weight; 0 while it sleeps */
	u32 llc;	  /* the LLC to whose clock vtime belongs */
	u64 queued_at;	  /* when it began to wait, ns */
	u64 moved_at;	  /* when another LLC last took it, ns */
	u64 woke_at;	  /* when it last woke, ns */
	u64 burst;	  /* CPU time since it woke, ns */
	u64 burst_avg;	  /* ns */
	u64 interval_avg; /* between wakeups, ns */
	bool brisk;
	struct member member; /* its place among control groups */
};

enum occupant {
	NOBODY, /* idle, or a task of another scheduling class */
	A_BRISK,
	AN_OTHER,
	CLAIMED, /* an other task, and a brisk one is on the way to replace it */
};

struct cpu_ctx {
	u64 from; /* not to be interrupted before, ns */
	u32 occupant;
	u32 owed; /* the slice about to begin was owed to one of the others */
	s64 debt; /* what brisk tasks owe the others here, ns */
};

#include <schedpilot/balance.bpf.h>
#include <schedpilot/cgroup_hold.bpf.h>
#include <schedpilot/cgroup_settle.bpf.h>
#include <schedpilot/counters.bpf.h>
#include <schedpilot/cpus.bpf.h>
#include <schedpilot/idle.bpf.h>
#include <schedpilot/kthreads.bpf.h>
#include <schedpilot/late.bpf.h>
#include <schedpilot/llc_queues.bpf.h>
#include <schedpilot/look.bpf.h>
#include <schedpilot/slices.bpf.h>
#include <schedpilot/tasks.bpf.h>
#include <schedpilot/timing.bpf.h>
#include <schedpilot/virtual_time.bpf.h>

/*
 * The wanted slice, short enough that all tasks that wait in this queue of the LLC get a turn
 * within max_wait_ns.
 */
static u64 slice_in(u64 queue, u32 llc, u64 wished)
{
	u64 fit = fitting_slice(max_wait_ns, scx_bpf_dsq_nr_queued(queue_in(queue, llc)), llc);

	/* Only their part of the CPUs is guaranteed to the others. */
	if (queue == OTHERS)
		fit = fit * (others_percent ? others_percent : 1) / 100;
	return bounded_slice(wished, fit, min_slice_ns);
}

/* The task's place in an LLC's queue: its virtual time, brought within bounds of the clock. */
static u64 place_in(u32 llc, struct task_ctx *t)
{
	follow(t, llc);
	settle(t, credit_ns, reach(llc, max_wait_ns));
	return t->vtime;
}

/*
 * Brisk: short bursts, frequent wakeups, and not in the middle of a long one. A task with
 * less than the usual weight (nice above 0) asked not to be in others' way.
 */
static bool is_brisk(const struct task_struct *p, const struct task_ctx *t)
{
	u64 wakes = min_wakes_per_s ? min_wakes_per_s : 1;

	return p->scx.weight >= 100 && t->burst_avg <= burst_limit_ns &&
	       t->burst <= 2 * burst_limit_ns && t->interval_avg <= 1000000000 / wakes;
}

/*
 * Find a CPU of its LLC that `p` may use and that runs another task, claim it, and make it choose
 * again. Its previous CPU first, where its data may still be cached.
 */
static void take_cpu(struct task_struct *p, s32 first)
{
	u32 i, cpu, llc = llc_of(first), most = nr_cpus < search_cpus ? nr_cpus : search_cpus;
	u64 now = scx_bpf_now();

	bpf_for (i, 0, most) {
		struct cpu_ctx *c;

		cpu = ((u32)first + i) % nr_cpus;
		if (llc_of(cpu) != llc || !bpf_cpumask_test_cpu(cpu, p->cpus_ptr))
			continue;
		c = cpu_ctx(cpu);
		if (!c || c->occupant != AN_OTHER || before(now, c->from))
			continue;
		/* Two tasks that wake together take two CPUs, not the same one twice. */
		if (__sync_val_compare_and_swap(&c->occupant, AN_OTHER, CLAIMED) != AN_OTHER)
			continue;
		count(STAT_PREEMPT);
		scx_bpf_kick_cpu(cpu, SCX_KICK_PREEMPT);
		return;
	}
}

s32 BPF_STRUCT_OPS(latency_select_cpu, struct task_struct *p, s32 prev_cpu, u64 wake_flags)
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
		scx_bpf_dsq_insert(p, SCX_DSQ_LOCAL, slice_in(OTHERS, llc, slice_ns), 0);
	}
	return cpu;
}

void BPF_STRUCT_OPS(latency_enqueue, struct task_struct *p, u64 enq_flags)
{
	struct task_ctx *t = ctx_of(p);
	u32 llc = llc_of_task(p);
	u64 queue;

	if (is_woken_kthread(p, enq_flags)) {
		count(STAT_KTHREAD);
		scx_bpf_dsq_insert(p, SCX_DSQ_LOCAL, brisk_slice_ns, enq_flags | SCX_ENQ_PREEMPT);
		return;
	}
	if (!t) {
		scx_bpf_dsq_insert_vtime(p, queue_in(OTHERS, llc), slice_ns, llc_at(llc)->clock,
					 enq_flags);
		return;
	}
	if (holds(p, t, enq_flags))
		return;
	t->queued_at = scx_bpf_now();
	t->brisk = is_brisk(p, t);
	count(t->brisk ? STAT_BRISK : STAT_OTHERS);
	queue = t->brisk ? BRISK : OTHERS;
	scx_bpf_dsq_insert_vtime(p, queue_in(queue, llc),
				 slice_in(queue, llc, t->brisk ? brisk_slice_ns : slice_ns),
				 place_in(llc, t), enq_flags);
	if (!wake_idle_cpu(p) && t->brisk && preempt && (enq_flags & SCX_ENQ_WAKEUP))
		take_cpu(p, scx_bpf_task_cpu(p));
}

static void requeue(struct bpf_iter_scx_dsq *it, struct task_struct *p, struct task_ctx *t, u32 llc)
{
	u64 queue;

	t->brisk = is_brisk(p, t);
	queue = t->brisk ? BRISK : OTHERS;
	scx_bpf_dsq_move_set_slice(it, slice_in(queue, llc, t->brisk ? brisk_slice_ns : slice_ns));
	scx_bpf_dsq_move_set_vtime(it, place_in(llc, t));
	scx_bpf_dsq_move_vtime(it, p, queue_in(queue, llc), 0);
}

/* Both kinds share the CPUs of an LLC. */
static bool gains(u64 queue, u32 mine, u32 other, const struct task_ctx *t, u64 beside)
{
	return gains_weight(mine, other, t, beside);
}

void BPF_STRUCT_OPS(latency_dispatch, s32 cpu, struct task_struct *prev)
{
	struct cpu_ctx *c = cpu_ctx(cpu);
	struct task_struct *may_stay;
	struct task_ctx *t;
	u64 now = scx_bpf_now();
	u32 llc = llc_of(cpu);

	if (look_due(llc, now, LOOK_NS)) {
		serve_late(BRISK, max_wait_ns, 0, now, cpu);
		serve_late(OTHERS, max_wait_ns, 0, now, cpu);
		balance(BRISK, llc, cpu);
		balance(OTHERS, llc, cpu);
	}
	may_stay = stays(prev, now);
	if (c && c->debt >= (s64)owed_ns && take_first(OTHERS, llc)) {
		count(STAT_OWED);
		c->owed = 1;
		return;
	}
	if (take_first(BRISK, llc) || take_first(OTHERS, llc))
		return;
	t = may_stay && (may_stay->scx.flags & SCX_TASK_QUEUED) ? ctx_of(may_stay) : NULL;
	if (t)
		balance_lone(OTHERS, llc, cpu, counted_weight(t), now);
	else if (nr_llcs > 1 && (steal(BRISK, llc) || steal(OTHERS, llc)))
		return;
	last_resort(prev, slice_in(OTHERS, llc, slice_ns));
}

void BPF_STRUCT_OPS(latency_runnable, struct task_struct *p, u64 enq_flags)
{
	struct task_ctx *t = ctx_of(p);
	u64 now;

	if (!t)
		return;
	if (!t->counted) {
		follow(t, llc_of_task(p));
		weigh_in(t, p->scx.weight);
	}
	group_runnable(p, t);
	if (!(enq_flags & SCX_ENQ_WAKEUP))
		return;
	now = scx_bpf_now();
	/* One long sleep says little about how often it wakes while it works: at most 1 s. */
	t->interval_avg =
	    average(t->interval_avg, now - t->woke_at < 1000000000 ? now - t->woke_at : 1000000000);
	t->woke_at = now;
}

void BPF_STRUCT_OPS(latency_quiescent, struct task_struct *p, u64 deq_flags)
{
	struct task_ctx *t = ctx_of(p);

	if (!t)
		return;
	weigh_out(t);
	group_quiescent(t);
	if (deq_flags & SCX_DEQ_SLEEP) {
		t->burst_avg = average(t->burst_avg, t->burst);
		t->burst = 0;
	}
}

void BPF_STRUCT_OPS(latency_running, struct task_struct *p)
{
	struct cpu_ctx *c = cpu_ctx(scx_bpf_task_cpu(p));
	struct task_ctx *t = ctx_of(p);

	if (!t || !c)
		return;
	follow(t, llc_of_task(p));
	t->started_at = scx_bpf_now();
	group_runs(p, t, t->started_at);
	/* Those that found an idle CPU skipped enqueue. */
	t->brisk = is_brisk(p, t);
	c->from = t->started_at + (c->owed ? owed_ns : 0);
	/* It may become a hog within this slice; until then it is not interrupted. */
	if (t->burst < hog_ns && !before(t->started_at + hog_ns - t->burst, c->from))
		c->from = t->started_at + hog_ns - t->burst;
	c->occupant = t->brisk ? A_BRISK : AN_OTHER;
	c->owed = 0;
}

void BPF_STRUCT_OPS(latency_stopping, struct task_struct *p, bool runnable)
{
	struct cpu_ctx *c = cpu_ctx(scx_bpf_task_cpu(p));
	struct task_ctx *t = ctx_of(p);
	u64 now, ran, percent = others_percent < 90 ? others_percent : 90;
	s64 most = 2 * owed_ns;

	if (!t || !c || !t->started_at)
		return;
	now = scx_bpf_now();
	group_stops(t, now);
	ran = now - t->started_at;
	t->started_at = 0;
	t->burst += ran;
	advance(t, ran, p->scx.weight);

	c->occupant = NOBODY;
	c->debt += t->brisk ? (s64)(ran * percent / (100 - percent)) : -(s64)ran;
	/* Unrequested time is not owed for ever, and large debts are limited. */
	if (c->debt > most)
		c->debt = most;
	if (c->debt < -most)
		c->debt = -most;
}

s32 BPF_STRUCT_OPS(latency_init_task, struct task_struct *p, struct scx_init_task_args *args)
{
	struct task_ctx *t = new_ctx(p);

	if (!t)
		return -ENOMEM;
	start_at_clock(t, llc_of_task(p));
	/* No task is brisk until it has shown it, which takes about ten wakeups. */
	t->burst_avg = 2 * burst_limit_ns;
	t->interval_avg = 1000000000;
	t->woke_at = scx_bpf_now();
	group_joins(t, args);
	return 0;
}

void BPF_STRUCT_OPS(latency_cpu_online, s32 cpu)
{
	cpu_comes(cpu);
}

void BPF_STRUCT_OPS(latency_cpu_offline, s32 cpu)
{
	cpu_goes(cpu);
	hand_over_all(BRISK, cpu);
	hand_over_all(OTHERS, cpu);
	hand_over_held(cpu);
}

s32 BPF_STRUCT_OPS_SLEEPABLE(latency_init)
{
	s32 error = llcs_init();

	if (!error)
		error = groups_init();
	if (!error)
		error = create_queues(BRISK);
	return error ? error : create_queues(OTHERS);
}

void BPF_STRUCT_OPS(latency_exit, struct scx_exit_info *ei)
{
	UEI_RECORD(uei, ei);
}

/* clang-format off */
SCX_OPS_DEFINE(latency_ops,
	       .select_cpu	= (void *)latency_select_cpu,
	       .enqueue		= (void *)latency_enqueue,
	       .dispatch	= (void *)latency_dispatch,
	       .runnable	= (void *)latency_runnable,
	       .quiescent	= (void *)latency_quiescent,
	       .running		= (void *)latency_running,
	       .stopping	= (void *)latency_stopping,
	       .init_task	= (void *)latency_init_task,
	       .cpu_online	= (void *)latency_cpu_online,
	       .cpu_offline	= (void *)latency_cpu_offline,
	       .init		= (void *)latency_init,
	       .exit		= (void *)latency_exit,
	       GROUP_OPS
	       .flags		= SCX_OPS_ENQ_LAST,
	       .timeout_ms	= 5000U,
	       .name		= "latency");
/* clang-format on */
