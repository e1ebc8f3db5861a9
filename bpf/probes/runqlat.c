// SPDX-License-Identifier: GPL-2.0-only
/* How long threads wait on a run queue, after a wakeup and after they had to leave. */

struct queued {
	u64 since;
	u64 woken;
};

BPF_HASH(queue, u64, struct queued, 32768);
BPF_HISTOGRAM(after_wakeup, int, 40);
BPF_HISTOGRAM(after_preemption, int, 40);
BPF_HASH(threads, struct name, struct sum, 2048);

static __always_inline int enqueue(u64 task, u64 woken)
{
	struct queued queued = {.since = bpf_ktime_get_ns(), .woken = woken};

	if (queue.update(&task, &queued))
		lose();
	return 0;
}

/* (struct task_struct *task) */
RAW_TRACEPOINT_PROBE(sched_wakeup)
{
	return ours(ctx->args[0]) ? enqueue(ctx->args[0], 1) : 0;
}

/* (bool preempt, struct task_struct *prev, struct task_struct *next, unsigned int prev_state) */
RAW_TRACEPOINT_PROBE(sched_switch)
{
	u64 left = ctx->args[1], arrived = ctx->args[2], ns;
	struct sum zero = {}, *sum;
	struct queued *queued;
	struct task *task;
	struct name name;

	if (follow(left) && ((ctx->args[0] & 1) || !(u32)ctx->args[3]))
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
	task = seen(arrived);
	if (!task)
		return 0;
	name = task->name;
	sum = threads.lookup_or_try_init(&name, &zero);
	if (sum)
		add(sum, ns);
	else
		lose();
	return 0;
}
