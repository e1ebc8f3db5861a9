// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * BPF maps. A map's address is that of its variable in the candidate, whose first bytes hold
 * the pointer to our data (libbpf's definition has no values, only types).
 */
#include "kernel.h"
#include "lines.h"

struct entry {
	struct entry *next;
	struct entry *newer, *older; /* by use; the oldest makes room */
	u32 hash;
	u8 data[]; /* key, padded, then the values: one, or one for each CPU */
};

#define DATA_AT ((u32) __builtin_offsetof(struct entry, data))

struct map {
	const char *name;
	u32 type, key_size, value_size, max_entries;
	u32 key_room, value_room; /* padded to 8 */
	u32 index;		  /* of task storage */
	bool per_cpu, lru, filled, read;
	struct map_spec inner; /* of a map of maps */
	u32 nr, nr_buckets;
	struct entry **buckets, *spare;
	struct entry *newest, *oldest;
	u8 *values; /* of an array, a queue or a stack */
	u64 first;  /* of a queue */
	void **of_cgroups;
};

static struct map *maps[MAX_MAPS];
static u32 nr_maps, nr_storages;

static struct map *behind(const void *symbol)
{
	return *(struct map *const *)symbol;
}

void cancel_timers(const void *from, u64 bytes);
long bpf_map_update_elem(void *symbol, const void *key, const void *value, u64 flags);

static u64 values_bytes(const struct map *map)
{
	return (u64)map->value_room * (map->per_cpu ? sim.want.cpus : 1);
}

/* A map of that kind; NULL: its type is not modelled. */
static struct map *new_map(const char *name, const struct map_spec *spec)
{
	struct map *map = room(sizeof(*map));
	u32 type = spec->type;

	*map = (struct map){
	    .name = name,
	    .type = type,
	    .key_size = spec->key_size,
	    .value_size = spec->value_size,
	    .max_entries = spec->max_entries,
	    .key_room = (spec->key_size + 7) & ~7U,
	    .value_room = (spec->value_size + 7) & ~7U,
	    .per_cpu = type == BPF_MAP_TYPE_PERCPU_ARRAY || type == BPF_MAP_TYPE_PERCPU_HASH ||
		       type == BPF_MAP_TYPE_LRU_PERCPU_HASH,
	    .lru = type == BPF_MAP_TYPE_LRU_HASH || type == BPF_MAP_TYPE_LRU_PERCPU_HASH,
	};
	/* As in the kernel, CPUs do not share lines of their own values. */
	if (COUNTS && map->per_cpu) {
		map->value_room = (map->value_room + 63) & ~63U;
		map->key_room = ((map->key_room + DATA_AT + 63) & ~63U) - DATA_AT;
	}
	switch (type) {
	case BPF_MAP_TYPE_HASH_OF_MAPS:
	case BPF_MAP_TYPE_ARRAY_OF_MAPS:
		/* A place holds the pointer that a map's symbol does. */
		map->value_size = map->value_room = sizeof(struct map *);
		if (type == BPF_MAP_TYPE_ARRAY_OF_MAPS)
			goto array;
		goto hash;
	case BPF_MAP_TYPE_HASH:
	case BPF_MAP_TYPE_PERCPU_HASH:
	case BPF_MAP_TYPE_LRU_HASH:
	case BPF_MAP_TYPE_LRU_PERCPU_HASH:
	hash:
		map->nr_buckets = 64;
		while (map->nr_buckets < map->max_entries && map->nr_buckets < 1 << 16)
			map->nr_buckets *= 2;
		map->buckets = room(map->nr_buckets * sizeof(*map->buckets));
		break;
	case BPF_MAP_TYPE_ARRAY:
	case BPF_MAP_TYPE_PERCPU_ARRAY:
	case BPF_MAP_TYPE_QUEUE:
	case BPF_MAP_TYPE_STACK:
	array:
		map->values = room_of_lines(values_bytes(map) * map->max_entries);
		name_lines(map->values, values_bytes(map) * map->max_entries, name,
			   map->value_room);
		break;
	case BPF_MAP_TYPE_TASK_STORAGE:
		map->index = nr_storages++;
		break;
	case BPF_MAP_TYPE_CGRP_STORAGE:
		map->of_cgroups = room(MAX_CGROUPS * sizeof(void *));
		break;
	case BPF_MAP_TYPE_RINGBUF:
	case BPF_MAP_TYPE_USER_RINGBUF:
	case BPF_MAP_TYPE_ARENA:
		break;
	default:
		end_by(EXIT_NOT_MODELLED, 0, "not modelled: the type %u of the map %s", type, name);
		return NULL;
	}
	return map;
}

void make_map(void *symbol, const char *name, const struct map_spec *spec)
{
	struct map *map;

	if (nr_maps == MAX_MAPS) {
		end_by(EXIT_NOT_MODELLED, 0, "not modelled: more than %d maps", MAX_MAPS);
		return;
	}
	map = new_map(name, spec);
	if (!map)
		return;
	maps[nr_maps++] = map;
	*(struct map **)symbol = map;
}

void make_outer_map(void *symbol, const char *name, const struct map_spec *spec,
		    const struct map_spec *inner)
{
	make_map(symbol, name, spec);
	if (!sim.over)
		behind(symbol)->inner = *inner;
}

void fill_outer_map(void *symbol, u32 index, void *inner)
{
	struct map *map = behind(symbol), *found = behind(inner);

	if (index >= map->max_entries)
		return;
	if (map->values)
		((struct map **)map->values)[index] = found;
	else
		bpf_map_update_elem(symbol, &index, &found, 0);
}

/*
 * The place of an inner map. In an array userspace fills every entry alike before the start,
 * so each exists; made when first requested.
 */
static u8 *inner_map(struct map *map, u8 *place)
{
	struct map **inner = (struct map **)place;

	if (inner && !*inner)
		*inner = new_map(map->name, &map->inner);
	return place;
}

const char *map_of_userspace(void)
{
	for (u32 i = 0; i < nr_maps; i++)
		if (maps[i]->read && !maps[i]->filled)
			return maps[i]->name;
	return NULL;
}

u32 task_storages(void)
{
	return nr_storages;
}

void *map_named(const char *name)
{
	for (u32 i = 0; i < nr_maps; i++)
		if (!__builtin_strcmp(maps[i]->name, name))
			return &maps[i];
	return NULL;
}

/* ---- hashes ---- */

static u32 hash_of(const struct map *map, const u8 *key)
{
	u64 hash = 0xcbf29ce484222325ULL;
	u32 i = 0, word;

	for (; i + 4 <= map->key_size; i += 4) {
		__builtin_memcpy(&word, key + i, 4);
		hash = (hash ^ word) * 0x9e3779b97f4a7c15ULL;
		hash ^= hash >> 32;
	}
	for (; i < map->key_size; i++)
		hash = (hash ^ key[i]) * 0x100000001b3ULL;
	return hash ^ hash >> 32;
}

static void forget_use(struct map *map, struct entry *e)
{
	*(e->newer ? &e->newer->older : &map->newest) = e->older;
	*(e->older ? &e->older->newer : &map->oldest) = e->newer;
}

static void note_use(struct map *map, struct entry *e)
{
	e->newer = NULL;
	e->older = map->newest;
	*(map->newest ? &map->newest->newer : &map->oldest) = e;
	map->newest = e;
}

static struct entry **place_of(struct map *map, const void *key, u32 hash)
{
	struct entry **at = &map->buckets[hash & (map->nr_buckets - 1)];

	while (*at && ((*at)->hash != hash || __builtin_memcmp((*at)->data, key, map->key_size)))
		at = &(*at)->next;
	return at;
}

static bool hash_delete(struct map *map, const void *key)
{
	struct entry **at = place_of(map, key, hash_of(map, key)), *e = *at;

	if (!e)
		return false;
	*at = e->next;
	cancel_timers(e->data, map->key_room + values_bytes(map));
	if (map->lru)
		forget_use(map, e);
	e->next = map->spare;
	map->spare = e;
	map->nr--;
	return true;
}

static u8 *hash_find(struct map *map, const void *key, bool use)
{
	struct entry *e = *place_of(map, key, hash_of(map, key));

	if (!e)
		return NULL;
	if (map->lru && use) {
		forget_use(map, e);
		note_use(map, e);
	}
	return e->data + map->key_room;
}

static u8 *hash_add(struct map *map, const void *key)
{
	u32 hash = hash_of(map, key);
	struct entry **at, *e;
	u64 bytes = map->key_room + values_bytes(map);

	if (map->nr == map->max_entries) {
		if (!map->lru)
			return NULL;
		hash_delete(map, map->oldest->data);
	}
	e = map->spare;
	if (e)
		map->spare = e->next;
	else
		e = room_of_lines(sizeof(*e) + bytes);
	if (COUNTS)
		name_lines(e->data + map->key_room, values_bytes(map), map->name, map->value_room);
	__builtin_memset(e->data, 0, bytes);
	__builtin_memcpy(e->data, key, map->key_size);
	e->hash = hash;
	e->next = NULL;
	at = place_of(map, key, hash);
	*at = e;
	if (map->lru)
		note_use(map, e);
	map->nr++;
	return e->data + map->key_room;
}

/* The element whose value contains that place. */
bool find_element(void *symbol, void *inside, void **key, void **value)
{
	struct map *map = behind(symbol);
	u64 bytes = values_bytes(map), at = (u8 *)inside - map->values;

	if (map->values && at < bytes * map->max_entries) {
		u32 *index = room(sizeof(*index));

		*index = at / bytes;
		*key = index;
		*value = map->values + bytes * *index;
		return true;
	}
	for (u32 i = 0; i < map->nr_buckets; i++)
		for (struct entry *e = map->buckets[i]; e; e = e->next)
			if ((u64)((u8 *)inside - e->data) < map->key_room + bytes) {
				*key = e->data;
				*value = e->data + map->key_room;
				return true;
			}
	return false;
}

/* ---- helpers ---- */

static u64 line_of_bucket(const struct map *map, const void *key)
{
	return kernel_line(LINE_BUCKET,
			   (u64)&map->buckets[hash_of(map, key) & (map->nr_buckets - 1)] &
			       ((1ULL << 48) - 1));
}

static u8 *values_at(struct map *map, const void *key)
{
	if (COUNTS && map->buckets)
		saw_load(line_of_bucket(map, key));
	if (map->buckets)
		return hash_find(map, key, true);
	if (map->values && map->key_size && *(const u32 *)key < map->max_entries)
		return map->values + values_bytes(map) * *(const u32 *)key;
	return NULL;
}

static u8 *of_cpu(struct map *map, u8 *values, u32 cpu)
{
	return values && map->per_cpu ? values + (u64)map->value_room * cpu : values;
}

void *bpf_map_lookup_elem(void *symbol, const void *key)
{
	struct map *map = behind(symbol);

	if (map->inner.type)
		return inner_map(map, values_at(map, key));
	return of_cpu(map, values_at(map, key), sim.this_cpu->id);
}

void *bpf_map_lookup_percpu_elem(void *symbol, const void *key, u32 cpu)
{
	struct map *map = behind(symbol);

	if (cpu >= (u32)sim.want.cpus || !map->per_cpu)
		return NULL;
	return of_cpu(map, values_at(map, key), cpu);
}

long bpf_map_update_elem(void *symbol, const void *key, const void *value, u64 flags)
{
	struct map *map = behind(symbol);
	u8 *values = values_at(map, key);

	if (flags > BPF_EXIST)
		return -22; /* EINVAL */
	if (values && flags == BPF_NOEXIST)
		return -17; /* EEXIST */
	if (!values && flags == BPF_EXIST)
		return -2; /* ENOENT */
	if (COUNTS && map->buckets)
		saw_locked(line_of_bucket(map, key), BUCKET_NS);
	if (!values && map->buckets)
		values = hash_add(map, key);
	if (!values)
		return -7; /* E2BIG */
	for (u64 at = 0; COUNTS && at < map->value_size; at += 64)
		saw_store((u64)of_cpu(map, values, sim.this_cpu->id) + at);
	__builtin_memcpy(of_cpu(map, values, sim.this_cpu->id), value, map->value_size);
	return 0;
}

long bpf_map_delete_elem(void *symbol, const void *key)
{
	struct map *map = behind(symbol);

	if (!map->buckets)
		return -22;
	if (COUNTS)
		saw_locked(line_of_bucket(map, key), BUCKET_NS);
	return hash_delete(map, key) ? 0 : -2;
}

static u8 *nth(struct map *map, u64 index)
{
	return map->values + map->value_room * (index % map->max_entries);
}

long bpf_map_push_elem(void *symbol, const void *value, u64 flags)
{
	struct map *map = behind(symbol);

	if (map->nr == map->max_entries) {
		if (flags != BPF_EXIST)
			return -7;
		map->first++;
		map->nr--;
	}
	map->filled = true;
	__builtin_memcpy(nth(map, map->first + map->nr++), value, map->value_size);
	return 0;
}

static u8 *next_out(struct map *map)
{
	if (!map->nr)
		return NULL;
	return nth(map, map->type == BPF_MAP_TYPE_QUEUE ? map->first : map->first + map->nr - 1);
}

long bpf_map_peek_elem(void *symbol, void *value)
{
	struct map *map = behind(symbol);
	u8 *found = next_out(map);

	map->read = true;
	if (!found)
		return -2;
	__builtin_memcpy(value, found, map->value_size);
	return 0;
}

long bpf_map_pop_elem(void *symbol, void *value)
{
	struct map *map = behind(symbol);
	long error = bpf_map_peek_elem(symbol, value);

	if (error)
		return error;
	map->nr--;
	if (map->type == BPF_MAP_TYPE_QUEUE)
		map->first++;
	return 0;
}

void *bpf_task_storage_get(void *symbol, struct task_struct *task, void *value, u64 flags)
{
	struct map *map = behind(symbol);
	void **place;

	/* The idle task has none of its own: it is not a task of the simulation. */
	if (!task || !task->pid)
		return NULL;
	place = &task_of(task)->storage[map->index];
	if (!*place && flags & BPF_LOCAL_STORAGE_GET_F_CREATE && task_of(task)->state != DEAD) {
		*place = room_of_lines(map->value_room);
		name_lines(*place, map->value_room, map->name, 0);
		if (value)
			__builtin_memcpy(*place, value, map->value_size);
	}
	return *place;
}

long bpf_task_storage_delete(void *symbol, struct task_struct *task)
{
	void **place = &task_of(task)->storage[behind(symbol)->index];

	if (!*place)
		return -2;
	free_room(*place);
	*place = NULL;
	return 0;
}

void drop_storage(struct task *t)
{
	for (u32 i = 0; i < nr_storages; i++) {
		free_room(t->storage[i]);
		t->storage[i] = NULL;
	}
}

/* ---- of cgroups ---- */

u32 cgroup_number(const struct cgroup *cgroup);

void *bpf_cgrp_storage_get(void *symbol, struct cgroup *cgroup, void *value, u64 flags)
{
	struct map *map = behind(symbol);
	void **place;

	if (!cgroup)
		return NULL;
	place = &map->of_cgroups[cgroup_number(cgroup)];
	if (!*place && flags & BPF_LOCAL_STORAGE_GET_F_CREATE) {
		*place = room_of_lines(map->value_room);
		name_lines(*place, map->value_room, map->name, 0);
		if (value)
			__builtin_memcpy(*place, value, map->value_size);
	}
	return *place;
}

long bpf_cgrp_storage_delete(void *symbol, struct cgroup *cgroup)
{
	void **place = &behind(symbol)->of_cgroups[cgroup_number(cgroup)];

	if (!*place)
		return -2;
	free_room(*place);
	*place = NULL;
	return 0;
}

/* ---- arenas: our own pages, at the addresses that the candidate uses ---- */

void *bpf_arena_alloc_pages(void *symbol, void *address, u32 pages, int node, u64 flags)
{
	struct map *map = behind(symbol);

	(void)node;
	if (flags || !pages || pages > map->max_entries - map->nr)
		return NULL;
	if (address) {
		end_by(EXIT_NOT_MODELLED, 0, "not modelled: pages of the arena %s at a given place",
		       map->name);
		return NULL;
	}
	map->nr += pages;
	return pages_of_memory(pages);
}

void bpf_arena_free_pages(void *symbol, void *address, u32 pages)
{
	struct map *map = behind(symbol);

	if (!address || pages > map->nr)
		return;
	map->nr -= pages;
	give_back_pages(address, pages);
}

/* ---- ring buffers ---- */

/* Userspace sends nothing. */
long bpf_user_ringbuf_drain(void *symbol, void *callback, void *context, u64 flags)
{
	(void)callback;
	(void)context;
	(void)flags;
	behind(symbol)->read = true;
	return 0;
}

/* Nothing reads ring buffers here, so they are always empty; input is counted. */
long bpf_ringbuf_output(void *symbol, void *data, u64 size, u64 flags)
{
	(void)symbol;
	(void)data;
	(void)flags;
	sim.ringbuf_bytes += size;
	return 0;
}

void *bpf_ringbuf_reserve(void *symbol, u64 size, u64 flags)
{
	(void)flags;
	if (size > behind(symbol)->max_entries)
		return NULL;
	sim.ringbuf_bytes += size;
	return room(size);
}

void bpf_ringbuf_submit(void *data, u64 flags)
{
	(void)flags;
	free_room(data);
}

void bpf_ringbuf_discard(void *data, u64 flags)
{
	(void)flags;
	free_room(data);
}

long bpf_for_each_map_elem(void *symbol, void *callback, void *context, u64 flags)
{
	long (*each)(void *, const void *, void *, void *) = callback;
	struct map *map = behind(symbol);
	long seen = 0;

	if (flags)
		return -22;
	for (u32 i = 0; map->values && i < map->max_entries; i++, seen++)
		if (each(symbol, &i, bpf_map_lookup_elem(symbol, &i), context))
			return seen + 1;
	for (u32 i = 0; i < map->nr_buckets; i++) {
		struct entry *e = map->buckets[i], *next;

		for (; e; e = next, seen++) {
			next = e->next;
			if (each(symbol, e->data,
				 of_cpu(map, e->data + map->key_room, sim.this_cpu->id), context))
				return seen + 1;
		}
	}
	return seen;
}
