// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The kfuncs of cids, CPUs numbered along the topology (7.2), and masks of them (7.3). CPUs
 * that share something have neighbouring numbers here, so a cid is the number of its CPU.
 */
#include "kernel.h"

#define EINVAL 22

static bool cid_valid(s32 cid)
{
	if (cid >= 0 && cid < sim.want.cpus)
		return true;
	end_by(EXIT_ERROR, 0, "invalid cid %d", cid);
	return false;
}

s32 scx_bpf_cpu_to_cid(s32 cpu)
{
	return cid_valid(cpu) ? cpu : -EINVAL;
}

s32 scx_bpf_cid_to_cpu(s32 cid)
{
	return cid_valid(cid) ? cid : -EINVAL;
}

u32 scx_bpf_nr_cids(void)
{
	return sim.want.cpus;
}

u32 scx_bpf_nr_online_cids(void)
{
	u32 nr = 0;

	for (s32 i = 0; i < sim.want.cpus; i++)
		nr += sim.cpus[i].online;
	return nr;
}

s32 scx_bpf_this_cid(void)
{
	return sim.this_cpu->id;
}

s32 scx_bpf_task_cpu(const struct task_struct *p);
struct task_struct *scx_bpf_cpu_curr(s32 cpu);
void scx_bpf_kick_cpu(s32 cpu, u64 flags);

s32 scx_bpf_task_cid(const struct task_struct *p)
{
	return scx_bpf_task_cpu(p);
}

struct task_struct *scx_bpf_cid_curr(s32 cid)
{
	return cid_valid(cid) ? scx_bpf_cpu_curr(cid) : NULL;
}

void scx_bpf_kick_cid(s32 cid, u64 flags)
{
	if (cid_valid(cid))
		scx_bpf_kick_cpu(cid, flags);
}

u32 scx_bpf_cidperf_cap(s32 cid)
{
	return cid_valid(cid) ? 1024 : 0;
}

u32 scx_bpf_cidperf_cur(s32 cid)
{
	return cid_valid(cid) ? 1024 : 0;
}

s32 scx_bpf_cidperf_set(s32 cid, u32 perf)
{
	return cid_valid(cid) && perf <= 1024 ? 0 : -EINVAL;
}

/* A kernel without cids has neither the structure nor anybody who could ask for it. */
#ifdef HAS_CID_TOPO
void scx_bpf_cid_topo(s32 cid, struct scx_cid_topo *out, u64 size)
{
	if (!cid_valid(cid) || size < sizeof(*out))
		return;
	*out = (struct scx_cid_topo){
	    .core_idx = cid / sim.want.core_cpus,
	    .llc_idx = cid / sim.want.llc_cpus,
	    .node_idx = cid / sim.want.node_cpus,
	};
	out->core_cid = out->core_idx * sim.want.core_cpus;
	out->llc_cid = out->llc_idx * sim.want.llc_cpus;
	out->node_cid = out->node_idx * sim.want.node_cpus;
#ifdef HAS_CID_SHARDS
	out->shard_cid = out->llc_cid;
	out->shard_idx = out->llc_idx;
#endif
}
#endif

/* ---- masks ---- */

struct whole_mask {
	u32 base, nr_cids, alloc_words;
	u64 bits[MASK_WORDS + 1];
};

static void frame(struct whole_mask *mask)
{
	*mask = (struct whole_mask){.nr_cids = sim.want.cpus, .alloc_words = MASK_WORDS + 1};
}

struct scx_cmask *cmask_of(const struct cpumask *cpus)
{
	static struct whole_mask mask;

	frame(&mask);
	for (u32 i = 0; i < MASK_WORDS; i++)
		mask.bits[i] = cpus->bits[i];
	return (struct scx_cmask *)&mask;
}

const void *scx_bpf_online_cmask(void)
{
	static struct whole_mask mask;

	frame(&mask);
	for (s32 i = 0; i < sim.want.cpus; i++)
		mask.bits[i / 64] |= (u64)sim.cpus[i].online << i % 64;
	return &mask;
}

/* There is only one scheduler, so it holds every CPU with all capabilities. */
#ifdef HAS_CMASK
s32 scx_bpf_sub_caps(u64 cgroup_id, u64 caps, struct scx_cmask *out)
{
	(void)caps;
	if (cgroup_id)
		return -2; /* ENOENT */
	for (u32 i = 0; out && i < out->nr_cids && i < (u32)sim.want.cpus; i++)
		out->bits[i / 64] |= 1ULL << i % 64;
	return 0;
}
#endif
