// SPDX-License-Identifier: GPL-2.0-only
/*
 * What every probe begins with: whose tasks are looked at. Compiled by BCC, which gives macros and
 * the `args` of tracepoints; nothing of the kernel's own headers is needed, which halves the time.
 *
 * WHOSE is one of the three below; CGROUP, and NAME_LOW and NAME_HIGH (the sixteen bytes of a
 * process' name) are given with it.
 */

#define EVERYBODY 0
#define THE_CGROUP 1
#define THE_NAME 2

#define RUNNABLE(state) ((state) == 0 || ((state) & 0x100)) /* TASK_REPORT_MAX: preempted */

struct name {
	char text[16];
};

struct sum {
	u64 count;
	u64 total_ns;
	u64 max_ns;
	u64 more;
};

/* Threads that are looked at; those there are already are filled in from outside. */
BPF_HASH(watched, u32, u8, 32768);
BPF_ARRAY(lost, u64, 1);

static __always_inline void lose(void)
{
	lost.increment(0);
}

static __always_inline int ours(u32 thread)
{
	return WHOSE == EVERYBODY ? thread != 0 : watched.lookup(&thread) != 0;
}

static __always_inline int current_ours(void)
{
	if (WHOSE == THE_CGROUP)
		return bpf_get_current_cgroup_id() == CGROUP;
	return ours((u32)bpf_get_current_pid_tgid());
}

/* Called with the task that leaves the CPU, which is still the current one. */
static __always_inline void follow(u32 thread)
{
	u8 yes = 1;

	if (WHOSE != THE_CGROUP || !thread)
		return;
	if (bpf_get_current_cgroup_id() == CGROUP)
		watched.update(&thread, &yes);
	else
		watched.delete(&thread);
}

static __always_inline void add(struct sum *sum, u64 ns)
{
	__sync_fetch_and_add(&sum->count, 1);
	__sync_fetch_and_add(&sum->total_ns, ns);
	if (ns > sum->max_ns)
		sum->max_ns = ns;
}

#if WHOSE != EVERYBODY
TRACEPOINT_PROBE(sched, sched_process_fork)
{
	u32 parent = args->parent_pid, child = args->child_pid;
	u8 yes = 1;

	if (watched.lookup(&parent))
		watched.update(&child, &yes);
	return 0;
}

TRACEPOINT_PROBE(sched, sched_process_exit)
{
	u32 thread = (u32)bpf_get_current_pid_tgid();

	watched.delete(&thread);
	return 0;
}
#endif

#if WHOSE == THE_NAME
/* A process is called by what it executes. */
TRACEPOINT_PROBE(sched, sched_process_exec)
{
	u32 thread = (u32)bpf_get_current_pid_tgid();
	u64 name[2] = {};
	u8 yes = 1;

	bpf_get_current_comm(&name, sizeof(name));
	if (name[0] == NAME_LOW && name[1] == NAME_HIGH)
		watched.update(&thread, &yes);
	else
		watched.delete(&thread);
	return 0;
}
#endif
