// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A model of what cache lines cost that CPUs share. docs/simulator.md explains it.
 *
 * A core may have a copy of a line, and so may a last-level cache (LLC). A load needs a copy. A
 * store needs the only one. Whoever lacks that gets it from another core of the LLC, from another
 * LLC of the node, or from another node, and each takes its time. A line goes from one CPU to the
 * next, so one that needs it waits until all that asked before are done. A lock is a line that is
 * kept for as long as the lock is held. Nothing of this changes the simulated time, and a CPU asks
 * for everything at the time of its event, however long it waits there: if its waits delayed what
 * it asks for next, that would be reserved for a time to come, and nobody could use it until then.
 *
 * The candidate is compiled with -fsanitize=thread, which calls a function for each load and store
 * of memory that others may see. That is all that is used of it; the functions are here.
 */
#include "lines.h"

#ifdef COUNTS_LINES
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * ns, rounded from published measurements between cores of two-socket servers (AMD EPYC 7002 and
 * 7003: about 25, 100 and 200).
 */
#define HIT_NS	1
#define NEAR_NS 30  /* from another core of the LLC */
#define FAR_NS	100 /* from another LLC of the node */
#define NODE_NS 200 /* from another node */
/* An atomic operation on a line that is there, and so the taking and release of a lock. */
#define ATOMIC_NS 10

#define LINE_BYTES  64
#define STACK_BELOW 4096
#define MOST_SITES  4096
#define TOP_SITES   60

struct line {
	u64 number; /* the address / 64; 0: a free place in the table */
	const char *name;
	u64 base, unit;
	/* How long it is in use by those who asked for it up to then, and the last of them. */
	u64 backlog, asked_at, service;
	s32 asked_by;
	bool stored;   /* nobody has loaded it since the last store */
	u64 locked_at; /* by the clock of the CPU that has the lock */
	u64 cores[MASK_WORDS], caches[MASK_WORDS];
};

struct variable {
	u64 from, bytes, placed;
	const char *name;
};

/* What happened in wakeups, or in everything else. */
struct bill {
	u64 loads, stores, locks;
	u64 shared_loads, shared_stores; /* lines that came from another LLC */
	u64 near_ns, far_ns;		 /* from within the LLC, from beyond */
	u64 held_ns, lock_wait_ns, line_wait_ns, ns;
};

/* A place in the code that uses a variable. */
struct site {
	const char *name;
	const char *in; /* the callback whose kfunc uses it; NULL: the code does, or the kernel */
	u64 offset, code;
	bool lock;
	u64 loads, stores, ns, wait_ns;
};

static struct line *lines;
static u64 nr_lines, line_room;
static struct variable *variables;
static u32 nr_variables;
static struct site sites[MOST_SITES];
static struct bill bills[2];
static u64 wakeups, switches, counts_from;
static bool ended;
static u32 in_wakeup;
/* Within one moment of the simulation, a CPU does one thing after the other. */
static u64 moments[MAX_CPUS], clocks[MAX_CPUS];

static const char *const kernel_names[] = {
    [LINE_RUN_QUEUE] = "(run queue)",	    [LINE_QUEUE] = "(dispatch queue)",
    [LINE_GLOBAL_QUEUE] = "(global queue)", [LINE_IDLE_CPUS] = "(idle CPUs)",
    [LINE_IDLE_CORES] = "(idle cores)",	    [LINE_BUCKET] = "(bucket of a hash)",
};

static bool has(const u64 *mask, u32 bit)
{
	return mask[bit / 64] >> bit % 64 & 1;
}

static void add(u64 *mask, u32 bit)
{
	mask[bit / 64] |= 1ULL << bit % 64;
}

static struct line *place_in_table(u64 number)
{
	u64 at = number * 0x9e3779b97f4a7c15ULL >> 20;

	while (lines[at & (line_room - 1)].number && lines[at & (line_room - 1)].number != number)
		at++;
	return &lines[at & (line_room - 1)];
}

static struct line *line_at(u64 address)
{
	u64 number = address / LINE_BYTES;
	struct line *found;

