/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * policy-6a7007b8: made by schedpilot from the policy
 *
 *	comm ~ "hog*" { share <= 20% }
 *
 * Each runnable task waits in exactly one queue; every queue is served by every CPU that may
 * run its tasks; a task that has waited max_wait_ns is served out of turn; slices are bounded.
 * Control groups divide the machine first: tasks of a group that is ahead of its share, or has
 * used its quota, wait apart.
 */
#include <schedpilot/cgroup_member.bpf.h>
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

UEI_DEFINE(uei);

#define QUEUE_0 0 /* normal: rule 1 */
#define QUEUE_1 1 /* normal: the rest */

/*
 * A late task gets this slice, ns, if others were promised more than it; and each of them
 * gets one within such a round, ns. If every late task got a turn at once, all would start
 * and block each other (and the tasks before them) on locks that they have not come to
 * release.
 */
#define LATE_SLICE_NS 1000000
#define LATE_ROUND_NS 4000000000

/* Slice bounds, ns; SQUEEZED_NS is the floor when many tasks wait. */
#define SQUEEZED_NS 500000
#define SHORTEST_NS 50000
#define LONGEST_NS  100000000

/* How often an LLC evens out with another what shares are due, ns. */
#define EVEN_OUT_NS 10000000

#define NO_QUEUE 0xffffffff

/* Live. rule 1: at most this much of the machine, percent. */
volatile u64 rule1_share_percent = 20;
/* Live. The 3ms in the policy, ns. */
volatile u64 slice_ns = 3000000;
/* Live. A task that slept may be at most this far behind the clock, ns of virtual time. */
volatile u64 credit_ns = 3000000;
/* Live. No task should wait much longer than this for its turn, ns. */
volatile u64 max_wait_ns = 800000000;
/* Live. The same, if an order, a share or the tier idle was given, ns. */
volatile u64 late_wait_ns = 2000000000;

/* Counters in the map `stats`, summed over CPUs by the reader. */
enum counter_index {
	STAT_DIRECT,  /* wakeups that found an idle CPU */
	STAT_QUEUED,  /* tasks that joined a queue */
	STAT_KTHREAD, /* per-CPU kernel threads let through */
	STAT_LATE,    /* tasks served out of order because they waited too long */
	STAT_STOLEN,  /* tasks taken from another LLC's queue by a CPU without work */
	NR_COUNTERS,
};

struct task_ctx {
	/* Virtual time, ns of CPU time of a task of weight 100. */
	u64 vtime;
	/* When it last began to run, and when to wait, ns; 0 while it does not. */
	u64 started_at;
	u64 queued_at;
	/* Its part of an LLC's runnable_weight; 0 while it sleeps. */
	u64 counted;
	/* Its place among control groups. */
	struct member member;
	/* Its rule, and the queue where it waits or last waited. */
	u32 class;
	u32 queue;
	/* The LLC where it waits or runs, and to whose clock vtime belongs; when another took it, ns. */
	u32 llc;
	u64 moved_at;
	/* What it counts in which queue of which LLC; written by count_in_queue() alone. */
	u64 counted_in;
};

#include <schedpilot/balance.bpf.h>
#include <schedpilot/cgroup_hold.bpf.h>
#include <schedpilot/cgroup_settle.bpf.h>
#include <schedpilot/counters.bpf.h>
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

/* What an LLC knows of the queues. */
struct account {
	/* Runnable weight of each queue. */
	u64 weight_in[2];
	/* Virtual time of each queue: its CPU time divided by its weight. */
	u64 had[2];
	/* CPU time that a queue may still have, ns. */
	s64 left[2];
	/* When it last evened that out with another LLC, ns, and with which. */
	u64 evened_at;
	u32 partner;
} __attribute__((aligned(64)));

struct account accounts[MAX_LLCS];

static struct account *account_in(u32 llc)
{
	return &accounts[llc & (MAX_LLCS - 1)];
}

/* Whether `part`, in which `?` stands for any byte if `wild`, is at place `from` of the name. */
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
 * Names against patterns. Not inlined: if clang knows a name's place on the stack, it turns
 * additions to its address into ORs, which the verifier refuses.
 */
