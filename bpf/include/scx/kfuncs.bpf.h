/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The kernel functions for schedulers. Without a remark, a function is in 6.12 already; a
 * later one names the version that added it, is __weak, and must be tested with
 * bpf_ksym_exists() before it is called. Functions whose signature changed are in
 * compat.bpf.h.
 */
#ifndef SCX_KFUNCS_BPF_H
#define SCX_KFUNCS_BPF_H

/* ---- dispatch queues ---- */
s32 scx_bpf_create_dsq(u64 dsq_id, s32 node) __ksym;
void scx_bpf_destroy_dsq(u64 dsq_id) __ksym;
s32 scx_bpf_dsq_nr_queued(u64 dsq_id) __ksym;
u32 scx_bpf_dispatch_nr_slots(void) __ksym;
void scx_bpf_dispatch_cancel(void) __ksym;
struct task_struct *scx_bpf_dsq_peek(u64 dsq_id) __ksym __weak; /* 6.19, reliable from 7.1 */

int bpf_iter_scx_dsq_new(struct bpf_iter_scx_dsq *it, u64 dsq_id, u64 flags) __ksym __weak;
struct task_struct *bpf_iter_scx_dsq_next(struct bpf_iter_scx_dsq *it) __ksym __weak;
void bpf_iter_scx_dsq_destroy(struct bpf_iter_scx_dsq *it) __ksym __weak;
/* The iterator of the enclosing bpf_for_each(scx_dsq, ...), for scx_bpf_dsq_move(). */
#define BPF_FOR_EACH_ITER (&___it)

/* ---- CPUs and idleness ---- */
s32 scx_bpf_select_cpu_dfl(struct task_struct *p, s32 prev_cpu, u64 wake_flags,
			   bool *is_idle) __ksym;
void scx_bpf_kick_cpu(s32 cpu, u64 flags) __ksym;
u32 scx_bpf_nr_cpu_ids(void) __ksym __weak;
u32 scx_bpf_nr_node_ids(void) __ksym __weak; /* 6.15 */
int scx_bpf_cpu_node(s32 cpu) __ksym __weak; /* 6.15 */
const struct cpumask *scx_bpf_get_possible_cpumask(void) __ksym __weak;
const struct cpumask *scx_bpf_get_online_cpumask(void) __ksym __weak;
void scx_bpf_put_cpumask(const struct cpumask *cpumask) __ksym __weak;
const struct cpumask *scx_bpf_get_idle_cpumask(void) __ksym;
const struct cpumask *scx_bpf_get_idle_smtmask(void) __ksym;
const struct cpumask *scx_bpf_get_idle_cpumask_node(int node) __ksym __weak; /* 6.15 */
const struct cpumask *scx_bpf_get_idle_smtmask_node(int node) __ksym __weak; /* 6.15 */
void scx_bpf_put_idle_cpumask(const struct cpumask *cpumask) __ksym;
bool scx_bpf_test_and_clear_cpu_idle(s32 cpu) __ksym;
s32 scx_bpf_pick_idle_cpu(const cpumask_t *allowed, u64 flags) __ksym;
s32 scx_bpf_pick_any_cpu(const cpumask_t *allowed, u64 flags) __ksym;
s32 scx_bpf_pick_idle_cpu_node(const cpumask_t *allowed, int node, u64 flags) __ksym __weak;
s32 scx_bpf_pick_any_cpu_node(const cpumask_t *allowed, int node, u64 flags) __ksym __weak;
/* Performance is relative to SCX_CPUPERF_ONE (1024). */
u32 scx_bpf_cpuperf_cap(s32 cpu) __ksym __weak;
u32 scx_bpf_cpuperf_cur(s32 cpu) __ksym __weak;
void scx_bpf_cpuperf_set(s32 cpu, u32 perf) __ksym __weak;

