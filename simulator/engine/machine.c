// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The machine: events in the order of time, CPUs that run one task each, and tasks that go
 * through their steps. A class (ext.c, fair.c) decides what runs where.
 */
#include "kernel.h"
#include "lines.h"
#include "task.h"

/* Interval at which the removal of a non-empty cgroup is retried. */
#define BUSY_NS 10000000ULL
/* A spinning task looks at the lock again as soon as it is free, and after this time anyway. */
#define SPIN_NS 1000000000ULL

enum event_kind {
	ON_CPU,
	ON_RESCHED,
	ON_WAKE,
	ON_START,
	ON_CHANGE,
	ON_SETTING,
	ON_CGROUP,
	ON_DEFERRED,
	ON_QUOTA,
	ON_WATCHDOG
};

struct event {
	u64 at, number; /* equal times: in order of creation */
	enum event_kind kind;
	u32 which;
	u64 stamp;    /* for a CPU: the last one issued is valid; for a wakeup: when it was due */
	void *object; /* the waking task, or timer.c's argument */
};

static struct event *heap;
static u64 nr_events, heap_room, event_number;

static bool sooner(const struct event *a, const struct event *b)
{
	return a->at < b->at || (a->at == b->at && a->number < b->number);
}

static void push(struct event event)
{
	u64 at = nr_events++;

	event.number = event_number++;
	if (nr_events > heap_room) {
		heap_room = heap_room ? heap_room * 2 : 1024;
		heap = more_room(heap, heap_room * sizeof(*heap));
	}
	while (at && sooner(&event, &heap[(at - 1) / 2])) {
		heap[at] = heap[(at - 1) / 2];
		at = (at - 1) / 2;
	}
	heap[at] = event;
}

static struct event pop(void)
{
	struct event first = heap[0], last = heap[--nr_events];
	u64 at = 0, child;

	while ((child = 2 * at + 1) < nr_events) {
		if (child + 1 < nr_events && sooner(&heap[child + 1], &heap[child]))
			child++;
		if (!sooner(&heap[child], &last))
			break;
		heap[at] = heap[child];
		at = child;
	}
	heap[at] = last;
	return first;
}

void wake_deferred(u64 at, void *object, u64 stamp)
{
	push((struct event){.at = at, .kind = ON_DEFERRED, .object = object, .stamp = stamp});
}

void wake_quota(u64 at, u32 cgroup, bool slack)
{
	push((struct event){.at = at, .kind = ON_QUOTA, .which = cgroup, .stamp = slack});
}

/* A timer interrupt's lateness, drawn from this machine's measured distribution. */
static u64 lateness(void)
{
	const u64 *late = sim.want.late_ns;
	u64 place, which;

	if (!sim.want.nr_late)
		return 0;
	/* In parts of 2^32, between two quantiles. */
	place = (next_random(&sim.lateness) >> 32) * (sim.want.nr_late - 1);
	which = place >> 32;
	if (which + 1 == sim.want.nr_late)
		return late[which];
	return late[which] + ((late[which + 1] - late[which]) * (place & 0xffffffff) >> 32);
}

/* ---- CPUs ---- */

void send_resched(struct sim_cpu *cpu)
{
	if (cpu->resched_sent)
		return;
	cpu->resched_sent = true;
	push(
	    (struct event){.at = sim.now + sim.want.wake_ns, .kind = ON_RESCHED, .which = cpu->id});
}

void resched(struct sim_cpu *cpu)
{
	/* An idle CPU starts only after the time of an interrupt. */
	if (cpu == sim.this_cpu && cpu->curr)
		cpu->need_resched = true;
	else
		send_resched(cpu);
}

void arm(struct sim_cpu *cpu)
{
	u64 from = cpu->works_from > sim.now ? cpu->works_from : sim.now;
	u64 at = from + cpu->curr->left_ns;

	if (cpu->next_tick <= sim.now)
		cpu->next_tick = (sim.now / sim.want.tick_ns + 1) * sim.want.tick_ns;
	if (cpu->next_tick < at)
		at = cpu->next_tick;
	if (cpu->timer_at && cpu->timer_at < at)
		at = cpu->timer_at;
	push((struct event){
	    .at = at,
	    .kind = ON_CPU,
	    .which = cpu->id,
	    .stamp = ++cpu->event,
	});
}

