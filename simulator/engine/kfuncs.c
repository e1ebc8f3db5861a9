// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The kfuncs of sched_ext, with the signatures of kernel 7.3; those of older kernels are in
 * older.c. The candidate gets those that the kernel has whose types these are (simulator/build.py).
 * A weak one that is missing is NULL in the candidate, as on a kernel that lacks it.
 */
#include "kernel.h"
#include "lines.h"

/* The oldest kernel that has these types. */
#define VERSION(a, b) ((a) << 16 | (b) << 8)
#if defined(HAS_INIT_CIDS)
int LINUX_KERNEL_VERSION = VERSION(7, 3);
#elif defined(HAS_CID_TOPO)
int LINUX_KERNEL_VERSION = VERSION(7, 2);
#elif defined(HAS_SUB_SCHEDULERS)
int LINUX_KERNEL_VERSION = VERSION(7, 1);
#elif defined(KERNEL_HAS_CGROUP_SET_IDLE)
int LINUX_KERNEL_VERSION = VERSION(6, 19);
#elif defined(KERNEL_HAS_CGROUP_SET_BANDWIDTH)
int LINUX_KERNEL_VERSION = VERSION(6, 17);
#else
int LINUX_KERNEL_VERSION = VERSION(6, 12);
#endif
const char CONFIG_CC_VERSION_TEXT[64] = "simulated";
const char CONFIG_LOCALVERSION[64] = "-simulated";
int sd_llc_id[MAX_CPUS];

/* An iterator over a queue has its own node in the list, right behind the last task given. */
struct iterator {
	struct dsq *dsq;
	struct dsq_node here;
	u64 order; /* tasks that came later are not given */
	bool reverse, has_slice, has_vtime;
	u64 slice, vtime;
};

static bool cpu_valid(s32 cpu)
{
	if (cpu >= 0 && cpu < sim.want.cpus)
		return true;
	end_by(EXIT_ERROR, 0, "invalid CPU %d", cpu);
	return false;
}

/* ---- inserting ---- */

static bool insertable(struct task_struct *p, u64 dsq_id, u64 *flags, const char *what)
{
	if (!ext_in(IN_SELECT_CPU | IN_ENQUEUE | IN_DISPATCH, what))
		return false;
	if (!p) {
		end_by(EXIT_ERROR, 0, "called with NULL task");
		return false;
	}
	return ext_vet(dsq_id, flags);
}

bool scx_bpf_dsq_insert___v2___compat(struct task_struct *p, u64 dsq_id, u64 slice, u64 flags)
{
	if (!insertable(p, dsq_id, &flags, "scx_bpf_dsq_insert"))
		return false;
	ext_insert(task_of(p), dsq_id, slice, 0, flags);
	return true;
}

/* As in compat.bpf.h. */
struct vtime_args {
	u64 dsq_id, slice, vtime, enq_flags;
};

bool __scx_bpf_dsq_insert_vtime(struct task_struct *p, struct vtime_args *args)
{
	u64 flags = args->enq_flags;

	if (!insertable(p, args->dsq_id, &flags, "scx_bpf_dsq_insert_vtime"))
		return false;
	ext_insert(task_of(p), args->dsq_id, args->slice, args->vtime, flags | SCX_ENQ_DSQ_PRIQ);
	return true;
}

bool scx_bpf_dsq_move_to_local___v2___compat(u64 dsq_id, u64 flags)
{
	return ext_in(IN_DISPATCH, "scx_bpf_dsq_move_to_local") && ext_vet(SCX_DSQ_LOCAL, &flags) &&
	       ext_move_to_local(dsq_id, flags);
}

u32 scx_bpf_dispatch_nr_slots(void)
{
	return ext_in(IN_DISPATCH, "scx_bpf_dispatch_nr_slots") ? ext_slots() : 0;
}

void scx_bpf_dispatch_cancel(void)
{
	if (ext_in(IN_DISPATCH, "scx_bpf_dispatch_cancel"))
		ext_cancel();
}

