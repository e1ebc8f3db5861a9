/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One name for functions whose name or signature changed between kernels 6.12 and 7.3.
 *
 * How it works: libbpf looks a kfunc up without the ___suffix of its name, compares the
 * prototypes, and resolves a __weak one to 0 if it is absent or different. So every signature
 * is declared under its own suffix, and the verifier removes the branches for which this
 * kernel has no kfunc. If the kernel's own name has a suffix (___v2), ours has two, of which
 * libbpf removes one. Branch on one ksym at a time: `a || b` becomes an arithmetic or of two
 * addresses, which the verifier refuses.
 */
#ifndef SCX_COMPAT_BPF_H
#define SCX_COMPAT_BPF_H

#define __COMPAT_ENUM_OR_ZERO(type, name)                                                          \
	({                                                                                         \
		type ___value = 0;                                                                 \
		if (bpf_core_enum_value_exists(type, name))                                        \
			___value = name;                                                           \
		___value;                                                                          \
	})

/* Chooses a macro by the number of arguments it is called with, up to four. */
#define SCX_BY_ARGS(_1, _2, _3, _4, chosen, ...) chosen

/* ---- inserting a task into a DSQ ----
 * 6.12 scx_bpf_dispatch, no result. 6.13 scx_bpf_dsq_insert. 6.19 it returns whether the
 * task was inserted (___v2). Always true here on older kernels.
 */
bool scx_bpf_dsq_insert___v2___compat(struct task_struct *p, u64 dsq_id, u64 slice,
				      u64 enq_flags) __ksym __weak;
void scx_bpf_dsq_insert___v1(struct task_struct *p, u64 dsq_id, u64 slice,
			     u64 enq_flags) __ksym __weak;
void scx_bpf_dispatch___old(struct task_struct *p, u64 dsq_id, u64 slice,
			    u64 enq_flags) __ksym __weak;

static inline bool scx_bpf_dsq_insert(struct task_struct *p, u64 dsq_id, u64 slice, u64 enq_flags)
{
	if (bpf_ksym_exists(scx_bpf_dsq_insert___v2___compat))
		return scx_bpf_dsq_insert___v2___compat(p, dsq_id, slice, enq_flags);
	if (bpf_ksym_exists(scx_bpf_dsq_insert___v1))
		scx_bpf_dsq_insert___v1(p, dsq_id, slice, enq_flags);
	else
		scx_bpf_dispatch___old(p, dsq_id, slice, enq_flags);
	return true;
}

/* 6.12 scx_bpf_dispatch_vtime. 6.13 renamed. 6.19 arguments packed in a struct, result. */
struct scx_bpf_dsq_insert_vtime_args___v619 {
	u64 dsq_id;
	u64 slice;
	u64 vtime;
	u64 enq_flags;
};
bool __scx_bpf_dsq_insert_vtime(struct task_struct *p,
				struct scx_bpf_dsq_insert_vtime_args___v619 *args) __ksym __weak;
void scx_bpf_dsq_insert_vtime___v1(struct task_struct *p, u64 dsq_id, u64 slice, u64 vtime,
				   u64 enq_flags) __ksym __weak;
void scx_bpf_dispatch_vtime___old(struct task_struct *p, u64 dsq_id, u64 slice, u64 vtime,
				  u64 enq_flags) __ksym __weak;

static inline bool scx_bpf_dsq_insert_vtime(struct task_struct *p, u64 dsq_id, u64 slice, u64 vtime,
					    u64 enq_flags)
{
	if (bpf_ksym_exists(__scx_bpf_dsq_insert_vtime)) {
		struct scx_bpf_dsq_insert_vtime_args___v619 args = {
		    .dsq_id = dsq_id,
		    .slice = slice,
		    .vtime = vtime,
		    .enq_flags = enq_flags,
		};

		return __scx_bpf_dsq_insert_vtime(p, &args);
	}
	if (bpf_ksym_exists(scx_bpf_dsq_insert_vtime___v1))
		scx_bpf_dsq_insert_vtime___v1(p, dsq_id, slice, vtime, enq_flags);
	else
		scx_bpf_dispatch_vtime___old(p, dsq_id, slice, vtime, enq_flags);
	return true;
}

