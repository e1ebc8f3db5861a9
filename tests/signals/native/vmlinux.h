/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What signals.bpf.c needs of the kernel's types, to be compiled natively for tests. */
#ifndef NATIVE_VMLINUX_H
#define NATIVE_VMLINUX_H

#include <stdbool.h>
#include <stddef.h>

typedef unsigned char __u8;
typedef unsigned int __u32;
typedef unsigned long long __u64;

enum { BPF_MAP_TYPE_HASH, BPF_MAP_TYPE_ARRAY, BPF_MAP_TYPE_PERCPU_ARRAY };
enum { BPF_MAP_TYPE_QUEUE, BPF_MAP_TYPE_TASK_STORAGE, BPF_MAP_TYPE_RINGBUF };
enum { BPF_NOEXIST = 1, BPF_F_NO_PREALLOC = 1, BPF_LOCAL_STORAGE_GET_F_CREATE = 1 };
enum { BPF_RB_NO_WAKEUP, BPF_RB_FORCE_WAKEUP, BPF_RB_AVAIL_DATA };

struct rq {
	__u64 clock;
};

struct cfs_rq {
	struct rq *rq;
};

/* sched_delayed first: there are no relocations here for views of a part of it. */
struct sched_entity {
	unsigned char sched_delayed;
	struct cfs_rq *cfs_rq;
	__u64 nr_migrations;
	__u64 sum_exec_runtime;
};

struct sched_info {
	unsigned long pcount;
	__u64 run_delay;
	__u64 last_arrival;
	__u64 last_queued;
};

struct kernfs_node {
	__u64 id;
};

struct cgroup {
	int level;
	struct kernfs_node *kn;
};

struct css_set {
	struct cgroup *dfl_cgrp;
};

struct cred {
	struct {
		__u32 val;
	} uid;
};

struct mm_struct {
	unsigned long arg_start, arg_end;
};

struct signal_struct {
	__u64 sum_sched_runtime;
	unsigned int flags;
	int nr_threads, group_exit_code;
	struct {
		int counter;
	} live;
};

struct task_struct {
	struct sched_entity se;
	struct sched_info sched_info;
	struct css_set *cgroups;
	struct task_struct *group_leader;
	struct signal_struct *signal;
	struct mm_struct *mm;
	const struct cred *cred;
	unsigned int flags;
	int on_cpu, on_rq, pid, tgid, exit_code, exit_state;
	__u64 self_exec_id, start_boottime;
	char comm[16];
	void *memory; /* for bpf_task_storage_get() */
};

struct bpf_iter_meta {
	void *seq;
};

struct bpf_iter__task {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
};

#endif
