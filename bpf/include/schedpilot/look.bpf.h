/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Work that one CPU has to do now and then: the first one that dispatches when it is due.
 *
 * This needs no timer: where no CPU dispatches, nobody waits.
 */
#ifndef SCHEDPILOT_LOOK_BPF_H
#define SCHEDPILOT_LOOK_BPF_H

#include <schedpilot/timing.bpf.h>

/* How often to look for tasks that have waited too long, ns. */
#define LOOK_NS 100000000

static u64 looked_at; /* when a CPU last looked, ns */

/* Whether it is due, and this CPU's turn. */
static bool look_due(u64 now, u64 every)
{
	u64 last = looked_at;

	return !before(now, last + every) &&
	       __sync_val_compare_and_swap(&looked_at, last, now) == last;
}

#endif
