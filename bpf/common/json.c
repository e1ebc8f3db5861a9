// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "common/clock.h"
#include "common/json.h"
#include "common/system.h"

static struct {
	char *text;
	size_t length, size;
} line;

void put(const char *text, size_t length)
{
	if (line.length + length + 1 > line.size) {
		line.size = (line.length + length + 1) * 3 / 2 + 4096;
		line.text = must(realloc(line.text, line.size));
	}
	memcpy(line.text + line.length, text, length);
	line.length += length;
}

void putf(const char *format, ...)
{
	char text[256];
	va_list arguments;
	int length;

	va_start(arguments, format);
	length = vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	put(text, length < (int)sizeof(text) ? (size_t)length : sizeof(text) - 1);
}

void put_us(uint64_t ns)
{
	unsigned int rest = ns % 1000;

	putf("%llu", (unsigned long long)(ns / 1000));
	if (!rest)
		return;
	if (rest % 100 == 0)
		putf(".%u", rest / 100);
	else if (rest % 10 == 0)
		putf(".%02u", rest / 10);
	else
		putf(".%03u", rest);
}

/* The length of the valid UTF-8 character here (RFC 3629), or 0. */
static size_t utf8_length(const unsigned char *text, size_t left)
{
	static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
	uint32_t point;
	size_t length, i;

	if (*text < 0x80)
		return 1;
	if (*text < 0xc2 || *text > 0xf4)
		return 0;
	length = *text < 0xe0 ? 2 : *text < 0xf0 ? 3 : 4;
	if (left < length)
		return 0;
	point = *text & (0x7f >> length);
	for (i = 1; i < length; i++) {
		if ((text[i] & 0xc0) != 0x80)
			return 0;
		point = point << 6 | (text[i] & 0x3f);
	}
	/* Longer than needed, half of a UTF-16 pair, or beyond the last character. */
	if (point < smallest[length] || (point >= 0xd800 && point <= 0xdfff) || point > 0x10ffff)
		return 0;
	return length;
}

/* `broken` is the format for a byte that is not UTF-8. */
static void put_escaped(const char *text, size_t left, const char *broken)
{
	const unsigned char *at = (const unsigned char *)text;
	size_t length;

	for (; left; at += length, left -= length) {
		length = utf8_length(at, left);
		if (!length) {
			putf(broken, *at);
			length = 1;
		} else if (*at == '\n') {
			put("\\n", 2);
		} else if (*at == '\t') {
			put("\\t", 2);
		} else if (*at < 0x20 || *at == 0x7f) {
			putf("\\u%04x", *at);
		} else {
			if (*at == '"' || *at == '\\')
				put("\\", 1);
			put((const char *)at, length);
		}
	}
}

void put_string(const char *prefix, const char *name)
{
	put("\"", 1);
	put_escaped(prefix, strlen(prefix), "\\\\x%02x");
	put_escaped(name, strlen(name), "\\\\x%02x");
	put("\"", 1);
}

void put_text(const char *text, size_t length)
{
	put("\"", 1);
	put_escaped(text, length, "\\ufffd");
	put("\"", 1);
}

size_t line_length(void)
{
	return line.length;
}

void join_pieces(size_t start, const struct piece *pieces, unsigned int count)
{
	char *from = must(malloc(line.length + 1));
	unsigned int i;

	memcpy(from, line.text, line.length);
	line.length = start;
	for (i = 0; i < count; i++) {
		if (i)
			put(",", 1);
		put(from + pieces[i].start, pieces[i].length);
	}
	free(from);
}

const char *take_line(size_t *length)
{
	*length = line.length;
	line.length = 0;
	return line.text;
}

void drop_line(void)
{
	line.length = 0;
}

bool send_line(void)
{
	size_t sent = 0;
	ssize_t count;

	put("\n", 1);
	while (sent < line.length) {
		count = write(STDOUT_FILENO, line.text + sent, line.length - sent);
		if (count < 0 && errno == EINTR)
			continue;
		if (count < 0)
			return false;
		sent += count;
	}
	line.length = 0;
	return true;
}

bool send_waiting(int patience_ms)
{
	long long deadline = now_ms() + patience_ms;
	size_t sent = 0;
	ssize_t count;

	while (sent < line.length) {
		struct pollfd out = {.fd = STDOUT_FILENO, .events = POLLOUT};
		long long left = deadline - now_ms();

		if (poll(&out, 1, left > 0 ? (int)left : 0) <= 0)
			break;
		/* A pipe that polls writable takes PIPE_BUF bytes without blocking. */
		count = write(STDOUT_FILENO, line.text + sent,
			      line.length - sent < PIPE_BUF ? line.length - sent : PIPE_BUF);
		if (count < 0 && errno == EINTR)
			continue;
		if (count < 0) { /* nobody will ever read it */
			sent = line.length;
			break;
		}
		sent += count;
	}
	line.length -= sent;
	if (line.length)
		memmove(line.text, line.text + sent, line.length);
	return line.length == 0;
}
