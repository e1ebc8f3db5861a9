// SPDX-License-Identifier: GPL-2.0-only
/*
 * Chains: where one thread wakes another and waits for it, from the first wakeup to the last sleep.
 *
 * A thread that another wakes continues that one's chain, one link further. A thread that
 * sleeps after waking somebody since its own wakeup has passed its chain on; one that sleeps
 * without waking anybody ends it. A thread that wakes several makes several chains with one
 * beginning.
 *
 * An interrupt, a timer or an idle CPU wakes on nobody's behalf: the woken thread begins a
 * chain. A packet to the same machine is delivered by its sender, in a softirq that the
 * sender itself raised: that counts as the sender's wakeup.
 *
 * Two threads that wake each other for ever would make one endless chain. It is cut after
 * MOST_LINKS threads, and the wakeup beyond that begins a chain within the group (`around`),
 * as does a wakeup by a thread whose own was not seen. Such a chain ends when it comes back
 * to the thread that began it and that one wakes somebody again: that is the next round. A
 * thread that wakes another for the second time since its own wakeup, as a thread too busy to
 * sleep between requests does, has also begun something new.
 */

#define MOST_LINKS 16
#define MOST_NAMES 8
/* Softirqs that deliver packets (include/linux/interrupt.h). */
#define NET_TX	 2
#define NET_RX	 3
#define SOFTIRQS 10

struct path {
	u32 links;
	u32 cut;
	struct name names[MOST_NAMES];
};

struct chain {
	struct path path; /* those before this thread */
	u64 began;
	u64 root;      /* the task that began it */
	u64 queued;    /* since when this thread has waited for a CPU, 0 while it does not */
	u64 waited_ns; /* waits for a CPU, of all threads along the chain */
	/* woken by this thread since its own wakeup: a bit for each, some share one */
	u64 woken;
	u32 handed_on;
	u32 around;
	u32 ours;
	u32 unused;
};

struct handler {
	u64 depth;	       /* running interrupts and softirqs here */
	u64 raisers[SOFTIRQS]; /* the thread that raised a softirq, 0 if an interrupt did */
	u64 own;	       /* running softirqs that count as the thread's own work */
};

BPF_HASH(chains, u64, struct chain, 16384);
BPF_HASH(paths, struct path, struct sum, 4096);
BPF_HASH(roots, struct name, struct sum, 2048);
BPF_HISTOGRAM(times, int, 40);
BPF_ARRAY(links, u64, MOST_LINKS + 1);
BPF_ARRAY(cut, u64, 1);
BPF_ARRAY(alone, u64, 1);
BPF_PERCPU_ARRAY(handlers, struct handler, 1);
BPF_PERCPU_ARRAY(fresh, struct chain, 1);

/* ---- What interrupts whom ---- */

static __always_inline struct handler *here(void)
{
	int zero = 0;

	return handlers.lookup(&zero);
}

static __always_inline int enter(void)
{
	struct handler *handler = here();

	if (handler)
		handler->depth++;
	return 0;
}

static __always_inline int leave(void)
{
	struct handler *handler = here();

	if (handler && handler->depth)
		handler->depth--;
	return 0;
}

RAW_TRACEPOINT_PROBE(irq_handler_entry)
{
	return enter();
}

RAW_TRACEPOINT_PROBE(irq_handler_exit)
{
	return leave();
}

RAW_TRACEPOINT_PROBE(hrtimer_expire_entry)
{
	return enter();
}

RAW_TRACEPOINT_PROBE(hrtimer_expire_exit)
{
	return leave();
}

/* (unsigned int vector) */
RAW_TRACEPOINT_PROBE(softirq_raise)
{
	struct handler *handler = here();
	u64 vector = ctx->args[0];

	if (handler && vector < SOFTIRQS)
		handler->raisers[vector] = handler->depth ? 0 : bpf_get_current_task();
	return 0;
}

/* (unsigned int vector) */
RAW_TRACEPOINT_PROBE(softirq_entry)
{
	struct handler *handler = here();
	u64 vector = ctx->args[0];

	if (!handler || vector >= SOFTIRQS)
		return 0;
	if ((vector == NET_RX || vector == NET_TX) &&
	    handler->raisers[vector] == bpf_get_current_task())
		handler->own++;
	else
		handler->depth++;
	handler->raisers[vector] = 0;
	return 0;
}

/* (unsigned int vector) */
RAW_TRACEPOINT_PROBE(softirq_exit)
{
	struct handler *handler = here();

	if (!handler)
		return 0;
	/* Softirqs do not nest: the one that ends is the one that began last. */
	if (handler->own)
		handler->own--;
	else if (handler->depth)
		handler->depth--;
	return 0;
}

/* ---- Chains ---- */

/* Adds the current thread's name to those of the path. */
static __always_inline void name_current(struct path *path)
{
	u32 at = path->links;

	path->links++;
	if (at < MOST_NAMES)
		bpf_get_current_comm(&path->names[at], sizeof(path->names[at]));
}

