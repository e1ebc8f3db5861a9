/* SPDX-License-Identifier: GPL-2.0-only */
/* Ends itself with the number of the line where a map, a loop or a mask is not as in the kernel. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

UEI_DEFINE(uei);

#define MAP(name, kind, entries, key_type, value_type)                                             \
	struct {                                                                                   \
		__uint(type, kind);                                                                \
		__uint(max_entries, entries);                                                      \
		__type(key, key_type);                                                             \
		__type(value, value_type);                                                         \
	} name SEC(".maps")
#define LIST(name, kind, entries, value_type)                                                      \
	struct {                                                                                   \
		__uint(type, kind);                                                                \
		__uint(max_entries, entries);                                                      \
		__type(value, value_type);                                                         \
	} name SEC(".maps")

struct pair {
	u32 a, b;
};

MAP(hash, BPF_MAP_TYPE_HASH, 3, struct pair, u64);
MAP(array, BPF_MAP_TYPE_ARRAY, 3, u32, u32);
MAP(per_cpu, BPF_MAP_TYPE_PERCPU_ARRAY, 2, u32, u64);
MAP(per_cpu_hash, BPF_MAP_TYPE_PERCPU_HASH, 2, u32, u64);
MAP(lru, BPF_MAP_TYPE_LRU_HASH, 3, u32, u32);
LIST(queue, BPF_MAP_TYPE_QUEUE, 2, u32);
LIST(stack, BPF_MAP_TYPE_STACK, 2, u32);

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} ring SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, u64);
} storage SEC(".maps");

#define EXPECT(what)                                                                               \
	do {                                                                                       \
		if (!(what)) {                                                                     \
			scx_bpf_error("not so: " #what);                                           \
			return -EINVAL;                                                            \
		}                                                                                  \
	} while (0)

static s32 hashes(void)
{
	struct pair key = {1, 2}, other = {2, 1};
	u32 one = 1, other_cpu = bpf_get_smp_processor_id() ^ 1;
	u64 value = 7, *found;

	EXPECT(!bpf_map_lookup_elem(&hash, &key));
	EXPECT(bpf_map_update_elem(&hash, &key, &value, BPF_EXIST) == -ENOENT);
	EXPECT(!bpf_map_update_elem(&hash, &key, &value, BPF_NOEXIST));
	EXPECT(bpf_map_update_elem(&hash, &key, &value, BPF_NOEXIST) == -EEXIST);
	found = bpf_map_lookup_elem(&hash, &key);
	EXPECT(found && *found == 7);
	EXPECT(!bpf_map_lookup_elem(&hash, &other));
	EXPECT(!bpf_map_update_elem(&hash, &other, &value, BPF_ANY));
	other.a = 3;
	EXPECT(!bpf_map_update_elem(&hash, &other, &value, BPF_ANY));
	other.a = 4;
	EXPECT(bpf_map_update_elem(&hash, &other, &value, BPF_ANY) == -E2BIG);
	EXPECT(!bpf_map_delete_elem(&hash, &key));
	EXPECT(bpf_map_delete_elem(&hash, &key) == -ENOENT);
	EXPECT(!bpf_map_update_elem(&hash, &other, &value, BPF_ANY));
	EXPECT(!bpf_map_update_elem(&per_cpu_hash, &one, &value, BPF_ANY));
	found = bpf_map_lookup_percpu_elem(&per_cpu_hash, &one, other_cpu);
	EXPECT(found && *found == 0);
	return 0;
}

static s32 arrays(void)
{
	u32 i = 2, value = 5, *found = bpf_map_lookup_elem(&array, &i);
	u64 *mine, *theirs;

	EXPECT(found && *found == 0);
	EXPECT(!bpf_map_update_elem(&array, &i, &value, BPF_ANY) && *found == 5);
	EXPECT(bpf_map_delete_elem(&array, &i) == -EINVAL);
	i = 3;
	EXPECT(!bpf_map_lookup_elem(&array, &i));
	EXPECT(bpf_map_update_elem(&array, &i, &value, BPF_ANY) == -E2BIG);
	i = 1;
	mine = bpf_map_lookup_elem(&per_cpu, &i);
	EXPECT(mine);
	*mine = 9;
	theirs = bpf_map_lookup_percpu_elem(&per_cpu, &i, bpf_get_smp_processor_id());
	EXPECT(theirs == mine);
	theirs = bpf_map_lookup_percpu_elem(&per_cpu, &i, bpf_get_smp_processor_id() ^ 1);
	EXPECT(theirs && *theirs == 0);
	EXPECT(!bpf_map_lookup_percpu_elem(&per_cpu, &i, 9999));
	return 0;
}

static s32 oldest_goes(void)
{
	u32 i;

	bpf_for (i, 0, 3)
		EXPECT(!bpf_map_update_elem(&lru, &i, &i, BPF_ANY));
	i = 0;
	EXPECT(bpf_map_lookup_elem(&lru, &i));
	i = 3;
	EXPECT(!bpf_map_update_elem(&lru, &i, &i, BPF_ANY));
	i = 1;
	EXPECT(!bpf_map_lookup_elem(&lru, &i));
	i = 0;
	EXPECT(bpf_map_lookup_elem(&lru, &i));
	return 0;
}

static s32 lists(void)
{
	u32 i, out = 0;

	bpf_for (i, 1, 3) {
		EXPECT(!bpf_map_push_elem(&queue, &i, 0));
		EXPECT(!bpf_map_push_elem(&stack, &i, 0));
	}
	EXPECT(bpf_map_push_elem(&queue, &out, 0) == -E2BIG);
	EXPECT(!bpf_map_peek_elem(&queue, &out) && out == 1);
	EXPECT(!bpf_map_pop_elem(&queue, &out) && out == 1);
	EXPECT(!bpf_map_pop_elem(&queue, &out) && out == 2);
	EXPECT(bpf_map_pop_elem(&queue, &out) == -ENOENT);
	EXPECT(!bpf_map_pop_elem(&stack, &out) && out == 2);
	EXPECT(!bpf_map_push_elem(&stack, &i, BPF_EXIST));
	EXPECT(!bpf_ringbuf_output(&ring, &out, sizeof(out), 0));
	return 0;
}

/* Is the mask as it should be, step by step? */
static bool right(struct bpf_cpumask *mask)
{
	bool fine = bpf_cpumask_empty(cast_mask(mask));

	bpf_cpumask_set_cpu(1, mask);
	bpf_cpumask_set_cpu(9999, mask);
	fine &= bpf_cpumask_weight(cast_mask(mask)) == 1;
	fine &= bpf_cpumask_first(cast_mask(mask)) == 1;
	fine &= bpf_cpumask_test_and_clear_cpu(1, mask);
	bpf_cpumask_setall(mask);
	fine &= bpf_cpumask_full(cast_mask(mask));
	fine &= bpf_cpumask_weight(cast_mask(mask)) == scx_bpf_nr_cpu_ids();
	return fine;
}

