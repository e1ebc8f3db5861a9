# SPDX-License-Identifier: GPL-2.0-or-later
"""Policies that won a trial are saved to the library: found, tried and loaded by name from then on.

An entry exists whole or not at all, and is never changed or replaced. Trouble with the folder is
reported, and does not affect a trial.
"""

import asyncio
import os
import shutil
import tempfile
import time
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

from daemon.api.display import displayable
from daemon.api.models import Decision, EventKind, TrialState
from daemon.gates.candidates import Candidate, Publish
from daemon.lifecycle.episodes import Episodes
from daemon.lifecycle.trials import Trial
from process import Fault
from scheduler_library.catalog import GENERATED, Catalog, CatalogEntry, EntryPlace, read_entry
from scheduler_library.manifest import (
    MANIFEST_FILE,
    POLICY_SUFFIX,
    EntryKind,
    Manifest,
    manifest_text,
)

# Limit of entries that we make ourselves; beyond it a person has to sort them out.
MOST_SAVED = 200
# How many candidates that won a trial without being kept are remembered, in case somebody loads
# them.
MOST_WON = 64
# An entry in the making; the catalog ignores it.
_DRAFT = ".new-"


class SavedPolicies:
    """Saves them; `on_saved` gets each new entry."""

    def __init__(
        self,
        *,
        state: Path,
        episodes: Episodes,
        catalog: Callable[[], Catalog],
        on_saved: Callable[[CatalogEntry], None],
        publish: Publish,
        on_trouble: Callable[[str], None],
    ) -> None:
        self._root = state / GENERATED
        self._episodes = episodes
        self._catalog = catalog
        self._on_saved = on_saved
        self._publish = publish
        self._on_trouble = on_trouble
        self._won: OrderedDict[str, Trial] = OrderedDict()

    async def trial_ended(self, trial: Trial) -> None:
        """Save what was kept; remember winners that were not to be kept (`tune`)."""
        if trial.state is TrialState.KEPT:
            await self._save(trial)
        elif trial.verdict is not None and trial.verdict.decision is Decision.KEEP:
            self._won[trial.candidate.id] = trial
            while len(self._won) > MOST_WON:
                self._won.popitem(last=False)

    async def held(self, candidate: Candidate) -> None:
        """Somebody loads a candidate to stay; if it has won a trial before, it is saved now."""
        trial = self._won.pop(candidate.id, None)
        if trial is not None:
            await self._save(trial)

    async def _save(self, trial: Trial) -> None:
        candidate = trial.candidate
        if candidate.kind is not EntryKind.POLICY or candidate.manifest is None:
            return
        name = candidate.manifest.name
        if name in self._catalog().entries or (candidate.library and not candidate.parameters):
            return  # it is in the library already
        try:
            manifest = self._manifest(trial, candidate.manifest)
            entry = await asyncio.to_thread(write_entry, self._root, manifest, candidate.policy)
        except (OSError, ValueError, Fault) as trouble:
            why = trouble.strerror if isinstance(trouble, OSError) else str(trouble)
            self._on_trouble(f"{name} won, and could not be saved to {self._root}: {why}")
            return
        self._on_saved(entry)
        self._publish(
            EventKind.SAVED,
            f"{name} was saved to the library: {candidate.policy}",
            trial=trial.id,
            episode=trial.request.episode or "",
            candidate=candidate.id,
            scheduler=name,
            workload=trial.workload,
        )

    def _manifest(self, trial: Trial, compiled: Manifest) -> Manifest:
        values = compiled.model_dump(mode="json", exclude={"params", "command"})
        candidate = trial.candidate
        before = trial.before.what.name if trial.before else "the kernel's own scheduler"
        story = (
            f"It won against {before} on {trial.objective.title}"
            + (f" of {trial.workload}" if trial.workload else "")
            + f": {trial.reason}."
        )
        if candidate.parameters:
            listing = ", ".join(f"{key}={value}" for key, value in candidate.parameters.items())
            story += f" It was tried with {listing}."
        day = time.strftime("%Y-%m-%d", time.gmtime(trial.ended or trial.at))
        values |= {
            "kind": EntryKind.POLICY.value,
            "source": compiled.name + POLICY_SUFFIX,
            "description": f"{compiled.description[:2000]}\n\n{displayable(story, 1900)}",
            "good_for": self._tags(trial),
            "origin": f"schedpilot: won trial {trial.id} on {day}",
            "parent": candidate.library or None,
        }
        return Manifest.model_validate(values)

    def _tags(self, trial: Trial) -> list[str]:
        """The profile of the workload on which it won."""
        try:
            profile = self._episodes.get(trial.request.episode or "").profile
        except Fault:
            return []
        return list(profile.tags) if profile else []


def write_entry(root: Path, manifest: Manifest, policy: str) -> CatalogEntry:
    """A new entry `root/NAME`, whole or not at all. The draft of an earlier try is removed.

    Raises:
        OSError: from the system; FileExistsError if the name is taken.
        Fault: what was written is not an entry.
        ValueError: there are too many.
    """
    root.mkdir(mode=0o755, parents=True, exist_ok=True)
    there = list(root.iterdir())
    for stale in there:
        if stale.name.startswith(_DRAFT):
            shutil.rmtree(stale, ignore_errors=True)
    count = sum(not each.name.startswith(".") for each in there)
    if count >= MOST_SAVED:
        raise ValueError(f"there are {count} entries; remove those that are no longer wanted")
    target = root / manifest.name
    if os.path.lexists(target):
        raise FileExistsError(0, "the name is taken")
    # A separate folder, in which the draft already has its final name.
    draft = Path(tempfile.mkdtemp(prefix=_DRAFT, dir=root))
    try:
        folder = draft / manifest.name
        folder.mkdir(mode=0o755)
        for name, text in (
            (f"{manifest.name}{POLICY_SUFFIX}", policy + "\n"),
            # REUSE-IgnoreStart
            (
                MANIFEST_FILE,
                "# SPDX-License-Identifier: GPL-2.0-or-later\n" + manifest_text(manifest),
            ),
            # REUSE-IgnoreEnd
        ):
            with (folder / name).open("xb") as file:
                file.write(text.encode())
                file.flush()
                os.fsync(file.fileno())
        # It must be readable under the temporary name before it gets its final one.
        read_entry(folder, EntryPlace.GENERATED)
        folder.rename(target)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return read_entry(target, EntryPlace.GENERATED)
