# SPDX-License-Identifier: GPL-2.0-or-later
"""Our headers with the names and the types of other kernel versions."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from bpf.build import cache, vmlinux

from .conftest import SCHEDULERS, Target

HEAD = '#include <scx/common.bpf.h>\nchar _license[] SEC("license") = "GPL";\n'
# Types that kernels before 6.15, 6.19 or 7.2 do not have.
LATER_TYPES = (
    "scx_bpf_dsq_insert_vtime_args",
    "scx_bpf_select_cpu_and_args",
    "scx_event_stats",
    "bpf_res_spin_lock",
    "scx_cmask",
    "scx_cid_topo",
    "sched_ext_ops_cid",
)
LATER_CALLBACKS = ("cgroup_set_bandwidth", "cgroup_set_idle")
LATER_NAMES = ("SCX_ENQ_CPU_SELECTED", "SCX_ENQ_IMMED", "SCX_PICK_IDLE_IN_NODE", "SCX_REENQ_ANY")

WORDS_OF_6_12 = """
void BPF_STRUCT_OPS(old_enqueue, struct task_struct *p, u64 enq_flags)
{
	scx_bpf_dispatch(p, 0, SCX_SLICE_DFL, enq_flags);
	scx_bpf_dispatch_vtime(p, 1, SCX_SLICE_DFL, p->scx.dsq_vtime, enq_flags);
}
void BPF_STRUCT_OPS(old_dispatch, s32 cpu, struct task_struct *prev)
{
	struct task_struct *p;

	bpf_for_each(scx_dsq, p, 1, 0) {
		__COMPAT_scx_bpf_dispatch_from_dsq_set_slice(BPF_FOR_EACH_ITER, SCX_SLICE_DFL);
		if (__COMPAT_scx_bpf_dispatch_from_dsq(BPF_FOR_EACH_ITER, p, SCX_DSQ_LOCAL, 0))
			return;
	}
	if (!scx_bpf_consume(0))
		scx_bpf_kick_cpu(cpu, SCX_KICK_IDLE);
}
SCX_OPS_DEFINE(old_ops, .enqueue = (void *)old_enqueue, .dispatch = (void *)old_dispatch,
	.flags = SCX_OPS_HAS_CGROUP_WEIGHT, .name = "old");
"""
WORDS_OF_ALL = """
UEI_DEFINE(uei);
struct event { struct scx_event_stats stats; };
u64 total;
s32 BPF_STRUCT_OPS(all_select_cpu, struct task_struct *p, s32 prev_cpu, u64 wake_flags)
{
	s32 cpu = -1;

	if (__COMPAT_HAS_scx_bpf_select_cpu_and)
		cpu = scx_bpf_select_cpu_and(p, prev_cpu, wake_flags, p->cpus_ptr, 0);
	if (cpu < 0)
		cpu = __COMPAT_scx_bpf_pick_idle_cpu_node(p->cpus_ptr, 0, SCX_PICK_IDLE_IN_NODE);
	if (cpu >= 0 && scx_bpf_dsq_insert(p, SCX_DSQ_LOCAL, SCX_SLICE_DFL, SCX_ENQ_IMMED))
		return cpu;
	return prev_cpu;
}
void BPF_STRUCT_OPS(all_enqueue, struct task_struct *p, u64 enq_flags)
{
	if (!__COMPAT_is_enq_cpu_selected(enq_flags) || is_migration_disabled(p))
		enq_flags |= SCX_ENQ_HEAD;
	scx_bpf_task_set_slice(p, log2_u64(scx_bpf_now()));
	scx_bpf_task_set_dsq_vtime(p, scale_by_task_weight_inverse(p, __sqrt_u64(total)));
	if (time_before(p->scx.dsq_vtime, total))
		scx_bpf_error("%s at %llu", p->comm, total);
	scx_bpf_dsq_insert_vtime(p, 7, SCX_SLICE_DFL, READ_ONCE(total), enq_flags);
}
void BPF_STRUCT_OPS(all_dispatch, s32 cpu, struct task_struct *prev)
{
	struct scx_event_stats events = {};
	struct task_struct *p = __COMPAT_scx_bpf_dsq_peek(7);

	__COMPAT_scx_bpf_events(&events, sizeof(events));
	WRITE_ONCE(total, p ? 1 : 0);
	if (!scx_bpf_dsq_move_to_local(7) && !scx_bpf_dsq_move_to_local(7, 0))
		scx_bpf_dsq_reenq(SCX_DSQ_LOCAL, SCX_REENQ_ANY);
}
void BPF_STRUCT_OPS(all_exit, struct scx_exit_info *ei)
{
	UEI_RECORD(uei, ei);
}
SCX_OPS_DEFINE(all_ops, .select_cpu = (void *)all_select_cpu, .enqueue = (void *)all_enqueue,
	.dispatch = (void *)all_dispatch, .exit = (void *)all_exit,
	.flags = SCX_OPS_ALLOW_QUEUED_WAKEUP, .name = "all");
