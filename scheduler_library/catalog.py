# SPDX-License-Identifier: GPL-2.0-or-later
"""The known schedulers: our own, then those in the state folder.

A catalog is a snapshot. Trouble with one entry never hides another: it becomes a warning, which the
daemon journals and the command shows.
"""

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType

from process import Fault, FaultType
from process.text_file import read_text
from scheduler_library.manifest import (
    MANIFEST_FILE,
    NAME_PATTERN,
    POLICY_SUFFIX,
    EntryKind,
    Manifest,
    read_manifest,
)

OWN = Path(__file__).parent / "schedulers"
# Below the state folder: entries that the daemon itself adds.
GENERATED = "generated"
# The largest text of a policy, bytes.
LARGEST_POLICY_BYTES = 64 * 1024
# More entries than this in one folder is an accident; the rest is left out with a warning.
MOST_ENTRIES = 1000


class EntryPlace(StrEnum):
    """Where an entry is stored; this is its provenance, whatever its manifest claims.

    In order of precedence: if two entries have one name, the earlier place wins.
    """

    OWN = "own"
    OPERATOR = "operator"
    GENERATED = "generated"
    IMPORTED = "imported"


@dataclass(frozen=True)
class CatalogEntry:
    """One scheduler: its manifest and the folder it was read from."""

    manifest: Manifest
    folder: Path
    place: EntryPlace

    @property
    def name(self) -> str:
        return self.manifest.name

    @property
    def source(self) -> Path | None:
        """The source file, or None for an external entry."""
        return self.folder / self.manifest.source if self.manifest.source else None

    def policy(self) -> str:
        """The text of an entry of kind `policy`; empty for every other kind.

        Raises:
            Fault: BAD_MANIFEST if the file cannot be read or is far too large.
        """
        if self.manifest.kind is not EntryKind.POLICY or self.source is None:
            return ""
        return read_policy(self.source)


def read_policy(path: Path) -> str:
    """The text of a policy file, without white space around it.

    Raises:
        Fault: BAD_MANIFEST.
    """
    try:
        return read_text(
            path,
            largest_bytes=LARGEST_POLICY_BYTES,
            type=FaultType.BAD_MANIFEST,
            what="the policy",
        ).strip()
    except FileNotFoundError:
        raise Fault(
            FaultType.BAD_MANIFEST,
            "there is no policy",
            where=str(path),
            hint="the manifest's `source` names a file beside it",
        ) from None


def check_name(name: str) -> str:
    """A scheduler's name, safe to use as one path component.

    Raises:
        Fault: BAD_NAME.
    """
    if re.fullmatch(NAME_PATTERN.strip("^$"), name):
        return name
    raise Fault(
        FaultType.BAD_NAME,
        f"{name[:60]!r} cannot be the name of a scheduler",
        why="a name is a lower-case letter, then up to 40 of a-z, 0-9, _ and -",
        hint="`schedpilot library list` shows all names",
    )


@dataclass(frozen=True)
class Catalog:
    """All entries by name, and the reasons for those left out."""

    entries: Mapping[str, CatalogEntry]
    warnings: tuple[Fault, ...] = ()

    def __iter__(self) -> Iterator[CatalogEntry]:
        return iter(self.entries.values())

    def __len__(self) -> int:
        return len(self.entries)

    def plus(self, entry: CatalogEntry) -> "Catalog":
        """With one more entry, unless its name is taken."""
        entries = {entry.name: entry, **self.entries}
        return Catalog(MappingProxyType(dict(sorted(entries.items()))), self.warnings)

    def get(self, name: str) -> CatalogEntry:
        """The entry with this name.

        Raises:
            Fault: BAD_NAME, or UNKNOWN_SCHEDULER with the nearest names.
        """
        entry = self.entries.get(check_name(name))
        if entry:
            return entry
        close = difflib.get_close_matches(name, list(self.entries), n=3, cutoff=0.4)
        raise Fault(
            FaultType.UNKNOWN_SCHEDULER,
            f"there is no scheduler named {name!r} in the library",
            hint=(f"nearest: {', '.join(close)}; " if close else "")
            + "`schedpilot library list` shows them all",
        )


