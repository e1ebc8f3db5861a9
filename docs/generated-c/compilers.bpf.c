/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * policy-d3a09866: made by schedpilot from the policy
 *
 *	comm ~ "cc1*|ld|rustc" { slice 20ms; order fifo }; * { slice 3ms }
 *
 * Each runnable task waits in just one queue; every queue is served by every CPU that may
 * run its tasks; who has waited max_wait_ns is served out of turn; slices are bounded.
 */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

UEI_DEFINE(uei);

#define QUEUE_0 0 /* normal: rule 1 */
#define QUEUE_1 1 /* normal: rule 2 */

/* Every how often a CPU looks for tasks that have waited too long, ns, and how many it serves. */
#define LOOK_NS	     100000000
#define LATE_AT_ONCE 32

/*
 * Where others were promised more than such a task, it gets this, ns; and within such a round, ns,
 * each of them once. A turn at once for all would have all of them begin, which hold up each other
 * (and those before them) with locks that they have not come to release.
 */
#define LATE_SLICE_NS 1000000
#define LATE_ROUND_NS 4000000000

/* Slices become no shorter than this for want of time, ns; nor longer than that for anything. */
#define SQUEEZED_NS 500000
#define SHORTEST_NS 50000
#define LONGEST_NS  100000000

#define NO_QUEUE 0xffffffff

/* Live. The 20ms in the policy, ns. */
volatile u64 rule1_slice_ns = 20000000;
/* Live. The 3ms in the policy, ns. */
volatile u64 rule2_slice_ns = 3000000;
/* Live. A task that slept may be at most this far behind the clock, ns of virtual time. */
volatile u64 credit_ns = 3000000;
/* Live. No task shall wait longer than about this for its turn, ns. */
volatile u64 max_wait_ns = 800000000;
/* Live. The same where an order, a share or the tier idle was asked for, ns. */
volatile u64 late_wait_ns = 2000000000;

/* Counters in the map `stats`, summed over CPUs by the reader. */
enum counter_index {
	STAT_DIRECT,  /* wakeups that found an idle CPU */
	STAT_QUEUED,  /* tasks that joined a queue */
	STAT_KTHREAD, /* per-CPU kernel threads let through */
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
	/* Virtual time, ns of CPU time of a task of weight 100. */
	u64 vtime;
	/* When it last began to run, and when to wait, ns; 0 while it does not. */
	u64 started_at;
	u64 queued_at;
	/* Its part of runnable_weight; 0 while it sleeps. */
	u64 counted;
	/* The rule that it is under, and the queue where it waits or did last. */
	u32 class;
	u32 queue;
	/* The queue whose weight it is part of. */
	u32 counted_in;
};

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct task_ctx);
} tasks SEC(".maps");

/* Virtual time of the machine, and the weight of all runnable tasks. */
static u64 clock;
static u64 runnable_weight;
/* When somebody last looked for late tasks, ns. */
static u64 looked_at;
static u64 nr_online = 1;
/*
 * Runnable weight of each queue, and its virtual time: what it had by its weight. Arrays are
 * not static: clang splits those of which it sees every use, and their types are lost.
 */
u64 weight_in[2];
u64 had[2];

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

/* Is `part`, in which `?` stands for any byte if `wild`, at place `from` of the name? */
static __always_inline bool at(const char *name, u32 from, const char *part, u32 length, bool wild)
{
	u32 i;

	if (from + length >= 16)
		return false;
	for (i = 0; i < length; i++) {
		char found = name[(from + i) & 15];

		if (!found || (found != part[i] && !(wild && part[i] == '?')))
			return false;
	}
	return true;
}

/*
 * Names against patterns. Not inlined: where clang knows how a name lies on the stack, it turns
 * additions to its address into ORs, which the verifier refuses.
 */
/* ~ cc1* */
static __noinline bool name_is_1(const char *name)
{
	u32 place = 0;

	if (!at(name, 0, "cc1", 3, true))
		return false;
	place = 3;
	return place < 16;
}

/* ~ ld */
static __noinline bool name_is_2(const char *name)
{
	u32 place = 0;

	if (!at(name, 0, "ld", 2, true))
		return false;
	place = 2;
	return !name[place & 15];
}

