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
/* Live. No task shall wait longer than about this for its turn, ns; slices shrink to keep it. */
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

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, NR_COUNTERS);
	__type(key, u32);
	__type(value, u64);
} stats SEC(".maps");

static u64 nr_online = 1;

static void count(u32 which)
{
	u64 *value = bpf_map_lookup_elem(&stats, &which);

	if (value)
		(*value)++;
}

/* One slice, by weight (a quarter to four times), short enough for the whole queue to get by. */
static u64 slice_for(const struct task_struct *p)
{
	u64 slice = slice_ns * p->scx.weight / 100;
	s32 waiting = scx_bpf_dsq_nr_queued(QUEUE);
	u64 fit = max_wait_ns * nr_online / (waiting > 0 ? waiting + 1 : 1);

	if (slice < slice_ns / 4)
		slice = slice_ns / 4;
	if (slice > slice_ns * 4)
		slice = slice_ns * 4;
	if (slice > fit) {
		slice = fit;
		count(STAT_SHRUNK);
	}
	return slice > min_slice_ns ? slice : min_slice_ns;
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
	s32 cpu;

	/*
	 * A kernel thread of one CPU (ksoftirqd, a bound kworker) runs briefly and others
	 * wait for it. Only when it has just woken: one that spins takes its turn below,
	 * because the local queue is served before every other.
	 */
	if ((p->flags & PF_KTHREAD) && p->nr_cpus_allowed == 1 && (enq_flags & SCX_ENQ_WAKEUP)) {
		count(STAT_KTHREAD);
		scx_bpf_dsq_insert(p, SCX_DSQ_LOCAL, slice_for(p), enq_flags);
		return;
	}
	count(STAT_QUEUED);
	scx_bpf_dsq_insert(p, QUEUE, slice_for(p), enq_flags);
	/* A CPU may have gone idle since select_cpu looked, and slice ends never look. */
	cpu = scx_bpf_pick_idle_cpu(p->cpus_ptr, 0);
	if (cpu >= 0)
		scx_bpf_kick_cpu(cpu, SCX_KICK_IDLE);
}

void BPF_STRUCT_OPS(fifo_dispatch, s32 cpu, struct task_struct *prev)
{
	scx_bpf_dsq_move_to_local(QUEUE, 0);
}

void BPF_STRUCT_OPS(fifo_cpu_online, s32 cpu)
{
	__sync_fetch_and_add(&nr_online, 1);
}

/*
 * A CPU on its way out no longer asks dispatch() for work, and waits until the tasks on
 * its run queue are gone, also those that may run nowhere else. The kernel's own global
 * queue is still served there, so they leave through it.
 */
void BPF_STRUCT_OPS(fifo_cpu_offline, s32 cpu)
{
	struct task_struct *p;

	__sync_fetch_and_sub(&nr_online, 1);
	bpf_for_each (scx_dsq, p, QUEUE, 0) {
		if (scx_bpf_task_cpu(p) == cpu)
			scx_bpf_dsq_move(BPF_FOR_EACH_ITER, p, SCX_DSQ_GLOBAL, 0);
	}
}

s32 BPF_STRUCT_OPS_SLEEPABLE(fifo_init)
{
	const struct cpumask *online = scx_bpf_get_online_cpumask();

	nr_online = bpf_cpumask_weight(online);
	scx_bpf_put_cpumask(online);
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
