/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * jobs: the order of finite jobs, by how long each is expected to run.
 *
 * Userspace writes its expectations into the map `expected_runtime` (key: process id as u32,
 * value: CPU time of the whole run in ns as u64). Longest first keeps all CPUs busy to the
 * end and so gives the least makespan (Graham 1969, list scheduling: at most 4/3 of the
 * best); shortest first, by the remaining time, gives the least mean wait (Smith 1956).
 * Processes without an entry are *others*: they share the rest by weight, and are first
 * whenever they have had less than their part.
 *
 * A job at the end of the order still gets a short slice every max_wait_ns, so nothing stands
 * still and the kernel's watchdog does not act.
 */
#include <schedpilot/cgroup_member.bpf.h>
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

UEI_DEFINE(uei);

#define JOBS   0
#define OTHERS 1

/* Expectations beyond this (13 days) count as equal; this keeps keys from wrapping, ns. */
#define LONGEST (1ULL << 50)

/* Live. Longest first (least makespan) or shortest first (least mean wait). */
volatile bool longest_first = true;
/* Live. Slice of a job, ns. The order changes only at its end or when a job finishes. */
volatile u64 slice_ns = 10000000;
/* Live. Slice of a task without an expectation, ns. */
volatile u64 others_slice_ns = 3000000;
/* Live. Part of the machine that the others may have while jobs wait, percent. */
volatile u64 others_percent = 30;
/* Live. A job that has waited this long gets a slice out of order, ns. */
volatile u64 max_wait_ns = 2500000000;
/* Live. The length of that slice, ns. */
volatile u64 late_slice_ns = 1000000;
/*
 * Live. A process that is expected to take less is one of the others, ns: otherwise every
 * command that somebody types twice would be a job, and wait behind all longer ones.
 */
volatile u64 least_job_ns = 10000000;
/* Load. How often a CPU looks for jobs that have waited too long, ns. */
const volatile u64 look_ns = 100000000;

/* Counters in the map `stats`, summed over CPUs by the reader. */
enum counter_index {
	STAT_DIRECT,  /* wakeups that found an idle CPU */
	STAT_JOBS,    /* jobs that joined the order */
	STAT_OTHERS,  /* tasks without an expectation that joined their queue */
	STAT_LATE,    /* slices given out of order to jobs that waited too long */
	STAT_KTHREAD, /* per-CPU kernel threads let through */
	NR_COUNTERS,
};

/* Written by userspace: process id → expected CPU time of its whole run, ns. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 65536);
	__type(key, u32);
	__type(value, u64);
} expected_runtime SEC(".maps");

/* Read by userspace, too: process id → CPU time used so far, ns. Old ones fall out. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 65536);
	__type(key, u32);
	__type(value, u64);
} used_runtime SEC(".maps");

struct task_ctx {
	u64 vtime;	/* of an other: virtual time, ns of CPU time of a task of weight 100 */
	u64 started_at; /* when it last began to run, ns; 0 while it does not */
	u64 queued_at;	/* when it began to wait, ns */
	u64 moved_at;	/* when another LLC last took it, ns */
	u64 counted;	/* of an other: its part of an LLC's runnable_weight; 0 while it sleeps */
	u32 llc;	/* the LLC to whose clock vtime belongs */
	bool is_job;
	struct member member; /* its place among control groups */
};

#include <schedpilot/balance.bpf.h>
#include <schedpilot/cgroup_hold.bpf.h>
#include <schedpilot/cgroup_settle.bpf.h>
#include <schedpilot/counters.bpf.h>
#include <schedpilot/idle.bpf.h>
#include <schedpilot/kthreads.bpf.h>
#include <schedpilot/late.bpf.h>
#include <schedpilot/llc_queues.bpf.h>
#include <schedpilot/look.bpf.h>
#include <schedpilot/slices.bpf.h>
#include <schedpilot/tasks.bpf.h>
#include <schedpilot/timing.bpf.h>
#include <schedpilot/virtual_time.bpf.h>

/* What jobs owe the others in an LLC, ns; negative: the other way round. */
struct account {
	s64 debt;
} __attribute__((aligned(64)));

