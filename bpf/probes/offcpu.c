// SPDX-License-Identifier: GPL-2.0-only
/* What threads are off the CPU for: how they left it, and the system call they are in. */

#define NO_CALL 0xffffffff

struct why {
	u32 call;
	u32 state;
	struct name name;
};

struct away {
	u64 since;
	struct why why;
};

BPF_HASH(calls, u32, u32, 32768);
BPF_HASH(left, u64, struct away, 32768);
BPF_HASH(reasons, struct why, struct sum, 4096);

/* (struct pt_regs *regs, long id) */
RAW_TRACEPOINT_PROBE(sys_enter)
{
	u32 thread = (u32)bpf_get_current_pid_tgid(), call = ctx->args[1];

	if (current_ours() && calls.update(&thread, &call))
		lose();
	return 0;
}

RAW_TRACEPOINT_PROBE(sys_exit)
{
	u32 thread = (u32)bpf_get_current_pid_tgid();

	calls.delete(&thread);
	return 0;
}

/* (bool preempt, struct task_struct *prev, struct task_struct *next, unsigned int prev_state) */
RAW_TRACEPOINT_PROBE(sched_switch)
{
	u64 leaving = ctx->args[1], arrived = ctx->args[2], now = bpf_ktime_get_ns();
	u32 thread = (u32)bpf_get_current_pid_tgid(), *call;
	struct sum zero = {}, *sum;
	struct away away = {}, *gone;

	if (follow(leaving)) {
		call = calls.lookup(&thread);
		away.since = now;
		away.why.call = call ? *call : NO_CALL;
		away.why.state = (ctx->args[0] & 1) ? 0 : (u32)ctx->args[3] & 0xff;
		bpf_get_current_comm(&away.why.name, sizeof(away.why.name));
		if (left.update(&leaving, &away))
			lose();
	}
	gone = left.lookup(&arrived);
	if (!gone)
		return 0;
	away = *gone;
	left.delete(&arrived);
	sum = reasons.lookup_or_try_init(&away.why, &zero);
	if (sum)
		add(sum, now - away.since);
	else
		lose();
	return 0;
}
