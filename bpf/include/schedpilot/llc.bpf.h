/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Last-level caches (LLCs): which CPUs share one, and the state that belongs to each.
 *
 * What CPUs write at each switch or wakeup is in the `struct llc` of their own cache. A line
 * that the whole machine writes would travel from cache to cache all the time.
 *
 * LLCs are numbered from 0 without gaps, so that loops and arrays are short. A CPU keeps its
 * number for good: hardware does not move, but the kernel's own names of LLCs do, as CPUs come
 * and go. A CPU that was offline at init() gets its number when it first comes online.
 *
 * init() calls llcs_init(); cpu_online() and cpu_offline() call cpu_comes() and cpu_goes().
 */
#ifndef SCHEDPILOT_LLC_BPF_H
#define SCHEDPILOT_LLC_BPF_H

#include <schedpilot/machine.bpf.h>

/* LLCs beyond these share the numbers of the first ones. */
#define MAX_LLCS 64
/* The most CPUs that a distribution's kernel has room for. */
#define MOST_CPUS 8192

struct llc {
	/* Written as tasks run here. */
	u64 clock; /* virtual time of its tasks, ns; see <schedpilot/virtual_time.bpf.h> */
	u64 runnable_weight; /* of all its tasks whose weight counts */
	s64 root_weight;     /* what became runnable here of tasks that are in no control group */
	u64 looked_at;	     /* when a CPU here last looked around, ns */
	u64 lone_at;	     /* when a CPU here last compared its only task's luck, ns */
	u32 compared;	     /* the LLC with which load was last compared */
	u32 searched;	     /* the LLC whose queues were last searched for late tasks */
	u32 robbed;	     /* the LLC from which a task was last stolen */
	/* Written as CPUs come and go; read everywhere. */
	u64 nr_online __attribute__((aligned(64)));
	s32 node; /* the NUMA node of its first CPU */
} __attribute__((aligned(64)));

struct llc llcs[MAX_LLCS];

/* A CPU's LLC, plus 1; 0: it has not been online yet. */
u8 llc_numbers[MOST_CPUS];

/* How many LLCs have had a CPU online, and how many there may be when all CPUs have been. */
static u32 nr_llcs = 1;
static u32 most_llcs = 1;
/* How many differ; those beyond MAX_LLCS too. */
static u32 llcs_seen;
/* Each CPU is said to have a cache of its own, so NUMA nodes take the place of LLCs. */
u32 nodes_are_llcs;

/* The CPUs of each LLC that are online; only with more than one. */
struct llc_cpus {
	struct bpf_cpumask __kptr *mask;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, MAX_LLCS);
	__type(key, u32);
	__type(value, struct llc_cpus);
} llc_cpus SEC(".maps");

/*
 * The kernel's data on which CPUs share a cache: a number that those have in common. Without it
 * (or without BTF for per-CPU data) the machine is one LLC.
 */
extern const int sd_llc_id __ksym __weak;

/* The number of a CPU's LLC. */
static u32 llc_of(s32 cpu)
{
	u32 number = llc_numbers[cpu & (MOST_CPUS - 1)];

	return number ? number - 1 : 0;
}

static struct llc *llc_at(u32 number)
{
	return &llcs[number & (MAX_LLCS - 1)];
}

/* How many CPUs of an LLC are online; 1 if none is, so that it can be a divisor. */
static u64 online_in(u32 llc)
{
	u64 nr = llc_at(llc)->nr_online;

	return nr ? nr : 1;
}

static s32 kernels_llc(s32 cpu)
{
	const int *id;

	if (nodes_are_llcs)
		return __COMPAT_scx_bpf_cpu_node(cpu);
	if (!&sd_llc_id)
		return 0;
	id = bpf_per_cpu_ptr(&sd_llc_id, cpu);
	return id ? *id : 0;
}

