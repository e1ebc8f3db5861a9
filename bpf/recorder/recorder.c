// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * schedpilot-recorder: records the activity of this machine's tasks as a trace for the
 * simulator.
 *
 *	schedpilot-recorder --output FILE [--seconds S] [--most-bytes N] [--most-records N]
 *		[--most-tasks N] [--cgroup PATH | --comm NAME | --kthread NAME]
 *
 * FILE must not exist yet; docs/traces.md has its format. The recording ends after that time,
 * at the first of its limits, at a line `stop`, or with standard input.
 *
 * Standard output has one JSON object per line: `started`, then `progress` twice a second,
 * and `done`. The measuring itself is in recorder.bpf.c.
 */
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include "common/clock.h"
#include "recorder/recorder.h"
#include "recorder/recorder.skel.h"
#include "recorder/trace.h"
#include "common/json.h"
#include "common/system.h"

#define MAX_SECONDS 3600.0
#define MAX_BYTES   (1ULL << 30)
/*
 * Together with a last record for each task this makes a million, the readers' limit
 * (simulator/traces/model.py).
 */
#define MAX_RECORDS 800000ULL
#define MAX_TASKS   200000UL
/* How long the kernel's ring may fill before it is read, ms. */
#define LOOK_MS 20
#define TELL_NS (NSEC / 2)

static struct {
	const char *output, *cgroup, *comm, *kthread;
	double seconds;
	uint64_t most_bytes, most_records;
	unsigned long most_tasks;
} want = {.seconds = 30, .most_bytes = 64 << 20, .most_records = MAX_RECORDS, .most_tasks = 20000};

static struct recorder *kernel;

static int print_warnings(enum libbpf_print_level level, const char *format, va_list arguments)
{
	return level == LIBBPF_WARN ? vfprintf(stderr, format, arguments) : 0;
}

/* How often to check for other work while events may come faster than they can be read. */
static struct {
	uint64_t until_ns;
	uint32_t taken;
	bool over;
} reading;

static int take(void *nothing, void *data, size_t size)
{
	uint32_t kind = *(uint32_t *)data;

	(void)nothing;
	if (kind == RECORDER_TASK && size >= sizeof(struct recorder_task)) {
		trace_task(data);
		return 0;
	}
	if (size < sizeof(struct recorder_event))
		return 0;
	/* Beyond the limit only the end of each task is reported. */
	if (trace_records() < want.most_records || kind == RECORDER_EXIT || kind == RECORDER_RUNS ||
	    kind == RECORDER_SLEEPS)
		trace_event(data);
	else if (!reading.over)
		return -E2BIG;
	if (!reading.over && ++reading.taken % 1024 == 0 &&
	    clock_ns(CLOCK_MONOTONIC) >= reading.until_ns)
		return -ETIME;
	return 0;
}

/* ---- loading ---- */

/* The id and depth of the cgroup at this path below the root. */
static bool find_cgroup(const char *path, uint64_t *id, uint32_t *level)
{
	static const char *const roots[] = {"/sys/fs/cgroup", "/sys/fs/cgroup/unified"};
	char whole[PATH_MAX];
	struct stat found;
	unsigned int i;

	for (i = 0; i < sizeof(roots) / sizeof(roots[0]); i++) {
		if (snprintf(whole, sizeof(whole), "%s%s", roots[i], path) >= (int)sizeof(whole))
			return false;
		if (stat(whole, &found) || !S_ISDIR(found.st_mode))
			continue;
		*id = found.st_ino;
		for (*level = 0; *path; path++)
			*level += path[0] == '/' && path[1] && path[1] != '/';
		return true;
	}
	return false;
}

static struct {
	uint64_t id;
	uint32_t level;
} cgroup;

static void choose_scope(void)
{
	const char *name = want.comm ? want.comm : want.kthread;

	if (want.cgroup) {
		kernel->rodata->scope = 1;
		kernel->rodata->scope_cgroup = cgroup.id;
		kernel->rodata->scope_level = cgroup.level;
	} else if (name) {
		kernel->rodata->scope = want.comm ? 2 : 3;
		snprintf((char *)kernel->rodata->scope_name, RECORDER_COMM_LEN, "%s", name);
	}
}

/* Whether the kernel's preemption count has 64 bits. */
static bool wide_count(const struct btf *types)
{
	int number = btf__find_by_name_kind(types, "__preempt_count", BTF_KIND_VAR);

	return number > 0 && btf__resolve_size(types, number) == 8;
}

