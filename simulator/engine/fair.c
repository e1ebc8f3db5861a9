// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A model of the kernel's own scheduler, EEVDF (kernel/sched/fair.c of 7.3; Stoica and
 * Abdel-Wahab 1995): weights, virtual deadlines kept by their own timer (HRTICK), lag that is
 * kept over sleep and made up for before it (DELAY_DEQUEUE), run to parity, wakeup
 * preemption, the choice between the waker's CPU and the last one by load (PELT), one queue
 * for each CPU, idle CPUs that pull; cgroups (groups.c) and their quotas (quota.c). Not
 * modelled: NUMA, slices set by tasks.
 */
#include "kernel.h"
#include "groups.h"
#include "lines.h"
#include "pelt.h"

/* sysctl_sched_base_slice before scaling by 1 + log2(CPUs), with at most 8 CPUs; ns. */
#define BASE_SLICE 700000ULL
/* How often a busy CPU balances, per CPU: the minimum interval of 1 ms, times busy_factor. */
#define BALANCE_NS 16000000ULL
/* imbalance_pct of a domain within a cache: a smaller imbalance counts as none. */
#define IMBALANCE_PERCENT 117

static s64 slice(void)
{
	u64 scale = 1;

	for (s32 cpus = sim.want.cpus < 8 ? sim.want.cpus : 8; cpus > 1; cpus /= 2)
		scale++;
	return BASE_SLICE * scale;
}

/* The task's virtual time as wall time. */
static s64 virtual(const struct task *t, s64 ns)
{
	return (ns * 1024 << FINE_SHIFT) / (s64)t->flat_weight;
}

/* Mostly it fits into 64 bits, where division is several times faster. */
static s64 divided(__int128 by_weight, s64 weight)
{
	s64 low = (s64)by_weight;

	return low == by_weight ? low / weight : (s64)(by_weight / weight);
}

/* In the virtual time of another weight. */
static s64 rescaled(s64 ns, u64 from, u64 to)
{
	return divided((__int128)ns * (s64)from, (s64)to);
}

static bool runs(const struct sim_cpu *cpu)
{
	return cpu->curr && cpu->curr->state == RUNNING;
}

/* The current task's vruntime by now. */
static s64 vruntime_of(const struct sim_cpu *cpu, const struct task *t)
{
	u64 from = cpu->charges_from > cpu->accounted_at ? cpu->charges_from : cpu->accounted_at;

	if (t == cpu->curr && t->state == RUNNING)
		return t->vruntime + (sim.now > from ? virtual(t, sim.now - from) : 0);
	return t->vruntime;
}

/* The weighted average of all that compete there. */
static s64 average(const struct sim_cpu *cpu)
{
	__int128 sum = 0;
	s64 weights = 0;
	const struct task *t;

	for (t = cpu->queue; t; t = t->next) {
		sum += (__int128)(s64)t->flat_weight * (t->vruntime - cpu->min_vruntime);
		weights += (s64)t->flat_weight;
	}
	t = cpu->curr;
	if (runs(cpu) && !cpu->blocks) {
		sum += (__int128)(s64)t->flat_weight * (vruntime_of(cpu, t) - cpu->min_vruntime);
		weights += (s64)t->flat_weight;
	}
	return cpu->min_vruntime + (weights ? divided(sum, weights) : 0);
}

static void link(struct sim_cpu *cpu, struct task *t)
{
	t->prev = NULL;
	t->next = cpu->queue;
	if (t->next)
		t->next->prev = t;
	cpu->queue = t;
	cpu->nr++;
	cpu->weight += t->flat_weight;
}

static void unlink_task(struct sim_cpu *cpu, struct task *t)
{
	*(t->prev ? &t->prev->next : &cpu->queue) = t->next;
	if (t->next)
		t->next->prev = t->prev;
	t->next = t->prev = NULL;
	cpu->nr--;
	cpu->weight -= t->flat_weight;
}

/* The fine weight of all that compete there. */
static u64 weight_on(const struct sim_cpu *cpu)
{
	return cpu->weight + (runs(cpu) ? cpu->curr->flat_weight : 0);
}

/* Bring the averages up to now. Call this before the set of competitors changes. */
static void follow_cpu(struct sim_cpu *cpu)
{
	follow(&cpu->load, weight_on(cpu));
}

static void follow_task(struct task *t)
{
	follow(&t->load, t->competes ? t->flat_weight : 0);
}

