/* SPDX-License-Identifier: GPL-2.0-only */
/* Arrival order, but whoever slept before is put a bit ahead, and never more than that. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

#define LINE	 0
#define BOOST_NS 10000000ULL

struct slept {
	u64 since, boost_ns;
};

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct slept);
} slept SEC(".maps");

void BPF_STRUCT_OPS(boost_runnable, struct task_struct *p, u64 enq_flags)
{
	struct slept *s = bpf_task_storage_get(&slept, p, 0, 0);
	u64 time;

	if (!s || !s->since)
		return;
	time = scx_bpf_now() - s->since;
	s->boost_ns = time < BOOST_NS ? time : BOOST_NS;
}

void BPF_STRUCT_OPS(boost_quiescent, struct task_struct *p, u64 deq_flags)
{
	struct slept *s = bpf_task_storage_get(&slept, p, 0, 0);

	if (s)
		s->since = scx_bpf_now();
}

void BPF_STRUCT_OPS(boost_enqueue, struct task_struct *p, u64 enq_flags)
{
	struct slept *s = bpf_task_storage_get(&slept, p, 0, 0);
	u64 at = scx_bpf_now();

	if (s) {
		at -= s->boost_ns;
		s->boost_ns = 0;
	}
	scx_bpf_dsq_insert_vtime(p, LINE, 2000000, at, enq_flags);
}

void BPF_STRUCT_OPS(boost_dispatch, s32 cpu, struct task_struct *prev)
{
	scx_bpf_dsq_move_to_local(LINE, 0);
}

s32 BPF_STRUCT_OPS(boost_init_task, struct task_struct *p, struct scx_init_task_args *args)
{
	return bpf_task_storage_get(&slept, p, 0, BPF_LOCAL_STORAGE_GET_F_CREATE) ? 0 : -ENOMEM;
}

s32 BPF_STRUCT_OPS_SLEEPABLE(boost_init)
{
	return scx_bpf_create_dsq(LINE, -1);
}

SCX_OPS_DEFINE(boost_ops, .runnable = (void *)boost_runnable, .quiescent = (void *)boost_quiescent,
	       .enqueue = (void *)boost_enqueue, .dispatch = (void *)boost_dispatch,
	       .init_task = (void *)boost_init_task, .init = (void *)boost_init, .name = "g_boost");