/* Number a CPU as others of its LLC, or as the first of a new one. */
static void number_cpu(s32 cpu)
{
	u32 number = 0, other;
	s32 id = kernels_llc(cpu);

	bpf_for (other, 0, nr_cpus) {
		number = llc_numbers[other & (MOST_CPUS - 1)];
		if (number && kernels_llc(other) == id)
			break;
		number = 0;
	}
	if (!number) {
		number = llcs_seen++ % MAX_LLCS + 1;
		llc_at(number - 1)->node = __COMPAT_scx_bpf_cpu_node(cpu);
	}
	llc_numbers[cpu & (MOST_CPUS - 1)] = number;
}

/* Number the LLCs of all CPUs that are online. */
__noinline int number_llcs(void)
{
	const struct cpumask *online = scx_bpf_get_online_cpumask();
	s32 cpu;

	bpf_for (cpu, 0, nr_cpus) {
		llc_numbers[cpu & (MOST_CPUS - 1)] = 0;
		if (bpf_cpumask_test_cpu(cpu, online))
			number_cpu(cpu);
	}
	scx_bpf_put_cpumask(online);
	return 0;
}

static void count_cpu(s32 cpu, bool comes)
{
	u32 llc = llc_of(cpu);
	struct llc_cpus *here = bpf_map_lookup_elem(&llc_cpus, &llc);
	struct bpf_cpumask *mask = here ? here->mask : NULL;

	__sync_fetch_and_add(&llc_at(llc)->nr_online, comes ? 1 : -1);
	if (!mask)
		return;
	if (comes)
		bpf_cpumask_set_cpu(cpu, mask);
	else
		bpf_cpumask_clear_cpu(cpu, mask);
}

static s32 make_mask(u32 llc)
{
	struct llc_cpus *here = bpf_map_lookup_elem(&llc_cpus, &llc);
	struct bpf_cpumask *mask;

	if (!here)
		return -EINVAL;
	mask = bpf_cpumask_create();
	if (!mask)
		return -ENOMEM;
	mask = bpf_kptr_xchg(&here->mask, mask);
	if (mask)
		bpf_cpumask_release(mask);
	return 0;
}

/* Count those that are online. */
__noinline int count_online(void)
{
	const struct cpumask *online = scx_bpf_get_online_cpumask();
	s32 cpu;

	bpf_rcu_read_lock();
	bpf_for (cpu, 0, nr_cpus) {
		if (bpf_cpumask_test_cpu(cpu, online))
			count_cpu(cpu, true);
	}
	bpf_rcu_read_unlock();
	scx_bpf_put_cpumask(online);
	return 0;
}

static s32 llcs_init(void)
{
	s32 error = 0;
	u32 llc;

	count_cpus();
	number_llcs();
	if (llcs_seen > 1 && llcs_seen == nr_online) {
		nodes_are_llcs = 1;
		llcs_seen = 0;
		number_llcs();
	}
	nr_llcs = llcs_seen < MAX_LLCS ? llcs_seen : MAX_LLCS;
	/* Each CPU that has not been online may have an LLC of its own. */
	most_llcs = nr_llcs + nr_cpus - nr_online;
	if (most_llcs > MAX_LLCS)
		most_llcs = MAX_LLCS;
	bpf_for (llc, 0, most_llcs) {
		if (most_llcs > 1)
			error = make_mask(llc);
		if (error)
			return error;
	}
	count_online();
	return 0;
}

static void cpu_comes(s32 cpu)
{
	__sync_fetch_and_add(&nr_online, 1);
	if (!llc_numbers[cpu & (MOST_CPUS - 1)])
		number_cpu(cpu);
	if (llc_of(cpu) >= nr_llcs)
		nr_llcs = llc_of(cpu) + 1;
	count_cpu(cpu, true);
}

static void cpu_goes(s32 cpu)
{
	__sync_fetch_and_sub(&nr_online, 1);
	count_cpu(cpu, false);
}

#endif