	if (nr_lines * 2 >= line_room) {
		struct line *old = lines;
		u64 room_before = line_room;

		line_room = line_room ? line_room * 2 : 1 << 16;
		lines = room(line_room * sizeof(*lines));
		for (u64 i = 0; i < room_before; i++)
			if (old[i].number)
				*place_in_table(old[i].number) = old[i];
		free_room(old);
	}
	found = place_in_table(number);
	if (!found->number) {
		found->number = number;
		nr_lines++;
	}
	return found;
}

void name_lines(const void *from, u64 bytes, const char *name, u64 unit)
{
	for (u64 at = (u64)from & ~(LINE_BYTES - 1ULL); at < (u64)from + bytes; at += LINE_BYTES) {
		struct line *line = line_at(at);

		/* The memory may have been something else before. */
		*line = (struct line){
		    .number = line->number,
		    .name = name,
		    .base = (u64)from,
		    .unit = unit,
		};
	}
}

static int by_address(const void *a, const void *b)
{
	const struct variable *x = a, *y = b;

	return (x->from > y->from) - (x->from < y->from);
}

void place_variable(const void *from, u64 bytes, const char *name, u64 placed)
{
	variables = more_room(variables, (nr_variables + 1) * sizeof(*variables));
	variables[nr_variables++] = (struct variable){
	    (u64)from, bytes, placed ? (u64)LINE_OF_VARIABLES << 56 | placed : (u64)from, name};
	qsort(variables, nr_variables, sizeof(*variables), by_address);
}

static const struct variable *variable_at(u64 address)
{
	u32 low = 0, high = nr_variables;

	while (low < high) {
		u32 middle = (low + high) / 2;

		if (variables[middle].from + variables[middle].bytes <= address)
			low = middle + 1;
		else
			high = middle;
	}
	return low < nr_variables && variables[low].from <= address ? &variables[low] : NULL;
}

static struct site *site_of(const char *name, u64 offset, u64 code, bool lock)
{
	const char *in = code ? NULL : sim.in;
	u64 at = ((u64)name ^ (u64)in << 7 ^ offset * 0x9e3779b97f4a7c15ULL ^ code << 17 ^ lock) *
		     0xbf58476d1ce4e5b9ULL >>
		 40;

	for (u32 i = 0; i < MOST_SITES; i++, at++) {
		struct site *site = &sites[at % MOST_SITES];

		if (!site->name)
			*site = (struct site){name, in, offset, code, lock, 0, 0, 0, 0};
		if (site->name == name && site->in == in && site->offset == offset &&
		    site->code == code && site->lock == lock)
			return site;
	}
	return &sites[0];
}

static bool counting(void)
{
	return sim.now >= counts_from && !ended;
}

static u64 *clock_of_cpu(void)
{
	s32 cpu = sim.this_cpu->id;

	if (!counts_from)
		counts_from = sim.want.duration_ns / 5 + 1;
	if (moments[cpu] != sim.now) {
		moments[cpu] = sim.now;
		clocks[cpu] = sim.now;
	}
	return &clocks[cpu];
}

/* What it takes to get the line; `beyond`: from another LLC. */
static u64 fetch(struct line *line, bool store, bool *beyond)
{
	u32 core = sim.this_cpu->id / sim.want.core_cpus,
	    llc = sim.this_cpu->id / sim.want.llc_cpus;
	u32 node = sim.this_cpu->id / sim.want.node_cpus;
	bool mine = has(line->cores, core), ours = has(line->caches, llc), others = false;
	u64 ns = 0;

	*beyond = false;
	if (!store && mine)
		return 0;
	for (u32 i = 0; i < MASK_WORDS; i++) {
		u64 far = line->caches[i], near = line->cores[i];

		if (i == llc / 64)
			far &= ~(1ULL << llc % 64);
		if (i == core / 64)
			near &= ~(1ULL << core % 64);
		others |= near || far;
		/* A load takes the nearest copy; a store waits until the farthest is gone. */
		for (; far && (store || !ours); far &= far - 1) {
			u32 their = (i * 64 + __builtin_ctzll(far)) * sim.want.llc_cpus /
				    sim.want.node_cpus;
			u64 cost = their == node ? FAR_NS : NODE_NS;

			if (!ns || (store ? cost > ns : cost < ns))
				ns = cost;
		}
	}
	*beyond = ns > 0;
	if (!ns && others)
		ns = NEAR_NS;
	if (store) {
		memset(line->cores, 0, sizeof(line->cores));
		memset(line->caches, 0, sizeof(line->caches));
	}
	line->stored = store;
	add(line->cores, core);
	add(line->caches, llc);
	return ns;
}

