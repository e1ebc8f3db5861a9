// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * sched_ext: what the kernel does around a scheduler's callbacks, in the same order. Its source is
 * kernel/sched/ext/ext.c since 7.2, and was kernel/sched/ext.c before. Messages that end a
 * scheduler have the words of kernel 7.3. Left out: bypass mode, sub-schedulers, core scheduling.
 */
#include "kernel.h"
#include "lines.h"

#define SLICE_DFL	 20000000ULL
#define MAX_LOOPS	 32
#define MAX_BATCH	 4096
#define MAX_REENQUEUES	 256
#define HOTPLUG_RESTARTS ((1LL << 48) | (1LL << 32))

/*
 * Words that came with 7.1. To a kernel without them a change of a property was a usual dequeue,
 * and all of a local queue was sent through enqueue() again.
 */
#ifdef HAS_REENQUEUE_FLAGS
#define REENQ_ANY	SCX_REENQ_ANY
#define REENQ_USER_MASK __SCX_REENQ_USER_MASK
#define DEQ_CHANGE	SCX_DEQ_SCHED_CHANGE
#else
#define REENQ_ANY	1ULL
#define REENQ_USER_MASK 0
#define DEQ_CHANGE	0
#endif

struct verdict {
	struct task *task;
	u64 turn, dsq_id, slice, vtime, flags;
};

/* The task for which select_cpu or enqueue is called. Spoilt: it was inserted already. */
static struct task *direct, spoilt;
static struct verdict batch[MAX_BATCH];
static u32 nr_batch, max_batch = SCX_DSP_DFL_MAX_BATCH, nr_moved;
/* The CPU that is looking for its next task. */
static struct sim_cpu *balancing;
static bool kicks_pending, reenqueues_pending, waits_for_kicked;
static struct dsq global;
static bool cgroup_begun[MAX_CGROUPS];

static struct sched_ext_ops *ops(void)
{
	return sim.ops;
}

/*
 * A callback takes its arguments as an array of u64s, whatever its prototype in struct
 * sched_ext_ops.
 */
static u64 call(const char *name, u32 context, void *callback, u64 a, u64 b, u64 c, u64 d)
{
	u64 arguments[4] = {a, b, c, d};
	const char *outer_name = sim.in;
	u32 outer = sim.context;
	u64 result;

	sim.in = name;
	sim.context = context;
	sim.entered++;
	result = ((u64(*)(u64 *))callback)(arguments);
	sim.in = outer_name;
	sim.context = outer;
	return result;
}

#define CALL4(op, context, a, b, c, d)                                                             \
	(ops()->op ? call("ops." #op "()", context, (void *)ops()->op, (u64)(a), (u64)(b),         \
			  (u64)(c), (u64)(d))                                                      \
		   : 0)
#define CALL(op, context, a, b, c) CALL4(op, context, a, b, c, 0)

void ext_callback(const char *name, void *function, u64 a, u64 b, u64 c)
{
	sim.in = name;
	sim.context = IN_UNLOCKED;
	sim.entered++;
	((u64(*)(u64, u64, u64))function)(a, b, c);
	sim.in = NULL;
	sim.context = IN_NOTHING;
}

bool ext_in(u32 contexts, const char *what)
{
	if (sim.context & contexts)
		return true;
	end_by(EXIT_ERROR, 0, "%s() is not allowed in %s", what, sim.in ? sim.in : "?");
	return false;
}

static bool cpu_valid(s32 cpu, const char *where)
{
	if (cpu >= 0 && cpu < sim.want.cpus)
		return true;
	end_by(EXIT_ERROR, 0, "invalid CPU %d%s%s", cpu, where ? " " : "", where ? where : "");
	return false;
}

static void refill(struct task *t)
{
	kernel_of(t)->scx.slice = SLICE_DFL;
}

static bool queued(struct task *t)
{
	return kernel_of(t)->scx.flags & SCX_TASK_QUEUED;
}

static void leave_custody(struct task *t, u64 flags)
{
	if (t->custody && ops()->dequeue)
		CALL(dequeue, IN_OTHER, kernel_of(t), flags, 0);
	t->custody = false;
}

/* The queue with that number, as seen from the current CPU; for a local one that of the task. */
struct dsq *dsq_for(u64 id, struct task *t)
{
	struct sim_cpu *cpu = balancing || !t ? sim.this_cpu : &sim.cpus[t->cpu];
	struct dsq *found;

	if (id == SCX_DSQ_LOCAL)
		return &cpu->local;
	if ((id & SCX_DSQ_LOCAL_ON) == SCX_DSQ_LOCAL_ON) {
		s32 target = id & SCX_DSQ_LOCAL_CPU_MASK;

		if (!cpu_valid(target, "in SCX_DSQ_LOCAL_ON dispatch verdict"))
			return &global;
		return &sim.cpus[target].local;
	}
	if (id == SCX_DSQ_GLOBAL)
		return &global;
	found = dsq_find(id);
	if (!found && t) {
		end_by(EXIT_ERROR, 0, "non-existent DSQ 0x%llx", id);
		return &global;
	}
	return found;
}

/* Whether a task that comes to this CPU could run at once: the kernel's rq_is_open(). */
static bool is_open(const struct sim_cpu *cpu, u64 flags)
{
	return !cpu->curr || cpu == balancing || flags & SCX_ENQ_PREEMPT;
}

