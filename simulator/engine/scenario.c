// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The scenario on standard input, word by word:
 *
 * machine CPUS CORE_CPUS LLC_CPUS NODE_CPUS DURATION SEED TICK SWITCH WAKE
 * group NAME
 * cgroup PARENT NAME WEIGHT IDLE QUOTA PERIOD BURST FROM UNTIL
 *      (the first is the root; QUOTA `-`: none; UNTIL `-`: to the end)
 * task GROUP COMM NICE POLICY UID MASK START EXPECTED SELECTED KTHREAD CGROUP COUNT
 *      (START `-`: when forked)
 * run NS SPREAD | sleep NS SPREAD | wait | wake TASK SYNC | fork TASK | affine MASK |
 *      renice NICE+20 | enter CGROUP | yield | leave | lock NUMBER FLAGS | unlock NUMBER |
 *      repeat TIMES
 * ending WHICH (of the task before: what the end of its steps is; without: it exits)
 * locks HOW_MANY (before what uses them)
 * of TASK (the step that follows changes another task than its own)
 * cpu AT NUMBER ONLINE
 * weight AT CGROUP WEIGHT | idle AT CGROUP IDLE | bandwidth AT CGROUP QUOTA PERIOD BURST
 *
 * Masks are words of 64 bits in hexadecimal, the lowest first, joined by commas. Steps belong to
 * the task before them. Times are ns. simulator/scenario.py writes it and has checked it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine.h"

static void refuse(const char *why)
{
	fprintf(stderr, "bad scenario: %s\n", why);
	exit(2);
}

static u64 number(void)
{
	u64 value;

	if (scanf("%llu", &value) != 1)
		refuse("a number is missing");
	return value;
}

/* The task that `of` names for the next step. */
static u32 whose;

static void word(char *to)
{
	if (scanf("%63s", to) != 1)
		refuse("a word is missing");
}

static void mask(u64 *to)
{
	char text[1024], *at = text;

	if (scanf("%1023s", text) != 1)
		refuse("a mask is missing");
	for (u32 i = 0; i < MASK_WORDS; i++) {
		to[i] = strtoull(at, &at, 16);
		if (*at++ != ',')
			return;
	}
}

static void *grown(void *list, u32 nr, u64 size)
{
	/* Buckets at each power of two. */
	if (nr & (nr - 1))
		return list;
	return more_room(list, (nr ? nr * 2 : 1) * size);
}

/* A time, or `-`. */
static u64 moment(void)
{
	char text[64];

	word(text);
	return *text == '-' ? NEVER : strtoull(text, NULL, 10);
}

static struct step *new_step(enum step_kind kind)
{
	struct task_plan *plan;

	if (!sim.want.nr_plans)
		refuse("a step without a task");
	plan = &sim.want.plans[sim.want.nr_plans - 1];
	plan->steps = grown(plan->steps, plan->nr_steps, sizeof(*plan->steps));
	memset(&plan->steps[plan->nr_steps], 0, sizeof(*plan->steps));
	plan->steps[plan->nr_steps].kind = kind;
	plan->steps[plan->nr_steps].of = whose;
	whose = 0;
	return &plan->steps[plan->nr_steps++];
}

static struct bandwidth bandwidth(void)
{
	struct bandwidth read;

	read.quota_ns = moment();
	read.period_ns = number();
	read.burst_ns = number();
	if (!read.period_ns || !read.quota_ns)
		refuse("a quota is out of bounds");
	return read;
}

static void read_cgroup_change(enum cgroup_setting setting)
{
	struct scenario *want = &sim.want;
	struct cgroup_change *change;

	want->cgroup_changes =
	    grown(want->cgroup_changes, want->nr_cgroup_changes, sizeof(*want->cgroup_changes));
	change = &want->cgroup_changes[want->nr_cgroup_changes++];
	memset(change, 0, sizeof(*change));
	change->at_ns = number();
	change->cgroup = number();
	change->setting = setting;
	if (setting == SET_WEIGHT)
		change->weight = number();
	else if (setting == SET_IDLE)
		change->idle = number();
	else
		change->bandwidth = bandwidth();
}

