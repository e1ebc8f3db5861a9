// SPDX-License-Identifier: GPL-2.0-only
/*
 * How long tasks wait for a CPU and how long they keep it, for each workload, in the
 * kernel and for little.
 *
 * One hook does it: sched_switch, and there only the task that leaves the CPU. The kernel
 * itself keeps in task->sched_info how long the task has waited in all (run_delay), how
 * often it was given a CPU (pcount) and when it got this one (last_arrival). So when a
 * task leaves,
 *
 *	its wait before this stay	= run_delay now - run_delay when it left last time
 *	the stay (slice)		= the run queue's clock - last_arrival
 *
 * No hook on wakeups is needed. The kernel adds to run_delay also when a waiting task is
 * moved to another CPU, which schedulers with shared dispatch queues do for nearly every
 * wait; a measurement from last_queued alone would lose that part and flatter them.
 *
 * The price: a wait is reported at the end of the stay that it led to, not at its start.
 */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include "signals.h"

char LICENSE[] SEC("license") = "GPL";

/* From include/linux/sched.h: not in BTF, and part of what tracing tools rely on. */
#define TASK_DEAD  0x00000080
#define PF_KTHREAD 0x00200000

/* The number of the interval; the reader advances it. Tasks look up their workload
 * again in every new interval, so a stale answer lives no longer than that. Never 0. */
__u64 epoch = 0;
/* Departures that could not be accounted because there was no memory to remember them. */
__u64 lost = 0;
/* Times a workload found no free account and went to SIGNALS_OTHER. */
__u64 overflows = 0;

/* What is remembered of a task from one departure to the next. */
struct memory {
	__u64 run_delay;
	__u64 pcount;
	__u64 migrations;
	__u64 epoch;
	__u64 css_set; /* changes when the task is moved to another cgroup */
	/* Counts up in exec once the new name is set; the memory map changes before that. */
	__u64 exec_id;
	__u32 account;
	__u32 pad;
};

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct memory);
} memories SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, SIGNALS_MAX_ACCOUNTS);
	__type(key, struct workload_key);
	__type(value, __u32);
} accounts SEC(".maps");

/* Accounts without a workload; filled by the reader. */
struct {
	__uint(type, BPF_MAP_TYPE_QUEUE);
	__uint(max_entries, SIGNALS_MAX_ACCOUNTS);
	__type(value, __u32);
} free_accounts SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, SIGNALS_MAX_ACCOUNTS);
	__type(key, __u32);
	__type(value, struct workload_figures);
} figures SEC(".maps");

static __always_inline __u32 log2_of(__u32 value)
{
	__u32 shift, log = 0;

	shift = (value > 0xffff) << 4;
	value >>= shift;
	log |= shift;
	shift = (value > 0xff) << 3;
	value >>= shift;
	log |= shift;
	shift = (value > 0xf) << 2;
	value >>= shift;
	log |= shift;
	shift = (value > 0x3) << 1;
	value >>= shift;
	log |= shift;
	return log | (value >> 1);
}

static __always_inline __u32 bucket_of(__u64 ns)
{
	__u32 scaled, octave;

	if (ns < (1ULL << SIGNALS_MIN_SHIFT))
		return 0;
	if (ns >= (1ULL << SIGNALS_MAX_SHIFT))
		return SIGNALS_BUCKETS - 1;
	/* Keeps the leading bit and the SUB_SHIFT bits after it. */
	scaled = ns >> (SIGNALS_MIN_SHIFT - SIGNALS_SUB_SHIFT);
	octave = log2_of(scaled) - SIGNALS_SUB_SHIFT;
	return 1 + (octave << SIGNALS_SUB_SHIFT) +
	       ((scaled >> octave) & ((1 << SIGNALS_SUB_SHIFT) - 1));
}

static __always_inline void count(__u32 *histogram, __u64 ns)
{
	__u32 bucket = bucket_of(ns);

	if (bucket < SIGNALS_BUCKETS)
		histogram[bucket]++;
}

/* The account of this workload, a fresh one if it has none. */
static __noinline __u32 account_of(struct workload_key *key)
{
	__u32 *known, fresh, account;

	if (!key)
		return SIGNALS_OTHER;
	known = bpf_map_lookup_elem(&accounts, key);
	if (known)
		return *known;
	if (bpf_map_pop_elem(&free_accounts, &fresh)) {
		__sync_fetch_and_add(&overflows, 1);
		return SIGNALS_OTHER;
	}
	if (!bpf_map_update_elem(&accounts, key, &fresh, BPF_NOEXIST))
		return fresh;
	/* Another CPU was faster, or the map was busy. */
	bpf_map_push_elem(&free_accounts, &fresh, 0);
	known = bpf_map_lookup_elem(&accounts, key);
	account = known ? *known : SIGNALS_OTHER;
	return account;
}

