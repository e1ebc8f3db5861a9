/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Lines of JSON, put together piece by piece in memory.
 *
 * Text from the kernel or a scheduler may contain hostile bytes (a task's name is any 15
 * bytes). Control characters are escaped, and bytes that are not UTF-8 are replaced, so that
 * a line is always valid JSON.
 */
#ifndef SCHEDPILOT_JSON_H
#define SCHEDPILOT_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

void put(const char *text, size_t length);

/* For short values (up to 255 bytes) that are known to be JSON. */
void putf(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Nanoseconds as microseconds, exact and without needless zeros. */
void put_us(uint64_t ns);

/*
 * The two parts as one string. Bytes that are not UTF-8 appear as the four characters \xNN,
 * so that different names stay different.
 */
void put_string(const char *prefix, const char *name);

/* Text of this length as a string. Bytes that are not UTF-8 become U+FFFD. */
void put_text(const char *text, size_t length);

/* Writes the line to standard output and begins the next. False if nobody reads. */
bool send_line(void);

/*
 * Writes the buffer, in pieces that a pipe takes without blocking, and gives up after this
 * many milliseconds. True if nothing is left. A reader that stopped reading cannot hold us
 * up.
 */
bool send_waiting(int patience_ms);

/* The current size in memory, bytes. */
size_t line_length(void);

/* A part of the line. */
struct piece {
	size_t start, length;
};

/* Replaces the text from `start` on by these parts of it, with commas between them. */
void join_pieces(size_t start, const struct piece *pieces, unsigned int count);

/* Returns the line, valid until the next put(), and begins the next one. */
const char *take_line(size_t *length);

/* Begins the next line without writing this one. */
void drop_line(void);

#endif
