/* SPDX-License-Identifier: GPL-2.0-only */
/* A timer that hands out time stops for good in the first period in which nobody asks for it. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

enum { RUN = 1, BACKLOG };
#define PERIOD 50000000ULL

struct refill {
	struct bpf_timer timer;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct refill);
} refills SEC(".maps");

static s64 budget;

static int refill(void *map, u32 *key, struct refill *value)
{
	struct task_struct *p;
	u32 moved = 0;

	budget = PERIOD;
	bpf_rcu_read_lock();
	bpf_for_each (scx_dsq, p, BACKLOG, 0) {
		if (moved++ >= 128)
			break;
		scx_bpf_dsq_move(BPF_FOR_EACH_ITER, p, RUN, 0);
	}
	bpf_rcu_read_unlock();
	if (moved)
		bpf_timer_start(&value->timer, PERIOD, 0);
	scx_bpf_kick_cpu(0, SCX_KICK_IDLE);
	return 0;
}

/* Niced tasks have one CPU's worth of time in all. */
void BPF_STRUCT_OPS(stops_enqueue, struct task_struct *p, u64 enq_flags)
{
	bool over = p->scx.weight < 100 && budget <= 0;

	scx_bpf_dsq_insert(p, over ? BACKLOG : RUN, SCX_SLICE_DFL, enq_flags);
}

void BPF_STRUCT_OPS(stops_dispatch, s32 cpu, struct task_struct *prev)
{
	scx_bpf_dsq_move_to_local(RUN, 0);
}

void BPF_STRUCT_OPS(stops_stopping, struct task_struct *p, bool runnable)
{
	if (p->scx.weight < 100)
		__sync_fetch_and_sub(&budget, SCX_SLICE_DFL - p->scx.slice);
}

s32 BPF_STRUCT_OPS_SLEEPABLE(stops_init)
{
	u32 key = 0;
	struct refill *value = bpf_map_lookup_elem(&refills, &key);
	s32 error = scx_bpf_create_dsq(RUN, -1) ?: scx_bpf_create_dsq(BACKLOG, -1);

	if (error || !value)
		return error ?: -ENOENT;
	budget = PERIOD;
	bpf_timer_init(&value->timer, &refills, CLOCK_MONOTONIC);
	bpf_timer_set_callback(&value->timer, refill);
	return bpf_timer_start(&value->timer, PERIOD, 0);
}

SCX_OPS_DEFINE(stops_ops, .enqueue = (void *)stops_enqueue, .dispatch = (void *)stops_dispatch,
	       .stopping = (void *)stops_stopping, .init = (void *)stops_init, .name = "stops");
