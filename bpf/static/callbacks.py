# SPDX-License-Identifier: GPL-2.0-or-later
"""What callbacks may not do: name CPUs that do not exist, call functions that belong elsewhere."""

import re
from collections.abc import Iterator

from tree_sitter import Node

from bpf.build.diagnostics import Diagnostic
from bpf.static.findings import MOVES, Rule, argument, reach, say
from bpf.static.paths import tests_null
from bpf.static.syntax import INSERTS, Function, ParsedSource, bare, constant, text_of, walk

# Callbacks that run for each wakeup, switch or tick.
_HOT = ("select_cpu", "enqueue", "dequeue", "dispatch", "tick", "runnable", "running", "stopping",
        "quiescent", "update_idle")  # fmt: skip
_TASK_CALLBACKS = ("dequeue", "tick", "runnable", "running", "stopping", "quiescent", "enable",
                   "disable", "set_weight", "set_cpumask", "init_task", "exit_task", "init",
                   "cpu_online", "cpu_offline", "update_idle", "yield")  # fmt: skip

# Callbacks that may sleep, in which queues can be made and memory allocated.
_SLEEPING = ("init", "init_task", "exit", "cgroup_init", "cgroup_exit", "cgroup_prep_move",
             "cgroup_set_weight", "cpu_online", "cpu_offline", "sub_attach",
             "sub_detach")  # fmt: skip


def _cpus(source: ParsedSource) -> Iterator[Diagnostic]:
    picks = ("scx_bpf_pick_idle_cpu", "scx_bpf_pick_idle_cpu_node", "scx_bpf_select_cpu_and")
    for call in source.calls:
        first = bare(argument(call, 0))
        if call.name == "scx_bpf_kick_cpu" and first is not None:
            if (
                first.type == "call_expression"
                and text_of(first.child_by_field_name("function")) in picks
            ):
                yield say(
                    source, call.row, "error",
                    "a CPU is kicked that may be none: no CPU need be idle (-EBUSY)",
                    "keep it in a variable, and kick only `if (cpu >= 0)`",
                )  # fmt: skip
            elif (number := constant(source, first)) is not None and number < 0:
                yield say(
                    source, call.row, "error", f"there is no CPU {number}",
                    "kick a CPU from 0 on, below scx_bpf_nr_cpu_ids()",
                )  # fmt: skip
    function = source.callback("select_cpu")
    if function is None:
        return
    for node in walk(function.body):
        if node.type != "return_statement" or not node.named_children:
            continue
        value = bare(node.named_children[0])
        if value is None:
            continue
        if (
            value.type == "call_expression"
            and text_of(value.child_by_field_name("function")) in picks[:2]
        ):
            yield say(
                source, node.start_point[0], "error",
                "select_cpu may return -EBUSY, which is no CPU: then the kernel ejects the "
                "scheduler",
                "keep the result in a variable and return prev_cpu where it is negative",
            )  # fmt: skip
        elif (number := constant(source, value)) is not None and number < 0 and not _given_up(node):
            yield say(
                source, node.start_point[0], "error",
                f"select_cpu returns {number}, which is no CPU", "return prev_cpu",
            )  # fmt: skip


def _given_up(node: Node) -> bool:
    """Whether the scheduler has ended itself here, or lacks something essential."""
    if text_of(node.prev_named_sibling).startswith(("scx_bpf_error", "scx_bpf_exit")):
        return True
    parent = node.parent
    while parent is not None and parent.type in ("compound_statement", "if_statement"):
        if parent.type == "if_statement" and tests_null(parent.child_by_field_name("condition")):
            return True
        parent = parent.parent
    return False