/* No more than all other CPUs stand before one. */
static u64 wait_for(struct line *line, u64 needs)
{
	u64 most = (line->service > needs ? line->service : needs) * (sim.want.cpus - 1);
	u64 passed = sim.now - line->asked_at;

	line->backlog -= passed < line->backlog ? passed : line->backlog;
	if (line->backlog > most)
		line->backlog = most;
	/* Nobody waits for what he just did himself. */
	return line->asked_by == sim.this_cpu->id && !passed ? 0 : line->backlog;
}

/* The CPU that has waited for it uses it for so long. */
static void serve(struct line *line, u64 ns)
{
	line->backlog += ns;
	line->service = ns;
	line->asked_at = sim.now;
	line->asked_by = sim.this_cpu->id;
}

static void charge(struct line *line, u64 address, bool store, bool lock, u64 code)
{
	u64 *clock = clock_of_cpu(), ns, wait = 0;
	struct bill *bill = &bills[!in_wakeup];
	/* Once one has loaded it, copies are handed out at the same time. */
	bool alone = store || line->stored, beyond;

	ns = fetch(line, store, &beyond);
	if ((ns && (alone || beyond)) || lock)
		wait = wait_for(line, ns);
	if (lock)
		line->locked_at = *clock + wait;
	*clock += wait + ns + (lock ? ATOMIC_NS : HIT_NS);
	if (ns && alone && !lock)
		serve(line, ns);
	if (!counting())
		return;
	*(store ? &bill->stores : &bill->loads) += 1;
	*(beyond ? &bill->far_ns : &bill->near_ns) += ns;
	if (beyond)
		*(store ? &bill->shared_stores : &bill->shared_loads) += 1;
	*(lock ? &bill->lock_wait_ns : &bill->line_wait_ns) += wait;
	bill->ns += wait + ns + (lock ? ATOMIC_NS : HIT_NS);
	if (ns || wait) {
		const char *name = line->name ? line->name : "(other memory)";
		u64 offset = line->name ? address - line->base : 0;
		const struct variable *variable = line->name ? NULL : variable_at(address);
		u32 kind = address >> 56;
		struct site *site;

		if (kind && kind < sizeof(kernel_names) / sizeof(*kernel_names)) {
			name = kernel_names[kind];
			offset = 0;
		} else if (variable) {
			name = variable->name;
			offset = address - variable->from;
		} else if (line->unit) {
			offset %= line->unit;
		}
		site = site_of(name, offset, code, lock);
		*(store ? &site->stores : &site->loads) += beyond;
		site->ns += ns + wait;
		site->wait_ns += wait;
	}
}

static struct line *line_for(u64 address)
{
	const struct variable *variable = address >> 56 ? NULL : variable_at(address);

	return line_at(variable ? variable->placed + (address - variable->from) : address);
}

void saw_load(u64 address)
{
	charge(line_for(address), address, false, false, 0);
}

void saw_store(u64 address)
{
	charge(line_for(address), address, true, false, 0);
}

void saw_lock(u64 address)
{
	charge(line_for(address), address, true, true, 0);
	if (counting())
		bills[!in_wakeup].locks++;
}

void saw_unlock(u64 address, u64 held_ns)
{
	struct line *line = line_for(address);
	u64 *clock = clock_of_cpu();

	*clock += held_ns;
	serve(line, *clock - line->locked_at);
	if (!counting())
		return;
	bills[!in_wakeup].held_ns += held_ns;
	bills[!in_wakeup].ns += held_ns;
}

