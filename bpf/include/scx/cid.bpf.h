/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Masks of cids (7.2). A cid is a CPU's number along the topology, so that neighbours in
 * number are neighbours in cache; a cmask is a bitmap over the cids [base, base + nr_cids),
 * kept in an arena. Bit `cid % 64` of word `cid / 64 - base / 64` stands for a cid. Bits of
 * the first and last word outside the range are always 0.
 *
 * cmask_set(), cmask_clear() and the test_and_ forms are atomic, __cmask_*() are not. The
 * atomic ones loop over compare-and-exchange, since the x86 JIT has no fetching `or` and
 * `and` on arena memory. Needs clang 19 (arena pointers).
 */
#ifndef SCX_CID_BPF_H
#define SCX_CID_BPF_H

#ifndef BIT_U64
#define BIT_U64(nr) (1ULL << (nr))
#endif
#ifndef GENMASK_U64
#define GENMASK_U64(high, low) ((~0ULL << (low)) & (~0ULL >> (63 - (high))))
#endif
/* Bound of loops over words: 8192 CPUs, and one more for a base that is not a multiple of 64. */
#ifndef CMASK_MAX_WORDS
#define CMASK_MAX_WORDS 129
#endif
/* Words for this many cids at any base; 64-bit inside so that it cannot wrap. */
#define CMASK_NR_WORDS(nr_cids) ((u32)(((u64)(nr_cids) + 63) / 64 + 1))
/* How often a compare-and-exchange is tried before something is clearly broken. */
#define CMASK_CAS_TRIES (1U << 23)

#ifdef __BPF_FEATURE_ADDR_SPACE_CAST

/* The kernel's layout under our own name: vmlinux.h before 7.2 has no struct scx_cmask. */
struct __cmask {
	u32 base;
	u32 nr_cids;
	u32 alloc_words;
	u64 bits[];
};
typedef struct scx_cmask __arena cmask_t;
#define __cm(m) ((struct __cmask __arena *)(m))

static __always_inline u32 __cmask_end(const cmask_t *m)
{
	return __cm(m)->base + __cm(m)->nr_cids;
}
static __always_inline bool __cmask_contains(u32 cid, const cmask_t *m)
{
	return cid >= __cm(m)->base && cid < __cmask_end(m);
}
static __always_inline u64 __arena *__cmask_word(u32 cid, const cmask_t *m)
{
	return &__cm(m)->bits[cid / 64 - __cm(m)->base / 64];
}
/* Words that the range spans. */
static __always_inline u32 __cmask_used_words(const cmask_t *m)
{
	u32 base = __cm(m)->base, nr = __cm(m)->nr_cids;

	return nr ? (base + nr - 1) / 64 - base / 64 + 1 : 0;
}
/* Those bits of word `w` (counted from cid 0) that lie in [lo, hi). */
static __always_inline u64 __cmask_window(u32 w, u32 lo, u32 hi)
{
	u64 bits = ~0ULL;

	if (w == lo / 64)
		bits &= GENMASK_U64(63, lo & 63);
	if (w == (hi - 1) / 64)
		bits &= GENMASK_U64((hi - 1) & 63, 0);
	return bits;
}

/* ---- making ---- */

/* Storage for alloc_cids, of which nr_cids from base on are in use; all clear. */
static __always_inline void __cmask_init(cmask_t *m, u32 base, u32 nr_cids, u32 alloc_cids)
{
	u32 words = CMASK_NR_WORDS(alloc_cids), i;

	if (nr_cids > alloc_cids) {
		scx_bpf_error("cmask of %u cids in storage for %u", nr_cids, alloc_cids);
		return;
	}
	__cm(m)->base = base;
	__cm(m)->nr_cids = nr_cids;
	__cm(m)->alloc_words = words;
	bpf_for (i, 0, CMASK_MAX_WORDS) {
		if (i >= words)
			break;
		__cm(m)->bits[i] = 0;
	}
}
static __always_inline void cmask_init(cmask_t *m, u32 base, u32 nr_cids)
{
	__cmask_init(m, base, nr_cids, nr_cids);
}
/* Another range in the same storage. Bits inside it are left as garbage. */
static __always_inline void cmask_reframe(cmask_t *m, u32 base, u32 nr_cids)
{
	if (CMASK_NR_WORDS(nr_cids) > __cm(m)->alloc_words) {
		scx_bpf_error("cmask of %u cids in storage of %u words", nr_cids,
			      __cm(m)->alloc_words);
		return;
	}
	if (nr_cids) {
		__cm(m)->bits[0] = 0;
		__cm(m)->bits[((base & 63) + nr_cids - 1) / 64] = 0;
	}
	__cm(m)->base = base;
	__cm(m)->nr_cids = nr_cids;
}
static __always_inline void cmask_zero(cmask_t *m)
{
	u32 words = CMASK_NR_WORDS(__cm(m)->nr_cids), i;

	bpf_for (i, 0, CMASK_MAX_WORDS) {
		if (i >= words)
			break;
		__cm(m)->bits[i] = 0;
	}
}

