// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Performs a scenario of the simulator on this machine, and says what came of it in the
 * simulator's own words (simulator/engine/scenario.c, report.c): so that both can be compared.
 *
 *	replay SWITCH_NS < SCENARIO
 *
 * Standard output gets one line of JSON with the process id of each task, in the scenario's order;
 * then everybody waits for a line on standard input (a scheduler may have to be told of them; of
 * the scenario it is the first line after `end`); then comes one line with the figures.
 *
 * Each task is a process with memory shared by all. `run` is CPU time by the task's own clock, so
 * that a slow or busy host slows nothing but the switches; what its system calls took counts as
 * part of the next run, but for SWITCH_NS each time it has slept, which the simulator charges
 * beside, and for forks, which it charges too. `sleep` is by a timer without slack;
 * `wait` and `wake` go by futex, or by a pipe where a wakeup of that task is synchronous. A
 * wakeup's delay is from when it was due (the timer's time, the moment before the waker's system
 * call) to the task's next instruction; its response is from then to the moment before it sleeps
 * again or ends. A lock that spins is tried without system calls, and the CPU time that this took
 * is beside the task's work; one that sleeps is a futex. cgroups are real ones (cgroups.c), which
 * are there from before the tasks start until they have ended.
 */
#define _GNU_SOURCE
#include "cgroups.h"

#include <errno.h>
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

typedef uint64_t u64;

#define S	    1000000000ULL
#define MAX_PLANS   64
#define MAX_GROUPS  16
#define MAX_STEPS   256
#define MAX_TASKS   4096
#define MAX_DELAYS  (1U << 17)
#define MAX_LOCKS   8
#define MAX_CPUS    64
#define STACK_BYTES 32768
/* Nearer than this to its end a run is over: about what asking for the time costs. */
#define NEAR_NS 4000
/*
 * A running task looks at the machine's clock every so often, ns; if so much has passed, it has not
 * run all the time. An emulated machine's other CPU takes less, another task's run is longer.
 */
#define LOOK_NS 20000
#define AWAY_NS 150000
/* As the first of the kernel's; above all that is measured. */
#define OUR_PRIORITY 50
/* So many are started before anything is measured, and so many at once. */
#define WARM_STARTS  150
#define WARM_AT_ONCE 8

enum kind { RUN, SLEEP, WAIT, WAKE, FORK, AFFINE, LOCK, UNLOCK, REPEAT };
/* Of a lock, as in simulator/engine/engine.h. */
enum lock_flags { LOCK_SPINS = 1, LOCK_OF_CPU = 2 };

/* 0: free, 1: held, 2: held, and somebody sleeps for it. */
struct lock {
	int state;
	u64 freed_at;
} __attribute__((aligned(64)));

struct step {
	enum kind kind;
	u64 value, spread;
	cpu_set_t cpus;
};

struct plan {
	unsigned int group, uid, count, nr_steps, cgroup;
	unsigned int first; /* the number of its first task */
	char comm[16];
	int nice;
	cpu_set_t cpus;
	bool forked, piped;
	u64 start_ns, expected_ns, selected;
	struct step steps[MAX_STEPS];
};

struct group {
	char name[64];
	unsigned int tasks, finished, nr_delays, nr_responses, open;
	u64 cycles, run_ns, spun_ns, first_start_ns, last_end_ns, completion_ns;
	u64 *delays, *responses;
};

struct task {
	struct plan *plan, *parent; /* the parent's; none where it was there from the start */
	struct group *group;
	unsigned int copy;
	pid_t pid;
	u64 random, created_at, woke_at, run_ns;
	u64 active_since; /* 0: it sleeps */
	struct lock *held[MAX_LOCKS];
	u64 due_ns;  /* the CPU time that it should have had by now */
	int balance; /* wakeups to come, or -1: it waits */
	int pipe[2];
	bool ended;
};

static struct plan plans[MAX_PLANS];
static struct group groups[MAX_GROUPS];
static struct cgroup cgroups[MAX_CGROUPS];
static struct task tasks[MAX_TASKS];
static struct lock locks[MAX_LOCKS][MAX_CPUS];
static char *stacks;
static unsigned int nr_plans, nr_groups, nr_cgroups, nr_tasks, nr_started;
static u64 duration_ns, seed, switch_ns;
static double turns_per_ns;
static int begun;
/* Those that end by themselves and have not yet. */
static int finite;

