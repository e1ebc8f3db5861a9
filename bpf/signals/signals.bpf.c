// SPDX-License-Identifier: GPL-2.0-only
/*
 * How long tasks wait for a CPU and how long they keep it, for each workload, measured in the
 * kernel at little cost.
 *
 * One hook is enough: sched_switch, and there only the task that leaves the CPU. The kernel
 * itself keeps in task->sched_info how long the task has waited in total (run_delay), how
 * often it was given a CPU (pcount) and when it got this one (last_arrival). So when a task
 * leaves,
 *
 *	its wait before this stay	= run_delay now - run_delay when it left last time
 *	the stay (slice)		= the run queue's clock - last_arrival
 *
 * No hook on wakeups is needed. The kernel also adds to run_delay when a waiting task is
 * moved to another CPU, which schedulers with shared dispatch queues do for nearly every
 * wait; a measurement from last_queued alone would lose that part and flatter them.
 *
 * The first stay after a sleep began an activation, at last_arrival minus the wait before it:
 * that is when the task was woken. When it sleeps again (or ends), its response time is
 * known, and how much of that it ran, waited for its first CPU, and waited because it had
 * lost one. Being stopped (SIGSTOP, a debugger) is neither: it halts the clock.
 *
 * The price: a wait is reported at the end of the stay that followed it, not at its start,
 * and an activation at its end. At the end of an interval a walk over all tasks (open.bpf.h)
 * finds the unfinished ones, so that a task that waits, or never sleeps, is not overlooked.
 *
 * The kernel mistakes a sleep for a wait in one case. From 6.12 on, a sleeping task may stay
 * on its run queue until its lag is gone (delayed dequeue), and when the load balancer moves
 * it meanwhile, it is marked as queued (last_queued), and nothing reverts that: the whole
 * sleep ends up in run_delay. A third hook, on moves between CPUs, notes that.
 *
 * In addition, and only for a reader that asks: which processes execute a program, and what
 * the ended ones have used. That takes three hooks on rare events, exec and exit.
 */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include "signals/signals.h"

char LICENSE[] SEC("license") = "GPL";

/* From include/linux/sched.h: not in BTF, and part of what tracing tools rely on. */
#define TASK_STOPPED 0x00000004
#define TASK_TRACED  0x00000008
#define TASK_DEAD    0x00000080
#define PF_KTHREAD   0x00200000
/* From include/linux/sched/signal.h, the same. */
#define SIGNAL_GROUP_EXIT 0x00000004

/* The number of the interval; the reader advances it. Tasks look up their workload
 * again in every new interval, so a stale answer lives no longer than that. Never 0. */
__u64 epoch = 0;
/* Switches that could not be accounted because there was no memory for the task. */
__u64 lost = 0;
/* Times a workload found no free account and went to SIGNALS_OTHER. */
__u64 overflows = 0;
/* Live. Which single processes are reported, an enum process_watch. */
volatile __u32 watch = WATCH_NONE;

/* A task's data from one switch to the next. */
struct memory {
	__u64 run_delay;
	__u64 pcount;
	__u64 migrations;
	__u64 epoch;
	__u64 css_set; /* changes when the task is moved to another cgroup */
	/* Incremented in exec once the new name is set; the memory map changes before that. */
	__u64 exec_id;
	__u64 exec_ns;	 /* CPU time by the kernel's own count */
	__u64 left;	 /* when it left */
	__u64 began;	 /* start of the current activation; 0 while it sleeps */
	__u64 ran_ns;	 /* in that activation: on a CPU */
	__u64 waited_ns; /* and before its first stay */
	__u32 account;
	__u32 how; /* how it left: enum leaving */
	/* For event loops only, see turns.bpf.h. */
	__u64 turn_began;  /* by the monotonic clock; 0: when the activation began */
	__u64 clock_ahead; /* the monotonic clock minus the clock of the times above, ns */
	__u32 turn_events; /* 0: there is no turn */
	__u8 has_turns;	   /* it is an event loop */
	__u8 clock_known;
};

