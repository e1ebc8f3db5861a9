/* SPDX-License-Identifier: GPL-2.0-only */
/* A quota is for the group's own tasks, and not for those of groups below it. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

enum { RUN = 1, PARKED };
#define SLICE 5000000ULL

struct account {
	s64 left; /* of the quota, ns */
	u64 quota, period, burst, refill_at;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, u64);
	__type(value, struct account);
} accounts SEC(".maps");

struct release {
	struct bpf_timer timer;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct release);
} releases SEC(".maps");

/* Until when what runs on each CPU has been charged. */
static u64 charged[256];

static void limit(struct account *account, u64 period_us, u64 quota_us, u64 burst_us)
{
	account->quota = quota_us == (u64)-1 ? 0 : quota_us * 1000;
	account->period = period_us * 1000;
	account->burst = burst_us * 1000;
	account->left = account->quota;
	account->refill_at = scx_bpf_now() + account->period;
}

static void refill(struct account *account)
{
	u64 now = scx_bpf_now(), periods;
	s64 most = account->quota + account->burst;

	if (!account->period || time_before(now, account->refill_at))
		return;
	periods = (now - account->refill_at) / account->period + 1;
	account->refill_at += periods * account->period;
	account->left += periods * account->quota;
	if (account->left > most)
		account->left = most;
}

/* Take that from its group. True: it has nothing left. */
static bool charge(struct task_struct *p, u64 ns)
{
	u64 id = p->cgroups->dfl_cgrp->kn->id;
	struct account *account = bpf_map_lookup_elem(&accounts, &id);

	if (!account || !account->quota || p->flags & (PF_KTHREAD | PF_EXITING))
		return false;
	refill(account);
	return (s64)__sync_fetch_and_sub(&account->left, ns) <= (s64)ns;
}

static bool charge_run(struct task_struct *p)
{
	u64 now = scx_bpf_now(), from;

	from = __sync_lock_test_and_set(&charged[scx_bpf_task_cpu(p) & 255], now);
	return charge(p, now - from);
}

/* The kernel's own would start a task on an idle CPU without asking enqueue. */
s32 BPF_STRUCT_OPS(children_select_cpu, struct task_struct *p, s32 prev_cpu, u64 wake_flags)
{
	bool idle = false;

	return scx_bpf_select_cpu_dfl(p, prev_cpu, wake_flags, &idle);
}

void BPF_STRUCT_OPS(children_enqueue, struct task_struct *p, u64 enq_flags)
{
	u64 queue = charge(p, 0) ? PARKED : enq_flags & SCX_ENQ_LAST ? SCX_DSQ_LOCAL : RUN;

	scx_bpf_dsq_insert(p, queue, SLICE, enq_flags);
	if (queue == RUN)
		scx_bpf_kick_cpu(scx_bpf_task_cpu(p), SCX_KICK_IDLE);
}

void BPF_STRUCT_OPS(children_dispatch, s32 cpu, struct task_struct *prev)
{
	scx_bpf_dsq_move_to_local(RUN, 0);
}

void BPF_STRUCT_OPS(children_running, struct task_struct *p)
{
	charged[scx_bpf_task_cpu(p) & 255] = scx_bpf_now();
}

void BPF_STRUCT_OPS(children_tick, struct task_struct *p)
{
	if (charge_run(p))
		p->scx.slice = 0;
}

void BPF_STRUCT_OPS(children_stopping, struct task_struct *p, bool runnable)
{
	charge_run(p);
}

static int release(void *map, u32 *key, struct release *value)
{
	struct task_struct *p;

	bpf_rcu_read_lock();
	bpf_for_each (scx_dsq, p, PARKED, 0) {
		if (charge(p, 0))
			continue;
		scx_bpf_dsq_move(BPF_FOR_EACH_ITER, p, RUN, 0);
		scx_bpf_kick_cpu(scx_bpf_task_cpu(p), SCX_KICK_IDLE);
	}
	bpf_rcu_read_unlock();
	bpf_timer_start(&value->timer, 10000000, 0);
	return 0;
}

s32 BPF_STRUCT_OPS_SLEEPABLE(children_cgroup_init, struct cgroup *cgrp,
			     struct scx_cgroup_init_args *args)
{
	struct account new = {};
	u64 id = cgrp->kn->id;

	limit(&new, args->bw_period_us, args->bw_quota_us, args->bw_burst_us);
	bpf_map_update_elem(&accounts, &id, &new, BPF_ANY);
	return 0;
}

void BPF_STRUCT_OPS(children_cgroup_exit, struct cgroup *cgrp)
{
	u64 id = cgrp->kn->id;

	bpf_map_delete_elem(&accounts, &id);
}

void BPF_STRUCT_OPS(children_cgroup_set_bandwidth, struct cgroup *cgrp, u64 period_us, u64 quota_us,
		    u64 burst_us)
{
	u64 id = cgrp->kn->id;
	struct account *account = bpf_map_lookup_elem(&accounts, &id);

	if (account)
		limit(account, period_us, quota_us, burst_us);
}

s32 BPF_STRUCT_OPS_SLEEPABLE(children_init)
{
	u32 key = 0;
	struct release *value = bpf_map_lookup_elem(&releases, &key);
	s32 error = scx_bpf_create_dsq(RUN, -1) ?: scx_bpf_create_dsq(PARKED, -1);

	if (error || !value)
		return error ?: -ENOENT;
	bpf_timer_init(&value->timer, &releases, CLOCK_MONOTONIC);
	bpf_timer_set_callback(&value->timer, release);
	return bpf_timer_start(&value->timer, 10000000, 0);
}

SCX_OPS_DEFINE(children_ops, .select_cpu = (void *)children_select_cpu,
	       .enqueue = (void *)children_enqueue, .dispatch = (void *)children_dispatch,
	       .running = (void *)children_running, .tick = (void *)children_tick,
	       .stopping = (void *)children_stopping, .cgroup_init = (void *)children_cgroup_init,
	       .cgroup_exit = (void *)children_cgroup_exit,
	       .cgroup_set_bandwidth = (void *)children_cgroup_set_bandwidth,
	       .init = (void *)children_init, .flags = SCX_OPS_ENQ_LAST, .name = "children");
