/* SPDX-License-Identifier: GPL-2.0-only */
#include_next <scx/bpf_arena_common.bpf.h>
#include "plain_macros.h"