/* Loads with or without the hook that shows synchronous wakeups. */
static int load(const struct btf *types, bool with_sync)
{
	int error;

	kernel = recorder__open();
	if (!kernel)
		return -errno;
	bpf_program__set_autoload(kernel->progs.wakeup_begins, with_sync);
	kernel->rodata->own_process = getpid();
	kernel->rodata->most_tasks = want.most_tasks;
	if (types && wide_count(types))
		kernel->rodata->interrupt_bits = RECORDER_WIDE_INTERRUPT_BITS;
	choose_scope();
	error = recorder__load(kernel);
	if (!error)
		error = recorder__attach(kernel);
	if (error) {
		recorder__destroy(kernel);
		kernel = NULL;
	}
	return error;
}

/* try_to_wake_up() is internal to the kernel, and may not be traceable. */
static bool open_kernel(void)
{
	struct btf *types = btf__load_vmlinux_btf();
	bool sync = types && btf__find_by_name_kind(types, "try_to_wake_up", BTF_KIND_FUNC) > 0;
	int error = -ENOENT;

	libbpf_set_print(NULL);
	if (sync)
		error = load(types, true);
	libbpf_set_print(print_warnings);
	if (error)
		error = load(types, false);
	btf__free(types);
	if (error)
		say("cannot load the recording program: %s", strerror(-error));
	return !error;
}

/* Lets an iterator program visit all tasks. */
static bool go_over_tasks(struct bpf_program *program)
{
	struct bpf_link *link = bpf_program__attach_iter(program, NULL);
	char nothing[64];
	int iterator;
	ssize_t count;

	if (!link)
		return false;
	iterator = bpf_iter_create(bpf_link__fd(link));
	do
		count = iterator < 0 ? -1 : read(iterator, nothing, sizeof(nothing));
	while (count > 0 || (count < 0 && iterator >= 0 && (errno == EAGAIN || errno == EINTR)));
	if (iterator >= 0)
		close(iterator);
	bpf_link__destroy(link);
	return !count;
}

/*
 * How often the kernel skipped a program: it is not run on a CPU on which another task
 * interrupted it before its end.
 */
static uint64_t missed(void)
{
	struct bpf_program *program;
	uint64_t sum = 0;

	bpf_object__for_each_program (program, kernel->obj) {
		struct bpf_prog_info info = {};
		uint32_t size = sizeof(info);

		if (bpf_program__fd(program) >= 0 &&
		    !bpf_prog_get_info_by_fd(bpf_program__fd(program), &info, &size))
			sum += info.recursion_misses;
	}
	return sum;
}

/* ---- the recording ---- */

static bool tell(const char *what, uint64_t began, const char *cut)
{
	struct trace_figures figures = trace_figures();

	putf("{\"%s\":{\"seconds\":%.3f,\"records\":%llu,\"tasks\":%llu,\"bytes\":%llu,", what,
	     (clock_ns(CLOCK_MONOTONIC) - began) / 1e9, (unsigned long long)figures.records,
	     (unsigned long long)kernel->bss->announced, (unsigned long long)figures.bytes);
	putf("\"lost\":%llu,\"left_out\":%llu,\"cut\":\"%s\"}}",
	     (unsigned long long)(kernel->bss->lost + missed()),
	     (unsigned long long)kernel->bss->left_out, cut);
	return send_line();
}

/* Records until the end of its time; returns the limit that ended it earlier, if any. */
static const char *watch(struct ring_buffer *events, uint64_t began)
{
	struct pollfd wait[2] = {{.fd = STDIN_FILENO, .events = POLLIN},
				 {.fd = ring_buffer__epoll_fd(events), .events = POLLIN}};
	uint64_t until = began + (uint64_t)(want.seconds * 1e9), told = began, now;
	struct trace_figures figures;
	char command[256];
	ssize_t count;

	for (;;) {
		if (poll(wait, 2, LOOK_MS) < 0 && errno != EINTR)
			return "trouble";
		reading.until_ns = clock_ns(CLOCK_MONOTONIC) + TELL_NS / 5;
		ring_buffer__consume(events);
		now = clock_ns(CLOCK_MONOTONIC);
		figures = trace_figures();
		if (now >= until)
			return "";
		if (figures.bytes >= want.most_bytes)
			return "bytes";
		if (figures.records >= want.most_records)
			return "records";
		if (figures.numbers >= MAX_TASKS)
			return "tasks";
		if (wait[0].revents) {
			count = read(STDIN_FILENO, command, sizeof(command));
			if (count <= 0 || !strncmp(command, "stop\n", 5))
				return "stopped";
		}
		if (now - told >= TELL_NS) {
			told = now;
			if (!tell("progress", began, ""))
				return "stopped";
		}
	}
}

