/* SPDX-License-Identifier: GPL-2.0-only */
/* Times: which of two is earlier, and the average of several. */
#ifndef SCHEDPILOT_TIMING_BPF_H
#define SCHEDPILOT_TIMING_BPF_H

#include <scx/common.bpf.h>

/* Before, on a clock that may wrap. */
static bool before(u64 a, u64 b)
{
	return (s64)(a - b) < 0;
}

/* Exponential average over about the last four values. */
static u64 average(u64 old, u64 value)
{
	return (old * 3 + value) / 4;
}

#endif
