/* SPDX-License-Identifier: GPL-2.0-only */
/* Sixteen queues by process, served in turn by a loop with a callback. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

#define NR_QUEUES 16

static u64 start;

struct round {
	u64 first;
	bool found;
};

static long try_one(u64 i, struct round *round)
{
	round->found = scx_bpf_dsq_move_to_local((round->first + i) % NR_QUEUES, 0);
	return round->found;
}

void BPF_STRUCT_OPS(hash_enqueue, struct task_struct *p, u64 enq_flags)
{
	scx_bpf_dsq_insert(p, (u32)p->tgid % NR_QUEUES, 3000000, enq_flags);
}

void BPF_STRUCT_OPS(hash_dispatch, s32 cpu, struct task_struct *prev)
{
	struct round round = {.first = __sync_fetch_and_add(&start, 1)};

	bpf_loop(NR_QUEUES, try_one, &round, 0);
}

s32 BPF_STRUCT_OPS_SLEEPABLE(hash_init)
{
	u32 i;
	s32 error = 0;

	bpf_for (i, 0, NR_QUEUES) {
		error = scx_bpf_create_dsq(i, -1);
		if (error)
			break;
	}
	return error;
}

SCX_OPS_DEFINE(hash_ops, .enqueue = (void *)hash_enqueue, .dispatch = (void *)hash_dispatch,
	       .init = (void *)hash_init, .name = "g_hash");
