/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The machine as a whole: utilisation, pressure, hardware counters, sched_ext. */
#ifndef SCHEDPILOT_SIGNALS_MACHINE_H
#define SCHEDPILOT_SIGNALS_MACHINE_H

/* Starts the available hardware counters, on all of `cpus` possible CPUs. */
void open_counters(unsigned int cpus);

/* Puts `"machine":{...}`: what changed since the last call, `interval_s` seconds ago. */
void put_machine(double interval_s);

#endif