static s32 masks_and_loops(void)
{
	struct bpf_cpumask *mask = bpf_cpumask_create();
	u32 sum = 0, i;
	bool fine;

	EXPECT(mask);
	fine = right(mask);
	bpf_cpumask_release(mask);
	EXPECT(fine);
	bpf_for (i, 3, 6)
		sum += i;
	bpf_for (i, 6, 3)
		sum += 100;
	EXPECT(sum == 12);
	return 0;
}

s32 BPF_STRUCT_OPS(maps_init_task, struct task_struct *p, struct scx_init_task_args *args)
{
	u64 first = 3, *found;

	EXPECT(!bpf_task_storage_get(&storage, p, 0, 0));
	found = bpf_task_storage_get(&storage, p, &first, BPF_LOCAL_STORAGE_GET_F_CREATE);
	EXPECT(found && *found == 3);
	EXPECT(bpf_task_storage_get(&storage, p, 0, 0) == found);
	EXPECT(!bpf_task_storage_delete(&storage, p));
	EXPECT(!bpf_task_storage_get(&storage, p, 0, 0));
	return 0;
}

s32 BPF_STRUCT_OPS_SLEEPABLE(maps_init)
{
	s32 error = hashes();

	if (!error)
		error = arrays();
	if (!error)
		error = oldest_goes();
	if (!error)
		error = lists();
	return error ? error : masks_and_loops();
}

void BPF_STRUCT_OPS(maps_exit, struct scx_exit_info *ei)
{
	UEI_RECORD(uei, ei);
}

SCX_OPS_DEFINE(maps_ops, .init = (void *)maps_init, .init_task = (void *)maps_init_task,
	       .exit = (void *)maps_exit, .name = "t_maps");
