/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Numbers of CPUs: all that may ever exist, and those that are online.
 *
 * <schedpilot/llc.bpf.h> counts them, and changes `nr_online` as CPUs come and go. Both start at
 * 1, so that they can be divisors.
 */
#ifndef SCHEDPILOT_MACHINE_BPF_H
#define SCHEDPILOT_MACHINE_BPF_H

#include <scx/common.bpf.h>

static u32 nr_cpus = 1;
static u64 nr_online = 1;

static void count_cpus(void)
{
	const struct cpumask *online = scx_bpf_get_online_cpumask();

	nr_online = bpf_cpumask_weight(online);
	scx_bpf_put_cpumask(online);
	nr_cpus = scx_bpf_nr_cpu_ids();
}

#endif
