/* SPDX-License-Identifier: GPL-2.0-only */
/* Looks into the first word of the mask of CPUs only. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

static u32 cursor;

/* Each CPU has a queue; a task goes to the next that it may use. */
void BPF_STRUCT_OPS(word_enqueue, struct task_struct *p, u64 enq_flags)
{
	u32 i, nr = scx_bpf_nr_cpu_ids(), from = __sync_fetch_and_add(&cursor, 1);

	bpf_for (i, 0, nr) {
		u32 cpu = (from + i) % nr;

		if (!(cpu < 64 && p->cpus_ptr->bits[0] & 1ULL << cpu))
			continue;
		scx_bpf_dsq_insert(p, cpu, 5000000, enq_flags);
		scx_bpf_kick_cpu(cpu, SCX_KICK_IDLE);
		return;
	}
	scx_bpf_dsq_insert(p, 0, 5000000, enq_flags);
}

void BPF_STRUCT_OPS(word_dispatch, s32 cpu, struct task_struct *prev)
{
	scx_bpf_dsq_move_to_local(cpu, 0);
}

s32 BPF_STRUCT_OPS_SLEEPABLE(word_init)
{
	s32 i, error, nr = scx_bpf_nr_cpu_ids();

	bpf_for (i, 0, nr) {
		error = scx_bpf_create_dsq(i, -1);
		if (error)
			return error;
	}
	return 0;
}

SCX_OPS_DEFINE(word_ops, .enqueue = (void *)word_enqueue, .dispatch = (void *)word_dispatch,
	       .init = (void *)word_init, .name = "word");
