/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The kernel's types together with the engine's. */
#ifndef SIMULATOR_KERNEL_H
#define SIMULATOR_KERNEL_H

#define BPF_NO_KFUNC_PROTOTYPES
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wmissing-declarations"
#include "vmlinux.h"
#pragma clang diagnostic pop
#include "engine.h"

#ifndef NULL
#define NULL ((void *)0)
#endif
#define PF_IDLE	   0x00000002
#define PF_EXITING 0x00000004
#define PF_KTHREAD 0x00200000

static inline struct task_struct *kernel_of(struct task *t)
{
	return (struct task_struct *)((char *)t + TASK_ROOM);
}

static inline struct task *task_of(const struct task_struct *p)
{
	return (struct task *)((char *)p - TASK_ROOM);
}

/* Where the kernel keeps what every queue and switch changes of a task. */
static inline u64 line_of_task(struct task *t)
{
	return (u64)&kernel_of(t)->scx.dsq_list;
}

static inline bool mask_has(const struct cpumask *mask, u32 cpu)
{
	return cpu < MAX_CPUS && mask->bits[cpu / 64] >> cpu % 64 & 1;
}

/* ---- ext.c, for kfuncs.c ---- */
struct dsq *dsq_for(u64 id, struct task *t);
void ext_insert(struct task *t, u64 dsq_id, u64 slice, u64 vtime, u64 flags);
bool ext_move_to_local(u64 dsq_id, u64 flags);
bool ext_vet(u64 dsq_id, u64 *flags);
bool ext_move(struct dsq *from, struct task *t, u64 dsq_id, u64 flags, bool by_vtime);
void ext_kick(struct sim_cpu *cpu, u64 flags);
bool ext_in(u32 contexts, const char *what);
/* A function of the candidate that is not a callback of its scheduler. */
void ext_callback(const char *name, void *function, u64 a, u64 b, u64 c);
void ext_reenqueue(u64 dsq_id, u64 flags);
void ext_cgroup_comes(u32 cgroup);
void ext_cgroup_goes(u32 cgroup);
bool ext_prepare_move(struct task *t, u32 to);
void ext_move_cgroup(struct task *t, u32 from);
u32 ext_slots(void);
void ext_cancel(void);

/* ---- idle.c ---- */
bool builtin_idle(void);
bool idle_per_node(void);
bool claim_idle(s32 cpu);
void note_idle(s32 cpu, bool idle);
s32 pick_idle(const struct cpumask *allowed, s32 node, u64 flags);
s32 select_idle(struct task *t, s32 prev, u64 wake_flags, const struct cpumask *allowed, u64 flags);

/* ---- cgroup.c, cid.c, timer.c ---- */
struct cgroup *cgroup_at(u32 number);
/* What a cgroup sets; the kernel's struct scx_task_group has no more of it than it has callbacks.
 */
struct group_settings {
	u32 weight;
	bool idle;
	u64 period_us, quota_us, burst_us;
};
const struct group_settings *settings_of(u32 cgroup);
void set_bandwidth(struct group_settings *settings, const struct bandwidth *to);
void enter_cgroup(struct task *t, u32 number);
struct scx_cmask *cmask_of(const struct cpumask *cpus);
void run_deferred(void *object, u64 stamp);
u32 cgroup_number(const struct cgroup *cgroup);

#endif /* SIMULATOR_KERNEL_H */
