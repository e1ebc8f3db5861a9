/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Ends itself with the number of turns of a timer that comes every 10 ms, or where a timer or a
 * work queue is not as in the kernel.
 */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

UEI_DEFINE(uei);

#define INTERVAL_NS 10000000
#define TURNS	    20

struct element {
	u32 before; /* the timer need not come first */
	struct bpf_timer timer;
};

struct job {
	struct bpf_wq work;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 3);
	__type(key, u32);
	__type(value, struct element);
} array SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 2);
	__type(key, u32);
	__type(value, struct element);
} hash SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct job);
} jobs SEC(".maps");

int bpf_wq_init(struct bpf_wq *wq, void *map, unsigned int flags) __ksym;
int bpf_wq_start(struct bpf_wq *wq, unsigned int flags) __ksym;
int bpf_wq_set_callback(struct bpf_wq *wq, int(callback_fn)(void *map, int *key, void *value),
			unsigned int flags) __ksym;

u32 turns, worked;
u64 last;
s32 home;

#define EXPECT(what)                                                                               \
	do {                                                                                       \
		if (!(what))                                                                       \
			scx_bpf_error("not so: " #what);                                           \
	} while (0)

static int on_timer(void *map, int *key, struct element *e)
{
	u64 now = bpf_ktime_get_ns();
	struct job *job;
	u32 zero = 0;

	EXPECT(*key == 1);
	EXPECT((s32)bpf_get_smp_processor_id() == home);
	EXPECT(!last || now >= last + INTERVAL_NS);
	EXPECT(bpf_timer_cancel(&e->timer) == -EDEADLK);
	last = now;
	if (++turns == TURNS)
		scx_bpf_exit(worked, "%u turns", turns);
	job = bpf_map_lookup_elem(&jobs, &zero);
	if (job)
		bpf_wq_start(&job->work, 0);
	bpf_timer_start(&e->timer, INTERVAL_NS, BPF_F_TIMER_CPU_PIN);
	return 0;
}

static int never(void *map, int *key, struct element *e)
{
	scx_bpf_error("a timer that was cancelled");
	return 0;
}

static int on_work(void *map, int *key, void *job)
{
	worked++;
	return 0;
}

s32 BPF_STRUCT_OPS_SLEEPABLE(timers_init)
{
	struct element fresh = {}, *e;
	struct job *job;
	u32 key = 1;

	home = bpf_get_smp_processor_id();
	e = bpf_map_lookup_elem(&array, &key);
	if (!e)
		return -ENOENT;
	EXPECT(bpf_timer_start(&e->timer, 1, 0) == -EINVAL);
	EXPECT(!bpf_timer_init(&e->timer, &array, CLOCK_MONOTONIC));
	EXPECT(bpf_timer_init(&e->timer, &array, CLOCK_MONOTONIC) == -EBUSY);
	EXPECT(!bpf_timer_set_callback(&e->timer, on_timer));
	EXPECT(!bpf_timer_start(&e->timer, bpf_ktime_get_ns() + INTERVAL_NS, BPF_F_TIMER_ABS));
	key = 2;
	e = bpf_map_lookup_elem(&array, &key);
	if (!e)
		return -ENOENT;
	bpf_timer_init(&e->timer, &array, CLOCK_MONOTONIC);
	bpf_timer_set_callback(&e->timer, never);
	EXPECT(!bpf_timer_cancel(&e->timer));
	EXPECT(bpf_timer_start(&e->timer, INTERVAL_NS, 0) == -EINVAL);
	EXPECT(!bpf_timer_set_callback(&e->timer, never));
	EXPECT(!bpf_timer_start(&e->timer, INTERVAL_NS, 0));
	EXPECT(bpf_timer_cancel(&e->timer) == 1);
	/* One that goes with its element. */
	bpf_map_update_elem(&hash, &key, &fresh, 0);
	e = bpf_map_lookup_elem(&hash, &key);
	if (!e)
		return -ENOENT;
	bpf_timer_init(&e->timer, &hash, CLOCK_MONOTONIC);
	bpf_timer_set_callback(&e->timer, never);
	bpf_timer_start(&e->timer, INTERVAL_NS, 0);
	bpf_map_delete_elem(&hash, &key);
	key = 0;
	job = bpf_map_lookup_elem(&jobs, &key);
	if (!job)
		return -ENOENT;
	EXPECT(!bpf_wq_init(&job->work, &jobs, 0));
	EXPECT(!bpf_wq_set_callback(&job->work, on_work, 0));
	return 0;
}

void BPF_STRUCT_OPS(timers_exit, struct scx_exit_info *ei)
{
	UEI_RECORD(uei, ei);
}

SCX_OPS_DEFINE(timers_ops, .init = (void *)timers_init, .exit = (void *)timers_exit,
	       .name = "t_timers");
