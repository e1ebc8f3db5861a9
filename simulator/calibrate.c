// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Measures the cost of wakeups and switches on this machine, for simulator/calibration.py.
 *
 * Standard output gets one line of JSON: for each of several rounds the medians, in ns. If
 * the rounds differ, something else used the machine. Messages between two CPUs need two
 * CPUs; with one they are left out. The figures are as exact as the machine is idle.
 *
 * Costs on one CPU are measured while the other is busy, because they are highest then. As
 * root the sleeper has a real-time priority, and its own CPU is busy too (`busy` says so): an
 * idle CPU has nothing to do but wait for the timer.
 *
 *	tick	the scheduler's tick, which is what the coarse clocks count
 *	call	a byte written into a pipe and read back by the same process: both calls, no switch
 *	switch	the same by two processes on one CPU, one way, less `call`: giving up the CPU, the
 *		scheduler's decision, and the change of context
 *	fork	CPU time for starting a process that shares memory and files, one of several at a
 *		time, as shells start them
 *	timer	from when a timer is due to the next instruction of the one who sleeps
 *	timers	the same, all of the distribution: its percentiles from 0 to 100
 *	cross	from before a byte is written on one CPU until it has been read on another, idle one
 */
#define _GNU_SOURCE
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

typedef uint64_t u64;

#define S	 1000000000ULL
#define ROUNDS	 5
#define TIMES	 201
#define TURNS	 20
#define STARTS	 8
#define SLEEP_NS 2000000ULL
#define PRIORITY 50

static u64 samples[TIMES];
/* Shared by both processes. */
static volatile u64 *stamp;

static u64 time_of(clockid_t clock)
{
	struct timespec at;

	clock_gettime(clock, &at);
	return at.tv_sec * S + at.tv_nsec;
}

static u64 now(void)
{
	return time_of(CLOCK_MONOTONIC);
}

static void fail(const char *why)
{
	fprintf(stderr, "calibrate: %s\n", why);
	exit(1);
}

static void on_cpu(int cpu)
{
	cpu_set_t only;

	CPU_ZERO(&only);
	CPU_SET(cpu, &only);
	if (sched_setaffinity(0, sizeof(only), &only))
		fail("a CPU cannot be used");
}

static int by_size(const void *a, const void *b)
{
	u64 x = *(const u64 *)a, y = *(const u64 *)b;

	return (x > y) - (x < y);
}

static u64 median(void)
{
	qsort(samples, TIMES, sizeof(*samples), by_size);
	return samples[TIMES / 2];
}

static void send(int fd)
{
	if (write(fd, "", 1) != 1)
		fail("a pipe cannot be written to");
}

static void receive(int fd)
{
	char byte;

	if (read(fd, &byte, 1) != 1)
		_exit(0);
}

static void pipes(int *there, int *back)
{
	if (pipe(there) || pipe(back))
		fail("there are no pipes left");
}

static u64 call(void)
{
	int own[2];

	if (pipe(own))
		fail("there are no pipes left");
	for (int i = 0; i < TIMES; i++) {
		u64 from = now();

		for (int k = 0; k < TURNS; k++) {
			send(own[1]);
			receive(own[0]);
		}
		samples[i] = (now() - from) / TURNS;
	}
	close(own[0]);
	close(own[1]);
	return median();
}

/* A process on this CPU that answers each byte with one and notes when it got it. */
static pid_t answerer(int cpu, const int *there, const int *back)
{
	pid_t pid = fork();

	if (pid < 0)
		fail("a process cannot be started");
	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	on_cpu(cpu);
	close(there[1]);
	for (;;) {
		receive(there[0]);
		stamp[0] = now();
		send(back[1]);
	}
}

static u64 one_way(int cpu)
{
	int there[2], back[2];
	pid_t pid;

	pipes(there, back);
	pid = answerer(cpu, there, back);
	for (int i = 0; i < TIMES; i++) {
		u64 from = now();

		for (int k = 0; k < TURNS; k++) {
			send(there[1]);
			receive(back[0]);
		}
		samples[i] = (now() - from) / TURNS / 2;
	}
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	for (int i = 0; i < 2; i++) {
		close(there[i]);
		close(back[i]);
	}
	return median();
}

static void pause_for(u64 ns)
{
	struct timespec time = {.tv_sec = ns / S, .tv_nsec = ns % S};

	nanosleep(&time, NULL);
}

