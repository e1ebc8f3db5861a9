/* SPDX-License-Identifier: GPL-2.0-only */
/* A timer looks at the length of the queue every 50 ms, and slices follow. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

#define LINE	 0
#define EVERY_NS 50000000

struct watch {
	struct bpf_timer timer;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct watch);
} watches SEC(".maps");

static u64 slice_ns = 5000000;

static int look(void *map, u32 *key, struct watch *watch)
{
	s32 waiting = scx_bpf_dsq_nr_queued(LINE);

	slice_ns = waiting > 32 ? 2000000 : 5000000;
	bpf_timer_start(&watch->timer, EVERY_NS, 0);
	return 0;
}

void BPF_STRUCT_OPS(watch_enqueue, struct task_struct *p, u64 enq_flags)
{
	scx_bpf_dsq_insert(p, LINE, slice_ns, enq_flags);
}

void BPF_STRUCT_OPS(watch_dispatch, s32 cpu, struct task_struct *prev)
{
	scx_bpf_dsq_move_to_local(LINE, 0);
}

s32 BPF_STRUCT_OPS_SLEEPABLE(watch_init)
{
	s32 error = scx_bpf_create_dsq(LINE, -1);
	struct watch *watch;
	u32 zero = 0;

	if (error)
		return error;
	watch = bpf_map_lookup_elem(&watches, &zero);
	if (!watch)
		return -ENOENT;
	bpf_timer_init(&watch->timer, &watches, CLOCK_MONOTONIC);
	bpf_timer_set_callback(&watch->timer, look);
	return bpf_timer_start(&watch->timer, EVERY_NS, 0);
}

SCX_OPS_DEFINE(watch_ops, .enqueue = (void *)watch_enqueue, .dispatch = (void *)watch_dispatch,
	       .init = (void *)watch_init, .name = "g_watch");