void scx_bpf_reenqueue_local___v2___compat(void)
{
	ext_reenqueue(SCX_DSQ_LOCAL, 0);
}

void scx_bpf_dsq_reenq___v71(u64 dsq_id, u64 flags)
{
	ext_reenqueue(dsq_id, flags);
}

/* ---- queues ---- */

s32 scx_bpf_create_dsq(u64 dsq_id, s32 node)
{
	if (dsq_id & SCX_DSQ_FLAG_BUILTIN || node >= sim.want.cpus / sim.want.node_cpus)
		return -22; /* EINVAL */
	return dsq_create(dsq_id);
}

void scx_bpf_destroy_dsq(u64 dsq_id)
{
	struct dsq *dsq = dsq_find(dsq_id);

	if (dsq && dsq->nr)
		end_by(EXIT_ERROR, 0, "attempting to destroy in-use dsq 0x%016llx (nr=%u)", dsq_id,
		       dsq->nr);
	else
		dsq_destroy(dsq_id);
}

s32 scx_bpf_dsq_nr_queued(u64 dsq_id)
{
	struct dsq *dsq;

	if (dsq_id == SCX_DSQ_LOCAL) {
		dsq = &sim.this_cpu->local;
	} else if ((dsq_id & SCX_DSQ_LOCAL_ON) == SCX_DSQ_LOCAL_ON) {
		s32 cpu = dsq_id & SCX_DSQ_LOCAL_CPU_MASK;

		dsq = cpu >= 0 && cpu < sim.want.cpus ? &sim.cpus[cpu].local : NULL;
	} else {
		dsq = dsq_find(dsq_id);
	}
	if (!dsq)
		return -2; /* ENOENT */
	saw_load(line_of_queue(dsq));
	return dsq->nr;
}

struct task_struct *scx_bpf_dsq_peek(u64 dsq_id)
{
	struct dsq *dsq = dsq_find(dsq_id);
	struct task *t;

	if (dsq_id & SCX_DSQ_FLAG_BUILTIN) {
		end_by(EXIT_ERROR, 0, "peek disallowed on builtin DSQ 0x%llx", dsq_id);
		return NULL;
	}
	if (!dsq) {
		end_by(EXIT_ERROR, 0, "peek on non-existent DSQ 0x%llx", dsq_id);
		return NULL;
	}
	saw_load(line_of_queue(dsq));
	t = dsq_first(dsq);
	return t ? kernel_of(t) : NULL;
}

static struct iterator *iterator_of(struct bpf_iter_scx_dsq *it)
{
	return (struct iterator *)it->__opaque[0];
}

int bpf_iter_scx_dsq_new(struct bpf_iter_scx_dsq *it, u64 dsq_id, u64 flags)
{
	struct dsq *dsq = dsq_find(dsq_id);
	struct iterator *made;

	it->__opaque[0] = 0;
	if (flags & ~(u64)SCX_DSQ_ITER_REV)
		return -22;
	if (!dsq)
		return -2;
	saw_look(dsq);
	made = room(sizeof(*made));
	made->dsq = dsq;
	made->order = dsq->order;
	made->reverse = flags & SCX_DSQ_ITER_REV;
	made->here.next = made->here.prev = NULL;
	it->__opaque[0] = (u64)made;
	return 0;
}

static void lift(struct iterator *i)
{
	if (!i->here.next)
		return;
	i->here.prev->next = i->here.next;
	i->here.next->prev = i->here.prev;
	i->here.next = i->here.prev = NULL;
}

struct task_struct *bpf_iter_scx_dsq_next(struct bpf_iter_scx_dsq *it)
{
	struct iterator *i = iterator_of(it);
	struct dsq_node *node;