void saw_wakeup(bool begins)
{
	in_wakeup += begins ? 1 : -1;
	wakeups += begins && counting();
}

void saw_switch(void)
{
	switches += counting();
}

void saw_end(void)
{
	ended = true;
}

/* ---- what the candidate's code calls ---- */

extern void *__libc_stack_end;

static void access(u64 address, u64 bytes, bool store, u64 code)
{
	/* Nobody else sees the stack. */
	if (address > (u64)__builtin_frame_address(0) - STACK_BELOW &&
	    address < (u64)__libc_stack_end) {
		*clock_of_cpu() += HIT_NS;
		if (counting()) {
			*(store ? &bills[!in_wakeup].stores : &bills[!in_wakeup].loads) += 1;
			bills[!in_wakeup].ns += HIT_NS;
		}
		return;
	}
	for (u64 at = address; at < address + bytes; at = (at | (LINE_BYTES - 1)) + 1)
		charge(line_for(at), at, store, false, code);
}

#define CODE ((u64)__builtin_return_address(0) - 1)
#define ACCESS(bytes)                                                                              \
	void __tsan_read##bytes(void *at);                                                         \
	void __tsan_write##bytes(void *at);                                                        \
	void __tsan_unaligned_read##bytes(void *at);                                               \
	void __tsan_unaligned_write##bytes(void *at);                                              \
	void __tsan_read##bytes(void *at)                                                          \
	{                                                                                          \
		access((u64)at, bytes, false, CODE);                                               \
	}                                                                                          \
	void __tsan_write##bytes(void *at)                                                         \
	{                                                                                          \
		access((u64)at, bytes, true, CODE);                                                \
	}                                                                                          \
	void __tsan_unaligned_read##bytes(void *at)                                                \
	{                                                                                          \
		access((u64)at, bytes, false, CODE);                                               \
	}                                                                                          \
	void __tsan_unaligned_write##bytes(void *at)                                               \
	{                                                                                          \
		access((u64)at, bytes, true, CODE);                                                \
	}

ACCESS(1)
ACCESS(2)
ACCESS(4)
ACCESS(8)
ACCESS(16)

static void atomic_access(u64 address, u64 bytes, u64 code)
{
	access(address, bytes, true, code);
	*clock_of_cpu() += ATOMIC_NS - HIT_NS;
	if (counting())
		bills[!in_wakeup].ns += ATOMIC_NS - HIT_NS;
}

#define CHANGE(bits, name, expression)                                                             \
	u##bits __tsan_atomic##bits##_##name(volatile u##bits *at, u##bits by, int order);         \
	u##bits __tsan_atomic##bits##_##name(volatile u##bits *at, u##bits by, int order)          \
	{                                                                                          \
		u##bits old = *at;                                                                 \
                                                                                                   \
		(void)order;                                                                       \
		atomic_access((u64)at, bits / 8, CODE);                                            \
		*at = expression;                                                                  \
		return old;                                                                        \
	}
#define ATOMIC(bits)                                                                               \
	u##bits __tsan_atomic##bits##_load(const volatile u##bits *at, int order);                 \
	void __tsan_atomic##bits##_store(volatile u##bits *at, u##bits value, int order);          \
	u##bits __tsan_atomic##bits##_compare_exchange_val(volatile u##bits *at, u##bits expected, \
							   u##bits value, int order, int failed);  \
	u##bits __tsan_atomic##bits##_load(const volatile u##bits *at, int order)                  \
	{                                                                                          \
		(void)order;                                                                       \
		access((u64)at, bits / 8, false, CODE);                                            \
		return *at;                                                                        \
	}                                                                                          \
	void __tsan_atomic##bits##_store(volatile u##bits *at, u##bits value, int order)           \
	{                                                                                          \
		(void)order;                                                                       \
		access((u64)at, bits / 8, true, CODE);                                             \
		*at = value;                                                                       \
	}                                                                                          \
	u##bits __tsan_atomic##bits##_compare_exchange_val(volatile u##bits *at, u##bits expected, \
							   u##bits value, int order, int failed)   \
	{                                                                                          \
		u##bits old = *at;                                                                 \
                                                                                                   \
		(void)order, (void)failed;                                                         \
		atomic_access((u64)at, bits / 8, CODE);                                            \
		if (old == expected)                                                               \
			*at = value;                                                               \
		return old;                                                                        \
	}                                                                                          \
	CHANGE(bits, exchange, by)                                                                 \
	CHANGE(bits, fetch_add, old + by)                                                          \
	CHANGE(bits, fetch_sub, old - by)                                                          \
	CHANGE(bits, fetch_and, old &by)                                                           \
	CHANGE(bits, fetch_or, old | by)                                                           \
	CHANGE(bits, fetch_xor, old ^ by)                                                          \
	CHANGE(bits, fetch_nand, ~(old & by))

