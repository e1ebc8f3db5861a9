// SPDX-License-Identifier: GPL-2.0-only
/* Who wakes whom, and how long the woken then waits for a CPU. A wakeup by an interrupt counts for
 * whom it interrupted: process 0 is an idle CPU. */

struct pair {
	struct name waker;
	struct name woken;
};

struct woken {
	u64 since;
	struct pair pair;
};

BPF_HASH(waking, u32, struct woken, 32768);
BPF_HASH(pairs, struct pair, struct sum, 4096);

TRACEPOINT_PROBE(sched, sched_waking)
{
	struct woken woken = {.since = bpf_ktime_get_ns()};
	u32 thread = args->pid;
	struct sum zero = {}, *sum;

	if (!ours(thread) && !current_ours())
		return 0;
	bpf_get_current_comm(&woken.pair.waker, sizeof(woken.pair.waker));
	__builtin_memcpy(&woken.pair.woken.text, args->comm, sizeof(woken.pair.woken.text));
	sum = pairs.lookup_or_try_init(&woken.pair, &zero);
	if (sum)
		__sync_fetch_and_add(&sum->more, 1);
	else
		lose();
	if (waking.update(&thread, &woken))
		lose();
	return 0;
}

TRACEPOINT_PROBE(sched, sched_switch)
{
	u32 arrived = args->next_pid;
	struct woken *found, woken;
	struct sum *sum;

	follow(args->prev_pid);
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
