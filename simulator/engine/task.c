// SPDX-License-Identifier: GPL-2.0-or-later
/* Making a task: the kernel's struct task_struct as a scheduler may read it. */
#include "kernel.h"
#include "lines.h"
#include "task.h"

#define FIRST_PID	1000
#define NICE_0_STATIC	120
#define WEIGHT_IDLEPRIO 3

/* sched_prio_to_weight[] of the kernel: nice -20 to 19. */
static const u32 weights[40] = {
    88761, 71755, 56483, 46273, 36291, 29154, 23254, 18705, 14949, 11916, 9548, 7620, 6100, 4904,
    3906,  3121,  2501,	 1991,	1586,  1277,  1024,  820,   655,   526,	  423,	335,  272,  215,
    172,   137,	  110,	 87,	70,    56,    45,    36,    29,	   23,	  18,	15,
};

static struct mm_struct memory;
/* Memory of tasks that are gone, for new ones. */
static struct task *spare;

void set_mask(struct task *t, const u64 *cpus)
{
	struct task_struct *p = kernel_of(t);

	p->nr_cpus_allowed = 0;
	for (u32 i = 0; i < MASK_WORDS; i++) {
		p->cpus_mask.bits[i] = cpus[i];
		p->nr_cpus_allowed += __builtin_popcountll(cpus[i]);
	}
	p->cpus_ptr = &p->cpus_mask;
}

bool allowed_on(const struct task *t, s32 cpu)
{
	return mask_has(kernel_of((struct task *)t)->cpus_ptr, cpu);
}

void set_nice(struct task *t, s32 nice)
{
	struct task_struct *p = kernel_of(t);

	t->nice = nice;
	/* set_load_weight(): nice has no effect for SCHED_IDLE. */
	t->weight = t->plan->policy == POLICY_IDLE ? WEIGHT_IDLEPRIO : weights[nice + 20];
	p->prio = p->static_prio = p->normal_prio = NICE_0_STATIC + nice;
	/* sched_weight_to_cgroup(): converts the kernel's own scale to that of cgroups. */
	p->scx.weight = (t->weight * 100 + 512) / 1024;
	if (!p->scx.weight)
		p->scx.weight = 1;
}

/* One for all tasks of a plan. */
static struct cred *cred_of(struct task_plan *plan)
{
	struct cred *cred = plan->cred;

	if (!cred) {
		plan->cred = cred = room(sizeof(*cred));
		cred->uid.val = cred->euid.val = plan->uid;
	}
	return cred;
}

static void fill_in(struct task *t, struct task *parent, struct task_plan *plan)
{
	struct task_struct *p = kernel_of(t);

	p->pid = p->tgid = FIRST_PID + t->number;
	__builtin_memcpy(p->comm, plan->comm, sizeof(plan->comm));
	p->flags = plan->kthread ? PF_KTHREAD : 0;
	p->policy = plan->policy;
	p->start_time = p->start_boottime = clock_now();
	p->group_leader = p;
	p->real_parent = p->parent = parent ? kernel_of(parent) : p;
	p->mm = plan->kthread ? NULL : &memory;
	p->cred = p->real_cred = cred_of(plan);
#ifdef HAS_TID
	p->scx.tid = t->number + 1;
#endif
	enter_cgroup(t, parent && parent->plan == plan ? parent->cgroup : plan->cgroup);
	set_nice(t, plan->nice);
	set_mask(t, plan->cpus);
}

static struct task *fresh(void)
{
	struct task *t = spare;
	void **storage;

	if (!t) {
		t = room_of_lines(TASK_ROOM + sizeof(struct task_struct));
		name_lines(kernel_of(t), sizeof(struct task_struct), "task_struct", 0);
		t->storage = room(task_storages() * sizeof(*t->storage));
		return t;
	}
	spare = t->next;
	storage = t->storage;
	__builtin_memset(t, 0, TASK_ROOM + sizeof(struct task_struct));
	t->storage = storage;
	return t;
}

/* It is over, and nothing refers to it any more. */
void retire(struct task *t)
{
	sim.tasks[t->number] = NULL;
	t->next = spare;
	spare = t;
}

struct task *make_task(struct task_plan *plan, struct task *parent)
{
	struct task *t;
	u32 key;
	void *map;

	if (sim.nr_tasks == MAX_TASKS) {
		end_by(EXIT_NOT_MODELLED, 0, "the scenario has more than %d tasks", MAX_TASKS);
		return NULL;
	}
	t = fresh();
	if (!(sim.nr_tasks & (sim.nr_tasks - 1)))
		sim.tasks = more_room(sim.tasks, (sim.nr_tasks ? sim.nr_tasks * 2 : 1) * 8);
	t->number = sim.nr_tasks;
	sim.tasks[sim.nr_tasks++] = t;
	t->plan = plan;
	t->group = &sim.want.groups[plan->group];
	/* Its own random stream: it does the same under every scheduler. */
	t->random = sim.want.seed * 0x9e3779b97f4a7c15ULL ^ (t->number + 1) * 0xd1b54a32d192ed03ULL;
	t->created_at = sim.now;
	fill_in(t, parent, plan);
	t->cpu = parent ? parent->cpu : (s32)(t->number % sim.want.cpus);
	if (!allowed_on(t, t->cpu) || !sim.cpus[t->cpu].online)
		t->cpu = fallback_cpu(t);
	kernel_of(t)->wake_cpu = kernel_of(t)->thread_info.cpu = t->cpu;
	key = kernel_of(t)->tgid;
	map = plan->expected_ns ? map_named("expected_runtime") : NULL;
	if (map)
		bpf_map_update_elem(map, &key, &plan->expected_ns, 0);
	map = plan->selected ? map_named("selected") : NULL;
	if (map)
		bpf_map_update_elem(map, &key, &plan->selected, 0);
	return t;
}

void make_idle_tasks(void)
{
	for (s32 i = 0; i < sim.want.cpus; i++) {
		char *whole = room(TASK_ROOM + sizeof(struct task_struct));
		struct task_struct *p = (struct task_struct *)(whole + TASK_ROOM);
		struct rq *rq = room(sizeof(*rq));

		task_of(p)->cpu = i;
		p->flags = PF_IDLE | PF_KTHREAD;
		p->thread_info.cpu = p->wake_cpu = i;
		p->scx.weight = 1;
		p->cpus_ptr = &p->cpus_mask;
		p->group_leader = p->parent = p->real_parent = p;
		text_into(p->comm, sizeof(p->comm), "swapper/%d", i);
		rq->cpu = i;
		sim.cpus[i].idle_task = p;
		sim.cpus[i].rq = rq;
	}
}

/* A CPU that may run the task; if there is none its affinity is broken, as in the kernel. */
s32 fallback_cpu(const struct task *t)
{
	u64 all[MASK_WORDS] = {};

	for (s32 i = 0; i < sim.want.cpus; i++)
		if (sim.cpus[i].online && allowed_on(t, i))
			return i;
	for (s32 i = 0; i < sim.want.cpus; i++)
		all[i / 64] |= 1ULL << i % 64;
	set_mask((struct task *)t, all);
	if (t->initialised && sim.class->affinity)
		sim.class->affinity((struct task *)t);
	for (s32 i = 0; i < sim.want.cpus; i++)
		if (sim.cpus[i].online)
			return i;
	return 0;
}

void move_to_cpu(struct task *t, s32 cpu)
{
	struct task_struct *p = kernel_of(t);

	if (t->cpu == cpu)
		return;
	t->cpu = cpu;
	t->group->migrations++;
	p->wake_cpu = p->thread_info.cpu = cpu;
}