	if (!i)
		return NULL;
	saw_lock(line_of_queue(i->dsq));
	node = i->here.next ? &i->here : &i->dsq->head;
	do {
		node = i->reverse ? node->prev : node->next;
	} while (node != &i->dsq->head && (!node->task || node->task->order >= i->order));
	lift(i);
	if (COUNTS && node->task)
		saw_store(line_of_task(node->task));
	saw_unlock(line_of_queue(i->dsq), ITERATE_NS);
	if (node == &i->dsq->head) {
		/* It stays at the end. */
		i->order = 0;
		return NULL;
	}
	i->here.prev = node;
	i->here.next = node->next;
	if (i->reverse) {
		i->here.prev = node->prev;
		i->here.next = node;
	}
	i->here.prev->next = &i->here;
	i->here.next->prev = &i->here;
	i->has_slice = i->has_vtime = false;
	return kernel_of(node->task);
}

void bpf_iter_scx_dsq_destroy(struct bpf_iter_scx_dsq *it)
{
	struct iterator *i = iterator_of(it);

	if (!i)
		return;
	lift(i);
	free_room(i);
	it->__opaque[0] = 0;
}

static bool move(struct bpf_iter_scx_dsq *it, struct task_struct *p, u64 dsq_id, u64 flags,
		 bool by_vtime)
{
	struct iterator *i = iterator_of(it);

	if (!ext_in(IN_DISPATCH | IN_UNLOCKED, "scx_bpf_dsq_move"))
		return false;
	if (!i || !p || !ext_vet(dsq_id, &flags) || task_of(p)->dsq != i->dsq)
		return false;
	if (i->has_slice)
		p->scx.slice = i->slice;
	if (i->has_vtime)
		p->scx.dsq_vtime = i->vtime;
	i->has_slice = i->has_vtime = false;
	return ext_move(i->dsq, task_of(p), dsq_id, flags, by_vtime);
}

bool scx_bpf_dsq_move___new(struct bpf_iter_scx_dsq *it, struct task_struct *p, u64 dsq_id,
			    u64 flags)
{
	return move(it, p, dsq_id, flags, false);
}

bool scx_bpf_dsq_move_vtime___new(struct bpf_iter_scx_dsq *it, struct task_struct *p, u64 dsq_id,
				  u64 flags)
{
	return move(it, p, dsq_id, flags, true);
}

void scx_bpf_dsq_move_set_slice___new(struct bpf_iter_scx_dsq *it, u64 slice)
{
	struct iterator *i = iterator_of(it);

	if (!i)
		return;
	i->slice = slice;
	i->has_slice = true;
}

void scx_bpf_dsq_move_set_vtime___new(struct bpf_iter_scx_dsq *it, u64 vtime)
{
	struct iterator *i = iterator_of(it);

	if (!i)
		return;
	i->vtime = vtime;
	i->has_vtime = true;
}

/* ---- CPUs ---- */

s32 scx_bpf_select_cpu_dfl(struct task_struct *p, s32 prev_cpu, u64 wake_flags, bool *is_idle)
{
	s32 cpu;

	*is_idle = false;
	if (!cpu_valid(prev_cpu))
		return prev_cpu;
	if (!builtin_idle()) {
		end_by(EXIT_ERROR, 0, "built-in idle tracking is disabled");
		return prev_cpu;
	}
	cpu = select_idle(task_of(p), prev_cpu, wake_flags, NULL, 0);
	if (cpu < 0)
		return prev_cpu;
	*is_idle = true;
	return cpu;
}

struct select_args {
	s32 prev_cpu;
	u64 wake_flags, flags;
};

s32 __scx_bpf_select_cpu_and(struct task_struct *p, const struct cpumask *allowed,
			     struct select_args *args)
{
	struct cpumask both;
	u32 i;

	if (!cpu_valid(args->prev_cpu))
		return -22;
	for (i = 0; i < sizeof(both) / sizeof(long); i++)
		both.bits[i] = allowed->bits[i] & p->cpus_ptr->bits[i];
	return select_idle(task_of(p), args->prev_cpu, args->wake_flags, &both, args->flags);
}

void scx_bpf_kick_cpu(s32 cpu, u64 flags)
{
	if (cpu_valid(cpu))
		ext_kick(&sim.cpus[cpu], flags);
}

