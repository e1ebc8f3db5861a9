/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Ends itself where objects, lists and trees of them, kptrs, maps of maps or arenas are not as in
 * the kernel.
 */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

UEI_DEFINE(uei);

#define EXPECT(what)                                                                               \
	do {                                                                                       \
		if (!(what)) {                                                                     \
			scx_bpf_error("not so: " #what);                                           \
			return -EINVAL;                                                            \
		}                                                                                  \
	} while (0)

void *bpf_percpu_obj_new_impl(__u64 local_type_id, void *meta) __ksym;
void bpf_percpu_obj_drop_impl(void *kptr, void *meta) __ksym;
#define bpf_percpu_obj_new(type)                                                                   \
	((type __percpu_kptr *)bpf_percpu_obj_new_impl(bpf_core_type_id_local(type), NULL))
#define bpf_percpu_obj_drop(kptr) bpf_percpu_obj_drop_impl(kptr, NULL)

struct item {
	struct bpf_list_node in_list;
	u64 value;
};

struct leaf {
	struct bpf_rb_node in_tree;
	u64 value;
};

struct counter {
	u64 value;
};

private(LIST) struct bpf_spin_lock list_lock;
private(LIST) struct bpf_list_head list __contains(item, in_list);
private(TREE) struct bpf_spin_lock tree_lock;
private(TREE) struct bpf_rb_root tree __contains(leaf, in_tree);

struct stash {
	struct leaf __kptr *leaf;
	struct bpf_cpumask __kptr *mask;
	struct counter __percpu_kptr *counter;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct stash);
} stashes SEC(".maps");

struct inner {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 4);
	__type(key, u32);
	__type(value, u64);
};

struct inner first SEC(".maps");
struct inner second SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH_OF_MAPS);
	__uint(max_entries, 4);
	__type(key, u32);
	__array(values, struct inner);
} by_name SEC(".maps") = {.values = {[1] = &second}};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 4);
	__type(key, u32);
	__array(values, struct inner);
} by_number SEC(".maps") = {.values = {[2] = &first, [3] = &second}};

struct {
	__uint(type, BPF_MAP_TYPE_ARENA);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 8);
	__ulong(map_extra, 0x1ull << 44);
} arena SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_USER_RINGBUF);
	__uint(max_entries, 4096);
} orders SEC(".maps");

static bool less(struct bpf_rb_node *a, const struct bpf_rb_node *b)
{
	return container_of(a, struct leaf, in_tree)->value <
	       container_of(b, struct leaf, in_tree)->value;
}

static s32 lists(void)
{
	struct bpf_list_node *node;
	struct item *item;
	u64 i, sum = 0;

	bpf_for (i, 1, 4) {
		item = bpf_obj_new(struct item);
		if (!item)
			return -ENOMEM;
		item->value = i;
		bpf_spin_lock(&list_lock);
		if (i & 1)
			bpf_list_push_back(&list, &item->in_list);
		else
			bpf_list_push_front(&list, &item->in_list);
		bpf_spin_unlock(&list_lock);
	}
	/* 2 1 3 */
	bpf_for (i, 0, 4) {
		bpf_spin_lock(&list_lock);
		node = i == 1 ? bpf_list_pop_back(&list) : bpf_list_pop_front(&list);
		bpf_spin_unlock(&list_lock);
		if (!node)
			continue;
		item = container_of(node, struct item, in_list);
		sum = sum * 10 + item->value;
		bpf_obj_drop(item);
	}
	EXPECT(sum == 231);
	return 0;
}

static s32 trees(void)
{
	struct bpf_rb_node *node;
	struct leaf *leaf;
	u64 i, last = 0, seen = 0;

	bpf_for (i, 0, 100) {
		leaf = bpf_obj_new(struct leaf);
		if (!leaf)
			return -ENOMEM;
		leaf->value = 1 + i * 37 % 101;
		bpf_spin_lock(&tree_lock);
		bpf_rbtree_add(&tree, &leaf->in_tree, less);
		bpf_spin_unlock(&tree_lock);
	}
	bpf_for (i, 0, 101) {
		bpf_spin_lock(&tree_lock);
		node = bpf_rbtree_first(&tree);
		if (node)
			node = bpf_rbtree_remove(&tree, node);
		bpf_spin_unlock(&tree_lock);
		if (!node)
			continue;
		leaf = container_of(node, struct leaf, in_tree);
		seen += leaf->value > last;
		last = leaf->value;
		bpf_obj_drop(leaf);
	}
	EXPECT(seen == 100);
	return 0;
}

