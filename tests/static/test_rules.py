# SPDX-License-Identifier: GPL-2.0-or-later
"""Mistakes that the static check finds in a scheduler, and code that it accepts."""

import pytest

from .sample import GOOD_ENQUEUE, HEAD, said, scheduler

INSERT = "scx_bpf_dsq_insert(p, QUEUE, SCX_SLICE_DFL, enq_flags);"
ENDLESS = "scx_bpf_dsq_insert(p, SCX_DSQ_LOCAL, SCX_SLICE_INF, enq_flags);"


def test_a_good_scheduler_has_no_findings() -> None:
    """One queue that is created, filled and served gives no finding."""
    assert said(scheduler()) == ()


@pytest.mark.parametrize(
    ("text", "marked", "message", "remedy"),
    [
        # what may be in a source
        (scheduler('\tasm volatile("r0 = 1");\n'), "asm", "inline assembly", "__sink()"),
        (
            scheduler("\tbpf_send_signal(9);\n" + GOOD_ENQUEUE),
            "bpf_send_signal",
            "bpf_send_signal() may not be called",
            "smaller weight",
        ),
        (
            scheduler("\tu64 x;\n\tbpf_probe_read_user(&x, 8, (void *)p);\n" + GOOD_ENQUEUE),
            "bpf_probe_read_user",
            "reads the memory of programs",
            "p->comm",
        ),
        (
            scheduler("\tbpf_get_stackid(p, p, 0);\n" + GOOD_ENQUEUE),
            "bpf_get_stackid",
            "may not be called",
            "leave it out",
        ),
        (
            scheduler(
                "\tvfs_unlink(p);\n" + GOOD_ENQUEUE, before="int vfs_unlink(void *p) __ksym;"
            ),
            "vfs_unlink(p)",
            "this kernel function is not for schedulers",
            "<scx/common.bpf.h>",
        ),
        (
            scheduler("\tlong (*call)(void *) = (void *)109;\n\tcall(p);\n" + GOOD_ENQUEUE),
            "109",
            "called by its number",
            "by its name",
        ),
        (
            scheduler("\t((long (*)(int))109)(9);\n" + GOOD_ENQUEUE),
            "109",
            "called by its number",
            "by its name",
        ),
        (
            scheduler(before='SEC("kprobe/do_exit") int other(void *ctx)\n{\n\treturn 0;\n}'),
            "kprobe",
            "the section 'kprobe/do_exit'",
            "BPF_STRUCT_OPS()",
        ),
        (
            scheduler(before="static void __attribute__((constructor)) first(void)\n{\n}"),
            "constructor",
            "the attribute 'constructor'",
            "leave it out",
        ),
        # the scheduler itself
        (HEAD + "int x;\n", "_license", "there is no scheduler", "SCX_OPS_DEFINE"),
        (scheduler(members=".timeout_ms = 5000U"), "SCX_OPS_DEFINE", "has no name", '.name = "my'),
        (
            scheduler(members='.name = "my scheduler"'),
            "SCX_OPS_DEFINE",
            "not a name for a scheduler",
            "letters",
        ),
        (
            scheduler(members='.timeout_ms = 60000U, .name = "sample"'),
            "SCX_OPS_DEFINE",
            "more than the kernel accepts",
            "30000",
        ),
        (
            scheduler().replace('char _license[] SEC("license") = "GPL";\n', ""),
            "SCX_OPS_DEFINE",
            "there is no licence",
            '"GPL"',
        ),
        (scheduler().replace('"GPL"', '"MIT"'), '"MIT"', "the licence 'MIT'", '"GPL"'),
        # queues
        (
            scheduler(dispatch="\n"),
            "scx_bpf_create_dsq",
            "nobody takes tasks out of the queue",
            "scx_bpf_dsq_move_to_local()",
        ),
        (
            scheduler(
                "\tscx_bpf_dsq_insert(p, p->pid & 1 ? QUEUE : 8, SCX_SLICE_DFL, enq_flags);\n",
                init="\treturn scx_bpf_create_dsq(QUEUE, -1) ?: scx_bpf_create_dsq(8, -1);\n",
            ),
            "scx_bpf_create_dsq",
            "nobody takes tasks out of the queue 8",
            "in dispatch",
        ),
        (
            scheduler("\tscx_bpf_dsq_insert(p, 9, SCX_SLICE_DFL, enq_flags);\n"),
            "p, 9",
            "the queue 9, which is never created",
            "scx_bpf_create_dsq(9, -1)",
        ),
        (
            scheduler("\tscx_bpf_create_dsq(8, -1);\n" + GOOD_ENQUEUE),
            "create_dsq(8",
            "a queue is created in enqueue",
            "create it in init",
        ),
        # every way through enqueue
        (
            scheduler(f"\tif (p->flags & PF_KTHREAD)\n\t\treturn;\n\t{INSERT}\n"),
            "return;",
            "without queueing the task",
            "SCX_DSQ_GLOBAL",
        ),
        (
            scheduler(f"\tif (enq_flags & SCX_ENQ_WAKEUP)\n\t\t{INSERT}\n"),
            "}\n\nvoid BPF_STRUCT_OPS(sample_dispatch",
            "without queueing the task",
            "SCX_DSQ_GLOBAL",
        ),
        (
            scheduler(
                "\tswitch (p->scx.weight) {\n\tcase 100:\n"
                f"\t\t{INSERT}\n\t\tbreak;\n\tcase 200:\n\t\t{INSERT}\n\t}}\n"
            ),
            "}\n\nvoid BPF_STRUCT_OPS(sample_dispatch",
            "without queueing the task",
            "SCX_DSQ_GLOBAL",
        ),
        (
            scheduler(f"\tif (p->flags & PF_KTHREAD)\n\t\t{INSERT}\n\t{INSERT} /* again */\n"),
            "/* again */",
            "inserted a second time",
            "return after the first",
        ),
        # slices
        (
            scheduler("\tscx_bpf_dsq_insert(p, QUEUE, SCX_SLICE_INF, enq_flags);\n"),
            "SCX_SLICE_INF",
            "the slice is endless",
            "SCX_SLICE_DFL",
        ),
        (
            scheduler(
                "\tscx_bpf_dsq_insert(p, QUEUE, slice_ns, enq_flags);\n",
                before="const volatile u64 slice_ns = 60ULL * 1000 * 1000 * 1000;",
            ),
            "QUEUE, slice_ns",
            "a slice of 60 s",
            "1 to 20 ms",
        ),
        # CPUs
        (
            scheduler(
                GOOD_ENQUEUE
                + "\tscx_bpf_kick_cpu(scx_bpf_pick_idle_cpu(p->cpus_ptr, 0), SCX_KICK_IDLE);\n"
            ),
            "scx_bpf_kick_cpu",
            "a CPU is kicked that may be none",
            "if (cpu >= 0)",
        ),
        (
            scheduler(select="\treturn scx_bpf_pick_idle_cpu(p->cpus_ptr, 0);\n"),
            "return scx_bpf_pick_idle_cpu",
            "-EBUSY",
            "prev_cpu",
        ),
        (scheduler(select="\treturn -1;\n"), "return -1", "no CPU", "prev_cpu"),
        # places
        (
            scheduler("\tscx_bpf_dsq_move_to_local(QUEUE, 0);\n" + GOOD_ENQUEUE),
            "move_to_local(QUEUE, 0);\n\tscx_bpf_dsq_insert",
            "called from enqueue",
            "call it from dispatch",
        ),
        # loops, memory, printing
        (
            scheduler(GOOD_ENQUEUE + "\twhile (1)\n\t\tp->scx.slice++;\n"),
            "while (1)",
            "this loop never ends",
            "bpf_for",
        ),
        (
            scheduler(GOOD_ENQUEUE + "\tp->scx.slice = p->scx.slice / 0;\n"),
            "/ 0",
            "division by zero",
            "not 0",
        ),
        (
            scheduler(
                before="struct {\n\t__uint(type, BPF_MAP_TYPE_HASH);\n"
                "\t__uint(max_entries, 1 << 26);\n\t__type(key, u32);\n\t__type(value, u64);\n"
                '} big SEC(".maps");'
            ),
            "struct {",
            "MiB of kernel memory",
            "task storage",
        ),
        (
            scheduler(
                before="struct {\n\t__uint(type, BPF_MAP_TYPE_ARRAY);\n"
                "\t__uint(max_entries, 4);\n\t__type(key, u32);\n\t__type(value, u64);\n"
                "} plain;"
            ),
            "} plain;",
            "the map plain is in no section",
            'SEC(".maps")',
        ),
        # callbacks that the kernel cannot call in the intended way
        (
            scheduler(
                before='SEC("struct_ops/raw_running")\nvoid raw_running(struct task_struct *p)\n'
                "{\n\tp->scx.slice = 1000000;\n}\n",
                members='.running = (void *)raw_running, .name = "sample"',
            ),
            "void raw_running",
            "defined without BPF_STRUCT_OPS() or BPF_PROG()",
            "void BPF_STRUCT_OPS(raw_running, struct task_struct *p)",
        ),
        (
            scheduler(
                before="s32 plain_init(void)\n{\n\treturn 0;\n}\n",
                members='.init = (void *)plain_init, .name = "sample"',
            ),
            "s32 plain_init",
            "in no section",
            "s32 BPF_STRUCT_OPS_SLEEPABLE(plain_init)",
        ),
        (
            scheduler('\tbpf_printk("%d", p->pid);\n' + GOOD_ENQUEUE),
            "bpf_printk",
            "prints for every task",
            "count in a map",
        ),
    ],
)
def test_a_mistake_is_named_with_its_line_and_remedy(
    text: str, marked: str, message: str, remedy: str
) -> None:
    """Each finding is an error at the line of its cause, and says what to do."""
    errors = [each for each in said(text) if each.severity == "error"]
    line = text.count("\n", 0, text.index(marked)) + 1
    found = [each for each in errors if message in each.message]
    assert found, errors
    assert {(each.file, each.line) for each in found} == {("sample.bpf.c", line)}
    assert remedy in found[0].hint


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (scheduler(f"\tif (!p)\n\t\treturn;\n\t{INSERT}\n"), "should it ever"),
        (
            scheduler(
                GOOD_ENQUEUE + "\tp->scx.slice = 1000000 / waiting(p);\n",
                before="static u64 waiting(struct task_struct *p)\n{\n"
                "\tu64 nr = scx_bpf_dsq_nr_queued(QUEUE);\n\treturn 1000 / nr;\n}",
            ),
            "divisor 'nr' is not tested",
        ),
        (
            scheduler("\tscx_bpf_dsq_insert(p, QUEUE, 20, enq_flags);\n"),
            "slices are in nanoseconds",
        ),
        (
            scheduler(
                "\tscx_bpf_dsq_insert(p, enq_flags & 1 ? QUEUE : 8, SCX_SLICE_DFL, enq_flags);\n",
                dispatch="\tif (scx_bpf_dsq_move_to_local(QUEUE, 0))\n\t\treturn;\n"
                "\tscx_bpf_dsq_move_to_local(8, 0);\n",
                init="\treturn scx_bpf_create_dsq(QUEUE, -1) ?: scx_bpf_create_dsq(8, -1);\n",
            ),
            "only while the one before it is empty",
        ),
        (
            scheduler(init="\tscx_bpf_create_dsq(QUEUE, -1);\n\treturn 0;\n"),
            "is not checked",
        ),
        (scheduler("\tscx_bpf_dsq_insert(p, QUEUE, 0, enq_flags);\n"), "until the next tick"),
        (
            scheduler(GOOD_ENQUEUE + "\tp->scx.slice /= p->scx.weight - p->scx.weight;\n"),
            "is not tested",
        ),
        (
            scheduler(
                before="static int depth(int n)\n{\n\treturn n > 0 ? 1 + depth(n - 1) : 0;\n}"
            ),
            "calls itself",
        ),
        (
            scheduler(before='SEC("tp_btf/sched_switch") int seen(void *ctx)\n{\n\treturn 0;\n}'),
            "is never attached",
        ),
    ],
)
def test_what_may_be_meant_is_a_warning(text: str, message: str) -> None:
    """Code that is right in some schedulers is reported, and stops none."""
    found = said(text)
    assert [each.severity for each in found] == ["warning"]
    assert message in found[0].message


