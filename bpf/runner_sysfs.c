// SPDX-License-Identifier: GPL-2.0-or-later
/* What the kernel says of itself. A file that is not there reads as empty or -1. */
#include <ctype.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "runner.h"

#define SYSFS "/sys/kernel/sched_ext/"

static void read_text(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = -1;

	text[0] = '\0';
	if (fd < 0)
		return;
	n = read(fd, text, size - 1);
	close(fd);
	if (n < 0)
		n = 0;
	text[n] = '\0';
	while (n > 0 && isspace((unsigned char)text[n - 1]))
		text[--n] = '\0';
}

static long long read_number(const char *path)
{
	char text[32];

	read_text(path, text, sizeof(text));
	return text[0] ? strtoll(text, NULL, 10) : -1;
}

void scx_read(struct scx_state *state)
{
	read_text(SYSFS "state", state->state, sizeof(state->state));
	read_text(SYSFS "root/ops", state->ops, sizeof(state->ops));
	state->enable_seq = read_number(SYSFS "enable_seq");
	state->nr_rejected = read_number(SYSFS "nr_rejected");
	state->hotplug_seq = read_number(SYSFS "hotplug_seq");
}

/* The event counters (6.15) as members; the set of names changes with versions. */
void scx_json_events(void)
{
	char text[4096], *line, *rest;

	read_text(SYSFS "root/events", text, sizeof(text));
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

	read_text("/sys/devices/system/cpu/isolated", text, sizeof(text));
	return text[0] != '\0';
}

long long now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

void sleep_ms(int ms)
{
	struct timespec pause = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L};

	nanosleep(&pause, NULL);
}
