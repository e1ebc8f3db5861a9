/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Declarations shared by the parts of the engine. Some files are compiled with the kernel's
 * types (kernel.h), others with libc's headers; the two cannot meet in one file, so this
 * header needs neither.
 *
 *   machine.c	events, CPUs, what tasks do, wakeups, switches
 *   ext.c	sched_ext: the candidate's callbacks, and what the kernel does around them
 *   dsq.c	dispatch queues
 *   waits.c	what the engine sees of a wait
 *   fair.c	the kernel's own scheduler, as a model; pelt.c: its averages of load;
 *		groups.c, quota.c: its cgroups
 *   cgroup.c	the tree of cgroups
 *   timer.c	timers and work queues of the candidate
 *   kfuncs.c, cid.c, idle.c, cpumask.c, helpers.c, maps.c, objects.c	what the candidate may call
 *   object.c, scenario.c, report.c, trace.c, main.c	input and output
 */
#ifndef SIMULATOR_ENGINE_H
#define SIMULATOR_ENGINE_H

#ifndef __VMLINUX_H__
#include <stdbool.h>
typedef unsigned char u8;
typedef unsigned int u32;
typedef int s32;
typedef unsigned long long u64;
typedef long long s64;
#endif

#define MAX_CPUS      512
#define MASK_WORDS    (MAX_CPUS / 64)
#define MAX_MAPS      64
#define MAX_TASKS     200000
#define MAX_CGROUPS   4096
#define MAX_QUANTILES 1001
#define MAX_LOCKS     4096
#define MAX_LATENESS  1000000000ULL
#define NEVER	      (~0ULL)

/* ---- the scenario ---- */

enum step_kind {
	STEP_RUN,
	STEP_SLEEP,
	STEP_WAIT,
	STEP_WAKE,
	STEP_FORK,
	STEP_AFFINE,
	STEP_RENICE,
	STEP_ENTER,
	STEP_YIELD,
	STEP_LEAVE,
	STEP_LOCK,
	STEP_UNLOCK,
	STEP_REPEAT
};

struct step {
	enum step_kind kind;
	u64 value;  /* ns, number of a task, cgroup or lock, nice + 20, or how often */
	u64 spread; /* ns to either side; whether a wakeup is synchronous; lock_flags */
	u32 of;	    /* for a change: 1 + the number of the changed task; 0: its own */
	u64 cpus[MASK_WORDS];
};

/*
 * Of a STEP_LOCK: wait for it on the CPU; there is one for each CPU, and the task takes its
 * own CPU's.
 */
enum lock_flags { LOCK_SPINS = 1, LOCK_OF_CPU = 2 };

/*
 * The meaning of the end of a task's steps: it exits; or the recording ended while it slept,
 * or while it had more to do.
 */
enum ending { ENDS_BY_EXIT, ENDS_ASLEEP, ENDS_BUSY };

/* SCHED_* of the kernel. */
enum policy { POLICY_NORMAL = 0, POLICY_BATCH = 3, POLICY_IDLE = 5 };

/* One line `task`: this many tasks that do the same. */
struct task_plan {
	u32 group;
	char comm[16];
	s32 nice;
	enum policy policy;
	u32 uid;
	u64 cpus[MASK_WORDS];
	u64 start_ns;	 /* NEVER: only when another task forks it */
	u64 expected_ns; /* 0: no expectation */
	u64 selected;	 /* its value in the map `selected`, which userspace fills */
	bool kthread;
	u32 cgroup;
	enum ending ending;
	void *cred; /* the kernel's, made with the first task */
	u32 count;
	u32 nr_steps;
	struct step *steps;
	struct task **tasks; /* those from the start, `count` of them */
};

struct cpu_change {
	u64 at_ns;
	s32 cpu;
	bool online;
};

/* cpu.max and cpu.max.burst. */
struct bandwidth {
	u64 quota_ns, period_ns, burst_ns; /* quota NEVER: none */
};

struct cgroup_plan {
	u32 parent; /* number of an earlier one; the first is the root, its own parent */
	char name[64];
	u32 weight; /* cpu.weight: 100 is usual */
	bool idle;  /* cpu.idle */
	struct bandwidth bandwidth;
	u64 from_ns, until_ns;
	/* figures: CPU time of the tasks in it, without those of cgroups below */
	u64 run_ns;
	/* and as in cpu.stat: throttled time, summed over CPUs; periods, and those with such */
	u64 throttled_ns, periods, throttled_periods;
};

