// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A timeline for ui.perfetto.dev: the JSON of Chrome's trace viewer. Each CPU is a thread of
 * the process `CPUs`, with a slice for each turn; each task is a thread of its group, with
 * slices for running and waiting, and an instant for its wakeups. Times are us.
 */
#include <stdio.h>

#include "engine.h"

/* Enough for minutes of a small machine, and small enough for a browser. */
#define MOST_BYTES (48UL << 20)
#define CPUS	   1
#define GROUPS	   2 /* the first of them */

bool tracing;
static FILE *file;
static u64 written;
static bool cut;

static void times(const char *phase, u64 at_ns)
{
	written += fprintf(file, ",\n{\"ph\":\"%s\",\"ts\":%llu.%03llu", phase, at_ns / 1000,
			   at_ns % 1000);
}

static void where(u32 process, u64 thread)
{
	written += fprintf(file, ",\"pid\":%u,\"tid\":%llu", process, thread);
}

/*
 * A name without characters that JSON needs escaped; a command name may contain anything
 * printable.
 */
static void named(const char *key, const char *name)
{
	written += fprintf(file, "\"%s\":\"", key);
	for (; *name; name++) {
		if (*name == '"' || *name == '\\')
			fputc('\\', file);
		fputc(*name, file);
	}
	fputc('"', file);
	written += 16;
}

static void about(const char *what, u32 process, u64 thread, const char *name)
{
	written +=
	    fprintf(file, "%s{\"ph\":\"M\",\"name\":\"%s\",\"pid\":%u,\"tid\":%llu,\"args\":{",
		    written ? ",\n" : "", what, process, thread);
	named("name", name);
	fputs("}}", file);
}

static u32 process_of(const struct task *t)
{
	return GROUPS + (t->group - sim.want.groups);
}

/* Whether there is room for more. If not, the trace says once where it ends. */
static bool room_left(void)
{
	if (written < MOST_BYTES)
		return true;
	if (!cut) {
		cut = true;
		times("I", sim.now);
		where(CPUS, 0);
		fputs(",\"s\":\"g\",\"name\":\"cut here: the trace is too large\"}", file);
		sim.trace_cut_ns = sim.now;
	}
	return false;
}

bool trace_to(const char *path)
{
	char name[32];

	file = fopen(path, "w");
	if (!file)
		return false;
	tracing = true;
	sim.trace_cut_ns = NEVER;
	fputs("{\"displayTimeUnit\":\"ns\",\"traceEvents\":[\n", file);
	about("process_name", CPUS, 0, "CPUs");
	for (s32 i = 0; i < sim.want.cpus; i++) {
		text_into(name, sizeof(name), "CPU %d", i);
		about("thread_name", CPUS, i, name);
	}
	for (u32 i = 0; i < sim.want.nr_groups; i++)
		about("process_name", GROUPS + i, 0, sim.want.groups[i].name);
	return true;
}

static u64 thread_of(const struct task *t)
{
	return 1000 + t->number;
}

void trace_birth(const struct task *t)
{
	char name[64];

	if (!room_left())
		return;
	text_into(name, sizeof(name), "%s %llu", t->plan->comm, thread_of(t));
	about("thread_name", process_of(t), thread_of(t), name);
}

static void slice(const char *name, u32 process, u64 thread, u64 from, u64 to)
{
	if (to <= from || !room_left())
		return;
	times("X", from);
	where(process, thread);
	written += fprintf(file, ",\"dur\":%llu.%03llu,", (to - from) / 1000, (to - from) % 1000);
	named("name", name);
	fputc('}', file);
}

static void end_of_turn(struct sim_cpu *cpu)
{
	struct task *t = cpu->traced;

	if (!t)
		return;
	slice(cpu->traced_name, CPUS, cpu->id, cpu->traced_from, sim.now);
	slice("running", cpu->traced_process, cpu->traced_thread, cpu->traced_from, sim.now);
}

void trace_switch(struct sim_cpu *cpu, const struct task *t)
{
	end_of_turn(cpu);
	cpu->traced = (struct task *)t;
	if (!t)
		return;
	slice("waiting", process_of(t), thread_of(t), t->waits_since, sim.now);
	cpu->traced_from = sim.now;
	/* By value: the task may be gone at the end of its turn. */
	cpu->traced_name = t->plan->comm;
	cpu->traced_process = process_of(t);
	cpu->traced_thread = thread_of(t);
}

void trace_wakeup(const struct task *t)
{
	if (!room_left())
		return;
	times("i", sim.now);
	where(process_of(t), thread_of(t));
	fputs(",\"s\":\"t\",\"name\":\"wakeup\"}", file);
	written += 32;
}

void trace_end(void)
{
	if (!tracing)
		return;
	sim.now = sim.ended_at;
	for (s32 i = 0; i < sim.want.cpus; i++)
		end_of_turn(&sim.cpus[i]);
	for (u32 i = 0; i < sim.nr_tasks; i++) {
		struct task *t = sim.tasks[i];

		if (t && t->state == RUNNABLE)
			slice("waiting", process_of(t), thread_of(t), t->waits_since, sim.now);
	}
	fputs("\n]}\n", file);
	fclose(file);
}
