// SPDX-License-Identifier: GPL-2.0-only
/*
 * sched_ext: what kernel/sched/ext.c does around a scheduler's callbacks, in the same order.
 * Messages that end a scheduler have the words of kernel 7.3. What is left out: bypass mode,
 * sub-schedulers, core scheduling, several NUMA nodes, SCX_OPS_SWITCH_PARTIAL.
 */
#include "kernel.h"

#define SLICE_DFL	 20000000ULL
#define MAX_LOOPS	 32
#define MAX_BATCH	 4096
#define HOTPLUG_RESTARTS ((1LL << 48) | (1LL << 32))

struct verdict {
	struct task *task;
	u64 turn, dsq_id, flags;
};

/* The task that select_cpu or enqueue is asked about. Spoilt: it was inserted already. */
static struct task *direct, spoilt;
static struct verdict batch[MAX_BATCH];
static u32 nr_batch, max_batch = SCX_DSP_DFL_MAX_BATCH, nr_moved;
/* The CPU that is looking for its next task. */
static struct sim_cpu *balancing;
static bool kicks_pending;
static struct dsq global;

static struct sched_ext_ops *ops(void)
{
	return sim.ops;
}

/*
 * A callback takes its arguments as an array of u64s, whatever its prototype in struct
 * sched_ext_ops says.
 */
static u64 call(const char *name, u32 context, void *callback, u64 a, u64 b, u64 c)
{
	u64 arguments[4] = {a, b, c};
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

#define CALL(op, context, a, b, c)                                                                 \
	(ops()->op ? call(#op, context, (void *)ops()->op, (u64)(a), (u64)(b), (u64)(c)) : 0)

bool ext_in(u32 contexts, const char *what)
{
	if (sim.context & contexts)
		return true;
	end_by(EXIT_ERROR, 0, "%s() is not allowed in ops.%s()", what, sim.in ? sim.in : "?");
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

/* The queue of that number, as seen from the CPU at work; for a local one that of the task. */
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
	if (cpu || dsq == &global)
		leave_custody(t, 0);
	else if (sim.context != IN_SELECT_CPU)
		t->custody = true;
	dsq_add(dsq, t, !by_vtime && flags & (SCX_ENQ_HEAD | SCX_ENQ_PREEMPT), by_vtime);
	if (!cpu)
		return;
	if (t->cpu != cpu->id)
		move_to_cpu(t, cpu->id);
	if (flags & SCX_ENQ_PREEMPT && cpu->curr && cpu->curr != t) {
		kernel_of(cpu->curr)->scx.slice = 0;
		preempt = true;
	}
	if (cpu != balancing && (preempt || !cpu->curr))
		resched(cpu);
}

/* May the task go to that CPU? Its own is always right. */
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

static void dispatch_to(struct dsq *dsq, struct task *t, u64 flags)
{
	t->owner = OWNER_NONE;
	if (dsq->cpu >= 0 && !can_move(t, &sim.cpus[dsq->cpu], true))
		dsq = &global;
	queue_on(dsq, t, flags);
}

void ext_insert(struct task *t, u64 dsq_id, u64 flags)
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
			t->direct_flags = flags;
		}
		return;
	}
	if (nr_batch >= max_batch) {
		end_by(EXIT_ERROR, 0, "dispatch buffer overflow");
		return;
	}
	batch[nr_batch++] = (struct verdict){t, t->turn, dsq_id, flags};
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

		/* Somebody else's by now: void. */
		if (each->task->owner != OWNER_SCHEDULER || each->task->turn != each->turn)
			continue;
		dispatch_to(dsq_for(each->dsq_id, each->task), each->task, each->flags);
	}
	nr_moved += nr_batch;
	nr_batch = 0;
}

static bool consume(struct dsq *dsq, struct sim_cpu *cpu)
{
	struct dsq_node *node;

	for (node = dsq->head.next; node != &dsq->head; node = node->next) {
		struct task *t = node->task;

		if (!t || !can_move(t, cpu, false))
			continue;
		dsq_remove(t);
		queue_on(&cpu->local, t, 0);
		return true;
	}
	return false;
}

bool ext_move_to_local(u64 dsq_id)
{
	struct dsq *dsq;

	flush_batch();
	dsq = dsq_id & SCX_DSQ_FLAG_BUILTIN ? NULL : dsq_find(dsq_id);
	if (!dsq) {
		end_by(EXIT_ERROR, 0, "invalid DSQ ID 0x%016llx", dsq_id);
		return false;
	}
	if (!dsq->nr || !consume(dsq, sim.this_cpu))
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
	dsq_remove(t);
	if (to->cpu >= 0 && !can_move(t, &sim.cpus[to->cpu], true))
		to = &global;
	queue_on(to, t, by_vtime ? flags | SCX_ENQ_DSQ_PRIQ : flags);
	nr_moved++;
	return true;
}

