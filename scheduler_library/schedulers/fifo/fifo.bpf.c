/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * fifo: one queue for the whole machine, first come, first served.
 *
 * A task that wakes while a CPU it may use is idle starts there at once; every other
 * task waits its turn in one queue and runs for one slice. Weight scales the slice.
 * README.md says when this is the wrong choice.
 */
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
	NR_COUNTERS,
};

#include <schedpilot/counters.bpf.h>
#include <schedpilot/hand_over.bpf.h>
#include <schedpilot/idle.bpf.h>
#include <schedpilot/kthreads.bpf.h>
#include <schedpilot/machine.bpf.h>
#include <schedpilot/slices.bpf.h>

/*
 * One slice, by weight (a quarter to four times), short enough that the whole queue gets a
 * turn in time.
 */
static u64 slice_for(const struct task_struct *p)
{
	u64 slice = slice_ns * p->scx.weight / 100;
	u64 fit = fitting_slice(max_wait_ns, scx_bpf_dsq_nr_queued(QUEUE));

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
	s32 cpu = scx_bpf_select_cpu_dfl(p, prev_cpu, wake_flags, &idle);

	if (idle) {
		count(STAT_DIRECT);
		scx_bpf_dsq_insert(p, SCX_DSQ_LOCAL, slice_for(p), 0);
	}
	return cpu;
}

void BPF_STRUCT_OPS(fifo_enqueue, struct task_struct *p, u64 enq_flags)
{
	if (is_woken_kthread(p, enq_flags)) {
		count(STAT_KTHREAD);
		scx_bpf_dsq_insert(p, SCX_DSQ_LOCAL, slice_for(p), enq_flags);
		return;
	}
	count(STAT_QUEUED);
	scx_bpf_dsq_insert(p, QUEUE, slice_for(p), enq_flags);
	wake_idle_cpu(p);
}

void BPF_STRUCT_OPS(fifo_dispatch, s32 cpu, struct task_struct *prev)
{
	scx_bpf_dsq_move_to_local(QUEUE, 0);
}

void BPF_STRUCT_OPS(fifo_cpu_online, s32 cpu)
{
	__sync_fetch_and_add(&nr_online, 1);
}

void BPF_STRUCT_OPS(fifo_cpu_offline, s32 cpu)
{
	__sync_fetch_and_sub(&nr_online, 1);
	hand_over(QUEUE, cpu);
}

s32 BPF_STRUCT_OPS_SLEEPABLE(fifo_init)
{
	count_cpus();
	return scx_bpf_create_dsq(QUEUE, -1);
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
	       .cpu_online	= (void *)fifo_cpu_online,
	       .cpu_offline	= (void *)fifo_cpu_offline,
	       .init		= (void *)fifo_init,
	       .exit		= (void *)fifo_exit,
	       .timeout_ms	= 5000U,
	       .name		= "fifo");
/* clang-format on */
