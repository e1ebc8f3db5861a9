// SPDX-License-Identifier: GPL-2.0-only
/*
 * Waits for locks that became longer because the thread that held the lock had lost its CPU.
 *
 * The kernel does not know who holds a user-space lock. It is inferred: the thread that ends
 * a wait on a futex, by waking the waiter at the same place of the same process, held it,
 * provided that
 *
 *	memory named it as the owner when the wait began: a mutex of glibc, whose word is 2 and
 * whose owner stands 8 bytes behind it, or a PI mutex, whose word is the owner; or it has
 * waited at that place itself, as threads that share a lock do, and threads that hand out
 * work do not.
 *
 * The counted time is that in which a holder wanted to run and did not. A thread that has
 * waited at the place itself holds the lock from then on; a waiter's wait before that counts
 * for the owner in memory, and for nobody if there was none. FUTEX is the call's number.
 */

#define TID_MASK 0x3fffffff /* FUTEX_TID_MASK */
/*
 * How many losses of the CPU are remembered for a thread. For a longer hold the last ones are
 * counted.
 */
#define STAYS_AWAY 8

struct lock {
	u64 address;
	u32 process;
	u32 unused;
};

struct wait {
	struct lock lock;
	u64 since;
	u32 owner; /* according to memory, 0 if it names nobody */
	u32 over;  /* some thread has woken it */
};

struct user {
	struct lock lock;
	u64 thread;
};

struct away {
	u64 next;  /* of those below */
	u64 since; /* 0 while it is on a CPU, or asleep */
	u64 began[STAYS_AWAY];
	u64 ended[STAYS_AWAY];
};

struct known {
	u64 task;
	u32 process;
	u32 unused;
};

struct of_holder {
	struct sum held; /* those for whom others waited; `more`: those named in memory */
	struct sum lost; /* and those without a CPU meanwhile, and how long */
};

/* What a task waits for, by its address. */
BPF_HASH(waits, u64, struct wait, 32768);
/* By thread: the place of its current wakeup or unlocking. */
BPF_HASH(releasing, u32, struct lock, 8192);
/* When a thread last ended a wait of its own at a place. */
BPF_TABLE("lru_hash", struct user, u64, users, 16384);
/* By the task's address. */
BPF_TABLE("lru_hash", u64, struct away, gone, 16384);
/* By thread. */
BPF_TABLE("lru_hash", u32, struct known, known, 32768);
BPF_HASH(holders, struct name, struct of_holder, 2048);
BPF_HISTOGRAM(lengths, int, 40);
BPF_ARRAY(waits_of_others, u64, 2); /* waits not ended by a holder's release: count, ns */

static __always_inline u64 argument(u64 registers, int word)
{
	u64 value = 0;

	bpf_probe_read_kernel(&value, 8, (void *)(registers + word * 8));
	return value;
}

/* The owner according to memory of the lock that the current thread is about to wait for. */
static __always_inline u32 owner_of(u64 address, u32 operation, u32 expected)
{
	u32 words[3] = {}, owner = 0;
	u64 both = bpf_get_current_pid_tgid();
	struct known *found;

	if (bpf_probe_read_user(words, sizeof(words), (void *)address))
		return 0;
	if (operation == 6 || operation == 13)
		owner = words[0] & TID_MASK;
	else if (expected == 2 && words[0] == 2)
		owner = words[2];
	if (!owner || owner == (u32)both)
		return 0;
	found = known.lookup(&owner);
	return found && found->process == both >> 32 ? owner : 0;
}

/* (struct pt_regs *regs, long id) */
RAW_TRACEPOINT_PROBE(sys_enter)
{
	u64 both = bpf_get_current_pid_tgid(), task = bpf_get_current_task();
	u64 registers = ctx->args[0];
	struct wait wait = {};
	u32 thread = both, operation;

	if (ctx->args[1] != FUTEX || !current_ours())
		return 0;
	operation = argument(registers, SECOND) & 0x7f; /* FUTEX_CMD_MASK, as far as it goes */
	wait.lock.address = argument(registers, FIRST);
	wait.lock.process = both >> 32;
	switch (operation) {
	case 1:	 /* WAKE */
	case 3:	 /* REQUEUE */
	case 4:	 /* CMP_REQUEUE */
	case 5:	 /* WAKE_OP */
	case 7:	 /* UNLOCK_PI */
	case 10: /* WAKE_BITSET */
		if (releasing.update(&thread, &wait.lock))
			lose();
		return 0;
	case 0:	 /* WAIT */
	case 6:	 /* LOCK_PI */
	case 9:	 /* WAIT_BITSET */
	case 13: /* LOCK_PI2 */
		wait.since = bpf_ktime_get_ns();
		wait.owner = owner_of(wait.lock.address, operation, argument(registers, THIRD));
		if (waits.update(&task, &wait))
			lose();
	}
	return 0;
}

