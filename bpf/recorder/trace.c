// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>
#include <zlib.h>
#include "common/clock.h"
#include "recorder/trace.h"
#include "common/cgroups.h"
#include "common/json.h"
#include "common/system.h"

/* The kernel's own limit of thread numbers (PID_MAX_LIMIT). */
#define MOST_THREADS   (4 << 20)
#define MOST_WORKLOADS 20000
/* Size of a name, bytes: each may need six characters. */
#define MOST_NAME 1024
#define MOST_LINE 8192
/* Cgroups are looked up again for new ids, but not more often than this, ns. */
#define LOOK_AGAIN_NS NSEC

struct workload {
	uint64_t cgroup;
	char name[RECORDER_COMM_LEN]; /* of the kind */
	char kind;		      /* 'g', 'c', 'k', or 'o' for all others */
};

struct cgroup_path {
	uint64_t id;
	char *path;
};

static struct {
	gzFile file;
	bool failed;
	uint64_t last_ns, began_ns, looked_ns;
	uint64_t records, bytes;
	uint32_t next_task;
	/* The number in the file of each thread, plus one; untouched pages cost nothing. */
	uint32_t *numbers;
	struct workload *workloads;
	uint32_t nr_workloads, workloads_room;
	struct cgroup_path *paths;
	uint32_t nr_paths, paths_room;
	char line[MOST_LINE];
	size_t length;
} trace;

/* ---- a line ---- */

static void add(const char *text, size_t length)
{
	if (trace.length + length > sizeof(trace.line))
		length = sizeof(trace.line) - trace.length;
	memcpy(trace.line + trace.length, text, length);
	trace.length += length;
}

static void add_text(const char *text)
{
	add(text, strlen(text));
}

static void add_number(uint64_t value)
{
	char digits[20];
	int at = sizeof(digits);

	do
		digits[--at] = '0' + value % 10;
	while (value /= 10);
	add(digits + at, sizeof(digits) - at);
}

static void add_field(uint64_t value)
{
	add(" ", 1);
	add_number(value);
}

/* A JSON string, in the same form as in the signals program. */
static void add_string(const char *prefix, const char *name, size_t most)
{
	char text[MOST_NAME];
	size_t length;
	const char *line;

	snprintf(text, sizeof(text), "%.*s", (int)most, name);
	put_string(prefix, text);
	line = take_line(&length);
	add(line, length);
}

static void end_line(void)
{
	add("\n", 1);
	if (!trace.failed && gzwrite(trace.file, trace.line, trace.length) != (int)trace.length)
		trace.failed = true;
	trace.length = 0;
}

/* ---- workloads ---- */

static void learn_path(uint64_t id, const char *path)
{
	uint32_t i;

	for (i = 0; i < trace.nr_paths; i++)
		if (trace.paths[i].id == id)
			return;
	if (trace.nr_paths == trace.paths_room) {
		trace.paths_room = trace.paths_room * 2 + 64;
		trace.paths = must(realloc(trace.paths, trace.paths_room * sizeof(*trace.paths)));
	}
	trace.paths[trace.nr_paths].id = id;
	trace.paths[trace.nr_paths++].path = must(strdup(path));
}

static const char *known_path(uint64_t id)
{
	uint32_t i;

	for (i = 0; i < trace.nr_paths; i++)
		if (trace.paths[i].id == id)
			return trace.paths[i].path;
	return NULL;
}

static const char *path_of(uint64_t id)
{
	const char *path = known_path(id);
	uint64_t now = clock_ns(CLOCK_MONOTONIC);

	if (path || now - trace.looked_ns < LOOK_AGAIN_NS)
		return path;
	trace.looked_ns = now;
	walk_cgroups(learn_path);
	return known_path(id);
}