/* ~ hog* */
static __noinline bool name_is_1(const char *name)
{
	u32 place = 0;

	if (!at(name, 0, "hog", 3, true))
		return false;
	place = 3;
	return place < 16;
}

/* A task's rule: the first that matches. */
static u32 classify(struct task_struct *p, struct task_ctx *t)
{
	char comm[16] = {};

	bpf_probe_read_kernel(comm, sizeof(comm), BPF_CORE_READ(p, group_leader)->comm);
	/* comm ~ "hog*" { share <= 20% } */
	if (name_is_1(comm))
		return 0;
	/* * { } */
	return 1;
}

static u64 weight_of(const struct task_struct *p, const struct task_ctx *t)
{
	u64 weight = p->scx.weight;

	return weight ? weight : 1;
}

/*
 * The task waits in this LLC: bring its virtual time within bounds of the clock. A task that slept
 * has less credit.
 */
static void bring_near(struct task_ctx *t, u32 llc, bool woke)
{
	u64 ahead = reach(llc, max_wait_ns);

	follow(t, llc);
	settle(t, woke ? credit_ns : ahead, ahead);
}

/* The slice that the policy wants for the task, within bounds, shorter if many wait. */
static u64 slice_for(struct task_struct *p, struct task_ctx *t, s32 waiting)
{
	u64 fit = fitting_slice(max_wait_ns, waiting, t->llc);
	s64 wanted;

	switch (t->class) {
	case 0: /* slice 3ms (rule 1) */
		wanted = (s64)slice_ns;
		break;
	default: /* slice 3ms */
		wanted = (s64)slice_ns;
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
	return t->vtime;
}

/*
 * What a task counts in a queue is one word: its weight, the queue above that, and the LLC. See
 * <schedpilot/virtual_time.bpf.h> for the reason.
 */
static void add_to_queue(u64 counted, bool away)
{
	u64 weight = counted & ((1ULL << 48) - 1);
	u32 queue = counted >> 48 & 1;
	struct account *there = account_in(counted >> 56);

	__sync_fetch_and_add(&there->weight_in[queue], away ? -weight : weight);
}

static void count_in_queue(struct task_ctx *t, u64 counted)
{
	if (counted == t->counted_in)
		return;
	add_to_queue(counted, false);
	add_to_queue(__sync_lock_test_and_set(&t->counted_in, counted), true);
}

static u64 counted_as(const struct task_ctx *t, u64 weight)
{
	return (u64)t->llc << 56 | (u64)(t->queue & 1) << 48 | weight;
}

/*
 * Keep the sums of weights: what the task weighs, and the queue that it waits in, may have
 * changed since it woke. A queue that had nobody begins near the clock, as a task does that slept.
 */
static void count_in(const struct task_struct *p, struct task_ctx *t)
{
	u64 weight = weight_of(p, t);
	struct account *here = account_in(t->llc);
	u64 behind, own, clock = llc_at(t->llc)->clock, counted = counted_as(t, weight);
	u32 queue = t->queue;

	if (!t->counted || queue >= 2)
		return;
	own = counted == t->counted_in ? weight : 0;
	behind = here->weight_in[queue] > own ? reach(t->llc, max_wait_ns) : credit_ns;
	if (before(here->had[queue], clock - behind))
		here->had[queue] = clock - behind;
	count_in_queue(t, counted);
	if (t->counted && weight != counted_weight(t))
		weigh_in(t, weight);
}

/* Add, within bounds that keep the past from counting for ever. Lost updates do no harm. */
static void put_down(s64 *account, s64 change, s64 most)
{
	s64 value = *account + change;

	*account = value > most ? most : value < -most ? -most : value;
}

/* Account for the task's run time since `started_at`, and start again from `now`. */
static void charge(struct task_struct *p, struct task_ctx *t, u64 now)
{
	u64 ran = now - t->started_at, weight = weight_of(p, t);
	s64 own, most = 20000000 * online_in(t->llc);
	struct account *here = account_in(t->llc);
	u32 queue = t->queue;
	u64 ours;

	t->started_at = now;
	advance(t, ran, weight);
	if (queue < 2) {
		ours = here->weight_in[queue];
		__sync_fetch_and_add(&here->had[queue], ran * 100 / (ours > weight ? ours : weight));
	}
	/* share <= 20%: rule 1 */
	own = t->queue == QUEUE_0 || t->queue == QUEUE_0 ? ran : 0;
	put_down(&here->left[QUEUE_0], (s64)(ran * rule1_share_percent / 100) - own, most);
}

/* Both get half of what both have. */
static void halve(s64 *one, s64 *other)
{
	s64 half = (*one + *other) >> 1;

	*one = half;
	*other = half;
}

/*
 * A share is one of the machine: an LLC that does not use its part leaves it to the others, one
 * after another.
 */
__noinline int even_out(u32 llc, u64 now)
{
	struct account *here = account_in(llc), *there;

	if (nr_llcs < 2 || !turn_due(&here->evened_at, now, EVEN_OUT_NS))
		return 0;
	here->partner = next_llc(here->partner, llc);
	there = account_in(here->partner);
	halve(&here->left[QUEUE_0], &there->left[QUEUE_0]);
	return 0;
}

/*
 * Put the task under its rule; returns the number of its queue. It must return a number: if
 * it returned nothing, clang could leave a stack address in the return register, which the
 * verifier refuses.
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
 * Give this CPU the first task of a dispatch queue, or let it continue with `prev`, whose
 * slice just ended, if that is the first. The kernel asks for the next task before it hands
 * the last one back, so otherwise the first would lose a turn to the second at the end of
 * each slice, and weights would have little effect if few tasks wait. Among equals, the
 * running one is first.
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
		bring_near(t, t->llc, false);
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
	u64 dsq = queue_in(queue, llc_of(cpu));

	/*
	 * A compiler that knew all values would omit a bounds check, which the verifier then
	 * misses.
	 */
	__sink(queue);
	return take(queue, dsq, prev, now);
}

