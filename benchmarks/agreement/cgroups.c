// SPDX-License-Identifier: GPL-2.0-or-later
#include "cgroups.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define ROOT	   "/sys/fs/cgroup"
#define PATH_BYTES 512
/* The kernel is done with a process that has ended a moment after its parent knows. */
#define EMPTY_WITHIN_MS 10000

static char paths[MAX_CGROUPS + 1][PATH_BYTES] = {ROOT};
static unsigned int nr_made = 1;

static void refuse_at(const char *path, const char *what)
{
	fprintf(stderr, "replay: %s: %s: %s\n", path, what, strerror(errno));
	exit(2);
}

static void put(const char *folder, const char *file, const char *value)
{
	char path[PATH_BYTES + 64];
	int opened;

	snprintf(path, sizeof(path), "%s/%s", folder, file);
	opened = open(path, O_WRONLY | O_CLOEXEC);
	if (opened < 0 || write(opened, value, strlen(value)) < 0)
		refuse_at(path, value);
	close(opened);
}

static void put_number(const char *folder, const char *file, uint64_t value)
{
	char text[32];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
	put(folder, file, text);
}

static void make(const struct cgroup *wanted)
{
	const char *above = paths[wanted->parent];
	char *path = paths[nr_made], limit[64];
	unsigned long long period_us = wanted->period_ns / 1000;

	if (snprintf(path, PATH_BYTES, "%s/%s", above, wanted->name) >= PATH_BYTES) {
		errno = ENAMETOOLONG;
		refuse_at(above, wanted->name);
	}
	put(above, "cgroup.subtree_control", "+cpu");
	if (mkdir(path, 0755))
		refuse_at(path, "it cannot be made");
	nr_made++;
	if (wanted->idle)
		put(path, "cpu.idle", "1");
	else
		put_number(path, "cpu.weight", wanted->weight);
	if (wanted->quota_ns == NO_QUOTA)
		return;
	snprintf(limit, sizeof(limit), "%llu %llu", (unsigned long long)wanted->quota_ns / 1000,
		 period_us);
	put(path, "cpu.max", limit);
	put_number(path, "cpu.max.burst", wanted->burst_ns / 1000);
}

void make_cgroups(const struct cgroup *wanted, unsigned int count)
{
	for (unsigned int i = 0; i < count; i++) {
		if (nr_made > MAX_CGROUPS || wanted[i].parent >= nr_made) {
			errno = EINVAL;
			refuse_at(ROOT, wanted[i].name);
		}
		make(&wanted[i]);
	}
}

void enter_cgroup(unsigned int number)
{
	if (number >= nr_made) {
		errno = EINVAL;
		refuse_at(ROOT, "a task is of no cgroup");
	}
	if (number)
		put(paths[number], "cgroup.procs", "0");
}

void remove_cgroups(void)
{
	const struct timespec moment = {.tv_nsec = 1000000};
	int waited = 0;

	while (nr_made > 1) {
		if (!rmdir(paths[nr_made - 1])) {
			nr_made--;
			continue;
		}
		if (errno != EBUSY || ++waited > EMPTY_WITHIN_MS)
			refuse_at(paths[nr_made - 1], "it cannot be removed");
		nanosleep(&moment, NULL);
	}
}
