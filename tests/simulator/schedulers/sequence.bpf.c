/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Writes down, a letter each, what is called for tasks whose name begins with `w_`, from their
 * first turn on and a word for each. Ends itself with that when a task named `w_end` exits.
 */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

UEI_DEFINE(uei);

#define ROOM 500

char seen[ROOM + 12];
u32 used;
s32 last_pid;

static bool watched(const struct task_struct *p)
{
	return p->comm[0] == 'w' && p->comm[1] == '_';
}

static void put(char letter)
{
	u32 at = used;

	if (at < ROOM) {
		seen[at] = letter;
		used = at + 1;
	}
}

static void note(const struct task_struct *p, char letter)
{
	if (!watched(p))
		return;
	if (p->pid != last_pid) {
		if (letter != 'R')
			return;
		put(' ');
		last_pid = p->pid;
	}
	put(letter);
}

void BPF_STRUCT_OPS(sequence_enqueue, struct task_struct *p, u64 enq_flags)
{
	note(p, enq_flags & SCX_ENQ_LAST ? 'L' : enq_flags & SCX_ENQ_WAKEUP ? 'W' : 'e');
	scx_bpf_dsq_insert(p, SCX_DSQ_GLOBAL, SCX_SLICE_INF, enq_flags);
	scx_bpf_kick_cpu(scx_bpf_task_cpu(p), SCX_KICK_IDLE);
}

void BPF_STRUCT_OPS(sequence_dequeue, struct task_struct *p, u64 deq_flags)
{
	note(p, 'D');
}

void BPF_STRUCT_OPS(sequence_runnable, struct task_struct *p, u64 enq_flags)
{
	note(p, 'r');
}

void BPF_STRUCT_OPS(sequence_running, struct task_struct *p)
{
	note(p, 'R');
}

void BPF_STRUCT_OPS(sequence_stopping, struct task_struct *p, bool runnable)
{
	note(p, runnable ? 's' : 'S');
}

void BPF_STRUCT_OPS(sequence_quiescent, struct task_struct *p, u64 deq_flags)
{
	note(p, 'q');
}

bool BPF_STRUCT_OPS(sequence_yield, struct task_struct *from, struct task_struct *to)
{
	note(from, 'y');
	return false;
}

void BPF_STRUCT_OPS(sequence_set_weight, struct task_struct *p, u32 weight)
{
	note(p, 'w');
}

void BPF_STRUCT_OPS(sequence_set_cpumask, struct task_struct *p, const struct cpumask *cpumask)
{
	note(p, 'm');
}

s32 BPF_STRUCT_OPS(sequence_cgroup_prep_move, struct task_struct *p, struct cgroup *from,
		   struct cgroup *to)
{
	note(p, 'p');
	return 0;
}

void BPF_STRUCT_OPS(sequence_cgroup_move, struct task_struct *p, struct cgroup *from,
		    struct cgroup *to)
{
	note(p, 'c');
}

void BPF_STRUCT_OPS(sequence_disable, struct task_struct *p)
{
	note(p, 'x');
}

void BPF_STRUCT_OPS(sequence_exit_task, struct task_struct *p, struct scx_exit_task_args *args)
{
	note(p, 'X');
	if (watched(p) && p->comm[2] == 'e' && p->comm[3] == 'n')
		scx_bpf_exit(0, "%s", seen);
}

void BPF_STRUCT_OPS(sequence_exit, struct scx_exit_info *ei)
{
	UEI_RECORD(uei, ei);
}

/* clang-format off */
SCX_OPS_DEFINE(sequence_ops,
	       .enqueue			= (void *)sequence_enqueue,
	       .dequeue			= (void *)sequence_dequeue,
	       .runnable		= (void *)sequence_runnable,
	       .running			= (void *)sequence_running,
	       .stopping		= (void *)sequence_stopping,
	       .quiescent		= (void *)sequence_quiescent,
	       .yield			= (void *)sequence_yield,
	       .set_weight		= (void *)sequence_set_weight,
	       .set_cpumask		= (void *)sequence_set_cpumask,
	       .cgroup_prep_move	= (void *)sequence_cgroup_prep_move,
	       .cgroup_move		= (void *)sequence_cgroup_move,
	       .disable			= (void *)sequence_disable,
	       .exit_task		= (void *)sequence_exit_task,
	       .exit			= (void *)sequence_exit,
	       .name			= "t_sequence");
/* clang-format on */