/* The names of 6.12, for sources written then. */
#define scx_bpf_dispatch(p, dsq_id, slice, enq_flags)                                              \
	scx_bpf_dsq_insert(p, dsq_id, slice, enq_flags)
#define scx_bpf_dispatch_vtime(p, dsq_id, slice, vtime, enq_flags)                                 \
	scx_bpf_dsq_insert_vtime(p, dsq_id, slice, vtime, enq_flags)

/* ---- taking a task from a DSQ to this CPU ----
 * 6.12 scx_bpf_consume. 6.13 renamed. 7.1 (___v2) takes enqueue flags, which older kernels
 * do without. Sources of both ages compile: the flags may be left out.
 */
bool scx_bpf_dsq_move_to_local___v2___compat(u64 dsq_id, u64 enq_flags) __ksym __weak;
bool scx_bpf_dsq_move_to_local___v1(u64 dsq_id) __ksym __weak;
bool scx_bpf_consume___old(u64 dsq_id) __ksym __weak;

static inline bool __scx_dsq_move_to_local(u64 dsq_id, u64 enq_flags)
{
	if (bpf_ksym_exists(scx_bpf_dsq_move_to_local___v2___compat))
		return scx_bpf_dsq_move_to_local___v2___compat(dsq_id, enq_flags);
	if (bpf_ksym_exists(scx_bpf_dsq_move_to_local___v1))
		return scx_bpf_dsq_move_to_local___v1(dsq_id);
	return scx_bpf_consume___old(dsq_id);
}
#define __scx_dsq_move_to_local_1(dsq_id) __scx_dsq_move_to_local(dsq_id, 0)
#define scx_bpf_dsq_move_to_local(args...)                                                         \
	SCX_BY_ARGS(args, , , __scx_dsq_move_to_local, __scx_dsq_move_to_local_1)(args)
#define scx_bpf_consume(dsq_id) __scx_dsq_move_to_local(dsq_id, 0)

/* ---- moving tasks while iterating over a DSQ: 6.12 ..._from_dsq, 6.13 renamed ---- */
bool scx_bpf_dsq_move___new(struct bpf_iter_scx_dsq *it__iter, struct task_struct *p, u64 dsq_id,
			    u64 enq_flags) __ksym __weak;
bool scx_bpf_dsq_move_vtime___new(struct bpf_iter_scx_dsq *it__iter, struct task_struct *p,
				  u64 dsq_id, u64 enq_flags) __ksym __weak;
void scx_bpf_dsq_move_set_slice___new(struct bpf_iter_scx_dsq *it__iter, u64 slice) __ksym __weak;
void scx_bpf_dsq_move_set_vtime___new(struct bpf_iter_scx_dsq *it__iter, u64 vtime) __ksym __weak;
bool scx_bpf_dispatch_from_dsq___old(struct bpf_iter_scx_dsq *it__iter, struct task_struct *p,
				     u64 dsq_id, u64 enq_flags) __ksym __weak;
bool scx_bpf_dispatch_vtime_from_dsq___old(struct bpf_iter_scx_dsq *it__iter, struct task_struct *p,
					   u64 dsq_id, u64 enq_flags) __ksym __weak;
void scx_bpf_dispatch_from_dsq_set_slice___old(struct bpf_iter_scx_dsq *it__iter,
					       u64 slice) __ksym __weak;
void scx_bpf_dispatch_from_dsq_set_vtime___old(struct bpf_iter_scx_dsq *it__iter,
					       u64 vtime) __ksym __weak;

#define __scx_renamed(now, then, otherwise, args...)                                               \
	(bpf_ksym_exists(now) ? now(args) : bpf_ksym_exists(then) ? then(args) : otherwise)

#define scx_bpf_dsq_move(it, p, dsq_id, enq_flags)                                                 \
	__scx_renamed(scx_bpf_dsq_move___new, scx_bpf_dispatch_from_dsq___old, false, it, p,       \
		      dsq_id, enq_flags)
#define scx_bpf_dsq_move_vtime(it, p, dsq_id, enq_flags)                                           \
	__scx_renamed(scx_bpf_dsq_move_vtime___new, scx_bpf_dispatch_vtime_from_dsq___old, false,  \
		      it, p, dsq_id, enq_flags)