/* ~ rustc */
static __noinline bool name_is_3(const char *name)
{
	u32 place = 0;

	if (!at(name, 0, "rustc", 5, true))
		return false;
	place = 5;
	return !name[place & 15];
}

/* The rule that a task is under: the first that matches. */
static u32 classify(struct task_struct *p, struct task_ctx *t)
{
	char comm[16] = {};

	bpf_probe_read_kernel(comm, sizeof(comm), BPF_CORE_READ(p, group_leader)->comm);
	/* comm ~ "cc1*|ld|rustc" { slice 20ms; order fifo } */
	if ((name_is_1(comm) || name_is_2(comm) || name_is_3(comm)))
		return 0;
	/* * { slice 3ms } */
	return 1;
}

static u64 weight_of(const struct task_struct *p, const struct task_ctx *t)
{
	u64 weight = p->scx.weight;

	return weight ? weight : 1;
}

/* How far the clock moves in max_wait_ns when every CPU is busy. */
static u64 reach(void)
{
	u64 weight = runnable_weight;

	return max_wait_ns * nr_online * 100 / (weight > 100 ? weight : 100);
}

/* Bring the task's virtual time within bounds of the clock. Who slept has less credit. */
static void settle(struct task_ctx *t, bool woke)
{
	u64 now = clock, ahead = reach(), behind = woke ? credit_ns : ahead;

	if (before(t->vtime, now - behind))
		t->vtime = now - behind;
	if (before(now + ahead, t->vtime))
		t->vtime = now + ahead;
}

/* The slice that the policy wants for the task, within bounds, shorter where many wait. */
static u64 slice_for(struct task_struct *p, struct task_ctx *t, s32 waiting)
{
	u64 fit = max_wait_ns * nr_online / (waiting > 0 ? waiting + 1 : 1);
	s64 wanted;

	switch (t->class) {
	case 0: /* slice 20ms (rule 1) */
		wanted = (s64)rule1_slice_ns;
		break;
	default: /* slice 3ms (rule 2) */
		wanted = (s64)rule2_slice_ns;
		break;
	}
	if (wanted < SHORTEST_NS)
		wanted = SHORTEST_NS;
	if (wanted > LONGEST_NS)
		wanted = LONGEST_NS;
	if (fit < SQUEEZED_NS)
		fit = SQUEEZED_NS;
	return wanted < fit ? wanted : fit;
}

/* A task's place in its queue. */
static u64 place_of(struct task_struct *p, struct task_ctx *t)
{
	switch (t->queue) {
	case QUEUE_0: /* order fifo */
		return t->queued_at;
	default: /* order vtime */
		return t->vtime;
	}
}

/*
 * Put the task under its rule; the number of its queue. It has to return a number: where it
 * returned nothing, clang could leave an address of the stack in the register for that, and the
 * verifier refuses those.
 */
static u32 place(struct task_struct *p, struct task_ctx *t)
{
	u32 queue;

	t->class = classify(p, t);
	switch (t->class) {
	case 0:
		queue = QUEUE_0;
		break;
	default:
		queue = QUEUE_1;
		break;
	}
	return queue;
}

/*
 * Keep the sums of weights: what the task weighs, and the queue that it waits in, may have
 * changed since it woke. A queue that had nobody begins near the clock, as a task does that slept.
 */
static void count_in(const struct task_struct *p, struct task_ctx *t)
{
	u64 weight = weight_of(p, t);
	u64 behind, own;
	u32 queue = t->queue;

	if (!t->counted || queue >= 2 || t->counted_in >= 2)
		return;
	own = queue == t->counted_in ? t->counted : 0;
	behind = weight_in[queue] > own ? reach() : credit_ns;
	if (before(had[queue], clock - behind))
		had[queue] = clock - behind;
	if (queue == t->counted_in && weight == t->counted)
		return;
	__sync_fetch_and_sub(&weight_in[t->counted_in], t->counted);
	__sync_fetch_and_add(&weight_in[queue], weight);
	t->counted_in = queue;
	__sync_fetch_and_add(&runnable_weight, weight - t->counted);
	t->counted = weight;
}

