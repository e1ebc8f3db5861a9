// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Objects that a candidate makes (bpf_obj_new), alone or one for each CPU, and the lists and
 * trees that hold them. The shim passes the type's size in place of its number.
 */
#include "kernel.h"

#define EINVAL 22

/* Stored before each object. */
struct header {
	u64 refs;
	u64 size; /* for per-CPU objects, one for each; else 0 */
};

static struct header *header_of(const void *object)
{
	return (struct header *)object - 1;
}

static void *new_object(u64 bytes, u64 each)
{
	struct header *made = room(sizeof(*made) + bytes);

	*made = (struct header){1, each};
	return made + 1;
}

void *bpf_obj_new_impl(u64 size, void *meta)
{
	(void)meta;
	return new_object(size, 0);
}

void bpf_obj_drop_impl(void *object, void *meta)
{
	(void)meta;
	if (!--header_of(object)->refs)
		free_room(header_of(object));
}

void *bpf_refcount_acquire_impl(void *object, void *meta)
{
	(void)meta;
	header_of(object)->refs++;
	return object;
}

void *bpf_percpu_obj_new_impl(u64 size, void *meta)
{
	u64 each = (size + 7) & ~7ULL;

	(void)meta;
	return new_object(each * sim.want.cpus, each);
}

void bpf_percpu_obj_drop_impl(void *object, void *meta)
{
	bpf_obj_drop_impl(object, meta);
}

void *object_of_cpu(const void *object, u32 cpu)
{
	return (u8 *)object + header_of(object)->size * cpu;
}

/* ---- lists: rings of nodes, including the head ---- */

struct link {
	struct link *next, *prev;
	struct link *head; /* the list that contains the node */
};

static struct link *opened(struct bpf_list_head *list)
{
	struct link *head = (struct link *)list;

	/* A head has two words; never touch the third. */
	if (!head->next)
		head->next = head->prev = head;
	return head;
}

static int add_link(struct bpf_list_head *list, struct bpf_list_node *node, bool front)
{
	struct link *head = opened(list), *new = (struct link *)node;
	struct link *after = front ? head : head->prev;

	if (new->head)
		return -EINVAL;
	*new = (struct link){after->next, after, head};
	after->next->prev = new;
	after->next = new;
	return 0;
}

static struct bpf_list_node *take_link(struct link *head, struct link *link)
{
	if (link == head)
		return NULL;
	link->prev->next = link->next;
	link->next->prev = link->prev;
	*link = (struct link){};
	return (struct bpf_list_node *)link;
}

int bpf_list_push_front_impl(struct bpf_list_head *list, struct bpf_list_node *node, void *meta,
			     u64 offset)
{
	(void)meta;
	(void)offset;
	return add_link(list, node, true);
}

int bpf_list_push_back_impl(struct bpf_list_head *list, struct bpf_list_node *node, void *meta,
			    u64 offset)
{
	(void)meta;
	(void)offset;
	return add_link(list, node, false);
}

struct bpf_list_node *bpf_list_pop_front(struct bpf_list_head *list)
{
	return take_link(opened(list), opened(list)->next);
}

struct bpf_list_node *bpf_list_pop_back(struct bpf_list_head *list)
{
	return take_link(opened(list), opened(list)->prev);
}

struct bpf_list_node *bpf_list_front(struct bpf_list_head *list)
{
	struct link *head = opened(list);

	return head->next == head ? NULL : (struct bpf_list_node *)head->next;
}

struct bpf_list_node *bpf_list_back(struct bpf_list_head *list)
{
	struct link *head = opened(list);

	return head->next == head ? NULL : (struct bpf_list_node *)head->prev;
}

/* ---- trees: treaps ---- */

struct branch {
	struct branch *left, *right, *parent;
	u64 in; /* the tree's address; 0: in none */
};

struct tree {
	struct branch *top;
	u64 unused;
};

typedef bool (*before)(struct bpf_rb_node *, const struct bpf_rb_node *);

/* Derived from its address, since a node has no room; main.c makes addresses equal in each run. */
static u64 priority(const struct branch *branch)
{
	u64 mixed = (u64)branch * 0x9e3779b97f4a7c15ULL;

	return (mixed ^ mixed >> 29) * 0x94d049bb133111ebULL;
}

static struct branch **owner_of(struct tree *tree, struct branch *branch)
{
	if (!branch->parent)
		return &tree->top;
	return branch->parent->left == branch ? &branch->parent->left : &branch->parent->right;
}

/* `child` takes the place of its parent. */
static void lift(struct tree *tree, struct branch *child)
{
	struct branch *parent = child->parent, *moved;

	*owner_of(tree, parent) = child;
	child->parent = parent->parent;
	parent->parent = child;
	if (parent->left == child) {
		moved = child->right;
		parent->left = moved;
		child->right = parent;
	} else {
		moved = child->left;
		parent->right = moved;
		child->left = parent;
	}
	if (moved)
		moved->parent = parent;
}

int bpf_rbtree_add_impl(struct bpf_rb_root *root, struct bpf_rb_node *node, before less, void *meta,
			u64 offset)
{
	struct branch *new = (struct branch *)node, *above = NULL;
	struct tree *tree = (struct tree *)root;
	struct branch **at = &tree->top;

	(void)meta;
	(void)offset;
	if (new->in)
		return -EINVAL;
	while (*at) {
		above = *at;
		at = less(node, (struct bpf_rb_node *)above) ? &above->left : &above->right;
	}
	*new = (struct branch){.parent = above, .in = (u64)root};
	*at = new;
	while (new->parent && priority(new) > priority(new->parent))
		lift(tree, new);
	return 0;
}

struct bpf_rb_node *bpf_rbtree_remove(struct bpf_rb_root *root, struct bpf_rb_node *node)
{
	struct tree *tree = (struct tree *)root;
	struct branch *branch = (struct branch *)node;

	if (branch->in != (u64)root)
		return NULL;
	while (branch->left || branch->right) {
		bool right = !branch->left ||
			     (branch->right && priority(branch->right) > priority(branch->left));

		lift(tree, right ? branch->right : branch->left);
	}
	*owner_of(tree, branch) = NULL;
	*branch = (struct branch){};
	return node;
}

struct bpf_rb_node *bpf_rbtree_first(struct bpf_rb_root *root)
{
	struct branch *branch = ((struct tree *)root)->top;

	while (branch && branch->left)
		branch = branch->left;
	return (struct bpf_rb_node *)branch;
}

struct bpf_rb_node *bpf_rbtree_root(struct bpf_rb_root *root)
{
	return (struct bpf_rb_node *)((struct tree *)root)->top;
}

struct bpf_rb_node *bpf_rbtree_left(struct bpf_rb_root *root, struct bpf_rb_node *node)
{
	struct branch *branch = (struct branch *)node;

	return branch->in == (u64)root ? (struct bpf_rb_node *)branch->left : NULL;
}

struct bpf_rb_node *bpf_rbtree_right(struct bpf_rb_root *root, struct bpf_rb_node *node)
{
	struct branch *branch = (struct branch *)node;

	return branch->in == (u64)root ? (struct bpf_rb_node *)branch->right : NULL;
}
