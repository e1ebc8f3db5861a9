# SPDX-License-Identifier: GPL-2.0-or-later
"""The allowed content of a source: words, sections, functions, and a scheduler that can load."""

import re
from collections.abc import Iterator

from bpf.build.diagnostics import Diagnostic
from bpf.static.findings import Rule, say
from bpf.static.lexical import ASSEMBLY, ASSEMBLY_FIX, BARRIER
from bpf.static.names import refused
from bpf.static.syntax import ParsedSource, bare, constant, text_of, walk

_SECTIONS = re.compile(
    r"\??struct_ops(\.s)?(/\w*)?|\??syscall|\.struct_ops(\.link)?|license|version|\.maps|\.kconfig"
    r"|\.ksyms|\.(rodata|data|bss)(\.[\w.]*)?|\.addr_space\.1|\??(tp_btf|fentry|fexit|raw_tp)/[\w+.]+"
)
_TRACING = re.compile(r"\??(tp_btf|fentry|fexit|raw_tp)/")
_ATTRIBUTES = frozenset(
    [
        "section",
        "used",
        "unused",
        "aligned",
        "packed",
        "always_inline",
        "noinline",
        "weak",
        "visibility",
        "cleanup",
        "btf_decl_tag",
        "btf_type_tag",
        "preserve_access_index",
        "preserve_static_offset",
        "address_space",
        "noreturn",
        "fallthrough",
        "may_alias",
        "format",
        "const",
        "pure",
        "malloc",
        "nonnull",
        "nonstring",
        "cold",
        "hot",
        "flatten",
        "optnone",
        "warn_unused_result",
        "deprecated",
        "transparent_union",
        "designated_init",
        "counted_by",
        "mode",
        "overloadable",
        "bpf_fastcall",
        "gnu_inline",
        "artificial",
        "diagnose_if",
        "enable_if",
        "returns_nonnull",
        "no_builtin",
        "minsize",
        "error",
        "warning",
        "vector_size",
        "arena",
        # Ours: view/plain_macros.h puts it where BPF_PROG() was.
        "bpf_prog",
    ]
)
_LONGEST_TIMEOUT_MS = 30_000


def _words(source: ParsedSource) -> Iterator[Diagnostic]:
    """Assembly that macros assemble."""
    found = re.compile(rf"\"(?:[^\"\\\\]|\\\\.)*\"|\b(?:{'|'.join(ASSEMBLY)})\b")
    for row, line in enumerate(source.expanded.lines):
        for each in found.finditer(line):
            if each[0][0] != '"' and not BARRIER.match(line, each.end()):
                yield say(source, row, "error", "inline assembly", ASSEMBLY_FIX)
                break


def _attributes(source: ParsedSource) -> Iterator[Diagnostic]:
    for each in source.attributes:
        if each.name == "section" and not _SECTIONS.fullmatch(each.value):
            yield say(
                source,
                each.row,
                "error",
                f"the section {each.value!r} is one that schedulers do not need",
                "use BPF_STRUCT_OPS() for callbacks, SCX_OPS_DEFINE() for the scheduler and "
                'SEC(".maps") for maps',
            )
        elif each.name == "section" and _TRACING.match(each.value):
            yield say(
                source,
                each.row,
                "warning",
                f"the program in {each.value!r} is never attached: only the scheduler is",
                "do its work in a callback of the scheduler",
            )
        elif each.name not in _ATTRIBUTES:
            yield say(
                source,
                each.row,
                "error",
                f"the attribute {each.name!r} is one that schedulers do not need",
                "leave it out",
            )


def _functions(source: ParsedSource) -> Iterator[Diagnostic]:
    for call in source.calls:
        if call.name in source.functions or call.name in call.function.parameters:
            continue
        why = refused(call.name, kernel=source.kernel)
        if why is not None:
            yield say(
                source, call.row, "error", f"{call.name}() may not be called: {why.why}",
                why.instead,
            )  # fmt: skip


def _by_number(source: ParsedSource) -> Iterator[Diagnostic]:
    """Helpers called by their number, which bypasses every list of names."""
    hint = "call the function by its name, as <scx/common.bpf.h> declares it"
    for node in walk(source.root):
        if node.type == "init_declarator":
            declarator = node.child_by_field_name("declarator")
            if declarator is None or declarator.type != "function_declarator":
                continue
            value = node.child_by_field_name("value")
            if constant(source, value) is not None and text_of(bare(value)) != "0":
                row = node.start_point[0]
                yield say(source, row, "error", "a function is called by its number", hint)
        elif node.type == "call_expression":
            called = bare(node.child_by_field_name("function"))
            if called is not None and constant(source, called) is not None:
                row = node.start_point[0]
                yield say(source, row, "error", "a function is called by its number", hint)


def _scheduler(source: ParsedSource) -> Iterator[Diagnostic]:
    if not source.ops:
        if source.complete:
            yield say(
                source, 0, "error", "there is no scheduler: no struct sched_ext_ops is defined",
                'end the source with SCX_OPS_DEFINE(my_ops, .enqueue = (void *)my_enqueue, … , '
                '.name = "my_scheduler");',
            )  # fmt: skip
        return
    for ops in source.ops:
        name = ops.members.get("name")
        text = text_of(name).strip('"')
        if name is None or not text:
            yield say(
                source, ops.row, "error", f"the scheduler {ops.name} has no name",
                'add .name = "my_scheduler": the kernel refuses one without',
            )  # fmt: skip
        elif name.type == "string_literal" and not re.fullmatch(r"[A-Za-z0-9_.]+", text):
            yield say(
                source, name.start_point[0], "error", f"{text!r} is not a name for a scheduler",
                "use letters, digits, _ and . only",
            )  # fmt: skip
        timeout = constant(source, ops.members.get("timeout_ms"))
        if timeout is not None and timeout > _LONGEST_TIMEOUT_MS:
            yield say(
                source, ops.members["timeout_ms"].start_point[0], "error",
                f"the watchdog's time of {timeout} ms is more than the kernel accepts",
                f".timeout_ms is {_LONGEST_TIMEOUT_MS} at most",
            )  # fmt: skip
    licence = [each for each in source.attributes if each.value == "license"]
    if not licence:
        yield say(
            source, source.ops[0].row, "error", "there is no licence",
            'add: char _license[] SEC("license") = "GPL";',
        )  # fmt: skip
    else:
        line = source.expanded.lines[licence[0].row]
        after = source.expanded.lines[licence[0].row : licence[0].row + 3]
        said = re.search(r'=\s*\{?\s*"([^"]*)"', " ".join([line, *after[1:]]))
        if said and not re.search(r"GPL", said[1]):
            yield say(
                source, licence[0].row, "error",
                f"the licence {said[1]!r} does not let the scheduler call the kernel",
                'write: char _license[] SEC("license") = "GPL";',
            )  # fmt: skip


RULES: tuple[Rule, ...] = (
    _words,
    _attributes,
    _functions,
    _by_number,
    _scheduler,
)
