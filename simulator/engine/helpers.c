// SPDX-License-Identifier: GPL-2.0-or-later
/* BPF helpers and the iterators over numbers and bits. */
#include "kernel.h"
#include "lines.h"

#define MAX_LOOPS (1U << 23)

u64 bpf_ktime_get_ns(void)
{
	return clock_now();
}

u64 bpf_ktime_get_boot_ns(void)
{
	return clock_now();
}

u64 bpf_ktime_get_coarse_ns(void)
{
	return clock_now();
}

u64 bpf_jiffies64(void)
{
	return clock_now() / sim.want.tick_ns;
}

u32 bpf_get_prandom_u32(void)
{
	return next_random(&sim.random) >> 32;
}

u32 bpf_get_smp_processor_id(void)
{
	return sim.this_cpu->id;
}

struct task_struct *bpf_get_current_task_btf(void);

u64 bpf_get_current_task(void)
{
	return (u64)bpf_get_current_task_btf();
}

u64 bpf_get_current_pid_tgid(void)
{
	struct task_struct *p = bpf_get_current_task_btf();

	return (u64)p->tgid << 32 | (u32)p->pid;
}

long bpf_get_current_comm(void *to, u32 size)
{
	struct task_struct *p = bpf_get_current_task_btf();

	__builtin_memset(to, 0, size);
	__builtin_memcpy(to, p->comm, size < sizeof(p->comm) ? size : sizeof(p->comm));
	return 0;
}

long bpf_probe_read_kernel(void *to, u32 size, const void *from)
{
	/* The kernel catches the fault; here only the usual bad address is recognised. */
	if ((u64)from < 4096) {
		__builtin_memset(to, 0, size);
		return -14; /* EFAULT */
	}
	__builtin_memcpy(to, from, size);
	return 0;
}

long bpf_probe_read_kernel_str(void *to, u32 size, const void *from)
{
	const char *text = from;
	u32 i;

	if (!size)
		return 0;
	if ((u64)from < 4096) {
		*(char *)to = 0;
		return -14;
	}
	for (i = 0; i + 1 < size && text[i]; i++)
		((char *)to)[i] = text[i];
	((char *)to)[i] = 0;
	return i + 1;
}

long bpf_strncmp(const char *a, u32 size, const char *b)
{
	return __builtin_strncmp(a, b, size);
}

extern int sd_llc_id[MAX_CPUS];
void *object_of_cpu(const void *object, u32 cpu);

/*
 * One of the kernel's per-CPU variables is modelled, the number of the CPU's LLC. Everything
 * else is the candidate's object.
 */
void *bpf_per_cpu_ptr(const void *percpu, u32 cpu)
{
	if (cpu >= (u32)sim.want.cpus || !percpu)
		return NULL;
	return percpu == sd_llc_id ? &sd_llc_id[cpu] : object_of_cpu(percpu, cpu);
}

void *bpf_this_cpu_ptr(const void *percpu)
{
	return bpf_per_cpu_ptr(percpu, sim.this_cpu->id);
}

void *bpf_kptr_xchg(void *place, void *pointer)
{
	void *old = *(void **)place;

	*(void **)place = pointer;
	return old;
}

/* One thing happens at a time, so nothing ever waits for a lock. */
long bpf_spin_lock(struct bpf_spin_lock *lock)
{
	saw_lock((u64)lock);
	return 0;
}

long bpf_spin_unlock(struct bpf_spin_lock *lock)
{
	saw_unlock((u64)lock, 0);
	return 0;
}

int bpf_res_spin_lock(struct bpf_res_spin_lock *lock)
{
	saw_lock((u64)lock);
	return 0;
}

void bpf_res_spin_unlock(struct bpf_res_spin_lock *lock)
{
	saw_unlock((u64)lock, 0);
}

int bpf_res_spin_lock_irqsave(struct bpf_res_spin_lock *lock, unsigned long *flags)
{
	(void)flags;
	return bpf_res_spin_lock(lock);
}

void bpf_res_spin_unlock_irqrestore(struct bpf_res_spin_lock *lock, unsigned long *flags)
{
	(void)flags;
	bpf_res_spin_unlock(lock);
}

long bpf_loop(u32 nr, void *callback, void *context, u64 flags)
{
	long (*each)(u64, void *) = callback;

	if (flags)
		return -22; /* EINVAL */
	if (nr > MAX_LOOPS)
		return -7; /* E2BIG */
	for (u32 i = 0; i < nr; i++)
		if (each(i, context))
			return i + 1;
	return nr;
}

struct numbers {
	int now, end;
};

int bpf_iter_num_new(struct bpf_iter_num *it, int start, int end)
{
	struct numbers *n = (struct numbers *)it;

	*n = (struct numbers){};
	if (start > end)
		return -22;
	if ((s64)end - start > MAX_LOOPS)
		return -7;
	*n = (struct numbers){start - 1, end};
	return 0;
}

int *bpf_iter_num_next(struct bpf_iter_num *it)
{
	struct numbers *n = (struct numbers *)it;

	if ((s64)n->now + 1 >= n->end) {
		n->now = n->end = 0;
		return NULL;
	}
	n->now++;
	return &n->now;
}

void bpf_iter_num_destroy(struct bpf_iter_num *it)
{
	(void)it;
}

struct bits {
	const u64 *words;
	int now, count;
};

int bpf_iter_bits_new(struct bpf_iter_bits *it, const u64 *words, u32 nr_words)
{
	*(struct bits *)it = (struct bits){words, -1, nr_words * 64};
	return words ? 0 : -22;
}

int *bpf_iter_bits_next(struct bpf_iter_bits *it)
{
	struct bits *b = (struct bits *)it;

	while (b->words && ++b->now < b->count)
		if (b->words[b->now / 64] >> b->now % 64 & 1)
			return &b->now;
	b->words = NULL;
	return NULL;
}

void bpf_iter_bits_destroy(struct bpf_iter_bits *it)
{
	(void)it;
}
