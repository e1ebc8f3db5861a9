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
BPF_HASH(left, u32, struct away, 32768);
BPF_HASH(reasons, struct why, struct sum, 4096);

TRACEPOINT_PROBE(raw_syscalls, sys_enter)
{
	u32 thread = (u32)bpf_get_current_pid_tgid(), call = args->id;

	if (current_ours() && calls.update(&thread, &call))
		lose();
	return 0;
}

TRACEPOINT_PROBE(raw_syscalls, sys_exit)
{
	u32 thread = (u32)bpf_get_current_pid_tgid();

	calls.delete(&thread);
	return 0;
}

TRACEPOINT_PROBE(sched, sched_switch)
{
	u32 leaving = args->prev_pid, arrived = args->next_pid, *call;
	u64 now = bpf_ktime_get_ns();
	struct sum zero = {}, *sum;
	struct away away = {}, *gone;

	follow(leaving);
	if (ours(leaving)) {
		call = calls.lookup(&leaving);
		away.since = now;
		away.why.call = call ? *call : NO_CALL;
		away.why.state = RUNNABLE(args->prev_state) ? 0 : args->prev_state & 0xff;
		__builtin_memcpy(&away.why.name.text, args->prev_comm, sizeof(away.why.name.text));
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
