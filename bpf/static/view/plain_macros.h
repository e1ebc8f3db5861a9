/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The headers' macros for the static check: calls stay calls, loops are loops. Each is
 * redefined where it is defined, and stays defined where it was, so that a source that tests
 * for it gets the same answer as in the build. Read again after each header, so without a
 * guard.
 */
#ifdef SEC
#undef SEC
#define SEC(name) __attribute__((section(name), used))
#endif
#ifdef BPF_PROG
#undef BPF_PROG
#define BPF_PROG(name, args...) __attribute__((bpf_prog)) name(args)
#endif
#ifdef BPF_KPROBE
#undef BPF_KPROBE
#define BPF_KPROBE(name, args...) name(args)
#endif
#ifdef bpf_for
#undef bpf_for
#define bpf_for(i, start, end) for ((i) = (start); (i) < (end) && bpf_iter_num_next(); (i)++)
#endif
#ifdef bpf_repeat
#undef bpf_repeat
#define bpf_repeat(n) for (int ___at = 0; ___at < (n) && bpf_iter_num_next(); ___at++)
#endif
#ifdef bpf_for_each
#undef bpf_for_each
#define bpf_for_each(kind, cur, args...) while (((cur) = bpf_iter_##kind##_next(args)))
#endif
#ifdef can_loop
#undef can_loop
#define can_loop can_loop()
#endif
#ifdef cond_break
#undef cond_break
#define cond_break cond_break()
#endif
#ifdef barrier
#undef barrier
#define barrier() barrier()
#endif
#ifdef barrier_var
#undef barrier_var
#define barrier_var(var) barrier_var(var)
#endif
#ifdef __sink
#undef __sink
#define __sink(expr) __sink(expr)
#endif
#ifdef MEMBER_VPTR
#undef MEMBER_VPTR
#define MEMBER_VPTR(base, member) (&((base)member))
#endif
#ifdef ARRAY_ELEM_PTR
#undef ARRAY_ELEM_PTR
#define ARRAY_ELEM_PTR(arr, i, n) (&(arr)[i])
#endif
#ifdef READ_ONCE
#undef READ_ONCE
#define READ_ONCE(x) (x)
#endif
#ifdef WRITE_ONCE
#undef WRITE_ONCE
#define WRITE_ONCE(x, val) ((x) = (val))
#endif
#ifdef container_of
#undef container_of
#define container_of(ptr, type, member) container_of(ptr)
#endif
#ifdef offsetof
#undef offsetof
#define offsetof(type, member) offsetof()
#endif
#ifdef scx_bpf_error
#undef scx_bpf_error
#define scx_bpf_error(fmt, args...) scx_bpf_error(fmt, ##args)
#endif
#ifdef scx_bpf_exit
#undef scx_bpf_exit
#define scx_bpf_exit(code, fmt, args...) scx_bpf_exit(code, fmt, ##args)
#endif
#ifdef scx_bpf_dump
#undef scx_bpf_dump
#define scx_bpf_dump(fmt, args...) scx_bpf_dump(fmt, ##args)
#endif
#ifdef scx_bpf_dump_header
#undef scx_bpf_dump_header
#define scx_bpf_dump_header() scx_bpf_dump_header()
#endif
#ifdef bpf_printk
#undef bpf_printk
#define bpf_printk(fmt, args...) bpf_printk(fmt, ##args)
#endif
#ifdef UEI_DEFINE
#undef UEI_DEFINE
#define UEI_DEFINE(name) int name
#endif
#ifdef UEI_RECORD
#undef UEI_RECORD
#define UEI_RECORD(name, ei) UEI_RECORD(name, ei)
#endif
#ifdef BPF_CORE_READ
#undef BPF_CORE_READ
#define BPF_CORE_READ(src, a...) BPF_CORE_READ(src)
#endif
#ifdef BPF_CORE_READ_INTO
#undef BPF_CORE_READ_INTO
#define BPF_CORE_READ_INTO(dst, src, a...) BPF_CORE_READ_INTO(dst, src)
#endif
#ifdef BPF_CORE_READ_STR_INTO
#undef BPF_CORE_READ_STR_INTO
#define BPF_CORE_READ_STR_INTO(dst, src, a...) BPF_CORE_READ_STR_INTO(dst, src)
#endif
#ifdef BPF_CORE_READ_BITFIELD_PROBED
#undef BPF_CORE_READ_BITFIELD_PROBED
#define BPF_CORE_READ_BITFIELD_PROBED(s, field) BPF_CORE_READ_BITFIELD_PROBED(s)
#endif
#ifdef bpf_core_field_exists
#undef bpf_core_field_exists
#define bpf_core_field_exists(field...) bpf_core_field_exists()
#endif
#ifdef bpf_core_field_offset
#undef bpf_core_field_offset
#define bpf_core_field_offset(field...) bpf_core_field_offset()
#endif
#ifdef bpf_core_field_size
#undef bpf_core_field_size
#define bpf_core_field_size(field...) bpf_core_field_size()
#endif
#ifdef bpf_core_type_exists
#undef bpf_core_type_exists
#define bpf_core_type_exists(type) bpf_core_type_exists()
#endif
#ifdef bpf_core_type_matches
#undef bpf_core_type_matches
#define bpf_core_type_matches(type) bpf_core_type_matches()
#endif
#ifdef bpf_core_type_size
#undef bpf_core_type_size
#define bpf_core_type_size(type) bpf_core_type_size()
#endif
#ifdef bpf_core_type_id_local
#undef bpf_core_type_id_local
#define bpf_core_type_id_local(type) bpf_core_type_id_local()
#endif
#ifdef bpf_core_enum_value
#undef bpf_core_enum_value
#define bpf_core_enum_value(type, value) (value)
#endif
#ifdef bpf_core_enum_value_exists
#undef bpf_core_enum_value_exists
#define bpf_core_enum_value_exists(type, value) bpf_core_enum_value_exists(value)
#endif
#ifdef bpf_obj_new
#undef bpf_obj_new
#define bpf_obj_new(type) bpf_obj_new()
#endif
#ifdef bpf_percpu_obj_new
#undef bpf_percpu_obj_new
#define bpf_percpu_obj_new(type) bpf_percpu_obj_new()
#endif
#ifdef bpf_ksym_exists
#undef bpf_ksym_exists
#define bpf_ksym_exists(sym) bpf_ksym_exists(sym)
#endif
#ifdef __contains
#undef __contains
#define __contains(type, node)
#endif
#ifdef scx_bpf_dsq_move_to_local
#undef scx_bpf_dsq_move_to_local
#define scx_bpf_dsq_move_to_local(args...) scx_bpf_dsq_move_to_local(args)
#endif
#ifdef scx_bpf_consume
#undef scx_bpf_consume
#define scx_bpf_consume(dsq_id) scx_bpf_consume(dsq_id)
#endif
#ifdef scx_bpf_dsq_move
#undef scx_bpf_dsq_move
#define scx_bpf_dsq_move(it, p, dsq_id, enq_flags) scx_bpf_dsq_move(it, p, dsq_id, enq_flags)
#endif
#ifdef scx_bpf_dsq_move_vtime
#undef scx_bpf_dsq_move_vtime
#define scx_bpf_dsq_move_vtime(it, p, dsq_id, enq_flags)                                           \
	scx_bpf_dsq_move_vtime(it, p, dsq_id, enq_flags)
#endif
#ifdef scx_bpf_task_cgroup
#undef scx_bpf_task_cgroup
#define scx_bpf_task_cgroup(p) scx_bpf_task_cgroup(p)
#endif
#ifdef scx_bpf_now
#undef scx_bpf_now
#define scx_bpf_now() scx_bpf_now()
#endif
