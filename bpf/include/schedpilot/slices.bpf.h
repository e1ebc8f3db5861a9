/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Shorter slices for long queues: each task gets less, so that all have had a turn within a
 * given time.
 */
#ifndef SCHEDPILOT_SLICES_BPF_H
#define SCHEDPILOT_SLICES_BPF_H

#include <schedpilot/llc.bpf.h>

/*
 * The longest slice, ns, with which all have a turn in `time` ns while `waiting` wait already in
 * this LLC.
 */
static u64 fitting_slice(u64 time, s32 waiting, u32 llc)
{
	return time * online_in(llc) / (waiting > 0 ? waiting + 1 : 1);
}

/* `slice`, but at most `most` and at least `least`; where these differ, `least` wins. */
static u64 bounded_slice(u64 slice, u64 most, u64 least)
{
	if (slice > most)
		slice = most;
	return slice > least ? slice : least;
}

#endif
