/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Ends itself where the order of callbacks, the state of a task or a queue is not as the kernel
 * documents it. Serves by an iterator, in the order of vtime.
 */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

UEI_DEFINE(uei);

#define QUEUE	1
#define NO_SUCH 99

enum stage { NEW, READY, QUIET, WAITING, ON_CPU };

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, u32);
} states SEC(".maps");

static u64 next_vtime;

#define EXPECT(what)                                                                               \
	do {                                                                                       \
		if (!(what))                                                                       \
			scx_bpf_error("not so: " #what);                                           \
	} while (0)

/* The task goes from one state, or the other, to the next. */
static void step(struct task_struct *p, u32 from, u32 or, u32 to)
{
	u32 *state = bpf_task_storage_get(&states, p, 0, 0);

	if (!state || (*state != from && *state != or))
		scx_bpf_error("%s[%d] goes to state %u from %d", p->comm, p->pid, to,
			      state ? (s32)*state : -1);
	else
		*state = to;
}

void BPF_STRUCT_OPS(protocol_enqueue, struct task_struct *p, u64 enq_flags)
{
	u32 *state = bpf_task_storage_get(&states, p, 0, 0);
	u64 slice = p->scx.slice;

	EXPECT(state && *state == WAITING);
	EXPECT(p->scx.flags & SCX_TASK_QUEUED);
	/* Two steps forward, one back, so that the order is that of vtime and not of arrival. */
	next_vtime += 2;
	scx_bpf_dsq_insert_vtime(p, QUEUE, 5000000, next_vtime & 2 ? next_vtime : next_vtime - 3,
				 enq_flags);
	/* What was asked for comes into effect when the task is in the queue (7.3). */
	EXPECT(p->scx.slice == slice);
	scx_bpf_kick_cpu(scx_bpf_task_cpu(p), SCX_KICK_IDLE);
}

/* What is queued, in its order: how many, and whether all is as it should be. */
static bool in_order(s32 *nr)
{
	struct task_struct *p;
	bool fine = true;
	u64 last = 0;
	s32 seen = 0;

	bpf_for_each (scx_dsq, p, QUEUE, 0) {
		fine &= !seen | !time_before(p->scx.dsq_vtime, last);
		fine &= !scx_bpf_task_running(p);
		last = p->scx.dsq_vtime;
		seen++;
	}
	*nr = seen;
	return fine;
}

void BPF_STRUCT_OPS(protocol_dispatch, s32 cpu, struct task_struct *prev)
{
	struct task_struct *p;
	s32 seen;

	EXPECT(cpu == (s32)bpf_get_smp_processor_id());
	EXPECT(scx_bpf_dsq_nr_queued(NO_SUCH) == -ENOENT);
	EXPECT(in_order(&seen));
	bpf_for_each (scx_dsq, p, QUEUE, 0) {
		if (!bpf_cpumask_test_cpu(cpu, p->cpus_ptr))
			continue;
		scx_bpf_dsq_move_set_slice(BPF_FOR_EACH_ITER, 3000000);
		if (!scx_bpf_dsq_move(BPF_FOR_EACH_ITER, p, SCX_DSQ_LOCAL_ON | cpu, 0))
			continue;
		return;
	}
}

void BPF_STRUCT_OPS(protocol_runnable, struct task_struct *p, u64 enq_flags)
{
	step(p, READY, QUIET, WAITING);
}

void BPF_STRUCT_OPS(protocol_running, struct task_struct *p)
{
	EXPECT(bpf_get_smp_processor_id() == (u32)scx_bpf_task_cpu(p));
	EXPECT(p->scx.slice);
	step(p, WAITING, WAITING, ON_CPU);
}

void BPF_STRUCT_OPS(protocol_tick, struct task_struct *p)
{
	EXPECT(scx_bpf_task_running(p));
	EXPECT(bpf_get_current_task_btf() == p);
}

void BPF_STRUCT_OPS(protocol_stopping, struct task_struct *p, bool runnable)
{
	step(p, ON_CPU, ON_CPU, WAITING);
}

void BPF_STRUCT_OPS(protocol_quiescent, struct task_struct *p, u64 deq_flags)
{
	/* Asleep, or for the length of a change, such as of affinity. */
	EXPECT(deq_flags & (SCX_DEQ_SLEEP | SCX_DEQ_SCHED_CHANGE));
	step(p, WAITING, WAITING, QUIET);
}

void BPF_STRUCT_OPS(protocol_enable, struct task_struct *p)
{
	step(p, NEW, NEW, READY);
}

void BPF_STRUCT_OPS(protocol_disable, struct task_struct *p)
{
	u32 *state = bpf_task_storage_get(&states, p, 0, 0);

	EXPECT(state && *state != NEW);
}

s32 BPF_STRUCT_OPS(protocol_init_task, struct task_struct *p, struct scx_init_task_args *args)
{
	return bpf_task_storage_get(&states, p, 0, BPF_LOCAL_STORAGE_GET_F_CREATE) ? 0 : -ENOMEM;
}

void BPF_STRUCT_OPS(protocol_exit_task, struct task_struct *p, struct scx_exit_task_args *args)
{
	EXPECT(bpf_task_storage_get(&states, p, 0, 0));
	EXPECT(!args->cancelled);
}

void BPF_STRUCT_OPS(protocol_exit, struct scx_exit_info *ei)
{
	UEI_RECORD(uei, ei);
}

s32 BPF_STRUCT_OPS_SLEEPABLE(protocol_init)
{
	EXPECT(scx_bpf_create_dsq(SCX_DSQ_GLOBAL, -1) == -EINVAL);
	return scx_bpf_create_dsq(QUEUE, -1);
}

/* clang-format off */
SCX_OPS_DEFINE(protocol_ops,
	       .enqueue		= (void *)protocol_enqueue,
	       .dispatch	= (void *)protocol_dispatch,
	       .runnable	= (void *)protocol_runnable,
	       .running		= (void *)protocol_running,
	       .tick		= (void *)protocol_tick,
	       .stopping	= (void *)protocol_stopping,
	       .quiescent	= (void *)protocol_quiescent,
	       .enable		= (void *)protocol_enable,
	       .disable		= (void *)protocol_disable,
	       .init_task	= (void *)protocol_init_task,
	       .exit_task	= (void *)protocol_exit_task,
	       .init		= (void *)protocol_init,
	       .exit		= (void *)protocol_exit,
	       .name		= "t_protocol");
/* clang-format on */
