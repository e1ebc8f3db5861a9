/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Data of each task.
 *
 * Task storage comes and goes with its task, so no number that is used again (a process id)
 * has to be looked up. init_task() makes the context with new_ctx() and fails without memory.
 * All other callbacks therefore find one; the verifier still wants them to test for NULL.
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

/* A new context, all zeros; NULL without memory. */
static struct task_ctx *new_ctx(struct task_struct *p)
{
	return bpf_task_storage_get(&tasks, p, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
}

#endif
