/* SPDX-License-Identifier: GPL-2.0-only */
/* Users share the machine evenly, whatever number of tasks each of them runs. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

#define BY_USER 0

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1024);
	__type(key, u32);
	__type(value, u64);
} used SEC(".maps");

static u64 clock;

static u64 *time_of(struct task_struct *p)
{
	u32 uid = p->cred->uid.val;
	u64 *time = bpf_map_lookup_elem(&used, &uid), start = clock;

	if (time)
		return time;
	bpf_map_update_elem(&used, &uid, &start, BPF_NOEXIST);
	return bpf_map_lookup_elem(&used, &uid);
}

/* Nobody is further from the clock than this, so nobody waits for ever. */
#define REACH_NS 30000000ULL

void BPF_STRUCT_OPS(byuser_enqueue, struct task_struct *p, u64 enq_flags)
{
	u64 *time = time_of(p), at = time ? *time : clock;

	if (time_before(at, clock - REACH_NS))
		at = clock - REACH_NS;
	if (time_after(at, clock + REACH_NS))
		at = clock + REACH_NS;
	scx_bpf_dsq_insert_vtime(p, BY_USER, 3000000, at, enq_flags);
}

void BPF_STRUCT_OPS(byuser_dispatch, s32 cpu, struct task_struct *prev)
{
	scx_bpf_dsq_move_to_local(BY_USER, 0);
}

void BPF_STRUCT_OPS(byuser_stopping, struct task_struct *p, bool runnable)
{
	u64 *time = time_of(p), ran = 3000000 - p->scx.slice;

	if (ran > 3000000)
		ran = 3000000;
	if (time)
		__sync_fetch_and_add(time, ran);
	__sync_fetch_and_add(&clock, ran / 2);
}

s32 BPF_STRUCT_OPS_SLEEPABLE(byuser_init)
{
	return scx_bpf_create_dsq(BY_USER, -1);
}

SCX_OPS_DEFINE(byuser_ops, .enqueue = (void *)byuser_enqueue, .dispatch = (void *)byuser_dispatch,
	       .stopping = (void *)byuser_stopping, .init = (void *)byuser_init,
	       .name = "g_byuser");
