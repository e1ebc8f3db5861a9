# SPDX-License-Identifier: GPL-2.0-or-later
"""A library entry's description of itself: `manifest.toml`, parsed once, at the edge.

A manifest is checked completely: one `Fault(BAD_MANIFEST)` reports every problem of a file with its
key, and an unknown key with the nearest known one. Nothing here loads or builds anything.
"""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator
from pydantic_core import ErrorDetails

from process import Fault, FaultType
from process.invalid import valid_tables
from process.text_file import parse_toml, read_text

MANIFEST_FILE = "manifest.toml"
POLICY_SUFFIX = ".policy"
NAME_PATTERN = r"^[a-z][a-z0-9_-]{0,40}$"
# A manifest is a page of text. A larger file is not a manifest, and is not read.
LARGEST_BYTES = 64 * 1024

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=4000)]
Line = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200, pattern=r"^[^\n]*$")
]
Word = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,40}$")]
FileName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,80}$")]


class EntryKind(StrEnum):
    """How an entry becomes a running scheduler."""

    BPF = "bpf"
    POLICY = "policy"
    EXTERNAL = "external"


class When(StrEnum):
    """When a parameter can be set: only before the load, or also while it runs."""

    LOAD = "load"
    LIVE = "live"


class ParameterType(StrEnum):
    INT = "int"
    FLOAT = "float"
    BOOL = "bool"


class Unit(StrEnum):
    """Units of parameters. `none` is for switches and plain numbers."""

    NONE = "none"
    NS = "ns"
    US = "us"
    MS = "ms"
    S = "s"
    PERCENT = "percent"
    TASKS = "tasks"
    CPUS = "cpus"


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Parameter(_Frozen):
    """One parameter; `name` is the global variable in the C source.

    `min` and `max` are inclusive and in `unit`, as is `default`.
    """

    name: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,40}$")]
    type: Annotated[ParameterType, Field(strict=False)]
    default: int | float | bool
    min: int | float | None = None
    max: int | float | None = None
    unit: Annotated[Unit, Field(strict=False)] = Unit.NONE
    description: Line
    when: Annotated[When, Field(strict=False)] = When.LOAD

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.type is ParameterType.BOOL:
            if not isinstance(self.default, bool):
                raise ValueError("`default` of a bool is true or false")
            if self.min is not None or self.max is not None or self.unit is not Unit.NONE:
                raise ValueError("a bool has neither `min`, `max` nor `unit`")
            return self
        for key in ("default", "min", "max"):
            value = getattr(self, key)
            if isinstance(value, bool):
                raise ValueError(f"`{key}` is a number for type {self.type.value!r}")
            if self.type is ParameterType.INT and isinstance(value, float):
                raise ValueError(f"`{key}` is a whole number for type 'int'")
        if self.min is None or self.max is None:
            raise ValueError("a number needs `min` and `max`")
        if not self.min <= self.default <= self.max:
            raise ValueError(f"`default` {self.default} is not within {self.min} to {self.max}")
        return self

    @property
    def allowed(self) -> str:
        """The allowed values, for people."""
        if self.type is ParameterType.BOOL:
            return "true or false"
        suffix = "" if self.unit is Unit.NONE else f" {self.unit.value}"
        return f"{self.min} to {self.max}{suffix}"


class Manifest(_Frozen):
    """A library entry's description of itself.

    `good_for` and `bad_for` contain workload tags (see `profile.Tag`) and free phrases: tags are
    matched exactly against a profile, phrases by their words. `source` is a file beside the
    manifest; `command` the program of an `external` entry. The source of a `policy` is
    `NAME.policy`, the text of the policy; its `params` follow from that text, so no file lists
    them. `layers` says that the program takes layers (JSON, see `layers.py`) and cannot run without
    them. `requires` names kernel features or kfuncs that must exist; `parent` the entry that this
    one was derived from.
    """

    name: Annotated[str, StringConstraints(pattern=NAME_PATTERN)]
    summary: Line
    description: Text
    algorithm: Text
    tags: tuple[Word, ...] = Field(default=(), strict=False)
    good_for: tuple[Line, ...] = Field(default=(), strict=False)
    bad_for: tuple[Line, ...] = Field(default=(), strict=False)
    kind: Annotated[EntryKind, Field(strict=False)]
    source: FileName | None = None
    command: FileName | None = None
    layers: bool = False
    requires: tuple[Line, ...] = Field(default=(), strict=False)
    origin: Line
    parent: Annotated[str, StringConstraints(pattern=NAME_PATTERN)] | None = None
    license: Line
    params: tuple[Parameter, ...] = Field(default=(), strict=False)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.kind is EntryKind.EXTERNAL:
            if self.command is None or self.source is not None:
                raise ValueError("kind 'external' has `command` and no `source`")
        elif self.source is None or self.command is not None:
            raise ValueError(f"kind {self.kind.value!r} has `source` and no `command`")
        elif self.layers:
            raise ValueError("`layers` is for kind 'external'")
        names = [parameter.name for parameter in self.params]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"params named twice: {', '.join(twice)}")
        return self


def _own_sentence(error: ErrorDetails) -> str | None:
    if error["loc"] == ("name",) and error["type"] == "string_pattern_mismatch":
        return "a name is a lower-case letter, then up to 40 of a-z, 0-9, _ and -"
    return None


def parse_manifest(text: str, where: str) -> Manifest:
    """Parse the text of a manifest; `where` (its path) goes into any fault.

    Raises:
        Fault: BAD_MANIFEST, with every problem as a line of `details`.
    """
    raw = parse_toml(text, where=where, type=FaultType.BAD_MANIFEST, what="the manifest")
    return valid_tables(
        Manifest,
        raw,
        type=FaultType.BAD_MANIFEST,
        what="the manifest",
        where=where,
        hint="correct the keys named above; docs/library.md lists them all",
        own=_own_sentence,
    )


def manifest_text(manifest: Manifest) -> str:
    """A manifest as the text of a `manifest.toml`; `parse_manifest` gives back the same one."""
    import tomlkit

    return tomlkit.dumps(manifest.model_dump(mode="json", exclude_defaults=True))


def read_manifest(path: Path) -> Manifest:
    """Read and parse one `manifest.toml`.

    Raises:
        Fault: BAD_MANIFEST, also if the file cannot be read or is far too large.
    """
    try:
        text = read_text(
            path, largest_bytes=LARGEST_BYTES, type=FaultType.BAD_MANIFEST, what="the manifest"
        )
    except FileNotFoundError:
        raise Fault(FaultType.BAD_MANIFEST, "there is no manifest", where=str(path)) from None
    return parse_manifest(text, str(path))
