/* SPDX-License-Identifier: GPL-2.0-only */
/* Names that schedulers commonly use and that the kernel's BTF does not contain. */
#ifndef SCX_UTIL_BPF_H
#define SCX_UTIL_BPF_H

#ifndef likely
#define likely(x) __builtin_expect(!!(x), 1)
#endif
#ifndef unlikely
#define unlikely(x) __builtin_expect(!!(x), 0)
#endif
#ifndef __maybe_unused
#define __maybe_unused __attribute__((__unused__))
#endif

/* ---- messages that end a scheduler, or go into its dump ---- */

#define SCX_STRINGIFY(x) #x
#define SCX_TOSTRING(x)	 SCX_STRINGIFY(x)

/* Has no effect when called: makes the compiler check a format against its arguments. */
static inline __attribute__((format(printf, 1, 2))) void
___scx_bpf_bstr_format_checker(const char *fmt, ...)
{
}

/*
 * Leaves the format in ___fmt and the arguments as u64s in ___param. The array has at least
 * one element, because the verifier refuses a zero-sized one.
 */
#define scx_bpf_bstr_preamble(fmt, args...)                                                        \
	static char ___fmt[] = fmt;                                                                \
	unsigned long long ___param[___bpf_narg(args) ?: 1] = {};                                  \
	_Pragma("GCC diagnostic push") _Pragma("GCC diagnostic ignored \"-Wint-conversion\"")      \
	    ___bpf_fill(___param, args);                                                           \
	_Pragma("GCC diagnostic pop")

