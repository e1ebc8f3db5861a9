/* SPDX-License-Identifier: GPL-2.0-only */
#include_next <scx/util.bpf.h>
#include "plain_macros.h"