struct account accounts[MAX_LLCS];

static s64 *debt_in(u32 llc)
{
	return &accounts[llc & (MAX_LLCS - 1)].debt;
}

/* The expectation for a process; NULL if there is none, or it is too short for a job. */
static u64 *expectation(u32 tgid)
{
	u64 *expected = bpf_map_lookup_elem(&expected_runtime, &tgid);

	return expected && *expected >= least_job_ns ? expected : NULL;
}

/*
 * A job's place in the order; the smallest runs next. A weight above 100 makes a job
 * proportionally more urgent.
 */
static u64 place(const struct task_struct *p, u64 expected, u64 used)
{
	u64 rest, weight = p->scx.weight;

	if (expected > LONGEST)
		expected = LONGEST;
	if (longest_first) {
		rest = expected * weight / 100;
		return rest < 8 * LONGEST ? 8 * LONGEST - rest : 0;
	}
	/* A job that ran longer than expected is likely to run as long again. */
	rest = used < expected ? expected - used : used;
	return (rest < LONGEST ? rest : LONGEST) * 100 / weight;
}

/* The guaranteed CPU time of the others per second of a CPU, ns. */
static u64 others_part(void)
{
	return 10000000 * (others_percent ? others_percent : 1);
}

/* The place of an other: its virtual time, no further ahead than their clock moves in a second. */
static u64 others_place(u32 llc, struct task_ctx *t)
{
	settle(t, others_slice_ns, reach(llc, others_part()));
	return t->vtime;
}

static u64 others_slice(u32 llc)
{
	u64 fit = fitting_slice(others_part(), scx_bpf_dsq_nr_queued(queue_in(OTHERS, llc)), llc);

	return bounded_slice(others_slice_ns, fit, 500000);
}

s32 BPF_STRUCT_OPS(jobs_select_cpu, struct task_struct *p, s32 prev_cpu, u64 wake_flags)
{
	bool idle = false;
	s32 cpu = select_idle_cpu(p, prev_cpu, wake_flags, &idle);

	struct task_ctx *t = ctx_of(p);

	if (idle && t && may_start(p, t)) {
		count(STAT_DIRECT);
		scx_bpf_dsq_insert(p, SCX_DSQ_LOCAL, others_slice(llc_of(cpu)), 0);
	}
	return cpu;
}

void BPF_STRUCT_OPS(jobs_enqueue, struct task_struct *p, u64 enq_flags)
{
	struct task_ctx *t = ctx_of(p);
	u32 tgid = p->tgid;
	u64 *expected = expectation(tgid);
	u32 llc = llc_of_task(p);
	u64 *used;

	if (is_woken_kthread(p, enq_flags)) {
		count(STAT_KTHREAD);
		scx_bpf_dsq_insert(p, SCX_DSQ_LOCAL, others_slice_ns, enq_flags);
		return;
	}
	if (!t) {
		scx_bpf_dsq_insert_vtime(p, queue_in(OTHERS, llc), others_slice_ns,
					 llc_at(llc)->clock, enq_flags);
		return;
	}
	if (holds(p, t, enq_flags))
		return;
	t->queued_at = scx_bpf_now();
	follow(t, llc);
	if (expected) {
		used = bpf_map_lookup_elem(&used_runtime, &tgid);
		count(STAT_JOBS);
		scx_bpf_dsq_insert_vtime(p, queue_in(JOBS, llc), slice_ns,
					 place(p, *expected, used ? *used : 0), enq_flags);
	} else {
		count(STAT_OTHERS);
		scx_bpf_dsq_insert_vtime(p, queue_in(OTHERS, llc), others_slice(llc),
					 others_place(llc, t), enq_flags);
	}
	wake_idle_cpu(p);
}