static void reenqueue_soon(struct sim_cpu *cpu)
{
	cpu->reenqueue = true;
	reenqueues_pending = true;
}

/* The kernel has a global queue for each node. */
static u64 line_of_dsq(const struct dsq *dsq)
{
	return dsq == &global
		   ? kernel_line(LINE_GLOBAL_QUEUE, sim.this_cpu->id / sim.want.node_cpus)
		   : line_of_queue(dsq);
}

static void queue_on(struct dsq *dsq, struct task *t, u64 flags)
{
	bool by_vtime = flags & SCX_ENQ_DSQ_PRIQ;
	struct sim_cpu *cpu = dsq->cpu >= 0 ? &sim.cpus[dsq->cpu] : NULL;
	bool preempt = false;

	if (t->dsq)
		return;
	if (by_vtime && (cpu || dsq == &global)) {
		end_by(EXIT_ERROR, 0, "cannot use vtime ordering for built-in DSQs");
		by_vtime = false;
	}
	if (by_vtime && dsq->nr > dsq->nr_by_vtime)
		end_by(EXIT_ERROR, 0, "DSQ ID 0x%016llx already had FIFO-enqueued tasks", dsq->id);
	if (!by_vtime && dsq->nr_by_vtime)
		end_by(EXIT_ERROR, 0, "DSQ ID 0x%016llx already had PRIQ-enqueued tasks", dsq->id);
	t->place = kernel_of(t)->scx.dsq_vtime;
	saw_lock(line_of_dsq(dsq));
	dsq_add(dsq, t, !by_vtime && flags & (SCX_ENQ_HEAD | SCX_ENQ_PREEMPT), by_vtime);
	saw_unlock(line_of_dsq(dsq), INSERT_NS);
	saw_enter(dsq, t);
	if (cpu || dsq == &global)
		leave_custody(t, 0);
	else
		t->custody = true;
	if (!cpu)
		return;
	if (t->cpu != cpu->id)
		move_to_cpu(t, cpu->id);
	t->immed |= !!(flags & SCX_ENQ_IMMED);
	if (t->immed && (dsq->nr > 1 || !is_open(cpu, flags)))
		reenqueue_soon(cpu);
	if (flags & SCX_ENQ_PREEMPT && cpu->curr && cpu->curr != t) {
		kernel_of(cpu->curr)->scx.slice = 0;
		preempt = true;
	}
	if (cpu != balancing && (preempt || !cpu->curr))
		resched(cpu);
}

/* Whether the task may go to that CPU. Its own is always allowed. */
static bool can_move(struct task *t, struct sim_cpu *cpu, bool enforce)
{
	if (t->cpu == cpu->id)
		return true;
	if (!allowed_on(t, cpu->id)) {
		if (enforce)
			end_by(EXIT_ERROR, 0,
			       "SCX_DSQ_LOCAL[_ON] target CPU %d not allowed for %s[%d]", cpu->id,
			       t->plan->comm, kernel_of(t)->pid);
		return false;
	}
	return cpu->online;
}

/* Requested flags take effect with the insertion. */
static void apply(struct task *t, u64 slice, u64 vtime, u64 flags)
{
	struct task_struct *p = kernel_of(t);

	if (slice)
		p->scx.slice = slice;
	else if (!p->scx.slice)
		p->scx.slice = 1;
	if (flags & SCX_ENQ_DSQ_PRIQ)
		p->scx.dsq_vtime = vtime;
}

static void dispatch_to(struct dsq *dsq, struct task *t, u64 flags)
{
	t->owner = OWNER_NONE;
	if (dsq->cpu >= 0 && !can_move(t, &sim.cpus[dsq->cpu], true))
		dsq = &global;
	queue_on(dsq, t, dsq->cpu >= 0 ? flags : flags & ~SCX_ENQ_IMMED);
}

static bool is_local(u64 dsq_id)
{
	return dsq_id == SCX_DSQ_LOCAL || (dsq_id & SCX_DSQ_LOCAL_ON) == SCX_DSQ_LOCAL_ON;
}

/* scx_vet_enq_flags() of the kernel. */
bool ext_vet(u64 dsq_id, u64 *flags)
{
	if (*flags & __SCX_ENQ_INTERNAL_MASK) {
		end_by(EXIT_ERROR, 0, "invalid enq_flags 0x%llx", *flags);
		return false;
	}
	if (*flags & SCX_ENQ_IMMED && !is_local(dsq_id)) {
		end_by(EXIT_ERROR, 0, "SCX_ENQ_IMMED on a non-local DSQ 0x%llx", dsq_id);
		return false;
	}
	if (ops()->flags & SCX_OPS_ALWAYS_ENQ_IMMED && is_local(dsq_id))
		*flags |= SCX_ENQ_IMMED;
	if (*flags & SCX_ENQ_RESCUE && !is_local(dsq_id)) {
		end_by(EXIT_ERROR, 0, "SCX_ENQ_RESCUE on a non-local DSQ 0x%llx", dsq_id);
		return false;
	}
	return true;
}

