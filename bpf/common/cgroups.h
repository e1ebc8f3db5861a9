/* SPDX-License-Identifier: GPL-2.0-or-later */
/* From ids of cgroups to their paths. */
#ifndef SCHEDPILOT_CGROUPS_H
#define SCHEDPILOT_CGROUPS_H

#include <stdint.h>

/*
 * Walks the unified hierarchy once and calls back with the id and the path (from its root,
 * with a leading slash) of every cgroup in it except the root.
 */
void walk_cgroups(void (*tell)(uint64_t id, const char *path));

#endif