static bool idle_tracked(void)
{
	if (builtin_idle())
		return true;
	end_by(EXIT_ERROR, 0, "built-in idle tracking is disabled");
	return false;
}

bool scx_bpf_test_and_clear_cpu_idle(s32 cpu)
{
	return idle_tracked() && cpu_valid(cpu) && claim_idle(cpu);
}

s32 scx_bpf_pick_idle_cpu(const cpumask_t *allowed, u64 flags)
{
	if (idle_per_node()) {
		end_by(EXIT_ERROR, 0, "per-node idle tracking is enabled");
		return -16;
	}
	return idle_tracked() ? pick_idle(allowed, -1, flags) : -16;
}

u32 bpf_cpumask_any_distribute(const struct cpumask *mask);
u32 bpf_cpumask_any_and_distribute(const struct cpumask *a, const struct cpumask *b);

s32 scx_bpf_pick_any_cpu(const cpumask_t *allowed, u64 flags)
{
	s32 cpu = builtin_idle() ? pick_idle(allowed, -1, flags) : -16;

	if (cpu >= 0)
		return cpu;
	cpu = bpf_cpumask_any_distribute(allowed);
	return cpu < sim.want.cpus ? cpu : -16;
}

/* The node that a kfunc names; for a scheduler that distinguishes nodes. */
static bool node_valid(s32 node)
{
	if (!idle_per_node())
		end_by(EXIT_ERROR, 0, "per-node idle tracking is disabled");
	else if (node >= sim.want.cpus / sim.want.node_cpus)
		end_by(EXIT_ERROR, 0, "invalid node %d", node);
	else
		return true;
	return false;
}

s32 scx_bpf_pick_idle_cpu_node(const cpumask_t *allowed, int node, u64 flags)
{
	return node_valid(node) && idle_tracked() ? pick_idle(allowed, node, flags) : -16;
}

s32 scx_bpf_pick_any_cpu_node(const cpumask_t *allowed, int node, u64 flags)
{
	s32 cpu;

	if (!node_valid(node))
		return -22;
	cpu = builtin_idle() ? pick_idle(allowed, node, flags) : -16;
	if (cpu >= 0)
		return cpu;
	if (flags & SCX_PICK_IDLE_IN_NODE && node >= 0) {
		struct cpumask there = {};

		for (u32 i = 0; i < (u32)sim.want.node_cpus; i++) {
			u32 at = node * sim.want.node_cpus + i;

			there.bits[at / 64] |= 1UL << at % 64;
		}
		cpu = bpf_cpumask_any_and_distribute(&there, allowed);
	} else {
		cpu = bpf_cpumask_any_distribute(allowed);
	}
	return cpu < sim.want.cpus ? cpu : -16;
}

u32 scx_bpf_nr_cpu_ids(void)
{
	return sim.want.cpus;
}

u32 scx_bpf_nr_node_ids(void)
{
	return sim.want.cpus / sim.want.node_cpus;
}

int scx_bpf_cpu_node(s32 cpu)
{
	return cpu_valid(cpu) ? cpu / sim.want.node_cpus : -1;
}

static struct cpumask possible_cpus, online_cpus, idle_cpus, idle_cores, no_cpus;

const struct cpumask *scx_bpf_get_possible_cpumask(void)
{
	for (s32 i = 0; i < sim.want.cpus; i++)
		possible_cpus.bits[i / 64] |= 1UL << i % 64;
	return &possible_cpus;
}

const struct cpumask *scx_bpf_get_online_cpumask(void)
{
	__builtin_memset(&online_cpus, 0, MASK_WORDS * 8);
	for (s32 i = 0; i < sim.want.cpus; i++)
		online_cpus.bits[i / 64] |= (u64)sim.cpus[i].online << i % 64;
	return &online_cpus;
}

/* A snapshot; the kernel's changes while it is read. */
/* `node` < 0: of the whole machine. */
static const struct cpumask *idle_now(struct cpumask *mask, s32 node, bool cores)
{
	__builtin_memset(mask, 0, MASK_WORDS * 8);
	for (s32 i = 0; i < sim.want.cpus; i++)
		if (node < 0 || i / sim.want.node_cpus == node)
			mask->bits[i / 64] |=
			    (u64)(cores ? sim.cpus[i].idle_core : sim.cpus[i].idle_bit) << i % 64;
	return mask;
}