@pytest.mark.parametrize(
    "text",
    [
        # queued into a place that the scheduler keeps itself
        scheduler(
            "\tu32 pid = p->pid;\n\tif (bpf_map_push_elem(&waiting, &pid, 0))\n\t\t"
            + INSERT
            + "\n",
            before="struct {\n\t__uint(type, BPF_MAP_TYPE_QUEUE);\n\t__uint(max_entries, 4096);\n"
            '\t__type(value, u32);\n} waiting SEC(".maps");',
        ),
        # by the scheduler's own function, whose argument is the queue
        scheduler(
            "\tput(p, QUEUE, enq_flags);\n",
            before="static void put(struct task_struct *p, u64 id, u64 flags)\n{\n"
            "\tscx_bpf_dsq_insert(p, id, SCX_SLICE_DFL, flags);\n}",
        ),
        # served by a loop over numbers
        scheduler(
            dispatch="\tint i;\n\n\tbpf_for(i, 0, 8) {\n"
            "\t\tif (scx_bpf_dsq_move_to_local(i, 0))\n\t\t\treturn;\n\t}\n"
        ),
        # served by an iterator
        scheduler(
            dispatch="\tstruct task_struct *p;\n\n\tbpf_for_each(scx_dsq, p, QUEUE, 0)\n"
            "\t\tscx_bpf_dsq_move(BPF_FOR_EACH_ITER, p, SCX_DSQ_LOCAL, 0);\n"
        ),
        # an end with a message is not a lost task
        scheduler(
            '\tif (!p->scx.weight) {\n\t\tscx_bpf_error("no weight");\n\t\treturn;\n\t}\n\t'
            + INSERT
            + "\n"
        ),
        # one insert on each of two ways
        scheduler(
            f"\tif (p->flags & PF_KTHREAD) {{\n\t\t{INSERT}\n\t\treturn;\n\t}}\n\t{INSERT}\n"
        ),
        scheduler(f"\tif (p->flags & PF_KTHREAD)\n\t\t{INSERT}\n\telse\n\t\t{INSERT}\n"),
        # endless slices that the scheduler ends
        scheduler(
            "\tscx_bpf_dsq_insert(p, QUEUE, SCX_SLICE_INF, enq_flags);\n"
            "\tscx_bpf_kick_cpu(scx_bpf_task_cpu(p), SCX_KICK_PREEMPT);\n"
        ),
        # endless slices for kernel threads
        scheduler(
            f"\tif (p->flags & PF_KTHREAD) {{\n\t\t{ENDLESS}\n\t\treturn;\n\t}}\n\t{INSERT}\n"
        ),
        scheduler(
            "\tbool bound = (p->flags & PF_KTHREAD) && p->nr_cpus_allowed == 1;\n\n"
            f"\tif (bound)\n\t\t{ENDLESS}\n\telse\n\t\t{INSERT}\n"
        ),
        scheduler(
            f"\tif (!(p->flags & PF_KTHREAD)) {{\n\t\t{INSERT}\n\t\treturn;\n\t}}\n\t{ENDLESS}\n"
        ),
        scheduler(
            "\tif (p->nr_cpus_allowed == 1 && is_kthread(p)) {\n\t\tat_once(p);\n\t\treturn;\n\t}\n"
            f"\t{INSERT}\n",
            before="static bool is_kthread(struct task_struct *p)\n{\n"
            "\treturn p->flags & PF_KTHREAD;\n}\nstatic void at_once(struct task_struct *p)\n{\n"
            "\tscx_bpf_dsq_insert(p, SCX_DSQ_LOCAL, SCX_SLICE_INF, SCX_ENQ_HEAD);\n}",
        ),
        scheduler(
            "\tu64 slice = p->flags & PF_KTHREAD ? SCX_SLICE_INF : SCX_SLICE_DFL;\n\n"
            "\tscx_bpf_dsq_insert(p, QUEUE, slice, enq_flags);\n"
        ),
        # a callback whose arguments nobody reads, or that takes them as they are
        scheduler(
            before='SEC("struct_ops/raw_exit") void raw_exit(struct scx_exit_info *info)\n{\n}\n'
            'SEC("struct_ops/raw_tick") void raw_tick(unsigned long long *ctx)\n{\n'
            "\tif (!ctx[0])\n\t\treturn;\n}\n",
            members='.exit = (void *)raw_exit, .tick = (void *)raw_tick, .name = "sample"',
        ),
        # an error under a test for something that always exists
        scheduler(select="\tif (!p)\n\t\treturn -ESRCH;\n\treturn prev_cpu;\n"),
        # a barrier is no assembly
        scheduler('\tasm volatile("" ::: "memory");\n' + GOOD_ENQUEUE),
        # a divisor that is tested, or is above 0 by its form
        scheduler(GOOD_ENQUEUE + "\tu64 n = p->pid;\n\tif (n)\n\t\tp->scx.slice /= n;\n"),
        scheduler(GOOD_ENQUEUE + "\tp->scx.slice /= scx_bpf_dsq_nr_queued(QUEUE) + 1;\n"),
    ],
)
def test_what_is_right_is_left_alone(text: str) -> None:
    """Other ways to do the same are not called mistakes."""
    assert [each for each in said(text) if each.severity == "error"] == []