enum leaving {
	LEFT_ASLEEP = 0, /* or is not born yet */
	LEFT_RUNNABLE = 1,
	LEFT_STOPPED = 2,
	LEFT = 3,
	/* It is unknown how it came to be where it was first seen. */
	OF_UNKNOWN_AGE = 4,
	/* It was moved in its sleep: the kernel counts part of that as a wait. */
	MOVED_ASLEEP = 8,
	/* The first thread of a process, which ended before others did. */
	OUTLIVED = 16,
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

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, SIGNALS_MAX_ACCOUNTS);
	__type(key, __u32);
	__type(value, struct workload_jobs);
} jobs SEC(".maps");

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

static __always_inline void count_times(struct workload_figures *sum, enum duration which, __u64 ns,
					__u32 times)
{
	__u32 bucket = bucket_of(ns);

	sum->totals[which].sum_ns += ns * times;
	if (ns > sum->totals[which].max_ns)
		sum->totals[which].max_ns = ns;
	if (bucket < SIGNALS_BUCKETS)
		sum->counts[which][bucket] += times;
}

static __always_inline void count(struct workload_figures *sum, enum duration which, __u64 ns)
{
	count_times(sum, which, ns, 1);
}

/* The account of this workload, a new one if it has none. */
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

static __always_inline void name_workload(struct task_struct *task, struct workload_key *key)
{
	struct cgroup *cgroup = task->cgroups->dfl_cgrp;
	bool cut = false;
	int i;

	if (cgroup->level > 0) {
		key->kind = WORKLOAD_CGROUP;
		key->cgroup = cgroup->kn->id;
		return;
	}
	bpf_probe_read_kernel_str(key->comm, sizeof(key->comm), task->group_leader->comm);
	if (!(task->flags & PF_KTHREAD)) {
		key->kind = WORKLOAD_COMM;
		return;
	}
	key->kind = WORKLOAD_KTHREAD;
	for (i = 0; i < SIGNALS_COMM_LEN; i++) {
		cut |= key->comm[i] == '/';
		if (cut)
			key->comm[i] = 0;
	}
}

static __always_inline __u32 find_account(struct task_struct *task)
{
	struct workload_key key = {};

	name_workload(task, &key);
	return account_of(&key);
}

static __always_inline void name_waiter(struct waiter *waiter, struct task_struct *task)
{
	waiter->pid = task->pid;
	bpf_probe_read_kernel_str(waiter->comm, sizeof(waiter->comm), task->comm);
}

static __always_inline void begin_interval(struct workload_figures *sum, __u64 interval)
{
	int i;

	sum->epoch = interval;
	for (i = 0; i < DURATIONS; i++)
		sum->totals[i].max_ns = 0;
}

#include "signals/turns.bpf.h"

/*
 * An activation ended. One whose start was not seen is not reported: it took longer than is
 * known.
 */
static __always_inline void account_activation(struct workload_figures *sum, struct memory *memory,
					       __u64 now)
{
	__u64 took = now > memory->began ? now - memory->began : 0;
	__u64 counted = memory->ran_ns + memory->waited_ns;
	__u32 events = memory->turn_events;

	if (!(memory->how & OF_UNKNOWN_AGE)) {
		count(sum, BURST, memory->ran_ns);
		sum->waited_ns += memory->waited_ns;
		sum->preempted_ns += took > counted ? took - counted : 0;
	}
	if (events && memory->turn_began) {
		now += memory->clock_ahead;
		took = now > memory->turn_began ? now - memory->turn_began : 0;
		count_times(sum, RESPONSE, took, events);
	} else if (!(memory->how & OF_UNKNOWN_AGE)) {
		count_times(sum, RESPONSE, took, events ? events : 1);
	}
	memory->began = 0;
	if (events)
		memory->turn_events = memory->turn_began = 0;
}