def read_entry(folder: Path, place: EntryPlace) -> CatalogEntry:
    """Read one entry from its folder.

    Raises:
        Fault: BAD_MANIFEST or BAD_NAME.
    """
    check_name(folder.name)
    manifest = read_manifest(folder / MANIFEST_FILE)
    where = str(folder / MANIFEST_FILE)
    if manifest.name != folder.name:
        raise Fault(
            FaultType.BAD_MANIFEST,
            f"the entry is named {manifest.name!r} but lies in the folder {folder.name!r}",
            where=where,
            why="name: the two must be the same, or one could pass for another",
            hint="rename the folder or the entry",
        )
    if manifest.kind is EntryKind.POLICY:
        _check_policy(manifest, where)
    if manifest.source:
        source = folder / manifest.source
        if source.is_symlink() or not source.is_file():
            raise Fault(
                FaultType.BAD_MANIFEST,
                f"the source {manifest.source!r} is not a file beside the manifest",
                where=where,
                why="source: missing, or a link",
            )
    return CatalogEntry(manifest, folder, place)


def _check_policy(manifest: Manifest, where: str) -> None:
    """Raises Fault BAD_MANIFEST."""
    if manifest.source != manifest.name + POLICY_SUFFIX:
        raise Fault(
            FaultType.BAD_MANIFEST,
            f"the source of the policy {manifest.name!r} has another name",
            where=where,
            why=f"source: {manifest.source!r}",
            hint=f"call the file {manifest.name + POLICY_SUFFIX}",
        )
    if manifest.params:
        raise Fault(
            FaultType.BAD_MANIFEST,
            f"the policy {manifest.name!r} lists parameters",
            where=where,
            why="params: those of a policy follow from its text",
            hint="remove them; `schedpilot library show` shows them",
        )


def _folders(root: Path) -> list[Path]:
    """The folders of entries under `root`, by name; an absent root has none."""
    try:
        found = sorted(root.iterdir())
    except FileNotFoundError:
        return []
    return [each for each in found if not each.name.startswith((".", "__")) and each.is_dir()]


def load_catalog(state: Path | None = None, *, operator: Iterable[Path] = ()) -> Catalog:
    """Read every entry.

    Args:
        state: the state folder, whose `generated/` and `imported/` hold entries.
        operator: further folders of entries from the operator's configuration.
    """
    roots = [(OWN, EntryPlace.OWN), *((root, EntryPlace.OPERATOR) for root in operator)]
    if state is not None:
        roots += [
            (state / GENERATED, EntryPlace.GENERATED),
            (state / "imported", EntryPlace.IMPORTED),
        ]
    entries: dict[str, CatalogEntry] = {}
    warnings: list[Fault] = []
    for root, place in roots:
        try:
            folders = _folders(root)
        except OSError as error:
            warnings.append(
                Fault(
                    FaultType.STATE,
                    "a folder of schedulers cannot be read",
                    where=str(root),
                    why=str(error),
                    hint="its entries are left out; check the owner and mode of the folder",
                )
            )
            continue
        if len(folders) > MOST_ENTRIES:
            warnings.append(
                Fault(
                    FaultType.TOO_LARGE,
                    f"only the first {MOST_ENTRIES} of {len(folders)} entries are used",
                    where=str(root),
                    hint="remove entries that are no longer wanted",
                )
            )
        for folder in folders[:MOST_ENTRIES]:
            try:
                if place is not EntryPlace.OWN and folder.is_symlink():
                    raise Fault(
                        FaultType.BAD_MANIFEST, "an entry may not be a link", where=str(folder)
                    )
                entry = read_entry(folder, place)
            except Fault as fault:
                warnings.append(fault)
                continue
            first = entries.setdefault(entry.name, entry)
            if first is not entry:
                warnings.append(
                    Fault(
                        FaultType.BAD_MANIFEST,
                        f"the name {entry.name!r} is taken, so this entry is left out",
                        where=str(folder),
                        why=f"{first.folder} has it and comes first ({first.place.value})",
                        hint="give it another name",
                    )
                )
    return Catalog(MappingProxyType(dict(sorted(entries.items()))), tuple(warnings))
