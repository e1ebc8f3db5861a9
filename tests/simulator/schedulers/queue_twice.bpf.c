/* SPDX-License-Identifier: GPL-2.0-only */
/* Makes the same queue twice. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

s32 BPF_STRUCT_OPS_SLEEPABLE(bad_init)
{
	s32 error = scx_bpf_create_dsq(5, -1);

	return error ? error : scx_bpf_create_dsq(5, -1);
}

SCX_OPS_DEFINE(bad_ops, .init = (void *)bad_init, .name = "t_queue_twice");