/* Ask the kernel to end this scheduler in an orderly way; `code` is for userspace. */
#define scx_bpf_exit(code, fmt, args...)                                                           \
	({                                                                                         \
		scx_bpf_bstr_preamble(fmt, args);                                                  \
		scx_bpf_exit_bstr(code, ___fmt, ___param, sizeof(___param));                       \
		___scx_bpf_bstr_format_checker(fmt, ##args);                                       \
	})

/* End this scheduler as failed. File and line are put before the message. */
#define scx_bpf_error(fmt, args...)                                                                \
	({                                                                                         \
		scx_bpf_bstr_preamble(__FILE__ ":" SCX_TOSTRING(__LINE__) ": " fmt, ##args);       \
		scx_bpf_error_bstr(___fmt, ___param, sizeof(___param));                            \
		___scx_bpf_bstr_format_checker(fmt, ##args);                                       \
	})

/* A line of the debug dump, from ops.dump(), dump_cpu() and dump_task(). */
#define scx_bpf_dump(fmt, args...)                                                                 \
	({                                                                                         \
		scx_bpf_bstr_preamble(fmt, args);                                                  \
		scx_bpf_dump_bstr(___fmt, ___param, sizeof(___param));                             \
		___scx_bpf_bstr_format_checker(fmt, ##args);                                       \
	})

#define scx_bpf_dump_header()                                                                      \
	scx_bpf_dump("kernel: %d.%d.%d %s\ncc: %s\n", LINUX_KERNEL_VERSION >> 16,                  \
		     LINUX_KERNEL_VERSION >> 8 & 0xff, LINUX_KERNEL_VERSION & 0xff,                \
		     CONFIG_LOCALVERSION, CONFIG_CC_VERSION_TEXT)

/* End a direct child sub-scheduler (7.3); -EOPNOTSUPP if the kernel has none. */
#define scx_bpf_sub_kill(cgid, fmt, args...)                                                       \
	({                                                                                         \
		scx_bpf_bstr_preamble(fmt, args);                                                  \
		___scx_bpf_bstr_format_checker(fmt, ##args);                                       \
		bpf_ksym_exists(scx_bpf_sub_kill_bstr)                                             \
		    ? scx_bpf_sub_kill_bstr((cgid), ___fmt, ___param, sizeof(___param))            \
		    : -EOPNOTSUPP;                                                                 \
	})

/* ---- indexing that the verifier can follow ---- */

/*
 * Both return a pointer, or NULL if the index is out of bounds; test it and use it at once.
 * The bound is compared in assembly, on the same register that is then added to the base,
 * because the compiler likes to compare one copy of an index and use another.
 *
 *   u64 *v = MEMBER_VPTR(table, [i].count);         sizeof(table) is the bound
 *   u64 *v = ARRAY_ELEM_PTR(resized, i, nr_cpus);   the bound is given
 */
#ifndef MEMBER_VPTR
#define MEMBER_VPTR(base, member)                                                                  \
	((typeof((base)member) *)({                                                                \
		u64 ___start = (u64) & (base);                                                     \
		u64 ___at = (u64) & ((base)member) - ___start;                                     \
		_Static_assert(sizeof(base) >= sizeof((base)member),                               \
			       "MEMBER_VPTR wants the object, not a pointer to it");               \
		asm volatile("if %0 <= %[max] goto +2\n"                                           \
			     "%0 = 0\n"                                                            \
			     "goto +1\n"                                                           \
			     "%0 += %1\n"                                                          \
			     : "+r"(___at)                                                         \
			     : "r"(___start), [max] "i"(sizeof(base) - sizeof((base)member)));     \
		___at;                                                                             \
	}))
#endif
#ifndef ARRAY_ELEM_PTR
#define ARRAY_ELEM_PTR(arr, i, n)                                                                  \
	((typeof((arr)[i]) *)({                                                                    \
		u64 ___start = (u64)(arr);                                                         \
		u64 ___at = (u64) & ((arr)[i]) - ___start;                                         \
		asm volatile("if %0 <= %[max] goto +2\n"                                           \
			     "%0 = 0\n"                                                            \
			     "goto +1\n"                                                           \
			     "%0 += %1\n"                                                          \
			     : "+r"(___at)                                                         \
			     : "r"(___start), [max] "r"(sizeof((arr)[0]) * ((n) - 1)));            \
		___at;                                                                             \
	}))
#endif

/*
 * Makes a value unknown to compiler and verifier, at no run-time cost. Apply it to counters
 * before a loop so that the verifier sees one state and not one for each value.
 */
#define __sink(expr) asm volatile("" : "+g"(expr))

#define flex_array_size(p, member, count) ((count) * sizeof(*(p)->member))
#define struct_size(p, member, count)                                                              \
	(offsetof(typeof(*(p)), member) + flex_array_size(p, member, count))
#define struct_size_t(type, member, count) struct_size((type *)NULL, member, count)
#ifndef offsetof
#define offsetof(type, member) __builtin_offsetof(type, member)
#endif

/* ---- memory read or written once, by a single access ---- */
#define READ_ONCE(x)	     (*(const volatile typeof(x) *)&(x))
#define WRITE_ONCE(x, value) (*(volatile typeof(x) *)&(x) = (value))

/* ---- time and vtime: u64s that wrap, so compared by the sign of their difference ---- */
static inline bool time_after(u64 a, u64 b)
{
	return (s64)(a - b) > 0;
}
static inline bool time_before(u64 a, u64 b)
{
	return time_after(b, a);
}
static inline bool time_after_eq(u64 a, u64 b)
{
	return (s64)(a - b) >= 0;
}
static inline bool time_before_eq(u64 a, u64 b)
{
	return time_after_eq(b, a);
}
/* first <= t <= last */
static inline bool time_in_range(u64 t, u64 first, u64 last)
{
	return time_after_eq(t, first) && time_before_eq(t, last);
}
/* first <= t < end */
static inline bool time_in_range_open(u64 t, u64 first, u64 end)
{
	return time_after_eq(t, first) && time_before(t, end);
}
/* How far `after` is past `before`, never negative. */
static inline s64 time_delta(u64 after, u64 before)
{
	return time_after(after, before) ? (s64)(after - before) : 0;
}

/* ---- arithmetic ---- */

/* The position of the highest set bit; 0 for 0 and 1. */
static inline u32 log2_u32(u32 v)
{
	u32 bit = 0;

#pragma unroll
	for (int half = 16; half; half >>= 1) {
		if (v >> half) {
			v >>= half;
			bit += half;
		}
	}
	return bit;
}
/* Bits needed for v, so 1 for 1, 2 for 2 and 3; 1 for 0 as well. */
static inline u32 log2_u64(u64 v)
{
	u32 high = v >> 32;

	return high ? log2_u32(high) + 33 : log2_u32(v) + 1;
}
#define bpf_log2(v)  log2_u32(v)
#define bpf_log2l(v) log2_u64(v)

/* Integer square root by Newton's method; exact to 1 for what fits 40 bits. */
static inline u64 __sqrt_u64(u64 x)
{
	u64 root = x >> 32 ? 1ULL << 32 : x;

	if (x < 2)
		return x;
	for (int i = 0; i < 20; i++) {
		u64 other = x / root;

		if (root <= other)
			break;
		root = (root + other) >> 1;
	}
	return root;
}

/* Trailing zeros. BPF has no such instruction: a binary search, 6 steps. 64 for 0. */
static inline int ctzll(u64 v)
{
	int bit = 0;

	if (!v)
		return 64;
#pragma unroll
	for (int half = 32; half; half >>= 1) {
		if (!(v & ((1ULL << half) - 1))) {
			v >>= half;
			bit += half;
		}
	}
	return bit;
}

/* Exponentially weighted average: the new value counts 1 / 2^decay. */
#define __calc_avg(old, new, decay)                                                                \
	({                                                                                         \
		typeof(old) ___o = (old), ___n = (new);                                            \
		___o - (___o >> (decay)) + (___n >> (decay));                                      \
	})

/* A task's weight is 100 at nice 0, and 1 to 10000. */
static inline u64 scale_by_task_weight(const struct task_struct *p, u64 value)
{
	return value * p->scx.weight / 100;
}
static inline u64 scale_by_task_weight_inverse(const struct task_struct *p, u64 value)
{
	return value * 100 / p->scx.weight;
}

static inline u64 get_prandom_u64(void)
{
	return (u64)bpf_get_prandom_u32() << 32 | bpf_get_prandom_u32();
}

/* ---- loops over CPUs: `int *cpu; for_each_possible_cpu(cpu) { use(*cpu); }` ---- */
#define SCX_DEFINE_CPU_ITER(name)                                                                  \
	struct bpf_iter_##name {                                                                   \
		struct bpf_iter_bits it;                                                           \
		const struct cpumask *mask;                                                        \
	};                                                                                         \
	static inline int bpf_iter_##name##_new(struct bpf_iter_##name *it, const u64 *none,       \
						u32 zero)                                          \
	{                                                                                          \
		it->mask = scx_bpf_get_##name##_cpumask();                                         \
		return bpf_iter_bits_new(&it->it, (const u64 *)it->mask,                           \
					 sizeof(struct cpumask) / sizeof(u64));                    \
	}                                                                                          \
	static inline int *bpf_iter_##name##_next(struct bpf_iter_##name *it)                      \
	{                                                                                          \
		return bpf_iter_bits_next(&it->it);                                                \
	}                                                                                          \
	static inline void bpf_iter_##name##_destroy(struct bpf_iter_##name *it)                   \
	{                                                                                          \
		scx_bpf_put_cpumask(it->mask);                                                     \
		bpf_iter_bits_destroy(&it->it);                                                    \
	}
SCX_DEFINE_CPU_ITER(possible)
SCX_DEFINE_CPU_ITER(online)
#define for_each_possible_cpu(cpu) bpf_for_each (possible, cpu, NULL, 0)
#define for_each_online_cpu(cpu)   bpf_for_each (online, cpu, NULL, 0)

/*
 * Whether the task is pinned to its CPU at the moment (migrate_disable()). For callbacks that
 * do not sleep. Entering a BPF program also disables migration of the current task: always if
 * the kernel has preemptible RCU, and in every kernel before 6.18. A count of one on the
 * current task is then ours. task_struct shows whether RCU is preemptible. In doubt the
 * answer is yes, which costs a local dispatch; a wrong no would be an error.
 */
struct task_struct___preempt_rcu {
	int rcu_read_lock_nesting;
} __attribute__((preserve_access_index));

static inline bool is_migration_disabled(const struct task_struct *p)
{
	struct task_struct___preempt_rcu *rcu = (void *)p;
	bool ours;

	if (!bpf_core_field_exists(p->migration_disabled))
		return false;
	if (p->migration_disabled != 1)
		return p->migration_disabled;
	ours = bpf_core_field_exists(rcu->rcu_read_lock_nesting) ||
	       LINUX_KERNEL_VERSION < KERNEL_VERSION(6, 18, 0);
	return !ours || bpf_get_current_task_btf() != p;
}

#endif /* SCX_UTIL_BPF_H */
