# SPDX-License-Identifier: GPL-2.0-or-later
"""The kernel's features for schedulers, from its BTF. Only those that the doctor needs.

The format: Documentation/bpf/btf.rst in the kernel's tree.
"""

import struct
from dataclasses import dataclass
from pathlib import Path

from bpf.build.vmlinux import BTF
from process import Fault, FaultType

_MAGIC = 0xEB9F
_HEADER = struct.Struct("=HBBIIIII")
_TYPE = struct.Struct("=III")
_PARAMETER = struct.Struct("=II")
_KIND_FUNC = 12
_KIND_FUNC_PROTO = 13
# Bytes that follow a type of each kind: a fixed part, and a part for each member.
_TAIL = {
    1: (4, 0),  # int
    3: (12, 0),  # array
    4: (0, 12),  # struct
    5: (0, 12),  # union
    6: (0, 8),  # enum
    13: (0, 8),  # function prototype
    14: (4, 0),  # variable
    15: (0, 12),  # data section
    17: (4, 0),  # declaration tag
    19: (0, 12),  # 64-bit enum
}
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
        magic, _, _, header, types_at, types_size, names_at, names_size = _HEADER.unpack_from(data)
        if magic != _MAGIC:
            raise ValueError("wrong magic number")
        if max(types_at + types_size, names_at + names_size) > len(data) - header:
            raise ValueError("cut off")
        names = data[header + names_at : header + names_at + names_size]
        prototypes, functions = _walk(data[header + types_at :][:types_size])
    except (struct.error, ValueError, IndexError) as error:
        raise Fault(
            FaultType.UNSUPPORTED, "the kernel's types (BTF) cannot be understood", why=str(error)
        ) from None

    def name(offset: int) -> str:
        return names[offset : names.index(b"\0", offset)].decode("ascii", "replace")

    arguments: dict[str, tuple[str, ...]] = {}
    for offset, prototype in functions:
        if not names.startswith((b"scx_bpf_", b"__scx_bpf_"), offset):
            continue
        arguments[name(offset)] = tuple(name(each) for each in prototypes.get(prototype, ()))
    public = sorted(each for each in arguments if not each.endswith("_impl"))
    malformed = tuple(each for each in public if _IMPLICIT in arguments[each])
    return Features(tuple(public), malformed)


def _walk(types: bytes) -> tuple[dict[int, list[int]], list[tuple[int, int]]]:
    """Prototypes by type id as name offsets of their parameters, and functions with theirs."""
    prototypes: dict[int, list[int]] = {}
    functions: list[tuple[int, int]] = []
    at, number = 0, 1
    while at < len(types):
        offset, info, size_or_type = _TYPE.unpack_from(types, at)
        kind, count = info >> 24 & 31, info & 0xFFFF
        fixed, each = _TAIL.get(kind, (0, 0))
        at += _TYPE.size
        if kind == _KIND_FUNC:
            functions.append((offset, size_or_type))
        elif kind == _KIND_FUNC_PROTO and count:
            members = types[at : at + count * each]
            prototypes[number] = [named for named, _ in _PARAMETER.iter_unpack(members)]
        at += fixed + each * count
        number += 1
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