void account(struct sim_cpu *cpu)
{
	u64 ran = sim.now - cpu->accounted_at, from, worked;
	struct task *t = cpu->curr;

	if (t && ran) {
		from = cpu->works_from > cpu->accounted_at ? cpu->works_from : cpu->accounted_at;
		worked = sim.now > from ? sim.now - from : 0;
		t->left_ns -= worked < t->left_ns ? worked : t->left_ns;
		t->run_ns += ran;
		t->group->run_ns += ran;
		sim.want.cgroups[t->cgroup].run_ns += ran;
		if (t->spins)
			t->group->spun_ns += worked;
		cpu->run_ns += ran;
		from =
		    cpu->charges_from > cpu->accounted_at ? cpu->charges_from : cpu->accounted_at;
		sim.class->account(cpu, sim.now > from ? sim.now - from : 0);
	}
	cpu->accounted_at = sim.now;
}

static void note(struct lengths *to, u64 ns)
{
	if (to->nr == to->room) {
		to->room = to->room ? to->room * 2 : 256;
		to->ns = more_room(to->ns, to->room * sizeof(*to->ns));
	}
	to->ns[to->nr++] = ns;
}

/* It goes to sleep, or ends. */
static void end_activation(struct task *t)
{
	struct group *g = t->group;

	if (t->active_since == NEVER)
		return;
	note(&g->responses, sim.now - t->active_since);
	t->active_since = NEVER;
	if (t->exiting && t->plan->ending == ENDS_BUSY) {
		/* It would have continued, for an unknown time. */
		g->open++;
		return;
	}
	note(&g->bursts, t->run_ns - t->ran_before);
	g->waited_ns += t->waited_ns;
	g->preempted_ns += t->preempted_ns;
}

/* Whether its end is an exit. */
static bool is_job(const struct task_plan *plan)
{
	const struct step *last = plan->nr_steps ? &plan->steps[plan->nr_steps - 1] : NULL;

	return plan->ending == ENDS_BY_EXIT && !(last && last->kind == STEP_REPEAT && !last->value);
}

static void note_share(struct task *t)
{
	double share = (double)t->run_ns / (double)t->weight;

	t->group->share_sum += share;
	t->group->share_squares += share * share;
}

static void bury(struct task *t)
{
	struct group *g = t->group;

	t->state = DEAD;
	sim.class->farewell(t);
	drop_storage(t);
	sim.nr_alive--;
	g->finished++;
	g->completion_ns += sim.now - t->created_at;
	if (is_job(t->plan))
		note(&g->turnarounds, sim.now - t->created_at);
	if (sim.now > g->last_end_ns)
		g->last_end_ns = sim.now;
	if (t->plan->tasks && t->plan->tasks[t->copy] == t)
		t->plan->tasks[t->copy] = NULL;
	note_share(t);
	if (!t->refs)
		retire(t);
}

/* A CPU that is going away runs nothing more: hand the task to another. */
static void push_away(struct task *t)
{
	s32 cpu = fallback_cpu(t);

	sim.class->dequeue(t, false);
	move_to_cpu(t, cpu);
	sim.class->enqueue(t, 0, false);
	if (!sim.cpus[cpu].curr)
		resched(&sim.cpus[cpu]);
}

static void switch_to(struct sim_cpu *cpu, struct task *prev, struct task *next)
{
	if (prev && prev->state == RUNNING) {
		sim.class->put(cpu, prev, next);
		prev->state = RUNNABLE;
		prev->waits_since = sim.now;
	}
	if (!prev && next)
		sim.class->idle(cpu, false, true);
	cpu->curr = next;
	cpu->event++;
	cpu->accounted_at = sim.now;
	if (tracing)
		trace_switch(cpu, next);
	if (!next) {
		sim.class->idle(cpu, true, prev != NULL);
		saw_turn(cpu, NULL);
		/* The last one may have been put back right here. */
		if (cpu->local.nr)
			cpu->need_resched = true;
		return;
	}
	/*
	 * Half of the switch is before the choice, and belongs to nobody's slice. So a slice
	 * of one whole tick has not quite ended at the next tick.
	 */
	cpu->charges_from = sim.now + sim.want.switch_ns / 2;
	saw_switch();
	saw_store(line_of_task(next));
	cpu->switches++;
	next->group->switches++;
	cpu->works_from = sim.now + sim.want.switch_ns;
	if (next->woke_at != NEVER) {
		note(&next->group->delays, cpu->works_from - next->woke_at);
		next->waited_ns = sim.now - next->woke_at;
		next->woke_at = NEVER;
	} else {
		next->preempted_ns += sim.now - next->waits_since;
	}
	/* The lock it spun for may have become free meanwhile. */
	if (next->spins && !next->wants->holder)
		next->left_ns = 0;
	if (sim.now - next->waits_since > next->group->longest_wait_ns) {
		next->group->longest_wait_ns = sim.now - next->waits_since;
		see_end(&next->group->longest, next, cpu);
	}
	saw_turn(cpu, next);
	next->state = RUNNING;
	sim.class->set(cpu, next);
	arm(cpu);
}