/* The task, and the CPU whose load includes it. */
static void follow_both(struct task *t)
{
	follow_task(t);
	if (t->loads)
		follow_cpu(t->loads);
}

/* The task's load moves to the other CPU; NULL: to none. */
static void carry_load(struct task *t, struct sim_cpu *to)
{
	follow_both(t);
	if (t->loads == to)
		return;
	if (t->loads)
		take_load(&t->loads->load, &t->load);
	if (to) {
		follow_cpu(to);
		add_load(&to->load, &t->load);
	}
	t->loads = to;
}

static u64 load_of(struct sim_cpu *cpu)
{
	follow_cpu(cpu);
	return weight_of(&cpu->load);
}

static u64 load_by(struct task *t)
{
	follow_task(t);
	return weight_of(&t->load);
}

/* The task's lag; bounded. */
static s64 lag_of(const struct sim_cpu *cpu, const struct task *t)
{
	s64 most = virtual(t, slice() + (s64)sim.want.tick_ns);
	s64 lag = average(cpu) - vruntime_of(cpu, t);

	return lag > most ? most : lag < -most ? -most : lag;
}

static void place(struct sim_cpu *cpu, struct task *t)
{
	s64 weight = weight_on(cpu);
	s64 lag = weight ? rescaled(t->lag, weight + t->flat_weight, weight) : 0;
	s64 whole = virtual(t, slice());

	t->vruntime = average(cpu) - lag;
	t->deadline = t->vruntime + (t->placed ? whole : whole / 2);
	t->placed = true;
}

/* Its weight through its groups changes while it is in no queue; its load and its lag follow. */
static void weigh(struct task *t, u64 weight)
{
	u64 before = t->flat_weight;

	if (weight == before)
		return;
	follow_both(t);
	if (t->loads)
		take_load(&t->loads->load, &t->load);
	rescale_load(&t->load, before, weight);
	if (t->loads)
		add_load(&t->loads->load, &t->load);
	t->lag = rescaled(t->lag, before, weight);
	t->flat_weight = weight;
}

/* That of the current task does (reweight_eevdf()): it keeps its lag, and its part of a slice. */
static void weigh_current(struct sim_cpu *cpu)
{
	struct task *t = cpu->curr;
	u64 before = t->flat_weight, weight = flat_weight_in(t, cpu);
	s64 now, ahead, until;

	if (weight == before)
		return;
	now = average(cpu);
	ahead = rescaled(t->deadline - now, before, weight);
	until = t->protected_until - now;
	if (t->vruntime < t->protected_until)
		until = rescaled(until, before, weight);
	t->lag = lag_of(cpu, t);
	weigh(t, weight);
	t->vruntime = now - t->lag;
	t->deadline = now + ahead;
	t->protected_until = now + until;
}

/*
 * A sleeping task no longer competes; it is not owed the time meanwhile. True if its place no
 * longer matches its lag.
 */
static bool settle_debt(struct sim_cpu *cpu, struct task *t)
{
	s64 lag = lag_of(cpu, t);

	follow_both(t);
	t->competes = false;
	lag = lag > t->lag ? lag : t->lag;
	t->lag = lag < 0 ? lag : 0;
	t->delayed = false;
	cpu->nr_delayed--;
	return t->lag != average(cpu) - t->vruntime;
}

/* It does not compete any more until it wakes. */
static void drop_debtor(struct sim_cpu *cpu, struct task *t)
{
	settle_debt(cpu, t);
	unlink_task(cpu, t);
	leave_groups(t);
}

/* The earliest deadline among the tasks with positive lag, including `curr`. */
static struct task *earliest(struct sim_cpu *cpu, struct task *curr)
{
	struct task *t, *best, *first;
	s64 now;

	for (;;) {
		if (!cpu->queue)
			return curr;
		now = average(cpu);
		best = curr && curr->vruntime <= now ? curr : NULL;
		if (best && best->vruntime < best->protected_until)
			return best;
		first = NULL;
		for (t = cpu->queue; t; t = t->next) {
			if (t->vruntime <= now && (!best || t->deadline < best->deadline ||
						   (t->deadline == best->deadline && best != curr &&
						    t->number < best->number)))
				best = t;
			if (!first || t->vruntime < first->vruntime)
				first = t;
		}
		/* Rounding may leave no task on the right side of the average. */
		if (!best)
			best = first;
		if (!best->delayed)
			return best;
		drop_debtor(cpu, best);
	}
}