static void refuse(const char *why)
{
	fprintf(stderr, "replay: %s\n", why);
	exit(2);
}

static u64 time_of(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return now.tv_sec * S + now.tv_nsec;
}

static u64 now(void)
{
	return time_of(CLOCK_MONOTONIC);
}

/* ---- the scenario ---- */

static u64 number(void)
{
	char *word = strtok(NULL, " \n"), *end;
	u64 value;

	if (!word)
		refuse("a number is missing");
	value = strtoull(word, &end, 10);
	if (*end)
		refuse("what should be a number is none");
	return value;
}

static const char *word(void)
{
	const char *found = strtok(NULL, " \n");

	if (!found)
		refuse("a word is missing");
	return found;
}

static void read_mask(cpu_set_t *cpus)
{
	u64 bits = strtoull(word(), NULL, 16);

	CPU_ZERO(cpus);
	for (int i = 0; i < 64; i++)
		if (bits >> i & 1)
			CPU_SET(i, cpus);
}

static void read_task(void)
{
	struct plan *plan = &plans[nr_plans++];
	const char *start;

	if (nr_plans == MAX_PLANS)
		refuse("there are too many kinds of tasks");
	plan->group = number();
	strncpy(plan->comm, word(), sizeof(plan->comm) - 1);
	plan->nice = atoi(word());
	if (number())
		refuse("tasks that are not SCHED_NORMAL cannot be replayed");
	plan->uid = number();
	read_mask(&plan->cpus);
	start = word();
	plan->forked = *start == '-';
	plan->start_ns = plan->forked ? 0 : strtoull(start, NULL, 10);
	plan->expected_ns = number();
	plan->selected = number();
	if (number())
		refuse("kernel threads cannot be replayed");
	plan->cgroup = number();
	plan->count = number();
	if (plan->group >= nr_groups)
		refuse("a task is of no group");
	if (plan->cgroup > nr_cgroups)
		refuse("a task is of no cgroup");
}

/* A number, or `-` for none. */
static u64 number_or(u64 none)
{
	const char *found = word();

	return strcmp(found, "-") ? strtoull(found, NULL, 10) : none;
}

/* The root comes first, and has nothing to set. */
static void read_cgroup(void)
{
	static bool root_read;
	struct cgroup *cgroup = &cgroups[nr_cgroups];
	u64 from, until;

	if (nr_cgroups == MAX_CGROUPS)
		refuse("there are too many cgroups");
	cgroup->parent = number();
	strncpy(cgroup->name, word(), sizeof(cgroup->name) - 1);
	cgroup->weight = number();
	cgroup->idle = number();
	cgroup->quota_ns = number_or(NO_QUOTA);
	cgroup->period_ns = number();
	cgroup->burst_ns = number();
	from = number();
	until = number_or(NO_QUOTA);
	if (from || until != NO_QUOTA)
		refuse("cgroups that come and go cannot be replayed");
	if (root_read)
		nr_cgroups++;
	root_read = true;
}

static void read_step(const char *what)
{
	static const char *const names[] = {"run",    "sleep", "wait",	 "wake",   "fork",
					    "affine", "lock",  "unlock", "repeat", NULL};
	struct plan *plan = &plans[nr_plans - 1];
	struct step *step;
	int kind = 0;

	while (names[kind] && strcmp(names[kind], what))
		kind++;
	if (!names[kind] || !nr_plans || plan->nr_steps == MAX_STEPS)
		refuse("a step cannot be replayed");
	step = &plan->steps[plan->nr_steps++];
	step->kind = kind;
	if (kind == AFFINE)
		read_mask(&step->cpus);
	else if (kind != WAIT)
		step->value = number();
	if (kind == RUN || kind == SLEEP || kind == WAKE || kind == LOCK)
		step->spread = number();
	if ((kind == LOCK || kind == UNLOCK) && step->value >= MAX_LOCKS)
		refuse("there are too many locks");
}