/* ---- tasks, run queues, time ---- */
bool scx_bpf_task_running(const struct task_struct *p) __ksym;
s32 scx_bpf_task_cpu(const struct task_struct *p) __ksym;
struct rq *scx_bpf_cpu_rq(s32 cpu) __ksym __weak;		/* gone in 7.3 */
struct rq *scx_bpf_locked_rq(void) __ksym __weak;		/* 6.18 */
struct task_struct *scx_bpf_cpu_curr(s32 cpu) __ksym __weak;	/* 6.18, under RCU */
struct task_struct *scx_bpf_tid_to_task(u64 tid) __ksym __weak; /* 7.2 */
u64 scx_bpf_now(void) __ksym __weak;				/* 6.14 */
void scx_bpf_events(struct scx_event_stats *events, size_t events__sz) __ksym __weak; /* 6.15 */

/* ---- the end of a scheduler, and its dump; use the macros in util.bpf.h ---- */
void scx_bpf_exit_bstr(s64 code, char *fmt, unsigned long long *data, u32 data__sz) __ksym __weak;
void scx_bpf_error_bstr(char *fmt, unsigned long long *data, u32 data__sz) __ksym;
void scx_bpf_dump_bstr(char *fmt, unsigned long long *data, u32 data__sz) __ksym __weak;

/* ---- cids: CPUs numbered along the topology (7.2); masks of them live in arenas (7.3) ---- */
s32 scx_bpf_cpu_to_cid(s32 cpu) __ksym __weak;
s32 scx_bpf_cid_to_cpu(s32 cid) __ksym __weak;
void scx_bpf_cid_topo(s32 cid, struct scx_cid_topo *out, size_t out__sz) __ksym __weak;
void scx_bpf_kick_cid(s32 cid, u64 flags) __ksym __weak;
s32 scx_bpf_task_cid(const struct task_struct *p) __ksym __weak;
s32 scx_bpf_this_cid(void) __ksym __weak;
struct task_struct *scx_bpf_cid_curr(s32 cid) __ksym __weak;
u32 scx_bpf_nr_cids(void) __ksym __weak;
u32 scx_bpf_nr_online_cids(void) __ksym __weak;
u32 scx_bpf_cidperf_cap(s32 cid) __ksym __weak;
u32 scx_bpf_cidperf_cur(s32 cid) __ksym __weak;
s32 scx_bpf_cidperf_set(s32 cid, u32 perf) __ksym __weak;     /* 7.2: no result, 7.3: -errno */
const void __arena *scx_bpf_online_cmask(void) __ksym __weak; /* 7.3 */

/* ---- sub-schedulers (7.1 dispatch, 7.3 capabilities); cgroup id 0 is oneself ---- */
struct scx_cmask;
bool scx_bpf_sub_dispatch(u64 cgroup_id) __ksym __weak;
s32 scx_bpf_sub_grant(u64 cgroup_id, u64 caps, const struct scx_cmask __arena *cmask__arena,
		      struct scx_cmask __arena *denied_out__arena__nullable) __ksym __weak;
void scx_bpf_sub_revoke(u64 cgroup_id, u64 caps,
			const struct scx_cmask __arena *cmask__arena) __ksym __weak;
s32 scx_bpf_sub_caps(u64 cgroup_id, u64 caps, struct scx_cmask __arena *out__arena) __ksym __weak;
s32 scx_bpf_sub_kill_bstr(u64 cgroup_id, char *fmt, unsigned long long *data,
			  u32 data__sz) __ksym __weak;

/* ---- references: what is acquired or made has to be released ---- */
struct task_struct *bpf_task_from_pid(s32 pid) __ksym;
struct task_struct *bpf_task_acquire(struct task_struct *p) __ksym;
void bpf_task_release(struct task_struct *p) __ksym;
struct cgroup *bpf_cgroup_ancestor(struct cgroup *cgrp, int level) __ksym;
struct cgroup *bpf_cgroup_acquire(struct cgroup *cgrp) __ksym;
struct cgroup *bpf_cgroup_from_id(u64 cgid) __ksym;
void bpf_cgroup_release(struct cgroup *cgrp) __ksym;

void bpf_rcu_read_lock(void) __ksym;
void bpf_rcu_read_unlock(void) __ksym;
struct bpf_res_spin_lock;
int bpf_res_spin_lock(struct bpf_res_spin_lock *lock) __ksym __weak;	/* 6.15 */
void bpf_res_spin_unlock(struct bpf_res_spin_lock *lock) __ksym __weak; /* 6.15 */