/* Arrange an interrupt for when the current task has had its slice. The interrupt takes time. */
static void set_timer(struct sim_cpu *cpu)
{
	struct task *t = cpu->curr;
	/* Plus one, because virtual time is rounded down. */
	s64 left = rescaled(t->deadline - t->vruntime, t->flat_weight, 1024 << FINE_SHIFT) + 1;

	if (!cpu->nr)
		return;
	if (left <= 0)
		resched(cpu);
	else
		cpu->timer_at = (cpu->charges_from > sim.now ? cpu->charges_from : sim.now) + left +
				sim.want.wake_ns;
}

static void fair_timer(struct sim_cpu *cpu)
{
	resched(cpu);
}

static bool linked(const struct sim_cpu *cpu, const struct task *t)
{
	const struct task *each = cpu->queue;

	while (each && each != t)
		each = each->next;
	return each != NULL;
}

/* Its affinity changed right before it slept: it competes where it may no longer run. */
static void move_debtor(struct task *t)
{
	struct sim_cpu *home = sim.cpus;

	while (!linked(home, t))
		home++;
	drop_debtor(home, t);
}

static void fair_enqueue(struct task *t, u64 flags, bool runnable)
{
	struct sim_cpu *cpu = &sim.cpus[t->cpu];
	struct task *curr = cpu->curr;
	bool forked = runnable && !(flags & SCX_ENQ_WAKEUP);
	s64 now;

	if (runs(cpu))
		account(cpu);
	if (t->delayed && !linked(cpu, t))
		move_debtor(t);
	carry_load(t, cpu);
	if (!t->delayed) {
		join_groups(t, cpu);
		weigh(t, flat_weight_in(t, cpu));
		place(cpu, t);
		link(cpu, t);
	} else {
		count_in_groups(t, true);
		if (settle_debt(cpu, t)) {
			unlink_task(cpu, t);
			place(cpu, t);
			link(cpu, t);
		}
	}
	t->competes = true;
	if (!runs(cpu))
		return;
	if (!forked && earliest(cpu, curr) == t) {
		resched(cpu);
		return;
	}
	now = average(cpu);
	if (curr->vruntime < now)
		now = curr->vruntime;
	if (now + virtual(curr, slice()) < curr->protected_until)
		curr->protected_until = now + virtual(curr, slice());
	if (!cpu->timer_at)
		set_timer(cpu);
	arm(cpu);
}

/* The list of those on that CPU, in the order in which they came. */
static void set_aside(struct sim_cpu *cpu, struct task *t)
{
	struct task **at = &cpu->throttled;

	while (*at)
		at = &(*at)->next;
	*at = t;
	t->next = NULL;
	t->throttled = true;
	note_throttled(t, cpu);
}

/* It waits for its groups' next period (throttle_cfs_rq_work()), and does not compete. */
static void throttle(struct sim_cpu *cpu, struct task *t)
{
	follow_both(t);
	t->lag = lag_of(cpu, t);
	if (t != cpu->curr || t->state != RUNNING)
		unlink_task(cpu, t);
	t->competes = false;
	leave_groups(t);
	set_aside(cpu, t);
}

static void stop_waiting(struct task *t)
{
	struct task **at = &sim.cpus[t->cpu].throttled;

	while (*at != t)
		at = &(*at)->next;
	*at = t->next;
	t->next = NULL;
	t->throttled = false;
}

void release_throttled(struct sim_cpu *cpu)
{
	struct task *t = cpu->throttled, *next;

	cpu->throttled = NULL;
	for (; t; t = next) {
		next = t->next;
		t->next = NULL;
		t->throttled = false;
		if (is_throttled(t, cpu))
			set_aside(cpu, t);
		else
			fair_enqueue(t, SCX_ENQ_WAKEUP, false);
	}
	if (!cpu->curr && cpu->nr)
		resched(cpu);
}

static void fair_dequeue(struct task *t, bool sleeps)
{
	struct sim_cpu *cpu = &sim.cpus[t->cpu];

	if (t->throttled) {
		stop_waiting(t);
		return;
	}
	follow_both(t);
	t->lag = lag_of(cpu, t);
	if (t != cpu->curr || t->state != RUNNING) {
		unlink_task(cpu, t);
	} else if (sleeps && !t->exiting && t->lag < 0) {
		t->delayed = true;
		cpu->nr_delayed++;
		link(cpu, t);
	}
	t->competes = t->delayed;
	if (t->delayed)
		count_in_groups(t, false);
	else
		leave_groups(t);
}

