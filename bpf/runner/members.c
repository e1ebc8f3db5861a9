// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The runner's lines: one JSON object each, member by member, with the commas between them.
 * They wait in memory if the reader is slow, because it must not keep us from detaching.
 */
#include <string.h>

#include "common/json.h"
#include "runner/runner.h"

/* If more than this is waiting the reader is stuck, and periodic lines are left out. */
#define BACKLOG_BYTES (256 * 1024)

static bool first; /* no comma before the next member */

static void put_key(const char *key)
{
	if (!first)
		put(",", 1);
	first = false;
	if (key) {
		put_text(key, strlen(key));
		put(":", 1);
	}
}

void json_bytes(const char *key, const char *value, size_t count)
{
	put_key(key);
	put_text(value, count);
}

void json_string(const char *key, const char *value)
{
	json_bytes(key, value, strlen(value));
}

void json_int(const char *key, long long value)
{
	put_key(key);
	putf("%lld", value);
}

void json_uint(const char *key, unsigned long long value)
{
	put_key(key);
	putf("%llu", value);
}

void json_bool(const char *key, bool value)
{
	put_key(key);
	putf("%s", value ? "true" : "false");
}

void json_open(const char *key, char bracket)
{
	put_key(key);
	put(&bracket, 1);
	first = true;
}

void json_close(char bracket)
{
	put(&bracket, 1);
	first = false;
}

void json_begin(const char *event)
{
	put("{", 1);
	first = true;
	json_string("event", event);
}

void json_end(void)
{
	put("}\n", 2);
	send_waiting(0);
}

bool json_backlog(void)
{
	return line_length() > BACKLOG_BYTES;
}
