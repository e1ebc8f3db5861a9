/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * fair: everybody gets CPU time in proportion to weight.
 *
 * One queue for the whole machine, ordered by virtual time: a task's own time advances
 * by what it ran, divided by its weight, and the task that is furthest behind runs next.
 *
 * The machine has a clock of its own that advances as an ideal processor-sharing server
 * would: by the CPU time given to anyone, divided by the weight of all that are runnable
 * (generalised processor sharing, Parekh and Gallager 1993). Tasks are kept within a
 * bounded distance of that clock, so a long sleep earns little credit, and no stream of
 * newcomers, each joining at the clock, can keep a waiting task from its turn.
 */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

UEI_DEFINE(uei);

#define QUEUE 0

/* Every how often a CPU looks for tasks that have waited too long, ns, and how many it serves. */
#define LOOK_NS	     100000000
#define LATE_AT_ONCE 32

/* Live. Longest uninterrupted run while others wait, ns. */
volatile u64 slice_ns = 3000000;
/* Live. A task that slept may be at most this far behind the clock, ns of virtual time. */
volatile u64 credit_ns = 3000000;
/* Live. No task shall wait longer than about this for its turn, ns. */
volatile u64 max_wait_ns = 800000000;
/* Load. Slices never become shorter than this, ns. */
const volatile u64 min_slice_ns = 500000;

/* Counters in the map `stats`, summed over CPUs by the reader. */
enum counter_index {
	STAT_DIRECT,  /* wakeups that found an idle CPU */
	STAT_QUEUED,  /* tasks that joined the queue */
	STAT_KTHREAD, /* per-CPU kernel threads let through */
	STAT_CAPPED,  /* tasks pulled back to the clock to keep max_wait_ns */
	STAT_LATE,    /* tasks served out of order because they waited too long */
	NR_COUNTERS,
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, NR_COUNTERS);
	__type(key, u32);
	__type(value, u64);
} stats SEC(".maps");

struct task_ctx {
	u64 vtime;	/* virtual time, ns of CPU time of a task of weight 100 */
	u64 started_at; /* when it last began to run, ns */
	u64 counted;	/* its part of runnable_weight; 0 while it sleeps */
	u64 queued_at;	/* when it began to wait, ns */
};

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct task_ctx);
} tasks SEC(".maps");

static u64 clock;	    /* virtual time of the machine */
static u64 looked_at;	    /* when somebody last looked for late tasks, ns */
static u64 runnable_weight; /* of all runnable tasks */
static u64 nr_online = 1;

static void count(u32 which)
{
	u64 *value = bpf_map_lookup_elem(&stats, &which);

	if (value)
		(*value)++;
}

static struct task_ctx *ctx_of(struct task_struct *p)
{
	return bpf_task_storage_get(&tasks, p, 0, 0);
}

/* Before, on a clock that may wrap. */
static bool before(u64 a, u64 b)
{
	return (s64)(a - b) < 0;
}

/* How far the clock moves in max_wait_ns when every CPU is busy. */
static u64 reach(void)
{
	u64 weight = runnable_weight;

	return max_wait_ns * nr_online * 100 / (weight > 100 ? weight : 100);
}

static u64 slice_for(void)
{
	s32 waiting = scx_bpf_dsq_nr_queued(QUEUE);
	u64 fit = max_wait_ns * nr_online / (waiting > 0 ? waiting + 1 : 1);
	u64 slice = slice_ns < fit ? slice_ns : fit;

	return slice > min_slice_ns ? slice : min_slice_ns;
}

/* The task's virtual time, brought within bounds of the clock. */
static u64 settle(struct task_ctx *t)
{
	u64 now = clock, ahead = reach();

	if (before(t->vtime, now - credit_ns))
		t->vtime = now - credit_ns;
	if (before(now + ahead, t->vtime)) {
		t->vtime = now + ahead;
		count(STAT_CAPPED);
	}
	return t->vtime;
}

s32 BPF_STRUCT_OPS(fair_select_cpu, struct task_struct *p, s32 prev_cpu, u64 wake_flags)
{
	bool idle = false;
	s32 cpu = scx_bpf_select_cpu_dfl(p, prev_cpu, wake_flags, &idle);
	struct task_ctx *t;

	if (idle) {
		t = ctx_of(p);
		if (t)
			settle(t);
		count(STAT_DIRECT);
		scx_bpf_dsq_insert(p, SCX_DSQ_LOCAL, slice_for(), 0);
	}
	return cpu;
}

void BPF_STRUCT_OPS(fair_enqueue, struct task_struct *p, u64 enq_flags)
{
	struct task_ctx *t = ctx_of(p);
	s32 cpu;

	/*
	 * A kernel thread of one CPU runs briefly and others wait for it. Only when it has
	 * just woken: one that spins takes its turn in the queue like everybody.
	 */
	if ((p->flags & PF_KTHREAD) && p->nr_cpus_allowed == 1 && (enq_flags & SCX_ENQ_WAKEUP)) {
		count(STAT_KTHREAD);
		scx_bpf_dsq_insert(p, SCX_DSQ_LOCAL, slice_for(), enq_flags);
		return;
	}
	if (t)
		t->queued_at = scx_bpf_now();
	count(STAT_QUEUED);
	scx_bpf_dsq_insert_vtime(p, QUEUE, slice_for(), t ? settle(t) : clock, enq_flags);
	/* A CPU may have gone idle since select_cpu looked, and slice ends never look. */
	cpu = scx_bpf_pick_idle_cpu(p->cpus_ptr, 0);
	if (cpu >= 0)
		scx_bpf_kick_cpu(cpu, SCX_KICK_IDLE);
}

