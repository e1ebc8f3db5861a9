// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The candidate: the BTF of its BPF object describes the maps, the variables and the
 * scheduler's symbol; the library, made from the same source, has the code.
 */
#define _GNU_SOURCE
#include <bpf/btf.h>
#include <dlfcn.h>
#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine.h"
#include "lines.h"

#if __has_feature(address_sanitizer)
#define SANITIZED 1
#else
#define SANITIZED 0
#endif

static void *library;
static struct btf *btf;
static char **words;

static const char *name_of(const struct btf_type *type)
{
	return btf__name_by_offset(btf, type->name_off);
}

static const struct btf_type *plain(u32 id)
{
	const struct btf_type *type = btf__type_by_id(btf, id);

	while (btf_is_mod(type) || btf_is_typedef(type))
		type = btf__type_by_id(btf, type->type);
	return type;
}

static const struct btf_type *section(const char *name)
{
	for (u32 id = 1; id < btf__type_cnt(btf); id++) {
		const struct btf_type *type = btf__type_by_id(btf, id);

		if (btf_is_datasec(type) && !strcmp(name_of(type), name))
			return type;
	}
	return NULL;
}

void *candidate_symbol(const char *name)
{
	void *found = dlsym(library, name);

	if (!found)
		end_by(EXIT_NOT_MODELLED, 0, "not modelled: %s, which is static or not there",
		       name);
	return found;
}

/* `int (*name)[n]` means n. */
static u32 number_in(const struct btf_member *member)
{
	const struct btf_type *pointer = plain(member->type);
	const struct btf_type *array = btf_is_ptr(pointer) ? plain(pointer->type) : NULL;

	return array && btf_is_array(array) ? btf_array(array)->nelems : 0;
}

static u32 size_in(const struct btf_member *member)
{
	const struct btf_type *pointer = plain(member->type);
	s64 size = btf_is_ptr(pointer) ? btf__resolve_size(btf, pointer->type) : 0;

	return size > 0 ? size : 0;
}

/* A map's size as userspace sets it, else as defined. */
static u32 entries_of(const char *map, u32 written)
{
	char start[128];

	snprintf(start, sizeof(start), "%s.max_entries=", map);
	for (char **at = words; at[0] && at[1]; at += 2)
		if (!strcmp(at[0], "--set") && !strncmp(at[1], start, strlen(start)))
			return strtoul(at[1] + strlen(start), NULL, 10);
	return written;
}

/* The members of a map's definition. `inner` gets those of a map of maps' inner map. */
static struct map_spec spec_of(const struct btf_type *definition, struct map_spec *inner,
			       u32 *values_at)
{
	const struct btf_member *member = btf_members(definition);
	struct map_spec spec = {0};

	for (u32 i = 0; i < btf_vlen(definition); i++, member++) {
		const char *name = btf__name_by_offset(btf, member->name_off);

		if (!strcmp(name, "type")) {
			spec.type = number_in(member);
		} else if (!strcmp(name, "max_entries")) {
			spec.max_entries = number_in(member);
		} else if (!strcmp(name, "key")) {
			spec.key_size = size_in(member);
		} else if (!strcmp(name, "value")) {
			spec.value_size = size_in(member);
		} else if (!strcmp(name, "key_size")) {
			spec.key_size = number_in(member);
		} else if (!strcmp(name, "value_size")) {
			spec.value_size = number_in(member);
		} else if (!strcmp(name, "values") && inner) {
			/* struct inner *values[] */
			const struct btf_type *array = plain(member->type);
			const struct btf_type *pointer = plain(btf_array(array)->type);

			*inner = spec_of(plain(pointer->type), NULL, NULL);
			*values_at = member->offset / 8;
		}
	}
	return spec;
}

/* The bytes of a symbol, according to the library. */
static u64 symbol_size(void *symbol)
{
	ElfW(Sym) * entry;
	Dl_info info;

	return dladdr1(symbol, &info, (void **)&entry, RTLD_DL_SYMENT) && entry ? entry->st_size
										: 0;
}

static void read_map(const struct btf_type *variable)
{
	const struct btf_type *definition = plain(variable->type);
	const char *name = name_of(variable);
	struct map_spec spec, inner = {0};
	u32 values_at = 0;
	char *symbol;

	if (!btf_is_struct(definition))
		return;
	spec = spec_of(definition, &inner, &values_at);
	spec.max_entries = entries_of(name, spec.max_entries);
	symbol = candidate_symbol(name);
	if (!symbol)
		return;
	if (inner.type)
		make_outer_map(symbol, name, &spec, &inner);
	else
		make_map(symbol, name, &spec);
}