/* Whether a task waits in this queue, or a task of it just ended a slice here. */
static bool wanted(u32 queue, s32 cpu, struct task_struct *prev)
{
	struct task_ctx *t;

	if (scx_bpf_dsq_nr_queued(queue_in(queue, llc_of(cpu))) > 0)
		return true;
	if (!prev || !(prev->scx.flags & SCX_TASK_QUEUED))
		return false;
	t = ctx_of(prev);
	return t && t->queue == queue;
}

/* Among the queues of tier normal, the one that is furthest behind goes first. */
static bool serve_normal(s32 cpu, struct task_struct *prev, u64 now)
{
	const struct account *here = account_in(llc_of(cpu));
	u32 next = NO_QUEUE;

	if (here->left[QUEUE_0] > 0 && wanted(QUEUE_0, cpu, prev) &&
	    (next == NO_QUEUE || before(here->had[QUEUE_0], here->had[next & 1])))
		next = QUEUE_0;
	if (wanted(QUEUE_1, cpu, prev) &&
	    (next == NO_QUEUE || before(here->had[QUEUE_1], here->had[next & 1])))
		next = QUEUE_1;
	if (next != NO_QUEUE && serve(next, cpu, prev, now))
		return true;
	/*
	 * None of its tasks may run here, or they wait elsewhere: take any task that may run
	 * here.
	 */
	if (here->left[QUEUE_0] > 0 && serve(QUEUE_0, cpu, prev, now))
		return true;
	if (serve(QUEUE_1, cpu, prev, now))
		return true;
	return false;
}

/*
 * Whether a task that waits in the LLC `other` would get no less in `mine`; see
 * <schedpilot/balance.bpf.h>.
 */
static bool gains(u64 queue, u32 mine, u32 other, const struct task_ctx *t, u64 beside)
{
	return gains_weight(mine, other, t, beside);
}

/* A task of another LLC for a CPU that would go idle. */
__noinline int choose_abroad(s32 cpu)
{
	u32 llc = llc_of(cpu);

	if (steal(QUEUE_0, llc))
		goto stolen;
	if (steal(QUEUE_1, llc))
		goto stolen;
	return 0;
stolen:
	count(STAT_STOLEN);
	return 1;
}

/*
 * The order alone bounds no task's wait. So tasks that have waited too long move to the
 * kernel's own global queue, which every CPU that may run them serves before all others. A global
 * function: the verifier checks it once, not again for each queue.
 */
