// SPDX-License-Identifier: GPL-2.0-or-later
/* Writes one global variable of a scheduler, within its type's limits. */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runner/runner.h"

static int parse_scalar(const struct variable *var, const char *text, uint64_t *value, char *why,
			size_t why_size)
{
	unsigned int bits = var->size * 8;
	char *end = NULL;

	if (var->is_bool) {
		if (!strcmp(text, "true") || !strcmp(text, "1"))
			*value = 1;
		else if (!strcmp(text, "false") || !strcmp(text, "0"))
			*value = 0;
		else
			goto bad;
		return 0;
	}
	errno = 0;
	if (var->is_signed) {
		long long n = strtoll(text, &end, 0);

		if (bits < 64 && (n < -(1LL << (bits - 1)) || n >= 1LL << (bits - 1)))
			errno = ERANGE;
		*value = n;
	} else {
		unsigned long long n = strtoull(text, &end, 0);

		if (*text == '-' || (bits < 64 && n >> bits))
			errno = ERANGE;
		*value = n;
	}
	if (*text == '\0' || isspace((unsigned char)*text) || *end)
		goto bad;
	if (errno) {
		snprintf(why, why_size, "%s does not fit in %s, a %s%s of %u bits", text, var->name,
			 var->is_signed ? "" : "un", "signed number", bits);
		return -ERANGE;
	}
	return 0;
bad:
	snprintf(why, why_size, "%s wants %s, not '%.60s'", var->name,
		 var->is_bool ? "true or false" : "a whole number", text);
	return -EINVAL;
}

int vars_set(struct scheduler *sched, const char *name, const char *value, bool live, char *why,
	     size_t why_size)
{
	unsigned int listed = 0;

	for (unsigned int i = 0; i < sched->nr_vars; i++) {
		const struct variable *var = &sched->vars[i];
		const struct section *section = &sched->sections[var->section];
		uint64_t number;
		char *at;
		int err;

		if (strcmp(var->name, name))
			continue;
		if (live && (section->read_only || !section->memory)) {
			snprintf(why, why_size, "%s is fixed once the scheduler is loaded", name);
			return -EROFS;
		}
		if (!section->memory || var->offset + var->size > section->size) {
			snprintf(why, why_size, "%s has no memory of its own", name);
			return -ENODATA;
		}
		at = section->memory + var->offset;
		if (var->is_string) {
			if (strlen(value) >= var->size) {
				snprintf(why, why_size, "%s holds %u bytes", name, var->size - 1);
				return -ERANGE;
			}
			memset(at, 0, var->size);
			memcpy(at, value, strlen(value));
			return 0;
		}
		if (!var->is_scalar || var->size > sizeof(number)) {
			snprintf(why, why_size, "%s is a %s, not a number", name, var->type);
			return -EINVAL;
		}
		err = parse_scalar(var, value, &number, why, why_size);
		if (err)
			return err;
		/*
		 * One store of the variable's own size, so that the scheduler never sees half
		 * of it.
		 */
		if (var->size == 8)
			__atomic_store_n((uint64_t *)at, number, __ATOMIC_RELEASE);
		else if (var->size == 4)
			__atomic_store_n((uint32_t *)at, number, __ATOMIC_RELEASE);
		else if (var->size == 2)
			__atomic_store_n((uint16_t *)at, number, __ATOMIC_RELEASE);
		else
			*at = number;
		return 0;
	}
	snprintf(why, why_size, "the scheduler has no variable %s", name);
	for (unsigned int i = 0; i < sched->nr_vars; i++) {
		size_t used = strlen(why);

		if (sched->vars[i].is_scalar)
			snprintf(why + used, why_size - used, "%s%s",
				 listed++ ? ", " : "; it has: ", sched->vars[i].name);
	}
	return -ENOENT;
}
