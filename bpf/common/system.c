// SPDX-License-Identifier: GPL-2.0-or-later
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "common/system.h"

void say(const char *format, ...)
{
	va_list arguments;

	fprintf(stderr, "%s: ", program_invocation_short_name);
	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fputc('\n', stderr);
}

void *must(void *memory)
{
	if (memory)
		return memory;
	say("out of memory");
	exit(1);
}

bool slurp(const char *path, char *text, size_t size)
{
	int file = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t count = 0;
	size_t length = 0;

	if (file < 0)
		return false;
	while (length < size - 1 && (count = read(file, text + length, size - 1 - length)) > 0)
		length += count;
	close(file);
	text[length] = 0;
	return count >= 0;
}

bool slurp_word(const char *path, char *text, size_t size)
{
	if (!slurp(path, text, size))
		return false;
	text[strcspn(text, "\n")] = 0;
	return true;
}
