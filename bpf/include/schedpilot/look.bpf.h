/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Work that one CPU of each LLC has to do now and then: the first one that dispatches when it is
 * due.
 *
 * This needs no timer: where no CPU dispatches, nobody waits.
 */
#ifndef SCHEDPILOT_LOOK_BPF_H
#define SCHEDPILOT_LOOK_BPF_H

#include <schedpilot/llc.bpf.h>
#include <schedpilot/timing.bpf.h>

/* How often to look for tasks that have waited too long, and to compare loads, ns. */
#define LOOK_NS 100000000
/* Into the queues of so many other LLCs at one look: any one of 64 looks into all within 2 s. */
#define LLCS_AT_ONCE 4

/* Whether it is due `every` ns after `last_at`, and this CPU's turn. */
static bool turn_due(u64 *last_at, u64 now, u64 every)
{
	u64 last = *last_at;

	return !before(now, last + every) &&
	       __sync_val_compare_and_swap(last_at, last, now) == last;
}

/* The LLC that comes after the one with this number, other than `mine`. */
static u32 next_llc(u32 number, u32 mine)
{
	number = (number + 1) % nr_llcs;
	return number == mine ? (number + 1) % nr_llcs : number;
}

/* Whether this CPU shall look, for its LLC; also into others, which change from look to look. */
static bool look_due(u32 llc, u64 now, u64 every)
{
	struct llc *here = llc_at(llc);

	if (!turn_due(&here->looked_at, now, every))
		return false;
	here->compared = next_llc(here->compared, llc);
	here->searched = (here->searched + LLCS_AT_ONCE) % nr_llcs;
	return true;
}

#endif
