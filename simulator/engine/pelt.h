/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SIMULATOR_PELT_H
#define SIMULATOR_PELT_H

/* Weights are kept in this many more bits than a task's: a group's can be a small fraction. */
#define FINE_SHIFT 10

/* Bring it up to now; since its last update an entity of this fine weight competed. */
void follow(struct load *load, u64 weight);
/* As if it had been so for long. */
void begin_with(struct load *load, u64 weight);
/* Both are up to now. */
void add_load(struct load *sum, const struct load *part);
void take_load(struct load *sum, const struct load *part);
/* The load becomes that of an entity of another fine weight, as if it had always been so. */
void rescale_load(struct load *load, u64 from, u64 to);
u64 weight_of(const struct load *load);
u64 fine_weight_of(const struct load *load);

#endif /* SIMULATOR_PELT_H */
