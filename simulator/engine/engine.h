/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the parts of the engine share. Some are compiled with the kernel's types (kernel.h),
 * others with libc's headers; the two cannot meet in one file, so this one needs neither.
 *
 *   machine.c	events, CPUs, what tasks do, wakeups, switches
 *   ext.c	sched_ext: the candidate's callbacks, and what the kernel does around them
 *   dsq.c	dispatch queues
 *   waits.c	what the engine sees of a wait
 *   fair.c	the kernel's own scheduler, as a model; pelt.c: its averages of load
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

#define MAX_CPUS      256
#define MASK_WORDS    (MAX_CPUS / 64)
#define MAX_MAPS      64
#define MAX_TASKS     200000
#define MAX_CGROUPS   4096
#define MAX_QUANTILES 1001
#define MAX_LOCKS     4096
#define MAX_LATENESS  1000000000ULL
#define NEVER	      (~0ULL)

/* ---- what is asked for ---- */

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
	u32 of;	    /* of a change: the number of the task whose it is, and 1; 0: its own */
	u64 cpus[MASK_WORDS];
};

/* Of a STEP_LOCK: wait for it on the CPU; there is one for each CPU, and it takes its own. */
enum lock_flags { LOCK_SPINS = 1, LOCK_OF_CPU = 2 };

/*
 * What the end of a task's steps is: it exits; or no more is known of it (the recording was over)
 * while it slept, or while it had more to do.
 */
enum ending { ENDS_BY_EXIT, ENDS_ASLEEP, ENDS_BUSY };

/* SCHED_* of the kernel. */
enum policy { POLICY_NORMAL = 0, POLICY_BATCH = 3, POLICY_IDLE = 5 };

/* One line `task`: so many tasks that do the same. */
struct task_plan {
	u32 group;
	char comm[16];
	s32 nice;
	enum policy policy;
	u32 uid;
	u64 cpus[MASK_WORDS];
	u64 start_ns;	 /* NEVER: only when forked */
	u64 expected_ns; /* 0: no expectation */
	u64 selected;	 /* what userspace says of it: its value in the map `selected` */
	bool kthread;
	u32 cgroup;
	enum ending ending;
	void *cred; /* the kernel's, made with the first task */
	u32 count;
	u32 nr_steps;
	struct step *steps;
	struct task **tasks; /* those of the start, `count` of them */
};

struct cpu_change {
	u64 at_ns;
	s32 cpu;
	bool online;
};

struct cgroup_plan {
	u32 parent; /* of an earlier one; the first is the root, and its own */
	char name[64];
	u32 weight; /* cpu.weight: 100 is usual */
	u64 from_ns, until_ns;
};

struct weight_change {
	u64 at_ns;
	u32 cgroup, weight;
};

enum fate { FATE_UNKNOWN, FATE_TAKEN, FATE_LEFT };
enum standing { NOWHERE, IN_LOCAL, IN_GLOBAL, IN_CREATED };

/*
 * What was seen of a wait, at its end or while it goes on. `queue` is a CPU's number or a queue's;
 * `passed`, how many left that queue before this task, the last `taken_ns` ago; `fate`, whether
 * this one is taken when all others are out of the way. CPUs: which may run it, and are there or
 * `offline`; which of the first called dispatch() since it stands there, which looked into its
 * queue since then or ever, and for half of the wait at least idled or ran one task; the `holder`
 * is the one that did so longest. Its slice was `extended` by dispatch(), or is `endless`.
 */
struct wait {
	bool seen, ended, extended, endless;
	enum standing place;
	enum fate fate;
	struct task *of; /* who still waits */
	u64 ns, queue, passed, taken_ns, held_ns;
	char task[40], holder[40];
	u64 offline[MASK_WORDS];
	u64 allowed[MASK_WORDS], asked[MASK_WORDS], looked[MASK_WORDS], ever[MASK_WORDS],
	    idle[MASK_WORDS], held[MASK_WORDS];
};

/* Lengths of time, every one of them. */
struct lengths {
	u64 nr, room;
	u64 *ns;
};

