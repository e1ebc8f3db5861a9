/* SPDX-License-Identifier: GPL-2.0-only */
/* Compiles, and is refused by the verifier: a map value is used without a test for NULL. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16);
	__type(key, u32);
	__type(value, u64);
} slices SEC(".maps");

void BPF_STRUCT_OPS(refuse_enqueue, struct task_struct *p, u64 enq_flags)
{
	u32 pid = p->pid;
	u64 *slice = bpf_map_lookup_elem(&slices, &pid);

	scx_bpf_dsq_insert(p, SCX_DSQ_GLOBAL, *slice, enq_flags);
}

SCX_OPS_DEFINE(refuse_ops, .enqueue = (void *)refuse_enqueue, .name = "t_refuse");
