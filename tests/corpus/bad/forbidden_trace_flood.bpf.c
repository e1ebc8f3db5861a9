/* SPDX-License-Identifier: GPL-2.0-only */
/* Global FIFO that says what it does. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

void BPF_STRUCT_OPS(chatty_enqueue, struct task_struct *p, u64 enq_flags)
{
	bpf_printk("enqueue %s[%d] flags %llx", p->comm, p->pid, enq_flags);
	scx_bpf_dsq_insert(p, SCX_DSQ_GLOBAL, SCX_SLICE_DFL, enq_flags);
}

void BPF_STRUCT_OPS(chatty_running, struct task_struct *p)
{
	bpf_printk("running %s[%d] on %d", p->comm, p->pid, scx_bpf_task_cpu(p));
}

SCX_OPS_DEFINE(chatty_ops, .enqueue = (void *)chatty_enqueue, .running = (void *)chatty_running,
	       .name = "chatty");