static void schedule(struct sim_cpu *cpu)
{
	struct task *prev = cpu->curr, *next;

	saw_locked(kernel_line(LINE_RUN_QUEUE, cpu->id), RUN_QUEUE_NS);
	account(cpu);
	cpu->need_resched = false;
	if (prev && cpu->blocks) {
		cpu->blocks = false;
		sim.class->dequeue(prev, true);
		prev->state = ASLEEP;
		end_activation(prev);
	}
	next = sim.class->pick(cpu, prev);
	while (next && !cpu->online && !sim.over) {
		if (next == prev) {
			sim.class->put(cpu, prev, prev);
			prev->state = RUNNABLE;
			prev->waits_since = sim.now;
		}
		push_away(next);
		next = sim.class->pick(cpu, NULL);
	}
	if (sim.over)
		return;
	if (next == prev && prev && prev->state == RUNNING)
		arm(cpu);
	else
		switch_to(cpu, prev, next);
	if (prev && prev->exiting && prev->state == ASLEEP)
		bury(prev);
}

void let_go(struct sim_cpu *cpu)
{
	cpu->blocks = cpu->curr != NULL;
	schedule(cpu);
	if (sim.class->settle)
		sim.class->settle();
}

/* ---- tasks ---- */

/* `due`: when it should have happened, which is in the past if a timer was late. */
static void wake_up(struct task *t, u64 wake_flags, u64 due)
{
	u64 flags = wake_flags & SCX_WAKE_FORK ? 0 : SCX_ENQ_WAKEUP;
	s32 cpu = t->cpu;

	if (t->state != ASLEEP || t->exiting)
		return;
	saw_wakeup(true);
	t->waiting = false;
	t->waits_since = sim.now;
	t->woke_at = due;
	t->active_since = due;
	t->ran_before = t->run_ns;
	t->waited_ns = t->preempted_ns = 0;
	if (tracing)
		trace_wakeup(t);
	if (kernel_of(t)->nr_cpus_allowed > 1) {
		cpu = sim.class->select_cpu(t, wake_flags);
		flags |= SCX_ENQ_CPU_SELECTED;
	}
	if (!allowed_on(t, cpu) || !sim.cpus[cpu].online)
		cpu = fallback_cpu(t);
	if (cpu != t->cpu && sim.class->before_move)
		sim.class->before_move(t);
	saw_locked(kernel_line(LINE_RUN_QUEUE, cpu), RUN_QUEUE_NS);
	saw_store(line_of_task(t));
	move_to_cpu(t, cpu);
	t->state = RUNNABLE;
	sim.class->enqueue(t, flags, true);
	if (!sim.cpus[cpu].curr)
		resched(&sim.cpus[cpu]);
	saw_wakeup(false);
}

static u64 draw(struct task *t, const struct step *step)
{
	if (!step->spread)
		return step->value;
	return step->value - step->spread + next_random(&t->random) % (2 * step->spread + 1);
}

static void start(struct task_plan *plan, struct task *parent, u32 copy)
{
	struct task *t = make_task(plan, parent);
	struct group *g;

	if (!t)
		return;
	g = t->group;
	t->copy = copy;
	/* Among forked tasks the first can be woken by name. */
	if (!parent || !plan->tasks[copy])
		plan->tasks[copy] = t;
	if (!g->tasks || sim.now < g->first_start_ns)
		g->first_start_ns = sim.now;
	g->tasks++;
	sim.nr_alive++;
	t->woke_at = t->active_since = NEVER;
	if (tracing)
		trace_birth(t);
	if (!sim.class->welcome(t, sim.now > 0)) {
		t->state = DEAD;
		sim.nr_alive--;
		sim.nr_refused++;
	} else if (sim.now > 0 && sim.class->enable) {
		sim.class->enable(t);
	}
}