void ext_insert(struct task *t, u64 dsq_id, u64 slice, u64 vtime, u64 flags)
{
	if (sim.context != IN_DISPATCH) {
		struct task *asked = direct;

		direct = &spoilt;
		if (asked == &spoilt || !asked) {
			end_by(EXIT_ERROR, 0, "%s[%d] already direct-dispatched", t->plan->comm,
			       kernel_of(t)->pid);
		} else if (asked != t) {
			end_by(EXIT_ERROR, 0,
			       "scheduling for %s[%d] but trying to direct-dispatch %s[%d]",
			       asked->plan->comm, kernel_of(asked)->pid, t->plan->comm,
			       kernel_of(t)->pid);
		} else {
			t->direct_dsq = dsq_id;
			t->direct_slice = slice;
			t->direct_vtime = vtime;
			t->direct_flags = flags;
		}
		return;
	}
	if (nr_batch >= max_batch) {
		end_by(EXIT_ERROR, 0, "dispatch buffer overflow");
		return;
	}
	batch[nr_batch++] = (struct verdict){t, t->turn, dsq_id, slice, vtime, flags};
}

u32 ext_slots(void)
{
	return max_batch - nr_batch;
}

void ext_cancel(void)
{
	if (nr_batch)
		nr_batch--;
	else
		end_by(EXIT_ERROR, 0, "dispatch buffer underflow");
}

static void flush_batch(void)
{
	for (u32 i = 0; i < nr_batch; i++) {
		struct verdict *each = &batch[i];

		/* It belongs to somebody else by now: void. */
		if (each->task->owner != OWNER_SCHEDULER || each->task->turn != each->turn)
			continue;
		apply(each->task, each->slice, each->vtime, each->flags);
		dispatch_to(dsq_for(each->dsq_id, each->task), each->task, each->flags);
	}
	nr_moved += nr_batch;
	nr_batch = 0;
}

static bool consume(struct dsq *dsq, struct sim_cpu *cpu, u64 flags)
{
	struct dsq_node *node;

	saw_look(dsq);
	/* The kernel looks first without the lock. */
	saw_load(line_of_dsq(dsq));
	if (!dsq->nr)
		return false;
	saw_lock(line_of_dsq(dsq));
	for (node = dsq->head.next; node != &dsq->head; node = node->next) {
		struct task *t = node->task;

		if (t)
			saw_load(line_of_task(t));
		if (!t || !can_move(t, cpu, false))
			continue;
		dsq_remove(t);
		saw_unlock(line_of_dsq(dsq), TAKE_NS);
		saw_leave(dsq, t);
		/* consume_remote_task() */
		if (t->cpu != cpu->id)
			saw_locked(kernel_line(LINE_RUN_QUEUE, t->cpu), RUN_QUEUE_NS);
		queue_on(&cpu->local, t, flags);
		return true;
	}
	saw_unlock(line_of_dsq(dsq), TAKE_NS);
	return false;
}

bool ext_move_to_local(u64 dsq_id, u64 flags)
{
	struct dsq *dsq;

	flush_batch();
	dsq = dsq_id & SCX_DSQ_FLAG_BUILTIN ? NULL : dsq_find(dsq_id);
	if (!dsq) {
		end_by(EXIT_ERROR, 0, "invalid DSQ ID 0x%016llx", dsq_id);
		return false;
	}
	if (!consume(dsq, sim.this_cpu, flags))
		return false;
	nr_moved++;
	return true;
}

bool ext_move(struct dsq *from, struct task *t, u64 dsq_id, u64 flags, bool by_vtime)
{
	struct dsq *to;

	if (t->dsq != from)
		return false;
	to = dsq_for(dsq_id, t);
	saw_lock(line_of_dsq(from));
	dsq_remove(t);
	saw_unlock(line_of_dsq(from), TAKE_NS);
	if (to->cpu >= 0 && !can_move(t, &sim.cpus[to->cpu], true))
		to = &global;
	if (to->cpu >= 0)
		saw_leave(from, t);
	queue_on(to, t, by_vtime ? flags | SCX_ENQ_DSQ_PRIQ : flags);
	nr_moved++;
	return true;
}

/*
 * Kicks that lead to kicks: more than that many within STORM_NS, and more than that many
 * times the wakeups that can have happened there (each may kick every CPU).
 */
#define STORM_NS    100000000ULL
#define STORM_KICKS 8000
#define STORM_RATIO 8

static u64 storm_until;
static u32 storm_kicks, storm_wakeups;

static void look_for_storm(bool kick)
{
	if (sim.now >= storm_until) {
		storm_until = sim.now + STORM_NS;
		storm_kicks = storm_wakeups = 0;
	}
	storm_kicks += kick;
	storm_wakeups += !kick;
	if (storm_kicks > STORM_KICKS && storm_kicks / STORM_RATIO / sim.want.cpus > storm_wakeups)
		end_by(EXIT_CRASH, 0, "live-lock: %u kicks of CPUs within %llu ms, and %u wakeups",
		       storm_kicks, STORM_NS / 1000000, storm_wakeups);
}

