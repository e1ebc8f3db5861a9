// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include "signals.h"
#include "signals.skel.h"
#include "signals_accounts.h"
#include "signals_cgroups.h"
#include "signals_json.h"
#include "signals_system.h"

/* Kernel memory that the figures of all accounts on all CPUs may take, bytes. */
#define FIGURES_BYTES (64ULL << 20)
#define MIN_ACCOUNTS  128
/* After this long without a switch a workload's account is given back, ns. */
#define IDLE_NS (60 * NSEC)
/* In how many intervals a cgroup's path is looked for before it counts as gone. */
#define PATH_TRIES 2

static struct {
	struct signals *kernel;
	struct workload_figures *per_cpu;
	struct account *accounts, **active;
	unsigned int count, cpus;
	struct workload_key *keys;
	uint32_t *values;
	uint64_t overflows;
	struct losses lost;
} state;

/* ---- Loading ---- */

static int print_warnings(enum libbpf_print_level level, const char *format, va_list arguments)
{
	return level == LIBBPF_WARN ? vfprintf(stderr, format, arguments) : 0;
}

static int print_nothing(enum libbpf_print_level level, const char *format, va_list arguments)
{
	(void)level;
	(void)format;
	(void)arguments;
	return 0;
}

static struct signals *load(bool by_time)
{
	struct signals *kernel = signals__open();
	int error;

	if (!kernel)
		return NULL;
	bpf_program__set_autoload(kernel->progs.task_leaves, !by_time);
	bpf_program__set_autoload(kernel->progs.task_leaves_by_time, by_time);
	kernel->bss->epoch = 1;
	bpf_map__set_max_entries(kernel->maps.accounts, state.count);
	bpf_map__set_max_entries(kernel->maps.free_accounts, state.count);
	bpf_map__set_max_entries(kernel->maps.figures, state.count);
	error = signals__load(kernel);
	if (!error)
		error = signals__attach(kernel);
	if (!error)
		return kernel;
	signals__destroy(kernel);
	errno = -error;
	return NULL;
}

bool open_accounts(unsigned int max_workloads, unsigned int cpus)
{
	uint64_t room = FIGURES_BYTES / (sizeof(struct workload_figures) * cpus);
	unsigned int i;

	state.cpus = cpus;
	state.count = max_workloads + max_workloads / 8 + 1;
	if (state.count > room)
		state.count = room;
	if (state.count < MIN_ACCOUNTS)
		state.count = MIN_ACCOUNTS;
	if (state.count > SIGNALS_MAX_ACCOUNTS)
		state.count = SIGNALS_MAX_ACCOUNTS;
	state.accounts = must(calloc(state.count, sizeof(*state.accounts)));
	state.active = must(calloc(state.count, sizeof(*state.active)));
	state.per_cpu = must(calloc(cpus, sizeof(*state.per_cpu)));
	state.keys = must(calloc(state.count, sizeof(*state.keys)));
	state.values = must(calloc(state.count, sizeof(*state.values)));
	state.accounts[SIGNALS_OTHER].used = true;

	/* A kernel that hides its run queues refuses the first program; only a refusal of
	 * the second is worth complaints. */
	libbpf_set_print(print_nothing);
	state.kernel = load(false);
	libbpf_set_print(print_warnings);
	if (!state.kernel)
		state.kernel = load(true);
	if (!state.kernel) {
		say("cannot load the measuring program: %s", strerror(errno));
		return false;
	}
	for (i = SIGNALS_OTHER + 1; i < state.count; i++)
		bpf_map_update_elem(bpf_map__fd(state.kernel->maps.free_accounts), NULL, &i,
				    BPF_ANY);
	return true;
}

/* ---- Reading ---- */

static void read_figures(struct account *account, uint64_t epoch)
{
	uint32_t number = account - state.accounts;
	struct workload_figures *before = &account->before, *change = &account->change;
	struct workload_figures now = {};
	const struct workload_figures *part;
	unsigned int cpu, i;

	if (bpf_map_lookup_elem(bpf_map__fd(state.kernel->maps.figures), &number, state.per_cpu))
		return;
	for (cpu = 0; cpu < state.cpus; cpu++) {
		part = &state.per_cpu[cpu];
		now.delay_ns += part->delay_ns;
		now.slice_ns += part->slice_ns;
		now.sleeps += part->sleeps;
		now.migrations += part->migrations;
		now.threads += part->threads;
		now.exits += part->exits;
		for (i = 0; i < SIGNALS_BUCKETS; i++) {
			now.delays[i] += part->delays[i];
			now.slices[i] += part->slices[i];
		}
		if (part->epoch != epoch)
			continue;
		if (part->delay_max_ns > now.delay_max_ns)
			now.delay_max_ns = part->delay_max_ns;
		if (part->slice_max_ns > now.slice_max_ns)
			now.slice_max_ns = part->slice_max_ns;
	}
	*change = now;
	change->delay_ns -= before->delay_ns;
	change->slice_ns -= before->slice_ns;
	change->sleeps -= before->sleeps;
	change->migrations -= before->migrations;
	change->threads -= before->threads;
	change->exits -= before->exits;
	account->slices = 0;
	for (i = 0; i < SIGNALS_BUCKETS; i++) {
		change->delays[i] -= before->delays[i];
		change->slices[i] -= before->slices[i];
		account->slices += change->slices[i];
	}
	*before = now;
}