/* Adds the name of a thread that is not the current one. */
static __always_inline void name_other(struct path *path, u64 task)
{
	struct task *found = seen(task);
	u32 at = path->links;

	path->links++;
	if (at < MOST_NAMES && found)
		path->names[at] = found->name;
}

/* The chain has ended; its path has all names. */
static __always_inline void end(struct chain *chain, u64 now)
{
	u64 ns = now - chain->began;
	struct sum zero = {}, *sum;
	int at = chain->path.links;

	if (!chain->ours)
		return;
	if (at <= 1) {
		alone.increment(0);
		return;
	}
	if (chain->path.cut)
		cut.increment(0);
	times.increment(bpf_log2l(ns / 1000));
	links.increment(at < MOST_LINKS ? at : MOST_LINKS);
	sum = paths.lookup_or_try_init(&chain->path, &zero);
	if (sum) {
		add(sum, ns);
		__sync_fetch_and_add(&sum->more, chain->waited_ns);
	} else {
		lose();
	}
	sum = roots.lookup_or_try_init(&chain->path.names[0], &zero);
	if (sum) {
		add(sum, ns);
		__sync_fetch_and_add(&sum->more, chain->waited_ns);
	} else {
		lose();
	}
}

/* Begins a chain at `task`; by the current thread if `around`. */
static __always_inline void begin(u64 task, u64 now, int around)
{
	int zero = 0;
	struct chain *chain = fresh.lookup(&zero);

	if (!chain)
		return;
	__builtin_memset(chain, 0, sizeof(*chain));
	chain->began = now;
	chain->queued = now;
	chain->root = task;
	if (around) {
		chain->around = 1;
		chain->root = bpf_get_current_task();
		chain->ours = current_ours();
		name_current(&chain->path);
	}
	if (chains.update(&task, chain))
		lose();
}

/* The current thread's further work begins a chain here. */
static __always_inline void anew(struct chain *chain, u64 now)
{
	__builtin_memset(chain, 0, sizeof(*chain));
	chain->began = now;
	chain->root = bpf_get_current_task();
	chain->around = 1;
}

/* The current thread wakes `task`. */
static __always_inline void hand_on(u64 task, u64 now)
{
	u64 waker = bpf_get_current_task();
	u64 bit = 1ULL << ((task >> 7 ^ task >> 13) & 63);
	struct chain *from = chains.lookup(&waker), *chain;
	int back, full;

	if (!from) {
		begin(task, now, 1);
		return;
	}
	back = from->around && from->root == waker && from->path.links;
	full = from->path.links + 1 >= MOST_LINKS;
	if ((back || full) && !from->handed_on) {
		name_current(&from->path);
		from->path.cut = !back;
		from->ours |= current_ours();
		end(from, now);
	}
	if (back || full || (from->woken & bit))
		anew(from, now);
	from->handed_on = 1;
	from->woken |= bit;
	if (chains.update(&task, from)) {
		lose();
		return;
	}
	chain = chains.lookup(&task);
	if (!chain)
		return;
	name_current(&chain->path);
	chain->ours |= current_ours();
	chain->handed_on = 0;
	chain->woken = 0;
	chain->queued = now;
}

static __always_inline int wakes(u64 task)
{
	u64 now = bpf_ktime_get_ns();
	struct handler *handler = here();
	struct chain *before;

	if (!handler || task == bpf_get_current_task())
		return 0;
	/* It was about to sleep but did not: this counts as a sleep. */
	before = chains.lookup(&task);
	if (before && !before->handed_on) {
		name_other(&before->path, task);
		before->ours |= ours(task);
		end(before, now);
	}
	if (handler->depth || !(u32)bpf_get_current_pid_tgid())
		begin(task, now, 0);
	else
		hand_on(task, now);
	return 0;
}

/* (struct task_struct *task) */
RAW_TRACEPOINT_PROBE(sched_waking)
{
	return wakes(ctx->args[0]);
}

/* (struct task_struct *task), by who made it */
RAW_TRACEPOINT_PROBE(sched_wakeup_new)
{
	return wakes(ctx->args[0]);
}

/* (bool preempt, struct task_struct *prev, struct task_struct *next, unsigned int prev_state) */
RAW_TRACEPOINT_PROBE(sched_switch)
{
	u64 leaving = ctx->args[1], arrived = ctx->args[2], now = bpf_ktime_get_ns();
	struct handler *handler = here();
	struct chain *chain;

	/* No interrupt runs while tasks change: this corrects missed ends. */
	if (handler) {
		handler->depth = 0;
		handler->own = 0;
	}
	follow(leaving);
	chain = chains.lookup(&leaving);
	if (chain && ((ctx->args[0] & 1) || !(u32)ctx->args[3])) {
		chain->queued = now;
	} else if (chain) {
		if (!chain->handed_on) {
			name_current(&chain->path);
			chain->ours |= current_ours();
			end(chain, now);
		}
		chains.delete(&leaving);
	}
	chain = chains.lookup(&arrived);
	if (chain && chain->queued) {
		chain->waited_ns += now - chain->queued;
		chain->queued = 0;
	}
	return 0;
}
