// SPDX-License-Identifier: GPL-2.0-only
/*
 * schedpilot-signals: how well the workloads of this machine are scheduled, one JSON object
 * a line.
 *
 *	schedpilot-signals [--interval SECONDS] [--max-workloads N]
 *
 * Standard input, a line each: `interval SECONDS` changes the interval, `flush` reports at
 * once, `processes none|exits|all` says which single processes are told: none (at first),
 * those that ended, or each exec, too; its end ends the program. Standard output carries the
 * JSON lines and nothing else.
 * The measuring itself is in signals.bpf.c; the shape of a line is in signals.py.
 */
#include <errno.h>
#include <getopt.h>
#include <malloc.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>
#include <bpf/libbpf.h>
#include "signals.h"
#include "signals_accounts.h"
#include "signals_json.h"
#include "signals_machine.h"
#include "signals_processes.h"
#include "signals_system.h"

/* Seconds. */
#define MIN_INTERVAL 0.05
#define MAX_INTERVAL 3600.0
#define MAX_COMMAND  256
/* Many execs at once are told together, this far apart, ns. */
#define BREATH_NS (NSEC / 50)

/* ---- Histograms ---- */

static uint64_t bucket_upper(unsigned int bucket)
{
	unsigned int octave, sub;

	if (!bucket)
		return 1ULL << SIGNALS_MIN_SHIFT;
	octave = (bucket - 1) >> SIGNALS_SUB_SHIFT;
	sub = (bucket - 1) & ((1 << SIGNALS_SUB_SHIFT) - 1);
	return ((1ULL << SIGNALS_SUB_SHIFT) + sub + 1)
	       << (SIGNALS_MIN_SHIFT - SIGNALS_SUB_SHIFT + octave);
}

static uint64_t bucket_lower(unsigned int bucket)
{
	return bucket ? bucket_upper(bucket - 1) : 0;
}

/* The value below which the share `q` of all lies, linear within its bucket. */
static uint64_t percentile(const uint32_t *histogram, uint64_t total, double q, uint64_t max)
{
	double rank = q * total, before = 0;
	uint64_t lower, upper;
	unsigned int i;

	for (i = 0; i < SIGNALS_BUCKETS; i++) {
		if (histogram[i] && before + histogram[i] >= rank) {
			lower = bucket_lower(i);
			upper = bucket_upper(i) < max ? bucket_upper(i) : max;
			if (upper < lower)
				upper = lower;
			return lower + (upper - lower) * ((rank - before) / histogram[i]);
		}
		before += histogram[i];
	}
	return max;
}

static void put_histogram(const char *name, const uint32_t *histogram, uint64_t sum_ns,
			  uint64_t max_ns)
{
	uint64_t total = 0;
	unsigned int i, top = 0;
	bool first = true;

	for (i = 0; i < SIGNALS_BUCKETS; i++) {
		total += histogram[i];
		if (histogram[i])
			top = i;
	}
	/* An event between our reading and the turn of the interval may have taken the
	 * maximum with it; the histogram still has it. */
	if (total && max_ns < bucket_lower(top))
		max_ns = bucket_upper(top);
	putf("\"%s\":{\"count\":%llu,\"sum\":", name, (unsigned long long)total);
	put_us(sum_ns);
	putf(",\"p50\":");
	put_us(percentile(histogram, total, 0.50, max_ns));
	putf(",\"p90\":");
	put_us(percentile(histogram, total, 0.90, max_ns));
	putf(",\"p99\":");
	put_us(percentile(histogram, total, 0.99, max_ns));
	putf(",\"max\":");
	put_us(max_ns);
	putf(",\"hist\":[");
	for (i = 0; i < SIGNALS_BUCKETS; i++) {
		if (!histogram[i])
			continue;
		putf("%s[", first ? "" : ",");
		put_us(bucket_upper(i));
		putf(",%u]", histogram[i]);
		first = false;
	}
	putf("]}");
}

/* ---- A report ---- */

static void put_workload(const struct account *account)
{
	const struct workload_figures *change = &account->change;
	uint64_t stayed = account->slices > change->sleeps ? account->slices - change->sleeps : 0;

	putf("{\"id\":");
	put_id(account);
	putf(",\"threads\":%llu,", (unsigned long long)change->threads);
	put_histogram("delay_us", change->delays, change->delay_ns, change->delay_max_ns);
	putf(",");
	put_histogram("slice_us", change->slices, change->slice_ns, change->slice_max_ns);
	putf(",\"wakeups\":%llu,\"migrations\":%llu,\"involuntary\":%llu,\"exits\":%llu,"
	     "\"run_us\":",
	     (unsigned long long)change->sleeps, (unsigned long long)change->migrations,
	     (unsigned long long)stayed, (unsigned long long)change->exits);
	put_us(change->slice_ns);
	putf("}");
}

/*
 * What happened since the last report. The first is not printed: it sets the point to
 * count from. False when nobody reads any more.
 */