static u64 cross(int cpu)
{
	int there[2], back[2];
	pid_t pid;

	pipes(there, back);
	pid = answerer(cpu, there, back);
	for (int i = 0; i < TIMES; i++) {
		u64 from;

		/* Wait until the other CPU is idle. */
		pause_for(SLEEP_NS);
		from = now();
		send(there[1]);
		receive(back[0]);
		samples[i] = stamp[0] - from;
	}
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	for (int i = 0; i < 2; i++) {
		close(there[i]);
		close(back[i]);
	}
	return median();
}

static int leave(void *argument)
{
	(void)argument;
	_exit(0);
}

/* The CPU time that starting one process costs its parent. */
static u64 forking(void)
{
	static char stacks[STARTS][16384] __attribute__((aligned(16)));
	pid_t pids[STARTS];
	u64 from;

	for (int i = 0; i < TIMES; i++) {
		char *top = stacks[i % STARTS] + sizeof(*stacks);

		from = time_of(CLOCK_THREAD_CPUTIME_ID);
		pids[i % STARTS] = clone(leave, top, CLONE_VM | CLONE_FILES | SIGCHLD, NULL);
		samples[i] = time_of(CLOCK_THREAD_CPUTIME_ID) - from;
		if (pids[i % STARTS] < 0)
			fail("a process cannot be started");
		if (i % STARTS < STARTS - 1 && i < TIMES - 1)
			continue;
		for (int k = 0; k <= i % STARTS; k++)
			waitpid(pids[k], NULL, 0);
	}
	return median();
}

/* A process that never sleeps, on that CPU. */
static pid_t hog(int cpu)
{
	pid_t pid = fork();

	if (pid < 0)
		fail("a process cannot be started");
	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	on_cpu(cpu);
	for (;;)
		;
}

static void end_hog(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static u64 timer(int cpu, bool *busy)
{
	struct sched_param above = {.sched_priority = PRIORITY}, usual = {0};
	pid_t own = 0;

	prctl(PR_SET_TIMERSLACK, 1);
	*busy = !sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK, &above);
	if (*busy)
		own = hog(cpu);
	for (int i = 0; i < TIMES; i++) {
		u64 due = now() + SLEEP_NS, at;
		struct timespec until = {.tv_sec = due / S, .tv_nsec = due % S};

		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
		at = now();
		samples[i] = at > due ? at - due : 0;
	}
	if (own)
		end_hog(own);
	sched_setscheduler(0, SCHED_OTHER, &usual);
	return median();
}

static void round_of(int first, int second)
{
	pid_t other = second >= 0 ? hog(second) : 0;
	u64 both, same, late, forked;
	bool busy;

	both = call();
	same = one_way(first);
	forked = forking();
	late = timer(first, &busy);
	printf("{\"fork_ns\":%llu,", (unsigned long long)forked);
	printf("\"call_ns\":%llu,\"switch_ns\":%llu,\"timer_ns\":%llu,\"busy\":%s",
	       (unsigned long long)both, (unsigned long long)(same > both ? same - both : 0),
	       (unsigned long long)late, busy ? "true" : "false");
	printf(",\"timers_ns\":[");
	for (int i = 0; i <= 100; i++)
		printf("%s%llu", i ? "," : "", (unsigned long long)samples[i * (TIMES - 1) / 100]);
	printf("]");
	if (other) {
		end_hog(other);
		printf(",\"cross_ns\":%llu", (unsigned long long)cross(second));
	}
	printf("}");
}

int main(void)
{
	struct timespec tick;
	cpu_set_t allowed;
	int first = -1, second = -1;

	if (sched_getaffinity(0, sizeof(allowed), &allowed))
		fail("the number of CPUs is not known");
	for (int i = 0; i < CPU_SETSIZE && second < 0; i++)
		if (CPU_ISSET(i, &allowed))
			*(first < 0 ? &first : &second) = i;
	stamp =
	    mmap(NULL, sizeof(*stamp), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (stamp == MAP_FAILED)
		fail("there is no memory");
	on_cpu(first);
	clock_getres(CLOCK_MONOTONIC_COARSE, &tick);
	printf("{\"tick_ns\":%llu,\"rounds\":[",
	       (unsigned long long)(tick.tv_sec * S + tick.tv_nsec));
	for (int i = 0; i < ROUNDS; i++) {
		if (i)
			putchar(',');
		round_of(first, second);
	}
	printf("]}\n");
	return 0;
}
