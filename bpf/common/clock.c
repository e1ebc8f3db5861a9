// SPDX-License-Identifier: GPL-2.0-or-later
#include "common/clock.h"

uint64_t clock_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return now.tv_sec * NSEC + now.tv_nsec;
}

long long now_ms(void)
{
	return clock_ns(CLOCK_MONOTONIC) / 1000000;
}

void sleep_ms(int ms)
{
	struct timespec pause = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L};

	nanosleep(&pause, NULL);
}
