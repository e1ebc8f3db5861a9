/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Cgroups under the model of the kernel's own scheduler (fair.c): their shares (groups.c) and
 * their quotas (quota.c). All of it does nothing for tasks in the root.
 */
#ifndef SIMULATOR_GROUPS_H
#define SIMULATOR_GROUPS_H

#include "pelt.h"

/* A group on one CPU: the kernel's struct cfs_rq, and the entity that stands for it above. */
struct group_queue {
	u64 weight;		  /* of the tasks and groups in it that compete, fine */
	u32 nr, runnable;	  /* how many those are; tasks in it and below that want to run */
	u64 entity;		  /* what it weighs one level above, fine; kept while it is empty */
	bool frozen;		  /* throttled and empty: its averages stand still */
	struct load load, demand; /* averages of the weight, and of how many want to run */
	u64 summed;		  /* the load that is part of the group's sum */
	/* for quota.c */
	bool throttled;
	s64 left_ns;	    /* of its part of the quota */
	u64 throttled_from; /* with tasks that would run; NEVER: none yet */
	struct sim_cpu *cpu;
	struct group_queue *next; /* the next one that is throttled */
};

/* The kernel's struct task_group with its struct cfs_bandwidth. */
struct fair_group {
	u64 shares; /* fine */
	bool idle;
	/* sums over all CPUs, and the time from which they are; NEVER: none yet */
	u64 load, demand, cpus, summed_at;
	/* for quota.c */
	struct bandwidth limit;
	u64 left_ns; /* in the common pool */
	bool unused; /* nothing was taken from it in this period so far */
	bool timer_on, slack_timer_on;
	u64 refill_at;
	struct sim_cpu *timer_cpu;
	struct group_queue *throttled; /* in the order in which they are served */
};

/* ---- groups.c ---- */
void start_groups(void);
struct fair_group *fair_group_at(u32 cgroup);
struct group_queue *group_queue_at(u32 cgroup, const struct sim_cpu *cpu);
u32 cgroup_above(u32 cgroup);
/* The task competes on that CPU from now on, and until it leaves. */
void join_groups(struct task *t, struct sim_cpu *cpu);
void leave_groups(struct task *t);
/* Whether a task that competes wants to run; a sleeper that makes up for its excess does not. */
void count_in_groups(struct task *t, bool runnable);
/* Bring the shares of its groups on its CPU up to now. */
void update_groups(struct task *t);
/* What its weight comes to among all that compete on that CPU, fine. */
u64 flat_weight_in(const struct task *t, const struct sim_cpu *cpu);
void change_group(const struct cgroup_change *change);

/* ---- quota.c ---- */
void set_quota(u32 cgroup, const struct bandwidth *limit);
/* That CPU's queue gets its first competitor, or lost its last one. */
void quota_used_again(u32 cgroup, struct sim_cpu *cpu);
void quota_left_over(u32 cgroup, struct sim_cpu *cpu);
/* The task ran for that long. */
void charge_groups(struct task *t, struct sim_cpu *cpu, u64 ran);
/* Whether all groups of the task have CPU time left there, after they ask for more. */
bool may_use_quota(const struct task *t, struct sim_cpu *cpu);
/* Whether the group, or one above it, has to wait there for its next period. */
bool group_throttled(u32 cgroup, const struct sim_cpu *cpu);
bool is_throttled(const struct task *t, const struct sim_cpu *cpu);
/* From now on the task waits for its groups' next period. */
void note_throttled(const struct task *t, const struct sim_cpu *cpu);
void lift_quotas_of(struct sim_cpu *cpu);

/* ---- fair.c ---- */
/* Tasks that waited for their groups' next period compete again, as far as they may. */
void release_throttled(struct sim_cpu *cpu);

#endif /* SIMULATOR_GROUPS_H */
