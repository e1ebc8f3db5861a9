// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who wakes whom, and how long the woken thread then waits for a CPU. A wakeup by an
 * interrupt counts for the interrupted thread: process 0 is an idle CPU.
 */

struct pair {
	struct name waker;
	struct name woken;
};

struct woken {
	u64 since;
	struct pair pair;
};

BPF_HASH(waking, u64, struct woken, 32768);
BPF_HASH(pairs, struct pair, struct sum, 4096);

/* (struct task_struct *task) */
RAW_TRACEPOINT_PROBE(sched_waking)
{
	struct woken woken = {.since = bpf_ktime_get_ns()};
	struct sum zero = {}, *sum;
	u64 address = ctx->args[0];
	struct task *task = seen(address);

	/* Its first sleep since the probe began has no name yet; its second has. */
	if (!task || (!task->ours && !current_ours()))
		return 0;
	bpf_get_current_comm(&woken.pair.waker, sizeof(woken.pair.waker));
	woken.pair.woken = task->name;
	sum = pairs.lookup_or_try_init(&woken.pair, &zero);
	if (sum)
		__sync_fetch_and_add(&sum->more, 1);
	else
		lose();
	if (waking.update(&address, &woken))
		lose();
	return 0;
}

/* (bool preempt, struct task_struct *prev, struct task_struct *next, unsigned int prev_state) */
RAW_TRACEPOINT_PROBE(sched_switch)
{
	u64 arrived = ctx->args[2];
	struct woken *found, woken;
	struct sum *sum;

	follow(ctx->args[1]);
	found = waking.lookup(&arrived);
	if (!found)
		return 0;
	woken = *found;
	waking.delete(&arrived);
	sum = pairs.lookup(&woken.pair);
	if (sum)
		add(sum, bpf_ktime_get_ns() - woken.since);
	return 0;
}