enum cgroup_setting { SET_WEIGHT, SET_IDLE, SET_BANDWIDTH };

/* One of a cgroup's files is written. */
struct cgroup_change {
	u64 at_ns;
	u32 cgroup;
	enum cgroup_setting setting;
	u32 weight;
	bool idle;
	struct bandwidth bandwidth;
};

enum fate { FATE_UNKNOWN, FATE_TAKEN, FATE_LEFT };
enum standing { NOWHERE, IN_LOCAL, IN_GLOBAL, IN_CREATED };

/*
 * The facts about a wait, at its end or while it goes on. `queue` is a CPU's number or a
 * queue's; `passed`, how many left that queue before this task, the last `taken_ns` ago;
 * `fate`, whether this task is taken when all others are out of the way. Sets of CPUs: those
 * that may run it, online or `offline`; which of the online ones called dispatch() since it
 * stands there, which looked into its queue since then or ever, and which idled or ran one
 * task for at least half of the wait; the `holder` is the task that ran longest. Its slice
 * was `extended` by dispatch(), or is `endless`.
 */
struct wait {
	bool seen, ended, extended, endless;
	enum standing place;
	enum fate fate;
	struct task *of; /* still waiting */
	u64 ns, queue, passed, taken_ns, held_ns;
	char task[40], holder[40];
	u64 offline[MASK_WORDS];
	u64 allowed[MASK_WORDS], asked[MASK_WORDS], looked[MASK_WORDS], ever[MASK_WORDS],
	    idle[MASK_WORDS], held[MASK_WORDS];
};

/* Durations; every value is kept. */
struct lengths {
	u64 nr, room;
	u64 *ns;
};

struct group {
	char name[64];
	struct wait longest;
	u64 tasks, finished, cycles, run_ns, switches, migrations;
	u64 spun_ns; /* CPU time spent waiting for locks */
	u64 first_start_ns, last_end_ns, completion_ns;
	u64 longest_wait_ns;
	/* Jain's index: run time by weight, summed plainly and squared. */
	double share_sum, share_squares;
	struct lengths delays;
	u64 still_waiting; /* how many */
	/*
	 * Activations, from a wakeup to the next sleep or the end: their durations, where
	 * unfinished ones (`open`) count with their time so far; and for finished ones the
	 * CPU time, and the sums of the first wait and of the waits after preemptions.
	 */
	struct lengths responses, bursts;
	u64 open, waited_ns, preempted_ns;
	/* Tasks that end, from their start; `open_jobs` have not ended. */
	struct lengths turnarounds;
	u64 open_jobs;
};

/* A lock that tasks share; those that sleep for it are woken in order of arrival. */
struct lock {
	struct task *holder, *first, *last;
};

struct scenario {
	s32 cpus, llc_cpus, core_cpus, node_cpus;
	u64 duration_ns, seed, tick_ns, switch_ns, wake_ns;
	u64 *late_ns; /* quantiles of timer lateness, rising */
	u32 nr_late;
	u64 fork_ns; /* CPU time for starting a task */
	u32 nr_groups, nr_plans, nr_changes, nr_cgroups, nr_cgroup_changes, nr_locks;
	struct lock *locks; /* for each number one for each CPU */
	struct group *groups;
	struct task_plan *plans;
	struct cpu_change *changes;
	struct cgroup_plan *cgroups;
	struct cgroup_change *cgroup_changes;
};

/* ---- state ---- */

enum task_state { ASLEEP, RUNNABLE, RUNNING, DEAD };

struct dsq_node {
	struct dsq_node *next, *prev;
	struct task *task; /* NULL: head of the list, or an iterator's place in it */
};

enum ownership { OWNER_NONE, OWNER_SCHEDULER };

/* A weight averaged over the recent past, up to a time; see pelt.c. */
struct load {
	u64 parts, until;
};

struct task {
	struct task_plan *plan;
	struct group *group;
	u32 number; /* among all tasks; the pid is made from it */
	u32 copy;   /* among those of its plan */
	s32 cpu;
	enum task_state state;
	bool exiting, initialised, enabled;
	/* exits: its pid no longer leads to it, though it may still run and sleep */
	bool leaves;
	u64 forks_since; /* is charged for the task that it starts next; 0: is not */
	s32 nice;
	u32 refs; /* the candidate's; a dead one is freed with the last reference */
	u32 cgroup;

