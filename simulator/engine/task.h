/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SIMULATOR_TASK_H
#define SIMULATOR_TASK_H

struct task *make_task(struct task_plan *plan, struct task *parent);
void make_idle_tasks(void);
void set_mask(struct task *t, const u64 *cpus);
void set_nice(struct task *t, s32 nice);
long bpf_map_update_elem(void *map, const void *key, const void *value, u64 flags);

#endif /* SIMULATOR_TASK_H */