static uint32_t workload_of(const struct recorder_task *task)
{
	struct workload wanted = {.cgroup = task->cgroup,
				  .kind = task->cgroup	  ? 'g'
					  : task->kthread ? 'k'
							  : 'c'};
	char number[24];
	const char *path;
	uint32_t i;

	if (!task->cgroup) {
		memcpy(wanted.name, task->leader, sizeof(wanted.name) - 1);
		if (task->kthread)
			wanted.name[strcspn(wanted.name, "/")] = 0;
	}
	for (i = 0; i < trace.nr_workloads; i++)
		if (trace.workloads[i].kind == wanted.kind &&
		    trace.workloads[i].cgroup == wanted.cgroup &&
		    !strcmp(trace.workloads[i].name, wanted.name))
			return i;
	/* One for all beyond the limit. */
	if (trace.nr_workloads == MOST_WORKLOADS - 1)
		wanted = (struct workload){.kind = 'o'};
	else if (trace.nr_workloads == MOST_WORKLOADS)
		return MOST_WORKLOADS - 1;
	if (trace.nr_workloads == trace.workloads_room) {
		trace.workloads_room = trace.workloads_room * 2 + 64;
		trace.workloads =
		    must(realloc(trace.workloads, trace.workloads_room * sizeof(wanted)));
	}
	trace.workloads[trace.nr_workloads++] = wanted;
	add_text("{\"workload\":");
	add_number(i);
	add_text(",\"id\":");
	if (wanted.kind == 'o') {
		add_text("\"other\"");
	} else if (wanted.kind != 'g') {
		add_string(wanted.kind == 'k' ? "kthread:" : "comm:", wanted.name,
			   sizeof(wanted.name));
	} else if ((path = path_of(wanted.cgroup)) && strlen(path) < MOST_NAME) {
		add_string("cgroup:", path, strlen(path));
	} else {
		snprintf(number, sizeof(number), "%llu", (unsigned long long)wanted.cgroup);
		add_string("cgroup-id:", number, sizeof(number));
	}
	add_text("}");
	end_line();
	return i;
}

/* ---- tasks and events ---- */

static uint32_t number_of(uint32_t thread)
{
	uint32_t *known = &trace.numbers[thread % MOST_THREADS];

	if (!*known)
		*known = ++trace.next_task;
	return *known - 1;
}

static void add_cpus(const struct recorder_task *task)
{
	bool first = true;
	/* Beyond the possible CPUs, masks contain anything. */
	int cpu, end, most = sysconf(_SC_NPROCESSORS_CONF);

	if (most > RECORDER_CPU_WORDS * 64)
		most = RECORDER_CPU_WORDS * 64;
	add("\"", 1);
	for (cpu = 0; cpu < most; cpu = end + 1) {
		end = cpu;
		if (!(task->cpus[cpu / 64] >> cpu % 64 & 1))
			continue;
		while (end + 1 < most && task->cpus[(end + 1) / 64] >> (end + 1) % 64 & 1)
			end++;
		if (!first)
			add(",", 1);
		first = false;
		add_number(cpu);
		if (end > cpu) {
			add("-", 1);
			add_number(end);
		}
	}
	add("\"", 1);
}

void trace_task(const struct recorder_task *task)
{
	uint32_t workload = workload_of(task), number = number_of(task->task);

	add_text("{\"task\":");
	add_number(number);
	add_text(",\"pid\":");
	add_number(task->task);
	add_text(",\"tgid\":");
	add_number(task->process);
	add_text(",\"comm\":");
	add_string("", task->comm, sizeof(task->comm));
	add_text(",\"workload\":");
	add_number(workload);
	add_text(",\"uid\":");
	add_number(task->uid);
	add_text(task->nice < 0 ? ",\"nice\":-" : ",\"nice\":");
	add_number(task->nice < 0 ? -task->nice : task->nice);
	add_text(",\"policy\":");
	add_number(task->policy);
	add_text(task->kthread ? ",\"kthread\":true,\"cpus\":" : ",\"kthread\":false,\"cpus\":");
	add_cpus(task);
	add_text("}");
	end_line();
}

/* Times only grow, by the time since the last line: CPUs report slightly out of order. */
static void begin(char what, uint64_t at)
{
	add(&what, 1);
	add_field(at > trace.last_ns ? at - trace.last_ns : 0);
	if (at > trace.last_ns)
		trace.last_ns = at;
	trace.records++;
}