/* `now` is in the clock of sched_info. */
static __always_inline int account_departure(__u64 *arguments, struct task_struct *task, __u64 now)
{
	/* (bool preempt, struct task_struct *prev, struct task_struct *next, unsigned state) */
	bool preempt = arguments[0];
	unsigned int state = arguments[3];
	struct workload_figures *sum;
	struct memory *memory;
	__u64 delay = 0, slice, arrival, pcount, run_delay, migrations, exec;
	__u64 interval = epoch;
	__u32 account, how;
	bool first, known;

	arrival = task->sched_info.last_arrival;
	run_delay = task->sched_info.run_delay;
	pcount = task->sched_info.pcount;
	migrations = task->se.nr_migrations;
	exec = task->se.sum_exec_runtime;

	memory = bpf_task_storage_get(&memories, task, NULL, 0);
	if (!memory) {
		memory =
		    bpf_task_storage_get(&memories, task, NULL, BPF_LOCAL_STORAGE_GET_F_CREATE);
		if (!memory) {
			__sync_fetch_and_add(&lost, 1);
			return 0;
		}
		/* A task older than this program: its wait before this stay is unknown. */
		if (pcount != 1) {
			memory->run_delay = run_delay;
			memory->migrations = migrations;
			memory->how = OF_UNKNOWN_AGE;
		}
	}
	how = memory->how;
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
	if (sum->epoch != interval)
		begin_interval(sum, interval);
	sum->threads += first;

	known = pcount == memory->pcount + 1 && !(how & MOVED_ASLEEP);
	if (pcount == memory->pcount && (how & LEFT) == LEFT_RUNNABLE) {
		/*
		 * It was about to sleep when it lost the CPU. The kernel, which considers it
		 * asleep, recorded neither this wait nor this stay.
		 */
		slice = exec - memory->exec_ns;
		arrival = now - slice;
		known = arrival > memory->left;
		delay = known ? arrival - memory->left : 0;
	} else {
		slice = now > arrival ? now - arrival : 0;
		if (known)
			delay = run_delay - memory->run_delay;
	}
	count(sum, SLICE, slice);
	if (known) {
		if (delay > sum->totals[DELAY].max_ns)
			name_waiter(&sum->longest, task);
		count(sum, DELAY, delay);
	}

	if (memory->has_turns) {
		memory->clock_ahead = bpf_ktime_get_ns() - now;
		memory->clock_known = true;
		if (memory->turn_began)
			memory->turn_began = turn_start(memory, arrival, delay);
	}
	if (!memory->began) {
		memory->began = arrival - delay;
		memory->ran_ns = 0;
		memory->waited_ns = delay;
	} else {
		memory->began += halted_ns(memory, arrival - delay);
	}
	memory->ran_ns += slice;

	how &= OF_UNKNOWN_AGE | OUTLIVED;
	if (preempt || !state) {
		how |= LEFT_RUNNABLE;
	} else {
		if (state & (TASK_STOPPED | TASK_TRACED)) {
			how |= LEFT_STOPPED;
		} else {
			account_activation(sum, memory, now);
			how &= OUTLIVED;
		}
		if (!(state & TASK_DEAD))
			sum->sleeps++;
	}
	sum->migrations += migrations - memory->migrations;
	memory->how = how;
	memory->left = now;
	memory->exec_ns = exec;
	memory->pcount = pcount;
	memory->run_delay = run_delay;
	memory->migrations = migrations;
	return 0;
}

extern const struct rq runqueues __ksym;

/*
 * sched_info uses the run queue's clock. Reading that is exact (the kernel uses the same
 * value for this very switch) and costs less than asking for the time.
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

/*
 * The same for kernels that hide the run queues (no KALLSYMS_ALL): through the queue of a
 * running task. The time of day's clock is a different one, milliseconds away.
 */
static __always_inline __u64 clock_of(struct task_struct *running)
{
	if (bpf_core_field_exists(running->se.cfs_rq->rq))
		return running->se.cfs_rq->rq->clock;
	return bpf_ktime_get_ns();
}

SEC("?tp_btf/sched_switch")
int task_leaves_by_queue(__u64 *arguments)
{
	struct task_struct *task = (struct task_struct *)arguments[1];

	if (!task->pid)
		return 0;
	return account_departure(arguments, task, clock_of(task));
}

/* From `struct sched_entity` since Linux 6.12: it sleeps, but is still on its run queue. */
struct sched_entity___delayed {
	unsigned char sched_delayed;
} __attribute__((preserve_access_index));

static __always_inline bool dequeue_is_delayed(struct task_struct *task)
{
	struct sched_entity___delayed *entity = (void *)&task->se;

	return bpf_core_field_exists(entity->sched_delayed) && entity->sched_delayed;
}

/* Called with the run queue's lock held, like a switch. */
SEC("tp_btf/sched_migrate_task")
int task_moves(__u64 *arguments)
{
	struct task_struct *task = (struct task_struct *)arguments[0];
	struct memory *memory;

	if (!dequeue_is_delayed(task))
		return 0;
	memory = bpf_task_storage_get(&memories, task, NULL, 0);
	if (memory)
		memory->how |= MOVED_ASLEEP;
	return 0;
}