void ext_kick(struct sim_cpu *cpu, u64 flags)
{
	if (flags & SCX_KICK_IDLE) {
		if (flags & (SCX_KICK_PREEMPT | SCX_KICK_WAIT))
			end_by(EXIT_ERROR, 0, "PREEMPT/WAIT cannot be used with SCX_KICK_IDLE");
		if (cpu->curr)
			return;
		cpu->kick_idle = true;
	} else {
		cpu->kick_any = true;
		if (flags & SCX_KICK_PREEMPT)
			cpu->kick_preempt = true;
	}
	kicks_pending = true;
}

static void ext_settle(void)
{
	if (!kicks_pending)
		return;
	kicks_pending = false;
	for (s32 i = 0; i < sim.want.cpus; i++) {
		struct sim_cpu *cpu = &sim.cpus[i];

		if (cpu->kick_any && cpu->online) {
			if (cpu->kick_preempt && cpu->curr)
				kernel_of(cpu->curr)->scx.slice = 0;
			send_resched(cpu);
		} else if (cpu->kick_idle && cpu->online && !cpu->curr) {
			send_resched(cpu);
		}
		cpu->kick_any = cpu->kick_idle = cpu->kick_preempt = false;
	}
}

/* do_enqueue_task() of the kernel. */
static void enqueue(struct task *t, u64 flags)
{
	struct task_struct *p = kernel_of(t);
	struct sim_cpu *cpu = &sim.cpus[t->cpu];
	u64 to = t->direct_dsq;

	if (!cpu->online)
		goto local;
	if (to != SCX_DSQ_INVALID)
		goto direct;
	if (t->exiting && !(ops()->flags & SCX_OPS_ENQ_EXITING))
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
	dispatch_to(dsq_for(to, t), t, t->direct_flags | (flags & SCX_ENQ_HEAD));
	return;
local:
	t->direct_dsq = SCX_DSQ_INVALID;
	refill(t);
	queue_on(&cpu->local, t, flags & SCX_ENQ_HEAD);
}

static s32 ext_select_cpu(struct task *t, u64 wake_flags)
{
	struct task_struct *p = kernel_of(t);
	s32 cpu;

	t->direct_dsq = SCX_DSQ_INVALID;
	if (ops()->select_cpu) {
		direct = t;
		cpu = CALL(select_cpu, IN_SELECT_CPU, p, t->cpu, wake_flags);
		direct = NULL;
		p->scx.selected_cpu = cpu;
		return cpu_valid(cpu, "from ops.select_cpu()") ? cpu : t->cpu;
	}
	cpu = select_idle(t, t->cpu, wake_flags, NULL);
	if (cpu >= 0) {
		refill(t);
		t->direct_dsq = SCX_DSQ_LOCAL;
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
		CALL(runnable, IN_OTHER, p, flags, 0);
	}
	enqueue(t, flags);
}

static void ext_dequeue(struct task *t, bool sleeps)
{
	struct task_struct *p = kernel_of(t);

	if (!queued(t))
		return;
	/* Of a mere migration the scheduler hears nothing but the next enqueue(). */
	if (sleeps)
		leave_custody(t, SCX_DEQ_SLEEP);
	t->custody = false;
	t->owner = OWNER_NONE;
	if (t->state == RUNNING)
		CALL(stopping, IN_OTHER, p, false, 0);
	if (sleeps)
		CALL(quiescent, IN_OTHER, p, SCX_DEQ_SLEEP, 0);
	p->scx.flags &= ~SCX_TASK_QUEUED;
	dsq_remove(t);
}

static void ext_account(struct sim_cpu *cpu, u64 ran)
{
	struct task_struct *p = kernel_of(cpu->curr);

	p->se.exec_start = sim.now;
	p->se.sum_exec_runtime += ran;
	if (p->scx.slice != SCX_SLICE_INF)
		p->scx.slice -= ran < p->scx.slice ? ran : p->scx.slice;
}