/* ---- one bit ---- */

static __always_inline bool cmask_test(u32 cid, const cmask_t *m)
{
	return __cmask_contains(cid, m) && (*__cmask_word(cid, m) & BIT_U64(cid & 63));
}
/* Sets a bit and returns its old value; a cid outside the range is left alone. */
static __always_inline bool __cmask_exchange(u32 cid, cmask_t *m, bool value)
{
	u64 bit = BIT_U64(cid & 63), seen;
	u64 __arena *word;
	u32 i;

	if (!__cmask_contains(cid, m))
		return false;
	word = __cmask_word(cid, m);
	bpf_for (i, 0, CMASK_CAS_TRIES) {
		seen = *word;
		if (!!(seen & bit) == value)
			return value;
		if (__sync_val_compare_and_swap(word, seen, seen ^ bit) == seen)
			return !value;
	}
	scx_bpf_error("cmask word of cid %u is never quiet", cid);
	return false;
}
static __always_inline void cmask_set(u32 cid, cmask_t *m)
{
	__cmask_exchange(cid, m, true);
}
static __always_inline void cmask_clear(u32 cid, cmask_t *m)
{
	__cmask_exchange(cid, m, false);
}
static __always_inline bool cmask_test_and_set(u32 cid, cmask_t *m)
{
	return __cmask_exchange(cid, m, true);
}
static __always_inline bool cmask_test_and_clear(u32 cid, cmask_t *m)
{
	return __cmask_exchange(cid, m, false);
}
static __always_inline bool __cmask_test_and_set(u32 cid, cmask_t *m)
{
	bool was = cmask_test(cid, m);

	if (!was && __cmask_contains(cid, m))
		*__cmask_word(cid, m) |= BIT_U64(cid & 63);
	return was;
}
static __always_inline bool __cmask_test_and_clear(u32 cid, cmask_t *m)
{
	bool was = cmask_test(cid, m);

	if (was)
		*__cmask_word(cid, m) &= ~BIT_U64(cid & 63);
	return was;
}
static __always_inline void __cmask_set(u32 cid, cmask_t *m)
{
	__cmask_test_and_set(cid, m);
}
static __always_inline void __cmask_clear(u32 cid, cmask_t *m)
{
	__cmask_test_and_clear(cid, m);
}

/* ---- two masks: dst changes only where both ranges overlap ---- */

enum __cmask_op { __CMASK_AND, __CMASK_OR, __CMASK_COPY, __CMASK_ANDNOT };

static __always_inline void __cmask_combine(cmask_t *dst, const cmask_t *src, enum __cmask_op op)
{
	u32 lo = __cm(dst)->base > __cm(src)->base ? __cm(dst)->base : __cm(src)->base;
	u32 dst_end = __cmask_end(dst), src_end = __cmask_end(src);
	u32 hi = dst_end < src_end ? dst_end : src_end;
	u32 i;

	if (lo >= hi)
		return;
	bpf_for (i, 0, CMASK_MAX_WORDS) {
		u32 w = lo / 64 + i;
		u64 window, d, s, result;

		if (w > (hi - 1) / 64)
			break;
		window = __cmask_window(w, lo, hi);
		d = __cm(dst)->bits[w - __cm(dst)->base / 64];
		s = __cm(src)->bits[w - __cm(src)->base / 64];
		result = op == __CMASK_AND	? d & s
			 : op == __CMASK_OR	? d | s
			 : op == __CMASK_ANDNOT ? d & ~s
						: s;
		__cm(dst)->bits[w - __cm(dst)->base / 64] = (d & ~window) | (result & window);
	}
}
static __always_inline void cmask_and(cmask_t *dst, const cmask_t *src)
{
	__cmask_combine(dst, src, __CMASK_AND);
}
static __always_inline void cmask_or(cmask_t *dst, const cmask_t *src)
{
	__cmask_combine(dst, src, __CMASK_OR);
}
static __always_inline void cmask_copy(cmask_t *dst, const cmask_t *src)
{
	__cmask_combine(dst, src, __CMASK_COPY);
}
static __always_inline void cmask_andnot(cmask_t *dst, const cmask_t *src)
{
	__cmask_combine(dst, src, __CMASK_ANDNOT);
}
/* Equal range and equal bits. */
static __always_inline bool cmask_equal(const cmask_t *a, const cmask_t *b)
{
	u32 words = __cmask_used_words(a), i;

	if (__cm(a)->base != __cm(b)->base || __cm(a)->nr_cids != __cm(b)->nr_cids)
		return false;
	bpf_for (i, 0, CMASK_MAX_WORDS) {
		if (i >= words)
			break;
		if (__cm(a)->bits[i] != __cm(b)->bits[i])
			return false;
	}
	return true;
}
static __always_inline u32 cmask_weight(const cmask_t *m)
{
	u32 words = __cmask_used_words(m), count = 0, i;

	bpf_for (i, 0, CMASK_MAX_WORDS) {
		if (i >= words)
			break;
		count += __builtin_popcountll(__cm(m)->bits[i]);
	}
	return count;
}