struct group {
	char name[64];
	struct wait longest;
	u64 tasks, finished, cycles, run_ns, switches, migrations;
	u64 spun_ns; /* CPU time spent on waiting for locks */
	u64 first_start_ns, last_end_ns, completion_ns;
	u64 longest_wait_ns;
	/* Jain's index: run time by weight, summed plainly and squared. */
	double share_sum, share_squares;
	struct lengths delays;
	u64 still_waiting; /* of those */
	/*
	 * Activations, from a wakeup to the next sleep or the end: how long they took, those that
	 * have not ended with what they have had so far (`open` so many), and of those that have
	 * ended the CPU time, and the sums of what they waited at first and after a preemption.
	 */
	struct lengths responses, bursts;
	u64 open, waited_ns, preempted_ns;
	/* Tasks that come to an end, from their start; `open_jobs` have not ended. */
	struct lengths turnarounds;
	u64 open_jobs;
};

/* A lock that tasks share; who sleeps for it is woken in the order they came. */
struct lock {
	struct task *holder, *first, *last;
};

struct scenario {
	s32 cpus, llc_cpus, core_cpus, node_cpus;
	u64 duration_ns, seed, tick_ns, switch_ns, wake_ns;
	u64 *late_ns; /* quantiles of how late timers come, rising */
	u32 nr_late;
	u64 fork_ns; /* CPU time that it takes to start a task */
	u32 nr_groups, nr_plans, nr_changes, nr_cgroups, nr_weights, nr_locks;
	struct lock *locks; /* of each number one for each CPU */
	struct group *groups;
	struct task_plan *plans;
	struct cpu_change *changes;
	struct cgroup_plan *cgroups;
	struct weight_change *weights;
};

/* ---- what there is ---- */

enum task_state { ASLEEP, RUNNABLE, RUNNING, DEAD };

struct dsq_node {
	struct dsq_node *next, *prev;
	struct task *task; /* NULL: head of the list, or an iterator's place in it */
};

enum ownership { OWNER_NONE, OWNER_SCHEDULER };

/* A weight averaged over the last moments, in parts of it, up to a time; see pelt.c. */
struct load {
	u64 parts, until;
};

struct task {
	struct task_plan *plan;
	struct group *group;
	u32 number; /* of all tasks; the pid is made of it */
	u32 copy;   /* of those in its plan */
	s32 cpu;
	enum task_state state;
	bool exiting, initialised, enabled;
	bool leaves;	 /* exits: its pid leads to it no more, though it may still run and sleep */
	u64 forks_since; /* pays for the task that it starts next; 0: does not */
	s32 nice;
	u32 refs; /* the candidate's; one that is dead goes with the last */
	u32 cgroup;

	/* the program */
	u32 at;
	u64 left_ns, repeated, random, cycles;
	u32 pending; /* wakeups that came before the wait */
	bool waiting;

	/* for waits.c: how many had left its queue when it came, and how it left the last one */
	u64 ahead, stood_in, passed;

	struct lock *wants;  /* NULL: none */
	bool spins;	     /* for that one */
	struct task *behind; /* sleeps for the same lock */

	/* figures */
	u64 created_at, woke_at, waits_since, ran_from, run_ns;
	/* the activation: since when (NEVER: none), CPU time before it, and its waits so far */
	u64 active_since, ran_before, waited_ns, preempted_ns;

	/* sched_ext */
	struct dsq *dsq;
	struct dsq_node node;
	struct task *left, *right; /* in the tree of a queue by vtime */
	u64 place, order;	   /* the key there, as it was when the task was inserted */
	u32 heap;		   /* random priority there */
	enum ownership owner;
	u64 turn; /* of the ownership: insertions of an older one are void */
	u64 direct_dsq, direct_flags, direct_slice, direct_vtime;
	bool by_vtime;
	bool custody; /* the scheduler has it, by itself or in one of its queues */
	bool immed;   /* SCX_ENQ_IMMED: runs at once or goes back */
	u64 runnable_at;
	void **storage; /* for each map of such */

	/* the kernel's own scheduler */
	u64 weight; /* 1024 at nice 0 */
	s64 vruntime, deadline, lag;
	s64 protected_until;
	bool placed;
	bool delayed; /* sleeps, but competes until what it had too much is made up for */
	bool competes;
	struct load load;
	struct sim_cpu *loads; /* in whose load it is; NULL: in none yet */
	struct task *next, *prev;
};