	/* the program */
	u32 at;
	u64 left_ns, repeated, random, cycles;
	u32 pending; /* wakeups that came before the wait */
	bool waiting;

	/* for waits.c: how many had left its queue when it came, and how it left the last one */
	u64 ahead, stood_in, passed;

	struct lock *wants;  /* NULL: none */
	bool spins;	     /* for that activation */
	struct task *behind; /* the next that sleeps for the same lock */

	/* figures */
	u64 created_at, woke_at, waits_since, ran_from, run_ns;
	/* the activation: its start (NEVER: none), CPU time before it, and its waits so far */
	u64 active_since, ran_before, waited_ns, preempted_ns;

	/* sched_ext */
	struct dsq *dsq;
	struct dsq_node node;
	struct task *left, *right; /* in the tree of a queue by vtime */
	u64 place, order;	   /* the key there, from the time of insertion */
	u32 heap;		   /* random priority there */
	enum ownership owner;
	u64 turn; /* of the ownership: older insertions are void */
	u64 direct_dsq, direct_flags, direct_slice, direct_vtime;
	bool by_vtime;
	bool custody;	/* the scheduler has it, itself or in one of its queues */
	bool immed;	/* SCX_ENQ_IMMED: runs at once or is returned */
	u32 reenqueued; /* times since it last ran */
	u64 runnable_at;
	void **storage; /* for each task storage map */

	/* the kernel's own scheduler */
	u64 weight;	 /* 1024 at nice 0 */
	u64 flat_weight; /* among all of its CPU, through its groups; fine */
	s64 vruntime, deadline, lag;
	s64 protected_until;
	bool placed;
	bool delayed; /* sleeps, but competes until its excess is made up for */
	bool competes;
	struct load load;
	struct sim_cpu *loads; /* the CPU whose load includes it; NULL: none yet */
	struct task *next, *prev;
	/* it competes in its groups on that CPU; NULL: it does not */
	struct sim_cpu *grouped_on;
	bool grouped_runnable, in_idle_group;
	bool throttled; /* waits for its groups' next period, in that CPU's list of those */
};

/* The kernel's struct task_struct follows directly in memory. */
#define TASK_ROOM ((sizeof(struct task) + 63) & ~63UL)

struct dsq {
	u64 id;
	s32 cpu; /* of a local queue, else -1 */
	u32 nr, nr_by_vtime;
	u64 order;
	u64 taken, taken_at; /* how many left it to run, and when the last one did */
	u64 *looked;	     /* 1 + when each CPU last looked into it; NULL: none ever did */
	struct dsq_node head;
	struct task *root;
	struct dsq *next;
};

struct sim_cpu {
	s32 id;
	bool online, idle_bit, need_resched, resched_sent, kick_preempt;
	bool idle_core; /* it and all of its core */
	bool kick_idle, kick_any, keep;
	bool reenqueue; /* look at the local queue again, with these flags */
	u64 reenqueue_flags;
	bool blocks;	   /* its task gives up the CPU itself */
	struct task *curr; /* NULL: idle */
	u64 event;	   /* number of the valid event */
	u64 accounted_at;  /* accounted to its task up to here */
	u64 charges_from;  /* its class accounts for time from here on */
	u64 works_from;	   /* when the switch is over */
	u64 next_tick;
	u64 timer_at; /* of the class; 0: not set */
	u64 run_ns, switches;
	struct dsq local;
	u32 cursor; /* idle CPUs are handed out in turn */
	void *idle_task, *rq;
	/* the kernel's own scheduler */
	struct task *queue;
	u64 weight, nr, nr_delayed; /* of those in the queue; fine */
	struct task *throttled;	    /* those that wait for their groups' next periods */
	u64 nr_in_idle_groups;	    /* of those that compete */
	struct load load;	    /* of all that compete or did */
	s64 min_vruntime;
	u64 balanced_at, balance_ns;
	u32 unbalanced; /* how often nothing was light enough to move */
	/* for waits.c: the task that runs without a break, and since when; NULL: it idles */
	struct task *turn_of;
	const char *turn_comm;
	s32 turn_pid;
	bool extended;		      /* dispatch() gave it a new slice */
	u64 turn_from, dispatched_at; /* 1 + the time; 0: never */
	/* for trace.c: the turn that is not written yet */
	struct task *traced;
	const char *traced_name;
	u64 traced_from, traced_thread;
	u32 traced_process;
};

