/* SPDX-License-Identifier: GPL-2.0-only */
/* A timer wakes idle CPUs for waiting work, as often as it can. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

struct poke {
	struct bpf_timer timer;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct poke);
} pokes SEC(".maps");

#define POOL	  0
#define PERIOD_NS 1

static int poke_all(void *map, u32 *key, struct poke *poke)
{
	u32 nr = scx_bpf_nr_cpu_ids(), cpu;

	bpf_for (cpu, 0, nr)
		scx_bpf_kick_cpu(cpu, SCX_KICK_PREEMPT);
	bpf_timer_start(&poke->timer, PERIOD_NS, 0);
	return 0;
}

void BPF_STRUCT_OPS(poke_enqueue, struct task_struct *p, u64 enq_flags)
{
	scx_bpf_dsq_insert(p, POOL, SCX_SLICE_DFL, enq_flags);
}

void BPF_STRUCT_OPS(poke_dispatch, s32 cpu, struct task_struct *prev)
{
	scx_bpf_dsq_move_to_local(POOL, 0);
}

s32 BPF_STRUCT_OPS_SLEEPABLE(poke_init)
{
	struct poke *poke;
	u32 zero = 0;
	s32 error = scx_bpf_create_dsq(POOL, -1);

	if (error)
		return error;
	poke = bpf_map_lookup_elem(&pokes, &zero);
	if (!poke)
		return -ENOENT;
	bpf_timer_init(&poke->timer, &pokes, CLOCK_MONOTONIC);
	bpf_timer_set_callback(&poke->timer, poke_all);
	return bpf_timer_start(&poke->timer, PERIOD_NS, 0);
}

SCX_OPS_DEFINE(poke_ops, .enqueue = (void *)poke_enqueue, .dispatch = (void *)poke_dispatch,
	       .init = (void *)poke_init, .timeout_ms = 5000U, .name = "poke");