/* The kernel's struct task_struct lies right behind. */
#define TASK_ROOM ((sizeof(struct task) + 63) & ~63UL)

struct dsq {
	u64 id;
	s32 cpu; /* of a local queue, else -1 */
	u32 nr, nr_by_vtime;
	u64 order;
	u64 taken, taken_at; /* so many left it to run, the last one then */
	u64 *looked;	     /* when each CPU last looked into it, and 1; NULL: none ever did */
	struct dsq_node head;
	struct task *root;
	struct dsq *next;
};

struct sim_cpu {
	s32 id;
	bool online, idle_bit, need_resched, resched_sent, kick_preempt;
	bool idle_core; /* it and all of its core */
	bool kick_idle, kick_any, keep;
	bool reenqueue; /* the local queue, as these flags say */
	u64 reenqueue_flags;
	bool blocks;	   /* its task gives up the CPU by itself */
	struct task *curr; /* NULL: idle */
	u64 event;	   /* number of the one that is valid */
	u64 accounted_at;  /* up to here is in its task's figures */
	u64 charges_from;  /* of its time the class hears from here on */
	u64 works_from;	   /* the switch is over */
	u64 next_tick;
	u64 timer_at; /* of the class; 0: not set */
	u64 run_ns, switches;
	struct dsq local;
	u32 cursor; /* idle CPUs are handed out in turn */
	void *idle_task, *rq;
	/* the kernel's own scheduler */
	struct task *queue;
	u64 weight, nr, nr_delayed; /* of those in the queue */
	struct load load;	    /* of all that compete or did */
	s64 min_vruntime;
	u64 balanced_at, balance_ns;
	u32 unbalanced; /* so often nothing was light enough to move */
	/* for waits.c: who runs without a break, and since when; NULL: it idles */
	struct task *turn_of;
	const char *turn_comm;
	s32 turn_pid;
	bool extended;		      /* dispatch() gave it a new slice */
	u64 turn_from, dispatched_at; /* and 1; 0: never */
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
	/* ours: what the verifier would have refused, or nothing here can run */
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
	/* The CPU for a task that wakes, then putting it there; of a fork too. */
	s32 (*select_cpu)(struct task *t, u64 wake_flags);
	void (*enqueue)(struct task *t, u64 flags, bool runnable);
	void (*dequeue)(struct task *t, bool sleeps);
	/* It wakes on another CPU than where it fell asleep. */
	void (*before_move)(struct task *t);
	/* Account for what the current task ran; ns. */
	void (*account)(struct sim_cpu *cpu, u64 ran);
	struct task *(*pick)(struct sim_cpu *cpu, struct task *prev);
	void (*put)(struct sim_cpu *cpu, struct task *prev, struct task *next);
	void (*set)(struct sim_cpu *cpu, struct task *next);
	void (*idle)(struct sim_cpu *cpu, bool idle, bool notify);
	void (*tick)(struct sim_cpu *cpu);
	/* What it set timer_at for; only while a task runs there. */
	void (*timer)(struct sim_cpu *cpu);
	void (*affinity)(struct task *t);
	/* Around a change of a property, and what to tell between. */
	void (*before_change)(struct task *t);
	void (*after_change)(struct task *t);
	void (*reweight)(struct task *t);
	void (*yield)(struct sim_cpu *cpu);
	void (*hotplug)(struct sim_cpu *cpu, bool online);
	/* What was put off until no callback runs. */
	void (*settle)(void);
	/* The longest a task may wait before the watchdog bites, ns; 0: there is none. */
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
	const char *in; /* what is running of it, as in `ops.enqueue()`, or NULL */
	u64 entered;	/* counts calls, for whoever looks whether one ends */
	enum sim_context context;

	/* how it ended */
	bool over;
	u32 exit_kind;
	s64 exit_code;
	u64 ended_at;
	char message[1024];
	struct wait stalled; /* of the task that the watchdog found */
	char dump[8192];     /* what the candidate says of its state at the end */
	u64 dump_length;