@pytest.mark.parametrize(
    "text",
    [
        scheduler(
            f"\tif (p->flags & PF_EXITING) {{\n\t\t{ENDLESS}\n\t\treturn;\n\t}}\n\t{INSERT}\n"
        ),
        scheduler(f"\tif (!(p->flags & PF_KTHREAD))\n\t\t{ENDLESS}\n\telse\n\t\t{INSERT}\n"),
        scheduler(
            f"\tif (p->flags & PF_KTHREAD) {{\n\t\t{INSERT}\n\t\treturn;\n\t}}\n\t{ENDLESS}\n"
        ),
        scheduler(
            "\tif (p->flags & PF_KTHREAD || p->nr_cpus_allowed == 1)\n"
            f"\t\t{ENDLESS}\n\telse\n\t\t{INSERT}\n"
        ),
    ],
    ids=["others", "all but kernel threads", "the rest", "or bound"],
)
def test_endless_slices_are_for_kernel_threads_alone(text: str) -> None:
    """If any other task can get an endless slice, that is an error."""
    assert [each.message[:20] for each in said(text)] == ["the slice is endless"]


def test_a_queue_that_nobody_uses_stops_nothing() -> None:
    """A queue that is created but neither filled nor served is a note; so is one with an unknown
    number."""
    unused = "\treturn scx_bpf_create_dsq(QUEUE, -1) ?: scx_bpf_create_dsq(8, -1);\n"
    found = said(scheduler(init=unused))
    assert [(each.severity, each.message[:27]) for each in found] == [
        ("note", "nobody uses the queue 8: no")
    ]
    nowhere = f"{HEAD}" + (
        "s32 BPF_STRUCT_OPS_SLEEPABLE(own_init_task, struct task_struct *p,\n"
        "\t\t\t     struct scx_init_task_args *args)\n"
        "{\n\treturn scx_bpf_create_dsq(p->pid, -1);\n}\n"
        "void BPF_STRUCT_OPS(own_exit_task, struct task_struct *p,\n"
        "\t\t    struct scx_exit_task_args *args)\n"
        "{\n\tscx_bpf_destroy_dsq(p->pid);\n}\n"
        "SCX_OPS_DEFINE(own_ops, .init_task = (void *)own_init_task,\n"
        '\t       .exit_task = (void *)own_exit_task, .name = "own");\n'
    )
    assert [each.severity for each in said(nowhere)] == ["note"]


