// SPDX-License-Identifier: GPL-2.0-or-later
/* The results, as one JSON object on standard output. Integers except for fairness. */
#include <stdio.h>
#include <stdlib.h>

#include "engine.h"
#include "lines.h"

#define MAX_VARIABLES 256

static const char *variables[MAX_VARIABLES];
static u32 nr_variables;

void note_variable(const char *name)
{
	if (nr_variables < MAX_VARIABLES)
		variables[nr_variables++] = name;
}

static int by_size(const void *a, const void *b)
{
	u64 x = *(const u64 *)a, y = *(const u64 *)b;

	return (x > y) - (x < y);
}

/* The smallest value that at least `part` of 1000 of all do not exceed; the values are sorted. */
static u64 quantile(const struct lengths *of, u64 part)
{
	u64 rank = (of->nr * part + 999) / 1000;

	return of->nr ? of->ns[rank ? rank - 1 : 0] : 0;
}

static void sort(struct lengths *lengths)
{
	if (lengths->nr)
		qsort(lengths->ns, lengths->nr, sizeof(*lengths->ns), by_size);
}

/* `open` of them have not ended; null if there are none. */
static void write_lengths(const char *name, struct lengths *of, u64 open)
{
	static const struct {
		const char *name;
		u64 part;
	} quantiles[] = {
	    {"p50", 500}, {"p75", 750},	  {"p90", 900},	 {"p95", 950},
	    {"p99", 990}, {"p99_9", 999}, {"max", 1000},
	};
	double sum = 0;

	if (!of->nr) {
		printf(",\"%s\":null", name);
		return;
	}
	sort(of);
	for (u64 i = 0; i < of->nr; i++)
		sum += (double)of->ns[i];
	printf(",\"%s\":{\"count\":%llu,\"open\":%llu,\"mean\":%.0f", name, of->nr, open,
	       sum / (double)of->nr);
	for (u32 i = 0; i < sizeof(quantiles) / sizeof(*quantiles); i++)
		printf(",\"%s\":%llu", quantiles[i].name, quantile(of, quantiles[i].part));
	putchar('}');
}

static void string(const char *text)
{
	putchar('"');
	for (; *text; text++) {
		u8 byte = *text;

		if (byte == '"' || byte == '\\')
			printf("\\%c", byte);
		else if (byte < 0x20 || byte > 0x7e)
			printf("\\u%04x", byte);
		else
			putchar(byte);
	}
	putchar('"');
}

static void write_cpus(const char *key, const u64 *mask)
{
	const char *comma = "";

	printf(",\"%s\":[", key);
	for (s32 i = 0; i < sim.want.cpus; i++) {
		if (!(mask[i / 64] >> i % 64 & 1))
			continue;
		printf("%s%d", comma, i);
		comma = ",";
	}
	putchar(']');
}

static void write_wait(const struct wait *w)
{
	static const char *const places[] = {"nowhere", "local", "global", "created"};
	static const char *const fates[] = {"unknown", "taken", "left"};

	if (!w->seen) {
		printf("null");
		return;
	}
	printf("{\"task\":");
	string(w->task);
	printf(",\"ns\":%llu,\"ended\":%s,\"place\":\"%s\",\"queue\":%llu,\"passed\":%llu", w->ns,
	       w->ended ? "true" : "false", places[w->place], w->queue, w->passed);
	printf(",\"taken_ns\":%llu,\"fate\":\"%s\"", w->taken_ns, fates[w->fate]);
	write_cpus("allowed", w->allowed);
	write_cpus("offline", w->offline);
	write_cpus("asked", w->asked);
	write_cpus("looked", w->looked);
	write_cpus("ever", w->ever);
	write_cpus("idle", w->idle);
	write_cpus("held", w->held);
	printf(",\"holder\":");
	string(w->holder);
	printf(",\"held_ns\":%llu,\"extended\":%s,\"endless\":%s}", w->held_ns,
	       w->extended ? "true" : "false", w->endless ? "true" : "false");
}

