/* SPDX-License-Identifier: GPL-2.0-only */
#include_next <scx/common.bpf.h>
#include "plain_macros.h"
