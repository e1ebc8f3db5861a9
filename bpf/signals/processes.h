/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Single processes: what the kernel half tells of them, a JSON line each. */
#ifndef SCHEDPILOT_SIGNALS_PROCESSES_H
#define SCHEDPILOT_SIGNALS_PROCESSES_H

#include <stdbool.h>

/* After the kernel half is loaded. False, with the reason said, when it cannot. */
bool open_processes(void);

/* Becomes readable when there is something that somebody waits for. */
int processes_fd(void);

/* Obeys `none`, `exits` or `all`; false for any other word. */
bool choose_processes(const char *word);

/* Prints all there is to tell; no line may be begun. False when nobody reads any more. */
bool tell_processes(void);

#endif
