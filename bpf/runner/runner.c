// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * schedpilot-runner: holds one sched_ext scheduler in the kernel, under a lease.
 *
 *   schedpilot-runner --object X.bpf.o [--set NAME=VALUE]... --lease SECONDS [--stats SECONDS]
 *   schedpilot-runner --object X.bpf.o [--set NAME=VALUE]... --verify-only
 *   schedpilot-runner --object X.bpf.o --describe
 *
 * Standard input takes commands, one per line: `renew`, `set NAME VALUE`, `put MAP KEYHEX
 * VALUEHEX`, `del MAP KEYHEX`, `detach`. Its end means that the owner is gone. Standard
 * output has one JSON object per line and nothing else: verified, described, attached, stats,
 * set, put, del, refused, exited, detached, failed.
 *
 * The lease begins when the scheduler is confirmed (`attached`). The scheduler is detached if
 * the lease is not renewed in time, when standard input ends, on `detach` and on SIGTERM,
 * SIGINT, SIGHUP. If this process dies in any way the kernel closes its link, and so ends the
 * scheduler. The runner guards the scheduler of all other processes, so it runs real-time
 * (SCHED_FIFO), with its memory locked.
 *
 * Only the scheduler (struct_ops) of an object is attached. Its programs of other kinds are
 * verified and stay inactive.
 *
 * Exit status: 0 ended as requested (verified, described, detach, end of input, signal); 2
 * wrong usage; 3 failed before it was enabled; 4 ejected by the kernel; 5 lease ran out.
 */
#include <errno.h>
#include <malloc.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <bpf/libbpf.h>

#include "common/clock.h"
#include "common/json.h"
#include "runner/runner.h"

#define LINE_MAX_LEN 16384
/* Above every fair and ext task, below threaded interrupts (50). */
#define PRIORITY 10
/* How often the exit record and the kernel's state are read. */
#define WATCH_MS 100
/* How long to wait for a slow reader once nothing else is left to do. */
#define LAST_WORDS_MS 2000

static struct scheduler sched;
static int lease_timer = -1;

static int give_up(const struct failure *fail)
{
	json_begin("failed");
	json_string("ops", sched.name);
	failed(fail);
	if (fail->ejected) {
		json_open("exit", '{');
		sched_json_exit(&sched);
		json_close('}');
	}
	json_end();
	return FAILED;
}

static int apply_settings(void)
{
	struct failure fail = {.stage = "set"};

	for (int i = 0; i < options.nr_settings; i++) {
		char *equals = strchr(options.settings[i], '=');
		int err;

		*equals = '\0';
		err = vars_set(&sched, options.settings[i], equals + 1, false, fail.message,
			       sizeof(fail.message));
		if (err) {
			fail.error = -err;
			return give_up(&fail);
		}
	}
	return 0;
}

/* Make this process one that no scheduler below it can keep from running. Refusals are reported. */
static void become_guard(char *warning, size_t size)
{
	struct sched_param priority = {.sched_priority = PRIORITY};

	warning[0] = '\0';
	forget_log();
	malloc_trim(0);
	prctl(PR_SET_TIMERSLACK, 1UL);
	if (sched_setscheduler(0, SCHED_FIFO, &priority))
		snprintf(warning, size, "no real-time priority (%s)", strerror(errno));
	if (mlockall(MCL_CURRENT))
		snprintf(warning + strlen(warning), size - strlen(warning),
			 "%sno locked memory (%s)", *warning ? ", " : "", strerror(errno));
}

static void arm(int timer, double interval, bool periodic)
{
	struct itimerspec when = {
	    .it_value.tv_sec = (time_t)interval,
	    .it_value.tv_nsec = (long)((interval - (time_t)interval) * 1e9),
	};

	if (periodic)
		when.it_interval = when.it_value;
	timerfd_settime(timer, 0, &when, NULL);
}

static void answer(const char *command, const char *name, int err, const char *why)
{
	json_begin(err ? "refused" : command);
	if (err)
		json_string("command", command);
	json_string("name", name);
	if (err) {
		json_int("errno", -err);
		json_string("why", why);
	}
	json_end();
}

/* One command. True when it is `detach`. */
static bool obey(char *line)
{
	char why[512] = "", *rest, *word = strtok_r(line, " \t\r", &rest);
	char *first = word ? strtok_r(NULL, " \t\r", &rest) : NULL;
	char *second = first ? strtok_r(NULL, " \t\r", &rest) : NULL;
	char *third = second ? strtok_r(NULL, " \t\r", &rest) : NULL;

	if (!word)
		return false;
	if (!strcmp(word, "detach"))
		return true;
	if (!strcmp(word, "renew") && !first)
		arm(lease_timer, options.lease, false);
	else if (!strcmp(word, "set") && second && !third)
		answer(word, first, vars_set(&sched, first, second, true, why, sizeof(why)), why);
	else if (!strcmp(word, "put") && third)
		answer(word, first, sched_put(&sched, first, second, third, why, sizeof(why)), why);
	else if (!strcmp(word, "del") && second && !third)
		answer(word, first, sched_put(&sched, first, second, NULL, why, sizeof(why)), why);
	else
		answer("command", word, -EINVAL, "no such command, or wrong number of words");
	return false;
}

