/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The accounts of the kernel half, read and named. Accounts are numbered; number
 * SIGNALS_OTHER is for tasks that got none. A workload keeps its account as long as it is
 * active, and loses it after a minute of silence.
 */
#ifndef SCHEDPILOT_SIGNALS_ACCOUNTS_H
#define SCHEDPILOT_SIGNALS_ACCOUNTS_H

#include <stdbool.h>
#include <stdint.h>
#include "signals/signals.h"

struct account {
	struct workload_key key;
	struct workload_figures before; /* all totals, summed over the CPUs */
	struct workload_jobs jobs_before;
	char *path; /* of a cgroup, once it is found */
	uint64_t active_ns;
	int tries;
	bool used;
	bool retired; /* unknown to the kernel since the last interval; free in the next */
};

/* An account's increase in the last interval. */
struct changes {
	struct workload_figures figures;
	struct workload_jobs jobs;
	uint64_t slices;
	/* Unfinished activations: threads of this account, those of one process adjacent. */
	const struct open_activation *open;
	unsigned int open_count;
};

/* Loads and attaches the kernel half. False, after reporting the reason, if it cannot. */
bool open_accounts(unsigned int max_workloads, unsigned int cpus);

/* Whether this kernel reports unfinished activations. */
bool sees_open(void);

/* Whether it sees the turns of event loops. */
bool sees_turns(void);

/* Reads the unfinished activations, and finds and names the new workloads. */
void find_accounts(uint64_t now);

/*
 * After that: updates the accounts and begins the next interval. Calls back for each active
 * account, in no order; its argument is valid during the call.
 */
void read_accounts(uint64_t now,
		   void (*tell)(const struct account *account, const struct changes *changes));

/* Puts the workload's id as a JSON string. */
void put_id(const struct account *account);

/* The same for a workload of the kernel's naming. */
void put_workload_id(const struct workload_key *key);

/* Losses since the last call. */
struct losses {
	uint64_t switches; /* switches that could not be accounted */
	uint64_t execs;	   /* and exits that were not reported: too many at once */
	uint64_t exits;
};

struct losses take_losses(void);

/* Sets which single processes the kernel half reports from now on. */
void watch_processes(enum process_watch watch);

/* The map through which it does. */
int process_events(void);

#endif