void ext_kick(struct sim_cpu *cpu, u64 flags)
{
	if (flags & SCX_KICK_IDLE) {
		if (flags & (SCX_KICK_PREEMPT | SCX_KICK_WAIT))
			end_by(EXIT_ERROR, 0, "PREEMPT/WAIT cannot be used with SCX_KICK_IDLE");
		saw_locked(kernel_line(LINE_RUN_QUEUE, cpu->id), RUN_QUEUE_NS);
		if (cpu->curr)
			return;
		cpu->kick_idle = true;
	} else {
		saw_locked(kernel_line(LINE_RUN_QUEUE, cpu->id), RUN_QUEUE_NS);
		cpu->kick_any = true;
		if (flags & SCX_KICK_PREEMPT)
			cpu->kick_preempt = true;
		if (flags & SCX_KICK_WAIT && cpu->curr && cpu != sim.this_cpu)
			waits_for_kicked = true;
	}
	kicks_pending = true;
	look_for_storm(true);
}

static void reenqueue_local(struct sim_cpu *cpu);

static void ext_settle(void)
{
	/* Some may return at once; that has its own limit. */
	while (reenqueues_pending && !sim.over) {
		reenqueues_pending = false;
		for (s32 i = 0; i < sim.want.cpus; i++)
			if (sim.cpus[i].reenqueue)
				reenqueue_local(&sim.cpus[i]);
	}
	if (!kicks_pending)
		return;
	kicks_pending = false;
	if (waits_for_kicked) {
		/*
		 * It goes on when the other CPUs have switched, which the interrupt makes
		 * them do.
		 */
		waits_for_kicked = false;
		sim.this_cpu->need_resched = true;
		if (sim.this_cpu->works_from < sim.now + sim.want.wake_ns)
			sim.this_cpu->works_from = sim.now + sim.want.wake_ns;
	}
	for (s32 i = 0; i < sim.want.cpus; i++) {
		struct sim_cpu *cpu = &sim.cpus[i];

		if (cpu->kick_any && (cpu->online || cpu == sim.this_cpu)) {
			if (cpu->kick_preempt && cpu->curr)
				kernel_of(cpu->curr)->scx.slice = 0;
			send_resched(cpu);
		} else if (cpu->kick_idle && cpu->online && !cpu->curr) {
			send_resched(cpu);
		}
		cpu->kick_any = cpu->kick_idle = cpu->kick_preempt = false;
	}
}

/* scx_do_enqueue_task() of the kernel. */
static void enqueue(struct task *t, u64 flags)
{
	struct task_struct *p = kernel_of(t);
	struct sim_cpu *cpu = &sim.cpus[t->cpu];
	u64 to = t->direct_dsq;

	t->stood_in = SCX_DSQ_LOCAL;
	t->immed = false;
	if (flags & SCX_ENQ_REENQ && ++t->reenqueued > MAX_REENQUEUES) {
		end_by(EXIT_REENQUEUED, 0, "%s[%d] reenqueued %u times without running",
		       t->plan->comm, p->pid, t->reenqueued);
		return;
	}
	if (!cpu->online)
		goto local;
	if (to != SCX_DSQ_INVALID)
		goto direct;
	if (p->flags & PF_EXITING && !(ops()->flags & SCX_OPS_ENQ_EXITING))
		goto local;
	if (!ops()->enqueue) {
		refill(t);
		queue_on(&global, t, flags);
		return;
	}
	t->turn++;
	direct = t;
	CALL(enqueue, IN_ENQUEUE, p, flags, 0);
	direct = NULL;
	to = t->direct_dsq;
	if (to != SCX_DSQ_INVALID)
		goto direct;
	t->owner = OWNER_SCHEDULER;
	t->custody = true;
	return;
direct:
	t->direct_dsq = SCX_DSQ_INVALID;
	flags |= t->direct_flags;
	apply(t, t->direct_slice, t->direct_vtime, flags);
	dispatch_to(dsq_for(to, t), t, flags);
	return;
local:
	t->direct_dsq = SCX_DSQ_INVALID;
	refill(t);
	queue_on(&cpu->local, t, flags & SCX_ENQ_HEAD);
}

/* Why it comes through enqueue() again, while it does. */
static void show_reason(struct task *t, bool comes)
{
#ifdef HAS_REENQUEUE_FLAGS
	u32 *flags = &kernel_of(t)->scx.flags;

	*flags &= ~SCX_TASK_REENQ_REASON_MASK;
	if (comes)
		*flags |= t->immed ? SCX_TASK_REENQ_IMMED : SCX_TASK_REENQ_KFUNC;
#else
	(void)t;
	(void)comes;
#endif
}

/* Tasks of a local queue go through enqueue() again: all, or those that cannot run at once. */
static void reenqueue(struct sim_cpu *cpu, u64 flags)
{
	struct dsq_node *node = cpu->local.head.next, *next;
	struct task *first = NULL, **at = &first;
	bool open = is_open(cpu, 0), seen = false;

	for (; node != &cpu->local.head; node = next) {
		struct task *t = node->task;

		next = node->next;
		if (!t)
			continue;
		if (!(flags & REENQ_ANY) && !(t->immed && (seen || !open))) {
			seen = true;
			continue;
		}
		seen = true;
		show_reason(t, true);
		dsq_remove(t);
		t->left = NULL;
		*at = t;
		at = &t->left;
	}
	while (first && !sim.over) {
		struct task *t = first;

		first = t->left;
		t->left = NULL;
		enqueue(t, SCX_ENQ_REENQ);
		show_reason(t, false);
	}
}

static void reenqueue_local(struct sim_cpu *cpu)
{
	u64 flags = cpu->reenqueue_flags;

	cpu->reenqueue = false;
	cpu->reenqueue_flags = 0;
	reenqueue(cpu, flags);
}