static void before_change(struct task *t)
{
	if (t->state == RUNNING)
		account(&sim.cpus[t->cpu]);
	if (sim.class->before_change)
		sim.class->before_change(t);
}

static void after_change(struct task *t)
{
	if (sim.class->after_change)
		sim.class->after_change(t);
}

static bool may_enter(struct task *t, u32 cgroup)
{
	return !sim.ops || ext_prepare_move(t, cgroup);
}

/* Whether the task has to leave its CPU. One that runs elsewhere gets an interrupt. */
static void obey_new_mask(struct task *t)
{
	if (allowed_on(t, t->cpu))
		return;
	if (t->state == RUNNABLE)
		push_away(t);
	else if (t->state == RUNNING)
		send_resched(&sim.cpus[t->cpu]);
}

/* A step that changes a property of the task itself or of another. */
static void change(struct task *t, const struct step *step)
{
	u32 from = t->cgroup;

	if (step->kind == STEP_ENTER &&
	    (from == step->value || !cgroup_is_there(step->value) || !may_enter(t, step->value)))
		return;
	before_change(t);
	switch (step->kind) {
	case STEP_AFFINE:
		set_mask(t, step->cpus);
		if (sim.class->affinity)
			sim.class->affinity(t);
		break;
	case STEP_RENICE:
		set_nice(t, (s32)step->value - 20);
		if (sim.class->reweight)
			sim.class->reweight(t);
		break;
	default:
		enter_cgroup(t, step->value);
		if (sim.ops)
			ext_move_cgroup(t, from);
		break;
	}
	after_change(t);
}

/* Whether the current task has to leave after completing `step`. */
static bool preempted_by(const struct step *step)
{
	return (step->kind == STEP_WAKE || step->kind == STEP_FORK || step->kind == STEP_UNLOCK) &&
	       sim.this_cpu->need_resched;
}

/* The task whose property a step changes; NULL: it is gone. */
static struct task *whose(struct task *t, const struct step *step)
{
	struct task_plan *their;
	struct task *other;

	if (!step->of)
		return t;
	their = &sim.want.plans[step->of - 1];
	other = their->tasks[t->copy % their->count];
	return other && other->state != DEAD && !other->leaves && !other->exiting ? other : NULL;
}

/* ---- locks ---- */

/* The lock of a step; with one lock per CPU, that of the task's current CPU. */
static struct lock *lock_of(const struct task *t, const struct step *step)
{
	return &sim.want
		    .locks[step->value * sim.want.cpus + (step->spread & LOCK_OF_CPU ? t->cpu : 0)];
}

/*
 * The first comer gets it: the task that is woken for it, one that spins on a CPU (both only
 * begin to try), or any other.
 */
static void release(struct lock *lock)
{
	struct task *t = lock->first;

	lock->holder = NULL;
	if (t) {
		lock->first = t->behind;
		wake_up(t, SCX_WAKE_TTWU, sim.now);
	}
	for (s32 i = 0; i < sim.want.cpus; i++) {
		struct sim_cpu *cpu = &sim.cpus[i];

		if (!cpu->curr || !cpu->curr->spins || cpu->curr->wants != lock)
			continue;
		account(cpu);
		cpu->curr->left_ns = 0;
		arm(cpu);
	}
}

/* Like a program that takes its CPU's lock: if it has moved meanwhile, it starts over. */
static bool acquire(struct task *t, const struct step *step)
{
	if (!t->wants)
		t->wants = lock_of(t, step);
	t->spins = false;
	while (!t->wants->holder) {
		t->wants->holder = t;
		if (!(step->spread & LOCK_OF_CPU) || t->wants == lock_of(t, step)) {
			t->wants = NULL;
			return true;
		}
		release(t->wants);
		t->wants = lock_of(t, step);
	}
	return false;
}

static void wait_for_lock(struct task *t, const struct step *step)
{
	struct lock *lock = t->wants;

	if (step->spread & LOCK_SPINS) {
		t->spins = true;
		t->left_ns = SPIN_NS;
		return;
	}
	t->behind = NULL;
	if (lock->first)
		lock->last->behind = t;
	else
		lock->first = t;
	lock->last = t;
}

static void give_back(struct task *t, const struct step *step)
{
	struct lock *lock = &sim.want.locks[step->value * sim.want.cpus];

	for (s32 i = 0; i < sim.want.cpus; i++)
		if (lock[i].holder == t)
			release(&lock[i]);
}

