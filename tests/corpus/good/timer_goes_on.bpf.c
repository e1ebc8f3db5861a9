/* SPDX-License-Identifier: GPL-2.0-only */
/* Niced tasks wait for a timer when they have had their time; it always goes on. */
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
	bpf_timer_start(&value->timer, PERIOD, 0);
	scx_bpf_kick_cpu(0, SCX_KICK_IDLE);
	return 0;
}

/* Niced tasks have one CPU's worth of time in all. */
void BPF_STRUCT_OPS(g_goes_on_enqueue, struct task_struct *p, u64 enq_flags)
{
	bool over = p->scx.weight < 100 && budget <= 0;

	scx_bpf_dsq_insert(p, over ? BACKLOG : RUN, SCX_SLICE_DFL, enq_flags);
}

void BPF_STRUCT_OPS(g_goes_on_dispatch, s32 cpu, struct task_struct *prev)
{
	scx_bpf_dsq_move_to_local(RUN, 0);
}

void BPF_STRUCT_OPS(g_goes_on_stopping, struct task_struct *p, bool runnable)
{
	if (p->scx.weight < 100)
		__sync_fetch_and_sub(&budget, SCX_SLICE_DFL - p->scx.slice);
}

s32 BPF_STRUCT_OPS_SLEEPABLE(g_goes_on_init)
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

SCX_OPS_DEFINE(g_goes_on_ops, .enqueue = (void *)g_goes_on_enqueue,
	       .dispatch = (void *)g_goes_on_dispatch, .stopping = (void *)g_goes_on_stopping,
	       .init = (void *)g_goes_on_init, .name = "g_goes_on");
