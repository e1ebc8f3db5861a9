// SPDX-License-Identifier: GPL-2.0-only
/*
 * The beginning of every probe: whose tasks are observed. Compiled by BCC.
 *
 * Raw tracepoints only: unlike others they need no perf event, which Debian's kernels refuse
 * without CAP_SYS_ADMIN; and a task is identified by its address, so that no kernel
 * structures are needed, whose headers take long to compile. The price: a task is known only
 * after it first leaves a CPU.
 *
 * WHOSE is one of the four below; CGROUP, and NAME_LOW and NAME_HIGH (the sixteen bytes of a
 * process' name) are given with it.
 */

#define EVERYBODY     0
#define THE_CGROUP    1
#define THE_NAME      2
#define THE_PROCESSES 3

/*
 * Indexes into the kernel's saved registers, in words: the instruction, and the first three
 * arguments of a system call. As numbers, because the headers that name them include all
 * others, and do not compile with every pair of a kernel and a BCC.
 */
#if defined(__aarch64__)
#define INSTRUCTION 32 /* struct user_pt_regs: regs[31], sp, pc */
#define FIRST	    0
#define SECOND	    1
#define THIRD	    2
#else
#define INSTRUCTION 16 /* struct pt_regs of x86-64 */
#define FIRST	    14
#define SECOND	    13
#define THIRD	    12
#endif

struct name {
	char text[16];
};

struct task {
	struct name name;
	u64 ours;
};

struct sum {
	u64 count;
	u64 total_ns;
	u64 max_ns;
	u64 more;
};

/* Processes that are observed by their ids; existing ones are filled in from outside. */
BPF_HASH(processes, u32, u8, 32768);
BPF_TABLE("lru_hash", u64, struct task, tasks, 32768);
BPF_ARRAY(lost, u64, 1);

static __always_inline void lose(void)
{
	lost.increment(0);
}

static __always_inline int current_ours(void)
{
	u32 process = bpf_get_current_pid_tgid() >> 32;

	if (WHOSE == EVERYBODY)
		return process != 0;
	if (WHOSE == THE_CGROUP)
		return bpf_get_current_cgroup_id() == CGROUP;
	return processes.lookup(&process) != 0;
}

/* A task's name, NULL if it was not seen yet. */
static __always_inline struct task *seen(u64 task)
{
	return tasks.lookup(&task);
}

static __always_inline int ours(u64 task)
{
	struct task *found = seen(task);

	return found && found->ours;
}

/* Called with the task that leaves the CPU, which is still the current one. */
static __always_inline int follow(u64 task)
{
	u64 both = bpf_get_current_pid_tgid(), *halves;
	struct task found = {};
	u32 process = both >> 32;
	u8 yes = 1;

	bpf_get_current_comm(&found.name, sizeof(found.name));
	/* A process has the name of its first thread. */
	if (WHOSE == THE_NAME && process == (u32)both) {
		halves = (u64 *)&found.name;
		if (halves[0] == NAME_LOW && halves[1] == NAME_HIGH)
			processes.update(&process, &yes);
		else
			processes.delete(&process);
	}
	found.ours = current_ours();
	tasks.update(&task, &found);
	return found.ours;
}

static __always_inline void add(struct sum *sum, u64 ns)
{
	__sync_fetch_and_add(&sum->count, 1);
	__sync_fetch_and_add(&sum->total_ns, ns);
	if (ns > sum->max_ns)
		sum->max_ns = ns;
}