/* ---- cgroup tree walks ---- */
struct bpf_iter_css;
struct cgroup_subsys_state;
int bpf_iter_css_new(struct bpf_iter_css *it, struct cgroup_subsys_state *start,
		     unsigned int flags) __ksym __weak;
struct cgroup_subsys_state *bpf_iter_css_next(struct bpf_iter_css *it) __ksym __weak;
void bpf_iter_css_destroy(struct bpf_iter_css *it) __ksym __weak;

/* ---- objects, linked lists and red-black trees ---- */
#define __contains(type, node) __attribute__((btf_decl_tag("contains:" #type ":" #node)))
#ifndef private
#define private(name) SEC(".data." #name) __hidden __attribute__((aligned(8)))
#endif

void *bpf_obj_new_impl(__u64 local_type_id, void *meta) __ksym;
void bpf_obj_drop_impl(void *kptr, void *meta) __ksym;
void *bpf_refcount_acquire_impl(void *kptr, void *meta) __ksym;
#define bpf_obj_new(type)	   ((type *)bpf_obj_new_impl(bpf_core_type_id_local(type), NULL))
#define bpf_obj_drop(kptr)	   bpf_obj_drop_impl(kptr, NULL)
#define bpf_refcount_acquire(kptr) bpf_refcount_acquire_impl(kptr, NULL)

int bpf_list_push_front_impl(struct bpf_list_head *head, struct bpf_list_node *node, void *meta,
			     __u64 off) __ksym;
int bpf_list_push_back_impl(struct bpf_list_head *head, struct bpf_list_node *node, void *meta,
			    __u64 off) __ksym;
struct bpf_list_node *bpf_list_pop_front(struct bpf_list_head *head) __ksym;
struct bpf_list_node *bpf_list_pop_back(struct bpf_list_head *head) __ksym;
#define bpf_list_push_front(head, node) bpf_list_push_front_impl(head, node, NULL, 0)
#define bpf_list_push_back(head, node)	bpf_list_push_back_impl(head, node, NULL, 0)

int bpf_rbtree_add_impl(struct bpf_rb_root *root, struct bpf_rb_node *node,
			bool(less)(struct bpf_rb_node *a, const struct bpf_rb_node *b), void *meta,
			__u64 off) __ksym;
struct bpf_rb_node *bpf_rbtree_remove(struct bpf_rb_root *root, struct bpf_rb_node *node) __ksym;
struct bpf_rb_node *bpf_rbtree_first(struct bpf_rb_root *root) __ksym;
#define bpf_rbtree_add(root, node, less) bpf_rbtree_add_impl(root, node, less, NULL, 0)

/* ---- CPU masks ---- */
struct bpf_cpumask *bpf_cpumask_create(void) __ksym;
struct bpf_cpumask *bpf_cpumask_acquire(struct bpf_cpumask *mask) __ksym;
void bpf_cpumask_release(struct bpf_cpumask *mask) __ksym;
u32 bpf_cpumask_first(const struct cpumask *mask) __ksym;
u32 bpf_cpumask_first_zero(const struct cpumask *mask) __ksym;
u32 bpf_cpumask_first_and(const struct cpumask *a, const struct cpumask *b) __ksym __weak;
void bpf_cpumask_set_cpu(u32 cpu, struct bpf_cpumask *mask) __ksym;
void bpf_cpumask_clear_cpu(u32 cpu, struct bpf_cpumask *mask) __ksym;
bool bpf_cpumask_test_cpu(u32 cpu, const struct cpumask *mask) __ksym;
bool bpf_cpumask_test_and_set_cpu(u32 cpu, struct bpf_cpumask *mask) __ksym;
bool bpf_cpumask_test_and_clear_cpu(u32 cpu, struct bpf_cpumask *mask) __ksym;
void bpf_cpumask_setall(struct bpf_cpumask *mask) __ksym;
void bpf_cpumask_clear(struct bpf_cpumask *mask) __ksym;
bool bpf_cpumask_and(struct bpf_cpumask *dst, const struct cpumask *a,
		     const struct cpumask *b) __ksym;
void bpf_cpumask_or(struct bpf_cpumask *dst, const struct cpumask *a,
		    const struct cpumask *b) __ksym;
