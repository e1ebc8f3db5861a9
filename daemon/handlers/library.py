# SPDX-License-Identifier: GPL-2.0-or-later
"""The schedulers of the library."""

import asyncio
from collections.abc import Callable

from daemon.api.models import ParameterView, SchedulerDetail, SchedulerView
from daemon.handlers.questions import Questions
from daemon.memory.beliefs import Beliefs, is_installed
from daemon.memory.lessons import Lessons
from process import Fault
from scheduler_library import external
from scheduler_library.catalog import Catalog, CatalogEntry
from scheduler_library.manifest import EntryKind, Parameter
from scheduler_library.this_machine import compile_here


class LibraryHandler:
    def __init__(
        self,
        *,
        catalog: Callable[[], Catalog],
        beliefs: Beliefs,
        lessons: Lessons,
        questions: Questions,
    ) -> None:
        self._catalog = catalog
        self._beliefs = beliefs
        self._lessons = lessons
        self._questions = questions

    async def library(self, query: str, workload: str = "") -> list[SchedulerView]:
        catalog = self._catalog()
        if not query and not workload:
            return [_scheduler_view(entry) for entry in catalog]
        met = self._questions.about(workload) if workload else None
        return [
            _scheduler_view(found.entry).model_copy(
                update={"score": found.score, "why": list(found.reasons)}
            )
            for found in await asyncio.to_thread(
                self._beliefs.search, query, met, self._lessons.all()
            )
        ]

    async def scheduler(self, name: str) -> SchedulerDetail:
        entry = self._catalog().get(name)
        manifest = entry.manifest
        policy = await asyncio.to_thread(entry.policy)
        params = await asyncio.to_thread(_policy_params, policy) if policy else manifest.params
        parameters = [
            ParameterView(
                name=each.name,
                type=each.type.value,
                default=each.default,
                min=each.min,
                max=each.max,
                unit=each.unit.value,
                description=each.description,
                when=each.when.value,
            )
            for each in params
        ]
        version = note = ""
        if manifest.kind is EntryKind.EXTERNAL:
            found = await asyncio.to_thread(external.inspect_external, entry)
            version, note = found.version, found.note
            parameters = [
                ParameterView(
                    name=option.name,
                    type="switch" if option.is_switch else option.placeholder,
                    default=option.default,
                    description=option.description,
                )
                for option in found.options
            ]
        return SchedulerDetail(
            **_scheduler_view(entry).model_dump(),
            description=manifest.description,
            algorithm=manifest.algorithm,
            parameters=parameters,
            page=await asyncio.to_thread(_page, entry),
            license=manifest.license,
            parent=manifest.parent or "",
            policy=policy,
            version=version,
            note=note,
        )


def _scheduler_view(entry: CatalogEntry) -> SchedulerView:
    manifest = entry.manifest
    return SchedulerView(
        name=entry.name,
        kind=manifest.kind.value,
        summary=manifest.summary,
        tags=list(manifest.tags),
        good_for=list(manifest.good_for),
        bad_for=list(manifest.bad_for),
        origin=manifest.origin,
        installed=is_installed(entry),
    )


def _policy_params(text: str) -> tuple[Parameter, ...]:
    """The parameters of a policy; none if it configures another scheduler, or no longer
    compiles.
    """
    from scheduler_library.policy.compiler import CompiledPolicy

    try:
        compiled = compile_here(text)
    except Fault:
        return ()
    return compiled.manifest.params if isinstance(compiled, CompiledPolicy) else ()


def _page(entry: CatalogEntry) -> str:
    try:
        return (entry.folder / "README.md").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
