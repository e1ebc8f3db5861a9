// SPDX-License-Identifier: GPL-2.0-or-later
/* The tree of cgroups: that of the scenario, in the kernel's struct cgroup and task_group. */
#include "kernel.h"

#define MAX_LEVELS 32

struct place {
	bool there;
	struct cgroup *cgroup;
	struct task_group group;
	struct group_settings settings;
	struct kernfs_node node;
	struct css_set tasks;
};

static struct place *places;

struct cgroup *cgroup_at(u32 number)
{
	return places[number].cgroup;
}

/*
 * The root's is 1, as in the kernel; the others are as far apart as on a machine that has
 * been up for a while, where most numbers belong to removed cgroups.
 */
#define ID_STEP 97

static u64 id_of(u32 number)
{
	return 1 + (u64)number * ID_STEP;
}

u32 cgroup_number(const struct cgroup *cgroup)
{
	return (cgroup->kn->id - 1) / ID_STEP;
}

bool cgroup_is_there(u32 number)
{
	return places[number].there;
}

static u32 parent_of(u32 number)
{
	return sim.want.cgroups[number].parent;
}

const struct group_settings *settings_of(u32 cgroup)
{
	return &places[cgroup].settings;
}

/* The kernel's RUNTIME_INF: `max` is this many us. */
#define NO_QUOTA (~0ULL)

void set_bandwidth(struct group_settings *settings, const struct bandwidth *to)
{
	settings->period_us = to->period_ns / 1000;
	settings->quota_us = to->quota_ns == NEVER ? NO_QUOTA : to->quota_ns / 1000;
	settings->burst_us = to->burst_ns / 1000;
}

/* The candidate may read the kernel's own record of it, as far as this kernel keeps one. */
static void show_settings(struct place *place)
{
#ifdef HAS_TASK_GROUP_SCX
	place->group.scx.weight = place->settings.weight;
	place->group.scx.bw_period_us = place->settings.period_us;
	place->group.scx.bw_quota_us = place->settings.quota_us;
	place->group.scx.bw_burst_us = place->settings.burst_us;
#endif
#ifdef HAS_TASK_GROUP_SCX_IDLE
	place->group.scx.idle = place->settings.idle;
#endif
}

/* A removed cgroup counts as its parent. */
static u32 living(u32 number)
{
	while (!places[number].there)
		number = parent_of(number);
	return number;
}

void enter_cgroup(struct task *t, u32 number)
{
	struct task_struct *p = kernel_of(t);

	number = living(number);
	t->cgroup = number;
	p->cgroups = &places[number].tasks;
	p->sched_task_group = &places[number].group;
}

static void set_up(struct place *place, const struct cgroup_plan *plan)
{
	place->settings.weight = plan->weight;
	place->group.idle = place->settings.idle = plan->idle;
	set_bandwidth(&place->settings, &plan->bandwidth);
	show_settings(place);
}

/* As mkdir leaves it. */
static const struct cgroup_plan fresh = {
    .weight = 100,
    .bandwidth = {.quota_ns = NEVER, .period_ns = 100000000},
};

void make_cgroups(void)
{
	places = room(sim.want.nr_cgroups * sizeof(*places));
	for (u32 i = 0; i < sim.want.nr_cgroups; i++) {
		struct cgroup_plan *plan = &sim.want.cgroups[i];
		struct place *place = &places[i], *above = i ? &places[plan->parent] : NULL;
		struct cgroup *cgroup = room(sizeof(*cgroup) + MAX_LEVELS * sizeof(cgroup));

		place->cgroup = cgroup;
		place->there = !plan->from_ns;
		place->node.id = id_of(i);
		place->node.name = i ? plan->name : "";
		cgroup->kn = &place->node;
		cgroup->self.cgroup = cgroup;
		cgroup->subsys[cpu_cgrp_id] = &place->group.css;
		place->group.css.cgroup = cgroup;
		if (place->there)
			set_up(place, plan);
		else
			set_up(place, &fresh);
		place->tasks.dfl_cgrp = cgroup;
		place->tasks.subsys[cpu_cgrp_id] = &place->group.css;
		if (above) {
			cgroup->level = above->cgroup->level + 1;
			cgroup->self.parent = &above->cgroup->self;
			place->group.css.parent = &above->group.css;
			place->group.parent = &above->group;
			place->node.__parent = &above->node;
			for (s32 k = 0; k < cgroup->level; k++)
				cgroup->ancestors[k] = above->cgroup->ancestors[k];
		}
		cgroup->ancestors[cgroup->level] = cgroup;
	}
}

void add_cgroup(u32 number)
{
	struct cgroup_plan *plan = &sim.want.cgroups[number];

	if (!places[parent_of(number)].there)
		return;
	places[number].there = true;
	if (!sim.ops)
		return;
	/* Its files are written right after the mkdir. */
	ext_cgroup_comes(number);
	if (sim.over)
		return;
	change_cgroup(&(struct cgroup_change){
	    .cgroup = number, .setting = SET_WEIGHT, .weight = plan->weight});
	change_cgroup(
	    &(struct cgroup_change){.cgroup = number, .setting = SET_IDLE, .idle = plan->idle});
	change_cgroup(&(struct cgroup_change){
	    .cgroup = number, .setting = SET_BANDWIDTH, .bandwidth = plan->bandwidth});
}

