/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a scheduler remembers of each task.
 *
 * Task storage comes and goes with its task, and nothing has to be looked up by a number that
 * is used again. init_task() makes the context with new_ctx(), and fails where there is no
 * memory; so all other callbacks find one, but the verifier still wants NULL to be tested.
 *
 * Define before: `struct task_ctx`.
 */
#ifndef SCHEDPILOT_TASKS_BPF_H
#define SCHEDPILOT_TASKS_BPF_H

#include <scx/common.bpf.h>

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct task_ctx);
} tasks SEC(".maps");

static struct task_ctx *ctx_of(struct task_struct *p)
{
	return bpf_task_storage_get(&tasks, p, 0, 0);
}

/* A context of zeros; NULL without memory. */
static struct task_ctx *new_ctx(struct task_struct *p)
{
	return bpf_task_storage_get(&tasks, p, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
}

#endif
