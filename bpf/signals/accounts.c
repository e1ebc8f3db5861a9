// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include "common/clock.h"
#include "signals/signals.h"
#include "signals/signals.skel.h"
#include "signals/accounts.h"
#include "common/cgroups.h"
#include "common/json.h"
#include "common/system.h"

/*
 * Kernel memory for the figures of all accounts on all CPUs: at most this fraction of the
 * machine's, but at least this many bytes.
 */
#define FIGURES_SHARE 1000
#define FIGURES_BYTES (64ULL << 20)
#define MIN_ACCOUNTS  128
/* After this long without a switch a workload's account is freed, ns. */
#define IDLE_NS (60 * NSEC)
/* For how many intervals a cgroup's path is searched before it counts as gone. */
#define PATH_TRIES 2

static struct {
	struct signals *kernel;
	struct workload_figures *per_cpu;
	struct account *accounts;
	struct changes changes; /* for one account at a time: there are many, and they are large */
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

static bool returns_from(struct bpf_program *program, const char *function)
{
	bool found = !bpf_program__set_attach_target(program, 0, function);

	bpf_program__set_autoload(program, found);
	return found;
}

/*
 * Finds the functions that end a wait for events. One function serves all of epoll's system calls,
 * unless the compiler inlined it; then the system calls themselves, as each architecture names
 * them.
 */
static void find_waits(struct signals *kernel)
{
	static const char *const calls[] = {"__x64_sys_", "__arm64_sys_", "__riscv_sys_",
					    "__s390x_sys_", "sys_"};
	char name[64];
	unsigned int i;
	bool found = returns_from(kernel->progs.wait_returns, "do_epoll_wait");

	for (i = 0; !found && i < sizeof(calls) / sizeof(calls[0]); i++) {
		snprintf(name, sizeof(name), "%sepoll_pwait", calls[i]);
		found = returns_from(kernel->progs.epoll_pwait_returns, name);
		if (!found)
			continue;
		snprintf(name, sizeof(name), "%sepoll_pwait2", calls[i]);
		returns_from(kernel->progs.epoll_pwait2_returns, name);
		snprintf(name, sizeof(name), "%sepoll_wait", calls[i]);
		returns_from(kernel->progs.epoll_wait_returns, name);
	}
}

static struct signals *load(bool by_queue, bool with_open, bool with_turns)
{
	struct signals *kernel = signals__open();
	int error;

	if (!kernel)
		return NULL;
	bpf_program__set_autoload(kernel->progs.task_leaves, !by_queue);
	bpf_program__set_autoload(kernel->progs.task_leaves_by_queue, by_queue);
	bpf_program__set_autoload(kernel->progs.task_moves, with_open);
	bpf_program__set_autoload(kernel->progs.tell_open_activations, with_open && !by_queue);
	bpf_program__set_autoload(kernel->progs.tell_open_by_queue, with_open && by_queue);
	if (with_turns)
		find_waits(kernel);
	kernel->bss->epoch = 1;
	bpf_map__set_max_entries(kernel->maps.accounts, state.count);
	bpf_map__set_max_entries(kernel->maps.free_accounts, state.count);
	bpf_map__set_max_entries(kernel->maps.figures, state.count);
	bpf_map__set_max_entries(kernel->maps.jobs, state.count);
	error = signals__load(kernel);
	if (!error)
		error = signals__attach(kernel);
	if (!error)
		return kernel;
	signals__destroy(kernel);
	errno = -error;
	return NULL;
}

/* With as much as this kernel allows. Only the last attempt's errors are reported. */
static struct signals *load_most(void)
{
	struct signals *kernel = NULL;
	int choice;

