/* SPDX-License-Identifier: GPL-2.0-only */
#include_next <bpf/bpf_helpers.h>
#include "plain_macros.h"
