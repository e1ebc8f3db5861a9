/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Time: reading a clock, and waiting. */
#ifndef SCHEDPILOT_CLOCK_H
#define SCHEDPILOT_CLOCK_H

#include <stdint.h>
#include <time.h>

#define NSEC 1000000000ULL

/* The time of a clock, ns. */
uint64_t clock_ns(clockid_t clock);

/* CLOCK_MONOTONIC, ms. */
long long now_ms(void);

void sleep_ms(int ms);

#endif