void bpf_cpumask_xor(struct bpf_cpumask *dst, const struct cpumask *a,
		     const struct cpumask *b) __ksym;
bool bpf_cpumask_equal(const struct cpumask *a, const struct cpumask *b) __ksym;
bool bpf_cpumask_intersects(const struct cpumask *a, const struct cpumask *b) __ksym;
bool bpf_cpumask_subset(const struct cpumask *a, const struct cpumask *b) __ksym;
bool bpf_cpumask_empty(const struct cpumask *mask) __ksym;
bool bpf_cpumask_full(const struct cpumask *mask) __ksym;
void bpf_cpumask_copy(struct bpf_cpumask *dst, const struct cpumask *src) __ksym;
u32 bpf_cpumask_any_distribute(const struct cpumask *mask) __ksym;
u32 bpf_cpumask_any_and_distribute(const struct cpumask *a, const struct cpumask *b) __ksym;
u32 bpf_cpumask_weight(const struct cpumask *mask) __ksym;
int bpf_cpumask_populate(struct cpumask *dst, void *src, size_t src__sz) __ksym __weak; /* 6.15 */

/* A bpf_cpumask where a cpumask is read. */
static __always_inline const struct cpumask *cast_mask(struct bpf_cpumask *mask)
{
	return (const struct cpumask *)mask;
}

/* ---- loops: numbers (libbpf 1.2 has the macros, older ones get them here) and bits ---- */
struct bpf_iter_bits;
int bpf_iter_bits_new(struct bpf_iter_bits *it, const u64 *unsafe_ptr__ign,
		      u32 nr_words) __ksym __weak;
int *bpf_iter_bits_next(struct bpf_iter_bits *it) __ksym __weak;
void bpf_iter_bits_destroy(struct bpf_iter_bits *it) __ksym __weak;

#ifndef bpf_for
struct bpf_iter_num;
int bpf_iter_num_new(struct bpf_iter_num *it, int start, int end) __ksym __weak;
int *bpf_iter_num_next(struct bpf_iter_num *it) __ksym __weak;
void bpf_iter_num_destroy(struct bpf_iter_num *it) __ksym __weak;

#define bpf_for_each(kind, cur, args...)                                                           \
	for (struct bpf_iter_##kind ___it                                                          \
	     __attribute__((aligned(8), cleanup(bpf_iter_##kind##_destroy))),                      \
	     *___new __attribute__((unused)) = (bpf_iter_##kind##_new(&___it, ##args),             \
						(void)bpf_iter_##kind##_destroy, (void *)0);       \
	     (((cur) = bpf_iter_##kind##_next(&___it)));)
#define bpf_for(i, start, end)                                                                     \
	for (struct bpf_iter_num ___it __attribute__((aligned(8), cleanup(bpf_iter_num_destroy))), \
	     *___new __attribute__((unused)) = (bpf_iter_num_new(&___it, (start), (end)),          \
						(void)bpf_iter_num_destroy, (void *)0);            \
	     ({                                                                                    \
		     int *___at = bpf_iter_num_next(&___it);                                       \
		     (i) = ___at ? *___at : 0;                                                     \
		     ___at && (i) >= (start) && (i) < (end);                                       \
	     });)
#define bpf_repeat(n)                                                                              \
	for (struct bpf_iter_num ___it __attribute__((aligned(8), cleanup(bpf_iter_num_destroy))), \
	     *___new __attribute__((unused)) =                                                     \
		 (bpf_iter_num_new(&___it, 0, (n)), (void)bpf_iter_num_destroy, (void *)0);        \
	     bpf_iter_num_next(&___it);)
#endif
/* Older libbpf headers lack these, too. */
#ifndef bpf_ksym_exists
#define bpf_ksym_exists(sym) (!!(sym))
#endif
#ifndef __kptr_untrusted
#define __kptr_untrusted __attribute__((btf_type_tag("kptr_untrusted")))
#endif
#ifndef __percpu_kptr
#define __percpu_kptr __attribute__((btf_type_tag("percpu_kptr")))
#endif

#endif /* SCX_KFUNCS_BPF_H */
