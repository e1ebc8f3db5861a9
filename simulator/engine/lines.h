/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which CPUs share which cache lines, and what that costs by the model of lines.c. Only an engine
 * built with COUNTS_LINES counts; in any other, nothing of this is left after compilation.
 */
#ifndef SIMULATOR_LINES_H
#define SIMULATOR_LINES_H

#include "engine.h"

/* Lines of the kernel's that have no memory here. An address has at most 47 bits. */
enum kernel_line {
	LINE_RUN_QUEUE = 1,    /* of a CPU: its lock, and its local queue */
	LINE_QUEUE,	       /* of a queue that the scheduler created, by address */
	LINE_GLOBAL_QUEUE,     /* of a node */
	LINE_IDLE_CPUS,	       /* the mask of idle CPUs, of a node or of the machine */
	LINE_IDLE_CORES,       /* likewise */
	LINE_BUCKET,	       /* of a hash, by address */
	LINE_OF_VARIABLES = 8, /* as the BPF object lays them out */
};

static inline u64 kernel_line(enum kernel_line kind, u64 which)
{
	return (u64)kind << 56 | which << 6;
}

static inline u64 line_of_queue(const struct dsq *dsq)
{
	if (dsq->cpu >= 0)
		return kernel_line(LINE_RUN_QUEUE, dsq->cpu);
	return kernel_line(LINE_QUEUE, (u64)dsq & ((1ULL << 48) - 1));
}

#ifdef COUNTS_LINES
#define COUNTS 1
void saw_load(u64 address);
void saw_store(u64 address);
/* Everything that happens between these two happens under a lock in that line. */
void saw_lock(u64 address);
void saw_unlock(u64 address, u64 held_ns);
/* What follows belongs to a wakeup, or again to what it interrupted. */
void saw_wakeup(bool begins);
void saw_switch(void);
/* What follows is not part of the figures. */
void saw_end(void);
/* Memory that the candidate reads and writes: elements of `unit` bytes. */
void name_lines(const void *from, u64 bytes, const char *name, u64 unit);
/* A variable of the library, and its address among those of the BPF object. */
void place_variable(const void *from, u64 bytes, const char *name, u64 placed);
void write_lines(void);
#else
#define COUNTS 0
static inline void saw_load(u64 address)
{
	(void)address;
}
static inline void saw_store(u64 address)
{
	(void)address;
}
static inline void saw_lock(u64 address)
{
	(void)address;
}
static inline void saw_unlock(u64 address, u64 held_ns)
{
	(void)address, (void)held_ns;
}
static inline void saw_wakeup(bool begins)
{
	(void)begins;
}
static inline void saw_switch(void)
{
}
static inline void saw_end(void)
{
}
static inline void name_lines(const void *from, u64 bytes, const char *name, u64 unit)
{
	(void)from, (void)bytes, (void)name, (void)unit;
}
static inline void write_lines(void)
{
}
#endif

/* How long the kernel holds a lock for what it does there, apart from the lines that it needs, ns.
 */
#define RUN_QUEUE_NS 30 /* a wakeup, a switch or a kick */
#define INSERT_NS    20
#define TAKE_NS	     20
#define ITERATE_NS   10 /* to the next task */
#define BUCKET_NS    20

static inline void saw_locked(u64 address, u64 held_ns)
{
	saw_lock(address);
	saw_unlock(address, held_ns);
}

#endif /* SIMULATOR_LINES_H */