/* Put down what the task has run since `started_at`, and start anew from `now`. */
static void charge(struct task_struct *p, struct task_ctx *t, u64 now)
{
	u64 ran = now - t->started_at, weight = weight_of(p, t), all = runnable_weight;
	u32 queue = t->queue;
	u64 ours;

	t->started_at = now;
	t->vtime += ran * 100 / weight;
	__sync_fetch_and_add(&clock, ran * 100 / (all > weight ? all : weight));
	if (queue < 2) {
		ours = weight_in[queue];
		__sync_fetch_and_add(&had[queue], ran * 100 / (ours > weight ? ours : weight));
	}
}

/*
 * Give this CPU the first task of a dispatch queue, or let it go on with `prev`, whose slice
 * just ended, while that is the first. The kernel asks for the next task before it hands the
 * last one back, so that the first would lose a turn to the second at the end of each slice,
 * and weights would count for little where few wait. Among equals, the one that runs is first.
 */
static bool take(u32 queue, u64 dsq, struct task_struct *prev, u64 now)
{
	struct task_ctx *t = NULL;
	struct task_struct *p;
	bool first = false;
	u64 mine;

	if (prev && (prev->scx.flags & SCX_TASK_QUEUED))
		t = ctx_of(prev);
	if (t && t->queue == queue) {
		settle(t, false);
		/* Its place is the one that it would have if it joined now. */
		t->queued_at = now;
		mine = place_of(prev, t);
		t->queued_at = 0;
		first = true;
		bpf_for_each (scx_dsq, p, dsq, 0) {
			first = !before(p->scx.dsq_vtime, mine);
			break;
		}
	}
	if (!first && scx_bpf_dsq_move_to_local(dsq, 0))
		return true;
	if (!t || t->queue != queue)
		return false;
	scx_bpf_task_set_slice(prev, slice_for(prev, t, scx_bpf_dsq_nr_queued(dsq)));
	return true;
}

/* Give this CPU a task of one queue. False: it has none for it. */
static bool serve(u32 queue, s32 cpu, struct task_struct *prev, u64 now)
{
	u64 dsq = queue;

	/* A compiler that knew all values would leave out an end, which the verifier then misses. */
	__sink(queue);
	return take(queue, dsq, prev, now);
}

/* Does anybody wait in this queue, or did its task just end a slice here? */
static bool wanted(u32 queue, s32 cpu, struct task_struct *prev)
{
	struct task_ctx *t;

	if (scx_bpf_dsq_nr_queued(queue) > 0)
		return true;
	if (!prev || !(prev->scx.flags & SCX_TASK_QUEUED))
		return false;
	t = ctx_of(prev);
	return t && t->queue == queue;
}

/* Of the queues of tier normal, the one that is furthest behind goes first. */
static bool serve_normal(s32 cpu, struct task_struct *prev, u64 now)
{
	u32 next = NO_QUEUE;

	if (wanted(QUEUE_0, cpu, prev) &&
	    (next == NO_QUEUE || before(had[QUEUE_0], had[next & 1])))
		next = QUEUE_0;
	if (wanted(QUEUE_1, cpu, prev) &&
	    (next == NO_QUEUE || before(had[QUEUE_1], had[next & 1])))
		next = QUEUE_1;
	if (next != NO_QUEUE && serve(next, cpu, prev, now))
		return true;
	/* Nobody of it may run here, or it waits elsewhere: anybody who may. */
	if (serve(QUEUE_0, cpu, prev, now))
		return true;
	if (serve(QUEUE_1, cpu, prev, now))
		return true;
	return false;
}

/*
 * The order alone bounds nobody's wait. So those that have waited too long are handed to
 * the kernel's own global queue, which every CPU that may run them serves before all others.
 */