static void read_scenario(void)
{
	char line[512], *what;

	while (fgets(line, sizeof(line), stdin)) {
		what = strtok(line, " \n");
		if (!what || !strcmp(what, "end"))
			break;
		if (!strcmp(what, "machine")) {
			/* Its CPUs, and how they share cores, caches, memory: as they are here. */
			for (int i = 0; i < 4; i++)
				number();
			duration_ns = number();
			seed = number();
		} else if (!strcmp(what, "group")) {
			if (nr_groups == MAX_GROUPS)
				refuse("there are too many groups");
			strncpy(groups[nr_groups++].name, word(), sizeof(groups[0].name) - 1);
		} else if (!strcmp(what, "locks")) {
			number();
		} else if (!strcmp(what, "cgroup")) {
			read_cgroup();
		} else if (!strcmp(what, "task")) {
			read_task();
		} else {
			read_step(what);
		}
	}
	for (unsigned int i = 0; i < nr_plans; i++)
		for (unsigned int k = 0; k < plans[i].nr_steps; k++) {
			struct step *step = &plans[i].steps[k];

			if ((step->kind == WAKE || step->kind == FORK) && step->value >= nr_plans)
				refuse("a step names a task that is not there");
			if (step->kind == WAKE && step->spread)
				plans[step->value].piped = true;
		}
}

/* ---- what a task does ---- */

static void futex(int *word, int operation, int value, const struct timespec *limit)
{
	syscall(SYS_futex, word, operation | FUTEX_PRIVATE_FLAG, value, limit, NULL, 0);
}

static void turn(u64 times)
{
	while (times--)
		__asm__ volatile("" ::: "memory");
}

/* How fast this CPU turns, by the CPU time that it takes: the best of several. */
static void calibrate(void)
{
	for (int i = 0; i < 20; i++) {
		u64 from = time_of(CLOCK_THREAD_CPUTIME_ID), took;

		turn(300000);
		took = time_of(CLOCK_THREAD_CPUTIME_ID) - from;
		if (took && 300000.0 / took > turns_per_ns)
			turns_per_ns = 300000.0 / took;
	}
}

/* Take about so much CPU time. */
static void compute(u64 ns)
{
	u64 from = now(), at, part, took;

	while (ns) {
		part = ns < LOOK_NS ? ns : LOOK_NS;
		turn((u64)(part * turns_per_ns));
		at = now();
		took = at - from < AWAY_NS ? at - from : part;
		ns -= took < ns ? took : ns;
		from = at;
	}
}

/*
 * Whoever asks for its CPU time has the kernel look whether its slice is over (task_sched_runtime()
 * calls update_curr()). Work does not ask, so this does so only where it should be at the end.
 */
static void spin(u64 until)
{
	u64 at;

	while ((at = time_of(CLOCK_THREAD_CPUTIME_ID)) + NEAR_NS < until)
		compute(until - at);
}

/* The simulator's: splitmix64 (Steele, Lea and Flood 2014). */
static u64 next_random(u64 *state)
{
	u64 z = *state += 0x9e3779b97f4a7c15ULL;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
	return z ^ z >> 31;
}

static u64 draw(struct task *t, const struct step *step)
{
	if (!step->spread)
		return step->value;
	return step->value - step->spread + next_random(&t->random) % (2 * step->spread + 1);
}

static void note_delay(struct task *t, u64 due)
{
	u64 at = now();
	unsigned int place = __atomic_fetch_add(&t->group->nr_delays, 1, __ATOMIC_RELAXED);

	if (place < MAX_DELAYS)
		t->group->delays[place] = at > due ? at - due : 0;
	t->active_since = due;
}

static void note_response(struct task *t, u64 at)
{
	unsigned int place;

	if (!t->active_since)
		return;
	place = __atomic_fetch_add(&t->group->nr_responses, 1, __ATOMIC_RELAXED);
	if (place < MAX_DELAYS)
		t->group->responses[place] = at > t->active_since ? at - t->active_since : 0;
	t->active_since = 0;
}

static void sleep_for(struct task *t, u64 ns)
{
	u64 from = now(), due = from + ns;
	struct timespec until = {.tv_sec = due / S, .tv_nsec = due % S};

	note_response(t, from);
	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
	note_delay(t, due);
	t->due_ns += switch_ns;
}

