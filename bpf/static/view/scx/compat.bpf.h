/* SPDX-License-Identifier: GPL-2.0-only */
#include_next <scx/compat.bpf.h>
#include "plain_macros.h"