static void read_cgroup(void)
{
	struct scenario *want = &sim.want;
	struct cgroup_plan *plan;

	want->cgroups = grown(want->cgroups, want->nr_cgroups, sizeof(*want->cgroups));
	plan = &want->cgroups[want->nr_cgroups++];
	memset(plan, 0, sizeof(*plan));
	plan->parent = number();
	word(plan->name);
	plan->weight = number();
	plan->idle = number();
	plan->bandwidth = bandwidth();
	plan->from_ns = moment();
	plan->until_ns = moment();
	if (want->nr_cgroups > MAX_CGROUPS ||
	    (want->nr_cgroups > 1 && plan->parent >= want->nr_cgroups - 1))
		refuse("a cgroup is out of bounds");
}

static void read_task(void)
{
	struct scenario *want = &sim.want;
	struct task_plan *plan;
	char nice[64], comm[64];

	want->plans = grown(want->plans, want->nr_plans, sizeof(*want->plans));
	plan = &want->plans[want->nr_plans++];
	memset(plan, 0, sizeof(*plan));
	plan->group = number();
	word(comm);
	memcpy(plan->comm, comm, sizeof(plan->comm) - 1);
	word(nice);
	plan->nice = atoi(nice);
	plan->policy = number();
	plan->uid = number();
	mask(plan->cpus);
	plan->start_ns = moment();
	plan->expected_ns = number();
	plan->selected = number();
	plan->kthread = number();
	plan->cgroup = number();
	plan->count = number();
	if (plan->group >= want->nr_groups || plan->cgroup >= want->nr_cgroups || !plan->count ||
	    plan->nice < -20 || plan->nice > 19)
		refuse("a task is out of bounds");
}

static void read_step(const char *what)
{
	struct step *step;

	if (!strcmp(what, "run") || !strcmp(what, "sleep")) {
		step = new_step(*what == 'r' ? STEP_RUN : STEP_SLEEP);
		step->value = number();
		step->spread = number();
		if (step->spread > step->value)
			refuse("a spread is wider than its mean");
	} else if (!strcmp(what, "wait")) {
		new_step(STEP_WAIT);
	} else if (!strcmp(what, "wake")) {
		step = new_step(STEP_WAKE);
		step->value = number();
		step->spread = number();
	} else if (!strcmp(what, "fork")) {
		new_step(STEP_FORK)->value = number();
	} else if (!strcmp(what, "affine")) {
		mask(new_step(STEP_AFFINE)->cpus);
	} else if (!strcmp(what, "renice")) {
		new_step(STEP_RENICE)->value = number();
	} else if (!strcmp(what, "enter")) {
		new_step(STEP_ENTER)->value = number();
	} else if (!strcmp(what, "yield")) {
		new_step(STEP_YIELD);
	} else if (!strcmp(what, "leave")) {
		new_step(STEP_LEAVE);
	} else if (!strcmp(what, "lock")) {
		step = new_step(STEP_LOCK);
		step->value = number();
		step->spread = number();
	} else if (!strcmp(what, "unlock")) {
		new_step(STEP_UNLOCK)->value = number();
	} else if (!strcmp(what, "of")) {
		whose = number() + 1;
	} else if (!strcmp(what, "repeat")) {
		new_step(STEP_REPEAT)->value = number();
	} else {
		refuse(what);
	}
}

static void read_lateness(void)
{
	struct scenario *want = &sim.want;

	want->nr_late = number();
	if (want->nr_late > MAX_QUANTILES)
		refuse("there are too many quantiles");
	want->late_ns = room(want->nr_late * sizeof(*want->late_ns));
	for (u32 i = 0; i < want->nr_late; i++) {
		want->late_ns[i] = number();
		if (want->late_ns[i] > MAX_LATENESS ||
		    (i && want->late_ns[i] < want->late_ns[i - 1]))
			refuse("the lateness of timers is out of bounds");
	}
}

static void read_ending(void)
{
	u64 which = number();

	if (!sim.want.nr_plans || which > ENDS_BUSY)
		refuse("an ending is out of bounds");
	sim.want.plans[sim.want.nr_plans - 1].ending = which;
}