/* Takes note of the workloads that got an account in the last interval. */
static void find_new(uint64_t now)
{
	unsigned int i, cursor, count = state.count;
	struct account *account;

	/* -ENOENT says that this was all of it. */
	if (bpf_map_lookup_batch(bpf_map__fd(state.kernel->maps.accounts), NULL, &cursor,
				 state.keys, state.values, &count, NULL) &&
	    errno != ENOENT)
		return;
	for (i = 0; i < count; i++) {
		if (state.values[i] >= state.count)
			continue;
		account = &state.accounts[state.values[i]];
		if (account->used)
			continue;
		account->used = true;
		account->key = state.keys[i];
		account->active_ns = now;
	}
}

/* First step of giving an account back: no task can find it from here on. */
static void retire(struct account *account)
{
	bpf_map_delete_elem(bpf_map__fd(state.kernel->maps.accounts), &account->key);
	free(account->path);
	account->path = NULL;
	account->tries = 0;
	account->used = false;
	account->retired = true;
}

/* Second step, an interval later: tasks that remembered it have looked again since. */
static void release(struct account *account)
{
	uint32_t number = account - state.accounts;

	account->retired = false;
	bpf_map_update_elem(bpf_map__fd(state.kernel->maps.free_accounts), NULL, &number, BPF_ANY);
}

static bool nameless(const struct account *account)
{
	return account->used && account->key.kind == WORKLOAD_CGROUP && !account->path;
}

static void name(uint64_t id, const char *path)
{
	unsigned int i;

	for (i = 0; i < state.count; i++)
		if (nameless(&state.accounts[i]) && state.accounts[i].key.cgroup == id)
			state.accounts[i].path = must(strdup(path));
}

/* At most one walk an interval, and none when every cgroup has its name already. */
static void name_cgroups(void)
{
	bool wanted = false;
	unsigned int i;

	for (i = 0; i < state.count; i++)
		wanted |= nameless(&state.accounts[i]) && state.accounts[i].tries < PATH_TRIES;
	if (!wanted)
		return;
	walk_cgroups(name);
	for (i = 0; i < state.count; i++)
		state.accounts[i].tries += nameless(&state.accounts[i]);
}

static int by_run_time(const void *left, const void *right)
{
	const struct account *a = *(struct account *const *)left;
	const struct account *b = *(struct account *const *)right;

	if (a->change.slice_ns != b->change.slice_ns)
		return a->change.slice_ns < b->change.slice_ns ? 1 : -1;
	return a < b ? -1 : a > b;
}

struct account **read_accounts(uint64_t now, unsigned int *count)
{
	uint64_t epoch = state.kernel->bss->epoch, overflows = state.kernel->bss->overflows;
	/* When accounts are short, silence of one interval is enough. */
	uint64_t patience = overflows != state.overflows ? 0 : IDLE_NS;
	struct account *account;
	unsigned int i;

	*count = 0;
	find_new(now);
	for (i = 0; i < state.count; i++) {
		account = &state.accounts[i];
		if (!account->used && !account->retired)
			continue;
		read_figures(account, epoch);
		if (account->retired) {
			release(account);
		} else if (account->slices) {
			account->active_ns = now;
			state.active[(*count)++] = account;
		} else if (i != SIGNALS_OTHER && now - account->active_ns > patience) {
			retire(account);
		}
	}
	__atomic_add_fetch(&state.kernel->bss->epoch, 1, __ATOMIC_RELEASE);
	state.overflows = overflows;
	name_cgroups();
	qsort(state.active, *count, sizeof(*state.active), by_run_time);
	return state.active;
}

static void put_name(const struct workload_key *key, const char *path)
{
	char text[32];

	if (key->kind != WORKLOAD_CGROUP) {
		snprintf(text, sizeof(text), "%.*s", SIGNALS_COMM_LEN, key->comm);
		put_string(key->kind == WORKLOAD_KTHREAD ? "kthread:" : "comm:", text);
	} else if (path) {
		put_string("cgroup:", path);
	} else {
		snprintf(text, sizeof(text), "%llu", (unsigned long long)key->cgroup);
		put_string("cgroup-id:", text);
	}
}

void put_id(const struct account *account)
{
	if (account == &state.accounts[SIGNALS_OTHER])
		put_string("", "other");
	else
		put_name(&account->key, account->path);
}

void put_workload_id(const struct workload_key *key)
{
	const char *path = NULL;
	unsigned int i;

	for (i = 0; i < state.count && !path && key->kind == WORKLOAD_CGROUP; i++)
		if (state.accounts[i].used && state.accounts[i].key.kind == WORKLOAD_CGROUP &&
		    state.accounts[i].key.cgroup == key->cgroup)
			path = state.accounts[i].path;
	put_name(key, path);
}

/*
 * How often the kernel left a program out: it is not run on a CPU on which it was interrupted
 * by another task before its end.
 */
static uint64_t misses(const struct bpf_program *program)
{
	struct bpf_prog_info info = {};
	uint32_t size = sizeof(info);

	if (bpf_prog_get_info_by_fd(bpf_program__fd(program), &info, &size))
		return 0;
	return info.recursion_misses;
}

struct losses take_losses(void)
{
	struct losses now = {
	    .switches = state.kernel->bss->lost,
	    .execs = state.kernel->bss->execs.lost + misses(state.kernel->progs.process_executes),
	    .exits = state.kernel->bss->exits.lost + misses(state.kernel->progs.process_exits) +
		     misses(state.kernel->progs.process_is_gone),
	};
	struct losses change = {
	    .switches = now.switches - state.lost.switches,
	    .execs = now.execs - state.lost.execs,
	    .exits = now.exits - state.lost.exits,
	};

	state.lost = now;
	return change;
}

void watch_processes(enum process_watch watch)
{
	state.kernel->bss->watch = watch;
}

int process_events(void)
{
	return bpf_map__fd(state.kernel->maps.events);
}