static s32 kptrs(void)
{
	struct counter __percpu_kptr *counter;
	struct counter *mine;
	struct stash *stash;
	struct leaf *leaf, *old;
	u32 zero = 0;

	stash = bpf_map_lookup_elem(&stashes, &zero);
	EXPECT(stash);
	leaf = bpf_obj_new(struct leaf);
	if (!leaf)
		return -ENOMEM;
	leaf->value = 7;
	old = bpf_kptr_xchg(&stash->leaf, leaf);
	if (old) {
		bpf_obj_drop(old);
		EXPECT(!"empty at first");
	}
	leaf = bpf_kptr_xchg(&stash->leaf, NULL);
	EXPECT(leaf);
	zero = leaf->value;
	bpf_obj_drop(leaf);
	EXPECT(zero == 7);
	counter = bpf_percpu_obj_new(struct counter);
	if (!counter)
		return -ENOMEM;
	counter = bpf_kptr_xchg(&stash->counter, counter);
	if (counter)
		bpf_percpu_obj_drop(counter);
	bpf_rcu_read_lock();
	counter = stash->counter;
	mine = counter ? bpf_per_cpu_ptr(counter, 1) : NULL;
	if (mine)
		mine->value = 5;
	mine = counter ? bpf_per_cpu_ptr(counter, 0) : NULL;
	zero = mine ? mine->value : 1;
	bpf_rcu_read_unlock();
	EXPECT(!zero);
	return 0;
}

static s32 nested(void)
{
	u32 name = 1, number = 2, at = 3;
	u64 *found, value = 9;
	void *map;

	EXPECT(!bpf_map_update_elem(&second, &at, &value, 0));
	map = bpf_map_lookup_elem(&by_name, &name);
	EXPECT(map);
	found = bpf_map_lookup_elem(map, &at);
	EXPECT(found && *found == 9);
	map = bpf_map_lookup_elem(&by_number, &number);
	EXPECT(map);
	found = bpf_map_lookup_elem(map, &at);
	EXPECT(found && !*found);
	number = 3;
	map = bpf_map_lookup_elem(&by_number, &number);
	EXPECT(map);
	found = bpf_map_lookup_elem(map, &at);
	EXPECT(found && *found == 9);
	name = 0;
	EXPECT(!bpf_map_lookup_elem(&by_name, &name));
	return 0;
}

static long on_order(struct bpf_dynptr *order, void *context)
{
	return 1;
}

static s32 arenas(void)
{
	u64 __arena *pages = bpf_arena_alloc_pages(&arena, NULL, 2, NUMA_NO_NODE, 0);
	bool fresh;

	EXPECT(pages);
	fresh = !pages[0] && !pages[1023];
	pages[1023] = 1;
	EXPECT(fresh);
	EXPECT(!bpf_arena_alloc_pages(&arena, NULL, 7, NUMA_NO_NODE, 0));
	bpf_arena_free_pages(&arena, pages, 2);
	EXPECT(bpf_user_ringbuf_drain(&orders, on_order, NULL, 0) == 0);
	return 0;
}

s32 BPF_STRUCT_OPS_SLEEPABLE(objects_init)
{
	s32 error = lists();

	if (!error)
		error = trees();
	if (!error)
		error = kptrs();
	if (!error)
		error = nested();
	return error ? error : arenas();
}

void BPF_STRUCT_OPS(objects_exit, struct scx_exit_info *ei)
{
	UEI_RECORD(uei, ei);
}

SCX_OPS_DEFINE(objects_ops, .init = (void *)objects_init, .exit = (void *)objects_exit,
	       .name = "t_objects");
