/* SPDX-License-Identifier: GPL-2.0-only */
/* A queue for each user, made when the user's first task comes. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, u32);
	__type(value, u64);
} users SEC(".maps");

static u64 turn, nr_users;

void BPF_STRUCT_OPS(peruser_enqueue, struct task_struct *p, u64 enq_flags)
{
	u32 uid = p->cred->uid.val;
	u64 *queue = bpf_map_lookup_elem(&users, &uid), id;

	if (!queue) {
		id = __sync_fetch_and_add(&nr_users, 1);
		if (scx_bpf_create_dsq(id, -1) ||
		    bpf_map_update_elem(&users, &uid, &id, BPF_NOEXIST)) {
			scx_bpf_dsq_insert(p, SCX_DSQ_GLOBAL, SCX_SLICE_DFL, enq_flags);
			return;
		}
	} else {
		id = *queue;
	}
	scx_bpf_dsq_insert(p, id, SCX_SLICE_DFL, enq_flags);
}

void BPF_STRUCT_OPS(peruser_dispatch, s32 cpu, struct task_struct *prev)
{
	u64 nr = nr_users, start = turn++;
	u32 i;

	bpf_for (i, 0, nr) {
		if (scx_bpf_dsq_move_to_local((start + i) % nr, 0))
			return;
	}
}

SCX_OPS_DEFINE(peruser_ops, .enqueue = (void *)peruser_enqueue,
	       .dispatch = (void *)peruser_dispatch, .name = "peruser");