"""


@pytest.fixture(scope="module")
def older(target: Target, tmp_path_factory: pytest.TempPathFactory) -> Target:
    """The same kernel, with only those types of sched_ext that 6.12 has."""
    made = vmlinux.header_path(target.cache, target.btf)
    text = made.read_text().partition("#ifndef SCHEDPILOT_STAND_INS")[0]
    for name in LATER_TYPES:  # under another name, since other types hold them by value
        text, gone = re.subn(rf"\bstruct {name}\b", f"struct {name}_of_later", text)
        assert gone, name
    for name in LATER_NAMES:
        text = re.sub(rf"^\t{name} = .*\n", "", text, flags=re.MULTILINE)
    text = re.sub(r"(struct scx_cgroup_init_args \{\n\tu32 weight;\n)[^}]*", r"\1", text)
    for name in LATER_CALLBACKS:
        text, gone = re.subn(rf"^.*\(\*{name}\)\(.*\n", "", text, flags=re.MULTILINE)
        assert gone, name
    btf = tmp_path_factory.mktemp("older") / "btf"
    btf.write_bytes(b"stands for a kernel 6.12")
    header = vmlinux.header_path(target.cache, btf)
    cache.write(header, vmlinux.complete(text).encode())
    return replace(target, btf=btf)


@pytest.mark.parametrize("source", [WORDS_OF_6_12, WORDS_OF_ALL])
def test_words_of_every_version_compile(target: Target, tmp_path: Path, source: str) -> None:
    """A source with the names of 6.12 and one with those of 7.3 compile for the newest kernel."""
    result = target.build(HEAD + source, tmp_path)
    assert result.diagnostics == ()
    assert result.ok


@pytest.mark.parametrize("source", [WORDS_OF_6_12, WORDS_OF_ALL])
def test_words_of_every_version_compile_for_an_old_kernel(
    older: Target, tmp_path: Path, source: str
) -> None:
    """The same sources compile without the types and constants of later kernels."""
    result = older.build(HEAD + source, tmp_path)
    assert result.diagnostics == ()
    assert result.ok


def test_schedulers_compile_for_an_old_kernel(older: Target, tmp_path: Path) -> None:
    """An ordinary scheduler needs nothing that 6.12 lacks."""
    assert older.build(SCHEDULERS / "plain.bpf.c", tmp_path).diagnostics == ()


def test_what_a_kernel_lacks_is_nothing() -> None:
    """Constants of other versions are 0 if the kernel does not have them, and unchanged if it
    does."""
    text = vmlinux.complete("enum x {\n\tSCX_ENQ_IMMED = 5,\n};\nstruct scx_cid_topo {\n};\n")
    assert "#define SCX_OPS_ALLOW_QUEUED_WAKEUP 0ULL" in text
    assert "#define SCX_ENQ_IMMED" not in text
    assert "struct scx_event_stats {" in text
    assert text.count("struct scx_cid_topo {") == 1