/* Inner maps that an outer map's definition names. */
static void fill_map(const struct btf_type *variable)
{
	const struct btf_type *definition = plain(variable->type);
	char *symbol = candidate_symbol(name_of(variable));
	struct map_spec inner = {0};
	u32 values_at = 0;

	if (!symbol || !btf_is_struct(definition))
		return;
	spec_of(definition, &inner, &values_at);
	for (u64 at = values_at; inner.type && at + 8 <= symbol_size(symbol); at += 8)
		if (*(void **)(symbol + at))
			fill_outer_map(symbol, (at - values_at) / 8, *(void **)(symbol + at));
}

static void read_maps(void)
{
	const struct btf_type *maps = section(".maps");

	for (u32 i = 0; maps && i < btf_vlen(maps); i++)
		read_map(btf__type_by_id(btf, btf_var_secinfos(maps)[i].type));
	for (u32 i = 0; maps && i < btf_vlen(maps) && !sim.over; i++)
		fill_map(btf__type_by_id(btf, btf_var_secinfos(maps)[i].type));
}

/* The scheduler would wait in vain for a callback that the engine never calls, so it is refused. */
static void check_callbacks(const struct btf_type *ops)
{
	static const char *const known =
	    " select_cpu enqueue dequeue dispatch tick runnable running stopping quiescent yield "
	    "core_sched_before set_weight set_cpumask update_idle init_task exit_task enable "
	    "disable dump dump_cpu dump_task cpu_online cpu_offline cpu_acquire cpu_release init "
	    "exit cgroup_init cgroup_exit cgroup_prep_move cgroup_move cgroup_cancel_move "
	    "cgroup_set_weight cgroup_set_bandwidth cgroup_set_idle sub_attach sub_detach "
	    "sub_caps_updated sub_ecaps_updated init_cids select_cid set_cmask dump_cid cid_online "
	    "cid_offline cpuctl_init cpuctl_exit cpuctl_prep_move cpuctl_move cpuctl_cancel_move "
	    "cpuctl_set_weight cpuctl_set_bandwidth cpuctl_set_idle ";
	const struct btf_member *member = btf_members(ops);

	for (u32 i = 0; i < btf_vlen(ops); i++, member++) {
		const char *name = btf__name_by_offset(btf, member->name_off);
		char padded[128];

		snprintf(padded, sizeof(padded), " %s ", name);
		if (btf_is_ptr(plain(member->type)) && !strstr(known, padded) &&
		    *(void **)((char *)sim.ops + member->offset / 8))
			end_by(EXIT_NOT_MODELLED, 0, "not modelled: ops.%s()", name);
	}
}

static void find_ops(void)
{
	const struct btf_type *ops = section(".struct_ops.link");
	const struct btf_type *variable;

	if (!ops)
		ops = section(".struct_ops");
	if (!ops || btf_vlen(ops) != 1) {
		end_by(EXIT_NOT_MODELLED, 0, "the object has %s scheduler",
		       ops ? "more than one" : "no");
		return;
	}
	variable = btf__type_by_id(btf, btf_var_secinfos(ops)->type);
	/*
	 * Its layout is the same as the other's, as far as it goes (scx_ops of
	 * kernel/sched/ext).
	 */
	sim.cids = !strcmp(name_of(plain(variable->type)), "sched_ext_ops_cid");
	if (strcmp(name_of(plain(variable->type)), "sched_ext_ops") && !sim.cids) {
		end_by(EXIT_NOT_MODELLED, 0, "not modelled: struct %s",
		       name_of(plain(variable->type)));
		return;
	}
	sim.ops = candidate_symbol(name_of(variable));
	if (sim.ops)
		check_callbacks(plain(variable->type));
}

/*
 * Whether the candidate may import this symbol: among the engine's own only kfuncs and
 * helpers, and the functions that clang itself calls; never anything else from libc.
 */
static bool may_ask_for(const char *name)
{
	static const char *const starts[] = {"bpf_", "scx_bpf_", "__scx_bpf_", "CONFIG_"};
	static const char *const whole[] = {
	    "memcpy",  "memset", "memmove", "memcmp", "sd_llc_id", "LINUX_KERNEL_VERSION",
	    "strncmp", "strcmp", "strlen",  "strstr"};

	if (SANITIZED && (!strncmp(name, "__asan_", 7) || !strncmp(name, "__ubsan_", 8)))
		return true;
	if (COUNTS && !strncmp(name, "__tsan_", 7))
		return true;
	for (u32 i = 0; i < sizeof(starts) / sizeof(*starts); i++)
		if (!strncmp(name, starts[i], strlen(starts[i])))
			return true;
	for (u32 i = 0; i < sizeof(whole) / sizeof(*whole); i++)
		if (!strcmp(name, whole[i]))
			return true;
	return false;
}

