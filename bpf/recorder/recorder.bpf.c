// SPDX-License-Identifier: GPL-2.0-only
/*
 * Each task's activity, reported once per wakeup: how much CPU time it used, how long it then
 * slept, who woke it, and how far the waker was in its own work.
 *
 * Preemption, waits on run queues and migrations are left out: they are the scheduler's
 * doing, and the recording contains only the work that any scheduler would get. So there is
 * one event for each sleep, and none for a switch between two tasks that both want to run.
 *
 * A task is recorded if it has its storage: because it existed when the recording began, or
 * because its parent had storage when it was forked.
 */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include "recorder/recorder.h"

char LICENSE[] SEC("license") = "GPL";

/* From include/linux/sched.h and preempt.h: not in BTF. */
#define TASK_DEAD   0x00000080
#define TASK_NEW    0x00000800
#define PF_KTHREAD  0x00200000
#define WF_SYNC	    0x10
#define NICE_0_PRIO 120

/* Which tasks: 0 all, 1 those of a cgroup and below it, 2 processes of a name in the root
 * cgroup, 3 kernel threads of a name. */
const volatile __u32 scope = 0;
const volatile __u64 scope_cgroup = 0;
const volatile __u32 scope_level = 0;
const volatile char scope_name[RECORDER_COMM_LEN] = {};
/* The recorder's own process, which is not part of its recording. */
const volatile int own_process = 0;
/*
 * Bits of the preemption count that are set in an NMI, in a hard interrupt, and during a
 * softirq; the reader knows which kernel has moved them.
 */
const volatile __u32 interrupt_bits = RECORDER_INTERRUPT_BITS;
/* Maximum number of announced tasks. */
const volatile __u32 most_tasks = 0;

/* Live. Whether events are reported. */
volatile __u32 recording = 0;
__u64 lost = 0;
__u64 announced = 0;
/* Tasks beyond the maximum; they are not recorded. */
__u64 left_out = 0;

struct memory {
	__u64 switched_at;  /* when it last got its CPU */
	__u64 switched_ran; /* total CPU time at that moment */
	__u64 phase_ran;    /* total CPU time when its phase began */
	__u64 slept_at;
	__u64 woken_at; /* woken before it had left its CPU */
	__u64 waker_ran;
	__u32 waker;
	__u32 how;
	__u8 asleep;
	__u8 known; /* announced */
	__u8 out;   /* beyond the maximum */
	__u8 ended;
};

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct memory);
} memories SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, RECORDER_ROOM);
} events SEC(".maps");

/* Flags of the current wakeup on this CPU. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} wake_flags SEC(".maps");

static __always_inline void *room_for(__u64 size)
{
	void *room = bpf_ringbuf_reserve(&events, size, 0);

	if (!room)
		__sync_fetch_and_add(&lost, 1);
	return room;
}

/* The reader polls every few milliseconds; it is woken when room gets short. */
static __always_inline __u64 urgency(void)
{
	return bpf_ringbuf_query(&events, BPF_RB_AVAIL_DATA) > RECORDER_ROOM / 2
		   ? BPF_RB_FORCE_WAKEUP
		   : BPF_RB_NO_WAKEUP;
}

/* ---- which tasks ---- */

static __always_inline bool same_name(const char *name)
{
	int i;

	for (i = 0; i < RECORDER_COMM_LEN; i++) {
		char each = name[i];

		/* Kernel threads go by their name up to the first '/'. */
		if (scope == 3 && each == '/')
			each = 0;
		if (each != scope_name[i])
			return false;
		if (!each)
			break;
	}
	return true;
}

static __always_inline bool in_scope(struct task_struct *task)
{
	struct cgroup *cgroup, *ancestor = NULL;
	char name[RECORDER_COMM_LEN];

	if (task->tgid == own_process || !task->pid)
		return false;
	if (!scope)
		return true;
	cgroup = task->cgroups->dfl_cgrp;
	if (scope == 1) {
		if (cgroup->level < (int)scope_level)
			return false;
		bpf_probe_read_kernel(&ancestor, sizeof(ancestor),
				      (void *)cgroup + bpf_core_field_offset(cgroup->ancestors) +
					  scope_level * sizeof(ancestor));
		return BPF_CORE_READ(ancestor, kn, id) == scope_cgroup;
	}
	if (cgroup->level > 0 || !(task->flags & PF_KTHREAD) != (scope == 2))
		return false;
	bpf_probe_read_kernel_str(name, sizeof(name), task->group_leader->comm);
	return same_name(name);
}

