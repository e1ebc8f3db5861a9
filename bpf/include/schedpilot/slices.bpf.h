/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Slices that are short enough: with many tasks in a queue, each gets less, so that all of
 * them have had a turn when the time is up.
 */
#ifndef SCHEDPILOT_SLICES_BPF_H
#define SCHEDPILOT_SLICES_BPF_H

#include <schedpilot/machine.bpf.h>

/* The longest slice with which all get by in `time`, when so many wait already, ns. */
static u64 fitting_slice(u64 time, s32 waiting)
{
	return time * nr_online / (waiting > 0 ? waiting + 1 : 1);
}

/* `slice`, no longer than `most`; but whatever comes of it, no shorter than `least`. */
static u64 bounded_slice(u64 slice, u64 most, u64 least)
{
	if (slice > most)
		slice = most;
	return slice > least ? slice : least;
}

#endif