/*
 * A property changes. A waiting task is removed from the queue, where its weight counts, and
 * put back.
 */
static void fair_before_change(struct task *t)
{
	struct sim_cpu *cpu = &sim.cpus[t->cpu];

	follow_both(t);
	if (t->delayed)
		drop_debtor(cpu, t);
	else if (t->state == RUNNABLE)
		fair_dequeue(t, false);
	else
		leave_groups(t);
}

/* In groups, what it comes to shows when it competes again. */
static void fair_reweight(struct task *t)
{
	if (!t->cgroup)
		t->flat_weight = t->weight << FINE_SHIFT;
}

static void fair_after_change(struct task *t)
{
	if (t->state == RUNNABLE) {
		fair_enqueue(t, 0, false);
	} else if (t->state == RUNNING) {
		join_groups(t, &sim.cpus[t->cpu]);
		weigh_current(&sim.cpus[t->cpu]);
	}
}

static void fair_before_move(struct task *t)
{
	struct sim_cpu *cpu = &sim.cpus[t->cpu];

	if (t->delayed)
		drop_debtor(cpu, t);
}

static void fair_account(struct sim_cpu *cpu, u64 ran)
{
	struct task *t = cpu->curr;
	bool served;

	charge_groups(t, cpu, ran);
	t->vruntime += virtual(t, ran);
	kernel_of(t)->se.sum_exec_runtime += ran;
	served = t->vruntime >= t->deadline;
	if (served)
		t->deadline = t->vruntime + virtual(t, slice());
	if (cpu->nr && (served || t->vruntime >= t->protected_until))
		resched(cpu);
}

/* How many wait there and are awake. */
static u64 waiting(const struct sim_cpu *cpu)
{
	return cpu->nr - cpu->nr_delayed;
}

/* can_migrate_task(). */
static bool may_leave(const struct task *t, s32 cpu)
{
	return !t->delayed && allowed_on(t, cpu) && !is_throttled(t, &sim.cpus[cpu]) &&
	       !is_throttled(t, &sim.cpus[t->cpu]);
}

static void take_over(struct sim_cpu *cpu, struct sim_cpu *from, struct task *t)
{
	u64 before = t->flat_weight;
	s64 ahead;

	saw_locked(kernel_line(LINE_RUN_QUEUE, from->id), RUN_QUEUE_NS);
	saw_store(line_of_task(t));
	carry_load(t, cpu);
	t->lag = lag_of(from, t);
	ahead = t->deadline - t->vruntime;
	unlink_task(from, t);
	move_to_cpu(t, cpu->id);
	leave_groups(t);
	join_groups(t, cpu);
	weigh(t, flat_weight_in(t, cpu));
	place(cpu, t);
	t->deadline = t->vruntime + rescaled(ahead, before, t->flat_weight);
	link(cpu, t);
}

/* The task that has waited longest, last in the list, among those that are not too heavy. */
static struct task *to_move(const struct sim_cpu *from, const struct sim_cpu *to, u64 heaviest)
{
	struct task *t = from->queue;

	while (t && t->next)
		t = t->next;
	while (t && (!may_leave(t, to->id) || load_by(t) > heaviest))
		t = t->prev;
	return t;
}

/* The CPU with the largest load that has a waiting task which may leave. */
static struct sim_cpu *busiest_for(const struct sim_cpu *cpu)
{
	struct sim_cpu *busiest = NULL;

	for (s32 i = 0; i < sim.want.cpus; i++) {
		struct sim_cpu *each = &sim.cpus[i];

		/* The kernel looks beyond its LLC only when it is worth it. */
		if (COUNTS && i / sim.want.llc_cpus == cpu->id / sim.want.llc_cpus)
			saw_load(kernel_line(LINE_RUN_QUEUE, i));
		if (each == cpu || !waiting(each) || (busiest && load_of(each) <= load_of(busiest)))
			continue;
		if (to_move(each, cpu, NEVER))
			busiest = each;
	}
	return busiest;
}

/* An idle CPU takes a waiting task from the busiest one. */
static bool pull(struct sim_cpu *cpu)
{
	struct sim_cpu *busiest = busiest_for(cpu);

	if (!busiest)
		return false;
	take_over(cpu, busiest, to_move(busiest, cpu, NEVER));
	return true;
}

