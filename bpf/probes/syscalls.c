// SPDX-License-Identifier: GPL-2.0-only
/* How often system calls are made, how long they take, and how often they fail. */

struct call {
	u64 since;
	u64 number;
};

BPF_HASH(calls, u32, struct call, 32768);
BPF_HASH(sums, u32, struct sum, 1024);

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
	struct call call = {.since = bpf_ktime_get_ns(), .number = ctx->args[1]};
	u32 thread = (u32)bpf_get_current_pid_tgid();

	if (current_ours() && calls.update(&thread, &call))
		lose();
	return 0;
}

/* (struct pt_regs *regs, long result) */
RAW_TRACEPOINT_PROBE(sys_exit)
{
	u32 thread = (u32)bpf_get_current_pid_tgid(), number;
	struct sum zero = {}, *sum;
	struct call *call;

	call = calls.lookup(&thread);
	if (!call)
		return 0;
	number = call->number;
	sum = sums.lookup_or_try_init(&number, &zero);
	if (sum) {
		add(sum, bpf_ktime_get_ns() - call->since);
		if ((s64)ctx->args[1] < 0)
			__sync_fetch_and_add(&sum->more, 1);
	} else {
		lose();
	}
	calls.delete(&thread);
	return 0;
}