bool remove_cgroup(u32 number)
{
	if (!places[number].there)
		return true;
	for (u32 i = 1; i < sim.want.nr_cgroups; i++)
		if (parent_of(i) == number && places[i].there)
			return false;
	for (u32 i = 0; i < sim.nr_tasks; i++)
		if (sim.tasks[i] && sim.tasks[i]->state != DEAD && sim.tasks[i]->cgroup == number)
			return false;
	if (sim.ops)
		ext_cgroup_goes(number);
	places[number].there = false;
	return true;
}

/* While it does not exist its files cannot be written. */
void change_cgroup(const struct cgroup_change *change)
{
	struct place *place = &places[change->cgroup];
	struct task_group *group = &place->group;

	if (!place->there)
		return;
	/* The kernel refuses it: sched_group_set_shares(). */
	if (change->setting == SET_WEIGHT && group->idle)
		return;
	if (change->setting == SET_IDLE)
		group->idle = change->idle;
	sim.class->change_cgroup(change);
	switch (change->setting) {
	case SET_WEIGHT:
		place->settings.weight = change->weight;
		break;
	case SET_IDLE:
		place->settings.idle = change->idle;
		break;
	case SET_BANDWIDTH:
		set_bandwidth(&place->settings, &change->bandwidth);
		break;
	}
	show_settings(place);
}

struct cgroup *scx_bpf_task_cgroup___any(struct task_struct *p)
{
	return p->cgroups->dfl_cgrp;
}

struct cgroup *bpf_cgroup_from_id(u64 id)
{
	u64 number = (id - 1) / ID_STEP;

	if (!id || number >= sim.want.nr_cgroups || id != id_of(number) || !places[number].there)
		return NULL;
	return places[number].cgroup;
}

struct cgroup *bpf_cgroup_ancestor(struct cgroup *cgroup, int level)
{
	return level < 0 || level > cgroup->level ? NULL : cgroup->ancestors[level];
}

/* Removed cgroups keep their memory, so there is no reference count. */
struct cgroup *bpf_cgroup_acquire(struct cgroup *cgroup)
{
	return cgroup;
}

void bpf_cgroup_release(struct cgroup *cgroup)
{
	(void)cgroup;
}

long bpf_task_under_cgroup(struct task_struct *p, struct cgroup *ancestor)
{
	return bpf_cgroup_ancestor(p->cgroups->dfl_cgrp, ancestor->level) == ancestor;
}

/* ---- walking the tree ---- */

struct walk {
	u32 start, now;
	s32 kind; /* 0: at its end */
};

#define NOT_BEGUN (~0U)

/* The first child of `parent` that comes after `after`, or 0. */
static u32 child_after(u32 parent, u32 after)
{
	for (u32 i = after + 1; i < sim.want.nr_cgroups; i++)
		if (parent_of(i) == parent && places[i].there)
			return i;
	return 0;
}

static u32 deepest(u32 number)
{
	u32 child;

	while ((child = child_after(number, 0)))
		number = child;
	return number;
}

int bpf_iter_css_new(struct bpf_iter_css *it, struct cgroup_subsys_state *start, unsigned int flags)
{
	struct walk *walk = (struct walk *)it;

	*walk = (struct walk){};
	if (flags < BPF_CGROUP_ITER_DESCENDANTS_PRE || flags > BPF_CGROUP_ITER_ANCESTORS_UP)
		return -22; /* EINVAL */
	*walk = (struct walk){cgroup_number(start->cgroup), NOT_BEGUN, flags};
	return 0;
}

static bool step(struct walk *walk)
{
	u32 child;

	if (walk->now == NOT_BEGUN) {
		walk->now = walk->kind == BPF_CGROUP_ITER_DESCENDANTS_POST ? deepest(walk->start)
									   : walk->start;
		return true;
	}
	if (walk->kind == BPF_CGROUP_ITER_ANCESTORS_UP) {
		if (!walk->now)
			return false;
		walk->now = parent_of(walk->now);
		return true;
	}
	if (walk->kind == BPF_CGROUP_ITER_DESCENDANTS_PRE) {
		child = child_after(walk->now, 0);
		while (!child && walk->now != walk->start) {
			child = child_after(parent_of(walk->now), walk->now);
			walk->now = parent_of(walk->now);
		}
		walk->now = child;
		return child;
	}
	if (walk->now == walk->start)
		return false;
	child = child_after(parent_of(walk->now), walk->now);
	walk->now = child ? deepest(child) : parent_of(walk->now);
	return true;
}

struct cgroup_subsys_state *bpf_iter_css_next(struct bpf_iter_css *it)
{
	struct walk *walk = (struct walk *)it;

	if (!walk->kind)
		return NULL;
	if (step(walk))
		return &places[walk->now].cgroup->self;
	walk->kind = 0;
	return NULL;
}

void bpf_iter_css_destroy(struct bpf_iter_css *it)
{
	(void)it;
}
