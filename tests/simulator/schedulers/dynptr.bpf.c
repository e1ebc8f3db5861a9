/* SPDX-License-Identifier: GPL-2.0-only */
/* Uses a helper that the simulator does not model. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

static char room[64];

s32 BPF_STRUCT_OPS_SLEEPABLE(bad_init)
{
	struct bpf_dynptr pointer;

	return bpf_dynptr_from_mem(room, sizeof(room), 0, &pointer);
}

SCX_OPS_DEFINE(bad_ops, .init = (void *)bad_init, .name = "t_dynptr");