/* Check the library's imports before any of its code can run (constructors run at once). */
static bool asks_for_little(const char *path)
{
	int file = open(path, O_RDONLY);
	struct stat status;
	const Elf64_Ehdr *elf;
	bool fine = true;
	u64 size;
	char *at;

	if (file < 0 || fstat(file, &status) || status.st_size < (off_t)sizeof(*elf)) {
		end_by(EXIT_NOT_MODELLED, 0, "cannot be run: the library cannot be read");
		return false;
	}
	size = status.st_size;
	at = mmap(NULL, size, PROT_READ, MAP_PRIVATE, file, 0);
	close(file);
	elf = (const Elf64_Ehdr *)at;
	if (at == MAP_FAILED || elf->e_shoff + elf->e_shnum * sizeof(Elf64_Shdr) > size) {
		end_by(EXIT_NOT_MODELLED, 0, "cannot be run: the library cannot be read");
		return false;
	}
	for (u32 i = 0; i < elf->e_shnum && fine; i++) {
		const Elf64_Shdr *all = (const Elf64_Shdr *)(at + elf->e_shoff), *each = &all[i];
		const Elf64_Sym *symbols = (const Elf64_Sym *)(at + each->sh_offset);

		/* The sanitizer's own constructor is one. */
		if (each->sh_type == SHT_INIT_ARRAY &&
		    each->sh_size > (SANITIZED || COUNTS) * sizeof(void *)) {
			end_by(EXIT_NOT_MODELLED, 0, "not modelled: a constructor");
			fine = false;
		}
		if (each->sh_type != SHT_DYNSYM)
			continue;
		for (u64 k = 1; k < each->sh_size / sizeof(*symbols) && fine; k++) {
			const char *name = at + all[each->sh_link].sh_offset + symbols[k].st_name;

			if (symbols[k].st_shndx != SHN_UNDEF || may_ask_for(name))
				continue;
			end_by(EXIT_NOT_MODELLED, 0, "not modelled: %s", name);
			fine = false;
		}
	}
	munmap(at, size);
	return fine;
}

#ifdef COUNTS_LINES
/* A file in memory, which stays; NULL: it cannot be read. */
static const char *contents(const char *path)
{
	int file = open(path, O_RDONLY);
	struct stat status;
	char *at;

	if (file < 0 || fstat(file, &status))
		return NULL;
	at = mmap(NULL, status.st_size, PROT_READ, MAP_PRIVATE, file, 0);
	close(file);
	return at == MAP_FAILED ? NULL : at;
}

/* A table of symbols, with their names. */
struct symbols {
	const Elf64_Sym *first;
	u64 nr;
	const char *names;
};

static struct symbols symbols_of(const char *file)
{
	const Elf64_Ehdr *elf = (const Elf64_Ehdr *)file;
	const Elf64_Shdr *all = (const Elf64_Shdr *)(file + elf->e_shoff);

	for (u32 i = 0; i < elf->e_shnum; i++)
		if (all[i].sh_type == SHT_SYMTAB)
			return (struct symbols){(const Elf64_Sym *)(file + all[i].sh_offset),
						all[i].sh_size / sizeof(Elf64_Sym),
						file + all[all[i].sh_link].sh_offset};
	return (struct symbols){};
}

/* The place of a variable among those of the BPF object; 0: it has none. */
static u64 placed_in(const struct symbols *object, const char *name)
{
	for (u64 i = 0; i < object->nr; i++) {
		const Elf64_Sym *each = &object->first[i];

		if (ELF64_ST_TYPE(each->st_info) == STT_OBJECT && each->st_shndx < SHN_LORESERVE &&
		    each->st_shndx && !strcmp(object->names + each->st_name, name))
			return (u64)each->st_shndx << 32 | each->st_value;
	}
	return 0;
}

/*
 * Variables share cache lines as the BPF object lays them out: each section begins a page of its
 * own in the kernel.
 */
static void place_variables(const char *library_path, const char *object_path, const char *base)
{
	const char *native_file = contents(library_path), *object_file = contents(object_path);
	struct symbols native, object;

	if (!native_file || !object_file)
		return;
	native = symbols_of(native_file);
	object = symbols_of(object_file);
	for (u64 i = 0; i < native.nr; i++) {
		const Elf64_Sym *each = &native.first[i];
		const char *name = native.names + each->st_name;

		if (ELF64_ST_TYPE(each->st_info) == STT_OBJECT && each->st_shndx && each->st_size)
			place_variable(base + each->st_value, each->st_size, name,
				       placed_in(&object, name));
	}
}
#endif

static void set_variables(void);

