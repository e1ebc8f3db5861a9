// SPDX-License-Identifier: GPL-2.0-only
/* Waits on futexes, by the place in memory. FUTEX is the call's number. */

struct lock {
	u64 address;
	u32 process;
	u32 unused;
};

struct wait {
	u64 since;
	struct lock lock;
};

struct waiter {
	struct lock lock;
	u64 thread;
};

struct of_lock {
	struct sum sum;
	struct name name;
};

BPF_HASH(waits, u32, struct wait, 32768);
BPF_HASH(locks, struct lock, struct of_lock, 4096);
BPF_HASH(waiters, struct waiter, u8, 16384);
BPF_HISTOGRAM(lengths, int, 40);
BPF_ARRAY(wakes, u64, 1);

/* Tracks names, for processes that are observed by name. */
RAW_TRACEPOINT_PROBE(sched_switch)
{
	if (WHOSE == THE_NAME)
		follow(ctx->args[1]);
	return 0;
}

/* (struct pt_regs *regs, long id) */
RAW_TRACEPOINT_PROBE(sys_enter)
{
	u64 both = bpf_get_current_pid_tgid();
	u64 registers = ctx->args[0], operation = 0;
	struct wait wait = {};
	u32 thread = both;

	if (ctx->args[1] != FUTEX || !current_ours())
		return 0;
	bpf_probe_read_kernel(&operation, 8, (void *)(registers + SECOND * 8));
	operation &= 0x7f;			 /* FUTEX_CMD_MASK, as far as it goes */
	if (operation == 1 || operation == 10) { /* FUTEX_WAKE, FUTEX_WAKE_BITSET */
		wakes.increment(0);
		return 0;
	}
	/* WAIT, LOCK_PI, WAIT_BITSET, WAIT_REQUEUE_PI, LOCK_PI2 */
	if (operation != 0 && operation != 6 && operation != 9 && operation != 11 &&
	    operation != 13)
		return 0;
	wait.since = bpf_ktime_get_ns();
	bpf_probe_read_kernel(&wait.lock.address, 8, (void *)(registers + FIRST * 8));
	wait.lock.process = both >> 32;
	if (waits.update(&thread, &wait))
		lose();
	return 0;
}

/* (struct pt_regs *regs, long result) */
RAW_TRACEPOINT_PROBE(sys_exit)
{
	u32 thread = (u32)bpf_get_current_pid_tgid();
	struct of_lock zero = {}, *of;
	struct waiter waiter = {};
	struct wait *wait;
	u8 yes = 1;
	u64 ns;

	wait = waits.lookup(&thread);
	if (!wait)
		return 0;
	ns = bpf_ktime_get_ns() - wait->since;
	waiter.lock = wait->lock;
	waiter.thread = thread;
	waits.delete(&thread);
	bpf_get_current_comm(&zero.name, sizeof(zero.name));
	of = locks.lookup_or_try_init(&waiter.lock, &zero);
	if (!of) {
		lose();
		return 0;
	}
	add(&of->sum, ns);
	if ((s64)ctx->args[1] == -11) /* EAGAIN: the lock was free again by then */
		__sync_fetch_and_add(&of->sum.more, 1);
	waiters.update(&waiter, &yes);
	lengths.increment(bpf_log2l(ns / 1000));
	return 0;
}