static void requeue(struct bpf_iter_scx_dsq *it, struct task_struct *p, struct task_ctx *t, u32 llc)
{
	u32 tgid = p->tgid;
	u64 *expected = expectation(tgid), *used;

	follow(t, llc);
	if (expected) {
		used = bpf_map_lookup_elem(&used_runtime, &tgid);
		scx_bpf_dsq_move_set_slice(it, slice_ns);
		scx_bpf_dsq_move_set_vtime(it, place(p, *expected, used ? *used : 0));
		scx_bpf_dsq_move_vtime(it, p, queue_in(JOBS, llc), 0);
	} else {
		scx_bpf_dsq_move_set_slice(it, others_slice(llc));
		scx_bpf_dsq_move_set_vtime(it, others_place(llc, t));
		scx_bpf_dsq_move_vtime(it, p, queue_in(OTHERS, llc), 0);
	}
}

/* Jobs count by number: their order is what matters. */
static bool gains(u64 queue, u32 mine, u32 other, const struct task_ctx *t, u64 beside)
{
	if (queue == OTHERS)
		return gains_weight(mine, other, t, beside);
	return gains_turn(queue, mine, other, beside);
}

/* Account for the task's run time since `started_at`, and start again from `now`. */
static void charge(const struct task_struct *p, struct task_ctx *t, u64 now)
{
	u64 *used, ran = now - t->started_at;
	u64 percent = others_percent < 90 ? others_percent : 90;
	s64 most = 4 * (s64)others_slice_ns, owed, *debt = debt_in(t->llc);
	u32 tgid = p->tgid;

	t->started_at = now;
	if (t->is_job) {
		used = bpf_map_lookup_elem(&used_runtime, &tgid);
		if (used)
			__sync_fetch_and_add(used, ran);
		else
			bpf_map_update_elem(&used_runtime, &tgid, &ran, BPF_ANY);
		owed = *debt + (s64)(ran * percent / (100 - percent));
	} else {
		advance(t, ran, p->scx.weight);
		owed = *debt - (s64)ran;
	}
	/* Lost updates between CPUs do no harm: the debt is small and bounded. */
	*debt = owed > most ? most : owed < -most ? -most : owed;
}

/*
 * Whether this job, whose slice just ended, is still the first in the order. The kernel asks
 * for the next task before it hands the last one back, so otherwise the first job would lose
 * a turn to the second at the end of each slice. Among equals, the running one is first.
 */
static bool still_first(struct task_struct *prev, u32 llc, u64 now)
{
	struct task_ctx *t = ctx_of(prev);
	u64 *expected, *used, mine;
	struct task_struct *p;
	u32 tgid = prev->tgid;
	bool first = true;

	if (!(prev->scx.flags & SCX_TASK_QUEUED) || !t || !t->started_at || !t->is_job)
		return false;
	expected = expectation(tgid);
	if (!expected)
		return false;
	charge(prev, t, now);
	used = bpf_map_lookup_elem(&used_runtime, &tgid);
	mine = place(prev, *expected, used ? *used : 0);
	bpf_for_each (scx_dsq, p, queue_in(JOBS, llc), 0) {
		first = !before(p->scx.dsq_vtime, mine);
		break;
	}
	return first;
}

void BPF_STRUCT_OPS(jobs_dispatch, s32 cpu, struct task_struct *prev)
{
	u64 now = scx_bpf_now();
	struct task_struct *may_stay;
	struct task_ctx *t;
	u32 llc = llc_of(cpu);

	if (look_due(llc, now, look_ns)) {
		/* A late job gets a short slice, and goes back to its place. */
		serve_late(JOBS, max_wait_ns, late_slice_ns, now, cpu);
		serve_late(OTHERS, max_wait_ns, 0, now, cpu);
		balance(JOBS, llc, cpu);
		balance(OTHERS, llc, cpu);
	}
	may_stay = stays(prev, now);
	if (*debt_in(llc) >= 0 && take_first(OTHERS, llc))
		return;
	if (may_stay && still_first(may_stay, llc, now)) {
		scx_bpf_task_set_slice(may_stay, slice_ns);
		return;
	}
	if (take_first(JOBS, llc) || take_first(OTHERS, llc))
		return;
	t = may_stay && (may_stay->scx.flags & SCX_TASK_QUEUED) ? ctx_of(may_stay) : NULL;
	if (t)
		balance_lone(OTHERS, llc, cpu, counted_weight(t), now);
	else if (nr_llcs > 1 && (steal(JOBS, llc) || steal(OTHERS, llc)))
		return;
	last_resort(prev, others_slice(llc));
}

