/* SPDX-License-Identifier: GPL-2.0-only */
/* Which CPUs share a last-level cache (LLC). */
#ifndef SCHEDPILOT_LLC_BPF_H
#define SCHEDPILOT_LLC_BPF_H

#include <schedpilot/machine.bpf.h>

/*
 * The scheduler domains' own data on which CPUs share a cache: the number of the first CPU
 * that does. Without it (or without BTF for per-CPU data) the machine is one LLC.
 */
extern const int sd_llc_id __ksym __weak;

/* The LLC of a CPU: the number of the first CPU in it. */
static u32 llc_of(s32 cpu)
{
	const int *id;

	if (!&sd_llc_id)
		return 0;
	id = bpf_per_cpu_ptr(&sd_llc_id, cpu);
	return id && *id >= 0 && (u32)*id < nr_cpus ? *id : 0;
}

#endif
