# SPDX-License-Identifier: GPL-2.0-or-later
"""The kernel's features for schedulers, from its BTF. Only those that the doctor needs.

The format: Documentation/bpf/btf.rst in the kernel's tree.
"""

import struct
from dataclasses import dataclass
from pathlib import Path

from bpf.build.vmlinux import BTF
from bpf.kernel.btf import KIND_FUNC, KIND_FUNC_PROTO, Btf
from process import Fault, FaultType

_PARAMETER = struct.Struct("=II")
# The argument that the verifier adds to some kfuncs, and that authors never see. If a public
# prototype still has it, the kernel's build did not finish it (pahole < 1.26 and resolve_btfids),
# and no program can call such a kfunc.
_IMPLICIT = "aux"


@dataclass(frozen=True)
class Features:
    """kfuncs for schedulers (`scx_bpf_*`), and those that cannot be called."""

    kfuncs: tuple[str, ...]
    malformed: tuple[str, ...]


def parse_features(data: bytes) -> Features:
    """Read raw BTF.

    Raises:
        Fault: UNSUPPORTED if it is not BTF, or cut off.
    """
    try:
        btf = Btf(data)
        prototypes, functions = _walk(btf)
        return _features(btf, prototypes, functions)
    except (struct.error, ValueError) as error:
        raise Fault(
            FaultType.UNSUPPORTED, "the kernel's types (BTF) cannot be understood", why=str(error)
        ) from None


def _features(
    btf: Btf, prototypes: dict[int, list[int]], functions: list[tuple[int, int]]
) -> Features:
    arguments: dict[str, tuple[str, ...]] = {}
    for offset, prototype in functions:
        if not btf.names.startswith((b"scx_bpf_", b"__scx_bpf_"), offset):
            continue
        arguments[btf.name(offset)] = tuple(
            btf.name(each) for each in prototypes.get(prototype, ())
        )
    public = sorted(each for each in arguments if not each.endswith("_impl"))
    malformed = tuple(each for each in public if _IMPLICIT in arguments[each])
    return Features(tuple(public), malformed)


def _walk(btf: Btf) -> tuple[dict[int, list[int]], list[tuple[int, int]]]:
    """Prototypes by type id as name offsets of their parameters, and functions with theirs."""
    prototypes: dict[int, list[int]] = {}
    functions: list[tuple[int, int]] = []
    for each in btf.types(KIND_FUNC, KIND_FUNC_PROTO):
        if each.kind == KIND_FUNC:
            functions.append((each.name_at, each.reference))
        elif each.count:
            prototypes[each.number] = [named for named, _ in _PARAMETER.iter_unpack(each.tail)]
    return prototypes, functions


def read_features(btf: Path = BTF) -> Features:
    """Features of a kernel by its BTF file; 0.3 s natively.

    Raises:
        Fault: UNSUPPORTED.
    """
    try:
        return parse_features(btf.read_bytes())
    except OSError as error:
        raise Fault(
            FaultType.UNSUPPORTED,
            "the kernel's types (BTF) cannot be read",
            where=str(btf),
            why=error.strerror or "",
        ) from None