#define scx_bpf_dsq_move_set_slice(it, slice)                                                      \
	__scx_renamed(scx_bpf_dsq_move_set_slice___new, scx_bpf_dispatch_from_dsq_set_slice___old, \
		      (void)0, it, slice)
#define scx_bpf_dsq_move_set_vtime(it, vtime)                                                      \
	__scx_renamed(scx_bpf_dsq_move_set_vtime___new, scx_bpf_dispatch_from_dsq_set_vtime___old, \
		      (void)0, it, vtime)

/* Names of 6.12's own compat header. */
#define __COMPAT_scx_bpf_dispatch_from_dsq(it, p, dsq_id, enq_flags)                               \
	scx_bpf_dsq_move(it, p, dsq_id, enq_flags)
#define __COMPAT_scx_bpf_dispatch_vtime_from_dsq(it, p, dsq_id, enq_flags)                         \
	scx_bpf_dsq_move_vtime(it, p, dsq_id, enq_flags)
#define __COMPAT_scx_bpf_dispatch_from_dsq_set_slice(it, slice)                                    \
	scx_bpf_dsq_move_set_slice(it, slice)
#define __COMPAT_scx_bpf_dispatch_from_dsq_set_vtime(it, vtime)                                    \
	scx_bpf_dsq_move_set_vtime(it, vtime)

/* ---- looking at the head of a DSQ ----
 * 6.19 without a lock, but before 7.1 it may miss the head of a FIFO. Older: the iterator.
 */
static inline struct task_struct *__COMPAT_scx_bpf_dsq_peek(u64 dsq_id)
{
	struct task_struct *p = NULL;
	struct bpf_iter_scx_dsq it;

	if (bpf_ksym_exists(scx_bpf_dsq_peek) && LINUX_KERNEL_VERSION >= KERNEL_VERSION(7, 1, 0))
		return scx_bpf_dsq_peek(dsq_id);
	if (!bpf_iter_scx_dsq_new(&it, dsq_id, 0))
		p = bpf_iter_scx_dsq_next(&it);
	bpf_iter_scx_dsq_destroy(&it);
	return p;
}

/* ---- choosing an idle CPU out of a mask: 6.16; 6.19 arguments packed ---- */
struct scx_bpf_select_cpu_and_args___v619 {
	s32 prev_cpu;
	u64 wake_flags;
	u64 flags;
};
s32 __scx_bpf_select_cpu_and(struct task_struct *p, const struct cpumask *allowed,
			     struct scx_bpf_select_cpu_and_args___v619 *args) __ksym __weak;
s32 scx_bpf_select_cpu_and___v616(struct task_struct *p, s32 prev_cpu, u64 wake_flags,
				  const struct cpumask *allowed, u64 flags) __ksym __weak;

/* True if scx_bpf_select_cpu_and() works; elsewhere it returns -EOPNOTSUPP. */
#define __COMPAT_HAS_scx_bpf_select_cpu_and                                                        \
	(bpf_ksym_exists(__scx_bpf_select_cpu_and)                                                 \
	     ? true                                                                                \
	     : bpf_ksym_exists(scx_bpf_select_cpu_and___v616))

static inline s32 scx_bpf_select_cpu_and(struct task_struct *p, s32 prev_cpu, u64 wake_flags,
					 const struct cpumask *allowed, u64 flags)
{
	if (bpf_ksym_exists(__scx_bpf_select_cpu_and)) {
		struct scx_bpf_select_cpu_and_args___v619 args = {
		    .prev_cpu = prev_cpu,
		    .wake_flags = wake_flags,
		    .flags = flags,
		};

		return __scx_bpf_select_cpu_and(p, allowed, &args);
	}
	if (bpf_ksym_exists(scx_bpf_select_cpu_and___v616))
		return scx_bpf_select_cpu_and___v616(p, prev_cpu, wake_flags, allowed, flags);
	return -EOPNOTSUPP;
}

/* ---- was select_cpu() called before this enqueue()? ----
 * Kernels that cannot say (before 6.15) always call it.
 */
