// SPDX-License-Identifier: GPL-2.0-only
/* Where threads are while they are on a CPU, sampled by a clock. */

/* The beginning of struct bpf_perf_event_data. */
struct sampled {
	u64 registers[INSTRUCTION + 1];
};

struct place {
	u64 address;
	u32 process;
	u32 unused;
	struct name name;
};

BPF_HASH(places, struct place, u64, 16384);

/* Tracks names, for processes that are observed by name. */
RAW_TRACEPOINT_PROBE(sched_switch)
{
	if (WHOSE == THE_NAME)
		follow(ctx->args[1]);
	return 0;
}

int sample(struct sampled *ctx)
{
	u64 both = bpf_get_current_pid_tgid(), zero = 0, *count;
	struct place place = {.process = both >> 32};

	if (!(u32)both || !current_ours())
		return 0;
	place.address = ctx->registers[INSTRUCTION];
	bpf_get_current_comm(&place.name, sizeof(place.name));
	count = places.lookup_or_try_init(&place, &zero);
	if (count)
		__sync_fetch_and_add(count, 1);
	else
		lose();
	return 0;
}
