/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Single processes: the kernel half's reports, one JSON line each. */
#ifndef SCHEDPILOT_SIGNALS_PROCESSES_H
#define SCHEDPILOT_SIGNALS_PROCESSES_H

#include <stdbool.h>

/* After the kernel half is loaded. False, after reporting the reason, if it cannot. */
bool open_processes(void);

/* Becomes readable when there is a report that somebody waits for. */
int processes_fd(void);

/* Obeys `none`, `exits` or `all`; false for any other word. */
bool choose_processes(const char *word);

/* Prints all reports; no line may be begun. False if nobody reads any more. */
bool tell_processes(void);

#endif
