/* SPDX-License-Identifier: GPL-2.0-only */
/* A sound scheduler for tests: one queue, a constant, a live parameter, a map, counters. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

#define SHARED 0

/* Shortest slice `slice_ns` is taken for, ns. */
const volatile u64 min_slice_ns = 500000;
/* Slice, ns; live. */
u64 slice_ns = 5000000;
/* Only to be set and read back. */
s16 offset = -3;
bool fast = true;

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16);
	__type(key, u32);
	__type(value, u64);
} slices SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 2);
	__type(key, u32);
	__type(value, u64);
} stats SEC(".maps");

UEI_DEFINE(uei);

static void count(u32 what)
{
	u64 *counter = bpf_map_lookup_elem(&stats, &what);

	if (counter)
		(*counter)++;
}

s32 BPF_STRUCT_OPS(plain_select_cpu, struct task_struct *p, s32 prev_cpu, u64 wake_flags)
{
	bool idle = false;
	s32 cpu = scx_bpf_select_cpu_dfl(p, prev_cpu, wake_flags, &idle);

	if (idle) {
		count(0);
		scx_bpf_dsq_insert(p, SCX_DSQ_LOCAL, slice_ns, 0);
	}
	return cpu;
}

void BPF_STRUCT_OPS(plain_enqueue, struct task_struct *p, u64 enq_flags)
{
	u32 pid = p->pid;
	u64 *own = bpf_map_lookup_elem(&slices, &pid);
	u64 slice = own ? *own : READ_ONCE(slice_ns);

	count(1);
	if (slice < min_slice_ns)
		slice = min_slice_ns;
	scx_bpf_dsq_insert(p, SHARED, slice, enq_flags);
}

void BPF_STRUCT_OPS(plain_dispatch, s32 cpu, struct task_struct *prev)
{
	scx_bpf_dsq_move_to_local(SHARED);
}

s32 BPF_STRUCT_OPS_SLEEPABLE(plain_init)
{
	return scx_bpf_create_dsq(SHARED, -1);
}

void BPF_STRUCT_OPS(plain_exit, struct scx_exit_info *ei)
{
	UEI_RECORD(uei, ei);
}

SCX_OPS_DEFINE(plain_ops, .select_cpu = (void *)plain_select_cpu, .enqueue = (void *)plain_enqueue,
	       .dispatch = (void *)plain_dispatch, .init = (void *)plain_init,
	       .exit = (void *)plain_exit, .name = "t_plain");
