// SPDX-License-Identifier: GPL-2.0-only
/*
 * How long threads wait on a run queue, after a wakeup and after an involuntary switch; and
 * how long they take from a wakeup to their next sleep, including these waits.
 */

struct queued {
	u64 since;
	u64 woken;
};

/* From a wakeup to the next sleep, by the task's address. */
struct activation {
	u64 began;
	u64 waited_ns;
	u64 preempted_ns;
};

/* Ended activations of one thread name. */
struct ended {
	struct sum sum;
	u64 waited_ns;
	u64 preempted_ns;
};

BPF_HASH(activations, u64, struct activation, 32768);
BPF_HASH(answers, struct name, struct ended, 2048);
BPF_HISTOGRAM(responses, int, 40);
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

/* A task that is woken before it got to sleep continues its activation. */
static __always_inline void begin(u64 task)
{
	struct activation fresh = {.began = bpf_ktime_get_ns()};

	if (!activations.lookup(&task) && activations.update(&task, &fresh))
		lose();
}

/* The current task sleeps. */
static __always_inline void end(u64 task)
{
	struct activation *found = activations.lookup(&task);
	struct ended zero = {}, *sum;
	struct name name = {};
	u64 ns;

	if (!found)
		return;
	ns = bpf_ktime_get_ns() - found->began;
	responses.increment(bpf_log2l(ns / 1000));
	bpf_get_current_comm(&name, sizeof(name));
	sum = answers.lookup_or_try_init(&name, &zero);
	if (sum) {
		add(&sum->sum, ns);
		__sync_fetch_and_add(&sum->waited_ns, found->waited_ns);
		__sync_fetch_and_add(&sum->preempted_ns, found->preempted_ns);
	} else {
		lose();
	}
	activations.delete(&task);
}

/* (struct task_struct *task) */
RAW_TRACEPOINT_PROBE(sched_wakeup)
{
	if (!ours(ctx->args[0]))
		return 0;
	begin(ctx->args[0]);
	return enqueue(ctx->args[0], 1);
}

/* (bool preempt, struct task_struct *prev, struct task_struct *next, unsigned int prev_state) */
RAW_TRACEPOINT_PROBE(sched_switch)
{
	u64 left = ctx->args[1], arrived = ctx->args[2], ns;
	struct activation *activation;
	struct sum zero = {}, *sum;
	struct queued *queued;
	struct task *task;
	struct name name;

	if (follow(left)) {
		if ((ctx->args[0] & 1) || !(u32)ctx->args[3])
			enqueue(left, 0);
		else
			end(left);
	}
	queued = queue.lookup(&arrived);
	if (!queued)
		return 0;
	ns = bpf_ktime_get_ns() - queued->since;
	activation = activations.lookup(&arrived);
	if (activation && queued->woken)
		activation->waited_ns += ns;
	else if (activation)
		activation->preempted_ns += ns;
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
