// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * simulate --scenario FILE [--trace FILE] [--library FILE.so --object FILE.bpf.o
 *          [--set NAME=VALUE]…]
 *
 * The scenario is read from standard input if no file is named. Without a library the model
 * of the kernel's own scheduler runs. Standard output gets one JSON object; the status is 0
 * whatever happened to the candidate, 2 for bad input.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#include "engine.h"

/* CPU time that one callback may take before it counts as endless, in units of 0.1 s. */
#define PATIENCE 20
#define PAGE	 4096UL

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

void *room_of_lines(u64 bytes)
{
#ifdef COUNTS_LINES
	u64 whole = (bytes + 63) & ~63ULL;
	void *got = aligned_alloc(64, whole ? whole : 64);

	if (!got)
		return room(bytes);
	return memset(got, 0, whole ? whole : 64);
#else
	return room(bytes);
#endif
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

void *pages_of_memory(u32 pages)
{
	void *got = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return got == MAP_FAILED ? NULL : got;
}

void give_back_pages(void *at, u32 pages)
{
	munmap(at, pages * PAGE);
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

/* A copy of this process, which tries something and returns only its answer. */
static bool copy;

static void catch_crashes(void);

u8 *answers_of_another(void (*work)(u8 *answers), u64 size)
{
	u8 *answers = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t other;

	if (answers == MAP_FAILED)
		return NULL;
	other = fork();
	if (other == 0) {
		copy = true;
		tracing = false;
		catch_crashes();
		work(answers);
		_exit(0);
	}
	if (other < 0 || waitpid(other, NULL, 0) != other)
		return NULL;
	return answers;
}

static void end_with(u32 kind, s64 code, const char *format, va_list arguments)
{
	if (sim.over)
		return;
	sim.over = true;
	sim.exit_kind = kind;
	sim.exit_code = code;
	vsnprintf(sim.message, sizeof(sim.message), format, arguments);
}

void end_by(u32 kind, s64 code, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	end_with(kind, code, format, arguments);
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

static u64 instruction(const void *context)
{
#if defined(__x86_64__)
	return ((const ucontext_t *)context)->uc_mcontext.gregs[REG_RIP];
#elif defined(__aarch64__)
	return ((const ucontext_t *)context)->uc_mcontext.pc;
#else
	(void)context;
	return 0;
#endif
}

void place_of_code(char *to, u64 size, u64 address)
{
	Dl_info info;

	*to = 0;
	if (address && dladdr((void *)address, &info) && strstr(info.dli_fname, "candidate"))
		snprintf(to, size, " at +0x%llx", address - (u64)info.dli_fbase);
}

#if __has_feature(address_sanitizer)
#define SANITIZED 1
#else
#define SANITIZED 0
#endif

/*
 * The candidate has crashed. Under a sanitizer only the report is possible: before a jump it
 * looks for the stack in /proc, which does not exist here.
 */
__attribute__((no_sanitize("address"), noinline)) static void crash(const char *format, ...)
{
	va_list arguments;

	if (copy)
		_exit(1);
	sim.over = false;
	sim.exit_kind = 0;
	va_start(arguments, format);
	end_with(EXIT_CRASH, 0, format, arguments);
	va_end(arguments);
	if (!SANITIZED)
		siglongjmp(out, 1);
	sim.ended_at = sim.now;
	write_report("candidate");
	_exit(0);
}

#if __has_feature(address_sanitizer)
#include <sanitizer/asan_interface.h>

/* The sanitizers would end the process; instead this becomes the candidate's end. */
static void on_finding(const char *what, const char *where)
{
	if (sim.in)
		crash("%s in %s%s", what, sim.in, where);
}

void __asan_on_error(void)
{
	char place[64];

	/* The return address of the report's call. */
	place_of_code(place, sizeof(place), (u64)__asan_get_report_pc() - 1);
	on_finding(__asan_get_report_description(), place);
}

void __ubsan_get_current_report_data(const char **kind, const char **message, const char **file,
				     unsigned *line, unsigned *column, char **address);
void __ubsan_on_report(void);

void __ubsan_on_report(void)
{
	const char *kind, *message, *file, *base;
	unsigned line, column;
	char *address, place[256];

	__ubsan_get_current_report_data(&kind, &message, &file, &line, &column, &address);
	base = strrchr(file, '/');
	snprintf(place, sizeof(place), " at %s:%u", base ? base + 1 : file, line);
	on_finding(message, place);
}

const char *__asan_default_options(void)
{
	return "detect_leaks=0:print_legend=0:hard_rss_limit_mb=4096:allocator_may_return_null=1:"
	       "handle_segv=0:handle_sigbus=0:handle_sigfpe=0:handle_sigill=0:detect_odr_violation="
	       "0";
}
#endif

__attribute__((no_sanitize("address"))) static void on_crash(int number, siginfo_t *about,
							     void *context)
{
	const char *what = number == SIGFPE ? "division by zero" : "invalid memory access";
	char place[64];

	(void)about;
	place_of_code(place, sizeof(place), instruction(context));

	if (!sim.in) {
		/* Our own code, so a defect: die of it. */
		signal(number, SIG_DFL);
		raise(number);
		return;
	}
	crash("%s in %s%s", what, sim.in, place);
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
	crash("%s does not end", sim.in);
}

static void catch_crashes(void)
{
	stack_t stack = {.ss_sp = own_stack, .ss_size = sizeof(own_stack)};
	struct sigaction crash = {.sa_sigaction = on_crash,
				  .sa_flags = SA_ONSTACK | SA_NODEFER | SA_SIGINFO};
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

/*
 * A candidate can see addresses. To make them equal in each run, the process restarts itself
 * once.
 */
static void same_places(char **argv)
{
	int now = personality(0xffffffff);

	if (now == -1 || now & ADDR_NO_RANDOMIZE || personality(now | ADDR_NO_RANDOMIZE) == -1)
		return;
	execv("/proc/self/exe", argv);
	execv(argv[0], argv);
}

int main(int argc, char **argv)
{
	const char *library = NULL, *object = NULL, *scenario = NULL, *trace = NULL;
	extern int sd_llc_id[];

	same_places(argv);
	for (int i = 1; i + 1 < argc; i += 2) {
		if (!strcmp(argv[i], "--trace"))
			trace = argv[i + 1];
		else if (!strcmp(argv[i], "--library"))
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
	if (trace && !trace_to(trace)) {
		fprintf(stderr, "%s cannot be written\n", trace);
		return 2;
	}
	for (s32 i = 0; i < sim.want.cpus; i++)
		sd_llc_id[i] = i / sim.want.llc_cpus * sim.want.llc_cpus;
	sim.class = library ? &ext_class : &fair_class;
	if (library)
		load_candidate(library, object ? object : "", argv + 1);
	if (!sim.over) {
		catch_crashes();
		if (!sigsetjmp(out, 1))
			run_simulation();
		else
			sim.ended_at = sim.now;
	}
	trace_end();
	write_report(library ? "candidate" : "default");
	return 0;
}
