/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the kernel half and the user half of schedpilot-signals share.
 *
 * Histograms have four linear buckets in each power of two, so a percentile read from
 * them is off by 25 % at most. Bucket 0 holds everything below 2^10 ns (1.024 us); the
 * last one ends at 2^35 ns (34 s, beyond the 30 s that sched_ext's watchdog allows a
 * task to wait) and holds everything longer as well.
 */
#ifndef SCHEDPILOT_SIGNALS_H
#define SCHEDPILOT_SIGNALS_H

#define SIGNALS_MIN_SHIFT 10
#define SIGNALS_MAX_SHIFT 35
#define SIGNALS_SUB_SHIFT 2
#define SIGNALS_BUCKETS	  (((SIGNALS_MAX_SHIFT - SIGNALS_MIN_SHIFT) << SIGNALS_SUB_SHIFT) + 1)

/* Accounts that exist at once. Account 0 is for what finds no account of its own. */
#define SIGNALS_MAX_ACCOUNTS 4096
#define SIGNALS_OTHER	     0

#define SIGNALS_COMM_LEN 16

enum workload_kind {
	WORKLOAD_CGROUP = 1,  /* all tasks of a cgroup other than the root */
	WORKLOAD_COMM = 2,    /* tasks of the root cgroup, by their process's command name */
	WORKLOAD_KTHREAD = 3, /* kernel threads, by name up to the first '/' */
};

/* Which account a task belongs to. No padding: it is hashed as bytes. */
struct workload_key {
	__u64 cgroup;
	__u64 kind;
	char comm[SIGNALS_COMM_LEN];
};

/*
 * The figures of one workload on one CPU. They only grow (so the reader subtracts what
 * it saw before, and nobody has to reset anything), except the two maxima, which are of
 * the interval that `epoch` names.
 */
struct workload_figures {
	__u64 epoch;
	__u64 delay_ns;
	__u64 delay_max_ns;
	__u64 slice_ns;
	__u64 slice_max_ns;
	__u64 sleeps;
	__u64 migrations;
	__u64 threads;
	__u32 delays[SIGNALS_BUCKETS];
	__u32 slices[SIGNALS_BUCKETS];
};

#endif