void ext_reenqueue(u64 dsq_id, u64 flags)
{
	struct dsq *dsq;
	struct dsq_node *node, *next;
	u64 order;

	if (flags & ~(u64)REENQ_USER_MASK) {
		end_by(EXIT_ERROR, 0, "invalid SCX_REENQ flags 0x%llx", flags);
		return;
	}
	if (is_local(dsq_id)) {
		dsq = dsq_for(dsq_id, NULL);
		sim.cpus[dsq->cpu].reenqueue_flags = REENQ_ANY;
		reenqueue_soon(&sim.cpus[dsq->cpu]);
		return;
	}
	dsq = dsq_find(dsq_id);
	if (dsq_id & SCX_DSQ_FLAG_BUILTIN || !dsq) {
		end_by(EXIT_ERROR, 0,
		       dsq_id == SCX_DSQ_GLOBAL ? "DSQ 0x%llx not allowed for reenq"
						: "non-existent DSQ 0x%llx",
		       dsq_id);
		return;
	}
	/* Tasks that are put back are not visited again. */
	saw_look(dsq);
	order = dsq->order;
	for (node = dsq->head.next; node != &dsq->head && !sim.over; node = next) {
		next = node->next;
		if (!node->task || node->task->order >= order)
			continue;
		dsq_remove(node->task);
		enqueue(node->task, SCX_ENQ_REENQ);
	}
}

static s32 ext_select_cpu(struct task *t, u64 wake_flags)
{
	struct task_struct *p = kernel_of(t);
	s32 cpu;

	t->direct_dsq = SCX_DSQ_INVALID;
	if (ops()->select_cpu) {
		direct = t;
		cpu = CALL(select_cpu, IN_SELECT_CPU, p, t->cpu, wake_flags);
		if (sim.over)
			return t->cpu;
		direct = NULL;
		p->scx.selected_cpu = cpu;
		return cpu_valid(cpu, "from ops.select_cpu()") ? cpu : t->cpu;
	}
	cpu = select_idle(t, t->cpu, wake_flags, NULL, 0);
	if (cpu >= 0) {
		t->direct_dsq = SCX_DSQ_LOCAL;
		t->direct_slice = SLICE_DFL;
		t->direct_flags = 0;
		return cpu;
	}
	return t->cpu;
}

static void ext_enqueue(struct task *t, u64 flags, bool runnable)
{
	struct task_struct *p = kernel_of(t);

	p->scx.flags |= SCX_TASK_QUEUED;
	if (runnable) {
		t->runnable_at = sim.now;
		look_for_storm(false);
		CALL(runnable, IN_OTHER, p, flags, 0);
	}
	enqueue(t, flags);
}

/* `flags`: the reason, as SCX_DEQ_*. For a mere migration few callbacks are called. */
static void dequeue(struct task *t, u64 flags, bool migrates)
{
	struct task_struct *p = kernel_of(t);

	if (!queued(t))
		return;
	leave_custody(t, flags);
	t->owner = OWNER_NONE;
	if (t->state == RUNNING)
		CALL(stopping, IN_OTHER, p, false, 0);
	if (!migrates)
		CALL(quiescent, IN_OTHER, p, flags, 0);
	p->scx.flags &= ~SCX_TASK_QUEUED;
	if (t->dsq && t->dsq->cpu < 0)
		saw_locked(line_of_dsq(t->dsq), TAKE_NS);
	dsq_remove(t);
	t->direct_dsq = SCX_DSQ_INVALID;
}

static void ext_dequeue(struct task *t, bool sleeps)
{
	dequeue(t, sleeps ? SCX_DEQ_SLEEP : DEQ_CHANGE, !sleeps);
}

/* A property changes: a running task is taken off and put back, a waiting one is queued anew. */
static void ext_before_change(struct task *t)
{
	dequeue(t, DEQ_CHANGE, false);
}

static void ext_after_change(struct task *t)
{
	struct task_struct *p = kernel_of(t);

	if (t->state == ASLEEP)
		return;
	p->scx.flags |= SCX_TASK_QUEUED;
	CALL(runnable, IN_OTHER, p, 0, 0);
	if (t->state == RUNNING)
		CALL(running, IN_OTHER, p, 0, 0);
	else
		enqueue(t, 0);
}

static void ext_reweight(struct task *t)
{
	struct task_struct *p = kernel_of(t);

	CALL(set_weight, IN_OTHER, p, p->scx.weight, 0);
}

static void ext_yield(struct sim_cpu *cpu)
{
	struct task_struct *p = kernel_of(cpu->curr);

	if (ops()->yield)
		CALL(yield, IN_OTHER, p, 0, 0);
	else
		p->scx.slice = 0;
}

static void ext_account(struct sim_cpu *cpu, u64 ran)
{
	struct task_struct *p = kernel_of(cpu->curr);

	p->se.exec_start = clock_now();
	p->se.sum_exec_runtime += ran;
	if (p->scx.slice != SCX_SLICE_INF)
		p->scx.slice -= ran < p->scx.slice ? ran : p->scx.slice;
}

