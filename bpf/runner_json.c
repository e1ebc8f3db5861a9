// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * JSON lines. Whatever comes from the kernel or a scheduler may hold hostile bytes (a
 * task's name is any 15 bytes): control characters are escaped, and what is not UTF-8
 * becomes U+FFFD.
 *
 * Writing never blocks for long: a reader that has stopped reading must not keep us from
 * detaching. Lines wait in memory and go out in pieces a pipe takes at once.
 */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runner.h"

/* With more than this waiting the reader is stuck, and periodic lines are left out. */
#define BACKLOG_BYTES (256 * 1024)

static char *buffer;
static size_t length, capacity;
static bool first; /* no comma before the next member */

static void put_raw(const char *bytes, size_t count)
{
	if (length + count > capacity) {
		size_t wanted = (length + count) * 2 + 4096;
		char *more = realloc(buffer, wanted);

		if (!more)
			abort(); /* the link closes with us, the kernel takes over */
		buffer = more;
		capacity = wanted;
	}
	memcpy(buffer + length, bytes, count);
	length += count;
}

static void put_text(const char *text)
{
	put_raw(text, strlen(text));
}

/* Length of the UTF-8 sequence at `s` of at most `left` bytes; 0 when it is not one. */
static size_t utf8_length(const unsigned char *s, size_t left)
{
	static const unsigned int smallest[] = {0, 0, 0x80, 0x800, 0x10000};
	unsigned int code;
	size_t n, i;

	if (*s < 0xc2 || *s > 0xf4)
		return 0;
	n = *s < 0xe0 ? 2 : *s < 0xf0 ? 3 : 4;
	if (n > left)
		return 0;
	code = *s & (0x7f >> n);
	for (i = 1; i < n; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		code = code << 6 | (s[i] & 0x3f);
	}
	if (code < smallest[n] || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
		return 0;
	return n;
}

static void put_quoted(const char *text, size_t count)
{
	const unsigned char *s = (const unsigned char *)text;
	char code[8];
	size_t i, n;

	put_raw("\"", 1);
	for (i = 0; i < count; i += n) {
		n = 1;
		if (s[i] == '"' || s[i] == '\\') {
			put_raw("\\", 1);
			put_raw(text + i, 1);
		} else if (s[i] == '\n') {
			put_text("\\n");
		} else if (s[i] == '\t') {
			put_text("\\t");
		} else if (s[i] < 0x20 || s[i] == 0x7f) {
			snprintf(code, sizeof(code), "\\u%04x", s[i]);
			put_text(code);
		} else if (s[i] < 0x80) {
			put_raw(text + i, 1);
		} else {
			n = utf8_length(s + i, count - i);
			if (n)
				put_raw(text + i, n);
			else
				put_text("\\ufffd");
			n = n ? n : 1;
		}
	}
	put_raw("\"", 1);
}

static void put_key(const char *key)
{
	if (!first)
		put_raw(",", 1);
	first = false;
	if (key) {
		put_quoted(key, strlen(key));
		put_raw(":", 1);
	}
}

void json_bytes(const char *key, const char *value, size_t count)
{
	put_key(key);
	put_quoted(value, count);
}

void json_string(const char *key, const char *value)
{
	json_bytes(key, value, strlen(value));
}

void json_int(const char *key, long long value)
{
	char text[24];

	snprintf(text, sizeof(text), "%lld", value);
	put_key(key);
	put_text(text);
}

void json_uint(const char *key, unsigned long long value)
{
	char text[24];

	snprintf(text, sizeof(text), "%llu", value);
	put_key(key);
	put_text(text);
}

void json_bool(const char *key, bool value)
{
	put_key(key);
	put_text(value ? "true" : "false");
}

void json_open(const char *key, char bracket)
{
	put_key(key);
	put_raw(&bracket, 1);
	first = true;
}

void json_close(char bracket)
{
	put_raw(&bracket, 1);
	first = false;
}

void json_begin(const char *event)
{
	put_raw("{", 1);
	first = true;
	json_string("event", event);
}

void json_end(void)
{
	put_raw("}\n", 2);
	json_flush(0);
}

bool json_backlog(void)
{
	return length > BACKLOG_BYTES;
}

bool json_flush(int patience_ms)
{
	long long deadline = now_ms() + patience_ms;
	size_t done = 0;

	while (done < length) {
		struct pollfd out = {.fd = STDOUT_FILENO, .events = POLLOUT};
		long long left = deadline - now_ms();
		ssize_t n;

		if (poll(&out, 1, left > 0 ? (int)left : 0) <= 0)
			break;
		/* A pipe that polls writable takes PIPE_BUF bytes without blocking. */
		n = write(STDOUT_FILENO, buffer + done,
			  length - done < PIPE_BUF ? length - done : PIPE_BUF);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) { /* nobody will ever read it */
			done = length;
			break;
		}
		done += n;
	}
	length -= done;
	if (length)
		memmove(buffer, buffer + done, length);
	return length == 0;
}
