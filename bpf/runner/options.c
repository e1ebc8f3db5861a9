// SPDX-License-Identifier: GPL-2.0-or-later
/* The command line; runner.c has the list of options at its top. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runner/runner.h"

struct options options;

static void usage(const char *why)
{
	fprintf(stderr, "schedpilot-runner: %s\n", why);
	fputs("usage: schedpilot-runner --object FILE [--set NAME=VALUE]... --lease SECONDS\n"
	      "       [--stats SECONDS] | --verify-only | --describe | --version\n",
	      stderr);
}

static bool seconds(const char *text, double *value)
{
	char *end;

	*value = strtod(text, &end);
	return end != text && !*end && isfinite(*value) && *value >= 0.05 && *value <= 86400;
}

static const char *parse(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		const char *word = argv[i];

		if (!strcmp(word, "--verify-only")) {
			options.verify_only = true;
			continue;
		}
		if (!strcmp(word, "--describe")) {
			options.describe = true;
			continue;
		}
		if (++i == argc)
			return "unknown option, or one without its value";
		if (!strcmp(word, "--object")) {
			options.object = argv[i];
		} else if (!strcmp(word, "--lease")) {
			if (!seconds(argv[i], &options.lease))
				return "--lease wants seconds, 0.05 to 86400";
		} else if (!strcmp(word, "--stats")) {
			if (!seconds(argv[i], &options.stats))
				return "--stats wants seconds, 0.05 to 86400";
		} else if (!strcmp(word, "--set")) {
			if (!strchr(argv[i], '=') || options.nr_settings == SETTINGS_MAX)
				return "--set wants NAME=VALUE, at most 64 times";
			options.settings[options.nr_settings++] = argv[i];
		} else {
			return "unknown option";
		}
	}
	if (!options.object)
		return "--object is missing";
	if (!options.lease && !options.verify_only && !options.describe)
		return "--lease is missing: a scheduler without a lease could outlive its owner";
	return NULL;
}

bool options_parse(int argc, char **argv)
{
	const char *wrong = parse(argc, argv);

	if (wrong)
		usage(wrong);
	return !wrong;
}
