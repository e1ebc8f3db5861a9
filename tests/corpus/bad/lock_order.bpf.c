/* SPDX-License-Identifier: GPL-2.0-only */
/* Moves credit between two users' accounts, each behind a lock of its own. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

struct account {
	struct bpf_spin_lock lock;
	s64 credit_ns;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 64);
	__type(key, u32);
	__type(value, struct account);
} accounts SEC(".maps");

static struct account *account_of(u32 uid)
{
	u32 key = uid % 64;

	return bpf_map_lookup_elem(&accounts, &key);
}

void BPF_STRUCT_OPS(credit_enqueue, struct task_struct *p, u64 enq_flags)
{
	scx_bpf_dsq_insert(p, SCX_DSQ_GLOBAL, SCX_SLICE_DFL, enq_flags);
}

void BPF_STRUCT_OPS(credit_stopping, struct task_struct *p, bool runnable)
{
	struct account *payer = account_of(p->cred->uid.val);
	struct account *bank = account_of(0);
	u64 ran = SCX_SLICE_DFL - p->scx.slice;

	if (!payer || !bank || payer == bank)
		return;
	bpf_spin_lock(&payer->lock);
	bpf_spin_lock(&bank->lock);
	payer->credit_ns -= ran;
	bank->credit_ns += ran;
	bpf_spin_unlock(&bank->lock);
	bpf_spin_unlock(&payer->lock);
}

SCX_OPS_DEFINE(credit_ops, .enqueue = (void *)credit_enqueue, .stopping = (void *)credit_stopping,
	       .name = "credit");
