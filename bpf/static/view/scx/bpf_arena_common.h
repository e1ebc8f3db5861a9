/* SPDX-License-Identifier: GPL-2.0-only */
#include_next <scx/bpf_arena_common.h>
#include "plain_macros.h"