static __always_inline __u32 find_account(struct task_struct *task)
{
	struct workload_key key = {};
	struct cgroup *cgroup = task->cgroups->dfl_cgrp;
	int i;

	if (cgroup->level > 0) {
		key.kind = WORKLOAD_CGROUP;
		key.cgroup = cgroup->kn->id;
		return account_of(&key);
	}
	bpf_probe_read_kernel_str(key.comm, sizeof(key.comm), task->group_leader->comm);
	if (!(task->flags & PF_KTHREAD)) {
		key.kind = WORKLOAD_COMM;
		return account_of(&key);
	}
	key.kind = WORKLOAD_KTHREAD;
	bool cut = false;
	for (i = 0; i < SIGNALS_COMM_LEN; i++) {
		cut |= key.comm[i] == '/';
		if (cut)
			key.comm[i] = 0;
	}
	return account_of(&key);
}

/* `now` is in the clock of sched_info. */
static __always_inline int account_departure(__u64 *arguments, struct task_struct *task, __u64 now)
{
	/* (bool preempt, struct task_struct *prev, struct task_struct *next, unsigned state) */
	bool preempt = arguments[0];
	unsigned int state = arguments[3];
	struct workload_figures *sum;
	struct memory *memory;
	__u64 delay, slice, arrival, pcount, run_delay, migrations;
	__u64 interval = epoch;
	__u32 account;
	bool first;

	arrival = task->sched_info.last_arrival;
	run_delay = task->sched_info.run_delay;
	pcount = task->sched_info.pcount;
	migrations = task->se.nr_migrations;

	memory = bpf_task_storage_get(&memories, task, NULL, 0);
	if (!memory) {
		memory =
		    bpf_task_storage_get(&memories, task, NULL, BPF_LOCAL_STORAGE_GET_F_CREATE);
		if (!memory) {
			__sync_fetch_and_add(&lost, 1);
			return 0;
		}
		/* A task older than this program: what it waited for this stay is unknown. */
		if (pcount != 1) {
			memory->pcount = pcount;
			memory->run_delay = run_delay;
			memory->migrations = migrations;
		}
	}
	first = memory->epoch != interval;
	if (first || memory->css_set != (__u64)task->cgroups ||
	    memory->exec_id != task->self_exec_id) {
		memory->account = find_account(task);
		memory->epoch = interval;
		memory->css_set = (__u64)task->cgroups;
		memory->exec_id = task->self_exec_id;
	}
	account = memory->account;
	sum = bpf_map_lookup_elem(&figures, &account);
	if (!sum)
		return 0;
	if (sum->epoch != interval) {
		sum->epoch = interval;
		sum->delay_max_ns = 0;
		sum->slice_max_ns = 0;
	}
	sum->threads += first;

	slice = now > arrival ? now - arrival : 0;
	sum->slice_ns += slice;
	if (slice > sum->slice_max_ns)
		sum->slice_max_ns = slice;
	count(sum->slices, slice);

	if (pcount == memory->pcount + 1) {
		delay = run_delay - memory->run_delay;
		sum->delay_ns += delay;
		if (delay > sum->delay_max_ns)
			sum->delay_max_ns = delay;
		count(sum->delays, delay);
	}
	sum->migrations += migrations - memory->migrations;
	if (!preempt && state && !(state & TASK_DEAD))
		sum->sleeps++;
	memory->pcount = pcount;
	memory->run_delay = run_delay;
	memory->migrations = migrations;
	return 0;
}

extern const struct rq runqueues __ksym;

/*
 * sched_info is kept in the run queue's clock. Reading that is exact (the kernel takes the
 * same value for this very switch) and costs less than asking for the time.
 */
SEC("tp_btf/sched_switch")
int task_leaves(__u64 *arguments)
{
	struct task_struct *task = (struct task_struct *)arguments[1];
	struct rq *rq;

	if (!task->pid)
		return 0;
	rq = bpf_this_cpu_ptr(&runqueues);
	return account_departure(arguments, task, rq->clock);
}

/* The same for kernels that do not tell where the run queues are (no KALLSYMS_ALL). */
SEC("?tp_btf/sched_switch")
int task_leaves_by_time(__u64 *arguments)
{
	struct task_struct *task = (struct task_struct *)arguments[1];

	if (!task->pid)
		return 0;
	return account_departure(arguments, task, bpf_ktime_get_ns());
}