/* The kernel's balance_one(): true if there is something to run. */
static bool balance(struct sim_cpu *cpu, struct task *prev)
{
	bool on = prev && queued(prev);
	u32 loops = MAX_LOOPS;

	cpu->keep = false;
	if (on && kernel_of(prev)->scx.slice) {
		cpu->keep = true;
		return true;
	}
	if (cpu->local.nr || consume(&global, cpu, 0))
		return true;
	saw_dispatch(cpu);
	if (ops()->dispatch && cpu->online) {
		do {
			nr_moved = 0;
			CALL(dispatch, IN_DISPATCH, cpu->id, prev ? kernel_of(prev) : NULL, 0);
			flush_batch();
			if (on && kernel_of(prev)->scx.slice) {
				cpu->extended = true;
				cpu->keep = true;
				return true;
			}
			if (cpu->local.nr || consume(&global, cpu, 0))
				return true;
			if (!--loops) {
				ext_kick(cpu, 0);
				break;
			}
		} while (nr_moved && !sim.over);
	}
	if (on && !(ops()->flags & SCX_OPS_ENQ_LAST)) {
		cpu->keep = true;
		return true;
	}
	return false;
}

static struct task *ext_pick(struct sim_cpu *cpu, struct task *prev)
{
	struct task *next = NULL;

	balancing = cpu;
	if (balance(cpu, prev)) {
		next = cpu->keep ? prev : dsq_first(&cpu->local);
		if (cpu->local.nr > 1)
			reenqueue_soon(cpu);
	}
	balancing = NULL;
	if (next && !kernel_of(next)->scx.slice)
		refill(next);
	return next;
}

static void ext_put(struct sim_cpu *cpu, struct task *prev, struct task *next)
{
	if (!queued(prev))
		return;
	CALL(stopping, IN_OTHER, kernel_of(prev), true, 0);
	prev->runnable_at = sim.now;
	prev->state = RUNNABLE;
	if (kernel_of(prev)->scx.slice && cpu->online && prev->immed)
		enqueue(prev, SCX_ENQ_REENQ);
	else if (kernel_of(prev)->scx.slice && cpu->online)
		queue_on(&cpu->local, prev, SCX_ENQ_HEAD);
	else
		enqueue(prev, next ? 0 : SCX_ENQ_LAST);
}

static void ext_set(struct sim_cpu *cpu, struct task *next)
{
	leave_custody(next, SCX_DEQ_CORE_SCHED_EXEC);
	next->owner = OWNER_NONE;
	cpu->local.taken += next->dsq == &cpu->local;
	dsq_remove(next);
	next->reenqueued = 0;
	kernel_of(next)->se.exec_start = clock_now();
	CALL(running, IN_OTHER, kernel_of(next), 0, 0);
}

static void ext_idle(struct sim_cpu *cpu, bool idle, bool notify)
{
	if (builtin_idle())
		note_idle(cpu->id, idle && cpu->online);
	if (notify && ops()->update_idle)
		CALL(update_idle, IN_OTHER, cpu->id, idle, 0);
}

static void ext_tick(struct sim_cpu *cpu)
{
	CALL(tick, IN_OTHER, kernel_of(cpu->curr), 0, 0);
	if (!kernel_of(cpu->curr)->scx.slice)
		resched(cpu);
}

static void ext_affinity(struct task *t)
{
	struct task_struct *p = kernel_of(t);

	CALL(set_cpumask, IN_OTHER, p, sim.cids ? (void *)cmask_of(p->cpus_ptr) : p->cpus_ptr, 0);
}

static void ext_hotplug(struct sim_cpu *cpu, bool online)
{
	if (online ? ops()->cpu_online : ops()->cpu_offline) {
		call(online ? "ops.cpu_online()" : "ops.cpu_offline()", IN_UNLOCKED,
		     online ? (void *)ops()->cpu_online : (void *)ops()->cpu_offline, cpu->id, 0, 0,
		     0);
		return;
	}
	end_by(EXIT_BY_KERNEL, HOTPLUG_RESTARTS, "cpu %d going %s, exiting scheduler", cpu->id,
	       online ? "online" : "offline");
}

static u64 ext_watchdog_ns(void)
{
	return (ops()->timeout_ms ? ops()->timeout_ms : 30000) * 1000000ULL;
}

static void ext_check(void)
{
	u64 limit = ext_watchdog_ns();

	for (u32 i = 0; i < sim.nr_tasks; i++) {
		struct task *t = sim.tasks[i];
		u64 waited = t ? sim.now - t->runnable_at : 0;

		if (!t || t->state != RUNNABLE || waited <= limit)
			continue;
		if (map_of_userspace())
			end_by(EXIT_NOT_MODELLED, 0,
			       "not modelled: userspace's part of the scheduler, which fills the "
			       "map %s",
			       map_of_userspace());
		if (!sim.over)
			see_wait(&sim.stalled, t);
		end_by(EXIT_STALL, 0, "%s[%d] failed to run for %llu.%03llus", t->plan->comm,
		       kernel_of(t)->pid, waited / 1000000000, waited / 1000000 % 1000);
		return;
	}
}

