/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Data of each CPU, which any other CPU may look up.
 *
 * Define before: `struct cpu_ctx`.
 */
#ifndef SCHEDPILOT_CPUS_BPF_H
#define SCHEDPILOT_CPUS_BPF_H

#include <scx/common.bpf.h>

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct cpu_ctx);
} cpus SEC(".maps");

static struct cpu_ctx *cpu_ctx(s32 cpu)
{
	u32 zero = 0;

	return bpf_map_lookup_percpu_elem(&cpus, &zero, cpu);
}

#endif
