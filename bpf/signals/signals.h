/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Shared by the kernel half and the user half of schedpilot-signals.
 *
 * Histograms have sixteen linear buckets in each power of two, so a percentile read from
 * them is off by 6.25 % at most. Bucket 0 holds everything below 2^10 ns (1.024 us); the
 * last one ends at 2^35 ns (34 s, beyond the 30 s that sched_ext's watchdog allows a
 * task to wait) and holds everything longer as well.
 */
#ifndef SCHEDPILOT_SIGNALS_H
#define SCHEDPILOT_SIGNALS_H

#define SIGNALS_MIN_SHIFT 10
#define SIGNALS_MAX_SHIFT 35
#define SIGNALS_SUB_SHIFT 4
#define SIGNALS_BUCKETS	  (((SIGNALS_MAX_SHIFT - SIGNALS_MIN_SHIFT) << SIGNALS_SUB_SHIFT) + 1)

/* Maximum number of accounts. Account 0 is for tasks that get no account of their own. */
#define SIGNALS_MAX_ACCOUNTS 4096
#define SIGNALS_OTHER	     0

#define SIGNALS_COMM_LEN 16

enum workload_kind {
	WORKLOAD_CGROUP = 1,  /* all tasks of a cgroup other than the root */
	WORKLOAD_COMM = 2,    /* tasks of the root cgroup, by their process's command name */
	WORKLOAD_KTHREAD = 3, /* kernel threads, by name up to the first '/' */
};

/* The account that a task belongs to. No padding: it is hashed as bytes. */
struct workload_key {
	__u64 cgroup;
	__u64 kind;
	char comm[SIGNALS_COMM_LEN];
};

/* The thread that waited longest. */
struct waiter {
	__u32 pid;
	char comm[SIGNALS_COMM_LEN];
};

/* The measurements of a workload's threads. */
enum duration {
	DELAY,	  /* a wait for a CPU */
	SLICE,	  /* the stay that followed it */
	RESPONSE, /* an activation that ended: from wakeup to sleep */
	BURST,	  /* its time on a CPU */
	DURATIONS,
};

struct total {
	__u64 sum_ns;
	__u64 max_ns;
};

/*
 * The figures of one workload on one CPU. They only grow (so the reader subtracts the
 * previous values, and nothing has to be reset), except the maxima and the longest waiter,
 * which belong to the interval that `epoch` names.
 */
struct workload_figures {
	__u64 epoch;
	__u64 sleeps;
	__u64 migrations;
	__u64 threads;
	__u64 exits;	    /* processes that ended */
	__u64 waited_ns;    /* of the activations that ended: after the wakeup */
	__u64 preempted_ns; /* and each time the CPU was lost */
	struct total totals[DURATIONS];
	struct waiter longest;
	__u32 counts[DURATIONS][SIGNALS_BUCKETS];
	__u32 pad;
};

/* From fork to exit: the processes of one workload that ended, of all CPUs together. */
struct workload_jobs {
	__u64 epoch;
	struct total total;
	__u32 counts[SIGNALS_BUCKETS];
	__u32 pad;
};

/* A thread that runs or waits to at the end of an interval. */
struct open_activation {
	__u64 age_ns;  /* since its wakeup */
	__u64 wait_ns; /* of that, its wait for a CPU so far; 0 if it has one */
	__u64 job_ns;  /* since its process was forked */
	__u32 account;
	__u32 tgid; /* 0 of a kernel thread */
	struct waiter who;
};

/* How much of a command line is kept: enough to distinguish jobs, bytes. */
#define SIGNALS_ARGUMENTS 256
/*
 * Buffer for reports on their way to the reader; a power of two and whole pages of any size,
 * bytes.
 */
#define SIGNALS_EVENT_ROOM (128 << 10)

/* Which single processes are reported; a reader has to ask for it. */
enum process_watch {
	WATCH_NONE,
	WATCH_EXITS, /* those that end, when the reader gets to it */
	WATCH_ALL,   /* and each exec, at once */
};

enum process_event_kind {
	PROCESS_EXEC = 1,
	PROCESS_EXIT = 2,
};

/* How many events of one kind may be reported. */
struct event_quota {
	__u64 since; /* the beginning of this second, CLOCK_BOOTTIME, ns */
	__u64 told;  /* in this second */
	__u64 lost;  /* in total, because there was no room or they were too many */
};

/* One process that executed a program, or ended. The figures are for an ended one. */
struct process_event {
	struct workload_key workload;
	__u64 cpu_ns;  /* of all its threads since its exec */
	__u64 wall_ns; /* since its exec */
	__u32 kind;
	__u32 pid;
	__u32 uid;
	__u32 exit_code; /* as in wait(2) */
	/* Size of the arguments in bytes; at most SIGNALS_ARGUMENTS of them are here. */
	__u32 length;
	__u32 executed; /* its exec was seen; else it has no arguments */
	char program[SIGNALS_COMM_LEN];
	char arguments[SIGNALS_ARGUMENTS];
};

#endif