#include "signals/open.bpf.h"

/* ---- Single processes ---- */

/* Limit of events of one kind per second; more would keep the reader busy with nothing else. */
#define MOST_EVENTS 256
#define SECOND	    1000000000ULL
/* A process that used less CPU time is not reported, ns. */
#define LEAST_CPU 5000000ULL

struct event_quota execs, exits;

/* A process since its exec; kept with its leader. */
struct run {
	__u64 began;	  /* CLOCK_BOOTTIME, ns; 0 if the exec was not seen */
	__u64 cpu_ns;	  /* what it had used by then */
	__u64 ended;	  /* when its leader ended, ns */
	__u32 unfinished; /* its leader ended before its other threads did */
	__u32 length;	  /* of the arguments, bytes */
	char program[SIGNALS_COMM_LEN];
	char arguments[SIGNALS_ARGUMENTS];
};

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct run);
} runs SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, SIGNALS_EVENT_ROOM);
} events SEC(".maps");

/* Room for an event, unless there were too many of its kind already. */
static __always_inline struct process_event *room_for(struct event_quota *quota, __u64 now)
{
	struct process_event *event = NULL;

	/* Two CPUs at the turn of the second may report a few more: no harm. */
	if (now - quota->since >= SECOND) {
		quota->since = now;
		quota->told = 0;
	}
	if (__sync_fetch_and_add(&quota->told, 1) < MOST_EVENTS)
		event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);
	if (!event)
		__sync_fetch_and_add(&quota->lost, 1);
	return event;
}

/* The process's use, ns; `task` is its leader and the only remaining thread. */
static __always_inline __u64 cpu_of(struct task_struct *task)
{
	return task->signal->sum_sched_runtime + task->se.sum_exec_runtime;
}

/* `run` may be NULL. */
static __always_inline void describe(struct process_event *event, struct task_struct *task,
				     struct run *run)
{
	__builtin_memset(&event->workload, 0, sizeof(event->workload));
	name_workload(task, &event->workload);
	event->pid = task->tgid;
	event->uid = task->cred->uid.val;
	event->executed = run && run->began;
	event->length = 0;
	if (event->executed) {
		event->length = run->length;
		__builtin_memcpy(event->program, run->program, sizeof(event->program));
		__builtin_memcpy(event->arguments, run->arguments, sizeof(event->arguments));
	} else {
		bpf_probe_read_kernel_str(event->program, sizeof(event->program), task->comm);
	}
}

/* Called after the new memory map is in place, with the arguments on its stack. */
SEC("tp_btf/sched_process_exec")
int process_executes(__u64 *arguments)
{
	struct task_struct *task = (struct task_struct *)arguments[0];
	__u64 begin, length, now = bpf_ktime_get_boot_ns();
	struct process_event *event;
	struct run *run;
	__u32 kept;

	if (watch == WATCH_NONE)
		return 0;
	run = bpf_task_storage_get(&runs, task, NULL, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!run) {
		__sync_fetch_and_add(&execs.lost, 1);
		return 0;
	}
	begin = task->mm->arg_start;
	length = task->mm->arg_end - begin;
	kept = length < SIGNALS_ARGUMENTS ? length : SIGNALS_ARGUMENTS;
	run->began = now;
	run->cpu_ns = cpu_of(task);
	/* Pages that are not in memory at this moment cannot be read here. */
	run->length = bpf_probe_read_user(run->arguments, kept, (void *)begin) ? 0 : length;
	bpf_probe_read_kernel_str(run->program, sizeof(run->program), task->comm);
	if (watch != WATCH_ALL)
		return 0;
	event = room_for(&execs, now);
	if (!event)
		return 0;
	describe(event, task, run);
	event->kind = PROCESS_EXEC;
	bpf_ringbuf_submit(event, BPF_RB_FORCE_WAKEUP);
	return 0;
}

