# SPDX-License-Identifier: GPL-2.0-or-later
"""What the daemon would believe about a fake library, by the real learning."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from daemon.api.models import Decision, LearnedClass, OutcomeView, SchedulerDetail
from daemon.memory.belief_views import belief_views
from scheduler_library.catalog import CatalogEntry, EntryPlace
from scheduler_library.learning.bandit import BanditObservation
from scheduler_library.learning.beliefs import NamedTemplate, options
from scheduler_library.learning.context import Context, wanted_tags
from scheduler_library.manifest import Manifest


def entry_of(detail: SchedulerDetail) -> CatalogEntry:
    """A fake entry, as in the catalog."""
    numbers = {"int": int, "float": float}
    params = [
        {
            "name": each.name,
            "type": each.type,
            "default": each.default,
            "min": numbers[each.type](each.min or 0),
            "max": numbers[each.type](each.max or 0),
            "unit": each.unit or "none",
            "description": "turns something",
        }
        for each in detail.parameters
    ]
    source = {"command": detail.name} if detail.kind == "external" else {"source": "x.bpf.c"}
    manifest = Manifest.model_validate(
        {
            "name": detail.name,
            "summary": detail.summary or "x",
            "description": detail.description or "x",
            "algorithm": detail.algorithm or "x",
            "tags": detail.tags,
            "good_for": detail.good_for,
            "bad_for": detail.bad_for,
            "kind": detail.kind,
            "origin": detail.origin,
            "license": "GPL-2.0-only",
            "params": [] if detail.kind == "external" else params,
        }
        | source
    )
    return CatalogEntry(manifest, Path("/nowhere"), EntryPlace.OWN)


def observed(outcome: OutcomeView) -> BanditObservation:
    return BanditObservation(
        scheduler=outcome.scheduler,
        at=outcome.at,
        gain=outcome.gain,
        kept=outcome.decision is Decision.KEEP,
        parameters={k: v for k, v in outcome.parameters.items() if not isinstance(v, str)},
        tags=tuple(outcome.tags),
    )


def believed(
    library: Iterable[SchedulerDetail],
    tags: Sequence[str],
    outcomes: Iterable[OutcomeView],
    at: float,
    *,
    complaint: str = "",
    figures: dict[str, float] | None = None,
    lines: Iterable[NamedTemplate] = (),
) -> LearnedClass:
    """The beliefs for a workload with these tags."""
    pool = {each.name: each for each in library}
    context = Context(wanted_tags(tags, complaint), tuple(tags), figures or {})
    seen = [observed(each) for each in outcomes]
    found = options(
        [entry_of(each) for each in pool.values()],
        lines,
        context,
        seen,
        at,
        installed=lambda entry: pool[entry.name].installed,
        policy_of=lambda entry: pool[entry.name].policy,
    )
    return LearnedClass(tags=list(context.tags), beliefs=belief_views(found, context, seen, at))
