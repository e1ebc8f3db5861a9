/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Small things that every part needs: complaints, memory, time, files of the kernel. */
#ifndef SCHEDPILOT_SIGNALS_SYSTEM_H
#define SCHEDPILOT_SIGNALS_SYSTEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#define NSEC 1000000000ULL

/* A line on standard error. */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The memory given; ends the program when it is NULL. */
void *must(void *memory);

uint64_t clock_ns(clockid_t clock);

/* The text of a small file in /proc or /sys; false when there is none. */
bool slurp(const char *path, char *text, size_t size);

/* The same up to the end of its first line. */
bool slurp_word(const char *path, char *text, size_t size);

#endif