/* ---- reporting ---- */

static __always_inline bool announce(struct task_struct *task, struct memory *memory)
{
	struct recorder_task *told;
	int i;

	if (memory->known)
		return true;
	if (memory->out)
		return false;
	if (announced >= most_tasks) {
		memory->out = true;
		__sync_fetch_and_add(&left_out, 1);
		return false;
	}
	told = room_for(sizeof(*told));
	if (!told)
		return false;
	told->kind = RECORDER_TASK;
	told->task = task->pid;
	told->process = task->tgid;
	told->uid = task->cred->uid.val;
	told->cgroup = task->cgroups->dfl_cgrp->level > 0 ? task->cgroups->dfl_cgrp->kn->id : 0;
	told->policy = task->policy;
	told->nice = task->static_prio - NICE_0_PRIO;
	told->kthread = !!(task->flags & PF_KTHREAD);
	told->cpus_allowed = task->nr_cpus_allowed;
	__builtin_memset(told->cpus, 0, sizeof(told->cpus));
	/* A kernel for few CPUs has a shorter mask. */
	if (bpf_core_field_size(task->cpus_mask) >= sizeof(told->cpus))
		bpf_probe_read_kernel(told->cpus, sizeof(told->cpus), task->cpus_ptr);
	else
		for (i = 0; i < RECORDER_CPU_WORDS; i++)
			if (bpf_core_field_size(task->cpus_mask) > i * sizeof(__u64))
				bpf_probe_read_kernel(&told->cpus[i], sizeof(__u64),
						      (__u64 *)task->cpus_ptr + i);
	bpf_probe_read_kernel_str(told->comm, sizeof(told->comm), task->comm);
	bpf_probe_read_kernel_str(told->leader, sizeof(told->leader), task->group_leader->comm);
	bpf_ringbuf_submit(told, urgency());
	memory->known = true;
	__sync_fetch_and_add(&announced, 1);
	return true;
}

static __always_inline struct recorder_event *event_of(struct task_struct *task,
						       struct memory *memory, __u32 kind)
{
	struct recorder_event *event;

	if (!announce(task, memory))
		return NULL;
	event = room_for(sizeof(*event));
	if (!event)
		return NULL;
	__builtin_memset(event, 0, sizeof(*event));
	event->kind = kind;
	event->task = task->pid;
	return event;
}

/*
 * The task's phase ends: it has run, slept, and is woken. If there is no room for the event,
 * its CPU time is added to the next one.
 */
static __always_inline void tell_wake(struct task_struct *task, struct memory *memory, __u64 at,
				      __u32 how, __u32 waker, __u64 waker_ran)
{
	__u64 ran = task->se.sum_exec_runtime;
	struct recorder_event *event = event_of(task, memory, RECORDER_WAKE);

	if (!event)
		return;
	event->at = at;
	event->ran = ran - memory->phase_ran;
	event->slept = at > memory->slept_at ? at - memory->slept_at : 0;
	event->how = how;
	event->waker = waker;
	event->waker_ran = waker_ran;
	memory->phase_ran = ran;
	bpf_ringbuf_submit(event, urgency());
}

/* CPU time since its phase began, for the task that runs here. */
static __always_inline __u64 ran_so_far(struct memory *memory, __u64 now)
{
	__u64 ever = memory->switched_ran + (now - memory->switched_at);

	return memory->switched_at && ever > memory->phase_ran ? ever - memory->phase_ran : 0;
}

/* ---- events ---- */

extern const int __preempt_count __ksym __weak;

struct pcpu_hot___before_6_15 {
	int preempt_count;
} __attribute__((preserve_access_index));
extern const struct pcpu_hot___before_6_15 pcpu_hot __ksym __weak;