const struct cpumask *scx_bpf_get_idle_cpumask(void)
{
	return idle_tracked() ? idle_now(&idle_cpus, -1, false) : &no_cpus;
}

/* Without SMT the kernel returns the CPUs themselves. */
const struct cpumask *scx_bpf_get_idle_smtmask(void)
{
	return idle_tracked() ? idle_now(&idle_cores, -1, sim.want.core_cpus > 1) : &no_cpus;
}

const struct cpumask *scx_bpf_get_idle_cpumask_node(int node)
{
	return node_valid(node) && idle_tracked() ? idle_now(&idle_cpus, node, false) : &no_cpus;
}

const struct cpumask *scx_bpf_get_idle_smtmask_node(int node)
{
	return node_valid(node) && idle_tracked()
		   ? idle_now(&idle_cores, node, sim.want.core_cpus > 1)
		   : &no_cpus;
}

void scx_bpf_put_cpumask(const struct cpumask *mask)
{
	(void)mask;
}

void scx_bpf_put_idle_cpumask(const struct cpumask *mask)
{
	(void)mask;
}

/* Frequency is not modelled: every CPU runs at its best. */
u32 scx_bpf_cpuperf_cap(s32 cpu)
{
	return cpu_valid(cpu) ? 1024 : 0;
}

u32 scx_bpf_cpuperf_cur(s32 cpu)
{
	return cpu_valid(cpu) ? 1024 : 0;
}

void scx_bpf_cpuperf_set(s32 cpu, u32 perf)
{
	if (perf > 1024)
		end_by(EXIT_ERROR, 0, "Invalid cpuperf target %u for CPU %d", perf, cpu);
	cpu_valid(cpu);
}

/* ---- tasks and time ---- */

bool scx_bpf_task_running(const struct task_struct *p)
{
	return sim.cpus[task_of(p)->cpu].curr == task_of(p);
}

s32 scx_bpf_task_cpu(const struct task_struct *p)
{
	return p->pid ? task_of(p)->cpu : (s32)p->wake_cpu;
}

static struct task_struct *current_on(struct sim_cpu *cpu)
{
	return cpu->curr ? kernel_of(cpu->curr) : cpu->idle_task;
}

struct rq *scx_bpf_cpu_rq(s32 cpu)
{
	struct rq *rq;

	if (!cpu_valid(cpu))
		return NULL;
	rq = sim.cpus[cpu].rq;
	rq->curr = current_on(&sim.cpus[cpu]);
	return rq;
}

struct task_struct *scx_bpf_cpu_curr(s32 cpu)
{
	return cpu_valid(cpu) ? current_on(&sim.cpus[cpu]) : NULL;
}

u64 scx_bpf_now(void)
{
	return clock_now();
}

bool scx_bpf_task_set_slice___new(struct task_struct *p, u64 slice)
{
	p->scx.slice = slice;
	return true;
}

bool scx_bpf_task_set_dsq_vtime___new(struct task_struct *p, u64 vtime)
{
	p->scx.dsq_vtime = vtime;
	return true;
}

struct task_struct *bpf_get_current_task_btf(void)
{
	return current_on(sim.this_cpu);
}

/* Numbers are assigned in order, from 1000 on. */
struct task_struct *bpf_task_from_pid(s32 pid)
{
	u32 index = pid - 1000;

	if (pid < 1000 || index >= sim.nr_tasks || !sim.tasks[index] ||
	    sim.tasks[index]->state == DEAD)
		return NULL;
	if (sim.tasks[index]->leaves) {
		sim.exiting_not_found +=
		    !!(((struct sched_ext_ops *)sim.ops)->flags & SCX_OPS_ENQ_EXITING);
		return NULL;
	}
	sim.tasks[index]->refs++;
	return kernel_of(sim.tasks[index]);
}

