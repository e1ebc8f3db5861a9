// SPDX-License-Identifier: GPL-2.0-or-later
/* From an object file to an enabled scheduler, trusting only the kernel's state. */
#define _GNU_SOURCE /* strerrorname_np */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>

#include "common/clock.h"
#include "runner/runner.h"

/* The first part of the log names the cause, its end the place: both are kept. */
#define LOG_HEAD 4096
#define LOG_TAIL 28672
/* How long the kernel may take from attach to a settled state. */
#define ENABLE_PATIENCE_MS 15000
/* How long a scheduler may take to unload. */
#define LEAVE_PATIENCE_MS 5000

static char *log_text;
static size_t log_length;
static struct bpf_link *link;

/* Everything at warning level, including the verifier's log. Only a failing load logs much. */
static int keep_log(enum libbpf_print_level level, const char *format, va_list arguments)
{
	va_list again;
	char *more;
	int n;

	if (level > LIBBPF_WARN)
		return 0;
	va_copy(again, arguments);
	n = vsnprintf(NULL, 0, format, again);
	va_end(again);
	more = n > 0 ? realloc(log_text, log_length + n + 1) : NULL;
	if (!more)
		return 0;
	log_text = more;
	vsnprintf(log_text + log_length, n + 1, format, arguments);
	log_length += n;
	return 0;
}

void forget_log(void)
{
	free(log_text);
	log_text = NULL;
	log_length = 0;
}

static int fail_with(struct failure *fail, const char *stage, int error, const char *message)
{
	fail->stage = stage;
	fail->error = error < 0 ? -error : error;
	snprintf(fail->message, sizeof(fail->message), "%s", message);
	return -1;
}

/* A member of the scheduler's own struct, as memory; NULL if its headers lack it. */
static char *ops_member(const struct scheduler *sched, const char *name)
{
	const struct btf *btf = bpf_object__btf(sched->object);
	int id = btf__find_by_name_kind(btf, "sched_ext_ops", BTF_KIND_STRUCT);
	const struct btf_type *type;
	char *memory;
	size_t size;

	if (id < 0)
		id = btf__find_by_name_kind(btf, "sched_ext_ops_cid", BTF_KIND_STRUCT);
	memory = bpf_map__initial_value(sched->ops_map, &size);
	if (id < 0 || !memory)
		return NULL;
	type = btf__type_by_id(btf, id);
	for (int i = 0; i < btf_vlen(type); i++) {
		const struct btf_member *member = &btf_members(type)[i];
		size_t offset = btf_member_bit_offset(type, i) / 8;

		if (offset < size && !strcmp(btf__name_by_offset(btf, member->name_off), name))
			return memory + offset;
	}
	return NULL;
}

int sched_open(struct scheduler *sched, const char *path, struct failure *fail)
{
	struct bpf_map *map;
	const char *name;

	libbpf_set_print(keep_log);
	sched->object = bpf_object__open_file(path, NULL);
	if (!sched->object)
		return fail_with(fail, "open", errno, "libbpf cannot read the file");
	bpf_object__for_each_map (map, sched->object) {
		if (bpf_map__type(map) != BPF_MAP_TYPE_STRUCT_OPS)
			continue;
		if (sched->ops_map)
			return fail_with(fail, "open", EINVAL,
					 "it contains more than one scheduler");
		sched->ops_map = map;
	}
	if (!sched->ops_map || !bpf_object__btf(sched->object))
		return fail_with(fail, "open", EINVAL, "it contains no scheduler (SCX_OPS_DEFINE)");
	name = ops_member(sched, "name");
	if (!name || !*name || strnlen(name, NAME_LEN) == NAME_LEN)
		return fail_with(fail, "open", EINVAL, "its ops have no .name");
	snprintf(sched->name, sizeof(sched->name), "%s", name);
	vars_find(sched);
	return 0;
}

int sched_load(struct scheduler *sched, struct failure *fail)
{
	struct scx_state state;
	uint64_t sequence;
	char *hotplug;
	int err;

	scx_read(&state);
	if (!state.state[0])
		return fail_with(fail, "load", ENOTSUP,
				 "struct sched_ext_ops is not found in kernel BTF");
	vars_fill_enums(sched);
	/* The kernel refuses the scheduler if CPUs came or went since. */
	hotplug = ops_member(sched, "hotplug_seq");
	if (hotplug && state.hotplug_seq >= 0) {
		sequence = state.hotplug_seq;
		memcpy(hotplug, &sequence, sizeof(sequence));
	}
	err = bpf_object__load(sched->object);
	if (err)
		return fail_with(fail, "load", err, "the kernel did not accept the programs");
	err = vars_map(sched);
	if (err)
		return fail_with(fail, "load", err, "the data sections cannot be mapped");
	return 0;
}

