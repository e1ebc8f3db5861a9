# SPDX-License-Identifier: GPL-2.0-or-later
"""A scheduler that calls what the kernel lacks is refused when it is built, in one sentence."""

import shutil
import subprocess

import pytest

from bpf.kernel.features import Features
from bpf.kernel.unmet import unmet

SOUND = ("scx_bpf_create_dsq", "scx_bpf_dsq_insert", "scx_bpf_dsq_insert___v2", "scx_bpf_kick_cpu")
SOURCE = b"""\
int scx_bpf_create_dsq(unsigned long long id, int node) __attribute__((section(".ksyms")));
void scx_bpf_kick_cpu(int cpu, unsigned long long flags) __attribute__((section(".ksyms")));
int scx_bpf_later(void) __attribute__((section(".ksyms"), weak));
_Bool scx_bpf_dsq_insert___v2___ours(void) __attribute__((section(".ksyms")));

__attribute__((section("struct_ops/init"))) int t_init(void *ctx)
{
	scx_bpf_kick_cpu(0, 0);
	scx_bpf_dsq_insert___v2___ours();
	return scx_bpf_create_dsq(1, -1) + (scx_bpf_later ? scx_bpf_later() : 0);
}
"""
FILES = {"t.bpf.c": SOURCE}


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """An object that needs three functions and asks for a fourth."""
    clang = shutil.which("clang-19") or shutil.which("clang")
    if clang is None:
        pytest.skip("clang is needed to compile for BPF")
    folder = tmp_path_factory.mktemp("unmet")
    (folder / "t.bpf.c").write_bytes(SOURCE)
    subprocess.run(
        [clang, "-g", "-O2", "-target", "bpf", "-c", "t.bpf.c", "-o", "t.bpf.o"],
        cwd=folder,
        check=True,
    )
    return (folder / "t.bpf.o").read_bytes()


def said(compiled: bytes, kernel: Features) -> list[tuple[int, str]]:
    return [(each.line, each.message) for each in unmet(compiled, kernel, FILES, "t.bpf.c")]


def test_what_the_kernel_has_is_not_mentioned(compiled: bytes) -> None:
    """Weak functions may be absent, and a ___suffix of our own names no other function."""
    assert said(compiled, Features(SOUND, ())) == []


def test_a_missing_function_is_named_where_it_is_called(compiled: bytes) -> None:
    """The message names the function and the line, and not the loader's words."""
    kernel = Features(tuple(each for each in SOUND if each != "scx_bpf_kick_cpu"), ())
    assert said(compiled, kernel) == [(2, "this kernel has no scx_bpf_kick_cpu()")]


def test_malformed_functions_are_named_together(compiled: bytes) -> None:
    """One sentence says which of the kernel's own functions its types describe wrongly."""
    kernel = Features(SOUND, ("scx_bpf_create_dsq", "scx_bpf_kick_cpu", "scx_bpf_other"))
    ((line, message),) = said(compiled, kernel)
    assert line == 1
    assert message == (
        "scx_bpf_create_dsq() and scx_bpf_kick_cpu() cannot be called on this kernel, whose types "
        "describe them wrongly"
    )


@pytest.mark.parametrize("data", [b"", b"\x7fELF\x02\x01\x01", b"text"])
def test_what_is_no_object_is_left_to_others(data: bytes) -> None:
    """Files that cannot be read are no reason to refuse anything here."""
    assert unmet(data, Features(SOUND, ()), FILES, "t.bpf.c") == ()


def test_a_kernel_of_which_nothing_is_known_refuses_nothing(compiled: bytes) -> None:
    """Without any kfunc among its types nothing can be said."""
    assert said(compiled, Features((), ())) == []
