// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Dispatch queues. A queue is a list, first to run first. A vtime queue also has a tree (a
 * treap), which only finds a new task's place in the list; equal tasks keep their order.
 */
#include "kernel.h"
#include "lines.h"

#define NR_BUCKETS 1024

static struct dsq *buckets[NR_BUCKETS];

static struct dsq **bucket_of(u64 id)
{
	return &buckets[id * 0x9e3779b97f4a7c15ULL >> 54];
}

void dsq_init(struct dsq *dsq, u64 id, s32 cpu)
{
	dsq->id = id;
	dsq->cpu = cpu;
	dsq->head.next = dsq->head.prev = &dsq->head;
}

struct dsq *dsq_find(u64 id)
{
	struct dsq *each;

	for (each = *bucket_of(id); each; each = each->next)
		if (each->id == id)
			return each;
	return 0;
}

s32 dsq_create(u64 id)
{
	struct dsq *made;

	if (dsq_find(id))
		return -17; /* EEXIST */
	made = room(sizeof(*made));
	dsq_init(made, id, -1);
	made->next = *bucket_of(id);
	*bucket_of(id) = made;
	return 0;
}

s32 dsq_destroy(u64 id)
{
	struct dsq **at;

	for (at = bucket_of(id); *at; at = &(*at)->next) {
		if ((*at)->id != id)
			continue;
		if ((*at)->nr)
			return -16; /* EBUSY */
		*at = (*at)->next;
		return 0;
	}
	return -2; /* ENOENT */
}

/* Whether `t` runs before the other. Equal ones run in the order of arrival. */
static bool goes_before(const struct task *t, const struct task *other)
{
	if (t->place != other->place)
		return (s64)(t->place - other->place) < 0;
	return t->order < other->order;
}

static struct task *merge(struct task *a, struct task *b)
{
	if (!a || !b)
		return a ? a : b;
	if (a->heap > b->heap) {
		a->right = merge(a->right, b);
		return a;
	}
	b->left = merge(a, b->left);
	return b;
}

/* Split a tree at the place of `t`. */
static void split(struct task *tree, const struct task *t, struct task **before,
		  struct task **after)
{
	if (!tree) {
		*before = *after = 0;
	} else if (goes_before(tree, t)) {
		split(tree->right, t, &tree->right, after);
		*before = tree;
	} else {
		split(tree->left, t, before, &tree->left);
		*after = tree;
	}
}

static void tree_add(struct dsq *dsq, struct task *t)
{
	struct task *before, *after;
	struct task **at = &dsq->root;
	u64 mixed = (u64)t->number * 0x9e3779b97f4a7c15ULL + dsq->order * 0xbf58476d1ce4e5b9ULL;

	t->heap = (mixed ^ mixed >> 29) * 0x94d049bb133111ebULL >> 32;
	while (*at && (*at)->heap >= t->heap)
		at = goes_before(t, *at) ? &(*at)->left : &(*at)->right;
	split(*at, t, &before, &after);
	t->left = before;
	t->right = after;
	*at = t;
}

/* Wherever it is in the tree. */
static struct task **look_through(struct task **at, const struct task *t)
{
	struct task **found;

	if (!*at || *at == t)
		return *at ? at : 0;
	found = look_through(&(*at)->left, t);
	return found ? found : look_through(&(*at)->right, t);
}

static void tree_remove(struct dsq *dsq, struct task *t)
{
	struct task **at = &dsq->root;

	while (*at && *at != t)
		at = goes_before(t, *at) ? &(*at)->left : &(*at)->right;
	/* vtimes half their range apart have no order, as in the kernel. */
	if (!*at)
		at = look_through(&dsq->root, t);
	*at = merge(t->left, t->right);
	t->left = t->right = 0;
}

/* The last in the queue that runs before `t`. */
static struct dsq_node *place_for(struct dsq *dsq, const struct task *t)
{
	struct dsq_node *found = &dsq->head;
	struct task *each = dsq->root;

	while (each) {
		saw_load(line_of_task(each));
		if (goes_before(each, t)) {
			found = &each->node;
			each = each->right;
		} else {
			each = each->left;
		}
	}
	return found;
}

static void saw_neighbour(const struct dsq_node *node)
{
	if (COUNTS && node->task)
		saw_store(line_of_task(node->task));
}

void dsq_add(struct dsq *dsq, struct task *t, bool head, bool by_vtime)
{
	struct dsq_node *after = head ? &dsq->head : dsq->head.prev;

	t->order = dsq->order++;
	t->by_vtime = by_vtime;
	if (by_vtime) {
		after = place_for(dsq, t);
		tree_add(dsq, t);
		dsq->nr_by_vtime++;
	}
	saw_store(line_of_task(t));
	saw_neighbour(after);
	saw_neighbour(after->next);
	t->node.task = t;
	t->node.prev = after;
	t->node.next = after->next;
	after->next->prev = &t->node;
	after->next = &t->node;
	t->dsq = dsq;
	dsq->nr++;
}

void dsq_remove(struct task *t)
{
	struct dsq *dsq = t->dsq;

	if (!dsq)
		return;
	if (t->by_vtime) {
		tree_remove(dsq, t);
		dsq->nr_by_vtime--;
	}
	saw_store(line_of_task(t));
	saw_neighbour(t->node.prev);
	saw_neighbour(t->node.next);
	t->node.prev->next = t->node.next;
	t->node.next->prev = t->node.prev;
	t->dsq = 0;
	t->by_vtime = false;
	dsq->nr--;
}

struct task *dsq_first(struct dsq *dsq)
{
	struct dsq_node *node = dsq->head.next;

	while (node != &dsq->head && !node->task)
		node = node->next;
	return node->task;
}
