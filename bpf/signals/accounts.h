/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The accounts of the kernel half, read and named. Accounts are numbered; number
 * SIGNALS_OTHER is for tasks that found none. A workload keeps its account as long as it
 * is active, and loses it after a minute of silence.
 */
#ifndef SCHEDPILOT_SIGNALS_ACCOUNTS_H
#define SCHEDPILOT_SIGNALS_ACCOUNTS_H

#include <stdbool.h>
#include <stdint.h>
#include "signals/signals.h"

struct account {
	struct workload_key key;
	struct workload_figures before; /* all there ever was, summed over the CPUs */
	struct workload_jobs jobs_before;
	char *path; /* of a cgroup, once it is found */
	uint64_t active_ns;
	int tries;
	bool used;
	bool retired; /* unknown to the kernel since the last interval; free in the next */
};

/* What the last interval added to an account. */
struct changes {
	struct workload_figures figures;
	struct workload_jobs jobs;
	uint64_t slices;
	/* What is not over: threads of this account, those of one process side by side. */
	const struct open_activation *open;
	unsigned int open_count;
};

/* Loads and attaches the kernel half. False, with the reason said, when it cannot. */
bool open_accounts(unsigned int max_workloads, unsigned int cpus);

/* Whether this kernel tells of what is not over. */
bool sees_open(void);

/* Whether it sees the turns of event loops. */
bool sees_turns(void);

/* Sees what is not over now, and finds and names the workloads that are new. */
void find_accounts(uint64_t now);

/*
 * After that: brings the accounts up to date and begins the next interval. Tells of each that was
 * active, in no order; what it is given is valid during the call.
 */
void read_accounts(uint64_t now,
		   void (*tell)(const struct account *account, const struct changes *changes));

/* Puts the workload's id as a JSON string. */
void put_id(const struct account *account);

/* The same for a workload of the kernel's naming. */
void put_workload_id(const struct workload_key *key);

/* What was lost since the last call. */
struct losses {
	uint64_t switches; /* that could not be accounted */
	uint64_t execs;	   /* and exits that were not told: too many at once */
	uint64_t exits;
};

struct losses take_losses(void);

/* What the kernel half tells of single processes from now on. */
void watch_processes(enum process_watch watch);

/* The map through which it does. */
int process_events(void);

#endif