static u64 average_load(void)
{
	u64 sum = 0, online = 0;

	for (s32 i = 0; i < sim.want.cpus; i++) {
		if (!sim.cpus[i].online)
			continue;
		sum += load_of(&sim.cpus[i]);
		online++;
	}
	return sum / online;
}

/*
 * A busy CPU checks now and then whether another has clearly more weight, and takes over half
 * of the difference, in tasks that are no heavier than that (the kernel's
 * sched_balance_find_src_group(), calculate_imbalance() and detach_tasks()); the longer it
 * finds none that fits, the heavier they may be.
 */
static void balance(struct sim_cpu *cpu)
{
	struct sim_cpu *busiest = busiest_for(cpu);
	u64 local = load_of(cpu), average = average_load(), theirs, imbalance, less;
	struct task *t;
	bool moved = false;

	cpu->balanced_at = sim.now;
	theirs = busiest ? load_of(busiest) : 0;
	if (local < average && average < theirs &&
	    (!waiting(cpu) || theirs * 100 > local * IMBALANCE_PERCENT)) {
		imbalance = theirs - average < average - local ? theirs - average : average - local;
		while (imbalance &&
		       (t = to_move(busiest, cpu, (imbalance + 1) << cpu->unbalanced))) {
			less = load_by(t);
			take_over(cpu, busiest, t);
			imbalance = less < imbalance ? imbalance - (less ? less : 1) : 0;
			moved = true;
		}
		cpu->unbalanced = moved ? 0 : cpu->unbalanced < 8 ? cpu->unbalanced + 1 : 8;
	}
	cpu->balance_ns = BALANCE_NS * (u64)sim.want.cpus * (moved ? 1 : 2);
}

/* The earliest whose groups have some of their quotas left; the others are put aside. */
static struct task *choose(struct sim_cpu *cpu, struct task *curr)
{
	struct task *t;

	while ((t = earliest(cpu, curr)) && t != curr && !may_use_quota(t, cpu))
		throttle(cpu, t);
	return t;
}

static struct task *fair_pick(struct sim_cpu *cpu, struct task *prev)
{
	struct task *curr = prev && prev->state == RUNNING ? prev : NULL, *next;

	if (curr && is_throttled(curr, cpu))
		curr = NULL;
	next = choose(cpu, curr);
	while (!next && cpu->online && pull(cpu))
		next = choose(cpu, NULL);
	return next;
}

static void fair_put(struct sim_cpu *cpu, struct task *prev, struct task *next)
{
	(void)next;
	if (is_throttled(prev, cpu))
		throttle(cpu, prev);
	else
		link(cpu, prev);
	/* A CPU that goes offline keeps no task. */
	if (!cpu->online)
		resched(cpu);
}

static void fair_set(struct sim_cpu *cpu, struct task *next)
{
	unlink_task(cpu, next);
	weigh_current(cpu);
	next->protected_until = next->deadline;
	if (next->vruntime > cpu->min_vruntime)
		cpu->min_vruntime = next->vruntime;
	set_timer(cpu);
}

static void fair_tick(struct sim_cpu *cpu)
{
	update_groups(cpu->curr);
	weigh_current(cpu);
	if (sim.now - cpu->balanced_at >= cpu->balance_ns)
		balance(cpu);
	if (!waiting(cpu))
		return;
	/* An idle CPU takes over some work. */
	for (s32 i = 0; i < sim.want.cpus; i++) {
		struct sim_cpu *other = &sim.cpus[i];

		if (other->online && !other->curr && !other->nr) {
			resched(other);
			break;
		}
	}
}

static bool is_idle(const struct sim_cpu *cpu)
{
	return cpu->online && !cpu->curr && !cpu->nr;
}

/* Idle, or with none but tasks of idle groups (the kernel's choose_idle_cpu()). */
static bool is_free_for(const struct sim_cpu *cpu, const struct task *t)
{
	saw_load(kernel_line(LINE_RUN_QUEUE, cpu->id));
	if (is_idle(cpu))
		return true;
	return cpu->online && cpu->nr_in_idle_groups == cpu->nr + !!cpu->curr &&
	       t->plan->policy != POLICY_IDLE;
}