static int record(void)
{
	struct ring_buffer *events =
	    ring_buffer__new(bpf_map__fd(kernel->maps.events), take, NULL, NULL);
	char scope[PATH_MAX + 16] = "";
	uint64_t began, ended;
	const char *cut;

	if (!events) {
		say("cannot read the kernel's events: %s", strerror(errno));
		return 1;
	}
	if (want.cgroup)
		snprintf(scope, sizeof(scope), "cgroup:%s", want.cgroup);
	else if (want.comm || want.kthread)
		snprintf(scope, sizeof(scope), "%s:%s", want.comm ? "comm" : "kthread",
			 want.comm ? want.comm : want.kthread);
	began = clock_ns(CLOCK_MONOTONIC);
	if (!go_over_tasks(kernel->progs.recording_begins)) {
		say("cannot visit the tasks: %s", strerror(errno));
		return 1;
	}
	if (!trace_open(want.output, scope, began)) {
		say("cannot write %s: %s", want.output, strerror(errno));
		return 1;
	}
	kernel->bss->recording = 1;
	if (!tell("started", began, ""))
		return 1;
	cut = watch(events, began);
	kernel->bss->recording = 0;
	ended = clock_ns(CLOCK_MONOTONIC);
	reading.over = true;
	ring_buffer__consume(events);
	go_over_tasks(kernel->progs.recording_ends);
	ring_buffer__consume(events);
	if (!trace_close(ended, kernel->bss->lost + missed(), kernel->bss->left_out, cut)) {
		say("cannot write %s: %s", want.output, strerror(errno));
		return 1;
	}
	return tell("done", began, cut) ? 0 : 1;
}

static bool parse(const char *text, uint64_t most, uint64_t *value)
{
	char *end;

	errno = 0;
	*value = strtoull(text, &end, 10);
	return *text >= '0' && *text <= '9' && !*end && !errno && *value && *value <= most;
}

static int usage(void)
{
	say("usage: schedpilot-recorder --output FILE [--seconds S] [--most-bytes N] "
	    "[--most-records N] [--most-tasks N] [--cgroup PATH | --comm NAME | --kthread NAME]");
	return 2;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
	    {"output", required_argument, NULL, 'o'},
	    {"seconds", required_argument, NULL, 's'},
	    {"most-bytes", required_argument, NULL, 'b'},
	    {"most-records", required_argument, NULL, 'r'},
	    {"most-tasks", required_argument, NULL, 't'},
	    {"cgroup", required_argument, NULL, 'g'},
	    {"comm", required_argument, NULL, 'c'},
	    {"kthread", required_argument, NULL, 'k'},
	    {},
	};
	uint64_t value;
	char *end;
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case 'o':
			want.output = optarg;
			break;
		case 's':
			want.seconds = strtod(optarg, &end);
			if (end == optarg || *end ||
			    !(want.seconds > 0 && want.seconds <= MAX_SECONDS))
				return usage();
			break;
		case 'b':
			if (!parse(optarg, MAX_BYTES, &want.most_bytes))
				return usage();
			break;
		case 'r':
			if (!parse(optarg, MAX_RECORDS, &want.most_records))
				return usage();
			break;
		case 't':
			if (!parse(optarg, MAX_TASKS, &value))
				return usage();
			want.most_tasks = value;
			break;
		case 'g':
			want.cgroup = optarg;
			break;
		case 'c':
			want.comm = optarg;
			break;
		case 'k':
			want.kthread = optarg;
			break;
		default:
			return usage();
		}
	}
	if (optind != argc || !want.output || !!want.cgroup + !!want.comm + !!want.kthread > 1 ||
	    (want.cgroup && want.cgroup[0] != '/'))
		return usage();
	signal(SIGPIPE, SIG_IGN);
	if (want.cgroup && !find_cgroup(want.cgroup, &cgroup.id, &cgroup.level)) {
		say("there is no cgroup %s", want.cgroup);
		return 1;
	}
	if (!open_kernel())
		return 1;
	return record();
}