struct thread_info___arm64 {
	struct {
		__u32 count;
	} preempt;
} __attribute__((preserve_access_index));

static __always_inline bool in_interrupt(struct task_struct *current)
{
	struct thread_info___arm64 *info = (void *)&current->thread_info;
	__u32 count = 0;

	if (bpf_core_field_exists(info->preempt))
		count = BPF_CORE_READ(info, preempt.count);
	else if (bpf_ksym_exists(&__preempt_count))
		count = *(int *)bpf_this_cpu_ptr(&__preempt_count);
	else if (bpf_ksym_exists(&pcpu_hot))
		count =
		    ((struct pcpu_hot___before_6_15 *)bpf_this_cpu_ptr(&pcpu_hot))->preempt_count;
	return count & interrupt_bits;
}

/* Optional: shows which wakeups are synchronous. (task, state, wake_flags) */
SEC("?fentry/try_to_wake_up")
int wakeup_begins(__u64 *arguments)
{
	__u32 zero = 0, *flags = bpf_map_lookup_elem(&wake_flags, &zero);

	if (flags)
		*flags = arguments[2];
	return 0;
}

/* In the waker's context. */
SEC("tp_btf/sched_waking")
int task_is_woken(__u64 *arguments)
{
	struct task_struct *task = (struct task_struct *)arguments[0];
	struct task_struct *current = bpf_get_current_task_btf();
	struct memory *memory, *waker;
	__u64 now, waker_ran = 0;
	__u32 zero = 0, how = HOW_OUTSIDE, *flags;

	if (!recording)
		return 0;
	memory = bpf_task_storage_get(&memories, task, NULL, 0);
	if (!memory || memory->ended)
		return 0;
	/*
	 * A wakeup of a task that does not sleep has no effect; unless it is about to leave
	 * its CPU.
	 */
	if (!memory->asleep && task->on_rq)
		return 0;
	now = bpf_ktime_get_ns();
	if (current->pid && !in_interrupt(current)) {
		waker = bpf_task_storage_get(&memories, current, NULL, 0);
		if (waker && !waker->out) {
			how = HOW_TASK;
			flags = bpf_map_lookup_elem(&wake_flags, &zero);
			if (flags && *flags & WF_SYNC)
				how = HOW_SYNC;
			waker_ran = ran_so_far(waker, now);
			if (!announce(current, waker))
				how = HOW_OUTSIDE;
		}
	}
	if (memory->asleep) {
		memory->asleep = false;
		tell_wake(task, memory, now, how, current->pid, waker_ran);
		return 0;
	}
	memory->woken_at = now;
	memory->how = how;
	memory->waker = current->pid;
	memory->waker_ran = waker_ran;
	return 0;
}

static __always_inline void leaves(struct task_struct *task, bool preempt, __u32 state, __u64 now)
{
	struct memory *memory = bpf_task_storage_get(&memories, task, NULL, 0);
	struct recorder_event *event;

	if (!memory || memory->ended)
		return;
	if (preempt || !state)
		return;
	if (state & TASK_DEAD) {
		memory->ended = true;
		event = event_of(task, memory, RECORDER_EXIT);
		if (!event)
			return;
		event->at = now;
		event->ran = task->se.sum_exec_runtime - memory->phase_ran;
		bpf_ringbuf_submit(event, urgency());
		return;
	}
	memory->slept_at = now;
	if (memory->woken_at > memory->switched_at) {
		/* It was woken on its way out. */
		memory->woken_at = 0;
		tell_wake(task, memory, now, memory->how, memory->waker, memory->waker_ran);
		return;
	}
	memory->asleep = true;
}

static __always_inline void arrives(struct task_struct *task, __u64 now)
{
	struct memory *memory = bpf_task_storage_get(&memories, task, NULL, 0);

	if (!memory)
		return;
	if (memory->asleep) {
		memory->asleep = false;
		tell_wake(task, memory, now, HOW_UNKNOWN, 0, 0);
	}
	memory->switched_at = now;
	memory->switched_ran = task->se.sum_exec_runtime;
}

