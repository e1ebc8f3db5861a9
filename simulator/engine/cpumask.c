// SPDX-License-Identifier: GPL-2.0-or-later
/* The cpumask kfuncs. Masks have the kernel's size; the CPUs of the simulation come first. */
#include "kernel.h"
#include "lines.h"

#define WORDS ((u32)(sizeof(struct cpumask) / sizeof(long)))

static u32 nr(void)
{
	return sim.want.cpus;
}

static bool inside(u32 cpu)
{
	return cpu < nr();
}

static bool has(const struct cpumask *mask, u32 cpu)
{
	return mask->bits[cpu / 64] >> cpu % 64 & 1;
}

struct bpf_cpumask *bpf_cpumask_create(void)
{
	struct bpf_cpumask *made = room(sizeof(*made));

	made->usage.refs.counter = 1;
	return made;
}

struct bpf_cpumask *bpf_cpumask_acquire(struct bpf_cpumask *mask)
{
	mask->usage.refs.counter++;
	return mask;
}

void bpf_cpumask_release(struct bpf_cpumask *mask)
{
	if (!--mask->usage.refs.counter)
		free_room(mask);
}

u32 bpf_cpumask_first(const struct cpumask *mask)
{
	u32 cpu = 0;

	while (cpu < nr() && !has(mask, cpu))
		cpu++;
	return cpu;
}

u32 bpf_cpumask_first_zero(const struct cpumask *mask)
{
	u32 cpu = 0;

	while (cpu < nr() && has(mask, cpu))
		cpu++;
	return cpu;
}

u32 bpf_cpumask_first_and(const struct cpumask *a, const struct cpumask *b)
{
	u32 cpu = 0;

	while (cpu < nr() && !(has(a, cpu) && has(b, cpu)))
		cpu++;
	return cpu;
}

void bpf_cpumask_set_cpu(u32 cpu, struct bpf_cpumask *mask)
{
	if (inside(cpu)) {
		saw_store((u64)&mask->cpumask.bits[cpu / 64]);
		mask->cpumask.bits[cpu / 64] |= 1UL << cpu % 64;
	}
}

void bpf_cpumask_clear_cpu(u32 cpu, struct bpf_cpumask *mask)
{
	if (inside(cpu)) {
		saw_store((u64)&mask->cpumask.bits[cpu / 64]);
		mask->cpumask.bits[cpu / 64] &= ~(1UL << cpu % 64);
	}
}

bool bpf_cpumask_test_cpu(u32 cpu, const struct cpumask *mask)
{
	if (inside(cpu))
		saw_load((u64)&mask->bits[cpu / 64]);
	return inside(cpu) && has(mask, cpu);
}

bool bpf_cpumask_test_and_set_cpu(u32 cpu, struct bpf_cpumask *mask)
{
	bool was = bpf_cpumask_test_cpu(cpu, &mask->cpumask);

	bpf_cpumask_set_cpu(cpu, mask);
	return was;
}

bool bpf_cpumask_test_and_clear_cpu(u32 cpu, struct bpf_cpumask *mask)
{
	bool was = bpf_cpumask_test_cpu(cpu, &mask->cpumask);

	bpf_cpumask_clear_cpu(cpu, mask);
	return was;
}

void bpf_cpumask_clear(struct bpf_cpumask *mask)
{
	__builtin_memset(&mask->cpumask, 0, sizeof(mask->cpumask));
}

void bpf_cpumask_setall(struct bpf_cpumask *mask)
{
	bpf_cpumask_clear(mask);
	for (u32 cpu = 0; cpu < nr(); cpu++)
		bpf_cpumask_set_cpu(cpu, mask);
}

void bpf_cpumask_copy(struct bpf_cpumask *to, const struct cpumask *from)
{
	to->cpumask = *from;
}

bool bpf_cpumask_empty(const struct cpumask *mask)
{
	return bpf_cpumask_first(mask) >= nr();
}

bool bpf_cpumask_full(const struct cpumask *mask)
{
	return bpf_cpumask_first_zero(mask) >= nr();
}

bool bpf_cpumask_and(struct bpf_cpumask *to, const struct cpumask *a, const struct cpumask *b)
{
	for (u32 i = 0; i < WORDS; i++)
		to->cpumask.bits[i] = a->bits[i] & b->bits[i];
	return !bpf_cpumask_empty(&to->cpumask);
}

void bpf_cpumask_or(struct bpf_cpumask *to, const struct cpumask *a, const struct cpumask *b)
{
	for (u32 i = 0; i < WORDS; i++)
		to->cpumask.bits[i] = a->bits[i] | b->bits[i];
}

void bpf_cpumask_xor(struct bpf_cpumask *to, const struct cpumask *a, const struct cpumask *b)
{
	for (u32 i = 0; i < WORDS; i++)
		to->cpumask.bits[i] = a->bits[i] ^ b->bits[i];
}

bool bpf_cpumask_equal(const struct cpumask *a, const struct cpumask *b)
{
	for (u32 cpu = 0; cpu < nr(); cpu++)
		if (has(a, cpu) != has(b, cpu))
			return false;
	return true;
}

bool bpf_cpumask_intersects(const struct cpumask *a, const struct cpumask *b)
{
	return bpf_cpumask_first_and(a, b) < nr();
}

bool bpf_cpumask_subset(const struct cpumask *a, const struct cpumask *b)
{
	for (u32 cpu = 0; cpu < nr(); cpu++)
		if (has(a, cpu) && !has(b, cpu))
			return false;
	return true;
}

u32 bpf_cpumask_weight(const struct cpumask *mask)
{
	u32 weight = 0;

	for (u32 cpu = 0; cpu < nr(); cpu++)
		weight += has(mask, cpu);
	return weight;
}

u32 bpf_cpumask_any_and_distribute(const struct cpumask *a, const struct cpumask *b)
{
	struct sim_cpu *here = sim.this_cpu;

	for (u32 i = 1; i <= nr(); i++) {
		u32 cpu = (here->cursor + i) % nr();

		if (has(a, cpu) && has(b, cpu)) {
			here->cursor = cpu;
			return cpu;
		}
	}
	return nr();
}

u32 bpf_cpumask_any_distribute(const struct cpumask *mask)
{
	return bpf_cpumask_any_and_distribute(mask, mask);
}