/* The waker's CPU or the task's last one, whichever is less busy (the kernel's wake_affine()). */
static s32 affine(struct task *t, bool sync)
{
	struct sim_cpu *here = sim.this_cpu, *last = &sim.cpus[t->cpu];
	u64 ours = load_of(here), theirs = load_of(last), own;

	saw_load(kernel_line(LINE_RUN_QUEUE, last->id));
	if (here == last || !allowed_on(t, here->id))
		return last->id;
	if (sync && runs(here) && !waiting(here))
		return here->id;
	if (is_idle(last))
		return last->id;
	if (sync && runs(here)) {
		own = load_by(here->curr);
		if (own > ours)
			return here->id;
		ours -= own;
	}
	own = load_by(t);
	theirs -= own < theirs ? own : theirs;
	/* The last CPU is preferred by half of the domain's imbalance_pct, 117. */
	return (ours + own) * 100 < theirs * 108 + sync ? here->id : last->id;
}

/* Idle, with one task, or with waiting tasks: the kernel's types of groups for one CPU. */
static u32 kind_of(const struct sim_cpu *cpu)
{
	u64 tasks = cpu->nr + !!cpu->curr;

	return tasks < 2 ? tasks : 2;
}

/*
 * A new task stays on its parent's CPU, unless another CPU clearly has less to do (the
 * kernel's sched_balance_find_dst_group()).
 */
static s32 cpu_for_new(const struct task *t)
{
	struct sim_cpu *here = sim.this_cpu, *best = NULL;

	for (s32 i = 0; i < sim.want.cpus; i++) {
		struct sim_cpu *each = &sim.cpus[i];

		if (each == here || !each->online || !allowed_on(t, i))
			continue;
		if (!best || kind_of(each) < kind_of(best) ||
		    (kind_of(each) == kind_of(best) && load_of(each) < load_of(best)))
			best = each;
	}
	if (!here->online || !allowed_on(t, here->id))
		return best ? best->id : t->cpu;
	if (!best || kind_of(here) != kind_of(best))
		return best && kind_of(best) < kind_of(here) ? best->id : here->id;
	return load_of(here) * 100 > load_of(best) * IMBALANCE_PERCENT ? best->id : here->id;
}

static s32 fair_select_cpu(struct task *t, u64 wake_flags)
{
	s32 target, first;

	if (t->delayed && allowed_on(t, t->cpu))
		return t->cpu;
	if (wake_flags & SCX_WAKE_FORK)
		return cpu_for_new(t);
	target = affine(t, wake_flags & SCX_WAKE_SYNC);
	if (is_free_for(&sim.cpus[target], t) && allowed_on(t, target))
		return target;
	first = target / sim.want.llc_cpus * sim.want.llc_cpus;
	if (t->cpu / sim.want.llc_cpus * sim.want.llc_cpus == first &&
	    is_free_for(&sim.cpus[t->cpu], t) && allowed_on(t, t->cpu))
		return t->cpu;
	for (s32 i = first; i < first + sim.want.llc_cpus && i < sim.want.cpus; i++)
		if (is_free_for(&sim.cpus[i], t) && allowed_on(t, i))
			return i;
	return target;
}

static void fair_yield(struct sim_cpu *cpu)
{
	cpu->curr->deadline += virtual(cpu->curr, slice());
	cpu->curr->protected_until = cpu->curr->vruntime;
}

static bool fair_start(void)
{
	start_groups();
	return true;
}

static bool fair_welcome(struct task *t, bool fork)
{
	/* Tasks from the start count as having slept; a new one counts as busy. */
	t->placed = !fork;
	t->flat_weight = t->weight << FINE_SHIFT;
	begin_with(&t->load, fork ? t->flat_weight : 0);
	return true;
}

static void fair_farewell(struct task *t)
{
	carry_load(t, NULL);
}

static void fair_idle(struct sim_cpu *cpu, bool idle, bool notify)
{
	(void)notify;
	cpu->idle_bit = idle && cpu->online;
}

static void fair_hotplug(struct sim_cpu *cpu, bool online)
{
	if (!online)
		lift_quotas_of(cpu);
}

const struct sim_class fair_class = {
    .start = fair_start,
    .welcome = fair_welcome,
    .farewell = fair_farewell,
    .select_cpu = fair_select_cpu,
    .enqueue = fair_enqueue,
    .dequeue = fair_dequeue,
    .before_move = fair_before_move,
    .before_change = fair_before_change,
    .after_change = fair_after_change,
    .reweight = fair_reweight,
    .hotplug = fair_hotplug,
    .change_cgroup = change_group,
    .account = fair_account,
    .pick = fair_pick,
    .put = fair_put,
    .set = fair_set,
    .idle = fair_idle,
    .tick = fair_tick,
    .timer = fair_timer,
    .yield = fair_yield,
};
