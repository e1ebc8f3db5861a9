// SPDX-License-Identifier: GPL-2.0-or-later
#define _GNU_SOURCE
#include <errno.h>
#include <linux/perf_event.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "common/json.h"
#include "signals/machine.h"
#include "common/system.h"

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

#define MAX_EVENTS 64

static struct {
	uint64_t busy, all, switches, psi_some, psi_full;
	int *fds[COUNTERS];
	struct reading *readings[COUNTERS];
	int perf_errno[COUNTERS];
	struct event events[MAX_EVENTS];
	unsigned int event_count, cpus;
} machine;

void open_counters(unsigned int cpus)
{
	unsigned int which, cpu;

	machine.cpus = cpus;
	for (which = 0; which < COUNTERS; which++) {
		struct perf_event_attr attribute = {
		    .type = PERF_TYPE_HARDWARE,
		    .size = sizeof(attribute),
		    .config = counters[which].config,
		    .read_format = PERF_FORMAT_TOTAL_TIME_ENABLED | PERF_FORMAT_TOTAL_TIME_RUNNING,
		};

		machine.fds[which] = must(calloc(machine.cpus, sizeof(int)));
		machine.readings[which] = must(calloc(machine.cpus, sizeof(struct reading)));
		for (cpu = 0; cpu < machine.cpus; cpu++) {
			machine.fds[which][cpu] = syscall(SYS_perf_event_open, &attribute, -1, cpu,
							  -1, PERF_FLAG_FD_CLOEXEC);
			if (machine.fds[which][cpu] < 0 && !cpu)
				machine.perf_errno[which] = errno;
		}
	}
}

/*
 * The count since the last reading, on all CPUs, scaled up for the time that the counter
 * shared the hardware.
 */
static uint64_t counted(unsigned int which)
{
	struct reading now, *last;
	uint64_t enabled, running;
	double sum = 0;
	unsigned int cpu;

	for (cpu = 0; cpu < machine.cpus; cpu++) {
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
	/* The kernel prints both as numbers; the second was added in 6.14. */
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

void put_machine(double interval_s)
{
	putf("\"machine\":{");
	put_processors(interval_s);
	put_load();
	put_counters();
	put_pressure();
	put_sched_ext();
	putf("}");
}
