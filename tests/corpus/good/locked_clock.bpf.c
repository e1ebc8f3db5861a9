/* SPDX-License-Identifier: GPL-2.0-only */
/* The machine's clock and its count behind a lock, held for a few instructions. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

struct shared {
	struct bpf_spin_lock lock;
	u64 clock, turns;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct shared);
} shared SEC(".maps");

#define ORDER 0

static u64 advance(u64 by)
{
	u32 zero = 0;
	struct shared *s = bpf_map_lookup_elem(&shared, &zero);
	u64 now;

	if (!s)
		return 0;
	bpf_spin_lock(&s->lock);
	s->clock += by;
	s->turns += by > 0;
	now = s->clock;
	bpf_spin_unlock(&s->lock);
	return now;
}

void BPF_STRUCT_OPS(clocked_enqueue, struct task_struct *p, u64 enq_flags)
{
	u64 behind = 10000000ULL * 100 / p->scx.weight;

	if (behind > 60000000)
		behind = 60000000;
	scx_bpf_dsq_insert_vtime(p, ORDER, 4000000, advance(0) + behind, enq_flags);
}

void BPF_STRUCT_OPS(clocked_dispatch, s32 cpu, struct task_struct *prev)
{
	scx_bpf_dsq_move_to_local(ORDER, 0);
}

void BPF_STRUCT_OPS(clocked_stopping, struct task_struct *p, bool runnable)
{
	advance(time_delta(4000000, p->scx.slice));
}

s32 BPF_STRUCT_OPS_SLEEPABLE(clocked_init)
{
	return scx_bpf_create_dsq(ORDER, -1);
}

SCX_OPS_DEFINE(clocked_ops, .enqueue = (void *)clocked_enqueue,
	       .dispatch = (void *)clocked_dispatch, .stopping = (void *)clocked_stopping,
	       .init = (void *)clocked_init, .name = "g_clocked");