enum exit_kind {
	ENDED = 0,
	EXIT_BY_BPF = 65,
	EXIT_BY_KERNEL = 66,
	EXIT_ERROR = 1024,
	EXIT_ERROR_BPF = 1025,
	EXIT_STALL = 1026,
	EXIT_REENQUEUED = 1027,
	/* ours: something that the verifier would refuse, or that cannot run here */
	EXIT_CRASH = 1,
	EXIT_NOT_MODELLED = 2,
	EXIT_BAD_PARAMETER = 3,
};

enum sim_context {
	IN_NOTHING = 0,
	IN_SELECT_CPU = 1,
	IN_ENQUEUE = 2,
	IN_DISPATCH = 4,
	IN_UNLOCKED = 8,
	IN_OTHER = 16,
};

/* A scheduling class: the candidate under sched_ext, or the kernel's own. */
struct sim_class {
	bool (*start)(void);
	bool (*welcome)(struct task *t, bool fork);
	void (*enable)(struct task *t);
	void (*farewell)(struct task *t);
	/* Choose a CPU for a waking task, then put it there; also for a fork. */
	s32 (*select_cpu)(struct task *t, u64 wake_flags);
	void (*enqueue)(struct task *t, u64 flags, bool runnable);
	void (*dequeue)(struct task *t, bool sleeps);
	/* It wakes on another CPU than the one where it fell asleep. */
	void (*before_move)(struct task *t);
	/* Account for the current task's run time; ns. */
	void (*account)(struct sim_cpu *cpu, u64 ran);
	struct task *(*pick)(struct sim_cpu *cpu, struct task *prev);
	void (*put)(struct sim_cpu *cpu, struct task *prev, struct task *next);
	void (*set)(struct sim_cpu *cpu, struct task *next);
	void (*idle)(struct sim_cpu *cpu, bool idle, bool notify);
	void (*tick)(struct sim_cpu *cpu);
	/* The class's timer_at is reached; only while a task runs there. */
	void (*timer)(struct sim_cpu *cpu);
	void (*affinity)(struct task *t);
	/* Around a change of a property, and the callbacks between. */
	void (*before_change)(struct task *t);
	void (*after_change)(struct task *t);
	void (*reweight)(struct task *t);
	void (*yield)(struct sim_cpu *cpu);
	void (*hotplug)(struct sim_cpu *cpu, bool online);
	/* A file of a cgroup that exists is about to get that value. */
	void (*change_cgroup)(const struct cgroup_change *change);
	/* Work that was postponed until no callback runs. */
	void (*settle)(void);
	/* The longest that a task may wait before the watchdog acts, ns; 0: there is none. */
	u64 (*watchdog_ns)(void);
	void (*check)(void);
	void (*finish)(void);
};
extern const struct sim_class ext_class, fair_class;

struct simulation {
	struct scenario want;
	const struct sim_class *class;
	u64 now, events;
	struct sim_cpu cpus[MAX_CPUS];
	struct sim_cpu *this_cpu;
	u32 nr_tasks, nr_alive, nr_refused;
	struct task **tasks;

	/* the candidate */
	void *ops;
	bool cids;	/* its CPUs are numbered along the topology; here that is the same */
	const char *in; /* its running callback, as in `ops.enqueue()`, or NULL */
	u64 entered;	/* counts calls, to detect one that does not end */
	enum sim_context context;

	/* how it ended */
	bool over;
	u32 exit_kind;
	s64 exit_code;
	u64 ended_at;
	char message[1024];
	struct wait stalled; /* of the task that the watchdog found */
	char dump[8192];     /* the candidate's dump at the end */
	u64 dump_length;

	u64 random, lateness, ringbuf_bytes, idle_ns;
	u64 exiting_not_found; /* tasks by pid, if the candidate asked for exiting tasks */
	u64 trace_cut_ns;      /* NEVER: it is complete */
};
extern struct simulation sim;

/*
 * The machine's uptime at the start. Schedulers take 0 for "never", and no real machine's
 * clock is 0.
 */
#define UPTIME_NS 100000000000ULL

/* The kernel's clocks. */
static inline u64 clock_now(void)
{
	return UPTIME_NS + sim.now;
}

