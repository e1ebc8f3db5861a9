// SPDX-License-Identifier: GPL-2.0-only
/*
 * simulate --scenario FILE [--library FILE.so --object FILE.bpf.o [--set NAME=VALUE]…]
 *
 * The scenario is read from standard input where no file is named. Without a library the model of
 * the kernel's own scheduler runs. Standard output gets one JSON object; the status is 0 whatever
 * became of the candidate, 2 for bad input.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#include "engine.h"

/* CPU time that one callback may take before it is said not to end, in units of 0.1 s. */
#define PATIENCE 20

struct simulation sim;
static sigjmp_buf out;
static char own_stack[1 << 16];

void *room(u64 bytes)
{
	void *got = calloc(1, bytes ? bytes : 1);

	if (!got) {
		fprintf(stderr, "out of memory\n");
		exit(3);
	}
	return got;
}

void *more_room(void *old, u64 bytes)
{
	void *got = realloc(old, bytes);

	if (!got) {
		fprintf(stderr, "out of memory\n");
		exit(3);
	}
	return got;
}

void free_room(void *old)
{
	free(old);
}

void text_into(char *to, u64 size, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(to, size, format, arguments);
	va_end(arguments);
}

void end_by(u32 kind, s64 code, const char *format, ...)
{
	va_list arguments;

	if (sim.over)
		return;
	sim.over = true;
	sim.exit_kind = kind;
	sim.exit_code = code;
	va_start(arguments, format);
	vsnprintf(sim.message, sizeof(sim.message), format, arguments);
	va_end(arguments);
}

/* splitmix64 (Steele, Lea and Flood 2014). */
u64 next_random(u64 *state)
{
	u64 z = *state += 0x9e3779b97f4a7c15ULL;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
	return z ^ z >> 31;
}

static void on_crash(int number)
{
	const char *what = number == SIGFPE ? "division by zero" : "invalid memory access";

	if (!sim.in) {
		/* Ours, and a defect: die of it. */
		signal(number, SIG_DFL);
		raise(number);
		return;
	}
	sim.over = false;
	end_by(EXIT_CRASH, 0, "%s in ops.%s()", what, sim.in);
	siglongjmp(out, 1);
}

static void on_time(int number)
{
	static u64 seen;
	static u32 times;

	(void)number;
	times = seen == sim.entered ? times + 1 : 0;
	seen = sim.entered;
	if (!sim.in || times < PATIENCE)
		return;
	sim.over = false;
	end_by(EXIT_CRASH, 0, "ops.%s() does not end", sim.in);
	siglongjmp(out, 1);
}

static void catch_crashes(void)
{
	stack_t stack = {.ss_sp = own_stack, .ss_size = sizeof(own_stack)};
	struct sigaction crash = {.sa_handler = on_crash, .sa_flags = SA_ONSTACK | SA_NODEFER};
	struct sigaction timer = {.sa_handler = on_time, .sa_flags = SA_ONSTACK | SA_RESTART};
	struct itimerval often = {{0, 100000}, {0, 100000}};

	sigaltstack(&stack, NULL);
	sigaction(SIGSEGV, &crash, NULL);
	sigaction(SIGBUS, &crash, NULL);
	sigaction(SIGFPE, &crash, NULL);
	sigaction(SIGILL, &crash, NULL);
	sigaction(SIGVTALRM, &timer, NULL);
	setitimer(ITIMER_VIRTUAL, &often, NULL);
}

int main(int argc, char **argv)
{
	const char *library = NULL, *object = NULL, *scenario = NULL;
	extern int sd_llc_id[];

	for (int i = 1; i + 1 < argc; i += 2) {
		if (!strcmp(argv[i], "--library"))
			library = argv[i + 1];
		else if (!strcmp(argv[i], "--object"))
			object = argv[i + 1];
		else if (!strcmp(argv[i], "--scenario"))
			scenario = argv[i + 1];
	}
	if (scenario && !freopen(scenario, "r", stdin)) {
		fprintf(stderr, "%s cannot be read\n", scenario);
		return 2;
	}
	read_scenario();
	for (s32 i = 0; i < sim.want.cpus; i++)
		sd_llc_id[i] = i / sim.want.llc_cpus * sim.want.llc_cpus;
	sim.class = library ? &ext_class : &fair_class;
	if (library)
		load_candidate(library, object ? object : "");
	for (int i = 1; i + 1 < argc && !sim.over; i += 2)
		if (!strcmp(argv[i], "--set"))
			set_variable(argv[i + 1]);
	if (!sim.over) {
		catch_crashes();
		if (!sigsetjmp(out, 1))
			run_simulation();
		else
			sim.ended_at = sim.now;
	}
	write_report(library ? "candidate" : "default");
	return 0;
}
