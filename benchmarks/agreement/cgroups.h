/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The cgroups of a scenario, as real ones. Their numbers are those of the scenario; 0 is the root.
 */
#ifndef BENCHMARKS_AGREEMENT_CGROUPS_H
#define BENCHMARKS_AGREEMENT_CGROUPS_H

#include <stdbool.h>
#include <stdint.h>

/* Beside the root. */
#define MAX_CGROUPS 16
#define NO_QUOTA    UINT64_MAX

struct cgroup {
	unsigned int parent;
	char name[64];
	uint64_t weight; /* cpu.weight; not written where `idle` is */
	bool idle;
	uint64_t quota_ns, period_ns, burst_ns; /* NO_QUOTA: none */
};

/* All of these exit with a message if the kernel refuses something. */
void make_cgroups(const struct cgroup *wanted, unsigned int count);
/* Move the calling process. */
void enter_cgroup(unsigned int number);
/* Once they are empty. */
void remove_cgroups(void);

#endif