/* (bool preempt, struct task_struct *prev, struct task_struct *next, unsigned state) */
SEC("tp_btf/sched_switch")
int cpu_switches(__u64 *arguments)
{
	struct task_struct *prev = (struct task_struct *)arguments[1];
	struct task_struct *next = (struct task_struct *)arguments[2];
	__u64 now;

	if (!recording)
		return 0;
	now = bpf_ktime_get_ns();
	if (prev->pid)
		leaves(prev, arguments[0], arguments[3], now);
	if (next->pid)
		arrives(next, now);
	return 0;
}

/* (struct task_struct *parent, struct task_struct *child) */
SEC("tp_btf/sched_process_fork")
int task_forks(__u64 *arguments)
{
	struct task_struct *parent = (struct task_struct *)arguments[0];
	struct task_struct *child = (struct task_struct *)arguments[1];
	struct memory *memory, *made;
	struct recorder_event *event;
	__u64 now;

	if (!recording || !in_scope(child))
		return 0;
	now = bpf_ktime_get_ns();
	made = bpf_task_storage_get(&memories, child, NULL, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!made) {
		__sync_fetch_and_add(&lost, 1);
		return 0;
	}
	memory = bpf_task_storage_get(&memories, parent, NULL, 0);
	if (!memory)
		return 0;
	/* The child may change its identity itself, by executing a program. */
	event = event_of(parent, memory, RECORDER_FORK);
	if (!event)
		return 0;
	event->at = now;
	event->task = child->pid;
	event->waker = parent->pid;
	event->waker_ran = ran_so_far(memory, now);
	bpf_ringbuf_submit(event, urgency());
	return 0;
}

SEC("tp_btf/sched_process_exec")
int task_executes(__u64 *arguments)
{
	struct task_struct *task = (struct task_struct *)arguments[0];
	struct memory *memory;

	if (!recording)
		return 0;
	memory = bpf_task_storage_get(&memories, task, NULL, 0);
	if (memory) {
		/* Its name has changed. */
		if (memory->known)
			__sync_fetch_and_add(&announced, -1);
		memory->known = false;
	} else if (in_scope(task)) {
		memory =
		    bpf_task_storage_get(&memories, task, NULL, BPF_LOCAL_STORAGE_GET_F_CREATE);
		if (!memory)
			return 0;
		memory->switched_at = bpf_ktime_get_ns();
		memory->phase_ran = memory->switched_ran = task->se.sum_exec_runtime;
	}
	return 0;
}

/* ---- start and end ---- */

SEC("iter/task")
int recording_begins(struct bpf_iter__task *context)
{
	struct task_struct *task = context->task;
	struct memory *memory;
	__u64 now;

	if (!task || !in_scope(task))
		return 0;
	now = bpf_ktime_get_ns();
	memory = bpf_task_storage_get(&memories, task, NULL, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!memory) {
		__sync_fetch_and_add(&lost, 1);
		return 0;
	}
	memory->switched_at = task->on_cpu ? now : 0;
	memory->phase_ran = memory->switched_ran = task->se.sum_exec_runtime;
	memory->slept_at = now;
	memory->asleep = !task->on_cpu && task->__state && !(task->__state & TASK_NEW) &&
			 (!task->on_rq || task->se.sched_delayed);
	return 0;
}

SEC("iter/task")
int recording_ends(struct bpf_iter__task *context)
{
	struct task_struct *task = context->task;
	struct recorder_event *event;
	struct memory *memory;
	__u64 now, ran;

	if (!task)
		return 0;
	memory = bpf_task_storage_get(&memories, task, NULL, 0);
	if (!memory || memory->ended)
		return 0;
	now = bpf_ktime_get_ns();
	ran =
	    task->on_cpu ? ran_so_far(memory, now) : task->se.sum_exec_runtime - memory->phase_ran;
	/* A task that never did anything is not reported. */
	if (!ran && !memory->known)
		return 0;
	event = event_of(task, memory, memory->asleep ? RECORDER_SLEEPS : RECORDER_RUNS);
	if (!event)
		return 0;
	event->at = now;
	event->ran = ran;
	if (memory->asleep)
		event->slept = now - memory->slept_at;
	bpf_ringbuf_submit(event, urgency());
	return 0;
}