/* balance_one() of the kernel: true where there is something to run. */
static bool balance(struct sim_cpu *cpu, struct task *prev)
{
	bool on = prev && queued(prev);
	u32 loops = MAX_LOOPS;

	cpu->keep = false;
	if (on && kernel_of(prev)->scx.slice) {
		cpu->keep = true;
		return true;
	}
	if (cpu->local.nr || consume(&global, cpu))
		return true;
	if (ops()->dispatch && cpu->online) {
		do {
			nr_moved = 0;
			CALL(dispatch, IN_DISPATCH, cpu->id, prev ? kernel_of(prev) : NULL, 0);
			flush_batch();
			if (on && kernel_of(prev)->scx.slice) {
				cpu->keep = true;
				return true;
			}
			if (cpu->local.nr || consume(&global, cpu))
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
	if (balance(cpu, prev))
		next = cpu->keep ? prev : dsq_first(&cpu->local);
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
	if (kernel_of(prev)->scx.slice && cpu->online)
		queue_on(&cpu->local, prev, SCX_ENQ_HEAD);
	else
		enqueue(prev, next ? 0 : SCX_ENQ_LAST);
}

static void ext_set(struct sim_cpu *cpu, struct task *next)
{
	(void)cpu;
	leave_custody(next, 0);
	next->owner = OWNER_NONE;
	dsq_remove(next);
	kernel_of(next)->se.exec_start = sim.now;
	CALL(running, IN_OTHER, kernel_of(next), 0, 0);
}

static void ext_idle(struct sim_cpu *cpu, bool idle, bool notify)
{
	if (notify && ops()->update_idle)
		CALL(update_idle, IN_OTHER, cpu->id, idle, 0);
	if (builtin_idle())
		cpu->idle_bit = idle && cpu->online;
}

static void ext_tick(struct sim_cpu *cpu)
{
	CALL(tick, IN_OTHER, kernel_of(cpu->curr), 0, 0);
	if (!kernel_of(cpu->curr)->scx.slice)
		resched(cpu);
}

static void ext_affinity(struct task *t)
{
	CALL(set_cpumask, IN_OTHER, kernel_of(t), kernel_of(t)->cpus_ptr, 0);
}

static void ext_hotplug(struct sim_cpu *cpu, bool online)
{
	if (online ? ops()->cpu_online : ops()->cpu_offline) {
		call(online ? "cpu_online" : "cpu_offline", IN_UNLOCKED,
		     online ? (void *)ops()->cpu_online : (void *)ops()->cpu_offline, cpu->id, 0,
		     0);
		return;
	}
	end_by(EXIT_BY_KERNEL, HOTPLUG_RESTARTS, "cpu %d going %s, exiting scheduler", cpu->id,
	       online ? "online" : "offline");
}

/* Tasks of the local queue of this CPU go through enqueue() again. */
void ext_reenqueue_local(void)
{
	struct sim_cpu *cpu = sim.this_cpu;
	u32 nr = cpu->local.nr;

	while (nr-- && !sim.over) {
		struct task *t = dsq_first(&cpu->local);

		dsq_remove(t);
		enqueue(t, SCX_ENQ_REENQ);
	}
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
		u64 waited = sim.now - t->runnable_at;

		if (t->state != RUNNABLE || waited <= limit)
			continue;
		end_by(EXIT_STALL, 0, "%s[%d] failed to run for %llu.%03llus", t->plan->comm,
		       kernel_of(t)->pid, waited / 1000000000, waited / 1000000 % 1000);
		return;
	}
}

static bool ext_start(void)
{
	s32 error;

	dsq_init(&global, SCX_DSQ_GLOBAL, -1);
	for (s32 i = 0; i < sim.want.cpus; i++)
		dsq_init(&sim.cpus[i].local, SCX_DSQ_LOCAL, i);
	if (ops()->flags & SCX_OPS_SWITCH_PARTIAL)
		end_by(EXIT_NOT_MODELLED, 0, "not modelled: SCX_OPS_SWITCH_PARTIAL");
	if (ops()->flags & SCX_OPS_ENQ_LAST && !ops()->enqueue)
		end_by(EXIT_ERROR, 0, "SCX_OPS_ENQ_LAST requires ops.enqueue() to be implemented");
	if (ops()->dispatch_max_batch)
		max_batch =
		    ops()->dispatch_max_batch < MAX_BATCH ? ops()->dispatch_max_batch : MAX_BATCH;
	if (sim.over)
		return false;
	error = CALL(init, IN_UNLOCKED, 0, 0, 0);
	if (error)
		end_by(EXIT_ERROR, error, "ops.init() failed (%d)", error);
	return !sim.over;
}

static bool ext_welcome(struct task *t, bool fork)
{
	struct task_struct *p = kernel_of(t);
	struct scx_init_task_args arguments = {.fork = fork};
	s32 error;

	t->direct_dsq = SCX_DSQ_INVALID;
	refill(t);
	error = CALL(init_task, IN_UNLOCKED, p, &arguments, 0);
	if (error && fork)
		return false;
	if (error)
		end_by(EXIT_ERROR, error, "ops.init_task() failed (%d) for %s[%d]", error,
		       t->plan->comm, p->pid);
	CALL(enable, IN_OTHER, p, 0, 0);
	CALL(set_weight, IN_OTHER, p, p->scx.weight, 0);
	CALL(set_cpumask, IN_OTHER, p, p->cpus_ptr, 0);
	t->initialised = true;
	return true;
}

static void ext_farewell(struct task *t)
{
	struct scx_exit_task_args arguments = {};

	if (!t->initialised)
		return;
	t->initialised = false;
	CALL(disable, IN_OTHER, kernel_of(t), 0, 0);
	CALL(exit_task, IN_OTHER, kernel_of(t), &arguments, 0);
}

static void ext_finish(void)
{
	struct scx_exit_info info = {
	    .kind = sim.exit_kind >= EXIT_BY_BPF ? sim.exit_kind : SCX_EXIT_UNREG,
	    .exit_code = sim.exit_code,
	    .reason = "",
	    .msg = sim.message,
	    .dump = "",
	};

	for (u32 i = 0; i < sim.nr_tasks; i++)
		if (sim.tasks[i]->state != DEAD)
			ext_farewell(sim.tasks[i]);
	CALL(exit, IN_UNLOCKED, &info, 0, 0);
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
    .affinity = ext_affinity,
    .hotplug = ext_hotplug,
    .settle = ext_settle,
    .watchdog_ns = ext_watchdog_ns,
    .check = ext_check,
    .finish = ext_finish,
};
