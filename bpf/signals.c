// SPDX-License-Identifier: GPL-2.0-only
/*
 * schedpilot-signals: how well the workloads of this machine are scheduled, one JSON object
 * a line.
 *
 *	schedpilot-signals [--interval SECONDS] [--max-workloads N]
 *
 * Standard input, a line each: `interval SECONDS` changes the interval, `flush` reports at
 * once; its end ends the program. Standard output carries the JSON lines and nothing else.
 * The measuring itself is in signals.bpf.c; the shape of a line is in signals.py.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <linux/magic.h>
#include <linux/perf_event.h>
#include <malloc.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include "signals.h"
#include "signals.skel.h"

#define NSEC 1000000000ULL
/* Kernel memory that the figures of all accounts on all CPUs may take, bytes. */
#define FIGURES_BYTES (64ULL << 20)
#define MIN_ACCOUNTS  128
/* After this long without a switch a workload's account is given back, ns. */
#define IDLE_NS	      (60 * NSEC)
#define MIN_INTERVAL  0.05
#define MAX_INTERVAL  3600.0
#define MAX_DEPTH     64
#define MAX_EVENTS    64
#define MAX_COMMAND   256
#define RESOLVE_TRIES 2

static void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void say(const char *format, ...)
{
	va_list arguments;

	fputs("schedpilot-signals: ", stderr);
	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fputc('\n', stderr);
}

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return now.tv_sec * NSEC + now.tv_nsec;
}

static void *must(void *memory)
{
	if (memory)
		return memory;
	say("out of memory");
	exit(1);
}

/* ---- One line of JSON ---- */

static struct {
	char *text;
	size_t length, size;
} line;

static void put(const char *text, size_t length)
{
	if (line.length + length + 1 > line.size) {
		line.size = (line.length + length + 1) * 3 / 2 + 4096;
		line.text = must(realloc(line.text, line.size));
	}
	memcpy(line.text + line.length, text, length);
	line.length += length;
}

