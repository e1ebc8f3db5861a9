/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * fifo: first come, first served, in one queue for each last-level cache (LLC).
 *
 * A task that wakes while a CPU it may use is idle starts there at once; every other
 * task waits its turn in its LLC's queue and runs for one slice. Weight scales the slice.
 * README.md says when this is the wrong choice.
 */
#include <schedpilot/cgroup_member.bpf.h>
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

UEI_DEFINE(uei);

#define QUEUE 0

/* Live. Slice of a task of weight 100 (nice 0), ns. Longer: fewer switches, longer waits. */
volatile u64 slice_ns = 5000000;
/* Live. No task should wait much longer than this for its turn, ns; slices shrink accordingly. */
volatile u64 max_wait_ns = 800000000;
/* Load. Slices never become shorter than this, ns. */
const volatile u64 min_slice_ns = 500000;

/* Counters in the map `stats`, summed over CPUs by the reader. */
enum counter_index {
	STAT_DIRECT,  /* wakeups that found an idle CPU */
	STAT_QUEUED,  /* tasks that joined the queue */
	STAT_KTHREAD, /* per-CPU kernel threads let through */
	STAT_SHRUNK,  /* slices cut short to keep max_wait_ns */
	STAT_LATE,    /* tasks served out of order because they waited too long */
	NR_COUNTERS,
};

struct task_ctx {
	u64 queued_at;	      /* when it began to wait, ns */
	u64 moved_at;	      /* when another LLC last took it, ns */
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

/*
 * One slice, by weight (a quarter to four times), short enough that the whole queue gets a
 * turn in time.
 */
static u64 slice_for(const struct task_struct *p, u32 llc)
{
	u64 slice = slice_ns * p->scx.weight / 100;
	u64 fit = fitting_slice(max_wait_ns, scx_bpf_dsq_nr_queued(queue_in(QUEUE, llc)), llc);

	if (slice < slice_ns / 4)
		slice = slice_ns / 4;
	if (slice > slice_ns * 4)
		slice = slice_ns * 4;
	if (slice > fit)
		count(STAT_SHRUNK);
	return bounded_slice(slice, fit, min_slice_ns);
}

s32 BPF_STRUCT_OPS(fifo_select_cpu, struct task_struct *p, s32 prev_cpu, u64 wake_flags)
{
	bool idle = false;
	s32 cpu = select_idle_cpu(p, prev_cpu, wake_flags, &idle);

	struct task_ctx *t = ctx_of(p);

	if (idle && t && may_start(p, t)) {
		count(STAT_DIRECT);
		scx_bpf_dsq_insert(p, SCX_DSQ_LOCAL, slice_for(p, llc_of(cpu)), 0);
	}
	return cpu;
}

void BPF_STRUCT_OPS(fifo_enqueue, struct task_struct *p, u64 enq_flags)
{
	struct task_ctx *t = ctx_of(p);
	u32 llc = llc_of_task(p);

	if (is_woken_kthread(p, enq_flags)) {
		count(STAT_KTHREAD);
		scx_bpf_dsq_insert(p, SCX_DSQ_LOCAL, slice_for(p, llc), enq_flags);
		return;
	}
	if (t && holds(p, t, enq_flags))
		return;
	if (t)
		t->queued_at = scx_bpf_now();
	count(STAT_QUEUED);
	scx_bpf_dsq_insert(p, queue_in(QUEUE, llc), slice_for(p, llc), enq_flags);
	wake_idle_cpu(p);
}

static void requeue(struct bpf_iter_scx_dsq *it, struct task_struct *p, struct task_ctx *t, u32 llc)
{
	scx_bpf_dsq_move_set_slice(it, slice_for(p, llc));
	scx_bpf_dsq_move(it, p, queue_in(QUEUE, llc), 0);
}

/* Tasks count by number, whatever they weigh. */
static bool gains(u64 queue, u32 mine, u32 other, const struct task_ctx *t, u64 beside)
{
	return gains_turn(queue, mine, other, beside);
}

void BPF_STRUCT_OPS(fifo_dispatch, s32 cpu, struct task_struct *prev)
{
	struct task_struct *may_stay;
	u64 now = scx_bpf_now();
	u32 llc = llc_of(cpu);

	if (look_due(llc, now, LOOK_NS)) {
		serve_late(QUEUE, max_wait_ns, 0, now, cpu);
		balance(QUEUE, llc, cpu);
	}
	may_stay = stays(prev, now);
	if (take_first(QUEUE, llc))
		return;
	if (may_stay && (may_stay->scx.flags & SCX_TASK_QUEUED))
		balance_lone(QUEUE, llc, cpu, 1, now);
	else if (nr_llcs > 1 && steal(QUEUE, llc))
		return;
	last_resort(prev, slice_ns);
}

void BPF_STRUCT_OPS(fifo_runnable, struct task_struct *p, u64 enq_flags)
{
	struct task_ctx *t = ctx_of(p);

	if (t)
		group_runnable(p, t);
}

void BPF_STRUCT_OPS(fifo_quiescent, struct task_struct *p, u64 deq_flags)
{
	struct task_ctx *t = ctx_of(p);

	if (t)
		group_quiescent(t);
}

void BPF_STRUCT_OPS(fifo_running, struct task_struct *p)
{
	struct task_ctx *t = ctx_of(p);

	if (t)
		group_runs(p, t, scx_bpf_now());
}

void BPF_STRUCT_OPS(fifo_stopping, struct task_struct *p, bool runnable)
{
	struct task_ctx *t = ctx_of(p);

	if (t)
		group_stops(t, scx_bpf_now());
}

s32 BPF_STRUCT_OPS(fifo_init_task, struct task_struct *p, struct scx_init_task_args *args)
{
	struct task_ctx *t = new_ctx(p);

	if (!t)
		return -ENOMEM;
	group_joins(t, args);
	return 0;
}

void BPF_STRUCT_OPS(fifo_cpu_online, s32 cpu)
{
	cpu_comes(cpu);
}

void BPF_STRUCT_OPS(fifo_cpu_offline, s32 cpu)
{
	cpu_goes(cpu);
	hand_over_all(QUEUE, cpu);
	hand_over_held(cpu);
}

s32 BPF_STRUCT_OPS_SLEEPABLE(fifo_init)
{
	s32 error = llcs_init();

	if (!error)
		error = groups_init();
	return error ? error : create_queues(QUEUE);
}

void BPF_STRUCT_OPS(fifo_exit, struct scx_exit_info *ei)
{
	UEI_RECORD(uei, ei);
}

/* clang-format off */
SCX_OPS_DEFINE(fifo_ops,
	       .select_cpu	= (void *)fifo_select_cpu,
	       .enqueue		= (void *)fifo_enqueue,
	       .dispatch	= (void *)fifo_dispatch,
	       .runnable	= (void *)fifo_runnable,
	       .quiescent	= (void *)fifo_quiescent,
	       .running		= (void *)fifo_running,
	       .stopping	= (void *)fifo_stopping,
	       .init_task	= (void *)fifo_init_task,
	       .cpu_online	= (void *)fifo_cpu_online,
	       .cpu_offline	= (void *)fifo_cpu_offline,
	       .init		= (void *)fifo_init,
	       .exit		= (void *)fifo_exit,
	       GROUP_OPS
	       .flags		= SCX_OPS_ENQ_LAST,
	       .timeout_ms	= 5000U,
	       .name		= "fifo");
/* clang-format on */
