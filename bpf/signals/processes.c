// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <bpf/libbpf.h>
#include "signals/signals.h"
#include "signals/accounts.h"
#include "common/json.h"
#include "signals/processes.h"
#include "common/system.h"

static struct ring_buffer *events;

static void put_arguments(const struct process_event *event)
{
	size_t kept = event->length < SIGNALS_ARGUMENTS ? event->length : SIGNALS_ARGUMENTS, at;
	char text[SIGNALS_ARGUMENTS + 1];

	if (!event->executed) {
		putf("null");
		return;
	}
	memcpy(text, event->arguments, kept);
	text[kept] = 0;
	putf("[");
	for (at = 0; at < kept; at += strlen(text + at) + 1) {
		if (at)
			putf(",");
		put_string("", text + at);
	}
	putf("]");
}

static int tell(void *nothing, void *data, size_t size)
{
	const struct process_event *event = data;
	char program[SIGNALS_COMM_LEN + 1] = {};

	(void)nothing;
	if (size < sizeof(*event))
		return 0;
	memcpy(program, event->program, SIGNALS_COMM_LEN);
	putf("{\"%s\":{\"pid\":%u,\"uid\":%u,\"workload\":",
	     event->kind == PROCESS_EXEC ? "exec" : "exit", event->pid, event->uid);
	put_workload_id(&event->workload);
	putf(",\"program\":");
	put_string("", program);
	putf(",\"arguments\":");
	put_arguments(event);
	putf(",\"cut\":%s", event->length > SIGNALS_ARGUMENTS ? "true" : "false");
	if (event->kind == PROCESS_EXIT) {
		putf(",\"cpu_us\":");
		put_us(event->cpu_ns);
		putf(",\"wall_us\":");
		put_us(event->wall_ns);
		putf(",\"status\":%u,\"signal\":%u", event->exit_code >> 8 & 0xff,
		     event->exit_code & 0x7f);
	}
	putf("}}");
	return send_line() ? 0 : -EPIPE;
}

bool open_processes(void)
{
	events = ring_buffer__new(process_events(), tell, NULL, NULL);
	if (!events)
		say("cannot receive process events: %s", strerror(errno));
	return events;
}

int processes_fd(void)
{
	return ring_buffer__epoll_fd(events);
}

bool choose_processes(const char *word)
{
	if (!strcmp(word, "none"))
		watch_processes(WATCH_NONE);
	else if (!strcmp(word, "exits"))
		watch_processes(WATCH_EXITS);
	else if (!strcmp(word, "all"))
		watch_processes(WATCH_ALL);
	else
		return false;
	return true;
}

bool tell_processes(void)
{
	return ring_buffer__consume(events) >= 0;
}
