/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Turns of event loops. An event loop serves several requests in one activation, and never
 * sleeps while there is always another one. A *turn* starts when epoll_wait() returns events,
 * and ends when it returns events again or when the thread sleeps. It counts as many completions
 * as it started with events. Included by signals.bpf.c.
 *
 * The clock of sched_info cannot be read here: the kernel updates the run queue's clock at a
 * switch or a tick only. So turns are measured with the monotonic clock. The hook on switches
 * notes the difference between the two clocks for each thread that has turns.
 */

/* One return counts at most so many events. */
#define MOST_TURN_EVENTS 1024

/* How long the task was stopped before this stay, ns. `woken`: when it was continued. */
static __always_inline __u64 halted_ns(struct memory *memory, __u64 woken)
{
	return (memory->how & LEFT) == LEFT_STOPPED ? woken - memory->left : 0;
}

/*
 * The start of a turn that did not begin with the activation, by the monotonic clock. `arrival`
 * and `delay` belong to the current stay. Being stopped halts the clock of a turn.
 */
static __always_inline __u64 turn_start(struct memory *memory, __u64 arrival, __u64 delay)
{
	__u64 start = memory->turn_began;

	/* A turn that began in this stay began after the stop. */
	if (start < arrival + memory->clock_ahead)
		start += halted_ns(memory, arrival - delay);
	return start;
}

/*
 * The task can lose the CPU anywhere in here, and task_leaves() then runs on the same CPU. So each
 * figure changes with a single instruction.
 */
static __always_inline void count_turn(struct workload_figures *sum, __u64 ns, __u32 events)
{
	__u32 bucket = bucket_of(ns);

	if (bucket >= SIGNALS_BUCKETS)
		return;
	__sync_fetch_and_add(&sum->totals[RESPONSE].sum_ns, ns * events);
	__sync_fetch_and_add(&sum->counts[RESPONSE][bucket], events);
	/* Until the first departure in an interval, the maximum is that of an earlier interval. The
	 * reader takes a maximum that is missing from the histogram. */
	if (sum->epoch == epoch && ns > sum->totals[RESPONSE].max_ns)
		sum->totals[RESPONSE].max_ns = ns;
}

static __always_inline void end_turn(struct task_struct *task, struct memory *memory, __u64 now)
{
	bool known = task->sched_info.pcount == memory->pcount + 1 && !(memory->how & MOVED_ASLEEP);
	__u64 delay = known ? task->sched_info.run_delay - memory->run_delay : 0;
	__u64 arrival = task->sched_info.last_arrival;
	struct workload_figures *sum;
	__u32 account;
	__u64 start;

	if (memory->turn_began)
		start = turn_start(memory, arrival, delay);
	else if (memory->began)
		start = memory->began + memory->clock_ahead + halted_ns(memory, arrival - delay);
	else
		start = arrival - delay + memory->clock_ahead;
	account = memory->epoch == epoch && memory->css_set == (__u64)task->cgroups
		      ? memory->account
		      : find_account(task);
	sum = bpf_map_lookup_elem(&figures, &account);
	if (sum)
		count_turn(sum, now > start ? now - start : 0, memory->turn_events);
}

/* A wait for events returns. The events of the turn before are handled. */
static __always_inline int begin_turn(void *context)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct memory *memory;
	__u64 returned = 0, now;
	int events;

	bpf_get_func_ret(context, &returned);
	events = (int)returned;
	/* A timeout or an interruption: the turn continues. */
	if (events <= 0)
		return 0;
	memory = bpf_task_storage_get(&memories, task, NULL, 0);
	/* It has not left a CPU since its birth, or since this program started. */
	if (!memory)
		return 0;
	now = bpf_ktime_get_ns();
	if (memory->turn_events)
		end_turn(task, memory, now);
	/* The first turn of an activation begins with the wakeup, if that time is known. */
	if (memory->turn_events || !memory->clock_known || memory->how & OF_UNKNOWN_AGE)
		memory->turn_began = now;
	memory->turn_events = events < MOST_TURN_EVENTS ? events : MOST_TURN_EVENTS;
	memory->has_turns = true;
	return 0;
}

SEC("?fexit/do_epoll_wait")
int wait_returns(void *context)
{
	return begin_turn(context);
}

/* The same for kernels without that function; accounts.c sets the system calls as targets. */
SEC("?fexit")
int epoll_wait_returns(void *context)
{
	return begin_turn(context);
}

SEC("?fexit")
int epoll_pwait_returns(void *context)
{
	return begin_turn(context);
}

SEC("?fexit")
int epoll_pwait2_returns(void *context)
{
	return begin_turn(context);
}