bool sched_exited(const struct scheduler *sched)
{
	return sched->record && __atomic_load_n(&sched->record->kind, __ATOMIC_ACQUIRE) != 0;
}

int sched_attach(struct scheduler *sched, struct failure *fail)
{
	struct scx_state before, now;
	long long deadline;
	char message[256];

	deadline = now_ms() + LEAVE_PATIENCE_MS;
	for (scx_read(&before); !strcmp(before.state, "disabling"); scx_read(&before)) {
		if (now_ms() > deadline)
			break;
		sleep_ms(5);
	}
	if (strcmp(before.state, "disabled")) {
		snprintf(message, sizeof(message), "sched_ext is %s with scheduler '%.100s'",
			 before.state, before.ops);
		return fail_with(fail, "attach", EBUSY, message);
	}
	link = bpf_map__attach_struct_ops(sched->ops_map);
	if (!link) {
		int error = errno;

		/* for example, ops.init() failed: the record has the reason */
		if (sched_exited(sched)) {
			fail->ejected = true;
			return fail_with(fail, "enable", error, "ejected while enabling");
		}
		return fail_with(fail, "attach", error, "the kernel did not attach the scheduler");
	}
	/* Attached does not mean enabled: later failures show only here and in the exit record. */
	deadline = now_ms() + ENABLE_PATIENCE_MS;
	for (;;) {
		scx_read(&now);
		if (sched_exited(sched) ||
		    (!strcmp(now.state, "disabled") && now.enable_seq != before.enable_seq))
			break;
		if (!strcmp(now.state, "enabled") && !strcmp(now.ops, sched->name) &&
		    now.enable_seq > before.enable_seq)
			return 0;
		if (now_ms() > deadline)
			break;
		sleep_ms(5);
	}
	sched_detach(sched);
	fail->ejected = sched_exited(sched);
	snprintf(message, sizeof(message),
		 "attached, but the state is '%s' with scheduler '%.100s'", now.state, now.ops);
	return fail_with(fail, "enable", fail->ejected ? 0 : ETIMEDOUT,
			 fail->ejected ? "ejected while enabling" : message);
}

void sched_detach(struct scheduler *sched)
{
	struct scx_state state;
	long long deadline = now_ms() + LEAVE_PATIENCE_MS;

	bpf_link__destroy(link);
	link = NULL;
	do { /* the kernel's state shows when its own scheduler is back */
		scx_read(&state);
		if (!strcmp(state.state, "disabled") || strcmp(state.ops, sched->name))
			break;
		sleep_ms(2);
	} while (now_ms() < deadline);
}

void sched_json_exit(const struct scheduler *sched)
{
	const struct exit_record *record = sched->record;
	int kind = record ? record->kind : 0;
	uint64_t code = record ? record->code : 0;

	json_int("kind", kind);
	json_string("kind_name", exit_kind_name(kind));
	json_int("code", (int64_t)code);
	/* SCX_ECODE_ACT_RESTART, SCX_ECODE_RSN_HOTPLUG */
	json_bool("restart", kind < 1024 && (code >> 48 & 1));
	json_bool("hotplug", kind < 1024 && (code >> 32 & 1));
	json_uint("user_code", code & 0xffffffff);
	json_bytes("reason", record ? record->reason : "",
		   record ? strnlen(record->reason, sizeof(record->reason)) : 0);
	json_bytes("message", record ? record->message : "",
		   record ? strnlen(record->message, sizeof(record->message)) : 0);
	json_bytes("dump", sched->dump ? sched->dump : "",
		   sched->dump ? strnlen(sched->dump, sched->dump_size) : 0);
}

void failed(const struct failure *fail)
{
	struct explanation means = explain(fail, log_text ? log_text : "");
	const char *log = log_text ? log_text : "";
	size_t length = log_length;

	if (length > LOG_HEAD + LOG_TAIL) {
		static const char gap[] = "\n[...]\n";

		memcpy(log_text + LOG_HEAD, gap, sizeof(gap) - 1);
		memmove(log_text + LOG_HEAD + sizeof(gap) - 1, log_text + length - LOG_TAIL,
			LOG_TAIL);
		length = LOG_HEAD + sizeof(gap) - 1 + LOG_TAIL;
	}
	json_string("stage", fail->stage);
	json_int("errno", fail->error);
	json_string("error", fail->error ? strerrorname_np(fail->error) ?: "unknown" : "");
	json_string("message", fail->message);
	json_string("cause", means.cause);
	json_string("hint", means.hint);
	json_bytes("log", log, length);
}
