/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Shared by the kernel half and the user half of schedpilot-recorder. */
#ifndef SCHEDPILOT_RECORDER_H
#define SCHEDPILOT_RECORDER_H

#define RECORDER_COMM_LEN 16
/*
 * Number of CPUs for which an affinity is recorded; as many as the simulator has
 * (simulator/scenario.py).
 */
#define RECORDER_CPU_WORDS 4
/* Buffer for events on their way to the reader; a power of two, bytes. */
#define RECORDER_ROOM (4 << 20)

/* NMI_MASK, HARDIRQ_MASK and SOFTIRQ_OFFSET of include/linux/preempt.h, which BTF lacks. */
#define RECORDER_INTERRUPT_BITS 0x00ff0100
/* The same in kernels whose preemption count is 64 bits wide (7.3 is one). */
#define RECORDER_WIDE_INTERRUPT_BITS 0xff000100

enum recorder_kind {
	RECORDER_TASK = 1, /* a task's identity; again when it executes another program */
	RECORDER_WAKE,	   /* it ran, slept, and is woken now */
	RECORDER_FORK,	   /* `waker` made it */
	RECORDER_EXIT,	   /* it ran, and has ended */
	RECORDER_RUNS,	   /* the recording ends, and it wants to run */
	RECORDER_SLEEPS,   /* the recording ends, and it sleeps */
};

/* The cause of a wakeup. */
enum recorder_how {
	HOW_OUTSIDE = 1, /* a timer or another interrupt */
	HOW_TASK,	 /* the task `waker` */
	HOW_SYNC,	 /* the same, and it announced that it is about to sleep */
	HOW_UNKNOWN,	 /* nobody visible */
};

/* The kernel's numbers of threads, as in /proc/PID/task. Times are CLOCK_MONOTONIC's, ns. */
struct recorder_event {
	__u32 kind;
	__u32 task;
	__u64 at;
	__u64 ran;	 /* CPU time since it was woken or made, or since the recording began */
	__u64 slept;	 /* before it was woken */
	__u64 waker_ran; /* the waker's or the parent's `ran` */
	__u32 waker;
	__u32 how;
};

struct recorder_task {
	__u32 kind;
	__u32 task;
	__u32 process;
	__u32 uid;
	__u64 cgroup; /* 0: the root */
	__u32 policy;
	__s32 nice;
	__u32 kthread;
	__u32 cpus_allowed; /* how many */
	__u64 cpus[RECORDER_CPU_WORDS];
	char comm[RECORDER_COMM_LEN];
	char leader[RECORDER_COMM_LEN];
};

#endif
