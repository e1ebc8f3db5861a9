/* SPDX-License-Identifier: GPL-2.0-only */
/* Tasks wait for the beat: a timer moves what has gathered to the queue that is served. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

struct beat {
	struct bpf_timer timer;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct beat);
} beats SEC(".maps");

enum { GATHER = 1, SERVE };

static int on_beat(void *map, u32 *key, struct beat *beat)
{
	struct task_struct *p;

	bpf_for_each (scx_dsq, p, GATHER, 0)
		scx_bpf_dsq_move(BPF_FOR_EACH_ITER, p, SERVE, 0);
	bpf_timer_start(&beat->timer, 1000000, 0);
	return 0;
}

void BPF_STRUCT_OPS(beat_enqueue, struct task_struct *p, u64 enq_flags)
{
	scx_bpf_dsq_insert(p, GATHER, SCX_SLICE_DFL, enq_flags);
}

void BPF_STRUCT_OPS(beat_dispatch, s32 cpu, struct task_struct *prev)
{
	scx_bpf_dsq_move_to_local(SERVE, 0);
}

s32 BPF_STRUCT_OPS_SLEEPABLE(beat_init)
{
	struct beat *beat;
	u32 zero = 0;
	s32 error = scx_bpf_create_dsq(GATHER, -1) ?: scx_bpf_create_dsq(SERVE, -1);

	if (error)
		return error;
	beat = bpf_map_lookup_elem(&beats, &zero);
	if (!beat)
		return -ENOENT;
	error = bpf_timer_init(&beat->timer, &beats, CLOCK_MONOTONIC);
	return error ?: bpf_timer_set_callback(&beat->timer, on_beat);
}

SCX_OPS_DEFINE(beat_ops, .enqueue = (void *)beat_enqueue, .dispatch = (void *)beat_dispatch,
	       .init = (void *)beat_init, .timeout_ms = 5000U, .name = "beat");
