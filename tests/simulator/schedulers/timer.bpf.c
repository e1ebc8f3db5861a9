/* SPDX-License-Identifier: GPL-2.0-only */
/* Uses a timer, which the simulator does not model. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

struct element {
	struct bpf_timer timer;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct element);
} timers SEC(".maps");

s32 BPF_STRUCT_OPS_SLEEPABLE(bad_init)
{
	u32 zero = 0;
	struct element *e = bpf_map_lookup_elem(&timers, &zero);

	return e ? bpf_timer_init(&e->timer, &timers, CLOCK_MONOTONIC) : -ENOENT;
}

SCX_OPS_DEFINE(bad_ops, .init = (void *)bad_init, .name = "t_timer");