	u64 random, lateness, ringbuf_bytes, idle_ns;
	u64 exiting_not_found; /* by their pids, by the candidate that asked for such tasks */
	u64 trace_cut_ns;      /* NEVER: it is whole */
};
extern struct simulation sim;

/*
 * How long the machine has been up at the start. Schedulers take 0 for "never", and on no real
 * machine is it 0 o'clock.
 */
#define UPTIME_NS 100000000000ULL

/* What the kernel's clocks say. */
static inline u64 clock_now(void)
{
	return UPTIME_NS + sim.now;
}

/* ---- main.c: libc for those that cannot have its headers ---- */
void *room(u64 bytes); /* zeroed; ends the process where there is none */
void *more_room(void *old, u64 bytes);
void free_room(void *old);
/* Zeroed, from the system and back to it. */
void *pages_of_memory(u32 pages);
void give_back_pages(void *at, u32 pages);
void text_into(char *to, u64 size, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* What a copy of this process makes of that many bytes, with its own end; NULL: nothing. */
u8 *answers_of_another(void (*work)(u8 *answers), u64 size);
/* The first end counts. */
void end_by(u32 kind, s64 code, const char *format, ...) __attribute__((format(printf, 3, 4)));
u64 next_random(u64 *state);

/* ---- machine.c ---- */
void run_simulation(void);
void settle_figures(void);
void resched(struct sim_cpu *cpu);
/* Bring the figures of a CPU's task up to now. */
void account(struct sim_cpu *cpu);
/* See anew when something happens there next: its task's work ends, the tick, the timer. */
void arm(struct sim_cpu *cpu);
/* The task that runs there gives way for good, and the next is chosen. */
void let_go(struct sim_cpu *cpu);
/* By an interrupt, even where it is this CPU. */
void send_resched(struct sim_cpu *cpu);
/* timer.c is called at that time. */
void wake_deferred(u64 at, void *object, u64 stamp);
void move_to_cpu(struct task *t, s32 cpu);
bool allowed_on(const struct task *t, s32 cpu);
void retire(struct task *t);
s32 fallback_cpu(const struct task *t);

/* ---- object.c ---- */
/* `words` has pairs, `--set` and what userspace sets before the start among them:
 * NAME=VALUE, NAME[INDEX]=VALUE or MAP.max_entries=VALUE. */
void load_candidate(const char *library, const char *object, char **words);
void *candidate_symbol(const char *name);

/* ---- maps.c ---- */
struct map_spec {
	u32 type, key_size, value_size, max_entries;
};
void make_map(void *symbol, const char *name, const struct map_spec *spec);
/* A map of maps, which are like the inner one. */
void make_outer_map(void *symbol, const char *name, const struct map_spec *spec,
		    const struct map_spec *inner);
void fill_outer_map(void *symbol, u32 index, void *inner);
void *map_named(const char *name);
void drop_storage(struct task *t);
u32 task_storages(void);
/* A map that is read and that nobody here ever fills; NULL: there is none. */
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
/* Somebody else runs there from now on; NULL: nobody. */
void saw_turn(struct sim_cpu *cpu, struct task *next);
void saw_dispatch(struct sim_cpu *cpu);
void see_wait(struct wait *w, struct task *t);
/* A wait that ends on this CPU, whose task before is still the one of its turn. */
void see_end(struct wait *w, const struct task *t, const struct sim_cpu *cpu);
/* Find out the fate of those that still wait. What comes of it is in no figure. */
void ask_for_the_rest(void);

/* ---- scenario.c, report.c ---- */
void read_scenario(void);

/* ---- cgroup.c ---- */
void make_cgroups(void);
bool cgroup_is_there(u32 number);
/* False: something is in it yet. */
bool remove_cgroup(u32 number);
void add_cgroup(u32 number);

/* ---- trace.c: what happened, for ui.perfetto.dev ---- */
bool trace_to(const char *path);
void trace_switch(struct sim_cpu *cpu, const struct task *t);
void trace_wakeup(const struct task *t);
void trace_birth(const struct task *t);
void trace_end(void);
extern bool tracing;

void write_report(const char *scheduler);
/* What could be set, for whoever has set what is not there. */
void note_variable(const char *name);

#endif /* SIMULATOR_ENGINE_H */