__noinline int give_late_turns(u64 dsq, u64 wait, bool briefly, u64 now, s32 cpu)
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
		return 0;
	if (briefly) {
		u32 share = 1 + scx_bpf_dsq_nr_queued(dsq) * (u64)LOOK_NS / LATE_ROUND_NS;

		most = share < most ? share : most;
	}
	bpf_for_each (scx_dsq, p, dsq, 0) {
		t = ctx_of(p);
		/* A task that has had a late turn comes again when the others have had theirs. */
		if (!t || before(now, t->queued_at + wait) ||
		    before(oldest + wait / 2, t->queued_at))
			continue;
		if (briefly)
			scx_bpf_dsq_move_set_slice(BPF_FOR_EACH_ITER, LATE_SLICE_NS);
		if (!serve_at_once(BPF_FOR_EACH_ITER, p, cpu))
			continue;
		count(STAT_LATE);
		if (++served >= most)
			break;
	}
	return 0;
}

/* Now and then one CPU of each LLC looks for late tasks, and for LLCs with more load. */
static void look(s32 cpu, u64 now)
{
	u32 llc = llc_of(cpu);

	if (!look_due(llc, now, LOOK_NS))
		return;
	give_late_turns(queue_in(QUEUE_0, llc), late_wait_ns, true, now, cpu);
	give_late_turns(queue_in(QUEUE_1, llc), max_wait_ns, false, now, cpu);
	if (nr_llcs < 2)
		return;
	adopt_late(QUEUE_0, late_wait_ns, now, cpu);
	balance(QUEUE_0, llc, cpu);
	adopt_late(QUEUE_1, max_wait_ns, now, cpu);
	balance(QUEUE_1, llc, cpu);
}

s32 BPF_STRUCT_OPS(policy_select_cpu, struct task_struct *p, s32 prev_cpu, u64 wake_flags)
{
	struct task_ctx *t = ctx_of(p);
	bool idle = false;
	s32 cpu;

	if (!t)
		return prev_cpu;
	t->queue = place(p, t);
	cpu = select_idle_cpu(p, prev_cpu, wake_flags, &idle);
	if (idle && may_start(p, t)) {
		bring_near(t, llc_of(cpu), true);
		count_in(p, t);
		count(STAT_DIRECT);
		scx_bpf_dsq_insert(p, SCX_DSQ_LOCAL, slice_for(p, t, 0), 0);
	}
	return cpu;
}

void BPF_STRUCT_OPS(policy_enqueue, struct task_struct *p, u64 enq_flags)
{
	struct task_ctx *t = ctx_of(p);
	u32 llc;
	u64 dsq;

	if (is_woken_kthread(p, enq_flags)) {
		count(STAT_KTHREAD);
		scx_bpf_dsq_insert(p, SCX_DSQ_LOCAL, SQUEEZED_NS, enq_flags);
		return;
	}
	/* Every task has a context: init_task() makes it or fails. */
	if (!t) {
		scx_bpf_dsq_insert(p, SCX_DSQ_GLOBAL, SQUEEZED_NS, enq_flags);
		return;
	}
	if (holds(p, t, enq_flags))
		return;
	t->queue = place(p, t);
	llc = llc_of_task(p);
	bring_near(t, llc, enq_flags & SCX_ENQ_WAKEUP);
	t->queued_at = scx_bpf_now();
	dsq = queue_in(t->queue, llc);
	count(STAT_QUEUED);
	scx_bpf_dsq_insert_vtime(p, dsq, slice_for(p, t, scx_bpf_dsq_nr_queued(dsq)),
				 place_of(p, t), enq_flags);
	count_in(p, t);
	wake_idle_cpu(p);
}

/* From now on it waits in this LLC. */
static void requeue(struct bpf_iter_scx_dsq *it, struct task_struct *p, struct task_ctx *t, u32 llc)
{
	u64 dsq;

	t->queue = place(p, t);
	bring_near(t, llc, false);
	dsq = queue_in(t->queue, llc);
	scx_bpf_dsq_move_set_slice(it, slice_for(p, t, scx_bpf_dsq_nr_queued(dsq)));
	scx_bpf_dsq_move_set_vtime(it, place_of(p, t));
	scx_bpf_dsq_move_vtime(it, p, dsq, 0);
	count_in(p, t);
}

