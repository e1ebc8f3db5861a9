// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The kernel half of schedpilot-signals as a library, for tests that say what the kernel did and
 * look at what it made of that. One account, one CPU, and tasks as the caller describes them.
 */
#include <stdlib.h>
#include <string.h>
#include "vmlinux.h"
#include "signals/signals.bpf.c"

struct rq native_queue;
static struct workload_figures account;
static struct workload_jobs ended;
static struct open_activation told[64];
static unsigned int told_count;
static struct task_struct *current;
static struct cgroup top;
static struct css_set groups = {&top};

void *bpf_task_storage_get(void *map, struct task_struct *task, void *first, __u64 flags)
{
	if (map != &memories)
		return NULL;
	if (!task->memory && flags) {
		task->memory = calloc(1, sizeof(struct memory));
		if (first)
			memcpy(task->memory, first, sizeof(struct memory));
	}
	return task->memory;
}

void *bpf_map_lookup_elem(void *map, const void *key)
{
	static __u32 only = 1;

	(void)key;
	if (map == &accounts)
		return &only;
	if (map == &figures)
		return &account;
	return map == &jobs ? &ended : NULL;
}

long bpf_map_update_elem(void *map, const void *key, const void *value, __u64 flags)
{
	(void)map, (void)key, (void)value, (void)flags;
	return 0;
}

long bpf_map_pop_elem(void *map, void *value)
{
	(void)map, (void)value;
	return -1;
}

long bpf_map_push_elem(void *map, const void *value, __u64 flags)
{
	(void)map, (void)value, (void)flags;
	return -1;
}

long bpf_probe_read_kernel(void *to, __u32 size, const void *from)
{
	memcpy(to, from, size);
	return 0;
}

long bpf_probe_read_kernel_str(void *to, __u32 size, const void *from)
{
	strncpy(to, from, size);
	return 0;
}

long bpf_probe_read_user(void *to, __u32 size, const void *from)
{
	return bpf_probe_read_kernel(to, size, from);
}

/* Another clock than the run queue's. */
__u64 bpf_ktime_get_ns(void)
{
	return native_queue.clock + 1234567;
}

__u64 bpf_ktime_get_boot_ns(void)
{
	return native_queue.clock;
}

struct task_struct *bpf_get_current_task_btf(void)
{
	return current;
}

long bpf_get_func_ret(void *context, __u64 *value)
{
	*value = *(__u64 *)context;
	return 0;
}

void *bpf_ringbuf_reserve(void *map, __u64 size, __u64 flags)
{
	(void)map, (void)size, (void)flags;
	return NULL;
}

void bpf_ringbuf_submit(void *event, __u64 flags)
{
	(void)event, (void)flags;
}

__u64 bpf_ringbuf_query(void *map, __u64 flags)
{
	(void)map, (void)flags;
	return 0;
}

long bpf_seq_write(void *seq, const void *data, __u32 size)
{
	(void)seq;
	if (told_count < sizeof(told) / sizeof(told[0]))
		memcpy(&told[told_count++], data, size);
	return 0;
}

/* ---- For the caller ---- */

void start(void)
{
	memset(&account, 0, sizeof(account));
	memset(&ended, 0, sizeof(ended));
	epoch = 1;
	began_at = 0;
	walked = false;
}

struct task_struct *new_task(int pid)
{
	static struct signal_struct none;
	struct task_struct *task = calloc(1, sizeof(*task));

	task->pid = task->tgid = pid;
	task->cgroups = &groups;
	task->group_leader = task;
	task->signal = &none;
	strcpy(task->comm, "task");
	return task;
}

void free_task(struct task_struct *task)
{
	free(task->memory);
	free(task);
}

/* The fields that change, as the kernel keeps them. */
void set_task(struct task_struct *task, const __u64 *fields)
{
	task->sched_info.pcount = fields[0];
	task->sched_info.run_delay = fields[1];
	task->sched_info.last_arrival = fields[2];
	task->sched_info.last_queued = fields[3];
	task->se.sum_exec_runtime = fields[4];
	task->se.nr_migrations = fields[5];
	task->se.sched_delayed = fields[6];
	task->on_rq = fields[7];
	task->on_cpu = fields[8];
}

void leave(struct task_struct *task, __u64 now, bool preempt, unsigned int state)
{
	__u64 arguments[] = {preempt, (__u64)task, 0, state};

	native_queue.clock = now;
	task_leaves(arguments);
}

void move(struct task_struct *task)
{
	__u64 arguments[] = {(__u64)task};

	task_moves(arguments);
}

/* The task's wait for events returns so many, or an error. */
void events_come(struct task_struct *task, __u64 now, int events)
{
	/* As a register has an int: the other half is anything. */
	__u64 returned = (__u32)events | 0xabcd00000000;

	native_queue.clock = now;
	current = task;
	wait_returns(&returned);
	current = NULL;
}

void next_interval(void)
{
	epoch++;
}

/* Whether the task is told as open now, and its age and wait. */
bool look(struct task_struct *task, __u64 now, __u64 *figures_out)
{
	struct bpf_iter_meta meta = {};
	struct bpf_iter__task context = {&meta, task};

	native_queue.clock = now;
	told_count = 0;
	tell_open_activations(&context);
	figures_out[0] = told[0].age_ns;
	figures_out[1] = told[0].wait_ns;
	return told_count;
}

void first_look_is_over(void)
{
	walked = true;
}

/* Counts, sums and maxima by enum duration, then waited, preempted, sleeps and migrations. */
void read_out(__u64 *out)
{
	int which, i;

	memset(out, 0, 16 * sizeof(*out));
	for (which = 0; which < DURATIONS; which++) {
		for (i = 0; i < SIGNALS_BUCKETS; i++)
			out[which * 3] += account.counts[which][i];
		out[which * 3 + 1] = account.totals[which].sum_ns;
		out[which * 3 + 2] = account.totals[which].max_ns;
	}
	out[12] = account.waited_ns;
	out[13] = account.preempted_ns;
	out[14] = account.sleeps;
	out[15] = account.migrations;
}

/* How many were counted by bucket. */
void read_counts(int which, __u32 *out)
{
	memcpy(out, account.counts[which], sizeof(account.counts[which]));
}
