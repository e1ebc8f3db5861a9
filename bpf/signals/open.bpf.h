/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Unfinished activations at the end of an interval: a walk over all tasks, which reports each
 * that runs or waits to. A task that waits for long, or never sleeps, leaves no CPU and so
 * would not be reported otherwise. Included by signals.bpf.c.
 */

/* Integers that are an int in one version of the kernel and a byte in another. */
#define read_flag(task, field)                                                                     \
	({                                                                                         \
		__u32 value = 0;                                                                   \
		bpf_probe_read_kernel(&value, bpf_core_field_size((task)->field),                  \
				      (void *)(task) + bpf_core_field_offset((task)->field));      \
		value;                                                                             \
	})

/* The program saw nothing before this time, in the clock of sched_info. */
__u64 began_at = 0;
/* Set by the reader after its first walk. */
volatile bool walked = false;

/*
 * On the first walk: sleeping tasks are known from here on. A task slept all the time if it
 * sleeps after its figures are read.
 */
static __always_inline void meet(struct task_struct *task)
{
	struct memory met = {
	    .run_delay = task->sched_info.run_delay,
	    .pcount = task->sched_info.pcount,
	    .migrations = task->se.nr_migrations,
	    .exec_ns = task->se.sum_exec_runtime,
	    /* A sleeping task is not queued, unless it was moved in its sleep. */
	    .how = task->sched_info.last_queued ? MOVED_ASLEEP : LEFT_ASLEEP,
	};

	if (read_flag(task, on_rq) && !dequeue_is_delayed(task))
		return;
	bpf_task_storage_get(&memories, task, &met, BPF_LOCAL_STORAGE_GET_F_CREATE);
}

/*
 * A task without memory has not left a CPU since the program began, or was born since then.
 * Nothing here holds a lock: a change meanwhile gives a figure from a moment later.
 */
static __always_inline void measure_open(struct open_activation *open, struct task_struct *task,
					 struct memory *memory, __u64 now)
{
	__u64 queued = task->sched_info.last_queued, arrival = task->sched_info.last_arrival;
	/* The kernel's addition while the task waits: at each move to another CPU. */
	__u64 before = task->sched_info.run_delay - (memory ? memory->run_delay : 0);
	__u64 since;
	bool waits = !read_flag(task, on_cpu);

	if (!memory && (waits ? task->sched_info.pcount : task->sched_info.pcount != 1)) {
		/* Older than the program. */
		before = 0;
		queued = queued > began_at ? queued : began_at;
		arrival = arrival > began_at ? arrival : began_at;
	}
	if (memory && memory->how & MOVED_ASLEEP) {
		/* The time of its wakeup is unknown, but now it is awake. */
		before = 0;
		queued = now;
	}
	if (waits && !queued)
		/* It was about to sleep when it lost the CPU. */
		queued = memory && memory->began ? memory->left : now;
	since = (waits ? queued : arrival) - before;
	if (since > now)
		since = now;
	open->wait_ns = waits ? now - since : 0;
	open->age_ns = now - since;
	if (memory && memory->turn_events && memory->turn_began &&
	    (memory->how & LEFT) != LEFT_STOPPED) {
		/* An event loop: the age of its turn. */
		now = bpf_ktime_get_ns();
		open->age_ns = now > memory->turn_began ? now - memory->turn_began : 0;
		return;
	}
	if (!memory || !memory->began)
		return;
	if ((memory->how & LEFT) == LEFT_STOPPED)
		open->age_ns += memory->left - memory->began;
	else if (now > memory->began)
		open->age_ns = now - memory->began;
}

static __always_inline int tell_open(struct bpf_iter__task *context, __u64 now)
{
	struct task_struct *task = context->task;
	struct open_activation open = {};
	struct memory *memory;
	__u64 age;

	if (!began_at)
		began_at = now;
	if (task && !walked)
		meet(task);
	/* The current task runs, of course. */
	if (!task || !read_flag(task, on_rq) || dequeue_is_delayed(task) ||
	    task == bpf_get_current_task_btf())
		return 0;
	memory = bpf_task_storage_get(&memories, task, NULL, 0);
	measure_open(&open, task, memory, now);
	open.account = memory && memory->epoch == epoch ? memory->account : find_account(task);
	if (!(task->flags & PF_KTHREAD)) {
		open.tgid = task->tgid;
		age = bpf_ktime_get_boot_ns() - task->group_leader->start_boottime;
		open.job_ns = age;
	}
	name_waiter(&open.who, task);
	bpf_seq_write(context->meta->seq, &open, sizeof(open));
	return 0;
}

SEC("iter/task")
int tell_open_activations(struct bpf_iter__task *context)
{
	struct rq *rq = bpf_this_cpu_ptr(&runqueues);

	return tell_open(context, rq->clock);
}

SEC("?iter/task")
int tell_open_by_queue(struct bpf_iter__task *context)
{
	return tell_open(context, clock_of(bpf_get_current_task_btf()));
}