def _places(source: ParsedSource) -> Iterator[Diagnostic]:
    """Functions in callbacks where the verifier refuses them."""
    for member in (*_TASK_CALLBACKS, "select_cpu", "enqueue"):
        function = source.callback(member)
        if function is None:
            continue
        for call in reach(source, function, set()):
            wrong = (call.name in INSERTS and member in _TASK_CALLBACKS) or (call.name in MOVES)
            if wrong:
                where = "dispatch" if call.name in MOVES else "select_cpu, enqueue or dispatch"
                yield say(
                    source, call.row, "error",
                    f"{call.name}() is called from {member}, where the kernel does not allow it",
                    f"call it from {where}",
                )  # fmt: skip
            elif call.name == "scx_bpf_create_dsq" and member not in (
                "init", "init_task", "cpu_online", "cpu_offline"
            ):  # fmt: skip
                yield say(
                    source, call.row, "error",
                    f"a queue is created in {member}, which may not sleep",
                    "create it in init: s32 BPF_STRUCT_OPS_SLEEPABLE(my_init)",
                )  # fmt: skip


# A function with only this argument takes the arguments as the kernel passes them.
_CONTEXT = re.compile(r"\s*(?:const\s+)?(?:unsigned\s+long\s+long|u64|__u64|void)\s*\*\s*\w+\s*")


def _raw(source: ParsedSource) -> Iterator[Diagnostic]:
    """Callbacks without the macro that unpacks their arguments, or without a section."""
    if not source.complete:
        return
    bound = {
        text_of(bare(node)): member for ops in source.ops for member, node in ops.members.items()
    }
    for name, member in bound.items():
        function = source.functions.get(name)
        if function is None:
            continue
        own = [each for each in source.attributes if _belongs(source, function, each.row)]
        made = any(each.name == "bpf_prog" for each in own)
        sleeps = "_SLEEPABLE" if member in _SLEEPING else ""
        listed = ", ".join((name, *function.declared))
        definition = f"{function.result} BPF_STRUCT_OPS{sleeps}({listed})"
        if not any(each.name == "section" for each in own):
            yield say(
                source, function.row, "error",
                f"the callback {name} is in no section, so it is no program that the kernel could "
                "call",
                f"define it as {definition}",
            )  # fmt: skip
        elif not made and _reads(function):
            yield say(
                source, function.row, "error",
                f"the callback {name} is defined without BPF_STRUCT_OPS() or BPF_PROG(): the "
                "kernel passes all arguments in one array, so these are not what their names say",
                f"define it as {definition}",
            )  # fmt: skip


def _belongs(source: ParsedSource, function: Function, row: int) -> bool:
    """Whether an attribute is before a function's body and after the previous definition."""
    node = function.body.parent
    before = node.prev_named_sibling if node is not None else None
    start = before.end_point[0] if before is not None else -1
    own = node.start_point[0] if node is not None else 0
    return min(start + 1, own) <= row <= function.body.start_point[0]


def _reads(function: Function) -> bool:
    """Whether it uses an argument with its declared type."""
    if len(function.declared) == 1 and _CONTEXT.fullmatch(function.declared[0]):
        return False
    names = {text_of(each) for each in walk(function.body) if each.type == "identifier"}
    return any(each in names for each in function.parameters)


def _printing(source: ParsedSource) -> Iterator[Diagnostic]:
    for member in _HOT:
        function = source.callback(member)
        if function is None:
            continue
        for call in function.calls:
            if call.name not in ("bpf_printk", "bpf_trace_printk", "bpf_trace_vprintk"):
                continue
            guarded = _guarded(call.node, function.body)
            yield say(
                source, call.row, "warning" if guarded else "error",
                f"{call.name}() in {member} prints for every task that wakes or switches"
                if not guarded else f"{call.name}() in {member} is slow",
                "count in a map instead, or print under a condition that is rare",
            )  # fmt: skip


def _guarded(node: Node, body: Node) -> bool:
    parent = node.parent
    while parent is not None and parent != body:
        if parent.type in ("if_statement", "conditional_expression"):
            return True
        parent = parent.parent
    return False


RULES: tuple[Rule, ...] = (
    _cpus,
    _places,
    _printing,
    _raw,
)
