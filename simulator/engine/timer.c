// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The candidate's timers and work queues. For the candidate each is two words in a map's
 * value, the first of which points to our data. Both run between events, on the CPU that
 * started them, and take no time.
 */
#include "kernel.h"

#define EBUSY	16
#define EINVAL	22
#define EDEADLK 35

struct deferred {
	struct deferred *next;
	void *place; /* the struct bpf_timer or bpf_wq */
	void *map, *key, *value;
	void *callback;
	s32 cpu;
	bool armed, gone;
	u64 stamp; /* number of its valid event */
};

/* A CPU that runs a timer every 5 us has little time for anything else. */
#define STORM_NS     100000000ULL
#define STORM_TIMERS 20000

static struct deferred *every, *running;
static u64 storm_until;
static u32 storm_timers;

/* maps.c */
bool find_element(void *map, void *inside, void **key, void **value);

static struct deferred *behind(void *place)
{
	return *(struct deferred **)place;
}

static long init(void *place, void *map)
{
	struct deferred *made;

	if (behind(place))
		return -EBUSY;
	made = room(sizeof(*made));
	made->place = place;
	made->map = map;
	if (!find_element(map, place, &made->key, &made->value)) {
		free_room(made);
		return -EINVAL;
	}
	made->next = every;
	every = made;
	*(struct deferred **)place = made;
	return 0;
}

static long set_callback(void *place, void *callback)
{
	if (!behind(place))
		return -EINVAL;
	behind(place)->callback = callback;
	return 0;
}

static long start(void *place, u64 at)
{
	struct deferred *d = behind(place);

	if (!d || !d->callback)
		return -EINVAL;
	d->armed = true;
	d->cpu = sim.this_cpu->id;
	wake_deferred(at > sim.now ? at : sim.now, d, ++d->stamp);
	return 0;
}

long bpf_timer_init(struct bpf_timer *timer, void *map, u64 flags)
{
	/* CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_BOOTTIME: the same time here. */
	if (flags != 0 && flags != 1 && flags != 7)
		return -EINVAL;
	return init(timer, map);
}

long bpf_timer_set_callback(struct bpf_timer *timer, void *callback)
{
	return set_callback(timer, callback);
}

long bpf_timer_start(struct bpf_timer *timer, u64 ns, u64 flags)
{
	if (flags & ~(u64)(BPF_F_TIMER_ABS | BPF_F_TIMER_CPU_PIN))
		return -EINVAL;
	if (flags & BPF_F_TIMER_ABS)
		return start(timer, ns > UPTIME_NS ? ns - UPTIME_NS : 0);
	return start(timer, sim.now + ns);
}

long bpf_timer_cancel(struct bpf_timer *timer)
{
	struct deferred *d = behind(timer);
	bool was;

	if (!d)
		return -EINVAL;
	if (d == running)
		return -EDEADLK;
	was = d->armed;
	d->armed = false;
	/* The callback goes away with its timer (kernel/bpf/helpers.c). */
	d->callback = NULL;
	return was;
}

int bpf_wq_init(struct bpf_wq *wq, void *map, u32 flags)
{
	return flags ? -EINVAL : init(wq, map);
}

int bpf_wq_set_callback(struct bpf_wq *wq, void *callback, u32 flags)
{
	return flags ? -EINVAL : set_callback(wq, callback);
}

int bpf_wq_set_callback_impl(struct bpf_wq *wq, void *callback, u32 flags, void *unused)
{
	(void)unused;
	return bpf_wq_set_callback(wq, callback, flags);
}

int bpf_wq_start(struct bpf_wq *wq, u32 flags)
{
	return flags ? -EINVAL : start(wq, sim.now + sim.want.wake_ns);
}

void run_deferred(void *object, u64 stamp)
{
	struct deferred *d = object;

	if (!d->armed || d->gone || d->stamp != stamp)
		return;
	d->armed = false;
	if (sim.now >= storm_until) {
		storm_until = sim.now + STORM_NS;
		storm_timers = 0;
	}
	if (++storm_timers > STORM_TIMERS) {
		end_by(EXIT_CRASH, 0, "live-lock: %u timers ran within %llu ms", storm_timers,
		       STORM_NS / 1000000);
		return;
	}
	sim.this_cpu = &sim.cpus[d->cpu];
	running = d;
	ext_callback("a timer's callback", d->callback, (u64)d->map, (u64)d->key, (u64)d->value);
	running = NULL;
}

/* Together with the element that contains them. */
void cancel_timers(const void *from, u64 bytes)
{
	struct deferred **at = &every;

	while (*at) {
		struct deferred *d = *at;

		if ((u64)d->place - (u64)from >= bytes) {
			at = &d->next;
			continue;
		}
		/* An event may still refer to it. */
		d->gone = true;
		*at = d->next;
	}
}