void trace_event(const struct recorder_event *event)
{
	static const char how[] = {
	    [HOW_OUTSIDE] = 'i', [HOW_TASK] = 't', [HOW_SYNC] = 's', [HOW_UNKNOWN] = 'u'};
	char letter[2] = {' ', 'u'};

	switch (event->kind) {
	case RECORDER_WAKE:
		begin('w', event->at);
		add_field(number_of(event->task));
		add_field(event->ran);
		add_field(event->slept);
		if (event->how >= HOW_OUTSIDE && event->how <= HOW_UNKNOWN)
			letter[1] = how[event->how];
		add(letter, 2);
		if (event->how == HOW_TASK || event->how == HOW_SYNC) {
			add_field(number_of(event->waker));
			add_field(event->waker_ran);
		}
		break;
	case RECORDER_FORK:
		begin('f', event->at);
		/* The number may have belonged to another task, whose end was not reported. */
		trace.numbers[event->task % MOST_THREADS] = 0;
		add_field(number_of(event->task));
		add_field(number_of(event->waker));
		add_field(event->waker_ran);
		break;
	case RECORDER_EXIT:
		begin('x', event->at);
		add_field(number_of(event->task));
		add_field(event->ran);
		trace.numbers[event->task % MOST_THREADS] = 0;
		break;
	case RECORDER_RUNS:
		begin('r', event->at);
		add_field(number_of(event->task));
		add_field(event->ran);
		break;
	case RECORDER_SLEEPS:
		begin('z', event->at);
		add_field(number_of(event->task));
		add_field(event->ran);
		add_field(event->slept);
		break;
	default:
		return;
	}
	end_line();
}

/* ---- the file ---- */

/* How many CPUs share the last-level cache of the first; 0 if unknown. */
static unsigned int llc_cpus(void)
{
	char path[96], text[1024], *at;
	unsigned int count = 0, from, to;
	int index, used;

	for (index = 4; index >= 0 && !count; index--) {
		snprintf(path, sizeof(path),
			 "/sys/devices/system/cpu/cpu0/cache/index%d/shared_cpu_list", index);
		if (!slurp_word(path, text, sizeof(text)))
			continue;
		for (at = text; sscanf(at, "%u%n", &from, &used) == 1; at += *at == ',') {
			at += used;
			to = from;
			if (sscanf(at, "-%u%n", &to, &used) == 1)
				at += used;
			count += to >= from ? to - from + 1 : 1;
		}
	}
	return count;
}

bool trace_open(const char *path, const char *scope, uint64_t began_ns)
{
	/* Never through a link, and never over another's file. */
	int file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0640);
	struct utsname system;
	struct timespec tick = {};
	char number[64];

	if (file < 0)
		return false;
	/* Compression is most of the reader's cost: the fastest way is good enough. */
	trace.file = gzdopen(file, "wb1");
	if (!trace.file) {
		close(file);
		errno = ENOMEM;
		return false;
	}
	trace.numbers = must(calloc(MOST_THREADS, sizeof(*trace.numbers)));
	trace.began_ns = trace.last_ns = began_ns;
	uname(&system);
	/* The coarse clocks advance with the tick. */
	clock_getres(CLOCK_MONOTONIC_COARSE, &tick);
	walk_cgroups(learn_path);
	add_text("{\"schedpilot_trace\":1,\"machine\":{\"cpus\":");
	add_number(sysconf(_SC_NPROCESSORS_ONLN));
	add_text(",\"llc_cpus\":");
	add_number(llc_cpus());
	add_text(",\"tick_ns\":");
	add_number(tick.tv_nsec);
	add_text(",\"kernel\":");
	add_string("", system.release, sizeof(system.release));
	add_text("},\"source\":\"schedpilot-recorder\",\"scope\":");
	add_string("", scope, MOST_NAME);
	snprintf(number, sizeof(number), ",\"began\":%.3f}", clock_ns(CLOCK_REALTIME) / 1e9);
	add_text(number);
	end_line();
	return true;
}

uint64_t trace_records(void)
{
	return trace.records;
}

struct trace_figures trace_figures(void)
{
	uint64_t bytes = trace.file ? (uint64_t)gzoffset(trace.file) : trace.bytes;

	return (struct trace_figures){trace.records, bytes, trace.next_task};
}

bool trace_close(uint64_t ended_ns, uint64_t lost, uint64_t left_out, const char *cut)
{
	bool closed;

	add_text("{\"end_ns\":");
	add_number(ended_ns - trace.began_ns);
	add_text(",\"records\":");
	add_number(trace.records);
	add_text(",\"lost\":");
	add_number(lost);
	add_text(",\"left_out\":");
	add_number(left_out);
	add_text(",\"cut\":");
	add_string("", cut, 32);
	add_text("}");
	end_line();
	closed = gzflush(trace.file, Z_FINISH) == Z_OK;
	trace.bytes = gzoffset(trace.file);
	closed &= gzclose(trace.file) == Z_OK;
	trace.file = NULL;
	return closed && !trace.failed;
}
