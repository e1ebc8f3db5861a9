/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Stands in for libbpf's header of this name when a scheduler is compiled natively for the
 * simulator. Helpers are ordinary functions of the engine. Helpers that the engine does not
 * model are not declared here, so that the compiler names them.
 */
#ifndef __BPF_HELPERS__
#define __BPF_HELPERS__

/* Maps and ops are found by their symbol; sections have no meaning here. */
#define SEC(name) __attribute__((used))

#define __uint(name, val)  int(*name)[val]
#define __type(name, val)  typeof(val) *name
#define __array(name, val) typeof(val) *name[]
#define __ulong(name, val) enum { ___bpf_concat(__unique_value, __COUNTER__) = (val) } name

#undef __always_inline
#define __always_inline inline __attribute__((always_inline))
#define __noinline	__attribute__((noinline))
#undef __weak
#define __weak	 __attribute__((weak))
#define __hidden __attribute__((visibility("hidden")))
/* A missing one is NULL, as after libbpf has linked it: the compat branch is not taken. */
#undef __kconfig
#define __kconfig
#undef __ksym
#define __ksym
#define bpf_ksym_exists(sym) (!!(sym))
#define __kptr
#define __kptr_untrusted
#define __percpu_kptr
#define __arg_ctx
#define __arg_nonnull
#define __arg_nullable
#define __arg_trusted

#define __arg_arena

#ifndef NULL
#define NULL ((void *)0)
#endif
#ifndef KERNEL_VERSION
#define KERNEL_VERSION(a, b, c) (((a) << 16) + ((b) << 8) + ((c) > 255 ? 255 : (c)))
#endif
#ifndef offsetof
#define offsetof(type, member) __builtin_offsetof(type, member)
#endif
#ifndef container_of
#define container_of(ptr, type, member)                                                            \
	({                                                                                         \
		void *__mptr = (void *)(ptr);                                                      \
		((type *)(__mptr - offsetof(type, member)));                                       \
	})
#endif
#ifndef barrier
#define barrier() asm volatile("" ::: "memory")
#endif
#ifndef barrier_var
#define barrier_var(var) asm volatile("" : "+r"(var))
#endif

enum libbpf_tristate { TRI_NO = 0, TRI_YES = 1, TRI_MODULE = 2 };
enum libbpf_pin_type { LIBBPF_PIN_NONE, LIBBPF_PIN_BY_NAME };

#define ___bpf_concat(a, b)						      a##b
#define ___bpf_apply(fn, n)						      ___bpf_concat(fn, n)
#define ___bpf_nth(_, _1, _2, _3, _4, _5, _6, _7, _8, _9, _a, _b, _c, N, ...) N
#define ___bpf_narg(...)						      ___bpf_nth(_, ##__VA_ARGS__, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0)
/* Pointers become numbers, as in a register. */
#define ___bpf_fill0(arr, p, x)	       ((void)0)
#define ___bpf_fill1(arr, p, x)	       arr[p] = (unsigned long long)(x)
#define ___bpf_fill2(arr, p, x, a...)  (___bpf_fill1(arr, p, x), ___bpf_fill1(arr, p + 1, a))
#define ___bpf_fill3(arr, p, x, a...)  (___bpf_fill1(arr, p, x), ___bpf_fill2(arr, p + 1, a))
#define ___bpf_fill4(arr, p, x, a...)  (___bpf_fill1(arr, p, x), ___bpf_fill3(arr, p + 1, a))
#define ___bpf_fill5(arr, p, x, a...)  (___bpf_fill1(arr, p, x), ___bpf_fill4(arr, p + 1, a))
#define ___bpf_fill6(arr, p, x, a...)  (___bpf_fill1(arr, p, x), ___bpf_fill5(arr, p + 1, a))
#define ___bpf_fill7(arr, p, x, a...)  (___bpf_fill1(arr, p, x), ___bpf_fill6(arr, p + 1, a))
#define ___bpf_fill8(arr, p, x, a...)  (___bpf_fill1(arr, p, x), ___bpf_fill7(arr, p + 1, a))
#define ___bpf_fill9(arr, p, x, a...)  (___bpf_fill1(arr, p, x), ___bpf_fill8(arr, p + 1, a))
#define ___bpf_fill10(arr, p, x, a...) (___bpf_fill1(arr, p, x), ___bpf_fill9(arr, p + 1, a))
#define ___bpf_fill11(arr, p, x, a...) (___bpf_fill1(arr, p, x), ___bpf_fill10(arr, p + 1, a))
#define ___bpf_fill12(arr, p, x, a...) (___bpf_fill1(arr, p, x), ___bpf_fill11(arr, p + 1, a))
#define ___bpf_fill(arr, args...)      ___bpf_apply(___bpf_fill, ___bpf_narg(args))(arr, 0, args)

