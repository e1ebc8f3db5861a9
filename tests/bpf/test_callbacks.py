# SPDX-License-Identifier: GPL-2.0-or-later
"""A scheduler's callbacks are read from its object, or from a program that contains one."""

from pathlib import Path

import pytest

from bpf.kernel.callbacks import (
    kernel_callbacks,
    object_callbacks,
    program_callbacks,
    read_kernel_callbacks,
    read_object_callbacks,
    read_program_callbacks,
)
from tests.target import Target

# Hears of weights and quotas.
DEAF = Path(__file__).parent / "schedulers" / "deaf.bpf.c"
SET = frozenset({"enqueue", "dispatch", "init", "cgroup_set_weight", "cgroup_set_bandwidth"})


@pytest.fixture
def built(target: Target, tmp_path: Path) -> Path:
    return target.build(DEAF, tmp_path).require()


def test_the_callbacks_of_an_object_are_those_that_it_sets(built: Path) -> None:
    """Callbacks are found; members with values are not among them."""
    assert read_object_callbacks(built) == SET


def test_a_program_has_those_of_the_object_in_it(built: Path, tmp_path: Path) -> None:
    """An installed scheduler contains its object, anywhere among its other bytes."""
    program = tmp_path / "scx_deaf"
    program.write_bytes(b"\x7fELF\x02\x01\x01" + b"x" * 4093 + built.read_bytes() + b"y" * 999)
    assert read_program_callbacks(program) == SET


def test_a_program_with_two_schedulers_has_what_both_set(
    built: Path, target: Target, tmp_path: Path
) -> None:
    """It is unknown which one it loads, so only callbacks of both count."""
    plain = DEAF.read_text().replace(".cgroup_set_weight = (void *)deaf_set_weight,", "")
    other = target.build(plain, tmp_path / "b", name="other.bpf.c").require()
    both = built.read_bytes() + other.read_bytes()
    assert program_callbacks(both) == SET - {"cgroup_set_weight"}


def test_what_is_no_scheduler_is_unknown(tmp_path: Path) -> None:
    """A missing file and a file with other bytes are not schedulers without callbacks."""
    assert read_object_callbacks(tmp_path / "none.o") is None
    assert read_program_callbacks(tmp_path / "none") is None
    assert object_callbacks(b"\x7fELF\x02\x01\x01" + bytes(200)) is None
    assert program_callbacks(Path("/bin/true").read_bytes()) is None
    assert read_program_callbacks(tmp_path) is None


def test_a_damaged_object_is_unknown_and_never_a_crash(built: Path) -> None:
    """This holds wherever the file ends, and whichever byte of its headers differs."""
    whole = built.read_bytes()
    for end in range(0, len(whole), max(1, len(whole) // 200)):
        assert object_callbacks(whole[:end]) is None
    for at in [*range(64), *range(len(whole) - 2048, len(whole), 7)]:
        harmed = bytearray(whole)
        harmed[at] ^= 0xFF
        found = object_callbacks(bytes(harmed))
        assert found is None or found <= SET
        program_callbacks(bytes(harmed))


def test_the_kernel_says_which_callbacks_it_knows(target: Target, tmp_path: Path) -> None:
    """The list comes from its BTF; for a file that is not BTF it is unknown."""
    known = read_kernel_callbacks(target.btf)
    assert known is not None
    assert {"enqueue", "cgroup_init", "cgroup_set_weight"} <= known
    bad = tmp_path / "vmlinux"
    bad.write_bytes(b"x" * 100)
    assert read_kernel_callbacks(bad) is None
    assert read_kernel_callbacks(tmp_path / "none") is None
    with pytest.raises(ValueError, match="magic"):
        kernel_callbacks(bytes(64))
