# SPDX-License-Identifier: GPL-2.0-or-later
"""Numbers: slices, divisors, loops and the size of maps."""

import re
from collections.abc import Iterator

from tree_sitter import Node

from bpf.build.diagnostics import Diagnostic
from bpf.static.findings import Rule, argument, named, say
from bpf.static.guards import only_for_kernel_threads
from bpf.static.syntax import INSERTS, CallSite, ParsedSource, bare, constant, text_of, walk
from bpf.static.values import values_of

_LONGEST_SLICE_NS = 10_000_000_000
_LONG_SLICE_NS = 500_000_000
_SHORT_SLICE_NS = 20_000
_LARGEST_MAP_BYTES = 1 << 28
# The kernel's overhead for each entry of a hash beside key and value.
_HASH_BYTES = 56


def _slices(source: ParsedSource) -> Iterator[Diagnostic]:
    preempts = any("SCX_KICK_PREEMPT" in text_of(call.node) for call in source.calls
                   if call.name == "scx_bpf_kick_cpu")  # fmt: skip
    shortened = re.search(r"(scx\.slice\s*=|task_set_slice\s*\()", source.expanded.text)
    timers = "bpf_timer_start" in source.expanded.text
    ended = bool(preempts or shortened or timers) or _endless_for_kernel_threads(source)
    for call in named(source, INSERTS):
        values = values_of(source, call.function, argument(call, 2), variables=True)
        for value in sorted(values or (), key=str):
            yield from _slice(source, call, value, ended)


def _endless_for_kernel_threads(source: ParsedSource) -> bool:
    """Whether the endless slice is used, and only for kernel threads."""
    places = [
        (function, node)
        for function in source.functions.values()
        for node in walk(function.body)
        if node.type == "identifier" and text_of(node) == "SCX_SLICE_INF"
    ]
    return bool(places) and all(
        only_for_kernel_threads(source, function, node) for function, node in places
    )


def _slice(
    source: ParsedSource, call: CallSite, value: int | str, ended: bool
) -> Iterator[Diagnostic]:
    hint = "give a slice of 1 to 20 ms: SCX_SLICE_DFL is 20 ms"
    row = call.row
    infinite = value == "SCX_SLICE_INF" or value in ((1 << 64) - 1, -1)
    if infinite and not ended and not only_for_kernel_threads(source, call.function, call.node):
        yield say(
            source, row, "error",
            "the slice is endless and nothing here ever ends it: whoever runs keeps the CPU",
            hint + "; SCX_SLICE_INF is right for kernel threads (p->flags & PF_KTHREAD), or where "
            "something preempts (scx_bpf_kick_cpu(cpu, SCX_KICK_PREEMPT))",
        )  # fmt: skip
    if isinstance(value, str) or infinite:
        return
    if value == 0:
        yield say(
            source, row, "warning",
            "a slice of 0 leaves the task what is left of its last slice; when that is used up, it "
            "runs until the next tick (1 to 10 ms, as the kernel is configured)",
            "say how long a task may run: SCX_SLICE_DFL is 20 ms",
        )  # fmt: skip
    elif value < _SHORT_SLICE_NS:
        yield say(
            source, row, "warning",
            f"a slice of {value} ns is shorter than the switch that ends it (slices are in "
            "nanoseconds)",
            hint,
        )  # fmt: skip
    elif value > _LONGEST_SLICE_NS and not ended:
        yield say(source, row, "error", f"a slice of {value / 1e9:g} s starves whoever waits", hint)
    elif value > _LONG_SLICE_NS:
        yield say(
            source, row, "warning",
            f"a slice of {value / 1e9:g} s makes others wait as long", hint,
        )  # fmt: skip


def _divisions(source: ParsedSource) -> Iterator[Diagnostic]:
    for function in source.functions.values():
        body = text_of(function.body)
        for node in walk(function.body):
            if node.type == "binary_expression":
                sign = text_of(node.child_by_field_name("operator"))
            elif node.type == "assignment_expression":
                sign = text_of(node.child_by_field_name("operator")).removesuffix("=")
            else:
                continue
            if sign not in ("/", "%"):
                continue
            divisor = bare(node.child_by_field_name("right"))
            number = constant(source, divisor)
            if number == 0:
                yield say(
                    source, node.start_point[0], "error", "a division by zero",
                    "divide by what is not 0",
                )  # fmt: skip
            if number is not None or divisor is None or _cannot_be_zero(source, divisor, body):
                continue
            yield say(
                source, node.start_point[0], "warning",
                f"the divisor {text_of(divisor)[:60]!r} is not tested; where it is 0, BPF gives 0",
                "test it first, or use `x ?: 1`",
            )  # fmt: skip


_UPPER = re.compile(r"[A-Z_][A-Z0-9_]*")