/* ---- main.c: libc for files that cannot have its headers ---- */
void *room(u64 bytes); /* zeroed; ends the process if there is no memory */
/* The same, and no other memory shares a cache line with it if the engine counts those. */
void *room_of_lines(u64 bytes);
void *more_room(void *old, u64 bytes);
void free_room(void *old);
/* Zeroed memory from the system, and its return. */
void *pages_of_memory(u32 pages);
void give_back_pages(void *at, u32 pages);
void text_into(char *to, u64 size, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* That many bytes computed by a copy of this process, which then ends; NULL: it failed. */
u8 *answers_of_another(void (*work)(u8 *answers), u64 size);
/* The first end counts. */
void end_by(u32 kind, s64 code, const char *format, ...) __attribute__((format(printf, 3, 4)));
u64 next_random(u64 *state);
/* The place in the candidate's code, which run.py turns into a line; empty if it is ours. */
void place_of_code(char *to, u64 size, u64 address);

/* ---- machine.c ---- */
void run_simulation(void);
void settle_figures(void);
void resched(struct sim_cpu *cpu);
/* Bring the figures of a CPU's task up to now. */
void account(struct sim_cpu *cpu);
/* Recompute when something happens there next: its task's work ends, the tick, the timer. */
void arm(struct sim_cpu *cpu);
/* The task that runs there stops for good, and the next is chosen. */
void let_go(struct sim_cpu *cpu);
/* By an interrupt, even on this CPU. */
void send_resched(struct sim_cpu *cpu);
/* timer.c is called at that time. */
void wake_deferred(u64 at, void *object, u64 stamp);
/* quota.c is called at that time. */
void wake_quota(u64 at, u32 cgroup, bool slack);
void quota_timer(u32 cgroup, bool slack);
void settle_quotas(void);
void move_to_cpu(struct task *t, s32 cpu);
bool allowed_on(const struct task *t, s32 cpu);
void retire(struct task *t);
s32 fallback_cpu(const struct task *t);

/* ---- object.c ---- */
/*
 * `words` has pairs, among them `--set` and the values that userspace sets before the start:
 * NAME=VALUE, NAME[INDEX]=VALUE or MAP.max_entries=VALUE.
 */
void load_candidate(const char *library, const char *object, char **words);
void *candidate_symbol(const char *name);

/* ---- maps.c ---- */
struct map_spec {
	u32 type, key_size, value_size, max_entries;
};
void make_map(void *symbol, const char *name, const struct map_spec *spec);
/* A map of maps, whose inner maps are like the given one. */
void make_outer_map(void *symbol, const char *name, const struct map_spec *spec,
		    const struct map_spec *inner);
void fill_outer_map(void *symbol, u32 index, void *inner);
void *map_named(const char *name);
void drop_storage(struct task *t);
u32 task_storages(void);
/* A map that is read and that nothing here ever fills; NULL: there is none. */
const char *map_of_userspace(void);

/* ---- dsq.c ---- */
void dsq_init(struct dsq *dsq, u64 id, s32 cpu);
struct dsq *dsq_find(u64 id);
s32 dsq_create(u64 id);
s32 dsq_destroy(u64 id);
void dsq_add(struct dsq *dsq, struct task *t, bool head, bool by_vtime);
void dsq_remove(struct task *t);
struct task *dsq_first(struct dsq *dsq);

/* ---- waits.c ---- */
void saw_look(struct dsq *dsq);
void saw_enter(struct dsq *dsq, struct task *t);
void saw_leave(struct dsq *dsq, struct task *t);
/* Another task runs there from now on; NULL: none. */
void saw_turn(struct sim_cpu *cpu, struct task *next);
void saw_dispatch(struct sim_cpu *cpu);
void see_wait(struct wait *w, struct task *t);
/* A wait ends on this CPU, whose previous task still has its turn. */
void see_end(struct wait *w, const struct task *t, const struct sim_cpu *cpu);
/* Determine the fate of tasks that still wait. This changes no figure. */
void ask_for_the_rest(void);

/* ---- scenario.c, report.c ---- */
void read_scenario(void);

/* ---- cgroup.c ---- */
void make_cgroups(void);
bool cgroup_is_there(u32 number);
/* False: it is not empty yet. */
bool remove_cgroup(u32 number);
void add_cgroup(u32 number);
void change_cgroup(const struct cgroup_change *change);

/* ---- trace.c: a timeline for ui.perfetto.dev ---- */
bool trace_to(const char *path);
void trace_switch(struct sim_cpu *cpu, const struct task *t);
void trace_wakeup(const struct task *t);
void trace_birth(const struct task *t);
void trace_end(void);
extern bool tracing;

void write_report(const char *scheduler);
/* The settable variables, for an error message. */
void note_variable(const char *name);

#endif /* SIMULATOR_ENGINE_H */