static bool report(unsigned int max_workloads)
{
	static uint64_t last;
	uint64_t now = clock_ns(CLOCK_BOOTTIME);
	double interval_s = last ? (now - last) / 1e9 : 1;
	unsigned int i, count, listed;
	struct account **accounts = read_accounts(now, &count);
	struct losses lost = take_losses();
	bool first = !last;

	last = now;
	/* Now that the workloads have their names. */
	if (!tell_processes())
		return false;
	listed = count < max_workloads ? count : max_workloads;
	putf("{\"v\":1,\"t_ns\":%llu,\"time\":%.3f,\"interval_s\":%.6f,", (unsigned long long)now,
	     clock_ns(CLOCK_REALTIME) / 1e9, interval_s);
	put_machine(interval_s);
	putf(",\"workloads\":[");
	for (i = 0; i < listed; i++) {
		if (i)
			putf(",");
		put_workload(accounts[i]);
	}
	putf("],\"left_out\":%u,\"lost\":%llu,\"lost_execs\":%llu,\"lost_exits\":%llu}",
	     count - listed, (unsigned long long)lost.switches, (unsigned long long)lost.execs,
	     (unsigned long long)lost.exits);
	if (!first)
		return send_line();
	drop_line();
	return true;
}

/* ---- The loop ---- */

static bool parse_interval(const char *text, double *interval)
{
	char *end;
	double value = strtod(text, &end);

	if (end == text || *end || !(value >= MIN_INTERVAL && value <= MAX_INTERVAL))
		return false;
	*interval = value;
	return true;
}

static void set_timer(int timer, double interval)
{
	struct itimerspec when = {};

	when.it_value.tv_sec = when.it_interval.tv_sec = interval;
	when.it_value.tv_nsec = when.it_interval.tv_nsec = (interval - floor(interval)) * 1e9;
	timerfd_settime(timer, 0, &when, NULL);
}

/* Obeys one line of standard input. False when nobody reads any more. */
static bool obey(const char *command, int timer, double *interval, unsigned int max_workloads)
{
	if (!strncmp(command, "interval ", 9) && parse_interval(command + 9, interval)) {
		set_timer(timer, *interval);
		return true;
	}
	if (!strcmp(command, "flush")) {
		set_timer(timer, *interval);
		return report(max_workloads);
	}
	if (!strncmp(command, "processes ", 10) && choose_processes(command + 10))
		return true;
	say("not understood: `interval SECONDS` (%g to %g), `flush` or `processes "
	    "none|exits|all` was expected",
	    MIN_INTERVAL, MAX_INTERVAL);
	return true;
}

static int watch(double interval, unsigned int max_workloads)
{
	int timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	struct pollfd wait[3] = {{.fd = STDIN_FILENO, .events = POLLIN},
				 {.fd = timer, .events = POLLIN},
				 {.fd = processes_fd(), .events = POLLIN}};
	char command[MAX_COMMAND], *end;
	uint64_t ticks, now, told = 0;
	size_t length = 0;
	ssize_t count;
	bool rests;

	if (timer < 0 || !report(max_workloads))
		return 1;
	set_timer(timer, interval);
	for (;;) {
		now = clock_ns(CLOCK_BOOTTIME);
		rests = now - told < BREATH_NS;
		if (poll(wait, rests ? 2 : 3, rests ? BREATH_NS / (NSEC / 1000) : -1) < 0) {
			if (errno == EINTR)
				continue;
			return 1;
		}
		if (!rests && wait[2].revents) {
			told = clock_ns(CLOCK_BOOTTIME);
			if (!tell_processes())
				return 0;
		}
		if (wait[0].revents) {
			count = read(STDIN_FILENO, command + length, sizeof(command) - 1 - length);
			if (count <= 0)
				return 0;
			length += count;
			command[length] = 0;
			while ((end = memchr(command, '\n', length))) {
				*end = 0;
				if (!obey(command, timer, &interval, max_workloads))
					return 0;
				length -= end + 1 - command;
				memmove(command, end + 1, length);
			}
			if (length == sizeof(command) - 1)
				length = 0;
		}
		if (read(timer, &ticks, sizeof(ticks)) == sizeof(ticks) && !report(max_workloads))
			return 0;
	}
}

/* False (with the reason said) when this kernel does not keep sched_info. */
static bool kernel_counts_waits(void)
{
	unsigned long long run, wait, stays = 0;
	char text[128];

	if (slurp("/proc/self/schedstat", text, sizeof(text)) &&
	    sscanf(text, "%llu %llu %llu", &run, &wait, &stays) == 3 && stays)
		return true;
	say("this kernel does not account run-queue delay (it needs CONFIG_SCHEDSTATS, or "
	    "CONFIG_TASK_DELAY_ACCT and `sysctl kernel.task_delayacct=1`)");
	return false;
}

static int usage(void)
{
	say("usage: schedpilot-signals [--interval SECONDS] [--max-workloads N]");
	return 2;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
	    {"interval", required_argument, NULL, 'i'},
	    {"max-workloads", required_argument, NULL, 'm'},
	    {},
	};
	double interval = 5;
	long max_workloads = 512;
	char *end;
	int option, cpus;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == 'i') {
			if (!parse_interval(optarg, &interval))
				return usage();
		} else if (option == 'm') {
			max_workloads = strtol(optarg, &end, 10);
			if (end == optarg || *end || max_workloads < 1 ||
			    max_workloads > SIGNALS_MAX_ACCOUNTS)
				return usage();
		} else {
			return usage();
		}
	}
	if (optind != argc)
		return usage();
	signal(SIGPIPE, SIG_IGN);
	if (!kernel_counts_waits())
		return 1;
	cpus = libbpf_num_possible_cpus();
	if (cpus <= 0) {
		say("cannot tell the number of CPUs: %s", strerror(-cpus));
		return 1;
	}
	open_counters(cpus);
	if (!open_accounts(max_workloads, cpus) || !open_processes())
		return 1;
	/* Loading took megabytes for type information that nobody needs any more. */
	malloc_trim(0);
	return watch(interval, max_workloads);
}