static void check(void)
{
	struct scenario *want = &sim.want;

	if (want->cpus < 1 || want->cpus > MAX_CPUS || want->llc_cpus < 1 || want->core_cpus < 1 ||
	    want->cpus % want->core_cpus || want->node_cpus < 1 || !want->tick_ns ||
	    !want->wake_ns || !want->duration_ns || !want->nr_cgroups)
		refuse("the machine is out of bounds");
	for (u32 i = 0; i < want->nr_plans; i++) {
		struct task_plan *plan = &want->plans[i];

		for (u32 k = 0; k < plan->nr_steps; k++)
			if ((plan->steps[k].kind == STEP_WAKE ||
			     plan->steps[k].kind == STEP_FORK) &&
			    plan->steps[k].value >= want->nr_plans)
				refuse("a step names a task that is not there");
		for (u32 k = 0; k < plan->nr_steps; k++)
			if ((plan->steps[k].kind == STEP_ENTER &&
			     plan->steps[k].value >= want->nr_cgroups) ||
			    (plan->steps[k].kind == STEP_RENICE && plan->steps[k].value >= 40))
				refuse("a step is out of bounds");
		for (u32 k = 0; k < plan->nr_steps; k++)
			if (plan->steps[k].of > want->nr_plans)
				refuse("a step changes a task that is not there");
		for (u32 k = 0; k < plan->nr_steps; k++)
			if ((plan->steps[k].kind == STEP_LOCK ||
			     plan->steps[k].kind == STEP_UNLOCK) &&
			    plan->steps[k].value >= want->nr_locks)
				refuse("a lock that is not there is used");
	}
	for (u32 i = 0; i < want->nr_cgroup_changes; i++)
		if (want->cgroup_changes[i].cgroup >= want->nr_cgroups)
			refuse("a cgroup that is not there changes");
	for (u32 i = 0; i < want->nr_changes; i++)
		if (want->changes[i].cpu < 0 || want->changes[i].cpu >= want->cpus)
			refuse("a CPU that is not there changes");
}

void read_scenario(void)
{
	struct scenario *want = &sim.want;
	struct cpu_change *change;
	char what[64];

	while (scanf("%63s", what) == 1) {
		if (!strcmp(what, "machine")) {
			want->cpus = number();
			want->core_cpus = number();
			want->llc_cpus = number();
			want->node_cpus = number();
			want->duration_ns = number();
			want->seed = number();
			want->tick_ns = number();
			want->switch_ns = number();
			want->wake_ns = number();
		} else if (!strcmp(what, "late")) {
			read_lateness();
		} else if (!strcmp(what, "locks")) {
			want->nr_locks = number();
			if (want->nr_locks > MAX_LOCKS || want->cpus < 1 || want->cpus > MAX_CPUS)
				refuse("there are too many locks");
			want->locks = room((u64)want->nr_locks * want->cpus * sizeof(*want->locks));
		} else if (!strcmp(what, "ending")) {
			read_ending();
		} else if (!strcmp(what, "forking")) {
			want->fork_ns = number();
		} else if (!strcmp(what, "group")) {
			want->groups = grown(want->groups, want->nr_groups, sizeof(*want->groups));
			memset(&want->groups[want->nr_groups], 0, sizeof(*want->groups));
			word(want->groups[want->nr_groups++].name);
		} else if (!strcmp(what, "cgroup")) {
			read_cgroup();
		} else if (!strcmp(what, "task")) {
			read_task();
		} else if (!strcmp(what, "weight")) {
			read_cgroup_change(SET_WEIGHT);
		} else if (!strcmp(what, "idle")) {
			read_cgroup_change(SET_IDLE);
		} else if (!strcmp(what, "bandwidth")) {
			read_cgroup_change(SET_BANDWIDTH);
		} else if (!strcmp(what, "cpu")) {
			want->changes =
			    grown(want->changes, want->nr_changes, sizeof(*want->changes));
			change = &want->changes[want->nr_changes++];
			change->at_ns = number();
			change->cpu = number();
			change->online = number();
		} else {
			read_step(what);
		}
	}
	check();
}
