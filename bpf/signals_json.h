/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One line of JSON, put together piece by piece. */
#ifndef SCHEDPILOT_SIGNALS_JSON_H
#define SCHEDPILOT_SIGNALS_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

void put(const char *text, size_t length);

/* For short things (up to 255 bytes) that are known to be JSON. */
void putf(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Nanoseconds as microseconds, exact and without needless zeros. */
void put_us(uint64_t ns);

/*
 * A string. Names are whatever their owner made them: bytes that are not UTF-8 appear as
 * the four characters \xNN, so that the line stays valid JSON and a person can read it.
 */
void put_string(const char *prefix, const char *name);

/* Writes the line to standard output and begins the next. False when nobody reads. */
bool send_line(void);

/* How long the line is by now, bytes. */
size_t line_length(void);

/* A part of the line. */
struct piece {
	size_t start, length;
};

/* Replaces what stands from `start` on by these parts of it, with commas between them. */
void join_pieces(size_t start, const struct piece *pieces, unsigned int count);

/* Hands the line out, valid until the next put(), and begins the next one. */
const char *take_line(size_t *length);

/* Begins the next line without writing this one. */
void drop_line(void);

#endif