/* It is brought online: cgroup_init(). */
void ext_cgroup_comes(u32 cgroup)
{
	const struct group_settings *group = settings_of(cgroup);
	struct scx_cgroup_init_args arguments = {
	    .weight = group->weight,
#ifdef KERNEL_HAS_CGROUP_SET_BANDWIDTH
	    .bw_period_us = group->period_us,
	    .bw_quota_us = group->quota_us,
	    .bw_burst_us = group->burst_us,
#endif
#ifdef KERNEL_HAS_CGROUP_INIT_IDLE
	    .sched_idle = group->idle,
#endif
	};
	s32 error = CALL(cgroup_init, IN_UNLOCKED, cgroup_at(cgroup), &arguments, 0);

	/* Later on the mkdir fails instead; its consequences are not modelled. */
	if (error)
		end_by(EXIT_ERROR, error, "ops.cgroup_init() failed (%d)", error);
	else
		cgroup_begun[cgroup] = true;
}

void ext_cgroup_goes(u32 cgroup)
{
	if (!cgroup_begun[cgroup])
		return;
	cgroup_begun[cgroup] = false;
	CALL(cgroup_exit, IN_UNLOCKED, cgroup_at(cgroup), 0, 0);
}

static bool ext_start(void)
{
	s32 error;

	dsq_init(&global, SCX_DSQ_GLOBAL, -1);
	for (s32 i = 0; i < sim.want.cpus; i++)
		dsq_init(&sim.cpus[i].local, SCX_DSQ_LOCAL, i);
	if (ops()->flags & SCX_OPS_ENQ_LAST && !ops()->enqueue)
		end_by(EXIT_ERROR, 0, "SCX_OPS_ENQ_LAST requires ops.enqueue() to be implemented");
	if (ops()->dispatch_max_batch)
		max_batch =
		    ops()->dispatch_max_batch < MAX_BATCH ? ops()->dispatch_max_batch : MAX_BATCH;
	if (ops()->flags & SCX_OPS_SWITCH_PARTIAL)
		end_by(EXIT_NOT_MODELLED, 0, "not modelled: SCX_OPS_SWITCH_PARTIAL");
	if (ops()->flags & SCX_OPS_BUILTIN_IDLE_PER_NODE && !builtin_idle())
		end_by(EXIT_ERROR, 0,
		       "SCX_OPS_BUILTIN_IDLE_PER_NODE requires CPU idle selection enabled");
#ifdef HAS_SUB_SCHEDULERS
	if (!sim.cids && (ops()->sub_attach || ops()->sub_detach))
		end_by(EXIT_ERROR, 0, "sub_attach/sub_detach requires cid-form struct_ops");
#endif
	if (sim.over)
		return false;
#ifdef HAS_INIT_CIDS
	if (sim.cids && (error = CALL(init_cids, IN_UNLOCKED, 0, 0, 0)))
		end_by(EXIT_ERROR, error, "ops.init_cids() failed (%d)", error);
#endif
	if (!sim.over && (error = CALL(init, IN_UNLOCKED, 0, 0, 0)))
		end_by(EXIT_ERROR, error, "ops.init() failed (%d)", error);
	for (u32 i = 0; i < sim.want.nr_cgroups && !sim.over; i++)
		if (cgroup_is_there(i))
			ext_cgroup_comes(i);
	return !sim.over;
}

/* A forked task is enabled at once, all others after all are initialised. */
static bool ext_welcome(struct task *t, bool fork)
{
	struct task_struct *p = kernel_of(t);
	struct scx_init_task_args arguments = {.fork = fork, .cgroup = cgroup_at(t->cgroup)};
	s32 error;

	t->direct_dsq = SCX_DSQ_INVALID;
	refill(t);
	error = CALL(init_task, IN_UNLOCKED, p, &arguments, 0);
	if (error && fork)
		return false;
	if (error)
		end_by(EXIT_ERROR, error, "ops.init_task() failed (%d) for %s[%d]", error,
		       t->plan->comm, p->pid);
	if (p->scx.disallow && fork)
		end_by(EXIT_ERROR, 0,
		       "ops.init_task() set task->scx.disallow for %s[%d] during fork",
		       t->plan->comm, p->pid);
	t->initialised = true;
	return true;
}

static void ext_enable(struct task *t)
{
	struct task_struct *p = kernel_of(t);

	if (sim.cids) {
#ifdef HAS_ENABLE_ARGS
		struct scx_enable_args arguments = {.cmask_arena_addr = (u64)cmask_of(p->cpus_ptr)};

		CALL(enable, IN_OTHER, p, &arguments, 0);
#else
		CALL(enable, IN_OTHER, p, 0, 0);
#endif
		ext_affinity(t);
	} else {
		CALL(enable, IN_OTHER, p, 0, 0);
	}
	CALL(set_weight, IN_OTHER, p, p->scx.weight, 0);
	/* No callback reports a fork's affinity, because init_task() could see it. */
	if (!sim.cids && !sim.now)
		ext_affinity(t);
	t->enabled = true;
}

static void ext_farewell(struct task *t)
{
	struct scx_exit_task_args arguments = {};

	if (!t->initialised)
		return;
	t->initialised = false;
	if (t->enabled)
		CALL(disable, IN_OTHER, kernel_of(t), 0, 0);
	else
		arguments.cancelled = true;
	t->enabled = false;
	CALL(exit_task, IN_OTHER, kernel_of(t), &arguments, 0);
}

