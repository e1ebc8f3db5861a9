// SPDX-License-Identifier: GPL-2.0-or-later
/* The scheduler's own maps: entries from userspace, and its counters. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "runner/runner.h"

#define ITEM_MAX     4096 /* bytes of one key or value */
#define COUNTERS_MAX 64	  /* entries of the `stats` array */

static bool per_cpu(const struct bpf_map *map)
{
	switch (bpf_map__type(map)) {
	case BPF_MAP_TYPE_PERCPU_ARRAY:
	case BPF_MAP_TYPE_PERCPU_HASH:
	case BPF_MAP_TYPE_LRU_PERCPU_HASH:
		return true;
	default:
		return false;
	}
}

/* Parses hexadecimal digits into exactly `size` bytes. */
static bool from_hex(const char *text, unsigned char *bytes, size_t size)
{
	if (strlen(text) != size * 2 || strspn(text, "0123456789abcdefABCDEF") != size * 2)
		return false;
	for (size_t i = 0; i < size; i++) {
		char pair[3] = {text[2 * i], text[2 * i + 1], '\0'};

		bytes[i] = strtoul(pair, NULL, 16);
	}
	return true;
}

/* Put an entry, or remove it if `value` is NULL. */
int sched_put(struct scheduler *sched, const char *name, const char *key, const char *value,
	      char *why, size_t why_size)
{
	unsigned char key_bytes[ITEM_MAX], value_bytes[ITEM_MAX];
	struct bpf_map *map =
	    *name == '.' ? NULL : bpf_object__find_map_by_name(sched->object, name);
	int err;

	if (!map || bpf_map__is_internal(map) || map == sched->ops_map) {
		snprintf(why, why_size, "the scheduler has no map %.60s", name);
		return -ENOENT;
	}
	if (per_cpu(map) || bpf_map__key_size(map) > ITEM_MAX ||
	    bpf_map__value_size(map) > ITEM_MAX) {
		snprintf(why, why_size, "%s is not a map that can be written from here", name);
		return -EINVAL;
	}
	if (!from_hex(key, key_bytes, bpf_map__key_size(map))) {
		snprintf(why, why_size, "the key of %s is %u bytes in hexadecimal", name,
			 bpf_map__key_size(map));
		return -EINVAL;
	}
	if (value && !from_hex(value, value_bytes, bpf_map__value_size(map))) {
		snprintf(why, why_size, "the value of %s is %u bytes in hexadecimal", name,
			 bpf_map__value_size(map));
		return -EINVAL;
	}
	err = value ? bpf_map_update_elem(bpf_map__fd(map), key_bytes, value_bytes, BPF_ANY)
		    : bpf_map_delete_elem(bpf_map__fd(map), key_bytes);
	if (err)
		snprintf(why, why_size, "%s: %s", name, strerror(-err));
	return err;
}

static const char *kind(const struct bpf_map *map)
{
	const char *name = libbpf_bpf_map_type_str(bpf_map__type(map));

	return name ? name : "unknown";
}

void sched_json_maps(const struct scheduler *sched)
{
	struct bpf_map *map;

	json_open("maps", '[');
	bpf_object__for_each_map (map, sched->object) {
		if (bpf_map__is_internal(map) || map == sched->ops_map)
			continue;
		json_open(NULL, '{');
		json_string("name", bpf_map__name(map));
		json_string("type", kind(map));
		json_int("key_bytes", bpf_map__key_size(map));
		json_int("value_bytes", bpf_map__value_size(map));
		json_int("max_entries", bpf_map__max_entries(map));
		json_close('}');
	}
	json_close(']');
}

/* The scheduler's own counters: a per-CPU array `stats` of u64, summed over the CPUs. */
void sched_json_counters(const struct scheduler *sched)
{
	struct bpf_map *map = bpf_object__find_map_by_name(sched->object, "stats");
	int cpus = libbpf_num_possible_cpus();
	uint64_t *values;

	json_open("counters", '[');
	if (map && bpf_map__type(map) == BPF_MAP_TYPE_PERCPU_ARRAY &&
	    bpf_map__value_size(map) == sizeof(*values) && cpus > 0) {
		values = calloc(cpus, sizeof(*values));
		for (uint32_t key = 0;
		     values && key < bpf_map__max_entries(map) && key < COUNTERS_MAX; key++) {
			uint64_t sum = 0;

			if (bpf_map_lookup_elem(bpf_map__fd(map), &key, values))
				break;
			for (int cpu = 0; cpu < cpus; cpu++)
				sum += values[cpu];
			json_uint(NULL, sum);
		}
		free(values);
	}
	json_close(']');
}
