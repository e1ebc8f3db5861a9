/* SPDX-License-Identifier: GPL-2.0-only */
#include_next <scx/user_exit_info.bpf.h>
#include "plain_macros.h"
