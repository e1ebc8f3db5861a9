/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The trace file of docs/traces.md, written line by line through gzip. */
#ifndef SCHEDPILOT_RECORDER_TRACE_H
#define SCHEDPILOT_RECORDER_TRACE_H

#include <linux/types.h>
#include <stdbool.h>
#include <stdint.h>
#include "recorder/recorder.h"

struct trace_figures {
	uint64_t records, bytes;
	uint64_t numbers; /* given to tasks, also to those that nothing is known of */
};

/* Begins the file with its header; `scope` is a workload's id or empty. False: `errno` says why. */
bool trace_open(const char *path, const char *scope, uint64_t began_ns);

void trace_task(const struct recorder_task *task);
void trace_event(const struct recorder_event *event);

uint64_t trace_records(void);

/* What was written so far, `bytes` of the file as it is packed. */
struct trace_figures trace_figures(void);

/*
 * Ends the file: `cut` names the bound that ended it early, or is empty. False where the file
 * could not be written whole.
 */
bool trace_close(uint64_t ended_ns, uint64_t lost, uint64_t left_out, const char *cut);

#endif