enum scx_enq_flags___cpu_selected {
	SCX_ENQ_CPU_SELECTED___cpu_selected = 1ULL << 10,
	__SCX_ENQ_WIDE___cpu_selected = 1ULL << 63, /* keeps the type at 64 bits */
};
static inline bool __COMPAT_is_enq_cpu_selected(u64 enq_flags)
{
	if (!bpf_core_enum_value_exists(enum scx_enq_flags___cpu_selected,
					SCX_ENQ_CPU_SELECTED___cpu_selected))
		return true;
	return enq_flags & bpf_core_enum_value(enum scx_enq_flags___cpu_selected,
					       SCX_ENQ_CPU_SELECTED___cpu_selected);
}

/* ---- slice and vtime of a task: 7.1 wants kfuncs, so that sub-schedulers can be checked ---- */
bool scx_bpf_task_set_slice___new(struct task_struct *p, u64 slice) __ksym __weak;
bool scx_bpf_task_set_dsq_vtime___new(struct task_struct *p, u64 vtime) __ksym __weak;

static inline void scx_bpf_task_set_slice(struct task_struct *p, u64 slice)
{
	if (bpf_ksym_exists(scx_bpf_task_set_slice___new))
		scx_bpf_task_set_slice___new(p, slice);
	else
		p->scx.slice = slice;
}
static inline void scx_bpf_task_set_dsq_vtime(struct task_struct *p, u64 vtime)
{
	if (bpf_ksym_exists(scx_bpf_task_set_dsq_vtime___new))
		scx_bpf_task_set_dsq_vtime___new(p, vtime);
	else
		p->scx.dsq_vtime = vtime;
}

/* ---- sending queued tasks through enqueue() again ----
 * 6.12 scx_bpf_reenqueue_local(): only in cpu_release(), returns how many. 6.19 (___v2)
 * from anywhere, no result. 7.1 scx_bpf_dsq_reenq(): other DSQs as well.
 */
void scx_bpf_dsq_reenq___v71(u64 dsq_id, u64 reenq_flags) __ksym __weak;
void scx_bpf_reenqueue_local___v2___compat(void) __ksym __weak;
u32 scx_bpf_reenqueue_local___v1(void) __ksym __weak;

static inline bool __COMPAT_has_generic_reenq(void)
{
	return bpf_ksym_exists(scx_bpf_dsq_reenq___v71);
}
static inline bool __COMPAT_scx_bpf_reenqueue_local_from_anywhere(void)
{
	return bpf_ksym_exists(scx_bpf_reenqueue_local___v2___compat);
}
/* How many tasks were sent, if the kernel returns it, else 0. */
static inline u32 scx_bpf_reenqueue_local(void)
{
	if (__COMPAT_has_generic_reenq())
		scx_bpf_dsq_reenq___v71(SCX_DSQ_LOCAL, 0);
	else if (__COMPAT_scx_bpf_reenqueue_local_from_anywhere())
		scx_bpf_reenqueue_local___v2___compat();
	else
		return scx_bpf_reenqueue_local___v1();
	return 0;
}
static inline int scx_bpf_reenqueue_local_from_anywhere(void)
{
	if (__COMPAT_has_generic_reenq()) {
		scx_bpf_dsq_reenq___v71(SCX_DSQ_LOCAL, 0);
		return 0;
	}
	if (__COMPAT_scx_bpf_reenqueue_local_from_anywhere()) {
		scx_bpf_reenqueue_local___v2___compat();
		return 0;
	}
	return -EOPNOTSUPP;
}
static inline void scx_bpf_dsq_reenq(u64 dsq_id, u64 reenq_flags)
{
	if (__COMPAT_has_generic_reenq())
		scx_bpf_dsq_reenq___v71(dsq_id, reenq_flags);
	else if (dsq_id == SCX_DSQ_LOCAL && !reenq_flags)
		scx_bpf_reenqueue_local();
	else
		scx_bpf_error("this kernel re-enqueues only from its own local DSQ");
}

/* ---- cgroups: absent where the kernel is built without CONFIG_EXT_GROUP_SCHED ---- */
struct cgroup *scx_bpf_task_cgroup___any(struct task_struct *p) __ksym __weak;
#define scx_bpf_task_cgroup(p)                                                                     \
	(bpf_ksym_exists(scx_bpf_task_cgroup___any) ? scx_bpf_task_cgroup___any(p) : NULL)
#define __COMPAT_scx_bpf_task_cgroup(p) scx_bpf_task_cgroup(p)

