/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Declarations shared by the parts of schedpilot-runner. runner.c describes the program. */
#ifndef SCHEDPILOT_RUNNER_H
#define SCHEDPILOT_RUNNER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NAME_LEN     128 /* SCX_OPS_NAME_LEN, the end included */
#define VARS_MAX     256 /* variables one scheduler may expose */
#define SECTIONS_MAX 16	 /* data sections of one object */
#define SETTINGS_MAX 64	 /* --set on one command line */

/* ---- options.c ---- */

enum status { ENDED = 0, USAGE = 2, FAILED = 3, EJECTED = 4, LEASE = 5 };

extern struct options {
	const char *object;
	char *settings[SETTINGS_MAX];
	int nr_settings;
	double lease, stats; /* seconds; 0: none */
	bool verify_only, describe;
} options;

/* False after saying on standard error what is wrong. */
bool options_parse(int argc, char **argv);

/* ---- members.c: one JSON object a line on standard output ---- */

void json_begin(const char *event);
void json_string(const char *key, const char *value);
void json_bytes(const char *key, const char *value, size_t length);
void json_int(const char *key, long long value);
void json_uint(const char *key, unsigned long long value);
void json_bool(const char *key, bool value);
void json_open(const char *key, char bracket);
void json_close(char bracket);
void json_end(void);
/* Whether the reader is so far behind that periodic lines should be left out. */
bool json_backlog(void);

/* ---- sched_ext.c: the kernel's own state of sched_ext ---- */

struct scx_state {
	char state[32];	    /* enabled, enabling, disabling, disabled; "" without sched_ext */
	char ops[NAME_LEN]; /* the root scheduler, "" when there is none */
	long long enable_seq;
	long long nr_rejected;
	long long hotplug_seq;
};

void scx_read(struct scx_state *state);
void scx_json_events(void);
bool cpus_isolated(void);

/* ---- vars.c: the object's global variables, by its BTF ---- */

struct bpf_object;
struct bpf_map;

struct variable {
	char name[64];
	char type[32];
	uint32_t section; /* index into scheduler.sections */
	uint32_t offset;
	uint32_t size;
	bool is_signed, is_bool, is_string, is_scalar;
};

struct section {
	char name[32];
	struct bpf_map *map;
	bool read_only;
	char *memory; /* before load libbpf's copy, after load the shared mapping */
	size_t size;
};

struct scheduler {
	struct bpf_object *object;
	struct bpf_map *ops_map;
	char name[NAME_LEN];
	struct section sections[SECTIONS_MAX];
	unsigned int nr_sections;
	struct variable vars[VARS_MAX];
	unsigned int nr_vars;
	/* The exit record, NULL if the scheduler has none. */
	const struct exit_record *record;
	const char *dump;
	size_t dump_size;
};

/* struct user_exit_info of scx/user_exit_info_common.h, as userspace sees it. */
struct exit_record {
	int kind;
	int64_t code;
	char reason[128];
	char message[1024];
};

int vars_find(struct scheduler *sched);
/* Map the data sections of the loaded object, and find the exit record in them. */
int vars_map(struct scheduler *sched);
/* 0, or -errno with `why` filled in. `live`: the object is loaded, constants are fixed. */
int vars_set(struct scheduler *sched, const char *name, const char *value, bool live, char *why,
	     size_t why_size);
void vars_json(const struct scheduler *sched);
/* Give schedulers made by the scx project the constants they expect from a loader. */
int vars_fill_enums(struct scheduler *sched);

/* ---- load.c: open, load, attach, detach ---- */

struct failure {
	const char *stage; /* open, set, load, attach, enable */
	int error;	   /* positive errno, 0 where there is none */
	char message[512];
	bool ejected; /* an exit record has more */
};

int sched_open(struct scheduler *sched, const char *path, struct failure *fail);
int sched_load(struct scheduler *sched, struct failure *fail);
int sched_attach(struct scheduler *sched, struct failure *fail);
void sched_detach(struct scheduler *sched);
bool sched_exited(const struct scheduler *sched);
void sched_json_exit(const struct scheduler *sched);
void sched_json_maps(const struct scheduler *sched);
void sched_json_counters(const struct scheduler *sched);
int sched_put(struct scheduler *sched, const char *map, const char *key, const char *value,
	      char *why, size_t why_size);
/* The messages of libbpf and the verifier are no longer needed. */
void forget_log(void);
void failed(const struct failure *fail);

/* ---- explain.c: obscure failures in plain words ---- */

struct explanation {
	const char *cause;
	const char *hint;
};
struct explanation explain(const struct failure *fail, const char *log);
const char *exit_kind_name(int kind);

#endif /* SCHEDPILOT_RUNNER_H */