static void putf(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* For short things; names go through put_string. */
static void putf(const char *format, ...)
{
	char text[256];
	va_list arguments;
	int length;

	va_start(arguments, format);
	length = vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	put(text, length < (int)sizeof(text) ? (size_t)length : sizeof(text) - 1);
}

/* Nanoseconds as microseconds, exact and without needless zeros. */
static void put_us(uint64_t ns)
{
	unsigned int rest = ns % 1000;

	putf("%llu", (unsigned long long)(ns / 1000));
	if (!rest)
		return;
	if (rest % 100 == 0)
		putf(".%u", rest / 100);
	else if (rest % 10 == 0)
		putf(".%02u", rest / 10);
	else
		putf(".%03u", rest);
}

/* The length of the valid UTF-8 character here (RFC 3629), or 0. */
static size_t utf8_length(const unsigned char *text, size_t left)
{
	uint32_t point;
	size_t length, i;

	if (text[0] < 0x80)
		return 1;
	if (text[0] >= 0xc2 && text[0] <= 0xdf) {
		length = 2;
		point = text[0] & 0x1f;
	} else if ((text[0] & 0xf0) == 0xe0) {
		length = 3;
		point = text[0] & 0x0f;
	} else if (text[0] >= 0xf0 && text[0] <= 0xf4) {
		length = 4;
		point = text[0] & 0x07;
	} else {
		return 0;
	}
	if (left < length)
		return 0;
	for (i = 1; i < length; i++) {
		if ((text[i] & 0xc0) != 0x80)
			return 0;
		point = point << 6 | (text[i] & 0x3f);
	}
	if (length == 3 && (point < 0x800 || (point >= 0xd800 && point <= 0xdfff)))
		return 0;
	if (length == 4 && (point < 0x10000 || point > 0x10ffff))
		return 0;
	return length;
}

/*
 * Names are whatever their owner made them. Bytes that are not UTF-8 appear as the four
 * characters \xNN, so that the line stays valid JSON and a person can read the name.
 */
static void put_escaped(const char *name)
{
	const unsigned char *at = (const unsigned char *)name;
	size_t left = strlen(name), length;

	for (; left; at += length, left -= length) {
		length = utf8_length(at, left);
		if (!length) {
			putf("\\\\x%02x", *at);
			length = 1;
		} else if (*at < 0x20 || *at == 0x7f) {
			putf("\\u%04x", *at);
		} else if (*at == '"' || *at == '\\') {
			putf("\\%c", *at);
		} else {
			put((const char *)at, length);
		}
	}
}

static void put_string(const char *prefix, const char *name)
{
	put("\"", 1);
	put_escaped(prefix);
	put_escaped(name);
	put("\"", 1);
}

/* False when nobody reads any more. */
static bool send_line(void)
{
	size_t sent = 0;
	ssize_t count;

	put("\n", 1);
	while (sent < line.length) {
		count = write(STDOUT_FILENO, line.text + sent, line.length - sent);
		if (count < 0 && errno == EINTR)
			continue;
		if (count < 0)
			return false;
		sent += count;
	}
	line.length = 0;
	return true;
}

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

/* ---- Accounts: from the kernel's figures to what one workload did in this interval ---- */

struct account {
	struct workload_key key;
	struct workload_figures before; /* summed over the CPUs */
	struct workload_figures change;
	char *name;
	uint64_t active_ns;
	int tries;
	bool used;
	bool retired; /* unknown to the kernel since the last interval; free in the next */
};

static struct {
	struct signals *kernel;
	struct workload_figures *per_cpu;
	struct account *accounts;
	unsigned int count, cpus;
	struct workload_key *keys;
	uint32_t *values;
	uint64_t lost, overflows;
} state;

static void read_figures(unsigned int index, uint64_t epoch)
{
	struct account *account = &state.accounts[index];
	struct workload_figures *before = &account->before, *change = &account->change;
	struct workload_figures now = {};
	const struct workload_figures *part;
	unsigned int cpu, i;

	if (bpf_map_lookup_elem(bpf_map__fd(state.kernel->maps.figures), &index, state.per_cpu))
		return;
	for (cpu = 0; cpu < state.cpus; cpu++) {
		part = &state.per_cpu[cpu];
		now.delay_ns += part->delay_ns;
		now.slice_ns += part->slice_ns;
		now.sleeps += part->sleeps;
		now.migrations += part->migrations;
		now.threads += part->threads;
		for (i = 0; i < SIGNALS_BUCKETS; i++) {
			now.delays[i] += part->delays[i];
			now.slices[i] += part->slices[i];
		}
		if (part->epoch != epoch)
			continue;
		if (part->delay_max_ns > now.delay_max_ns)
			now.delay_max_ns = part->delay_max_ns;
		if (part->slice_max_ns > now.slice_max_ns)
			now.slice_max_ns = part->slice_max_ns;
	}
	*change = now;
	change->delay_ns -= before->delay_ns;
	change->slice_ns -= before->slice_ns;
	change->sleeps -= before->sleeps;
	change->migrations -= before->migrations;
	change->threads -= before->threads;
	for (i = 0; i < SIGNALS_BUCKETS; i++) {
		change->delays[i] -= before->delays[i];
		change->slices[i] -= before->slices[i];
	}
	*before = now;
}

static uint64_t total_of(const uint32_t *histogram)
{
	uint64_t total = 0;
	unsigned int i;

	for (i = 0; i < SIGNALS_BUCKETS; i++)
		total += histogram[i];
	return total;
}

static void forget(struct account *account)
{
	free(account->name);
	account->name = NULL;
	account->tries = 0;
	account->used = false;
}

/* Brings every account up to date with the kernel's. */
static void read_accounts(uint64_t now)
{
	int accounts = bpf_map__fd(state.kernel->maps.accounts);
	int unclaimed = bpf_map__fd(state.kernel->maps.free_accounts);
	uint64_t epoch = state.kernel->bss->epoch;
	bool full = state.kernel->bss->overflows != state.overflows;
	uint64_t idle_ns = full ? 0 : IDLE_NS;
	unsigned int i, cursor, count = state.count;
	struct account *account;

	/* -ENOENT says that this was all of it. */
	if (bpf_map_lookup_batch(accounts, NULL, &cursor, state.keys, state.values, &count, NULL) &&
	    errno != ENOENT)
		count = 0;
	for (i = 0; i < count; i++) {
		if (state.values[i] >= state.count)
			continue;
		account = &state.accounts[state.values[i]];
		if (account->used)
			continue;
		account->used = true;
		account->key = state.keys[i];
		account->active_ns = now;
	}
	for (i = 0; i < state.count; i++) {
		account = &state.accounts[i];
		if (!account->used && !account->retired)
			continue;
		read_figures(i, epoch);
		if (account->retired) {
			/* No task remembers it any more: they look it up in each interval. */
			account->retired = false;
			bpf_map_update_elem(unclaimed, NULL, &i, BPF_ANY);
			continue;
		}
		if (total_of(account->change.slices)) {
			account->active_ns = now;
		} else if (i != SIGNALS_OTHER && now - account->active_ns > idle_ns) {
			bpf_map_delete_elem(accounts, &account->key);
			account->retired = true;
			forget(account);
		}
	}
}

/* ---- Names of cgroups ---- */

/* Where the unified hierarchy is mounted. */
static const char *cgroup_root(void)
{
	static const char *const places[] = {"/sys/fs/cgroup", "/sys/fs/cgroup/unified"};
	struct statfs found;
	unsigned int i;

	for (i = 0; i < sizeof(places) / sizeof(places[0]); i++)
		if (!statfs(places[i], &found) && found.f_type == CGROUP2_SUPER_MAGIC)
			return places[i];
	return NULL;
}

static bool unnamed(const struct account *account)
{
	return account->used && account->key.kind == WORKLOAD_CGROUP && !account->name;
}

/* Visits the folders below `folder`; a cgroup's id is the number of its inode. */
static void walk_cgroups(int folder, char *path, size_t length, int depth)
{
	DIR *entries = fdopendir(folder);
	struct dirent *entry;
	unsigned int i;
	size_t extra;
	int child;

	if (!entries) {
		close(folder);
		return;
	}
	while ((entry = readdir(entries))) {
		extra = strlen(entry->d_name) + 1;
		if (entry->d_type != DT_DIR || entry->d_name[0] == '.' ||
		    length + extra >= PATH_MAX)
			continue;
		path[length] = '/';
		memcpy(path + length + 1, entry->d_name, extra);
		for (i = 0; i < state.count; i++)
			if (unnamed(&state.accounts[i]) &&
			    state.accounts[i].key.cgroup == entry->d_ino)
				state.accounts[i].name = must(strdup(path));
		child = depth < MAX_DEPTH ? openat(dirfd(entries), entry->d_name,
						   O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
					  : -1;
		if (child >= 0)
			walk_cgroups(child, path, length + extra, depth + 1);
	}
	path[length] = 0;
	closedir(entries);
}

/* At most one walk an interval, and none when every cgroup has its name already. */
static void name_cgroups(void)
{
	char path[PATH_MAX] = "";
	const char *root;
	bool wanted = false;
	unsigned int i;
	int folder;

	for (i = 0; i < state.count; i++)
		wanted |= unnamed(&state.accounts[i]) && state.accounts[i].tries < RESOLVE_TRIES;
	if (!wanted)
		return;
	root = cgroup_root();
	folder = root ? open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	if (folder >= 0)
		walk_cgroups(folder, path, 0, 0);
	for (i = 0; i < state.count; i++)
		state.accounts[i].tries += unnamed(&state.accounts[i]);
}

/* ---- The machine as a whole ---- */

enum { CYCLES, INSTRUCTIONS, CACHE_MISSES, COUNTERS };

static const struct {
	const char *name;
	uint64_t config;
} counters[COUNTERS] = {
    [CYCLES] = {"cycles", PERF_COUNT_HW_CPU_CYCLES},
    [INSTRUCTIONS] = {"instructions", PERF_COUNT_HW_INSTRUCTIONS},
    [CACHE_MISSES] = {"cache_misses", PERF_COUNT_HW_CACHE_MISSES},
};

struct reading {
	uint64_t value, enabled, running;
};

struct event {
	char name[64];
	uint64_t value;
};

static struct {
	uint64_t busy, all, switches, psi_some, psi_full;
	int *fds[COUNTERS];
	struct reading *readings[COUNTERS];
	int perf_errno[COUNTERS];
	struct event events[MAX_EVENTS];
	unsigned int event_count;
} machine;

/* The text of a small file in /proc or /sys; false when there is none. */
static bool slurp(const char *path, char *text, size_t size)
{
	int file = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t count = 0;
	size_t length = 0;

	if (file < 0)
		return false;
	while (length < size - 1 && (count = read(file, text + length, size - 1 - length)) > 0)
		length += count;
	close(file);
	text[length] = 0;
	return count >= 0;
}

static bool slurp_word(const char *path, char *text, size_t size)
{
	if (!slurp(path, text, size))
		return false;
	text[strcspn(text, "\n")] = 0;
	return true;
}

static void open_counters(void)
{
	unsigned int which, cpu;

	for (which = 0; which < COUNTERS; which++) {
		struct perf_event_attr attribute = {
		    .type = PERF_TYPE_HARDWARE,
		    .size = sizeof(attribute),
		    .config = counters[which].config,
		    .read_format = PERF_FORMAT_TOTAL_TIME_ENABLED | PERF_FORMAT_TOTAL_TIME_RUNNING,
		};

		machine.fds[which] = must(calloc(state.cpus, sizeof(int)));
		machine.readings[which] = must(calloc(state.cpus, sizeof(struct reading)));
		for (cpu = 0; cpu < state.cpus; cpu++) {
			machine.fds[which][cpu] = syscall(SYS_perf_event_open, &attribute, -1, cpu,
							  -1, PERF_FLAG_FD_CLOEXEC);
			if (machine.fds[which][cpu] < 0 && !cpu)
				machine.perf_errno[which] = errno;
		}
	}
}

/* What was counted since the last reading, on all CPUs, scaled up for the time that the
 * counter had to share the hardware. */
static uint64_t counted(unsigned int which)
{
	struct reading now, *last;
	uint64_t enabled, running;
	double sum = 0;
	unsigned int cpu;

	for (cpu = 0; cpu < state.cpus; cpu++) {
		if (machine.fds[which][cpu] < 0 ||
		    read(machine.fds[which][cpu], &now, sizeof(now)) != sizeof(now))
			continue;
		last = &machine.readings[which][cpu];
		enabled = now.enabled - last->enabled;
		running = now.running - last->running;
		if (running)
			sum += (double)(now.value - last->value) * enabled / running;
		*last = now;
	}
	return sum;
}

static void put_counters(void)
{
	unsigned int which;
	bool any = false;

	for (which = 0; which < COUNTERS; which++)
		any |= !machine.perf_errno[which];
	if (any) {
		putf("\"perf\":{");
		for (which = 0; which < COUNTERS; which++) {
			putf("%s\"%s\":", which ? "," : "", counters[which].name);
			if (machine.perf_errno[which])
				putf("null");
			else
				putf("%llu", (unsigned long long)counted(which));
		}
		putf("},");
	} else {
		putf("\"perf\":null,");
	}
	for (which = 0; which < COUNTERS && !machine.perf_errno[which]; which++)
		;
	if (which == COUNTERS)
		putf("\"perf_note\":null");
	else
		putf("\"perf_note\":\"no hardware counter for %s: %s\"", counters[which].name,
		     strerror(machine.perf_errno[which]));
}

static void put_pressure(void)
{
	double some_avg10 = 0, full_avg10 = 0;
	unsigned long long some = 0, full = 0;
	char text[512];
	const char *at;

	if (!slurp("/proc/pressure/cpu", text, sizeof(text)) ||
	    sscanf(text, "some avg10=%lf %*s %*s total=%llu", &some_avg10, &some) != 2) {
		putf(",\"psi_cpu\":null");
		return;
	}
	at = strstr(text, "full ");
	if (at)
		sscanf(at, "full avg10=%lf %*s %*s total=%llu", &full_avg10, &full);
	putf(",\"psi_cpu\":{\"some_avg10\":%.2f,\"some_us\":%llu,\"full_avg10\":%.2f,"
	     "\"full_us\":%llu}",
	     some_avg10, some - (unsigned long long)machine.psi_some, full_avg10,
	     full - (unsigned long long)machine.psi_full);
	machine.psi_some = some;
	machine.psi_full = full;
}

/* From /proc/stat: utilisation, switches and how many are runnable now. */
static void put_processors(double interval_s)
{
	static char text[256 << 10];
	unsigned long long field[8] = {}, value;
	uint64_t all = 0, busy, switches = machine.switches;
	double utilisation;
	int i, runnable = 0;
	char *at, *next;

	if (!slurp("/proc/stat", text, sizeof(text)))
		text[0] = 0;
	for (at = text; at; at = next ? next + 1 : NULL) {
		next = strchr(at, '\n');
		/* user nice system idle iowait irq softirq steal; guest is part of user. */
		sscanf(at, "cpu  %llu %llu %llu %llu %llu %llu %llu %llu", &field[0], &field[1],
		       &field[2], &field[3], &field[4], &field[5], &field[6], &field[7]);
		if (sscanf(at, "ctxt %llu", &value) == 1)
			switches = value;
		sscanf(at, "procs_running %d", &runnable);
	}
	for (i = 0; i < 8; i++)
		all += field[i];
	busy = all - field[3] - field[4];
	utilisation = all > machine.all && busy > machine.busy
			  ? (double)(busy - machine.busy) / (all - machine.all)
			  : 0;
	putf("\"cpus\":%ld,\"utilisation\":%.4f,\"context_switches_per_s\":%.1f,\"runnable\":%d",
	     sysconf(_SC_NPROCESSORS_ONLN), fmin(utilisation, 1.0),
	     (switches - machine.switches) / interval_s, runnable);
	machine.all = all;
	machine.busy = busy;
	machine.switches = switches;
}

static void put_load(void)
{
	double load[3] = {};

	if (getloadavg(load, 3) != 3)
		load[0] = load[1] = load[2] = 0;
	putf(",\"loadavg\":[%.2f,%.2f,%.2f],", load[0], load[1], load[2]);
}

/* The change of one sched_ext event counter; a new scheduler starts again from zero. */
static uint64_t event_change(const char *name, uint64_t value)
{
	struct event *event;
	uint64_t before;
	unsigned int i;

	for (i = 0; i < machine.event_count; i++)
		if (!strcmp(machine.events[i].name, name))
			break;
	if (i == MAX_EVENTS)
		return 0;
	event = &machine.events[i];
	if (i == machine.event_count) {
		machine.event_count++;
		snprintf(event->name, sizeof(event->name), "%s", name);
		event->value = 0;
	}
	before = event->value;
	event->value = value;
	return value >= before ? value - before : value;
}

static void put_sched_ext(void)
{
	char text[8192], name[64], number[32];
	unsigned long long value;
	const char *at, *separator = "";

	if (!slurp_word("/sys/kernel/sched_ext/state", text, sizeof(text))) {
		putf(",\"sched_ext\":null");
		return;
	}
	putf(",\"sched_ext\":{\"state\":");
	put_string("", text);
	putf(",\"ops\":");
	if (slurp_word("/sys/kernel/sched_ext/root/ops", text, sizeof(text)))
		put_string("", text);
	else
		putf("null");
	/* Both are numbers that the kernel prints; the second came with 6.14. */
	putf(",\"enable_seq\":%llu",
	     slurp_word("/sys/kernel/sched_ext/enable_seq", number, sizeof(number))
		 ? strtoull(number, NULL, 10)
		 : 0ULL);
	putf(",\"nr_rejected\":%llu,\"events\":{",
	     slurp_word("/sys/kernel/sched_ext/nr_rejected", number, sizeof(number))
		 ? strtoull(number, NULL, 10)
		 : 0ULL);
	if (!slurp("/sys/kernel/sched_ext/root/events", text, sizeof(text))) {
		text[0] = 0;
		machine.event_count = 0;
	}
	for (at = text; *at; at += strcspn(at, "\n"), at += *at == '\n') {
		if (sscanf(at, "%63s %llu", name, &value) != 2)
			continue;
		putf("%s", separator);
		put_string("", name);
		putf(":%llu", (unsigned long long)event_change(name, value));
		separator = ",";
	}
	putf("}}");
}

static void put_machine(double interval_s)
{
	putf("\"machine\":{");
	put_processors(interval_s);
	put_load();
	put_counters();
	put_pressure();
	put_sched_ext();
	putf("}");
}

/* ---- A report ---- */

static int by_run_time(const void *left, const void *right)
{
	const struct account *a = &state.accounts[*(const unsigned int *)left];
	const struct account *b = &state.accounts[*(const unsigned int *)right];

	if (a->change.slice_ns != b->change.slice_ns)
		return a->change.slice_ns < b->change.slice_ns ? 1 : -1;
	return *(const unsigned int *)left < *(const unsigned int *)right ? -1 : 1;
}

static void put_id(const struct account *account)
{
	char text[SIGNALS_COMM_LEN + 16];

	if (account == &state.accounts[SIGNALS_OTHER]) {
		put_string("", "other");
	} else if (account->key.kind != WORKLOAD_CGROUP) {
		snprintf(text, sizeof(text), "%.*s", SIGNALS_COMM_LEN, account->key.comm);
		put_string(account->key.kind == WORKLOAD_KTHREAD ? "kthread:" : "comm:", text);
	} else if (account->name) {
		put_string("cgroup:", account->name);
	} else {
		snprintf(text, sizeof(text), "%llu", (unsigned long long)account->key.cgroup);
		put_string("cgroup-id:", text);
	}
}

static void put_workload(const struct account *account)
{
	const struct workload_figures *change = &account->change;
	uint64_t slices = total_of(change->slices);

	putf("{\"id\":");
	put_id(account);
	putf(",\"threads\":%llu,", (unsigned long long)change->threads);
	put_histogram("delay_us", change->delays, change->delay_ns, change->delay_max_ns);
	putf(",");
	put_histogram("slice_us", change->slices, change->slice_ns, change->slice_max_ns);
	putf(",\"wakeups\":%llu,\"migrations\":%llu,\"involuntary\":%llu,\"run_us\":",
	     (unsigned long long)change->sleeps, (unsigned long long)change->migrations,
	     (unsigned long long)(slices > change->sleeps ? slices - change->sleeps : 0));
	put_us(change->slice_ns);
	putf("}");
}

/* What happened since the last report. False when nobody reads any more. */
static bool report(unsigned int max_workloads)
{
	static uint64_t last;
	static unsigned int *order;
	uint64_t now = clock_ns(CLOCK_BOOTTIME), lost;
	double interval_s = last ? (now - last) / 1e9 : 0;
	unsigned int i, active = 0;

	if (!order)
		order = must(calloc(state.count, sizeof(*order)));
	read_accounts(now);
	/* From here on it is the next interval. */
	__atomic_add_fetch(&state.kernel->bss->epoch, 1, __ATOMIC_RELEASE);
	name_cgroups();
	for (i = 0; i < state.count; i++)
		if (state.accounts[i].used && total_of(state.accounts[i].change.slices))
			order[active++] = i;
	qsort(order, active, sizeof(*order), by_run_time);
	lost = state.kernel->bss->lost;

	putf("{\"v\":1,\"t_ns\":%llu,\"time\":%.3f,\"interval_s\":%.6f,", (unsigned long long)now,
	     clock_ns(CLOCK_REALTIME) / 1e9, interval_s);
	put_machine(interval_s > 0 ? interval_s : 1);
	putf(",\"workloads\":[");
	for (i = 0; i < active && i < max_workloads; i++) {
		if (i)
			putf(",");
		put_workload(&state.accounts[order[i]]);
	}
	putf("],\"left_out\":%u,\"lost\":%llu}",
	     active > max_workloads ? active - max_workloads : 0,
	     (unsigned long long)(lost - state.lost));
	state.lost = lost;
	state.overflows = state.kernel->bss->overflows;
	/* The very first is not a report: it sets the point to count from. */
	if (!last) {
		last = now;
		line.length = 0;
		return true;
	}
	last = now;
	return send_line();
}

/* ---- Loading ---- */

static int print_warnings(enum libbpf_print_level level, const char *format, va_list arguments)
{
	return level == LIBBPF_WARN ? vfprintf(stderr, format, arguments) : 0;
}

static int print_nothing(enum libbpf_print_level level, const char *format, va_list arguments)
{
	(void)level;
	(void)format;
	(void)arguments;
	return 0;
}

static struct signals *load(bool by_time)
{
	struct signals *kernel = signals__open();
	int error;

	if (!kernel)
		return NULL;
	bpf_program__set_autoload(kernel->progs.task_leaves, !by_time);
	bpf_program__set_autoload(kernel->progs.task_leaves_by_time, by_time);
	kernel->bss->epoch = 1;
	bpf_map__set_max_entries(kernel->maps.accounts, state.count);
	bpf_map__set_max_entries(kernel->maps.free_accounts, state.count);
	bpf_map__set_max_entries(kernel->maps.figures, state.count);
	error = signals__load(kernel);
	if (!error)
		error = signals__attach(kernel);
	if (!error)
		return kernel;
	signals__destroy(kernel);
	errno = -error;
	return NULL;
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

static bool start(unsigned int max_workloads)
{
	unsigned int i;
	int cpus = libbpf_num_possible_cpus();
	uint64_t room;

	if (cpus <= 0) {
		say("cannot tell the number of CPUs: %s", strerror(-cpus));
		return false;
	}
	state.cpus = cpus;
	room = FIGURES_BYTES / (sizeof(struct workload_figures) * cpus);
	state.count = max_workloads + max_workloads / 8 + 1;
	if (state.count > room)
		state.count = room;
	if (state.count < MIN_ACCOUNTS)
		state.count = MIN_ACCOUNTS;
	if (state.count > SIGNALS_MAX_ACCOUNTS)
		state.count = SIGNALS_MAX_ACCOUNTS;
	state.accounts = must(calloc(state.count, sizeof(*state.accounts)));
	state.per_cpu = must(calloc(cpus, sizeof(*state.per_cpu)));
	state.keys = must(calloc(state.count, sizeof(*state.keys)));
	state.values = must(calloc(state.count, sizeof(*state.values)));
	state.accounts[SIGNALS_OTHER].used = true;
	open_counters();

	/* A kernel that hides its run queues refuses the first; only the second is worth
	 * complaints. */
	libbpf_set_print(print_nothing);
	state.kernel = load(false);
	libbpf_set_print(print_warnings);
	if (!state.kernel)
		state.kernel = load(true);
	if (!state.kernel) {
		say("cannot load the measuring program: %s", strerror(errno));
		return false;
	}
	for (i = SIGNALS_OTHER + 1; i < state.count; i++)
		bpf_map_update_elem(bpf_map__fd(state.kernel->maps.free_accounts), NULL, &i,
				    BPF_ANY);
	/* Loading took megabytes for type information that nobody needs any more. */
	malloc_trim(0);
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
	say("not understood: `interval SECONDS` (%g to %g) or `flush` was expected", MIN_INTERVAL,
	    MAX_INTERVAL);
	return true;
}

static int watch(double interval, unsigned int max_workloads)
{
	int timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	struct pollfd wait[2] = {{.fd = STDIN_FILENO, .events = POLLIN},
				 {.fd = timer, .events = POLLIN}};
	char command[MAX_COMMAND], *end;
	size_t length = 0;
	ssize_t count;
	uint64_t ticks;

	if (timer < 0 || !report(max_workloads))
		return 1;
	set_timer(timer, interval);
	for (;;) {
		if (poll(wait, 2, -1) < 0) {
			if (errno == EINTR)
				continue;
			return 1;
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
	int option;

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
	if (!kernel_counts_waits() || !start(max_workloads))
		return 1;
	return watch(interval, max_workloads);
}
