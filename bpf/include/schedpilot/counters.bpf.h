/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Counters: how often a scheduler did what.
 *
 * Each CPU counts separately, so that CPUs do not fight over a cache line. The reader of the
 * map `stats` adds them up.
 *
 * Define before: `enum counter_index`, whose last member is NR_COUNTERS.
 */
#ifndef SCHEDPILOT_COUNTERS_BPF_H
#define SCHEDPILOT_COUNTERS_BPF_H

#include <scx/common.bpf.h>

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, NR_COUNTERS);
	__type(key, u32);
	__type(value, u64);
} stats SEC(".maps");

static void count(u32 which)
{
	u64 *value = bpf_map_lookup_elem(&stats, &which);

	if (value)
		(*value)++;
}

#endif
