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
 * No queue depends on its CPU: every CPU regularly looks into its LLC's queue and into
 * one foreign queue, in rotation, even when it has work of its own.
 */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

UEI_DEFINE(uei);

/* Queue ids: a CPU's own is its number, an LLC's is this plus the LLC's number. */
#define LLC_BASE 0x100000

/* Every how often a CPU looks for tasks that have waited too long, ns, and how many it serves. */
#define LOOK_NS	     100000000
#define LATE_AT_ONCE 32

/* Live. Longest uninterrupted run while others wait, ns. */
volatile u64 slice_ns = 5000000;
/* Live. A task that slept may be at most this far behind the clock, ns of virtual time. */
volatile u64 credit_ns = 5000000;
/* Live. A task further ahead of the clock than this leaves its CPU's queue, ns of virtual time. */
volatile u64 lead_ns = 10000000;
/* Live. At most this many tasks wait in a CPU's own queue; more go to the LLC's. */
volatile u64 own_tasks = 2;
/* Load. No task shall wait longer than about this for its turn, ns. */
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

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, NR_COUNTERS);
	__type(key, u32);
	__type(value, u64);
} stats SEC(".maps");

struct task_ctx {
	u64 vtime;	/* virtual time, ns of CPU time of a task of weight 100 */
	u64 started_at; /* when it last began to run, ns; 0 while it does not */
	u64 counted;	/* its part of runnable_weight; 0 while it sleeps */
	u64 queued_at;	/* when it began to wait, ns */
};

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct task_ctx);
} tasks SEC(".maps");

struct cpu_ctx {
	u64 turn;      /* dispatches so far */
	u64 looked_at; /* when it last looked for late tasks, ns */
	u32 foreign;   /* the foreign CPU it looked at last */
	u32 late_cpu;  /* the CPU among whose queues it looked last */
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct cpu_ctx);
} cpus SEC(".maps");

/*
 * The scheduler domains' own idea of which CPUs share a cache: the number of the first
 * CPU that does. Without it (or without BTF for per-CPU data) the machine is one LLC.
 */
extern const int sd_llc_id __ksym __weak;

static u64 clock;	    /* virtual time of the machine */
static u64 runnable_weight; /* of all runnable tasks */
static u64 nr_online = 1;
static u32 nr_cpus = 1; /* possible CPUs */

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

static u32 llc_of(s32 cpu)
{
	const int *id;

	if (!&sd_llc_id)
		return 0;
	id = bpf_per_cpu_ptr(&sd_llc_id, cpu);
	return id && *id >= 0 && (u32)*id < nr_cpus ? *id : 0;
}

/* How far the clock moves in max_wait_ns when every CPU is busy. */
static u64 reach(void)
{
	u64 weight = runnable_weight;

	return max_wait_ns * nr_online * 100 / (weight > 100 ? weight : 100);
}

/* Slices shrink with the number of runnable tasks (by weight), so that all get by. */
static u64 slice_for(void)
{
	u64 fit = reach();
	u64 slice = slice_ns < fit ? slice_ns : fit;

	return slice > min_slice_ns ? slice : min_slice_ns;
}

/* The task's virtual time, brought within bounds of the clock. */
static u64 settle(struct task_ctx *t)
{
	u64 now = clock, ahead = reach();

	if (before(t->vtime, now - credit_ns))
		t->vtime = now - credit_ns;
	if (before(now + ahead, t->vtime))
		t->vtime = now + ahead;
	return t->vtime;
}

s32 BPF_STRUCT_OPS(locality_select_cpu, struct task_struct *p, s32 prev_cpu, u64 wake_flags)
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

void BPF_STRUCT_OPS(locality_enqueue, struct task_struct *p, u64 enq_flags)
{
	struct task_ctx *t = ctx_of(p);
	s32 cpu = scx_bpf_task_cpu(p);
	u64 vtime = t ? settle(t) : clock, queue = cpu;

	/*
	 * A kernel thread of one CPU runs briefly and others wait for it. Only when it has
	 * just woken: one that spins takes its turn in the queue like everybody.
	 */
	if ((p->flags & PF_KTHREAD) && p->nr_cpus_allowed == 1 && (enq_flags & SCX_ENQ_WAKEUP)) {
		count(STAT_KTHREAD);
		scx_bpf_dsq_insert(p, SCX_DSQ_LOCAL, slice_for(), enq_flags);
		return;
	}
	if (p->nr_cpus_allowed > 1 &&
	    (scx_bpf_dsq_nr_queued(cpu) >= (s32)own_tasks || before(clock + lead_ns, vtime))) {
		queue = LLC_BASE + llc_of(cpu);
		count(STAT_LLC);
	} else {
		count(STAT_OWN);
	}
	if (t)
		t->queued_at = scx_bpf_now();
	scx_bpf_dsq_insert_vtime(p, queue, slice_for(), vtime, enq_flags);
	/* An idle CPU will steal it; near ones are preferred by the kernel's search. */
	cpu = scx_bpf_pick_idle_cpu(p->cpus_ptr, 0);
	if (cpu >= 0)
		scx_bpf_kick_cpu(cpu, SCX_KICK_IDLE);
}

/* Take a task that waits for another CPU: of the same LLC if `near`, else of any other. */
static bool steal(s32 cpu, u32 llc, bool near)
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
		/* An LLC's number is that of its first CPU. */
		if (!near && scx_bpf_dsq_nr_queued(LLC_BASE + other) > 0 &&
		    scx_bpf_dsq_move_to_local(LLC_BASE + other, 0)) {
			count(STAT_STOLEN_FAR);
			return true;
		}
	}
	return false;
}

