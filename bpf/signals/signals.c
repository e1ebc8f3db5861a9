// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * schedpilot-signals: how well the workloads of this machine are scheduled, one JSON object
 * per line.
 *
 *	schedpilot-signals [--interval SECONDS] [--max-workloads N]
 *
 * Standard input, one command per line: `interval SECONDS` changes the interval, `flush`
 * reports at once, `processes none|exits|all` sets which single processes are reported: none
 * (at first), those that ended, or each exec, too; its end ends the program. Standard output
 * carries the JSON lines and nothing else. The measuring itself is in signals.bpf.c;
 * source.py describes a line.
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
#include "common/clock.h"
#include "signals/signals.h"
#include "signals/accounts.h"
#include "common/json.h"
#include "signals/machine.h"
#include "signals/processes.h"
#include "common/system.h"

/* Seconds. */
#define MIN_INTERVAL 0.05
#define MAX_INTERVAL 3600.0
#define MAX_COMMAND  256
/* Workloads beyond this much text are left out: a line must end somewhere, bytes. */
#define MOST_BYTES (3 << 20)
/* Many execs at once are reported together, this far apart, ns. */
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

static void put_histogram(const char *name, const uint32_t *histogram, struct total sum)
{
	uint64_t total = 0, max_ns = sum.max_ns;
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
	put_us(sum.sum_ns);
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

static void count(uint32_t *histogram, struct total *sum, uint64_t ns)
{
	unsigned int low = 0, high = SIGNALS_BUCKETS - 1, middle;

	while (low < high) {
		middle = (low + high) / 2;
		if (ns < bucket_upper(middle))
			high = middle;
		else
			low = middle + 1;
	}
	histogram[low]++;
	sum->sum_ns += ns;
	if (ns > sum->max_ns)
		sum->max_ns = ns;
}

/* ---- A report ---- */

struct listed {
	uint64_t run_ns;
	struct piece text;
};

static struct {
	struct listed *all;
	unsigned int count, size;
} workloads;

/* Unfinished activations: threads, and the processes they belong to, each once. */
static void put_open(const struct changes *changes, struct total *waits, struct waiter *longest)
{
	uint32_t threads[SIGNALS_BUCKETS] = {}, jobs[SIGNALS_BUCKETS] = {};
	struct total ages = {}, job_ages = {};
	const struct open_activation *each;
	unsigned int i;

	for (i = 0; i < changes->open_count; i++) {
		each = &changes->open[i];
		count(threads, &ages, each->age_ns);
		if (each->tgid && (!i || changes->open[i - 1].tgid != each->tgid))
			count(jobs, &job_ages, each->job_ns);
		if (each->wait_ns > waits->max_ns) {
			waits->max_ns = each->wait_ns;
			*longest = each->who;
		}
	}
	put_histogram("open_us", threads, ages);
	putf(",");
	put_histogram("open_jobs_us", jobs, job_ages);
}

static void put_longest(struct total waits, const struct waiter *who)
{
	char comm[SIGNALS_COMM_LEN + 1] = {};

	putf(",\"longest\":");
	if (!waits.max_ns) {
		putf("null");
		return;
	}
	memcpy(comm, who->comm, SIGNALS_COMM_LEN);
	putf("{\"comm\":");
	put_string("", comm);
	putf(",\"pid\":%u,\"delay_us\":", who->pid);
	put_us(waits.max_ns);
	putf("}");
}

static void put_workload(const struct account *account, const struct changes *changes)
{
	static const char *const names[DURATIONS] = {
	    [DELAY] = "delay_us",
	    [SLICE] = "slice_us",
	    [RESPONSE] = "response_us",
	    [BURST] = "burst_us",
	};
	const struct workload_figures *change = &changes->figures;
	uint64_t stayed = changes->slices > change->sleeps ? changes->slices - change->sleeps : 0;
	struct total waits = change->totals[DELAY];
	struct waiter longest = change->longest;
	unsigned int i;

	putf("{\"id\":");
	put_id(account);
	putf(",\"threads\":%llu,", (unsigned long long)change->threads);
	for (i = 0; i < DURATIONS; i++) {
		put_histogram(names[i], change->counts[i], change->totals[i]);
		putf(",");
	}
	put_histogram("turnaround_us", changes->jobs.counts, changes->jobs.total);
	putf(",");
	put_open(changes, &waits, &longest);
	put_longest(waits, &longest);
	putf(",\"wakeups\":%llu,\"migrations\":%llu,\"involuntary\":%llu,\"exits\":%llu,"
	     "\"run_us\":",
	     (unsigned long long)change->sleeps, (unsigned long long)change->migrations,
	     (unsigned long long)stayed, (unsigned long long)change->exits);
	put_us(change->totals[SLICE].sum_ns);
	putf(",\"waited_us\":");
	put_us(change->waited_ns);
	putf(",\"preempted_us\":");
	put_us(change->preempted_ns);
	putf("}");
}

static void list(const struct account *account, const struct changes *changes)
{
	struct listed *listed;

	if (workloads.count == workloads.size) {
		workloads.size = workloads.size * 2 + 64;
		workloads.all =
		    must(realloc(workloads.all, workloads.size * sizeof(*workloads.all)));
	}
	listed = &workloads.all[workloads.count++];
	listed->run_ns = changes->figures.totals[SLICE].sum_ns;
	listed->text.start = line_length();
	put_workload(account, changes);
	listed->text.length = line_length() - listed->text.start;
}

static int by_run_time(const void *left, const void *right)
{
	const struct listed *a = left, *b = right;

	if (a->run_ns != b->run_ns)
		return a->run_ns < b->run_ns ? 1 : -1;
	return a->text.start < b->text.start ? -1 : a->text.start > b->text.start;
}

/* Writes the workloads, most CPU time first, and how many were left out. */
static unsigned int put_workloads(uint64_t now, unsigned int most)
{
	size_t start = line_length(), bytes = 0;
	struct piece *pieces;
	unsigned int count;

	workloads.count = 0;
	read_accounts(now, list);
	qsort(workloads.all, workloads.count, sizeof(*workloads.all), by_run_time);
	pieces = must(calloc(workloads.count + 1, sizeof(*pieces)));
	for (count = 0; count < workloads.count && count < most; count++) {
		pieces[count] = workloads.all[count].text;
		bytes += pieces[count].length;
		if (bytes > MOST_BYTES)
			break;
	}
	join_pieces(start, pieces, count);
	free(pieces);
	return workloads.count - count;
}

/*
 * The changes since the last report. The first is not printed: it sets the starting point.
 * False if nobody reads any more.
 */
static bool report(unsigned int max_workloads)
{
	static uint64_t last;
	uint64_t now = clock_ns(CLOCK_BOOTTIME);
	double interval_s = last ? (now - last) / 1e9 : 1;
	bool first = !last;
	unsigned int left_out;
	struct losses lost;

	last = now;
	find_accounts(now);
	/* Now that the workloads have their names. */
	if (!tell_processes())
		return false;
	putf("{\"v\":1,\"t_ns\":%llu,\"time\":%.3f,\"interval_s\":%.6f,", (unsigned long long)now,
	     clock_ns(CLOCK_REALTIME) / 1e9, interval_s);
	put_machine(interval_s);
	putf(",\"workloads\":[");
	left_out = put_workloads(now, max_workloads);
	lost = take_losses();
	putf("],\"left_out\":%u,\"lost\":%llu,\"lost_execs\":%llu,\"lost_exits\":%llu,"
	     "\"sees_open\":%s,\"sees_turns\":%s,\"per_octave\":%u}",
	     left_out, (unsigned long long)lost.switches, (unsigned long long)lost.execs,
	     (unsigned long long)lost.exits, sees_open() ? "true" : "false",
	     sees_turns() ? "true" : "false", 1U << SIGNALS_SUB_SHIFT);
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

/* Executes one line of standard input. False if nobody reads any more. */
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

/* False (after reporting the reason) if this kernel does not keep sched_info. */
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
		say("cannot find the number of CPUs: %s", strerror(-cpus));
		return 1;
	}
	open_counters(cpus);
	if (!open_accounts(max_workloads, cpus) || !open_processes())
		return 1;
	/* Loading took megabytes for type information that is no longer needed. */
	malloc_trim(0);
	return watch(interval, max_workloads);
}