static void wait_for_wakeup(struct task *t)
{
	char byte;

	if (__atomic_fetch_sub(&t->balance, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	note_response(t, now());
	if (t->plan->piped)
		while (read(t->pipe[0], &byte, 1) != 1)
			;
	else
		while (__atomic_load_n(&t->balance, __ATOMIC_ACQUIRE) < 0)
			futex(&t->balance, FUTEX_WAIT, -1, NULL);
	note_delay(t, t->woke_at);
	t->due_ns += switch_ns;
}

static void wake(struct task *t)
{
	if (__atomic_load_n(&t->balance, __ATOMIC_ACQUIRE) < 0)
		t->woke_at = now();
	if (__atomic_fetch_add(&t->balance, 1, __ATOMIC_ACQ_REL) >= 0)
		return;
	if (!t->plan->piped)
		futex(&t->balance, FUTEX_WAKE, 1, NULL);
	else if (write(t->pipe[1], "", 1) != 1)
		refuse("a pipe cannot be written to");
}

/* glibc's own asks memory of the thread, which all tasks share here. */
static unsigned int this_cpu(void)
{
	unsigned int cpu = 0;

	syscall(SYS_getcpu, &cpu, NULL, NULL);
	return cpu % MAX_CPUS;
}

static bool try_lock(struct lock *lock)
{
	int is_free = 0;

	return __atomic_compare_exchange_n(&lock->state, &is_free, 1, false, __ATOMIC_ACQUIRE,
					   __ATOMIC_RELAXED);
}

static void unlock(struct lock *lock)
{
	lock->freed_at = now();
	if (__atomic_exchange_n(&lock->state, 0, __ATOMIC_RELEASE) == 2)
		futex(&lock->state, FUTEX_WAKE, 1, NULL);
}

static void spin_for(struct task *t, struct lock *lock)
{
	u64 from;

	if (try_lock(lock))
		return;
	from = time_of(CLOCK_THREAD_CPUTIME_ID);
	while (!try_lock(lock))
		turn(100);
	from = time_of(CLOCK_THREAD_CPUTIME_ID) - from;
	t->due_ns += from;
	__atomic_fetch_add(&t->group->spun_ns, from, __ATOMIC_RELAXED);
}

static void sleep_for_lock(struct task *t, struct lock *lock)
{
	if (try_lock(lock))
		return;
	while (__atomic_exchange_n(&lock->state, 2, __ATOMIC_ACQUIRE)) {
		note_response(t, now());
		futex(&lock->state, FUTEX_WAIT, 2, NULL);
		note_delay(t, lock->freed_at);
		t->due_ns += switch_ns;
	}
}

/* Where each CPU has one, that of this CPU: once it is had, the task may have moved. */
static void take_lock(struct task *t, const struct step *step)
{
	bool of_cpu = step->spread & LOCK_OF_CPU;
	struct lock *lock;

	for (;;) {
		lock = &locks[step->value][of_cpu ? this_cpu() : 0];
		if (step->spread & LOCK_SPINS)
			spin_for(t, lock);
		else
			sleep_for_lock(t, lock);
		if (!of_cpu || lock == &locks[step->value][this_cpu()])
			break;
		unlock(lock);
	}
	t->held[step->value] = lock;
}

static struct task *new_task(struct plan *plan)
{
	unsigned int place = __atomic_fetch_add(&nr_tasks, 1, __ATOMIC_RELAXED);
	struct task *t = &tasks[place];

	if (place >= MAX_TASKS)
		refuse("there are too many tasks");
	t->plan = plan;
	t->group = &groups[plan->group];
	/* As simulator/engine/task.c: what it does is the same there and under every scheduler. */
	t->random = seed * 0x9e3779b97f4a7c15ULL ^ (place + 1ULL) * 0xd1b54a32d192ed03ULL;
	return t;
}

static bool endless(const struct plan *plan)
{
	const struct step *last = &plan->steps[plan->nr_steps - 1];

	return last->kind == REPEAT && !last->value;
}

static int live(void *argument);

static void start(struct task *t)
{
	char *top = stacks + (t - tasks + 1ULL) * STACK_BYTES;

	__atomic_fetch_add(&t->group->tasks, 1, __ATOMIC_RELAXED);
	if (!endless(t->plan))
		__atomic_fetch_add(&finite, 1, __ATOMIC_RELAXED);
	t->pid = clone(live, top - 64, CLONE_VM | CLONE_FS | CLONE_FILES | SIGCHLD, t);
	if (t->pid < 0)
		refuse("a task cannot be started");
}

static void fork_one(struct plan *plan, struct task *parent)
{
	u64 from = time_of(CLOCK_THREAD_CPUTIME_ID);
	struct task *t = new_task(plan);

	t->parent = parent->plan;
	t->due_ns = switch_ns;
	t->created_at = now();
	start(t);
	parent->due_ns += time_of(CLOCK_THREAD_CPUTIME_ID) - from;
}

/* What a forked task has from its parent it does not ask for: schedulers are told of changes. */
static void settle(struct task *t)
{
	struct plan *plan = t->plan, *parent = t->parent;

	prctl(PR_SET_NAME, plan->comm);
	if (!parent) {
		prctl(PR_SET_TIMERSLACK, 1);
		signal(SIGCHLD, SIG_IGN);
	}
	if ((!parent || plan->nice != parent->nice) && setpriority(PRIO_PROCESS, 0, plan->nice))
		refuse("a task gets no nice value");
	if ((!parent || !CPU_EQUAL(&plan->cpus, &parent->cpus)) &&
	    sched_setaffinity(0, sizeof(plan->cpus), &plan->cpus))
		refuse("a task gets no affinity");
	if (!parent || plan->cgroup != parent->cgroup)
		enter_cgroup(plan->cgroup);
	if (plan->uid && (!parent || plan->uid != parent->uid) &&
	    syscall(SYS_setresuid, plan->uid, plan->uid, plan->uid))
		refuse("a task gets no user");
}

static void perform(struct task *t)
{
	struct plan *plan = t->plan;
	struct step *step = plan->steps;
	u64 repeated = 0;

	for (; step < plan->steps + plan->nr_steps; step++) {
		switch (step->kind) {
		case RUN:
			t->due_ns += draw(t, step);
			spin(t->due_ns);
			break;
		case SLEEP:
			sleep_for(t, draw(t, step));
			break;
		case WAIT:
			wait_for_wakeup(t);
			break;
		case WAKE: {
			struct plan *their = &plans[step->value];

			wake(&tasks[their->first + t->copy % their->count]);
			break;
		}
		case FORK:
			fork_one(&plans[step->value], t);
			break;
		case AFFINE:
			sched_setaffinity(0, sizeof(step->cpus), &step->cpus);
			break;
		case LOCK:
			take_lock(t, step);
			break;
		case UNLOCK:
			unlock(t->held[step->value]);
			break;
		case REPEAT:
			__atomic_fetch_add(&t->group->cycles, 1, __ATOMIC_RELAXED);
			if (!step->value || ++repeated < step->value)
				step = plan->steps - 1;
			break;
		}
	}
	if (plan->steps[plan->nr_steps - 1].kind != REPEAT)
		__atomic_fetch_add(&t->group->cycles, 1, __ATOMIC_RELAXED);
}

static void end(struct task *t)
{
	struct group *g = t->group;
	u64 at = now(), last = __atomic_load_n(&g->last_end_ns, __ATOMIC_RELAXED);

	note_response(t, at);
	t->run_ns = time_of(CLOCK_THREAD_CPUTIME_ID);
	t->ended = true;
	while (last < at && !__atomic_compare_exchange_n(&g->last_end_ns, &last, at, true,
							 __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		;
	__atomic_fetch_add(&g->completion_ns, at - t->created_at, __ATOMIC_RELAXED);
	__atomic_fetch_add(&g->finished, 1, __ATOMIC_RELAXED);
	if (!endless(t->plan) && __atomic_sub_fetch(&finite, 1, __ATOMIC_ACQ_REL) == 0)
		futex(&finite, FUTEX_WAKE, 1, NULL);
}

/* Sleep on the CPU where the simulator's task of this number does, as far as it may run there. */
static void take_place(const struct task *t)
{
	cpu_set_t only;

	CPU_ZERO(&only);
	CPU_SET((t - tasks) % sysconf(_SC_NPROCESSORS_ONLN), &only);
	CPU_AND(&only, &only, &t->plan->cpus);
	if (CPU_COUNT(&only) && sched_setaffinity(0, sizeof(only), &only))
		refuse("a task cannot be placed");
}

static int live(void *argument)
{
	struct task *t = argument;

	if (t->created_at) {
		note_delay(t, t->created_at);
		settle(t);
	} else {
		settle(t);
		take_place(t);
		__atomic_fetch_add(&nr_started, 1, __ATOMIC_RELAXED);
		while (!__atomic_load_n(&begun, __ATOMIC_ACQUIRE))
			futex(&begun, FUTEX_WAIT, 0, NULL);
		note_delay(t, t->created_at);
		t->due_ns = time_of(CLOCK_THREAD_CPUTIME_ID);
		if (t->plan->start_ns)
			sleep_for(t, t->plan->start_ns);
	}
	perform(t);
	end(t);
	syscall(SYS_exit_group, 0);
	return 0;
}

/* ---- all of them ---- */

static void make_room(void)
{
	stacks = mmap(NULL, (u64)MAX_TASKS * STACK_BYTES, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (stacks == MAP_FAILED)
		refuse("there is no memory");
	/* Page faults would count as delays. */
	for (unsigned int i = 1; i <= 1024; i++)
		memset(stacks + i * STACK_BYTES - 8192, 0, 8192);
	for (unsigned int i = 0; i < nr_groups; i++) {
		groups[i].delays = malloc(MAX_DELAYS * sizeof(u64));
		groups[i].responses = malloc(MAX_DELAYS * sizeof(u64));
		if (!groups[i].delays || !groups[i].responses)
			refuse("there is no memory");
		memset(groups[i].delays, 0, 8192 * sizeof(u64));
		memset(groups[i].responses, 0, 8192 * sizeof(u64));
	}
}

static int end_at_once(void *argument)
{
	(void)argument;
	syscall(SYS_exit_group, 0);
	return 0;
}

/* The kernel has to find memory for new tasks first, which is slow. */
static void warm_up(void)
{
	for (int i = 0; i < WARM_STARTS; i++) {
		char *top = stacks + (MAX_TASKS - i % WARM_AT_ONCE) * (u64)STACK_BYTES;

		if (clone(end_at_once, top - 64, CLONE_VM | CLONE_FS | CLONE_FILES | SIGCHLD,
			  NULL) < 0)
			refuse("a task cannot be started");
		if (i % WARM_AT_ONCE == WARM_AT_ONCE - 1)
			while (wait(NULL) > 0)
				;
	}
	while (wait(NULL) > 0)
		;
}

static void start_all(void)
{
	struct sched_param above = {.sched_priority = OUR_PRIORITY};

	/* What starts and ends the others is none of them. */
	if (sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK, &above))
		refuse("real-time priority is not given: this has to run as root");
	for (unsigned int i = 0; i < nr_plans; i++) {
		struct plan *plan = &plans[i];

		plan->first = nr_tasks;
		for (unsigned int k = 0; k < plan->count && !plan->forked; k++) {
			struct task *t = new_task(plan);

			t->copy = k;
			if (plan->piped && pipe(t->pipe))
				refuse("there are no pipes left");
			start(t);
		}
	}
	while (__atomic_load_n(&nr_started, __ATOMIC_RELAXED) < nr_tasks)
		usleep(1000);
	/* The last one is still on its way to the barrier. */
	usleep(20000);
	/* From here on they may go where they will, and are still where they are. */
	for (unsigned int i = 0; i < nr_tasks; i++)
		if (sched_setaffinity(tasks[i].pid, sizeof(cpu_set_t), &tasks[i].plan->cpus))
			refuse("a task cannot be set free");
}

static void tell_tasks(void)
{
	char line[64];

	printf("{\"tasks\":[");
	for (unsigned int i = 0; i < nr_tasks; i++)
		printf("%s{\"pid\":%d,\"expected_ns\":%llu,\"selected\":%llu}", i ? "," : "",
		       tasks[i].pid, (unsigned long long)tasks[i].plan->expected_ns,
		       (unsigned long long)tasks[i].plan->selected);
	printf("]}\n");
	fflush(stdout);
	if (!fgets(line, sizeof(line), stdin))
		refuse("nobody said go");
}

static u64 watch_them(void)
{
	u64 from = now(), at;
	unsigned int given = nr_tasks;
	int left;

	for (unsigned int i = 0; i < given; i++)
		tasks[i].created_at = from;
	for (unsigned int i = 0; i < nr_groups; i++)
		groups[i].first_start_ns = from;
	__atomic_store_n(&begun, 1, __ATOMIC_RELEASE);
	futex(&begun, FUTEX_WAKE, INT32_MAX, NULL);
	for (;;) {
		struct timespec limit;

		at = now();
		left = __atomic_load_n(&finite, __ATOMIC_ACQUIRE);
		if (!left || at - from >= duration_ns)
			break;
		limit.tv_sec = (from + duration_ns - at) / S;
		limit.tv_nsec = (from + duration_ns - at) % S;
		futex(&finite, FUTEX_WAIT, left, &limit);
	}
	for (unsigned int i = 0; i < nr_tasks && i < MAX_TASKS; i++) {
		struct task *t = &tasks[i];
		clockid_t clock;

		if (!t->ended && t->pid > 0 && !clock_getcpuclockid(t->pid, &clock))
			t->run_ns = time_of(clock);
		t->group->run_ns += t->run_ns;
	}
	/* Who is not done counts with what he has had. */
	for (unsigned int i = 0; i < nr_tasks && i < MAX_TASKS; i++) {
		struct group *g = tasks[i].group;
		u64 since = tasks[i].active_since;

		if (tasks[i].ended || tasks[i].pid <= 0 || !since || g->nr_responses >= MAX_DELAYS)
			continue;
		g->responses[g->nr_responses++] = at > since ? at - since : 0;
		g->open++;
	}
	for (unsigned int i = 0; i < nr_tasks && i < MAX_TASKS; i++)
		if (!tasks[i].ended && tasks[i].pid > 0)
			kill(tasks[i].pid, SIGKILL);
	while (wait(NULL) > 0 || errno == EINTR)
		;
	return at - from;
}

/* ---- what came of it ---- */

static int by_size(const void *a, const void *b)
{
	u64 x = *(const u64 *)a, y = *(const u64 *)b;

	return (x > y) - (x < y);
}

/* The simulator's: the smallest value that at least `percent` of all do not exceed. */
static unsigned long long percentile(const u64 *sorted, u64 count, u64 percent)
{
	u64 rank = (count * percent + 99) / 100;

	return count ? sorted[rank ? rank - 1 : 0] : 0;
}

static void tell_percentiles(const char *name, u64 *lengths, u64 count)
{
	qsort(lengths, count, sizeof(*lengths), by_size);
	printf(",\"%s_p50_ns\":%llu,\"%s_p99_ns\":%llu,\"%s_max_ns\":%llu", name,
	       percentile(lengths, count, 50), name, percentile(lengths, count, 99), name,
	       percentile(lengths, count, 100));
}

static void tell_group(struct group *g)
{
	if (g->nr_delays > MAX_DELAYS)
		g->nr_delays = MAX_DELAYS;
	if (g->nr_responses > MAX_DELAYS)
		g->nr_responses = MAX_DELAYS;
	printf("{\"name\":\"%s\",\"tasks\":%u,\"finished\":%u,\"cycles\":%llu,\"run_ns\":%llu",
	       g->name, g->tasks, g->finished, (unsigned long long)g->cycles,
	       (unsigned long long)g->run_ns);
	printf(",\"wakeups\":%u,\"completions\":%u,\"open\":%u,\"spun_ns\":%llu", g->nr_delays,
	       g->nr_responses - g->open, g->open, (unsigned long long)g->spun_ns);
	tell_percentiles("delay", g->delays, g->nr_delays);
	tell_percentiles("response", g->responses, g->nr_responses);
	if (g->tasks && g->finished == g->tasks)
		printf(",\"makespan_ns\":%llu,\"mean_completion_ns\":%llu}",
		       (unsigned long long)(g->last_end_ns - g->first_start_ns),
		       (unsigned long long)(g->completion_ns / g->tasks));
	else
		printf(",\"makespan_ns\":null,\"mean_completion_ns\":null}");
}

int main(int count, char **words)
{
	u64 took;

	if (count != 2)
		refuse("say what a switch costs, ns");
	switch_ns = strtoull(words[1], NULL, 10);
	read_scenario();
	if (!nr_plans || !duration_ns)
		refuse("there is nothing to do");
	/* What is locked is there: no page faults later. */
	mlockall(MCL_CURRENT);
	make_room();
	calibrate();
	warm_up();
	make_cgroups(cgroups, nr_cgroups);
	start_all();
	tell_tasks();
	took = watch_them();
	remove_cgroups();
	printf("{\"time_ns\":%llu,\"groups\":[", (unsigned long long)took);
	for (unsigned int i = 0; i < nr_groups; i++) {
		if (i)
			putchar(',');
		tell_group(&groups[i]);
	}
	printf("]}\n");
	return 0;
}