/*
 * The order alone bounds waits only while the number of runnable tasks stays the same: the
 * clock slows down as it grows. So those that have waited too long are handed to the
 * kernel's own global queue, which every CPU that may run them serves before all others.
 */
static void serve_late(u64 queue, u64 now)
{
	struct task_struct *p;
	struct task_ctx *t;
	u32 served = 0;

	bpf_for_each (scx_dsq, p, queue, 0) {
		t = ctx_of(p);
		if (!t || before(now, t->queued_at + max_wait_ns))
			continue;
		if (!scx_bpf_dsq_move(BPF_FOR_EACH_ITER, p, SCX_DSQ_GLOBAL, 0))
			continue;
		count(STAT_LATE);
		if (++served >= LATE_AT_ONCE)
			break;
	}
}

/* Is it time to look for late tasks, and is it ours to do? */
static bool look_due(u64 now)
{
	u64 last = looked_at;

	return !before(now, last + LOOK_NS) &&
	       __sync_val_compare_and_swap(&looked_at, last, now) == last;
}

void BPF_STRUCT_OPS(fair_dispatch, s32 cpu, struct task_struct *prev)
{
	u64 now = scx_bpf_now();

	if (look_due(now))
		serve_late(QUEUE, now);
	scx_bpf_dsq_move_to_local(QUEUE, 0);
}

void BPF_STRUCT_OPS(fair_runnable, struct task_struct *p, u64 enq_flags)
{
	struct task_ctx *t = ctx_of(p);

	if (!t || t->counted)
		return;
	t->counted = p->scx.weight;
	__sync_fetch_and_add(&runnable_weight, t->counted);
}

void BPF_STRUCT_OPS(fair_quiescent, struct task_struct *p, u64 deq_flags)
{
	struct task_ctx *t = ctx_of(p);

	if (!t)
		return;
	__sync_fetch_and_sub(&runnable_weight, t->counted);
	t->counted = 0;
}

void BPF_STRUCT_OPS(fair_running, struct task_struct *p)
{
	struct task_ctx *t = ctx_of(p);

	if (t)
		t->started_at = scx_bpf_now();
}

void BPF_STRUCT_OPS(fair_stopping, struct task_struct *p, bool runnable)
{
	struct task_ctx *t = ctx_of(p);
	u64 ran, weight, all;

	if (!t || !t->started_at)
		return;
	ran = scx_bpf_now() - t->started_at;
	weight = p->scx.weight;
	all = runnable_weight;
	t->started_at = 0;
	t->vtime += ran * 100 / weight;
	__sync_fetch_and_add(&clock, ran * 100 / (all > weight ? all : weight));
}

s32 BPF_STRUCT_OPS(fair_init_task, struct task_struct *p, struct scx_init_task_args *args)
{
	struct task_ctx *t = bpf_task_storage_get(&tasks, p, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);

	if (!t)
		return -ENOMEM;
	t->vtime = clock;
	return 0;
}

void BPF_STRUCT_OPS(fair_cpu_online, s32 cpu)
{
	__sync_fetch_and_add(&nr_online, 1);
}

/*
 * A CPU on its way out no longer asks dispatch() for work, and waits until the tasks on
 * its run queue are gone, also those that may run nowhere else. The kernel's own global
 * queue is still served there, so they leave through it.
 */
void BPF_STRUCT_OPS(fair_cpu_offline, s32 cpu)
{
	struct task_struct *p;

	__sync_fetch_and_sub(&nr_online, 1);
	bpf_for_each (scx_dsq, p, QUEUE, 0) {
		if (scx_bpf_task_cpu(p) == cpu)
			scx_bpf_dsq_move(BPF_FOR_EACH_ITER, p, SCX_DSQ_GLOBAL, 0);
	}
}

s32 BPF_STRUCT_OPS_SLEEPABLE(fair_init)
{
	const struct cpumask *online = scx_bpf_get_online_cpumask();

	nr_online = bpf_cpumask_weight(online);
	scx_bpf_put_cpumask(online);
	return scx_bpf_create_dsq(QUEUE, -1);
}

void BPF_STRUCT_OPS(fair_exit, struct scx_exit_info *ei)
{
	UEI_RECORD(uei, ei);
}

/* clang-format off */
SCX_OPS_DEFINE(fair_ops,
	       .select_cpu	= (void *)fair_select_cpu,
	       .enqueue		= (void *)fair_enqueue,
	       .dispatch	= (void *)fair_dispatch,
	       .runnable	= (void *)fair_runnable,
	       .quiescent	= (void *)fair_quiescent,
	       .running		= (void *)fair_running,
	       .stopping	= (void *)fair_stopping,
	       .init_task	= (void *)fair_init_task,
	       .cpu_online	= (void *)fair_cpu_online,
	       .cpu_offline	= (void *)fair_cpu_offline,
	       .init		= (void *)fair_init,
	       .exit		= (void *)fair_exit,
	       .timeout_ms	= 5000U,
	       .name		= "fair");
/* clang-format on */