def test_lines_are_the_sources_own() -> None:
    """A macro over several lines, a long comment and a splice before a finding do not move it."""
    text = scheduler(
        before="#define TWO(x) \\\n\t(x) + \\\n\t(x)\n/*\n * long\n */\n"
        "static int a = TWO(\n\t1\n);\n"
        "static int b = 1 + \\\n\t2;",
        dispatch="\tif (cpu)\n\t\tbpf_send_signal(9);\n\tscx_bpf_dsq_move_to_local(QUEUE, 0);\n",
    )
    found = said(text)
    assert [each.line for each in found] == [text[: text.index("bpf_send")].count("\n") + 1]


def test_shared_code_is_judged_with_the_source() -> None:
    """Code included from <schedpilot/…> counts as the source's own, under its own name."""
    text = scheduler(
        "\tif (is_woken_kthread(p, enq_flags)) {\n"
        f"\t\t{ENDLESS}\n"
        "\t\treturn;\n\t}\n"
        "\tif (!wake_idle_cpu(p))\n\t\treturn;\n" + GOOD_ENQUEUE,
        before="#include <schedpilot/idle.bpf.h>\n#include <schedpilot/kthreads.bpf.h>\n",
    )
    (found,) = said(text)
    assert "without queueing the task" in found.message
    large = scheduler(
        before="enum counter_index { NR_COUNTERS = 100000000 };\n"
        "#include <schedpilot/counters.bpf.h>\n"
    )
    (found,) = said(large)
    assert found.file == "schedpilot/counters.bpf.h"
    assert found.message.startswith("a map of 100000000 entries")
