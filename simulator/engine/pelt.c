// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Per-entity load tracking (kernel/sched/pelt.c): an average of an entity's competing weight,
 * in which the past counts half as much every 32 periods of 1024 * 1024 ns. A CPU's load is
 * the sum over its tasks, including those that sleep by now.
 */
#include "kernel.h"
#include "pelt.h"

#define PERIOD_SHIFT 20
#define HALF_LIFE    32
/*
 * 0.5^(1/32) in parts of 2^32: the fraction of the past that remains after one period
 * (runnable_avg_yN_inv[1]).
 */
#define LEFT  0xfa83b2daULL
#define WHOLE (1ULL << 32)
/* Averages are kept in fractions of a weight. */
#define PART_SHIFT	20
#define FINE_PART_SHIFT (PART_SHIFT - FINE_SHIFT)

static u64 share_of(u64 value, u64 share)
{
	return (u64)((unsigned __int128)value * share >> 32);
}

/*
 * The fraction of the past that remains after this many ns, in parts of 2^32; linear within a
 * period.
 */
static u64 left_after(u64 ns)
{
	u64 periods = ns >> PERIOD_SHIFT, within = ns & ((1ULL << PERIOD_SHIFT) - 1);
	u64 left = WHOLE;

	if (periods >= 32ULL * HALF_LIFE)
		return 0;
	left >>= periods / HALF_LIFE;
	for (u64 i = periods % HALF_LIFE; i; i--)
		left = share_of(left, LEFT);
	return left - ((left - share_of(left, LEFT)) * within >> PERIOD_SHIFT);
}

void follow(struct load *load, u64 weight)
{
	u64 left = left_after(sim.now - load->until);

	load->parts =
	    share_of(load->parts, left) + share_of(weight << FINE_PART_SHIFT, WHOLE - left);
	load->until = sim.now;
}

void begin_with(struct load *load, u64 weight)
{
	load->parts = weight << FINE_PART_SHIFT;
	load->until = sim.now;
}

void add_load(struct load *sum, const struct load *part)
{
	sum->parts += part->parts;
}

void take_load(struct load *sum, const struct load *part)
{
	/* Both were rounded separately. */
	sum->parts -= part->parts < sum->parts ? part->parts : sum->parts;
}

void rescale_load(struct load *load, u64 from, u64 to)
{
	load->parts = (unsigned __int128)load->parts * to / from;
}

u64 fine_weight_of(const struct load *load)
{
	return load->parts >> FINE_PART_SHIFT;
}

u64 weight_of(const struct load *load)
{
	return load->parts >> PART_SHIFT;
}
