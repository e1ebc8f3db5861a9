// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The global variables of a scheduler, found by the BTF of its data sections: constants
 * (`const volatile`, in .rodata) may be set before load, the others at any time.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>

#include "runner/runner.h"

static bool starts_with(const char *text, const char *prefix)
{
	return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* Fill in what a variable's type says about reading and writing it. */
static void describe_type(const struct btf *btf, uint32_t id, struct variable *var)
{
	const struct btf_type *type = btf__type_by_id(btf, id);
	const char *name = NULL;

	while (type && (btf_is_mod(type) || btf_is_typedef(type))) {
		if (btf_is_typedef(type) && !name)
			name = btf__name_by_offset(btf, type->name_off);
		type = btf__type_by_id(btf, type->type);
	}
	if (!type)
		return;
	if (btf_is_int(type)) {
		var->is_scalar = true;
		var->is_signed = btf_int_encoding(type) & BTF_INT_SIGNED;
		var->is_bool = btf_int_encoding(type) & BTF_INT_BOOL;
	} else if (btf_is_any_enum(type)) {
		var->is_scalar = true;
		var->is_signed = btf_kflag(type);
	} else if (btf_is_array(type)) {
		uint32_t element = btf_array(type)->type;

		type = btf__type_by_id(btf, element);
		while (type && (btf_is_mod(type) || btf_is_typedef(type)))
			type = btf__type_by_id(btf, type->type);
		var->is_string = type && btf_is_int(type) && type->size == 1;
		name = var->is_string ? "string" : "array";
	}
	if (!name || !*name)
		name = type ? btf__name_by_offset(btf, type->name_off) : "";
	snprintf(var->type, sizeof(var->type), "%s", name && *name ? name : "struct");
}

/* Variables that belong to the headers, not to the author. */
static bool internal_name(const char *name)
{
	return starts_with(name, "__SCX_") || starts_with(name, "___") ||
	       starts_with(name, "uei") || starts_with(name, "__scx_");
}

static void add_section(struct scheduler *sched, const struct btf *btf,
			const struct btf_type *datasec, struct bpf_map *map)
{
	const struct btf_var_secinfo *info = btf_var_secinfos(datasec);
	struct section *section = &sched->sections[sched->nr_sections];
	const char *name = btf__name_by_offset(btf, datasec->name_off);

	snprintf(section->name, sizeof(section->name), "%s", name);
	section->map = map;
	section->read_only = starts_with(name, ".rodata");
	section->memory = bpf_map__initial_value(map, &section->size);

	for (int i = 0; i < btf_vlen(datasec); i++, info++) {
		const struct btf_type *type = btf__type_by_id(btf, info->type);
		const char *label = type ? btf__name_by_offset(btf, type->name_off) : NULL;
		struct variable *var = &sched->vars[sched->nr_vars];

		if (!label || !btf_is_var(type) || sched->nr_vars == VARS_MAX ||
		    btf_var(type)->linkage != BTF_VAR_GLOBAL_ALLOCATED || internal_name(label) ||
		    strlen(label) >= sizeof(var->name))
			continue;
		memset(var, 0, sizeof(*var));
		snprintf(var->name, sizeof(var->name), "%s", label);
		var->section = sched->nr_sections;
		var->offset = info->offset;
		var->size = info->size;
		describe_type(btf, type->type, var);
		sched->nr_vars++;
	}
	sched->nr_sections++;
}

int vars_find(struct scheduler *sched)
{
	const struct btf *btf = bpf_object__btf(sched->object);
	uint32_t count = btf ? btf__type_cnt(btf) : 0;

	for (uint32_t id = 1; id < count && sched->nr_sections < SECTIONS_MAX; id++) {
		const struct btf_type *type = btf__type_by_id(btf, id);
		const char *name;
		struct bpf_map *map;

		if (!btf_is_datasec(type))
			continue;
		name = btf__name_by_offset(btf, type->name_off);
		if (!starts_with(name, ".rodata") && !starts_with(name, ".data") &&
		    !starts_with(name, ".bss"))
			continue;
		map = bpf_object__find_map_by_name(sched->object, name);
		if (map)
			add_section(sched, btf, type, map);
	}
	return 0;
}

/* The place of a variable from the headers: `uei` and others. -1 if there is none. */
static long find_internal(const struct scheduler *sched, const char *name, unsigned int *section,
			  uint32_t *size)
{
	const struct btf *btf = bpf_object__btf(sched->object);

	for (unsigned int s = 0; s < sched->nr_sections; s++) {
		int id = btf__find_by_name_kind(btf, sched->sections[s].name, BTF_KIND_DATASEC);
		const struct btf_type *datasec = id > 0 ? btf__type_by_id(btf, id) : NULL;
		const struct btf_var_secinfo *info = datasec ? btf_var_secinfos(datasec) : NULL;

		for (int i = 0; datasec && i < btf_vlen(datasec); i++, info++) {
			const struct btf_type *var = btf__type_by_id(btf, info->type);

			if (strcmp(btf__name_by_offset(btf, var->name_off), name))
				continue;
			*section = s;
			*size = info->size;
			return info->offset;
		}
	}
	return -1;
}

/* Room for the kernel's debug dump, and the constant that gives the scheduler its size. */
static void size_dump(struct scheduler *sched, size_t bytes)
{
	struct bpf_map *dump = bpf_object__find_map_by_name(sched->object, ".data.uei_dump");
	uint32_t length = bytes, size;
	unsigned int section;
	long offset = find_internal(sched, "uei_dump_len", &section, &size);

	if (!dump || offset < 0 || size != sizeof(length) || bpf_map__set_value_size(dump, length))
		return;
	memcpy(sched->sections[section].memory + offset, &length, sizeof(length));
	/* Resizing moves libbpf's copy. */
	for (unsigned int s = 0; s < sched->nr_sections; s++)
		if (sched->sections[s].map == dump)
			sched->sections[s].memory =
			    bpf_map__initial_value(dump, &sched->sections[s].size);
}

/*
 * Objects built with the scx project's headers have `const volatile u64 __SCX_NAME` for each
 * constant, to be filled in from the running kernel; 0 stands for "not in this kernel".
 */
int vars_fill_enums(struct scheduler *sched)
{
	const struct btf *own = bpf_object__btf(sched->object);
	int id = btf__find_by_name_kind(own, ".rodata", BTF_KIND_DATASEC);
	const struct btf_type *datasec = id > 0 ? btf__type_by_id(own, id) : NULL;
	const struct btf_var_secinfo *info = datasec ? btf_var_secinfos(datasec) : NULL;
	struct btf *kernel = NULL;
	char *memory = NULL;
	size_t size = 0;

	size_dump(sched, 32768);
	if (!datasec)
		return 0;
	for (int i = 0; i < btf_vlen(datasec); i++, info++) {
		const struct btf_type *var = btf__type_by_id(own, info->type);
		const char *name = btf__name_by_offset(own, var->name_off);

		if (!starts_with(name, "__SCX_") || info->size != sizeof(uint64_t))
			continue;
		if (!kernel) {
			struct bpf_map *map =
			    bpf_object__find_map_by_name(sched->object, ".rodata");

			kernel = btf__load_vmlinux_btf();
			memory = map ? bpf_map__initial_value(map, &size) : NULL;
			if (!kernel || !memory)
				break;
		}
		for (uint32_t t = 1; t < btf__type_cnt(kernel); t++) {
			const struct btf_type *type = btf__type_by_id(kernel, t);
			uint64_t value;

			if (!btf_is_any_enum(type))
				continue;
			for (int e = 0; e < btf_vlen(type); e++) {
				bool wide = btf_is_enum64(type);
				uint32_t label = wide ? btf_enum64(type)[e].name_off
						      : btf_enum(type)[e].name_off;

				if (strcmp(btf__name_by_offset(kernel, label), name + 2))
					continue;
				value = wide ? btf_enum64_value(&btf_enum64(type)[e])
					     : (uint64_t)btf_enum(type)[e].val;
				memcpy(memory + info->offset, &value, sizeof(value));
			}
		}
	}
	btf__free(kernel);
	return 0;
}

int vars_map(struct scheduler *sched)
{
	unsigned int s;
	uint32_t size;
	long offset;

	for (s = 0; s < sched->nr_sections; s++) {
		struct section *section = &sched->sections[s];
		size_t page = sysconf(_SC_PAGESIZE);
		void *memory;

		section->size = bpf_map__value_size(section->map);
		section->memory = NULL;
		if (section->read_only || !(bpf_map__map_flags(section->map) & BPF_F_MMAPABLE))
			continue;
		memory = mmap(NULL, (section->size + page - 1) / page * page,
			      PROT_READ | PROT_WRITE, MAP_SHARED, bpf_map__fd(section->map), 0);
		if (memory == MAP_FAILED)
			return -errno;
		section->memory = memory;
	}
	offset = find_internal(sched, "uei", &s, &size);
	if (offset >= 0 && size >= sizeof(struct exit_record) && sched->sections[s].memory)
		sched->record = (const void *)(sched->sections[s].memory + offset);
	offset = find_internal(sched, "uei_dump", &s, &size);
	if (offset >= 0 && sched->sections[s].memory) {
		sched->dump = sched->sections[s].memory + offset;
		sched->dump_size = sched->sections[s].size - offset;
	}
	return 0;
}

static void value_json(const struct variable *var, const char *at)
{
	uint64_t number = 0;

	memcpy(&number, at, var->size); /* little-endian, as every machine BPF targets here */
	if (var->is_bool)
		json_bool("default", number);
	else if (var->is_signed)
		json_int("default",
			 (int64_t)(number << (64 - var->size * 8)) >> (64 - var->size * 8));
	else
		json_uint("default", number);
}

void vars_json(const struct scheduler *sched)
{
	for (int live = 0; live <= 1; live++) {
		json_open(live ? "live" : "constants", '[');
		for (unsigned int i = 0; i < sched->nr_vars; i++) {
			const struct variable *var = &sched->vars[i];
			const struct section *section = &sched->sections[var->section];

			if (section->read_only == live)
				continue;
			json_open(NULL, '{');
			json_string("name", var->name);
			json_string("type", var->type);
			json_int("size", var->size);
			if (var->is_scalar && var->size && var->size <= 8 && section->memory &&
			    var->offset + var->size <= section->size)
				value_json(var, section->memory + var->offset);
			json_close('}');
		}
		json_close(']');
	}
}