	libbpf_set_print(print_nothing);
	for (choice = 0; !kernel && choice < 8; choice++) {
		if (choice == 7)
			libbpf_set_print(print_warnings);
		/* A kernel may hide its run queues, and may not know how to walk over tasks (then
		 * it is older than delayed dequeues, too). Not every kernel allows a hook on a
		 * function's return. */
		kernel = load(choice & 1, !(choice & 2), choice < 4);
	}
	libbpf_set_print(print_warnings);
	return kernel;
}

static struct bpf_link *walk(void)
{
	return state.kernel->links.tell_open_activations ? state.kernel->links.tell_open_activations
							 : state.kernel->links.tell_open_by_queue;
}

bool sees_open(void)
{
	return walk();
}

bool sees_turns(void)
{
	return state.kernel->links.wait_returns || state.kernel->links.epoll_pwait_returns;
}

static uint64_t memory_bytes(void)
{
	return (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
}

bool open_accounts(unsigned int max_workloads, unsigned int cpus)
{
	uint64_t room = memory_bytes() / FIGURES_SHARE;
	unsigned int i;

	if (room < FIGURES_BYTES)
		room = FIGURES_BYTES;
	room /= sizeof(struct workload_figures) * cpus;
	state.cpus = cpus;
	state.count = max_workloads + max_workloads / 8 + 1;
	if (state.count > room)
		state.count = room;
	if (state.count < MIN_ACCOUNTS)
		state.count = MIN_ACCOUNTS;
	if (state.count > SIGNALS_MAX_ACCOUNTS)
		state.count = SIGNALS_MAX_ACCOUNTS;
	state.accounts = must(calloc(state.count, sizeof(*state.accounts)));
	state.per_cpu = must(calloc(cpus, sizeof(*state.per_cpu)));
	state.keys = must(calloc(state.count, sizeof(*state.keys)));
	state.values = must(calloc(state.count, sizeof(*state.values)));
	state.accounts[SIGNALS_OTHER].used = true;

	state.kernel = load_most();
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

/* Replaces the totals by their increase since `before`, and `before` by the totals. */
static void subtract(struct total *total, uint32_t *counts, const struct total *total_before,
		     const uint32_t *counts_before)
{
	unsigned int i;

	total->sum_ns -= total_before->sum_ns;
	for (i = 0; i < SIGNALS_BUCKETS; i++)
		counts[i] -= counts_before[i];
}

static void add_up(struct workload_figures *all, const struct workload_figures *part)
{
	unsigned int which, i;

	all->sleeps += part->sleeps;
	all->migrations += part->migrations;
	all->threads += part->threads;
	all->exits += part->exits;
	all->waited_ns += part->waited_ns;
	all->preempted_ns += part->preempted_ns;
	for (which = 0; which < DURATIONS; which++) {
		all->totals[which].sum_ns += part->totals[which].sum_ns;
		for (i = 0; i < SIGNALS_BUCKETS; i++)
			all->counts[which][i] += part->counts[which][i];
	}
}

static void take_maxima(struct workload_figures *all, const struct workload_figures *part)
{
	unsigned int which;

	if (part->totals[DELAY].max_ns > all->totals[DELAY].max_ns)
		all->longest = part->longest;
	for (which = 0; which < DURATIONS; which++)
		if (part->totals[which].max_ns > all->totals[which].max_ns)
			all->totals[which].max_ns = part->totals[which].max_ns;
}

/* Stores the increase of the interval `epoch` in state.changes. */
static void read_figures(struct account *account, uint64_t epoch)
{
	uint32_t number = account - state.accounts;
	struct workload_figures *now = &state.changes.figures, *before = &account->before;
	static struct workload_figures all;
	unsigned int cpu, which, i;

	memset(now, 0, sizeof(*now));
	state.changes.slices = 0;
	if (bpf_map_lookup_elem(bpf_map__fd(state.kernel->maps.figures), &number, state.per_cpu))
		return;
	for (cpu = 0; cpu < state.cpus; cpu++) {
		add_up(now, &state.per_cpu[cpu]);
		if (state.per_cpu[cpu].epoch == epoch)
			take_maxima(now, &state.per_cpu[cpu]);
	}
	all = *now;
	now->sleeps -= before->sleeps;
	now->migrations -= before->migrations;
	now->threads -= before->threads;
	now->exits -= before->exits;
	now->waited_ns -= before->waited_ns;
	now->preempted_ns -= before->preempted_ns;
	for (which = 0; which < DURATIONS; which++)
		subtract(&now->totals[which], now->counts[which], &before->totals[which],
			 before->counts[which]);
	for (i = 0; i < SIGNALS_BUCKETS; i++)
		state.changes.slices += now->counts[SLICE][i];
	*before = all;
}

static void read_jobs(struct account *account, uint64_t epoch)
{
	uint32_t number = account - state.accounts;
	struct workload_jobs *now = &state.changes.jobs, *before = &account->jobs_before;
	static struct workload_jobs all;

	memset(now, 0, sizeof(*now));
	/* The last thread of a process may end long after its leader did. */
	if (bpf_map_lookup_elem(bpf_map__fd(state.kernel->maps.jobs), &number, now))
		return;
	all = *now;
	if (now->epoch != epoch)
		now->total.max_ns = 0;
	subtract(&now->total, now->counts, &before->total, before->counts);
	/* Most accounts never have any, and their memory is not touched then. */
	if (all.total.sum_ns != before->total.sum_ns)
		*before = all;
}

/* ---- Unfinished activations ---- */

/* Limit of how many are read, bytes. */
#define MAX_OPEN (1 << 20)

static struct {
	struct open_activation *all;
	size_t bytes, size;
	size_t next; /* the first of the remaining accounts */
} open_now;

static int by_account(const void *left, const void *right)
{
	const struct open_activation *a = left, *b = right;

	if (a->account != b->account)
		return a->account < b->account ? -1 : 1;
	return a->tgid < b->tgid ? -1 : a->tgid > b->tgid;
}

/* Requests all of them; those of one account and one process are adjacent. */
static void read_open(void)
{
	ssize_t count = 1;
	int fd;

	open_now.bytes = open_now.next = 0;
	fd = sees_open() ? bpf_iter_create(bpf_link__fd(walk())) : -1;
	if (fd < 0)
		return;
	while (count > 0 || (count < 0 && (errno == EINTR || errno == EAGAIN))) {
		if (open_now.bytes == open_now.size) {
			if (open_now.size == MAX_OPEN)
				break;
			open_now.size = open_now.size ? open_now.size * 2 : 16 << 10;
			open_now.all = must(realloc(open_now.all, open_now.size));
		}
		count =
		    read(fd, (char *)open_now.all + open_now.bytes, open_now.size - open_now.bytes);
		if (count > 0)
			open_now.bytes += count;
	}
	close(fd);
	state.kernel->bss->walked = true;
	qsort(open_now.all, open_now.bytes / sizeof(*open_now.all), sizeof(*open_now.all),
	      by_account);
}

/*
 * Stores an account's unfinished activations in state.changes; accounts are requested in
 * their order.
 */
static void find_open(uint32_t number)
{
	size_t end = open_now.bytes / sizeof(*open_now.all);

	while (open_now.next < end && open_now.all[open_now.next].account < number)
		open_now.next++;
	state.changes.open = open_now.all + open_now.next;
	while (open_now.next < end && open_now.all[open_now.next].account == number)
		open_now.next++;
	state.changes.open_count = open_now.all + open_now.next - state.changes.open;
}

static bool was_active(void)
{
	return state.changes.slices || state.changes.open_count || state.changes.figures.exits;
}

/* ---- The accounts ---- */

/* Notes the workloads that got an account in the last interval. */
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

/* First step of freeing an account: no task can find it from here on. */
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

/* At most one walk per interval, and none if every cgroup has its name already. */
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

void find_accounts(uint64_t now)
{
	/* First, because it may open accounts. */
	read_open();
	find_new(now);
	name_cgroups();
}

void read_accounts(uint64_t now,
		   void (*tell)(const struct account *account, const struct changes *changes))
{
	uint64_t epoch = state.kernel->bss->epoch, overflows = state.kernel->bss->overflows;
	/* If accounts are scarce, one silent interval is enough. */
	uint64_t patience = overflows != state.overflows ? 0 : IDLE_NS;
	struct account *account;
	unsigned int i;

	for (i = 0; i < state.count; i++) {
		account = &state.accounts[i];
		if (!account->used && !account->retired)
			continue;
		read_figures(account, epoch);
		read_jobs(account, epoch);
		find_open(i);
		if (account->retired) {
			release(account);
		} else if (was_active()) {
			account->active_ns = now;
			tell(account, &state.changes);
		} else if (i != SIGNALS_OTHER && now - account->active_ns > patience) {
			retire(account);
		}
	}
	__atomic_add_fetch(&state.kernel->bss->epoch, 1, __ATOMIC_RELEASE);
	state.overflows = overflows;
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
 * How often the kernel skipped a program: it is not run on a CPU on which another task
 * interrupted it before its end.
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