static void write_group(struct group *g)
{
	double fairness = g->share_squares > 0
			      ? g->share_sum * g->share_sum / (g->share_squares * (double)g->tasks)
			      : 1;

	sort(&g->delays);
	printf("{\"name\":");
	string(g->name);
	printf(",\"tasks\":%llu,\"finished\":%llu,\"cycles\":%llu,\"run_ns\":%llu", g->tasks,
	       g->finished, g->cycles, g->run_ns);
	printf(
	    ",\"wakeups\":%llu,\"delay_p50_ns\":%llu,\"delay_p99_ns\":%llu,\"delay_max_ns\":%llu",
	    g->delays.nr, quantile(&g->delays, 500), quantile(&g->delays, 990),
	    quantile(&g->delays, 1000));
	printf(",\"longest_wait_ns\":%llu,\"switches\":%llu,\"migrations\":%llu",
	       g->longest_wait_ns, g->switches, g->migrations);
	printf(",\"began_ns\":%llu,\"spun_ns\":%llu,\"completions\":%llu,\"waited_ns\":%llu,"
	       "\"preempted_ns\":%llu",
	       g->first_start_ns, g->spun_ns, g->responses.nr - g->open, g->waited_ns,
	       g->preempted_ns);
	write_lengths("delay_ns", &g->delays, g->still_waiting);
	write_lengths("response_ns", &g->responses, g->open);
	write_lengths("burst_ns", &g->bursts, 0);
	write_lengths("turnaround_ns", &g->turnarounds, g->open_jobs);
	/* There is a makespan only if all have ended. */
	if (g->tasks && g->finished == g->tasks)
		printf(",\"makespan_ns\":%llu,\"mean_completion_ns\":%llu",
		       g->last_end_ns - g->first_start_ns, g->completion_ns / g->tasks);
	else
		printf(",\"makespan_ns\":null,\"mean_completion_ns\":null");
	printf(",\"fairness\":%.6f,\"wait\":", fairness);
	write_wait(&g->longest);
	putchar('}');
}

static void write_path(u32 cgroup)
{
	if (sim.want.cgroups[cgroup].parent)
		write_path(sim.want.cgroups[cgroup].parent);
	printf("/%s", cgroup ? sim.want.cgroups[cgroup].name : "");
}

/* Nothing where the scenario has only the root. Names have been checked. */
static void write_cgroups(void)
{
	u32 nr = sim.want.nr_cgroups;
	u64 *all;

	if (nr < 2)
		return;
	all = room(nr * sizeof(*all));
	for (u32 i = nr; i; i--) {
		struct cgroup_plan *plan = &sim.want.cgroups[i - 1];

		all[i - 1] += plan->run_ns;
		if (i > 1)
			all[plan->parent] += all[i - 1];
	}
	printf(",\"cgroups\":[");
	for (u32 i = 0; i < nr; i++) {
		struct cgroup_plan *plan = &sim.want.cgroups[i];

		printf("%s{\"path\":\"", i ? "," : "");
		write_path(i);
		printf("\",\"own_run_ns\":%llu,\"run_ns\":%llu", plan->run_ns, all[i]);
		printf(",\"throttled_ns\":%llu,\"periods\":%llu,\"throttled_periods\":%llu}",
		       plan->throttled_ns, plan->periods, plan->throttled_periods);
	}
	putchar(']');
	free_room(all);
}

void write_report(const char *scheduler)
{
	u64 run = 0, switches = 0;

	settle_figures();
	for (s32 i = 0; i < sim.want.cpus; i++) {
		run += sim.cpus[i].run_ns;
		switches += sim.cpus[i].switches;
	}
	printf("{\"scheduler\":");
	string(scheduler);
	printf(",\"seed\":%llu,\"cpus\":%d,\"time_ns\":%llu,\"run_ns\":%llu,\"idle_ns\":%llu",
	       sim.want.seed, sim.want.cpus, sim.ended_at, run, sim.ended_at * sim.want.cpus - run);
	printf(",\"switches\":%llu,\"events\":%llu,\"ringbuf_bytes\":%llu", switches, sim.events,
	       sim.ringbuf_bytes);
	printf(",\"exiting_not_found\":%llu", sim.exiting_not_found);
	if (tracing && sim.trace_cut_ns != NEVER)
		printf(",\"trace_cut_ns\":%llu", sim.trace_cut_ns);
	printf(",\"forks_refused\":%u,\"ejection\":", sim.nr_refused);
	if (sim.over) {
		printf("{\"kind\":%u,\"code\":%lld,\"at_ns\":%llu,\"message\":", sim.exit_kind,
		       sim.exit_code, sim.ended_at);
		string(sim.message);
		printf(",\"dump\":");
		string(sim.dump);
		printf(",\"wait\":");
		write_wait(&sim.stalled);
		printf(",\"variables\":[");
		for (u32 i = 0; i < nr_variables; i++) {
			if (i)
				putchar(',');
			string(variables[i]);
		}
		printf("]}");
	} else {
		printf("null");
	}
	printf(",\"groups\":[");
	for (u32 i = 0; i < sim.want.nr_groups; i++) {
		if (i)
			putchar(',');
		write_group(&sim.want.groups[i]);
	}
	putchar(']');
	write_cgroups();
	write_lines();
	printf("}\n");
	fflush(stdout);
}
