# SPDX-License-Identifier: GPL-2.0-or-later
"""Reads type information (BTF): a kernel's, or that of a compiled scheduler. Only what we need.

The format: Documentation/bpf/btf.rst in the kernel's tree. The data may be anybody's: whatever does
not fit is a `ValueError`, never a crash.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

_MAGIC = 0xEB9F
_HEADER = struct.Struct("=HBBIIIII")
_TYPE = struct.Struct("=III")
_MEMBER = struct.Struct("=III")
KIND_STRUCT = 4
KIND_FUNC = 12
KIND_FUNC_PROTO = 13
KIND_VAR = 14
KIND_DATASEC = 15
# Bytes that follow a type of each kind: a fixed part, and a part for each member.
_TAIL = {
    1: (4, 0),  # int
    3: (12, 0),  # array
    KIND_STRUCT: (0, 12),
    5: (0, 12),  # union
    6: (0, 8),  # enum
    KIND_FUNC_PROTO: (0, 8),
    KIND_VAR: (4, 0),
    KIND_DATASEC: (0, 12),
    17: (4, 0),  # declaration tag
    19: (0, 12),  # 64-bit enum
}
# In a structure with bit fields the upper byte of a member's offset is its size in bits.
_KIND_FLAG = 1 << 31
_BIT_OFFSET = 0xFFFFFF


@dataclass(frozen=True, slots=True)
class BtfType:
    """One type. `reference`: the type that it is about, or its size in bytes. `tail`: what follows
    it, `count` members.
    """

    number: int
    kind: int
    name_at: int
    flag: bool
    count: int
    reference: int
    tail: bytes


class Btf:
    """Raw BTF, its header checked.

    Raises:
        ValueError: it is not BTF, or cut off.
    """

    def __init__(self, data: bytes) -> None:
        try:
            magic, _, _, header, types_at, types_size, names_at, names_size = _HEADER.unpack_from(
                data
            )
        except struct.error as error:
            raise ValueError(str(error)) from None
        if magic != _MAGIC:
            raise ValueError("wrong magic number")
        if max(types_at + types_size, names_at + names_size) > len(data) - header:
            raise ValueError("cut off")
        self.names = data[header + names_at : header + names_at + names_size]
        self._types = data[header + types_at :][:types_size]

    def name(self, at: int) -> str:
        """Raises ValueError for a place that has no name."""
        if not 0 <= at < len(self.names):
            raise ValueError("a name is outside")
        return self.names[at : self.names.index(b"\0", at)].decode("ascii", "replace")

    def types(self, *kinds: int) -> Iterator[BtfType]:
        """The types of these kinds, in order.

        Raises:
            ValueError: cut off in the middle of one.
        """
        types, at, number = self._types, 0, 1
        while at < len(types):
            try:
                name_at, info, reference = _TYPE.unpack_from(types, at)
            except struct.error as error:
                raise ValueError(str(error)) from None
            kind, count = info >> 24 & 31, info & 0xFFFF
            fixed, each = _TAIL.get(kind, (0, 0))
            at += _TYPE.size
            size = fixed + each * count
            if kind in kinds:
                flag = bool(info & _KIND_FLAG)
                tail = types[at : at + size]
                yield BtfType(number, kind, name_at, flag, count, reference, tail)
            at += size
            number += 1

    def members(self, structure: BtfType) -> dict[int, str]:
        """The members of a structure by their offset in bytes.

        Raises:
            ValueError: cut off.
        """
        found: dict[int, str] = {}
        try:
            for name_at, _, offset in _MEMBER.iter_unpack(structure.tail):
                bits = offset & _BIT_OFFSET if structure.flag else offset
                found[bits // 8] = self.name(name_at)
        except struct.error as error:
            raise ValueError(str(error)) from None
        return found

    def places_of(self, name: str) -> frozenset[int]:
        """Where this name begins among the names; a type that has it points to one of them."""
        wanted, found, at = b"\0" + name.encode() + b"\0", set(), -1
        while (at := self.names.find(wanted, at + 1)) >= 0:
            found.add(at + 1)
        return frozenset(found)
