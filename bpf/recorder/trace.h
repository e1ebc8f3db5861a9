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
	uint64_t numbers; /* assigned to tasks, including unknown ones */
};

/* Begins the file with its header; `scope` is a workload's id or empty. False: `errno` says why. */
bool trace_open(const char *path, const char *scope, uint64_t began_ns);

void trace_task(const struct recorder_task *task);
void trace_event(const struct recorder_event *event);

uint64_t trace_records(void);

/* How much was written so far, `bytes` of the compressed file. */
struct trace_figures trace_figures(void);

/*
 * Ends the file: `cut` names the limit that ended it early, or is empty. False if the file
 * could not be completed.
 */
bool trace_close(uint64_t ended_ns, uint64_t lost, uint64_t left_out, const char *cut);

#endif
