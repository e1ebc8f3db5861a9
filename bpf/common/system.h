/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Small helpers for every program: error messages, memory, kernel files. */
#ifndef SCHEDPILOT_SYSTEM_H
#define SCHEDPILOT_SYSTEM_H

#include <stdbool.h>
#include <stddef.h>

/* A line on standard error. */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Returns the given memory; ends the program if it is NULL. */
void *must(void *memory);

/* The text of a small file in /proc or /sys; false if there is none. */
bool slurp(const char *path, char *text, size_t size);

/* The same up to the end of its first line. */
bool slurp_word(const char *path, char *text, size_t size);

#endif