void BPF_STRUCT_OPS(jobs_runnable, struct task_struct *p, u64 enq_flags)
{
	struct task_ctx *t = ctx_of(p);
	u32 tgid = p->tgid;

	if (!t)
		return;
	if (!t->counted && !expectation(tgid)) {
		follow(t, llc_of_task(p));
		weigh_in(t, p->scx.weight);
	}
	group_runnable(p, t);
}

void BPF_STRUCT_OPS(jobs_quiescent, struct task_struct *p, u64 deq_flags)
{
	struct task_ctx *t = ctx_of(p);

	if (!t)
		return;
	weigh_out(t);
	group_quiescent(t);
}

void BPF_STRUCT_OPS(jobs_running, struct task_struct *p)
{
	struct task_ctx *t = ctx_of(p);
	u32 tgid = p->tgid;

	if (!t)
		return;
	t->is_job = expectation(tgid) != NULL;
	follow(t, llc_of_task(p));
	t->started_at = scx_bpf_now();
	group_runs(p, t, t->started_at);
}

void BPF_STRUCT_OPS(jobs_stopping, struct task_struct *p, bool runnable)
{
	struct task_ctx *t = ctx_of(p);

	u64 now = scx_bpf_now();

	if (!t || !t->started_at)
		return;
	charge(p, t, now);
	group_stops(t, now);
	t->started_at = 0;
}

s32 BPF_STRUCT_OPS(jobs_init_task, struct task_struct *p, struct scx_init_task_args *args)
{
	struct task_ctx *t = new_ctx(p);

	if (!t)
		return -ENOMEM;
	start_at_clock(t, llc_of_task(p));
	group_joins(t, args);
	return 0;
}

void BPF_STRUCT_OPS(jobs_exit_task, struct task_struct *p, struct scx_exit_task_args *args)
{
	u32 tgid = p->tgid;

	/* The process id will be reused: forget what was known about the process. */
	if (p->pid != p->tgid || args->cancelled)
		return;
	bpf_map_delete_elem(&expected_runtime, &tgid);
	bpf_map_delete_elem(&used_runtime, &tgid);
}

void BPF_STRUCT_OPS(jobs_cpu_online, s32 cpu)
{
	cpu_comes(cpu);
}

void BPF_STRUCT_OPS(jobs_cpu_offline, s32 cpu)
{
	cpu_goes(cpu);
	hand_over_all(JOBS, cpu);
	hand_over_all(OTHERS, cpu);
	hand_over_held(cpu);
}

s32 BPF_STRUCT_OPS_SLEEPABLE(jobs_init)
{
	s32 error = llcs_init();

	if (!error)
		error = groups_init();
	if (!error)
		error = create_queues(JOBS);
	return error ? error : create_queues(OTHERS);
}

void BPF_STRUCT_OPS(jobs_exit, struct scx_exit_info *ei)
{
	UEI_RECORD(uei, ei);
}

/* clang-format off */
SCX_OPS_DEFINE(jobs_ops,
	       .select_cpu	= (void *)jobs_select_cpu,
	       .enqueue		= (void *)jobs_enqueue,
	       .dispatch	= (void *)jobs_dispatch,
	       .runnable	= (void *)jobs_runnable,
	       .quiescent	= (void *)jobs_quiescent,
	       .running		= (void *)jobs_running,
	       .stopping	= (void *)jobs_stopping,
	       .init_task	= (void *)jobs_init_task,
	       .exit_task	= (void *)jobs_exit_task,
	       .cpu_online	= (void *)jobs_cpu_online,
	       .cpu_offline	= (void *)jobs_cpu_offline,
	       .init		= (void *)jobs_init,
	       .exit		= (void *)jobs_exit,
	       GROUP_OPS
	       .flags		= SCX_OPS_ENQ_LAST,
	       .timeout_ms	= 5000U,
	       .name		= "jobs");
/* clang-format on */
