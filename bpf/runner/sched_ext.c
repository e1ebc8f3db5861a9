// SPDX-License-Identifier: GPL-2.0-or-later
/* The kernel's own state. A missing file reads as empty or -1. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/system.h"
#include "runner/runner.h"

#define SYSFS "/sys/kernel/sched_ext/"

static void read_word(const char *path, char *text, size_t size)
{
	if (!slurp_word(path, text, size))
		text[0] = '\0';
}

static long long read_number(const char *path)
{
	char text[32];

	read_word(path, text, sizeof(text));
	return text[0] ? strtoll(text, NULL, 10) : -1;
}

void scx_read(struct scx_state *state)
{
	read_word(SYSFS "state", state->state, sizeof(state->state));
	read_word(SYSFS "root/ops", state->ops, sizeof(state->ops));
	state->enable_seq = read_number(SYSFS "enable_seq");
	state->nr_rejected = read_number(SYSFS "nr_rejected");
	state->hotplug_seq = read_number(SYSFS "hotplug_seq");
}

/* The event counters (6.15) as members; the set of names changes with versions. */
void scx_json_events(void)
{
	char text[4096], *line, *rest;

	if (!slurp(SYSFS "root/events", text, sizeof(text)))
		text[0] = '\0';
	json_open("events", '{');
	for (line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		char name[64];
		long long value;

		if (sscanf(line, "%63[A-Za-z0-9_] %lld", name, &value) == 2)
			json_int(name, value);
	}
	json_close('}');
}

bool cpus_isolated(void)
{
	char text[256];

	read_word("/sys/devices/system/cpu/isolated", text, sizeof(text));
	return text[0] != '\0';
}
