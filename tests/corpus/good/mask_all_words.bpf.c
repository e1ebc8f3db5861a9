/* SPDX-License-Identifier: GPL-2.0-only */
/* Puts each task into the queue of the next CPU that it may use. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

static u32 cursor;

/* Each CPU has a queue; a task goes to the next that it may use. */
void BPF_STRUCT_OPS(g_words_enqueue, struct task_struct *p, u64 enq_flags)
{
	u32 i, nr = scx_bpf_nr_cpu_ids(), from = __sync_fetch_and_add(&cursor, 1);

	bpf_for (i, 0, nr) {
		u32 cpu = (from + i) % nr;

		if (!(bpf_cpumask_test_cpu(cpu, p->cpus_ptr)))
			continue;
		scx_bpf_dsq_insert(p, cpu, 5000000, enq_flags);
		scx_bpf_kick_cpu(cpu, SCX_KICK_IDLE);
		return;
	}
	scx_bpf_dsq_insert(p, 0, 5000000, enq_flags);
}

void BPF_STRUCT_OPS(g_words_dispatch, s32 cpu, struct task_struct *prev)
{
	scx_bpf_dsq_move_to_local(cpu, 0);
}

s32 BPF_STRUCT_OPS_SLEEPABLE(g_words_init)
{
	s32 i, error, nr = scx_bpf_nr_cpu_ids();

	bpf_for (i, 0, nr) {
		error = scx_bpf_create_dsq(i, -1);
		if (error)
			return error;
	}
	return 0;
}

SCX_OPS_DEFINE(g_words_ops, .enqueue = (void *)g_words_enqueue,
	       .dispatch = (void *)g_words_dispatch, .init = (void *)g_words_init,
	       .name = "g_words");
