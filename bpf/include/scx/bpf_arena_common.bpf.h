/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Arenas (memory shared with userspace, kernel 6.9) and loops that the verifier need not
 * unroll. Both need clang 19; with an older one the names exist but arenas do not work.
 */
#ifndef SCX_BPF_ARENA_COMMON_BPF_H
#define SCX_BPF_ARENA_COMMON_BPF_H

#ifndef PAGE_SIZE
#define PAGE_SIZE __PAGE_SIZE
#endif

/* libbpf 1.4 and later have these in bpf_helpers.h. */
#ifndef __ulong
#define __scx_paste_(a, b) a##b
#define __scx_paste(a, b)  __scx_paste_(a, b)
#define __ulong(name, val) enum { __scx_paste(__unique_value, __COUNTER__) = (val) } name
#endif
#ifndef __arg_arena
#define __arg_arena __attribute((btf_decl_tag("arg:arena")))
#endif

/* A file that already has the names (in the simulator, where all memory is alike) keeps them. */
#ifdef __arena
#elif defined(__BPF_FEATURE_ADDR_SPACE_CAST)
#define __arena	       __attribute__((address_space(1)))
#define __arena_global __attribute__((address_space(1)))
#else
#define __arena
#define __arena_global SEC(".addr_space.1")
#endif
/* clang 19 casts between address spaces by itself; the names stay for older sources. */
#define cast_kern(ptr)
#define cast_user(ptr)

void __arena *bpf_arena_alloc_pages(void *map, void __arena *addr, __u32 page_cnt, int node_id,
				    __u64 flags) __ksym __weak;
void bpf_arena_free_pages(void *map, void __arena *ptr, __u32 page_cnt) __ksym __weak;
int bpf_arena_reserve_pages(void *map, void __arena *ptr, __u32 page_cnt) __ksym __weak; /* 6.16 */
void bpf_preempt_disable(void) __ksym __weak;
void bpf_preempt_enable(void) __ksym __weak;

/*
 * can_loop: an expression, true until the kernel's budget for this program is spent (the
 * may_goto instruction, 6.9). cond_break: a statement that leaves the loop at that point.
 */
#if defined(__BPF_FEATURE_MAY_GOTO) && !defined(can_loop)
#define can_loop                                                                                   \
	({                                                                                         \
		__label__ spent, done;                                                             \
		bool more = true;                                                                  \
		asm volatile goto("may_goto %l[spent]" ::: : spent);                               \
		goto done;                                                                         \
	spent:                                                                                     \
		more = false;                                                                      \
	done:;                                                                                     \
		more;                                                                              \
	})
#define __cond_break(leave)                                                                        \
	({                                                                                         \
		__label__ spent, done;                                                             \
		asm volatile goto("may_goto %l[spent]" ::: : spent);                               \
		goto done;                                                                         \
	spent:                                                                                     \
		leave;                                                                             \
	done:;                                                                                     \
	})
#define cond_break		__cond_break(break)
#define cond_break_label(label) __cond_break(goto label)
#endif

#endif /* SCX_BPF_ARENA_COMMON_BPF_H */
