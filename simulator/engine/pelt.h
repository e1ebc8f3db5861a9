/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SIMULATOR_PELT_H
#define SIMULATOR_PELT_H

/* Bring it up to now; since its last update an entity of this weight competed. */
void follow(struct load *load, u64 weight);
/* As if it had been so for long. */
void begin_with(struct load *load, u64 weight);
/* Both are up to now. */
void add_load(struct load *sum, const struct load *part);
void take_load(struct load *sum, const struct load *part);
u64 weight_of(const struct load *load);

#endif /* SIMULATOR_PELT_H */
