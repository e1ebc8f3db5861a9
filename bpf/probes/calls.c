// SPDX-License-Identifier: GPL-2.0-only
/*
 * How long calls take, from one place in a program to another in the same thread. NESTED:
 * both are the same function, whose calls may be nested.
 */

/*
 * For each power of two of nanoseconds 16 equal buckets, up to 2^43; below 16 ns one bucket
 * each.
 */
#define PARTS	16
#define BUCKETS 640

/* Index of the stack pointer in the kernel's saved registers, in words; see common.c. */
#if defined(__aarch64__)
#define STACK 31
#else
#define STACK 19
#endif

struct began {
	u64 since;
	u64 depth;
	u64 stack;
};

struct calls {
	u64 count;
	u64 total_ns;
};

/* The end of a thread within a call is not reported. */
BPF_TABLE("lru_hash", u32, struct began, began, 32768);
BPF_ARRAY(lengths, u64, BUCKETS);
BPF_ARRAY(totals, struct calls, 1);
/* Set to 0 from outside, at the end of each interval. */
BPF_ARRAY(longest_ns, u64, 1);

int enter(void *ctx)
{
	struct began now = {.since = bpf_ktime_get_ns(), .depth = 1}, *before;
	u32 thread = (u32)bpf_get_current_pid_tgid();

	now.stack = ((u64 *)ctx)[STACK];
	before = began.lookup(&thread);
	/*
	 * Stacks grow downwards: if this call is not below the previous one, it is not inside
	 * it, so that one was left without a return, or belongs to another thread with this
	 * number.
	 */
	if (NESTED && before && now.stack < before->stack) {
		before->depth++;
		return 0;
	}
	if (began.update(&thread, &now))
		lose();
	return 0;
}

static __always_inline u32 bucket(u64 ns)
{
	u32 power = bpf_log2l(ns) - 1, at;

	if (ns < PARTS)
		return ns;
	at = (power - 3) * PARTS + ((ns >> (power - 4)) & (PARTS - 1));
	return at < BUCKETS ? at : BUCKETS - 1;
}

int leave(void *ctx)
{
	u32 thread = (u32)bpf_get_current_pid_tgid(), zero = 0;
	struct began *call;
	struct calls *sums;
	u64 ns, *longest;

	call = began.lookup(&thread);
	if (!call)
		return 0;
	if (NESTED && call->depth > 1) {
		call->depth--;
		return 0;
	}
	ns = bpf_ktime_get_ns() - call->since;
	began.delete(&thread);
	lengths.increment(bucket(ns));
	sums = totals.lookup(&zero);
	if (!sums)
		return 0;
	__sync_fetch_and_add(&sums->count, 1);
	__sync_fetch_and_add(&sums->total_ns, ns);
	longest = longest_ns.lookup(&zero);
	if (longest && ns > *longest)
		*longest = ns;
	return 0;
}