static void serve_late(u64 dsq, u64 wait, bool briefly, u64 now)
{
	struct task_struct *p;
	struct task_ctx *t;
	u32 most = LATE_AT_ONCE, served = 0;
	u64 oldest = now;

	bpf_for_each (scx_dsq, p, dsq, 0) {
		t = ctx_of(p);
		if (t && before(t->queued_at, oldest))
			oldest = t->queued_at;
	}
	if (before(now, oldest + wait))
		return;
	if (briefly) {
		u32 share = 1 + scx_bpf_dsq_nr_queued(dsq) * (u64)LOOK_NS / LATE_ROUND_NS;

		most = share < most ? share : most;
	}
	bpf_for_each (scx_dsq, p, dsq, 0) {
		t = ctx_of(p);
		/* Who has had a late turn comes again when the others have had theirs. */
		if (!t || before(now, t->queued_at + wait) ||
		    before(oldest + wait / 2, t->queued_at))
			continue;
		if (briefly)
			scx_bpf_dsq_move_set_slice(BPF_FOR_EACH_ITER, LATE_SLICE_NS);
		if (!scx_bpf_dsq_move(BPF_FOR_EACH_ITER, p, SCX_DSQ_GLOBAL, 0))
			continue;
		count(STAT_LATE);
		if (++served >= most)
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

static void look_for_late(u64 now)
{
	serve_late(QUEUE_0, late_wait_ns, true, now);
	serve_late(QUEUE_1, max_wait_ns, false, now);
}

s32 BPF_STRUCT_OPS(policy_select_cpu, struct task_struct *p, s32 prev_cpu, u64 wake_flags)
{
	struct task_ctx *t = ctx_of(p);
	bool idle = false;
	s32 cpu;

	if (!t)
		return prev_cpu;
	t->queue = place(p, t);
	cpu = scx_bpf_select_cpu_dfl(p, prev_cpu, wake_flags, &idle);
	if (idle) {
		settle(t, true);
		count_in(p, t);
		count(STAT_DIRECT);
		scx_bpf_dsq_insert(p, SCX_DSQ_LOCAL, slice_for(p, t, 0), 0);
	}
	return cpu;
}

void BPF_STRUCT_OPS(policy_enqueue, struct task_struct *p, u64 enq_flags)
{
	struct task_ctx *t = ctx_of(p);
	s32 cpu;
	u64 dsq;

	/*
	 * A kernel thread of one CPU runs briefly and others wait for it. Only when it has
	 * just woken: one that spins takes its turn in the queue like everybody.
	 */
	if ((p->flags & PF_KTHREAD) && p->nr_cpus_allowed == 1 && (enq_flags & SCX_ENQ_WAKEUP)) {
		count(STAT_KTHREAD);
		scx_bpf_dsq_insert(p, SCX_DSQ_LOCAL, SQUEEZED_NS, enq_flags);
		return;
	}
	/* Nobody is without a context: init_task() makes it or fails. */
	if (!t) {
		scx_bpf_dsq_insert(p, SCX_DSQ_GLOBAL, SQUEEZED_NS, enq_flags);
		return;
	}
	t->queue = place(p, t);
	settle(t, enq_flags & SCX_ENQ_WAKEUP);
	t->queued_at = scx_bpf_now();
	dsq = t->queue;
	count(STAT_QUEUED);
	scx_bpf_dsq_insert_vtime(p, dsq, slice_for(p, t, scx_bpf_dsq_nr_queued(dsq)),
				 place_of(p, t), enq_flags);
	count_in(p, t);
	/* A CPU may have gone idle since select_cpu looked, and slice ends never look. */
	cpu = scx_bpf_pick_idle_cpu(p->cpus_ptr, 0);
	if (cpu >= 0)
		scx_bpf_kick_cpu(cpu, SCX_KICK_IDLE);
}

void BPF_STRUCT_OPS(policy_dispatch, s32 cpu, struct task_struct *prev)
{
	struct task_ctx *t = prev ? ctx_of(prev) : NULL;
	u64 now = scx_bpf_now();
	/* Before anybody is chosen: what `prev` had, and where it belongs by now. */
	if (t && t->started_at && (prev->scx.flags & SCX_TASK_QUEUED)) {
		charge(prev, t, now);
		t->queue = place(prev, t);
		count_in(prev, t);
	}
	if (look_due(now))
		look_for_late(now);
	if (serve_normal(cpu, prev, now)) /* normal */
		return;
}

void BPF_STRUCT_OPS(policy_runnable, struct task_struct *p, u64 enq_flags)
{
	struct task_ctx *t = ctx_of(p);

	if (!t)
		return;
	if (!t->counted) {
		t->counted = weight_of(p, t);
		__sync_fetch_and_add(&runnable_weight, t->counted);
		t->counted_in = t->queue < 2 ? t->queue : 0;
		__sync_fetch_and_add(&weight_in[t->counted_in], t->counted);
	}
}

void BPF_STRUCT_OPS(policy_quiescent, struct task_struct *p, u64 deq_flags)
{
	struct task_ctx *t = ctx_of(p);

	if (!t)
		return;
	__sync_fetch_and_sub(&runnable_weight, t->counted);
	if (t->counted_in < 2)
		__sync_fetch_and_sub(&weight_in[t->counted_in], t->counted);
	t->counted = 0;
}

void BPF_STRUCT_OPS(policy_running, struct task_struct *p)
{
	struct task_ctx *t = ctx_of(p);

	if (!t)
		return;
	t->started_at = scx_bpf_now();
	t->queued_at = 0;
}

void BPF_STRUCT_OPS(policy_stopping, struct task_struct *p, bool runnable)
{
	struct task_ctx *t = ctx_of(p);

	if (!t || !t->started_at)
		return;
	charge(p, t, scx_bpf_now());
	t->started_at = 0;
}

s32 BPF_STRUCT_OPS(policy_init_task, struct task_struct *p, struct scx_init_task_args *args)
{
	struct task_ctx *t = bpf_task_storage_get(&tasks, p, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);

	if (!t)
		return -ENOMEM;
	t->vtime = clock;
	return 0;
}

void BPF_STRUCT_OPS(policy_cpu_online, s32 cpu)
{
	__sync_fetch_and_add(&nr_online, 1);
}

/* Hand the tasks of a dispatch queue that wait on `cpu` to the kernel's own global queue. */
static void hand_over(u64 dsq, s32 cpu)
{
	struct task_struct *p;

	bpf_for_each (scx_dsq, p, dsq, 0) {
		if (scx_bpf_task_cpu(p) == cpu)
			scx_bpf_dsq_move(BPF_FOR_EACH_ITER, p, SCX_DSQ_GLOBAL, 0);
	}
}

/*
 * A CPU on its way out no longer asks dispatch() for work, and waits until the tasks on
 * its run queue are gone, also those that may run nowhere else. The kernel's own global
 * queue is still served there, so they leave through it.
 */
void BPF_STRUCT_OPS(policy_cpu_offline, s32 cpu)
{
	__sync_fetch_and_sub(&nr_online, 1);
	hand_over(QUEUE_0, cpu);
	hand_over(QUEUE_1, cpu);
}

s32 BPF_STRUCT_OPS_SLEEPABLE(policy_init)
{
	const struct cpumask *online = scx_bpf_get_online_cpumask();
	s32 error;

	nr_online = bpf_cpumask_weight(online);
	scx_bpf_put_cpumask(online);
	error = scx_bpf_create_dsq(QUEUE_0, -1);
	if (error)
		return error;
	error = scx_bpf_create_dsq(QUEUE_1, -1);
	if (error)
		return error;
	return 0;
}

void BPF_STRUCT_OPS(policy_exit, struct scx_exit_info *ei)
{
	UEI_RECORD(uei, ei);
}

/* clang-format off */
SCX_OPS_DEFINE(policy_ops,
	       .select_cpu	= (void *)policy_select_cpu,
	       .enqueue		= (void *)policy_enqueue,
	       .dispatch	= (void *)policy_dispatch,
	       .runnable	= (void *)policy_runnable,
	       .quiescent	= (void *)policy_quiescent,
	       .running		= (void *)policy_running,
	       .stopping	= (void *)policy_stopping,
	       .init_task	= (void *)policy_init_task,
	       .cpu_online	= (void *)policy_cpu_online,
	       .cpu_offline	= (void *)policy_cpu_offline,
	       .init		= (void *)policy_init,
	       .exit		= (void *)policy_exit,
	       .timeout_ms	= 15000U,
	       .name		= "policy_d3a09866");
/* clang-format on */
