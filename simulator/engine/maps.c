// SPDX-License-Identifier: GPL-2.0-only
/*
 * BPF maps. A map's address is that of its variable in the candidate, whose first bytes hold the
 * pointer to what is behind it here (libbpf's definition has no values, only types).
 */
#include "kernel.h"

struct entry {
	struct entry *next;
	struct entry *newer, *older; /* by use, where the oldest makes room */
	u32 hash;
	u8 data[]; /* key, padded, then the values: one, or one for each CPU */
};

struct map {
	const char *name;
	u32 type, key_size, value_size, max_entries;
	u32 key_room, value_room; /* padded to 8 */
	u32 index;		  /* of task storage */
	bool per_cpu, lru;
	u32 nr, nr_buckets;
	struct entry **buckets, *spare;
	struct entry *newest, *oldest;
	u8 *values; /* of an array, a queue or a stack */
	u64 first;  /* of a queue */
};

static struct map *maps[MAX_MAPS];
static u32 nr_maps;

static struct map *behind(const void *symbol)
{
	return *(struct map *const *)symbol;
}

static u64 values_bytes(const struct map *map)
{
	return (u64)map->value_room * (map->per_cpu ? sim.want.cpus : 1);
}

void make_map(void *symbol, const char *name, u32 type, u32 key_size, u32 value_size,
	      u32 max_entries)
{
	struct map *map = room(sizeof(*map));

	if (nr_maps == MAX_MAPS) {
		end_by(EXIT_NOT_MODELLED, 0, "not modelled: more than %d maps", MAX_MAPS);
		return;
	}
	*map = (struct map){
	    .name = name,
	    .type = type,
	    .key_size = key_size,
	    .value_size = value_size,
	    .max_entries = max_entries,
	    .key_room = (key_size + 7) & ~7U,
	    .value_room = (value_size + 7) & ~7U,
	    .index = nr_maps,
	    .per_cpu = type == BPF_MAP_TYPE_PERCPU_ARRAY || type == BPF_MAP_TYPE_PERCPU_HASH ||
		       type == BPF_MAP_TYPE_LRU_PERCPU_HASH,
	    .lru = type == BPF_MAP_TYPE_LRU_HASH || type == BPF_MAP_TYPE_LRU_PERCPU_HASH,
	};
	switch (type) {
	case BPF_MAP_TYPE_HASH:
	case BPF_MAP_TYPE_PERCPU_HASH:
	case BPF_MAP_TYPE_LRU_HASH:
	case BPF_MAP_TYPE_LRU_PERCPU_HASH:
		map->nr_buckets = 64;
		while (map->nr_buckets < max_entries && map->nr_buckets < 1 << 16)
			map->nr_buckets *= 2;
		map->buckets = room(map->nr_buckets * sizeof(*map->buckets));
		break;
	case BPF_MAP_TYPE_ARRAY:
	case BPF_MAP_TYPE_PERCPU_ARRAY:
	case BPF_MAP_TYPE_QUEUE:
	case BPF_MAP_TYPE_STACK:
		map->values = room(values_bytes(map) * max_entries);
		break;
	case BPF_MAP_TYPE_TASK_STORAGE:
	case BPF_MAP_TYPE_RINGBUF:
		break;
	default:
		end_by(EXIT_NOT_MODELLED, 0, "not modelled: the type %u of the map %s", type, name);
		return;
	}
	maps[nr_maps++] = map;
	*(struct map **)symbol = map;
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

	for (u32 i = 0; i < map->key_size; i++)
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
		e = room(sizeof(*e) + bytes);
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

/* ---- helpers ---- */

static u8 *values_at(struct map *map, const void *key)
{
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
	if (!values && map->buckets)
		values = hash_add(map, key);
	if (!values)
		return -7; /* E2BIG */
	__builtin_memcpy(of_cpu(map, values, sim.this_cpu->id), value, map->value_size);
	return 0;
}

long bpf_map_delete_elem(void *symbol, const void *key)
{
	struct map *map = behind(symbol);

	if (!map->buckets)
		return -22;
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

	/* The idle task has none of its own: it is no task of the simulation. */
	if (!task || !task->pid)
		return NULL;
	place = &task_of(task)->storage[map->index];
	if (!*place && flags & BPF_LOCAL_STORAGE_GET_F_CREATE && task_of(task)->state != DEAD) {
		*place = room(map->value_room);
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
	for (u32 i = 0; i < nr_maps; i++) {
		free_room(t->storage[i]);
		t->storage[i] = NULL;
	}
}

/* Nobody reads ring buffers here, so they are always empty; what goes in is counted. */
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