/* ---- searching: the first cid from `start` on that is set in all masks given ----
 * The end of a's range where there is none. A mask given as NULL does not count; the
 * compiler drops it.
 */
static __always_inline u32 __cmask_search(const cmask_t *a, const cmask_t *b, const cmask_t *c,
					  u32 start)
{
	u32 lo = __cm(a)->base, end = __cmask_end(a), hi = end, i;

	if (b) {
		lo = __cm(b)->base > lo ? __cm(b)->base : lo;
		hi = __cmask_end(b) < hi ? __cmask_end(b) : hi;
	}
	if (c) {
		lo = __cm(c)->base > lo ? __cm(c)->base : lo;
		hi = __cmask_end(c) < hi ? __cmask_end(c) : hi;
	}
	if (start < lo)
		start = lo;
	if (start >= hi)
		return end;
	bpf_for (i, 0, CMASK_MAX_WORDS) {
		u32 w = start / 64 + i;
		u64 word;

		if (w > (hi - 1) / 64)
			break;
		word = __cm(a)->bits[w - __cm(a)->base / 64] & __cmask_window(w, start, hi);
		if (b)
			word &= __cm(b)->bits[w - __cm(b)->base / 64];
		if (c)
			word &= __cm(c)->bits[w - __cm(c)->base / 64];
		if (word)
			return w * 64 + ctzll(word);
	}
	return end;
}
/* The same, continuing from the beginning of a's range after its end. */
static __always_inline u32 __cmask_search_wrap(const cmask_t *a, const cmask_t *b, const cmask_t *c,
					       u32 start)
{
	u32 end = __cmask_end(a);
	u32 found = __cmask_search(a, b, c, start);

	if (found < end || start <= __cm(a)->base)
		return found;
	found = __cmask_search(a, b, c, __cm(a)->base);
	return found < start ? found : end;
}
static __always_inline u32 cmask_next_set(const cmask_t *m, u32 start)
{
	return __cmask_search(m, NULL, NULL, start);
}
static __always_inline u32 cmask_first_set(const cmask_t *m)
{
	return cmask_next_set(m, __cm(m)->base);
}
static __always_inline u32 cmask_next_set_wrap(const cmask_t *m, u32 start)
{
	return __cmask_search_wrap(m, NULL, NULL, start);
}
static __always_inline u32 cmask_next_and_set(const cmask_t *a, const cmask_t *b, u32 start)
{
	return __cmask_search(a, b, NULL, start);
}
static __always_inline u32 cmask_next_and_set_wrap(const cmask_t *a, const cmask_t *b, u32 start)
{
	return __cmask_search_wrap(a, b, NULL, start);
}
static __always_inline u32 cmask_next_and2_set(const cmask_t *a, const cmask_t *b, const cmask_t *c,
					       u32 start)
{
	return __cmask_search(a, b, c, start);
}
static __always_inline u32 cmask_next_and2_set_wrap(const cmask_t *a, const cmask_t *b,
						    const cmask_t *c, u32 start)
{
	return __cmask_search_wrap(a, b, c, start);
}
static __always_inline bool cmask_intersects(const cmask_t *a, const cmask_t *b)
{
	return cmask_next_and_set(a, b, 0) < __cmask_end(a);
}
static __always_inline bool cmask_empty(const cmask_t *m)
{
	return cmask_first_set(m) >= __cmask_end(m);
}
/* Whether every cid of a is in b. A cid outside b's range is not in b. */
static __always_inline bool cmask_subset(const cmask_t *a, const cmask_t *b)
{
	u32 words = __cmask_used_words(a), first = __cm(a)->base / 64, i;

	bpf_for (i, 0, CMASK_MAX_WORDS) {
		u32 w = first + i;
		u64 word;

		if (i >= words)
			break;
		word = __cm(a)->bits[i];
		if (__cm(b)->nr_cids && w >= __cm(b)->base / 64 && w <= (__cmask_end(b) - 1) / 64)
			word &= ~__cm(b)->bits[w - __cm(b)->base / 64];
		if (word)
			return false;
	}
	return true;
}
#define cmask_for_each(cid, m)                                                                     \
	for ((cid) = cmask_first_set(m); (cid) < __cmask_end(m);                                   \
	     (cid) = cmask_next_set((m), (cid) + 1))

/* The CPUs of a cpumask as cids; the caller keeps the cpumask from changing. */
static __always_inline void cmask_from_cpumask(cmask_t *m, const struct cpumask *cpumask)
{
	u32 nr_cpus = scx_bpf_nr_cpu_ids();
	s32 cpu;

	cmask_zero(m);
	bpf_for (cpu, 0, nr_cpus) {
		s32 cid;

		if (!bpf_cpumask_test_cpu(cpu, cpumask))
			continue;
		cid = scx_bpf_cpu_to_cid(cpu);
		if (cid >= 0)
			__cmask_set(cid, m);
	}
}

#endif /* __BPF_FEATURE_ADDR_SPACE_CAST */
#endif /* SCX_CID_BPF_H */