static __always_inline void tell_exit(struct task_struct *task, struct run *run, __u64 cpu_ns,
				      __u64 ended)
{
	struct process_event *event;
	__u64 began = task->start_boottime;

	if (run && run->began) {
		began = run->began;
		cpu_ns -= run->cpu_ns;
	}
	if (cpu_ns < LEAST_CPU)
		return;
	event = room_for(&exits, bpf_ktime_get_boot_ns());
	if (!event)
		return;
	describe(event, task, run);
	event->kind = PROCESS_EXIT;
	event->cpu_ns = cpu_ns;
	event->wall_ns = ended - began;
	event->exit_code = task->signal->flags & SIGNAL_GROUP_EXIT ? task->signal->group_exit_code
								   : task->exit_code;
	/* Nobody waits for it: it is sent with the next exec or report, unless room is short. */
	bpf_ringbuf_submit(event,
			   bpf_ringbuf_query(&events, BPF_RB_AVAIL_DATA) > SIGNALS_EVENT_ROOM / 2
			       ? BPF_RB_FORCE_WAKEUP
			       : BPF_RB_NO_WAKEUP);
}

/*
 * Whether this is the exit of a process as a whole: its leader's, with or after all others, or
 * that of the last thread that the leader left behind.
 */
static __always_inline bool process_ends(struct task_struct *task)
{
	bool last = !task->signal->live.counter;
	struct memory *memory;

	if (task->pid == task->tgid) {
		if (last || task->signal->flags & SIGNAL_GROUP_EXIT)
			return true;
		memory =
		    bpf_task_storage_get(&memories, task, NULL, BPF_LOCAL_STORAGE_GET_F_CREATE);
		if (memory)
			memory->how |= OUTLIVED;
		return false;
	}
	if (!last)
		return false;
	memory = bpf_task_storage_get(&memories, task->group_leader, NULL, 0);
	if (!memory || !(memory->how & OUTLIVED))
		return false;
	memory->how &= ~OUTLIVED;
	return true;
}

static __always_inline void account_job(struct task_struct *task, __u32 account, __u64 now)
{
	struct workload_jobs *sum = bpf_map_lookup_elem(&jobs, &account);
	__u64 took = now - task->group_leader->start_boottime;
	__u32 bucket = bucket_of(took);

	if (!sum || bucket >= SIGNALS_BUCKETS)
		return;
	/* Two CPUs at the turn of the interval may forget a maximum; the histogram has it. */
	if (sum->epoch != epoch) {
		sum->epoch = epoch;
		sum->total.max_ns = 0;
	}
	if (took > sum->total.max_ns)
		sum->total.max_ns = took;
	__sync_fetch_and_add(&sum->total.sum_ns, took);
	__sync_fetch_and_add(&sum->counts[bucket], 1);
}

/*
 * CPU time of the stay that ends with the process is known only to the last tick: the kernel
 * updates it when the task leaves.
 */
SEC("tp_btf/sched_process_exit")
int process_exits(__u64 *arguments)
{
	struct task_struct *task = (struct task_struct *)arguments[0];
	__u64 now = bpf_ktime_get_boot_ns();
	struct workload_figures *sum;
	struct run *run;
	__u32 account;

	if (task->flags & PF_KTHREAD)
		return 0;
	if (task->pid != task->tgid) {
		if (process_ends(task))
			account_job(task, find_account(task), now);
		return 0;
	}
	account = find_account(task);
	sum = bpf_map_lookup_elem(&figures, &account);
	if (sum)
		__sync_fetch_and_add(&sum->exits, 1);
	if (process_ends(task))
		account_job(task, account, now);
	if (watch == WATCH_NONE)
		return 0;
	if (task->signal->nr_threads == 1) {
		run = bpf_task_storage_get(&runs, task, NULL, 0);
		tell_exit(task, run, cpu_of(task), now);
		return 0;
	}
	/* The others' use is known for certain only once they are gone. */
	run = bpf_task_storage_get(&runs, task, NULL, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!run) {
		__sync_fetch_and_add(&exits.lost, 1);
		return 0;
	}
	run->ended = now;
	run->unfinished = true;
	return 0;
}

/* The last event of a process; the times of all its threads are added up by now. */
SEC("tp_btf/sched_process_free")
int process_is_gone(__u64 *arguments)
{
	struct task_struct *task = (struct task_struct *)arguments[0];
	struct run *run;

	if (task->pid != task->tgid)
		return 0;
	run = bpf_task_storage_get(&runs, task, NULL, 0);
	if (run && run->unfinished)
		tell_exit(task, run, task->signal->sum_sched_runtime, run->ended);
	return 0;
}