/* (struct pt_regs *regs, long result) */
RAW_TRACEPOINT_PROBE(sys_exit)
{
	u64 task = bpf_get_current_task(), now = bpf_ktime_get_ns();
	u32 thread = (u32)bpf_get_current_pid_tgid();
	struct user user = {.thread = task};
	struct wait *wait;

	releasing.delete(&thread);
	wait = waits.lookup(&task);
	if (!wait)
		return 0;
	user.lock = wait->lock;
	/* EAGAIN: the lock was free again by then, and it did not wait. */
	if (!wait->over && (s64)ctx->args[1] != -11) {
		waits_of_others.increment(0);
		waits_of_others.increment(1, now - wait->since);
	}
	waits.delete(&task);
	if ((s64)ctx->args[1] != -11)
		users.update(&user, &now);
	return 0;
}

/* How long a thread was without a CPU between two moments, as far as is remembered. */
static __always_inline u64 away_between(u64 task, u64 begin, u64 end)
{
	struct away *away = gone.lookup(&task);
	u64 ns = 0, from, to;
	int i;

	if (!away)
		return 0;
#pragma unroll
	for (i = 0; i < STAYS_AWAY; i++) {
		from = away->began[i] > begin ? away->began[i] : begin;
		to = away->ended[i] < end ? away->ended[i] : end;
		if (to > from)
			ns += to - from;
	}
	return ns;
}

/* Somebody waited for this holder between two moments. */
static __always_inline void charge(struct name *name, u64 holder, u64 begin, u64 end, int named)
{
	struct of_holder zero = {}, *of = holders.lookup_or_try_init(name, &zero);
	u64 ns = away_between(holder, begin, end);

	if (!of) {
		lose();
		return;
	}
	add(&of->held, end - begin);
	if (named)
		__sync_fetch_and_add(&of->held.more, 1);
	if (ns) {
		add(&of->lost, ns);
		lengths.increment(bpf_log2l(ns / 1000));
	}
}

/* (struct task_struct *task) */
RAW_TRACEPOINT_PROBE(sched_waking)
{
	u64 woken = ctx->args[0], holder = bpf_get_current_task(), now = bpf_ktime_get_ns();
	u32 thread = (u32)bpf_get_current_pid_tgid();
	struct wait *wait = waits.lookup(&woken);
	struct user user = {.thread = holder};
	struct lock *released;
	struct name name = {};
	struct known *before;
	struct task *owner;
	u64 *took;

	if (!wait || wait->over)
		return 0;
	released = releasing.lookup(&thread);
	if (!released || released->address != wait->lock.address ||
	    released->process != wait->lock.process)
		return 0;
	user.lock = wait->lock;
	took = users.lookup(&user);
	if (!took && wait->owner != thread)
		return 0;
	wait->over = 1;
	bpf_get_current_comm(&name, sizeof(name));
	if (!took || *took <= wait->since || wait->owner == thread) {
		charge(&name, holder, wait->since, now, wait->owner == thread);
		return 0;
	}
	charge(&name, holder, *took, now, 0);
	before = wait->owner ? known.lookup(&wait->owner) : NULL;
	owner = before ? seen(before->task) : NULL;
	if (owner) {
		name = owner->name;
		charge(&name, before->task, wait->since, *took, 1);
	} else {
		waits_of_others.increment(1, *took - wait->since);
	}
	return 0;
}

/* (bool preempt, struct task_struct *prev, struct task_struct *next, unsigned int prev_state) */
RAW_TRACEPOINT_PROBE(sched_switch)
{
	u64 leaving = ctx->args[1], arrived = ctx->args[2], now = bpf_ktime_get_ns();
	u64 both = bpf_get_current_pid_tgid();
	struct known task = {.task = leaving, .process = both >> 32};
	struct away zero = {}, *away;
	u32 thread = both, at;

	if (follow(leaving)) {
		known.update(&thread, &task);
		if ((ctx->args[0] & 1) || !(u32)ctx->args[3]) {
			away = gone.lookup_or_try_init(&leaving, &zero);
			if (away)
				away->since = now;
		}
	}
	away = gone.lookup(&arrived);
	if (away && away->since) {
		at = away->next++ & (STAYS_AWAY - 1);
		away->began[at] = away->since;
		away->ended[at] = now;
		away->since = 0;
	}
	return 0;
}
