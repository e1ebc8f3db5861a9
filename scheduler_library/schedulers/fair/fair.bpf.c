/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * fair: every task gets CPU time in proportion to its weight.
 *
 * One queue for each last-level cache (LLC), ordered by virtual time: a task's own time
 * advances by what it ran, divided by its weight, and the task that is furthest behind runs
 * next. Between LLCs, tasks move so that none gets less than it would elsewhere.
 *
 * Each LLC has its own clock that advances like an ideal processor-sharing server: by the
 * CPU time given to anyone, divided by the weight of all runnable tasks (generalised
 * processor sharing, Parekh and Gallager 1993). Tasks are kept within a bounded distance of
 * that clock, so a long sleep earns little credit, and no stream of newcomers, each joining
 * at the clock, can keep a waiting task from its turn.
 */
#include <schedpilot/cgroup_member.bpf.h>
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

UEI_DEFINE(uei);

#define QUEUE 0

/* Live. Longest uninterrupted run while others wait, ns. */
volatile u64 slice_ns = 3000000;
/* Live. A task that slept may be at most this far behind the clock, ns of virtual time. */
volatile u64 credit_ns = 3000000;
/* Live. No task should wait much longer than this for its turn, ns. */
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

struct task_ctx {
	u64 vtime;	      /* virtual time, ns of CPU time of a task of weight 100 */
	u64 started_at;	      /* when it last began to run, ns */
	u64 counted;	      /* its part of an LLC's runnable_weight; 0 while it sleeps */
	u32 llc;	      /* the LLC to whose clock vtime belongs */
	u64 queued_at;	      /* when it began to wait, ns */
	u64 moved_at;	      /* when another LLC last took it, ns */
	struct member member; /* its place among control groups */
};

#include <schedpilot/accounting.bpf.h>
#include <schedpilot/vtime_queue.bpf.h>

void BPF_STRUCT_OPS(fair_dispatch, s32 cpu, struct task_struct *prev)
{
	u64 now = scx_bpf_now();

	look(cpu, now);
	serve(cpu, prev, stays(prev, now), now);
}

void BPF_STRUCT_OPS(fair_exit, struct scx_exit_info *ei)
{
	UEI_RECORD(uei, ei);
}

/* clang-format off */
SCX_OPS_DEFINE(fair_ops,
	       .select_cpu	= (void *)queue_select_cpu,
	       .enqueue		= (void *)queue_enqueue,
	       .dispatch	= (void *)fair_dispatch,
	       .runnable	= (void *)account_runnable,
	       .quiescent	= (void *)account_quiescent,
	       .running		= (void *)account_running,
	       .stopping	= (void *)account_stopping,
	       .init_task	= (void *)account_init_task,
	       .cpu_online	= (void *)queue_cpu_online,
	       .cpu_offline	= (void *)queue_cpu_offline,
	       .init		= (void *)queue_init,
	       .exit		= (void *)fair_exit,
	       GROUP_OPS
	       .flags		= SCX_OPS_ENQ_LAST,
	       .timeout_ms	= 5000U,
	       .name		= "fair");
/* clang-format on */