/* Go to the next step that takes time. False: the task gives up the CPU. */
static bool advance(struct task *t)
{
	/* After this many steps in a row that take no time it counts as a spin. */
	u32 patience = 1000;
	u64 due;

	while (patience--) {
		struct task_plan *plan = t->plan;
		struct step *step = &plan->steps[t->at];
		struct task *other;

		if (t->at >= plan->nr_steps) {
			if (!plan->nr_steps || plan->steps[t->at - 1].kind != STEP_REPEAT)
				t->group->cycles++, t->cycles++;
			t->exiting = true;
			kernel_of(t)->flags |= PF_EXITING;
			return false;
		}
		t->at++;
		switch (step->kind) {
		case STEP_RUN:
			t->left_ns = draw(t, step);
			if (t->left_ns)
				return true;
			break;
		case STEP_SLEEP:
			due = sim.now + draw(t, step);
			push((struct event){
			    .at = due + lateness(), .kind = ON_WAKE, .object = t, .stamp = due});
			return false;
		case STEP_WAIT:
			if (!t->pending) {
				t->waiting = true;
				return false;
			}
			t->pending--;
			break;
		case STEP_WAKE: {
			struct task_plan *their = &sim.want.plans[step->value];

			other = their->tasks[t->copy % their->count];
			if (!other)
				break;
			if (other->waiting)
				wake_up(other, SCX_WAKE_TTWU | (step->spread ? SCX_WAKE_SYNC : 0),
					sim.now);
			else
				other->pending++;
			break;
		}
		case STEP_FORK:
			due = t->forks_since ? t->forks_since : sim.now;
			t->forks_since = t->forks_since ? 0 : sim.now;
			if (t->forks_since && sim.want.fork_ns) {
				t->left_ns = sim.want.fork_ns;
				t->at--;
				return true;
			}
			t->forks_since = 0;
			start(&sim.want.plans[step->value], t, 0);
			if (!sim.over)
				wake_up(sim.tasks[sim.nr_tasks - 1], SCX_WAKE_FORK, due);
			break;
		case STEP_AFFINE:
		case STEP_RENICE:
		case STEP_ENTER:
			other = whose(t, step);
			if (!other)
				break;
			change(other, step);
			if (other != t)
				obey_new_mask(other);
			if (allowed_on(t, t->cpu))
				break;
			/* The stopper comes before it can do anything else. */
			t->left_ns = 1;
			return true;
		case STEP_LEAVE:
			t->leaves = true;
			kernel_of(t)->flags |= PF_EXITING;
			break;
		case STEP_YIELD:
			sim.class->yield(&sim.cpus[t->cpu]);
			sim.cpus[t->cpu].need_resched = true;
			/* Let time pass, or it would yield for ever within one moment. */
			t->left_ns = 1;
			return true;
		case STEP_LOCK:
			if (acquire(t, step))
				break;
			/* It tries again when it is woken, or has spun. */
			t->at--;
			wait_for_lock(t, step);
			return t->spins;
		case STEP_UNLOCK:
			give_back(t, step);
			break;
		case STEP_REPEAT:
			t->group->cycles++, t->cycles++;
			if (!step->value || ++t->repeated < step->value)
				t->at = 0;
			break;
		}
		/*
		 * The task that it woke comes first, before it gets to sleep: still inside
		 * the call.
		 */
		if (preempted_by(step)) {
			t->left_ns = 1;
			return true;
		}
	}
	t->left_ns = 1000;
	return true;
}

/* Its own affinity moves the task away; the stopper does it. */
static void obey_affinity(struct sim_cpu *cpu)
{
	struct task *t = cpu->curr;

	account(cpu);
	sim.class->put(cpu, t, t);
	t->state = RUNNABLE;
	t->waits_since = sim.now;
	cpu->curr = NULL;
	cpu->event++;
	push_away(t);
	cpu->need_resched = true;
}

/* ---- events ---- */

static void on_cpu(struct sim_cpu *cpu)
{
	struct task *t = cpu->curr;

	account(cpu);
	if (sim.now >= cpu->next_tick) {
		cpu->next_tick += sim.want.tick_ns;
		sim.class->tick(cpu);
	}
	if (cpu->timer_at && sim.now >= cpu->timer_at) {
		cpu->timer_at = 0;
		sim.class->timer(cpu);
	}
	if (!t->left_ns && sim.now >= cpu->works_from && !sim.over) {
		if (!advance(t)) {
			cpu->blocks = true;
			cpu->need_resched = true;
		} else if (!allowed_on(t, cpu->id)) {
			obey_affinity(cpu);
		}
	}
	if (!cpu->need_resched && cpu->curr)
		arm(cpu);
}