/* Read the available input. NULL, or why to detach. */
static const char *read_commands(void)
{
	static char line[LINE_MAX_LEN];
	static size_t length;
	static bool skipping;
	char *end;
	ssize_t n = read(STDIN_FILENO, line + length, sizeof(line) - length);

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return NULL;
	if (n <= 0)
		return "stdin-closed";
	length += n;
	while ((end = memchr(line, '\n', length))) {
		size_t used = end - line + 1;

		*end = '\0';
		if (!skipping && obey(line))
			return "request";
		skipping = false;
		memmove(line, line + used, length - used);
		length -= used;
	}
	if (length == sizeof(line)) {
		if (!skipping)
			answer("command", "", -E2BIG, "the line is too long");
		skipping = true;
		length = 0;
	}
	return NULL;
}

static void tell_stats(void)
{
	struct scx_state state;

	if (json_backlog())
		return;
	scx_read(&state);
	json_begin("stats");
	json_int("monotonic_ms", now_ms());
	json_string("state", state.state);
	json_int("nr_rejected", state.nr_rejected);
	scx_json_events();
	sched_json_counters(&sched);
	json_end();
}

/*
 * Whether the scheduler is still in the kernel. The record is checked first, which costs
 * nothing.
 */
static bool still_ours(void)
{
	struct scx_state state;

	if (sched_exited(&sched))
		return false;
	scx_read(&state);
	return !strcmp(state.state, "enabled") && !strcmp(state.ops, sched.name);
}

/* Run until there is a reason to end. NULL: the scheduler is gone by itself. */
static const char *watch(int signals, int stats_timer, int watch_timer)
{
	struct pollfd on[] = {
	    {.fd = STDIN_FILENO, .events = POLLIN}, {.fd = signals, .events = POLLIN},
	    {.fd = lease_timer, .events = POLLIN},  {.fd = watch_timer, .events = POLLIN},
	    {.fd = stats_timer, .events = POLLIN},
	};
	uint64_t expired;

	for (;;) {
		const char *why;

		if (poll(on, 5, -1) < 0)
			continue;
		/* Commands first: a renewal that has arrived counts, however late we are. */
		if (on[0].revents) {
			why = read_commands();
			if (why)
				return why;
		}
		if (on[1].revents)
			return "signal";
		if (on[2].revents && read(lease_timer, &expired, sizeof(expired)) > 0)
			return "lease";
		if (on[3].revents && read(watch_timer, &expired, sizeof(expired)) > 0) {
			send_waiting(0);
			if (!still_ours())
				return NULL;
		}
		if (on[4].revents && read(stats_timer, &expired, sizeof(expired)) > 0)
			tell_stats();
	}
}

static int hold(int signals, const char *warning, long long enable_ms)
{
	int stats_timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	int watch_timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	struct scx_state state;
	long long start;
	const char *why;

	lease_timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	arm(lease_timer, options.lease, false);
	scx_read(&state);
	json_begin("attached");
	json_string("ops", sched.name);
	json_int("enable_seq", state.enable_seq);
	json_int("enable_ms", enable_ms);
	json_string("warning", warning);
	json_end();

	arm(watch_timer, WATCH_MS / 1000.0, true);
	if (options.stats)
		arm(stats_timer, options.stats, true);
	why = watch(signals, stats_timer, watch_timer);
	start = now_ms();
	sched_detach(&sched);
	/* We wanted to end it, and the kernel ended it at the same moment: the record decides. */
	if (!why || (sched_exited(&sched) && sched.record->kind > 64)) {
		json_begin("exited");
		json_string("ops", sched.name);
		sched_json_exit(&sched);
		json_end();
		return EJECTED;
	}
	scx_read(&state);
	json_begin("detached");
	json_string("ops", sched.name);
	json_string("why", why);
	json_string("state", state.state);
	json_int("disable_ms", now_ms() - start);
	json_end();
	return strcmp(why, "lease") ? ENDED : LEASE;
}

static int run(int signals)
{
	struct failure fail = {.stage = "open"};
	char warning[256];
	long long start = now_ms();
	int err;

	if (sched_open(&sched, options.object, &fail))
		return give_up(&fail);
	err = apply_settings();
	if (err)
		return err;
	if (options.describe) {
		json_begin("described");
		json_string("ops", sched.name);
		vars_json(&sched);
		sched_json_maps(&sched);
		json_end();
		return ENDED;
	}
	if (sched_load(&sched, &fail))
		return give_up(&fail);
	json_begin("verified");
	json_string("ops", sched.name);
	json_int("load_ms", now_ms() - start);
	json_end();
	if (options.verify_only)
		return ENDED;

	become_guard(warning, sizeof(warning));
	start = now_ms();
	if (sched_attach(&sched, &fail))
		return give_up(&fail);
	return hold(signals, warning, now_ms() - start);
}

int main(int argc, char **argv)
{
	sigset_t set;
	int status;

	if (argc == 2 && !strcmp(argv[1], "--version")) {
		printf("schedpilot-runner, libbpf %s\n", libbpf_version_string());
		return ENDED;
	}
	if (!options_parse(argc, argv))
		return USAGE;
	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	status = run(signalfd(-1, &set, SFD_CLOEXEC));
	send_waiting(LAST_WORDS_MS);
	return status;
}