typedef unsigned short u16;
ATOMIC(8)
ATOMIC(16)
ATOMIC(32)
ATOMIC(64)

void __tsan_atomic_thread_fence(int order);
void __tsan_atomic_signal_fence(int order);
void __tsan_init(void);
void *__tsan_memset(void *to, int value, u64 bytes);
void *__tsan_memcpy(void *to, const void *from, u64 bytes);
void *__tsan_memmove(void *to, const void *from, u64 bytes);

void __tsan_atomic_thread_fence(int order)
{
	(void)order;
}

void __tsan_atomic_signal_fence(int order)
{
	(void)order;
}

void __tsan_init(void)
{
}

void *__tsan_memset(void *to, int value, u64 bytes)
{
	access((u64)to, bytes, true, CODE);
	return memset(to, value, bytes);
}

void *__tsan_memcpy(void *to, const void *from, u64 bytes)
{
	access((u64)from, bytes, false, CODE);
	access((u64)to, bytes, true, CODE);
	return memcpy(to, from, bytes);
}

void *__tsan_memmove(void *to, const void *from, u64 bytes)
{
	access((u64)from, bytes, false, CODE);
	access((u64)to, bytes, true, CODE);
	return memmove(to, from, bytes);
}

/* ---- figures ---- */

static void write_bill(const char *name, const struct bill *bill)
{
	printf(",\"%s\":{\"ns\":%llu,\"loads\":%llu,\"stores\":%llu,\"locks\":%llu", name, bill->ns,
	       bill->loads, bill->stores, bill->locks);
	printf(",\"shared_loads\":%llu,\"shared_stores\":%llu,\"near_ns\":%llu,\"far_ns\":%llu",
	       bill->shared_loads, bill->shared_stores, bill->near_ns, bill->far_ns);
	printf(",\"held_ns\":%llu,\"lock_wait_ns\":%llu,\"line_wait_ns\":%llu}", bill->held_ns,
	       bill->lock_wait_ns, bill->line_wait_ns);
}

static int by_cost(const void *a, const void *b)
{
	const struct site *x = a, *y = b;

	return (x->ns < y->ns) - (x->ns > y->ns);
}

void write_lines(void)
{
	const char *comma = "";
	char place[64];

	printf(",\"sharing\":{\"from_ns\":%llu,\"wakeups\":%llu,\"switches\":%llu", counts_from,
	       wakeups, switches);
	write_bill("in_wakeups", &bills[0]);
	write_bill("elsewhere", &bills[1]);
	qsort(sites, MOST_SITES, sizeof(*sites), by_cost);
	printf(",\"sites\":[");
	for (u32 i = 0; i < TOP_SITES && sites[i].name; i++) {
		const struct site *site = &sites[i];

		place_of_code(place, sizeof(place), site->code);
		if (site->in)
			snprintf(place, sizeof(place), " in %s", site->in);
		printf("%s{\"name\":\"%s\",\"offset\":%llu,\"place\":\"%s\",\"lock\":%s", comma,
		       site->name, site->offset, place, site->lock ? "true" : "false");
		printf(
		    ",\"shared_loads\":%llu,\"shared_stores\":%llu,\"ns\":%llu,\"wait_ns\":%llu}",
		    site->loads, site->stores, site->ns, site->wait_ns);
		comma = ",";
	}
	printf("]}");
}
#endif
