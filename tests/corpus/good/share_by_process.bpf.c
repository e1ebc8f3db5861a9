/* SPDX-License-Identifier: GPL-2.0-only */
/* Processes share the machine, threads share the process: vtime of both, the process's in a hash.
 */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

#define TREE 0

struct process {
	u64 vtime;
	s64 threads;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 65536);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, s32);
	__type(value, struct process);
} processes SEC(".maps");

static u64 clock;

static struct process *of(const struct task_struct *p)
{
	s32 tgid = p->tgid;

	return bpf_map_lookup_elem(&processes, &tgid);
}

void BPF_STRUCT_OPS(tgids_enqueue, struct task_struct *p, u64 enq_flags)
{
	struct process *each = of(p);
	u64 at = each ? each->vtime : clock;

	/* Between 40 ms behind the clock and 40 ms ahead. */
	if (time_before(at, clock - 40000000))
		at = clock - 40000000;
	if (time_after(at, clock + 40000000))
		at = clock + 40000000;
	scx_bpf_dsq_insert_vtime(p, TREE, 3000000, at, enq_flags);
}

void BPF_STRUCT_OPS(tgids_dispatch, s32 cpu, struct task_struct *prev)
{
	scx_bpf_dsq_move_to_local(TREE, 0);
}

void BPF_STRUCT_OPS(tgids_stopping, struct task_struct *p, bool runnable)
{
	struct process *each = of(p);
	u64 ran = time_delta(3000000, p->scx.slice);

	if (each)
		__sync_fetch_and_add(&each->vtime, ran * 100 / p->scx.weight);
	__sync_fetch_and_add(&clock, ran / 4);
}

/* A process is kept while it has threads; where there is no room for it, it does without. */
s32 BPF_STRUCT_OPS(tgids_init_task, struct task_struct *p, struct scx_init_task_args *args)
{
	struct process new = {.vtime = clock}, *each;
	s32 tgid = p->tgid;

	bpf_map_update_elem(&processes, &tgid, &new, BPF_NOEXIST);
	each = of(p);
	if (each)
		__sync_fetch_and_add(&each->threads, 1);
	return 0;
}

void BPF_STRUCT_OPS(tgids_exit_task, struct task_struct *p, struct scx_exit_task_args *args)
{
	struct process *each = of(p);
	s32 tgid = p->tgid;

	if (each && __sync_fetch_and_sub(&each->threads, 1) <= 1)
		bpf_map_delete_elem(&processes, &tgid);
}

s32 BPF_STRUCT_OPS_SLEEPABLE(tgids_init)
{
	return scx_bpf_create_dsq(TREE, -1);
}

SCX_OPS_DEFINE(tgids_ops, .enqueue = (void *)tgids_enqueue, .dispatch = (void *)tgids_dispatch,
	       .stopping = (void *)tgids_stopping, .init_task = (void *)tgids_init_task,
	       .exit_task = (void *)tgids_exit_task, .init = (void *)tgids_init, .name = "g_tgids");
