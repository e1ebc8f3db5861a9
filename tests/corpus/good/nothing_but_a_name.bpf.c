/* SPDX-License-Identifier: GPL-2.0-only */
/* No callback at all: the kernel's defaults, a global FIFO. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

SCX_OPS_DEFINE(bare_ops, .name = "g_bare");