/* The scheduler's dump, which the kernel requests after an error. */
static void dump(const char *reason)
{
	struct scx_dump_ctx about = {
	    .kind = sim.exit_kind,
	    .exit_code = sim.exit_code,
	    .reason = reason,
	    .at_ns = clock_now(),
	    .at_jiffies = clock_now() / sim.want.tick_ns,
	};

	CALL(dump, IN_OTHER, &about, 0, 0);
	for (s32 i = 0; i < sim.want.cpus; i++)
		CALL(dump_cpu, IN_OTHER, &about, i, !sim.cpus[i].curr && !sim.cpus[i].local.nr);
	for (u32 i = 0; i < sim.nr_tasks && sim.dump_length < sizeof(sim.dump) - 1; i++) {
		struct task *t = sim.tasks[i];

		if (t && t->enabled && (t->state == RUNNABLE || t->state == RUNNING))
			CALL(dump_task, IN_OTHER, &about, kernel_of(t), 0);
	}
}

static const char *reason_of(u32 kind)
{
	switch (kind) {
	case EXIT_BY_BPF:
		return "unregistered from BPF";
	case EXIT_BY_KERNEL:
		return "unregistered from the main kernel";
	case EXIT_ERROR:
		return "runtime error";
	case EXIT_ERROR_BPF:
		return "scx_bpf_error";
	case EXIT_STALL:
		return "runnable task stall";
	case EXIT_REENQUEUED:
		return "reenqueue limit";
	default:
		return "unregistered from user space";
	}
}

static void ext_finish(void)
{
	struct scx_exit_info info = {
	    .kind = sim.exit_kind >= EXIT_BY_BPF ? sim.exit_kind : SCX_EXIT_UNREG,
	    .exit_code = sim.exit_code,
#ifdef HAS_EXIT_CPU
	    .exit_cpu = sim.this_cpu->id,
#endif
#ifdef HAS_EXIT_FLAGS
	    .flags = SCX_EFLAG_INITIALIZED,
#endif
	    .reason = reason_of(sim.exit_kind),
	    .msg = sim.message,
	    .dump = sim.dump,
	};

	if (sim.exit_kind >= EXIT_ERROR)
		dump(info.reason);
	for (u32 i = 0; i < sim.nr_tasks; i++)
		if (sim.tasks[i] && sim.tasks[i]->state != DEAD)
			ext_farewell(sim.tasks[i]);
	/* By now the tasks belong to another class. */
	for (u32 i = 0; i < sim.nr_tasks; i++)
		if (sim.tasks[i])
			dsq_remove(sim.tasks[i]);
	for (u32 i = sim.want.nr_cgroups; i; i--)
		ext_cgroup_goes(i - 1);
	CALL(exit, IN_UNLOCKED, &info, 0, 0);
}

/*
 * scx_group_set_weight(), scx_group_set_idle() and scx_group_set_bandwidth() of the kernel: the
 * scheduler hears of a value that differs, before the cgroup has it.
 */
static void ext_change_cgroup(const struct cgroup_change *change)
{
	struct cgroup *cgroup = cgroup_at(change->cgroup);
	const struct group_settings *group = settings_of(change->cgroup);
	struct group_settings after = {};

	switch (change->setting) {
	case SET_WEIGHT:
		if (group->weight != change->weight)
			CALL(cgroup_set_weight, IN_UNLOCKED, cgroup, change->weight, 0);
		break;
	case SET_IDLE:
#ifdef KERNEL_HAS_CGROUP_SET_IDLE
		if (group->idle != change->idle)
			CALL(cgroup_set_idle, IN_UNLOCKED, cgroup, change->idle, 0);
#endif
		break;
	case SET_BANDWIDTH:
		set_bandwidth(&after, &change->bandwidth);
#ifdef KERNEL_HAS_CGROUP_SET_BANDWIDTH
		if (group->period_us != after.period_us || group->quota_us != after.quota_us ||
		    group->burst_us != after.burst_us)
			CALL4(cgroup_set_bandwidth, IN_UNLOCKED, cgroup, after.period_us,
			      after.quota_us, after.burst_us);
#endif
		break;
	}
}

/* False: the scheduler refuses. */
bool ext_prepare_move(struct task *t, u32 to)
{
	struct task_struct *p = kernel_of(t);

	return !CALL(cgroup_prep_move, IN_UNLOCKED, p, cgroup_at(t->cgroup), cgroup_at(to));
}

void ext_move_cgroup(struct task *t, u32 from)
{
	CALL(cgroup_move, IN_UNLOCKED, kernel_of(t), cgroup_at(from), cgroup_at(t->cgroup));
}

const struct sim_class ext_class = {
    .start = ext_start,
    .welcome = ext_welcome,
    .farewell = ext_farewell,
    .select_cpu = ext_select_cpu,
    .enqueue = ext_enqueue,
    .dequeue = ext_dequeue,
    .account = ext_account,
    .pick = ext_pick,
    .put = ext_put,
    .set = ext_set,
    .idle = ext_idle,
    .tick = ext_tick,
    .enable = ext_enable,
    .affinity = ext_affinity,
    .before_change = ext_before_change,
    .after_change = ext_after_change,
    .reweight = ext_reweight,
    .yield = ext_yield,
    .hotplug = ext_hotplug,
    .change_cgroup = ext_change_cgroup,
    .settle = ext_settle,
    .watchdog_ns = ext_watchdog_ns,
    .check = ext_check,
    .finish = ext_finish,
};