/* One look into the queues of one foreign CPU, the next one each time. */
static bool look_abroad(s32 cpu, struct cpu_ctx *c)
{
	u32 other = (c->foreign + 1) % nr_cpus;

	c->foreign = other;
	if (other == (u32)cpu)
		return false;
	return scx_bpf_dsq_move_to_local(other, 0) ||
	       scx_bpf_dsq_move_to_local(LLC_BASE + other, 0);
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

void BPF_STRUCT_OPS(locality_dispatch, s32 cpu, struct task_struct *prev)
{
	u32 zero = 0, llc = llc_of(cpu);
	u64 now = scx_bpf_now();
	struct cpu_ctx *c = bpf_map_lookup_percpu_elem(&cpus, &zero, cpu);

	if (!c)
		return;
	c->turn++;
	if (!before(now, c->looked_at + LOOK_NS)) {
		c->looked_at = now;
		/* Also in a foreign queue, whose own CPU may be gone or busy with other classes. */
		c->late_cpu = (c->late_cpu + 1) % nr_cpus;
		serve_late(cpu, now);
		serve_late(LLC_BASE + llc, now);
		serve_late(c->late_cpu, now);
		serve_late(LLC_BASE + c->late_cpu, now);
	}
	if (foreign_turns && c->turn % foreign_turns == 0 && look_abroad(cpu, c))
		return;
	if (llc_turns && c->turn % llc_turns == 0 && scx_bpf_dsq_move_to_local(LLC_BASE + llc, 0))
		return;
	if (scx_bpf_dsq_move_to_local(cpu, 0) || scx_bpf_dsq_move_to_local(LLC_BASE + llc, 0))
		return;
	/* The kernel lets a task whose slice ended go on if there is nothing else here. */
	if (prev && (prev->scx.flags & SCX_TASK_QUEUED))
		return;
	if (!steal(cpu, llc, true))
		steal(cpu, llc, false);
}

void BPF_STRUCT_OPS(locality_runnable, struct task_struct *p, u64 enq_flags)
{
	struct task_ctx *t = ctx_of(p);

	if (!t || t->counted)
		return;
	t->counted = p->scx.weight;
	__sync_fetch_and_add(&runnable_weight, t->counted);
}

void BPF_STRUCT_OPS(locality_quiescent, struct task_struct *p, u64 deq_flags)
{
	struct task_ctx *t = ctx_of(p);

	if (!t)
		return;
	__sync_fetch_and_sub(&runnable_weight, t->counted);
	t->counted = 0;
}

void BPF_STRUCT_OPS(locality_running, struct task_struct *p)
{
	struct task_ctx *t = ctx_of(p);

	if (t)
		t->started_at = scx_bpf_now();
}

void BPF_STRUCT_OPS(locality_stopping, struct task_struct *p, bool runnable)
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

s32 BPF_STRUCT_OPS(locality_init_task, struct task_struct *p, struct scx_init_task_args *args)
{
	struct task_ctx *t = bpf_task_storage_get(&tasks, p, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);

	if (!t)
		return -ENOMEM;
	t->vtime = clock;
	return 0;
}

void BPF_STRUCT_OPS(locality_cpu_online, s32 cpu)
{
	__sync_fetch_and_add(&nr_online, 1);
}

/* Hand the tasks of `queue` that wait on `cpu` to the kernel's own global queue. */
static void hand_over(u64 queue, s32 cpu)
{
	struct task_struct *p;

	bpf_for_each (scx_dsq, p, queue, 0) {
		if (scx_bpf_task_cpu(p) == cpu)
			scx_bpf_dsq_move(BPF_FOR_EACH_ITER, p, SCX_DSQ_GLOBAL, 0);
	}
}

/*
 * A CPU on its way out no longer asks dispatch() for work, and waits until the tasks on
 * its run queue are gone, also those that may run nowhere else. The kernel's own global
 * queue is still served there, so they leave through it. They may wait in the CPU's own
 * queue or in that of any LLC: ids of LLCs change as CPUs come and go.
 */
void BPF_STRUCT_OPS(locality_cpu_offline, s32 cpu)
{
	u32 i;

	__sync_fetch_and_sub(&nr_online, 1);
	hand_over(cpu, cpu);
	bpf_for (i, 0, nr_cpus)
		hand_over(LLC_BASE + i, cpu);
}

s32 BPF_STRUCT_OPS_SLEEPABLE(locality_init)
{
	const struct cpumask *online = scx_bpf_get_online_cpumask();
	s32 error;
	u32 i;

	nr_online = bpf_cpumask_weight(online);
	scx_bpf_put_cpumask(online);
	nr_cpus = scx_bpf_nr_cpu_ids();
	bpf_for (i, 0, nr_cpus) {
		error = scx_bpf_create_dsq(i, -1);
		if (!error)
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
	       .runnable	= (void *)locality_runnable,
	       .quiescent	= (void *)locality_quiescent,
	       .running		= (void *)locality_running,
	       .stopping	= (void *)locality_stopping,
	       .init_task	= (void *)locality_init_task,
	       .cpu_online	= (void *)locality_cpu_online,
	       .cpu_offline	= (void *)locality_cpu_offline,
	       .init		= (void *)locality_init,
	       .exit		= (void *)locality_exit,
	       .timeout_ms	= 5000U,
	       .name		= "locality");
/* clang-format on */
