// SPDX-License-Identifier: GPL-2.0-only
/*
 * The candidate: its BPF object says by BTF what maps and variables there are and which symbol
 * is the scheduler; the library, made of the same source, has the code.
 */
#include <bpf/btf.h>
#include <dlfcn.h>
#include <elf.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine.h"

static void *library;
static struct btf *btf;

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

/* `int (*name)[n]` says n. */
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

static void read_map(const struct btf_type *variable)
{
	const struct btf_type *definition = plain(variable->type);
	u32 type = 0, key = 0, value = 0, entries = 0;
	const struct btf_member *member;
	void *symbol;

	if (!btf_is_struct(definition))
		return;
	member = btf_members(definition);
	for (u32 i = 0; i < btf_vlen(definition); i++, member++) {
		const char *name = btf__name_by_offset(btf, member->name_off);

		if (!strcmp(name, "type"))
			type = number_in(member);
		else if (!strcmp(name, "max_entries"))
			entries = number_in(member);
		else if (!strcmp(name, "key"))
			key = size_in(member);
		else if (!strcmp(name, "value"))
			value = size_in(member);
		else if (!strcmp(name, "key_size"))
			key = number_in(member);
		else if (!strcmp(name, "value_size"))
			value = number_in(member);
		else if (!strcmp(name, "values"))
			end_by(EXIT_NOT_MODELLED, 0, "not modelled: the map of maps %s",
			       name_of(variable));
	}
	symbol = candidate_symbol(name_of(variable));
	if (symbol)
		make_map(symbol, name_of(variable), type, key, value, entries);
}

static void read_maps(void)
{
	const struct btf_type *maps = section(".maps");

	for (u32 i = 0; maps && i < btf_vlen(maps); i++)
		read_map(btf__type_by_id(btf, btf_var_secinfos(maps)[i].type));
}

/* A callback that the engine would never call is one that the scheduler waits for in vain. */
static void check_callbacks(const struct btf_type *ops)
{
	static const char *const known =
	    " select_cpu enqueue dequeue dispatch tick runnable running stopping quiescent yield "
	    "core_sched_before set_weight set_cpumask update_idle init_task exit_task enable "
	    "disable dump dump_cpu dump_task cpu_online cpu_offline cpu_acquire cpu_release init "
	    "exit ";
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
	if (strcmp(name_of(plain(variable->type)), "sched_ext_ops")) {
		end_by(EXIT_NOT_MODELLED, 0, "not modelled: struct %s",
		       name_of(plain(variable->type)));
		return;
	}
	sim.ops = candidate_symbol(name_of(variable));
	if (sim.ops)
		check_callbacks(plain(variable->type));
}

/*
 * May the candidate ask for a symbol of that name? Of the engine's own there are just kfuncs and
 * helpers, and what clang itself calls; never anything else of libc.
 */
static bool may_ask_for(const char *name)
{
	static const char *const starts[] = {"bpf_", "scx_bpf_", "__scx_bpf_", "CONFIG_"};
	static const char *const whole[] = {
	    "memcpy",  "memset", "memmove", "memcmp", "sd_llc_id", "LINUX_KERNEL_VERSION",
	    "strncmp", "strcmp", "strlen",  "strstr"};

	for (u32 i = 0; i < sizeof(starts) / sizeof(*starts); i++)
		if (!strncmp(name, starts[i], strlen(starts[i])))
			return true;
	for (u32 i = 0; i < sizeof(whole) / sizeof(*whole); i++)
		if (!strcmp(name, whole[i]))
			return true;
	return false;
}

/* Look at what the library wants before any of its code can run (constructors do at once). */
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

		if (each->sh_type == SHT_INIT_ARRAY) {
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

void load_candidate(const char *library_path, const char *object_path)
{
	const char *unknown = ": undefined symbol: ";
	const char *error, *at;

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
	read_maps();
	if (!sim.over)
		find_ops();
}

/* NAME=VALUE for a global variable that is an integer or a bool. */
void set_variable(const char *assignment)
{
	static const char *const sections[] = {".rodata", ".data", ".bss"};
	const char *equals = strchr(assignment, '=');
	size_t length = equals ? (size_t)(equals - assignment) : 0;

	for (u32 i = 0; equals && i < 3; i++) {
		const struct btf_type *in = section(sections[i]);

		for (u32 k = 0; in && k < btf_vlen(in); k++) {
			const struct btf_var_secinfo *info = &btf_var_secinfos(in)[k];
			const struct btf_type *variable = btf__type_by_id(btf, info->type);
			u64 page = sysconf(_SC_PAGESIZE), value;
			char *symbol;

			if (strncmp(name_of(variable), assignment, length) ||
			    name_of(variable)[length] || info->size > 8)
				continue;
			if (!strcmp(equals + 1, "true") || !strcmp(equals + 1, "false"))
				value = equals[1] == 't';
			else
				value = equals[1] == '-' ? (u64)strtoll(equals + 1, NULL, 0)
							 : strtoull(equals + 1, NULL, 0);
			symbol = candidate_symbol(name_of(variable));
			if (!symbol)
				return;
			/* Constants lie in memory that cannot be written. */
			mprotect((void *)((uintptr_t)symbol & ~(page - 1)),
				 ((uintptr_t)symbol & (page - 1)) + info->size,
				 PROT_READ | PROT_WRITE);
			memcpy(symbol, &value, info->size);
			return;
		}
	}
	end_by(EXIT_NOT_MODELLED, 0, "the scheduler has no variable for %s", assignment);
}
