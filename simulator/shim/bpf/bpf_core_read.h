/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Stands in for libbpf's header of this name: types are those that the scheduler is compiled
 * with, so nothing has to be relocated. Members of real types exist; a type with a ___flavour
 * belongs to another kernel and does not, except for the names listed here.
 */
#ifndef __BPF_CORE_READ_H__
#define __BPF_CORE_READ_H__

#define ___core_is_flavour(text) (__builtin_strstr(text, "___") != NULL)

#define bpf_core_field_exists(field...)	  (sizeof(___core_field(field)) > 0)
#define ___core_field1(field)		  (field)
#define ___core_field2(type, field)	  (((typeof(type) *)0)->field)
#define ___core_field(args...)		  ___bpf_apply(___core_field, ___bpf_narg(args))(args)
#define bpf_core_field_size(field...)	  sizeof(___core_field(field))
#define bpf_core_field_offset(type, name) __builtin_offsetof(typeof(type), name)
#define bpf_core_type_exists(type)	  (!___core_is_flavour(#type))
#define bpf_core_type_matches(type)	  bpf_core_type_exists(type)
#define bpf_core_type_size(type)	  sizeof(type)
/* Only bpf_obj_new() asks for a type's number, and it only needs the type's size. */
#define bpf_core_type_id_local(type) sizeof(type)

#define bpf_core_enum_value_exists(type, name)                                                     \
	(!___core_is_flavour(#name) ||                                                             \
	 !__builtin_strcmp(#name, "SCX_ENQ_CPU_SELECTED___cpu_selected"))
#define bpf_core_enum_value(type, name)                                                            \
	(!__builtin_strcmp(#name, "SCX_ENQ_CPU_SELECTED___cpu_selected")                           \
	     ? (u64)SCX_ENQ_CPU_SELECTED                                                           \
	     : (u64)name)

#define bpf_core_cast(pointer, type)	  ((typeof(type) *)(pointer))
#define bpf_core_read(to, size, from)	  bpf_probe_read_kernel(to, size, from)
#define bpf_core_read_str(to, size, from) bpf_probe_read_kernel_str(to, size, from)

#define ___core_read1(s)		      (s)
#define ___core_read2(s, a)		      ((s)->a)
#define ___core_read3(s, a, b)		      ((s)->a->b)
#define ___core_read4(s, a, b, c)	      ((s)->a->b->c)
#define ___core_read5(s, a, b, c, d)	      ((s)->a->b->c->d)
#define ___core_read6(s, a, b, c, d, e)	      ((s)->a->b->c->d->e)
#define ___core_read7(s, a, b, c, d, e, f)    ((s)->a->b->c->d->e->f)
#define ___core_read8(s, a, b, c, d, e, f, g) ((s)->a->b->c->d->e->f->g)
#define BPF_CORE_READ(args...)		      ___bpf_apply(___core_read, ___bpf_narg(args))(args)
#define BPF_CORE_READ_INTO(to, args...)                                                            \
	({                                                                                         \
		*(to) = BPF_CORE_READ(args);                                                       \
		0;                                                                                 \
	})
#define BPF_CORE_READ_STR_INTO(to, args...)                                                        \
	bpf_probe_read_kernel_str((void *)(to), sizeof(*(to)), BPF_CORE_READ(args))
#define BPF_CORE_READ_BITFIELD(s, field)	((s)->field)
#define BPF_CORE_READ_BITFIELD_PROBED(s, field) ((s)->field)
#define BPF_PROBE_READ(args...)			BPF_CORE_READ(args)

#endif /* __BPF_CORE_READ_H__ */