struct task_struct *bpf_task_acquire(struct task_struct *p)
{
	if (p->pid)
		task_of(p)->refs++;
	return p;
}

void bpf_task_release(struct task_struct *p)
{
	struct task *t = task_of(p);

	if (!p->pid || !t->refs || --t->refs || t->state != DEAD)
		return;
	retire(t);
}

#ifdef HAS_TID
struct task_struct *scx_bpf_tid_to_task(u64 tid)
{
	struct sched_ext_ops *ops = sim.ops;

	if (!(ops->flags & SCX_OPS_TID_TO_TASK)) {
		end_by(EXIT_ERROR, 0, "scx_bpf_tid_to_task() called without SCX_OPS_TID_TO_TASK");
		return NULL;
	}
	if (!tid || tid > sim.nr_tasks || !sim.tasks[tid - 1] || sim.tasks[tid - 1]->state == DEAD)
		return NULL;
	return kernel_of(sim.tasks[tid - 1]);
}
#endif

/* None of the counted events is modelled closely enough to count. */
void scx_bpf_events(struct scx_event_stats *events, u64 size)
{
	__builtin_memset(events, 0, size);
}

void bpf_rcu_read_lock(void)
{
}

void bpf_rcu_read_unlock(void)
{
}

void bpf_preempt_disable(void)
{
}

void bpf_preempt_enable(void)
{
}

/* ---- the end ---- */

/* The kernel's bstr_printf(), as far as schedulers use it: each argument is a u64. */
static void format_into(char *to, u64 size, const char *format, const u64 *data, u32 bytes)
{
	u32 next = 0, count = bytes / 8;
	u64 at = 0;

	while (*format && at + 1 < size) {
		char one[32];
		u32 length = 0;
		char kind;
		u64 value;

		if (*format != '%') {
			to[at++] = *format++;
			continue;
		}
		if (format[1] == '%') {
			to[at++] = '%';
			format += 2;
			continue;
		}
		/* The directive without its length; the argument is 64 bits wide. */
		one[length++] = *format++;
		while (*format && length < 20 && __builtin_strchr("0123456789.-+ #lhz", *format)) {
			if (!__builtin_strchr("lhz", *format))
				one[length++] = *format;
			format++;
		}
		kind = *format ? *format++ : 'd';
		value = next < count ? data[next] : 0;
		next++;
		if (kind == 's') {
			one[length++] = 's';
			one[length] = 0;
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wformat-nonliteral"
			text_into(to + at, size - at, one, value ? (char *)value : "(null)");
		} else if (kind == 'c') {
			text_into(to + at, size - at, "%c", (int)value);
		} else {
			bool narrow = format[-2] != 'l' && (kind == 'd' || kind == 'i');

			one[length++] = 'l';
			one[length++] = 'l';
			one[length++] = kind == 'p' ? 'x' : kind;
			one[length] = 0;
			text_into(to + at, size - at, one, narrow ? (u64)(s64)(s32)value : value);
#pragma clang diagnostic pop
		}
		while (to[at])
			at++;
	}
	to[at < size ? at : size - 1] = 0;
}

void scx_bpf_error_bstr(char *format, unsigned long long *data, u32 bytes)
{
	char text[1024] = "";

	format_into(text, sizeof(text), format, data, bytes);
	end_by(EXIT_ERROR_BPF, 0, "%s", text);
}

void scx_bpf_exit_bstr(s64 code, char *format, unsigned long long *data, u32 bytes)
{
	char text[1024] = "";

	format_into(text, sizeof(text), format, data, bytes);
	end_by(EXIT_BY_BPF, code, "%s", text);
}

void scx_bpf_dump_bstr(char *format, unsigned long long *data, u32 bytes)
{
	u64 left = sizeof(sim.dump) - sim.dump_length;

	if (left < 2)
		return;
	format_into(sim.dump + sim.dump_length, left, format, data, bytes);
	while (sim.dump[sim.dump_length])
		sim.dump_length++;
}