/* ---- what is running on a CPU: 6.18; before, by its run queue ---- */
static inline struct task_struct *__COMPAT_scx_bpf_cpu_curr(int cpu)
{
	struct rq *rq;

	if (bpf_ksym_exists(scx_bpf_cpu_curr))
		return scx_bpf_cpu_curr(cpu);
	rq = scx_bpf_cpu_rq(cpu);
	return rq ? rq->curr : NULL;
}

/* ---- time: 6.14 has a clock that costs less; older kernels the usual one ---- */
#define scx_bpf_now() (bpf_ksym_exists(scx_bpf_now) ? scx_bpf_now() : bpf_ktime_get_ns())

/* ---- event counters: 6.15. A counter the kernel does not have reads 0. ---- */
#define __COMPAT_scx_bpf_events(events, size)                                                      \
	(bpf_ksym_exists(scx_bpf_events) ? scx_bpf_events(events, size) : (void)0)
#define scx_read_event(events, name) (bpf_core_field_exists((events)->name) ? (events)->name : 0)

/* ---- NUMA nodes: 6.15; before, the machine is one node ---- */
#define __COMPAT_scx_bpf_nr_node_ids()                                                             \
	(bpf_ksym_exists(scx_bpf_nr_node_ids) ? scx_bpf_nr_node_ids() : 1U)
#define __COMPAT_scx_bpf_cpu_node(cpu)                                                             \
	(bpf_ksym_exists(scx_bpf_cpu_node) ? scx_bpf_cpu_node(cpu) : 0)
#define __COMPAT_scx_bpf_get_idle_cpumask_node(node)                                               \
	(bpf_ksym_exists(scx_bpf_get_idle_cpumask_node) ? scx_bpf_get_idle_cpumask_node(node)      \
							: scx_bpf_get_idle_cpumask())
#define __COMPAT_scx_bpf_get_idle_smtmask_node(node)                                               \
	(bpf_ksym_exists(scx_bpf_get_idle_smtmask_node) ? scx_bpf_get_idle_smtmask_node(node)      \
							: scx_bpf_get_idle_smtmask())
#define __COMPAT_scx_bpf_pick_idle_cpu_node(allowed, node, flags)                                  \
	(bpf_ksym_exists(scx_bpf_pick_idle_cpu_node)                                               \
	     ? scx_bpf_pick_idle_cpu_node(allowed, node, flags)                                    \
	     : scx_bpf_pick_idle_cpu(allowed, flags))
#define __COMPAT_scx_bpf_pick_any_cpu_node(allowed, node, flags)                                   \
	(bpf_ksym_exists(scx_bpf_pick_any_cpu_node)                                                \
	     ? scx_bpf_pick_any_cpu_node(allowed, node, flags)                                     \
	     : scx_bpf_pick_any_cpu(allowed, flags))
#define __COMPAT_bpf_cpumask_populate(mask, src, size)                                             \
	(bpf_ksym_exists(bpf_cpumask_populate) ? bpf_cpumask_populate(mask, src, size)             \
					       : -EOPNOTSUPP)

/* ---- own numbering of cids: 7.2 by an array, 7.3 by two arrays in an arena; else ignored ---- */
void scx_bpf_cid_override___v72(const s32 *cpu_to_cid, u32 cpu_to_cid__sz) __ksym __weak;
void scx_bpf_cid_override___v73(const s32 __arena *cpu_to_cid__arena, u32 cpu_to_cid_cnt,
				const s32 __arena *shard_start__arena,
				u32 shard_start_cnt) __ksym __weak;
#define __scx_cid_override_2(map, size)                                                            \
	(bpf_ksym_exists(scx_bpf_cid_override___v72) ? scx_bpf_cid_override___v72(map, size)       \
						     : (void)0)
#define __scx_cid_override_4(map, count, shards, nr_shards)                                        \
	(bpf_ksym_exists(scx_bpf_cid_override___v73)                                               \
	     ? scx_bpf_cid_override___v73(map, count, shards, nr_shards)                           \
	     : (void)0)
#define scx_bpf_cid_override(args...)                                                              \
	SCX_BY_ARGS(args, __scx_cid_override_4, , __scx_cid_override_2, )(args)

#endif /* SCX_COMPAT_BPF_H */