/*
 * Tasks that wait for a CPU that leaves are queued anew on another, as under 7.3.4 in the
 * lab. Tasks in its local queue move when they are picked.
 */
static void hand_over(struct sim_cpu *cpu)
{
	if (sim.class != &ext_class)
		return;
	for (u32 i = 0; i < sim.nr_tasks && !sim.over; i++) {
		struct task *t = sim.tasks[i];

		if (t && t->state == RUNNABLE && t->cpu == cpu->id && t->dsq != &cpu->local)
			push_away(t);
	}
}

static void on_change(const struct cpu_change *change)
{
	struct sim_cpu *cpu = &sim.cpus[change->cpu];

	if (cpu->online == change->online)
		return;
	if (sim.class->hotplug)
		sim.class->hotplug(cpu, change->online);
	cpu->online = change->online;
	if (!cpu->online) {
		cpu->idle_bit = false;
		hand_over(cpu);
	}
	cpu->need_resched = true;
}

static void handle(const struct event *event)
{
	struct sim_cpu *cpu = &sim.cpus[event->which];

	switch (event->kind) {
	case ON_CPU:
		sim.this_cpu = cpu;
		if (event->stamp == cpu->event && cpu->curr)
			on_cpu(cpu);
		break;
	case ON_RESCHED:
		sim.this_cpu = cpu;
		cpu->resched_sent = false;
		cpu->need_resched = true;
		/* Another task changed its task's affinity. */
		if (cpu->curr && cpu->online && !allowed_on(cpu->curr, cpu->id))
			obey_affinity(cpu);
		break;
	case ON_WAKE:
		sim.this_cpu = &sim.cpus[((struct task *)event->object)->cpu];
		wake_up(event->object, SCX_WAKE_TTWU, event->stamp);
		break;
	case ON_START: {
		struct task_plan *plan = &sim.want.plans[event->which];

		sim.this_cpu = &sim.cpus[0];
		start(plan, NULL, event->stamp);
		if (!sim.over)
			wake_up(sim.tasks[sim.nr_tasks - 1], SCX_WAKE_FORK, sim.now);
		break;
	}
	case ON_CHANGE:
		sim.this_cpu = &sim.cpus[sim.want.changes[event->which].cpu];
		on_change(&sim.want.changes[event->which]);
		break;
	case ON_SETTING:
		sim.this_cpu = &sim.cpus[0];
		change_cgroup(&sim.want.cgroup_changes[event->which]);
		break;
	case ON_CGROUP:
		sim.this_cpu = &sim.cpus[0];
		if (event->stamp)
			add_cgroup(event->which);
		/* It is tried again, as service managers do. */
		else if (!remove_cgroup(event->which))
			push((struct event){
			    .at = sim.now + BUSY_NS, .kind = ON_CGROUP, .which = event->which});
		break;
	case ON_DEFERRED:
		run_deferred(event->object, event->stamp);
		break;
	case ON_QUOTA:
		quota_timer(event->which, event->stamp);
		break;
	case ON_WATCHDOG:
		sim.class->check();
		push((struct event){.at = sim.now + sim.class->watchdog_ns() / 2,
				    .kind = ON_WATCHDOG});
		break;
	}
}