def _cannot_be_zero(source: ParsedSource, divisor: Node, body: str) -> bool:
    """Whether a divisor is more than 0 by its form, or the function tests it elsewhere."""
    if divisor.type in ("conditional_expression", "sizeof_expression"):
        return True
    if divisor.type == "binary_expression":
        sign = text_of(divisor.child_by_field_name("operator"))
        sides = [constant(source, divisor.child_by_field_name(each)) for each in ("left", "right")]
        if sign in ("+", "|") and any(each for each in sides):
            return True
    if divisor.type == "call_expression":
        return True
    if divisor.type == "field_expression" and text_of(divisor).endswith("scx.weight"):
        return True
    names = [text_of(each) for each in walk(divisor) if each.type in ("identifier",
             "field_expression")] or [text_of(divisor)]  # fmt: skip
    if divisor.type == "identifier" and source.globals.get(names[0]):
        return True
    if all(_UPPER.fullmatch(each) for each in names):
        return True
    for name in names:
        spelt = re.escape(name)
        if re.search(rf"\b{spelt}\s*=\s*[^;]*(?:nr_cpu_ids\(|scx\.weight)", source.expanded.text):
            return True
        if re.search(
            rf"!\s*{spelt}\b|{spelt}\s*(?:[<>]=?|[=!]=|\?|&&|\|\|)|(?:[<>]=?|&&|\|\||[=!]=)\s*{spelt}\b"
            rf"|\b(?:if|while|max|min|clamp)\s*\(\s*{spelt}\b|\b{spelt}\s*=[^=;]*(?:\?|\|\s*1|\+\s*1"
            rf"|max|clamp)",
            body,
        ):
            return True
    return False


def _loops(source: ParsedSource) -> Iterator[Diagnostic]:
    for function in source.functions.values():
        for node in walk(function.body):
            if node.type not in ("while_statement", "for_statement", "do_statement"):
                continue
            condition = node.child_by_field_name("condition")
            value = constant(source, condition)
            if (condition is None and node.type == "for_statement") or value not in (None, 0):
                inside = list(walk(node))
                leaves = any(
                    each.type in ("break_statement", "return_statement", "goto_statement")
                    for each in inside
                ) or re.search(r"\b(can_loop|cond_break)\b", text_of(node))
                if not leaves:
                    yield say(
                        source, node.start_point[0], "error", "this loop never ends",
                        "give it a bound: bpf_for(i, 0, n), bpf_repeat(n)",
                    )  # fmt: skip


def _recursion(source: ParsedSource) -> Iterator[Diagnostic]:
    for function in source.functions.values():
        for call in function.calls:
            if call.name == function.name:
                yield say(
                    source, call.row, "warning",
                    f"{function.name}() calls itself, which the kernel's verifier refuses",
                    "write it as a loop with a bound: bpf_for(i, 0, n)",
                )  # fmt: skip


_MAP_SIZE = re.compile(r"\(\s*\*\s*(max_entries|value_size|type)\s*\)\s*\[([^\]]*)\]")


def _maps(source: ParsedSource) -> Iterator[Diagnostic]:
    """Maps that are too large, and those that only grow."""
    for node in walk(source.root):
        if node.type != "declaration":
            continue
        sizes = dict(_MAP_SIZE.findall(text_of(node)))
        if "type" not in sizes:
            continue
        rows = range(node.start_point[0], node.end_point[0] + 1)
        if not any(each.value == ".maps" and each.row in rows for each in source.attributes):
            yield say(
                source, node.end_point[0], "error",
                f"the map {_map_name(node) or ''} is in no section, so it is an ordinary "
                "variable, not a map",
                'write SEC(".maps") after its name',
            )  # fmt: skip
        kind = sizes["type"].strip()
        entries = _number(source, sizes.get("max_entries", ""))
        width = _number(source, sizes.get("value_size", "")) or 8
        if "RINGBUF" in kind:
            width = 1
        elif "HASH" in kind:
            width += _HASH_BYTES
        if entries is not None and entries * width > _LARGEST_MAP_BYTES:
            yield say(
                source, node.start_point[0], "error",
                f"a map of {entries} entries takes {entries * width >> 20} MiB of kernel memory "
                "at least",
                "take as many entries as there are CPUs or tasks, or task storage",
            )  # fmt: skip
        name = _map_name(node)
        if kind == "BPF_MAP_TYPE_HASH" and name:
            updates = [call for call in source.calls if call.name == "bpf_map_update_elem"
                       and name in text_of(argument(call, 0))]  # fmt: skip
            deletes = any(
                call.name == "bpf_map_delete_elem" and name in text_of(argument(call, 0))
                for call in source.calls
            )
            if updates and not deletes:
                yield say(
                    source, updates[0].row, "warning",
                    f"the map {name} only grows: nothing is ever deleted from it, and when it is "
                    "full updates fail",
                    "delete in exit_task, use task storage (BPF_MAP_TYPE_TASK_STORAGE), or "
                    "BPF_MAP_TYPE_LRU_HASH",
                )  # fmt: skip


def _number(source: ParsedSource, text: str) -> int | None:
    text = text.strip()
    if re.fullmatch(r"\d+", text):
        return int(text)
    if text in source.constants:
        return source.constants[text]
    products = re.fullmatch(r"\(*\s*(\d+)[uUlL]*\s*(<<|\*)\s*(\d+)[uUlL]*\s*\)*", text)
    if products:
        left, right = int(products[1]), int(products[3])
        return left << min(right, 64) if products[2] == "<<" else left * right
    return None


def _map_name(node: Node) -> str:
    named = [each for each in node.named_children if each.type == "identifier"]
    return text_of(named[-1]) if named else ""


RULES: tuple[Rule, ...] = (
    _slices,
    _divisions,
    _loops,
    _recursion,
    _maps,
)