void load_candidate(const char *library_path, const char *object_path, char **all_words)
{
	const char *unknown = ": undefined symbol: ";
	const char *error, *at;

	words = all_words;
	btf = btf__parse(object_path, NULL);
	if (!btf) {
		end_by(EXIT_NOT_MODELLED, 0, "the object has no types (BTF)");
		return;
	}
	if (!asks_for_little(library_path))
		return;
	library = dlopen(library_path, RTLD_NOW | RTLD_LOCAL);
	if (!library) {
		error = dlerror();
		at = strstr(error, unknown);
		end_by(EXIT_NOT_MODELLED, 0, at ? "not modelled: %s()" : "cannot be run: %s",
		       at ? at + strlen(unknown) : error);
		return;
	}
#ifdef COUNTS_LINES
	struct link_map *loaded;

	if (!dlinfo(library, RTLD_DI_LINKMAP, &loaded))
		place_variables(library_path, object_path, (const char *)loaded->l_addr);
#endif
	read_maps();
	if (!sim.over)
		find_ops();
	if (!sim.over)
		set_variables();
}

static bool holds_variables(const char *name)
{
	static const char *const starts[] = {".rodata", ".data", ".bss"};

	for (u32 i = 0; i < 3; i++)
		if (!strncmp(name, starts[i], strlen(starts[i])))
			return true;
	return false;
}

static const struct btf_type *variable_named(const char *name, size_t length)
{
	for (u32 id = 1; id < btf__type_cnt(btf); id++) {
		const struct btf_type *type = btf__type_by_id(btf, id);

		if (!btf_is_datasec(type) || !holds_variables(name_of(type)))
			continue;
		for (u32 k = 0; k < btf_vlen(type); k++) {
			const struct btf_type *variable =
			    btf__type_by_id(btf, btf_var_secinfos(type)[k].type);

			if (!strncmp(name_of(variable), name, length) && !name_of(variable)[length])
				return variable;
		}
	}
	return NULL;
}

/* NAME=VALUE or NAME[INDEX]=VALUE, for an integer or a bool. */
static bool set_variable(const char *assignment)
{
	const char *equals = strchr(assignment, '=');
	size_t length = strcspn(assignment, "=[");
	const struct btf_type *variable = variable_named(assignment, length), *type;
	u64 page = sysconf(_SC_PAGESIZE), value, index = 0, size;
	char *symbol;

	if (!variable || !equals)
		return false;
	type = plain(variable->type);
	if ((assignment[length] == '[') != btf_is_array(type))
		return false;
	if (btf_is_array(type)) {
		index = strtoull(assignment + length + 1, NULL, 10);
		type = plain(btf_array(type)->type);
	}
	size = type->size;
	symbol = candidate_symbol(name_of(variable));
	if (!symbol || !(btf_is_int(type) || btf_is_any_enum(type)) || size > 8 ||
	    (index + 1) * size > symbol_size(symbol))
		return false;
	symbol += index * size;
	if (!strcmp(equals + 1, "true") || !strcmp(equals + 1, "false"))
		value = equals[1] == 't';
	else
		value = equals[1] == '-' ? (u64)strtoll(equals + 1, NULL, 0)
					 : strtoull(equals + 1, NULL, 0);
	/* Constants are in read-only memory. */
	mprotect((void *)((uintptr_t)symbol & ~(page - 1)), ((uintptr_t)symbol & (page - 1)) + size,
		 PROT_READ | PROT_WRITE);
	memcpy(symbol, &value, size);
	return true;
}

/* Numbers, truth values and arrays of them; those that are set once, before the start, first. */
static void list_variables(void)
{
	for (int constant = 1; constant >= 0; constant--)
		for (u32 id = 1; id < btf__type_cnt(btf); id++) {
			const struct btf_type *section = btf__type_by_id(btf, id);

			if (!btf_is_datasec(section) || !holds_variables(name_of(section)) ||
			    constant == !!strncmp(name_of(section), ".rodata", 7))
				continue;
			for (u32 k = 0; k < btf_vlen(section); k++) {
				const struct btf_type *variable =
				    btf__type_by_id(btf, btf_var_secinfos(section)[k].type);
				const struct btf_type *type = plain(variable->type);

				/* The variables of the exit record cannot be set. */
				if (!strncmp(name_of(variable), "uei", 3))
					continue;
				if (btf_is_array(type))
					type = plain(btf_array(type)->type);
				if (btf_var(variable)->linkage != BTF_VAR_STATIC &&
				    (btf_is_int(type) || btf_is_any_enum(type)))
					note_variable(name_of(variable));
			}
		}
}

static void set_variables(void)
{
	for (char **at = words; at[0] && at[1]; at += 2) {
		char name[128];

		if (strcmp(at[0], "--set"))
			continue;
		snprintf(name, sizeof(name), "%.*s", (int)strcspn(at[1], "=[."), at[1]);
		if (strstr(at[1], ".max_entries=") ? map_named(name) != NULL : set_variable(at[1]))
			continue;
		list_variables();
		end_by(EXIT_BAD_PARAMETER, 0, "%s", at[1]);
	}
}