static void set_up(void)
{
	for (s32 i = 0; i < sim.want.cpus; i++) {
		sim.cpus[i].id = i;
		sim.cpus[i].online = true;
	}
	sim.this_cpu = &sim.cpus[0];
	sim.random = sim.want.seed ^ 0x5851f42d4c957f2dULL;
	sim.lateness = sim.want.seed ^ 0x14057b7ef767814fULL;
	make_cgroups();
	make_idle_tasks();
	if (!sim.class->start())
		return;
	for (s32 i = 0; i < sim.want.cpus; i++)
		sim.class->idle(&sim.cpus[i], true, true);
	for (u32 i = 0; i < sim.want.nr_plans; i++) {
		struct task_plan *plan = &sim.want.plans[i];

		plan->tasks = room(plan->count * sizeof(*plan->tasks));
		for (u32 k = 0; k < plan->count && plan->start_ns != NEVER && !sim.over; k++) {
			if (plan->start_ns) {
				push((struct event){.at = plan->start_ns,
						    .kind = ON_START,
						    .which = i,
						    .stamp = k});
				continue;
			}
			start(plan, NULL, k);
			push((struct event){.kind = ON_WAKE, .object = plan->tasks[k]});
		}
	}
	for (u32 i = 0; i < sim.nr_tasks && sim.class->enable && !sim.over; i++)
		sim.class->enable(sim.tasks[i]);
	for (u32 i = 0; i < sim.want.nr_cgroup_changes; i++)
		push((struct event){
		    .at = sim.want.cgroup_changes[i].at_ns, .kind = ON_SETTING, .which = i});
	for (u32 i = 0; i < sim.want.nr_changes; i++)
		push(
		    (struct event){.at = sim.want.changes[i].at_ns, .kind = ON_CHANGE, .which = i});
	for (u32 i = 1; i < sim.want.nr_cgroups; i++) {
		struct cgroup_plan *plan = &sim.want.cgroups[i];

		if (plan->from_ns)
			push((struct event){
			    .at = plan->from_ns, .kind = ON_CGROUP, .which = i, .stamp = 1});
		if (plan->until_ns != NEVER)
			push((struct event){.at = plan->until_ns, .kind = ON_CGROUP, .which = i});
	}
	if (sim.class->check)
		push((struct event){.at = sim.class->watchdog_ns() / 2, .kind = ON_WATCHDOG});
}

/* Tasks have yet to arrive: those with a later start. */
static bool more_to_come(void)
{
	for (u32 i = 0; i < sim.want.nr_plans; i++)
		if (sim.want.plans[i].start_ns != NEVER && sim.want.plans[i].start_ns > sim.now)
			return true;
	return false;
}

void run_simulation(void)
{
	set_up();
	sim.ended_at = sim.want.duration_ns;
	while (nr_events && !sim.over) {
		struct event event = pop();

		if (event.at > sim.want.duration_ns)
			break;
		sim.now = event.at;
		sim.events++;
		handle(&event);
		if (sim.class->settle)
			sim.class->settle();
		while (sim.this_cpu->need_resched && !sim.over) {
			schedule(sim.this_cpu);
			if (sim.class->settle)
				sim.class->settle();
		}
		if (!sim.nr_alive && !more_to_come()) {
			sim.ended_at = sim.now;
			break;
		}
	}
	saw_end();
	if (sim.over)
		sim.ended_at = sim.now;
	sim.now = sim.ended_at;
	settle_figures();
	ask_for_the_rest();
	if (sim.exit_kind != EXIT_CRASH && sim.class->finish)
		sim.class->finish();
}

void settle_figures(void)
{
	static bool settled;

	if (settled)
		return;
	settled = true;
	if (sim.class == &fair_class)
		settle_quotas();
	for (s32 i = 0; i < sim.want.cpus; i++) {
		struct sim_cpu *cpu = &sim.cpus[i];
		u64 ran = sim.ended_at - cpu->accounted_at;

		if (!cpu->curr)
			continue;
		cpu->run_ns += ran;
		cpu->curr->run_ns += ran;
		cpu->curr->group->run_ns += ran;
		sim.want.cgroups[cpu->curr->cgroup].run_ns += ran;
		if (cpu->curr->spins)
			cpu->curr->group->spun_ns += ran;
	}
	for (u32 i = 0; i < sim.nr_tasks; i++) {
		struct task *t = sim.tasks[i];
		u64 waited;

		if (!t || t->state == DEAD)
			continue;
		note_share(t);
		if (is_job(t->plan)) {
			note(&t->group->turnarounds, sim.ended_at - t->created_at);
			t->group->open_jobs++;
		}
		if (t->active_since != NEVER) {
			note(&t->group->responses, sim.ended_at - t->active_since);
			t->group->open++;
		}
		waited = sim.ended_at - t->waits_since;
		if (t->state != RUNNABLE)
			continue;
		/*
		 * A task that still waits has waited at least this long: a worse policy must
		 * not look better.
		 */
		if (waited > t->group->longest_wait_ns) {
			t->group->longest_wait_ns = waited;
			see_wait(&t->group->longest, t);
		}
		if (t->woke_at != NEVER) {
			note(&t->group->delays, sim.ended_at - t->woke_at);
			t->group->still_waiting++;
		}
	}
}
