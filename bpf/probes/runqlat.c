// SPDX-License-Identifier: GPL-2.0-only
/* How long threads wait on a run queue, after a wakeup and after they had to leave. */

struct queued {
	u64 since;
	u64 woken;
};

BPF_HASH(queue, u32, struct queued, 32768);
BPF_HISTOGRAM(after_wakeup, int, 40);
BPF_HISTOGRAM(after_preemption, int, 40);
BPF_HASH(threads, struct name, struct sum, 2048);

static __always_inline int enqueue(u32 thread, u64 woken)
{
	struct queued queued = {.since = bpf_ktime_get_ns(), .woken = woken};

	if (ours(thread) && queue.update(&thread, &queued))
		lose();
	return 0;
}

TRACEPOINT_PROBE(sched, sched_wakeup)
{
	return enqueue(args->pid, 1);
}

TRACEPOINT_PROBE(sched, sched_wakeup_new)
{
	return enqueue(args->pid, 1);
}

TRACEPOINT_PROBE(sched, sched_switch)
{
	u32 left = args->prev_pid, arrived = args->next_pid;
	struct queued *queued;
	struct sum zero = {}, *sum;
	struct name name = {};
	u64 ns;

	follow(left);
	if (left && RUNNABLE(args->prev_state))
		enqueue(left, 0);
	queued = queue.lookup(&arrived);
	if (!queued)
		return 0;
	ns = bpf_ktime_get_ns() - queued->since;
	if (queued->woken)
		after_wakeup.increment(bpf_log2l(ns / 1000));
	else
		after_preemption.increment(bpf_log2l(ns / 1000));
	queue.delete(&arrived);
	__builtin_memcpy(&name.text, args->next_comm, sizeof(name.text));
	sum = threads.lookup_or_try_init(&name, &zero);
	if (sum)
		add(sum, ns);
	else
		lose();
	return 0;
}
