/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * batch: the most work done, with the fewest switches.
 *
 * Long slices, no preemption on wakeup, and a task that used up its slice continues on its
 * CPU unless a waiting task is clearly further behind: a switch costs caches and TLBs, so it
 * must be worth it for fairness. Weighted virtual time keeps shares fair over seconds, not
 * milliseconds.
 *
 * Each last-level cache (LLC) has a queue and a clock, which advances by the CPU time given to
 * anyone there, divided by the weight of all runnable tasks (generalised processor sharing,
 * Parekh and Gallager 1993). Tasks are kept within a bounded distance of it, so that none
 * starves; and they move between LLCs so that none gets less than it would elsewhere.
 */
#include <schedpilot/cgroup_member.bpf.h>
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

UEI_DEFINE(uei);

#define QUEUE 0

/* Live. Uninterrupted run while others wait, ns. Longer: fewer switches, longer waits. */
volatile u64 slice_ns = 20000000;
/* Live. A task that slept may be at most this far behind the clock, ns of virtual time. */
volatile u64 credit_ns = 5000000;
/* Live. No task should wait much longer than this for its turn, ns. */
volatile u64 max_wait_ns = 800000000;
/*
 * Live. A task continues after its slice while it is less than this ahead of the clock, ns of
 * virtual time. 0: every waiting task gets a turn after each slice.
 */
volatile u64 lead_ns = 20000000;
/* Load. Slices never become shorter than this, ns. */
const volatile u64 min_slice_ns = 2000000;

/* Counters in the map `stats`, summed over CPUs by the reader. */
enum counter_index {
	STAT_DIRECT,  /* wakeups that found an idle CPU */
	STAT_QUEUED,  /* tasks that joined the queue */
	STAT_KTHREAD, /* per-CPU kernel threads let through */
	STAT_KEPT,    /* tasks that continued after their slice although others waited */
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

/* Whether the task that just used up its slice is close enough to the clock to continue. */
static bool goes_on(struct task_struct *prev)
{
	struct task_ctx *t;
	u64 ahead, vtime;

	if (!(prev->scx.flags & SCX_TASK_QUEUED) || prev->scx.slice)
		return false;
	t = ctx_of(prev);
	if (!t || !t->started_at)
		return false;
	ahead = reach(t->llc, max_wait_ns) / 4;
	/* With many waiting, the lead shrinks as slices do. */
	if (ahead > lead_ns)
		ahead = lead_ns;
	vtime = t->vtime + (scx_bpf_now() - t->started_at) * 100 / prev->scx.weight;
	return before(vtime, llc_at(t->llc)->clock + ahead);
}

void BPF_STRUCT_OPS(batch_dispatch, s32 cpu, struct task_struct *prev)
{
	u64 now = scx_bpf_now();
	struct task_struct *may_stay;

	look(cpu, now);
	may_stay = stays(prev, now);
	if (lead_ns && may_stay && goes_on(may_stay)) {
		scx_bpf_task_set_slice(may_stay, slice_for(llc_of(cpu)));
		count(STAT_KEPT);
		return;
	}
	serve(cpu, prev, may_stay, now);
}

void BPF_STRUCT_OPS(batch_exit, struct scx_exit_info *ei)
{
	UEI_RECORD(uei, ei);
}

/* clang-format off */
SCX_OPS_DEFINE(batch_ops,
	       .select_cpu	= (void *)queue_select_cpu,
	       .enqueue		= (void *)queue_enqueue,
	       .dispatch	= (void *)batch_dispatch,
	       .runnable	= (void *)account_runnable,
	       .quiescent	= (void *)account_quiescent,
	       .running		= (void *)account_running,
	       .stopping	= (void *)account_stopping,
	       .init_task	= (void *)account_init_task,
	       .cpu_online	= (void *)queue_cpu_online,
	       .cpu_offline	= (void *)queue_cpu_offline,
	       .init		= (void *)queue_init,
	       .exit		= (void *)batch_exit,
	       GROUP_OPS
	       .flags		= SCX_OPS_ENQ_LAST,
	       .timeout_ms	= 5000U,
	       .name		= "batch");
/* clang-format on */