/* Give this CPU a task of its LLC, or let it continue with `prev`. False: there is none for it. */
static bool choose(s32 cpu, struct task_struct *prev, u64 now)
{
	if (serve_normal(cpu, prev, now)) /* normal */
		return true;
	return false;
}

/* It had more than its share, but no other task has work for this CPU. */
static bool choose_beyond(s32 cpu, struct task_struct *prev, u64 now)
{
	if (serve(QUEUE_0, cpu, prev, now))
		return true;
	return false;
}

void BPF_STRUCT_OPS(policy_dispatch, s32 cpu, struct task_struct *prev)
{
	struct task_ctx *t = prev ? ctx_of(prev) : NULL;
	struct task_struct *may_stay;
	u64 now = scx_bpf_now();
	/* Before the choice: account for `prev`, and find its current place. */
	if (t && t->started_at && (prev->scx.flags & SCX_TASK_QUEUED)) {
		charge(prev, t, now);
		t->queue = place(prev, t);
		count_in(prev, t);
	}
	look(cpu, now);
	even_out(llc_of(cpu), now);
	may_stay = stays(prev, now);
	if (choose(cpu, may_stay, now)) {
		/* It goes on with a new slice. */
		if (t && may_stay && (prev->scx.flags & SCX_TASK_QUEUED) && prev->scx.slice)
			balance_lone(t->queue, llc_of(cpu), cpu, counted_weight(t), now);
		return;
	}
	if (nr_llcs > 1 && choose_abroad(cpu))
		return;
	if (choose_beyond(cpu, may_stay, now))
		return;
	last_resort(prev, SCX_SLICE_DFL);
}

void BPF_STRUCT_OPS(policy_runnable, struct task_struct *p, u64 enq_flags)
{
	struct task_ctx *t = ctx_of(p);

	if (!t)
		return;
	group_runnable(p, t);
	if (!t->counted) {
		follow(t, llc_of_task(p));
		weigh_in(t, weight_of(p, t));
		count_in_queue(t, counted_as(t, counted_weight(t)));
	}
}

void BPF_STRUCT_OPS(policy_quiescent, struct task_struct *p, u64 deq_flags)
{
	struct task_ctx *t = ctx_of(p);

	if (!t)
		return;
	count_in_queue(t, 0);
	weigh_out(t);
	group_quiescent(t);
}

void BPF_STRUCT_OPS(policy_running, struct task_struct *p)
{
	struct task_ctx *t = ctx_of(p);

	if (!t)
		return;
	if (t->llc != llc_of_task(p)) {
		follow(t, llc_of_task(p));
		count_in(p, t);
	}
	t->started_at = scx_bpf_now();
	group_runs(p, t, t->started_at);
	t->queued_at = 0;
}

void BPF_STRUCT_OPS(policy_stopping, struct task_struct *p, bool runnable)
{
	struct task_ctx *t = ctx_of(p);
	u64 now = scx_bpf_now();

	if (!t || !t->started_at)
		return;
	group_stops(t, now);
	charge(p, t, now);
	t->started_at = 0;
}

s32 BPF_STRUCT_OPS(policy_init_task, struct task_struct *p, struct scx_init_task_args *args)
{
	struct task_ctx *t = new_ctx(p);

	if (!t)
		return -ENOMEM;
	start_at_clock(t, llc_of_task(p));
	group_joins(t, args);
	return 0;
}

void BPF_STRUCT_OPS(policy_cpu_online, s32 cpu)
{
	cpu_comes(cpu);
}

void BPF_STRUCT_OPS(policy_cpu_offline, s32 cpu)
{
	cpu_goes(cpu);
	hand_over_all(QUEUE_0, cpu);
	hand_over_all(QUEUE_1, cpu);
	hand_over_held(cpu);
}

s32 BPF_STRUCT_OPS_SLEEPABLE(policy_init)
{
	s32 error = llcs_init();

	if (!error)
		error = groups_init();
	if (error)
		return error;
	error = create_queues(QUEUE_0);
	if (error)
		return error;
	error = create_queues(QUEUE_1);
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
	       GROUP_OPS
	       .flags		= SCX_OPS_ENQ_LAST,
	       .timeout_ms	= 15000U,
	       .name		= "policy_6a7007b8");
/* clang-format on */