/* A scheduler's debug output goes nowhere here. */
#define bpf_printk(fmt, args...) ((void)0)

/* Two of util.bpf.h's macros compare in BPF assembly. The bounds are the same here. */
#define MEMBER_VPTR(base, member)                                                                  \
	((typeof((base)member) *)({                                                                \
		char *___first = (char *)&(base);                                                  \
		unsigned long ___at = (char *)&((base)member) - ___first;                          \
		___at <= sizeof(base) - sizeof((base)member) ? ___first + ___at : NULL;            \
	}))
#define ARRAY_ELEM_PTR(arr, i, n)                                                                  \
	({                                                                                         \
		unsigned long ___i = (i);                                                          \
		___i < (unsigned long)(n) ? (typeof(&(arr)[0]))&(arr)[___i] : NULL;                \
	})

/* A loop of any length ends here if a callback takes too long. */
#define can_loop		true
#define cond_break		((void)0)
#define cond_break_label(label) ((void)0)

/* Userspace grows it to the number of CPUs; here it has room for the maximum. */
#define RESIZABLE_ARRAY(elfsec, arr) arr[1024] SEC("." #elfsec "." #arr)

/* Memory of arenas is ordinary memory. */
#define __arena
#define __arena_global

/* ---- helpers that the engine models ---- */
struct task_struct;
struct bpf_spin_lock;
struct bpf_timer;
struct cgroup;
void *bpf_map_lookup_elem(void *map, const void *key);
long bpf_map_update_elem(void *map, const void *key, const void *value, u64 flags);
long bpf_map_delete_elem(void *map, const void *key);
void *bpf_map_lookup_percpu_elem(void *map, const void *key, u32 cpu);
long bpf_map_push_elem(void *map, const void *value, u64 flags);
long bpf_map_pop_elem(void *map, void *value);
long bpf_map_peek_elem(void *map, void *value);
void *bpf_task_storage_get(void *map, struct task_struct *task, void *value, u64 flags);
long bpf_task_storage_delete(void *map, struct task_struct *task);
void *bpf_cgrp_storage_get(void *map, struct cgroup *cgroup, void *value, u64 flags);
long bpf_cgrp_storage_delete(void *map, struct cgroup *cgroup);
long bpf_user_ringbuf_drain(void *map, void *callback, void *context, u64 flags);
long bpf_timer_init(struct bpf_timer *timer, void *map, u64 flags);
long bpf_timer_set_callback(struct bpf_timer *timer, void *callback);
long bpf_timer_start(struct bpf_timer *timer, u64 ns, u64 flags);
long bpf_timer_cancel(struct bpf_timer *timer);
long bpf_ringbuf_output(void *map, void *data, u64 size, u64 flags);
void *bpf_ringbuf_reserve(void *map, u64 size, u64 flags);
void bpf_ringbuf_submit(void *data, u64 flags);
void bpf_ringbuf_discard(void *data, u64 flags);
long bpf_for_each_map_elem(void *map, void *callback, void *context, u64 flags);
long bpf_loop(u32 nr_loops, void *callback, void *context, u64 flags);
u64 bpf_ktime_get_ns(void);
u64 bpf_ktime_get_boot_ns(void);
u64 bpf_ktime_get_coarse_ns(void);
u64 bpf_jiffies64(void);
u32 bpf_get_prandom_u32(void);
u32 bpf_get_smp_processor_id(void);
u64 bpf_get_current_pid_tgid(void);
u64 bpf_get_current_task(void);
struct task_struct *bpf_get_current_task_btf(void);
long bpf_get_current_comm(void *buffer, u32 size);
long bpf_probe_read_kernel(void *to, u32 size, const void *from);
long bpf_probe_read_kernel_str(void *to, u32 size, const void *from);
void *bpf_per_cpu_ptr(const void *percpu, u32 cpu);
void *bpf_this_cpu_ptr(const void *percpu);
void *bpf_kptr_xchg(void *place, void *pointer);
long bpf_spin_lock(struct bpf_spin_lock *lock);
long bpf_spin_unlock(struct bpf_spin_lock *lock);
long bpf_strncmp(const char *a, u32 size, const char *b);

#endif /* __BPF_HELPERS__ */
