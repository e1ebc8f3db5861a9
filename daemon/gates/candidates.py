# SPDX-License-Identifier: GPL-2.0-or-later
"""Candidates: immutable things that might be loaded, each with an id made from its content."""

import asyncio
import hashlib
import json
import os
import shutil
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from daemon.api.models import (
    CandidateRequest,
    CandidateView,
    Event,
    Gate,
    GateMessage,
    GateResult,
    ParameterValue,
)
from daemon.api.origin import Origin
from daemon.gates.compiled_policies import Used, compiled
from daemon.gates.controls import ControlsGate, of_object, of_program
from daemon.gates.proof import Passing, Proof, Subject
from daemon.gates.telling import GateEvents, Silent, stopped_reason
from daemon.lifecycle.attachment import Loadable
from process import Fault, FaultType, Priority, at_priority
from scheduler_library import external
from scheduler_library.catalog import Catalog, CatalogEntry, check_name
from scheduler_library.manifest import EntryKind, Manifest
from scheduler_library.parameters import check_parameters
from scheduler_library.policy.facts import PolicyFacts
from simulator.gates import JudgedBy

# How many candidates are kept; the oldest are removed first. Their objects stay in the build cache.
MOST_CANDIDATES = 256
# How many sources are kept on disk, for people to look at; the oldest are removed first.
MOST_SOURCES = 1024

Publish = Callable[..., Event]


@dataclass(frozen=True)
class Candidate:
    """One candidate and the results of its gates.

    `library` is its library entry, if it came from one; `manifest` describes it and its parameters,
    if known. `policy` is its canonical text, and `facts` lists what userspace has to supply while
    it runs. `asked` is the request that made it, without the text of a source.
    """

    id: str
    name: str
    kind: EntryKind
    parameters: dict[str, ParameterValue]
    source_sha256: str = ""
    at: float = 0.0
    proof: Proof = field(default_factory=lambda: Proof(()))
    command: tuple[str, ...] = ()
    library: str = ""
    tags: tuple[str, ...] = field(default=())
    manifest: Manifest | None = None
    policy: str = ""
    facts: PolicyFacts = field(default_factory=PolicyFacts)
    asked: CandidateRequest | None = None

    @property
    def proven(self) -> bool:
        return self.proof.proven

    def view(self, quarantined: str = "") -> CandidateView:
        return CandidateView(
            id=self.id,
            name=self.name,
            kind=self.kind.value,
            parameters=self.parameters,
            source_sha256=self.source_sha256,
            policy=self.policy,
            gates=list(self.proof.results),
            proven=self.proven,
            quarantined=quarantined,
            at=self.at,
        )

    def loadable(self) -> Loadable:
        """Raises Fault NOT_ALLOWED for a candidate that some gate stopped."""
        if not self.proven:
            raise Fault(
                FaultType.NOT_ALLOWED,
                f"candidate {self.id} is not proven",
                why=stopped_reason(self.proof) or "no gate was passed",
                hint=f"see `GET /v1/candidates/{self.id}` for what to correct",
            )
        return Loadable(
            candidate=self.id,
            name=self.name,
            ops=self.proof.ops,
            object=self.proof.object,
            command=self.command,
            parameters=self.parameters,
            facts=self.facts,
        )


def candidate_id(
    kind: EntryKind, name: str, source: bytes, parameters: dict[str, ParameterValue]
) -> str:
    """The same content gives the same id, on every machine and at every time."""
    text = json.dumps([kind.value, name, parameters], sort_keys=True).encode()
    digest = hashlib.sha256(text + b"\0" + source).hexdigest()
    return f"c-{digest[:12]}"


@dataclass(frozen=True)
class CandidateOptions:
    """The request beside the candidate itself: its parameters, and how it is proven.

    `hurry`: a degraded workload waits for it. `ahead`: nobody waits, and no event reports it; with
    `anew`, stored results are from before a change. `judged`: how a recorded workload is judged.
    """

    parameters: dict[str, ParameterValue]
    trace: Path | None = None
    canary: bool = False
    hurry: bool = False
    cpus: tuple[int, ...] = ()
    ahead: bool = False
    anew: bool = False
    judged: JudgedBy | None = None


def _answers(proof: Proof, wish: CandidateOptions) -> bool:
    """Whether a stored proof answers the current request."""
    if wish.anew or not proof.proven or proof.object is None or not proof.object.exists():
        return False
    if wish.hurry and not wish.canary:
        # The trial measures what a simulation of the recorded workload would only predict.
        return True
    canary = next((each for each in proof.results if each.gate is Gate.CANARY), None)
    # A newer recording may give another result; the gates have their own cache of answers.
    if wish.cpus:
        return False
    return wish.trace is None and not (wish.canary and (canary is None or canary.skipped))


def _switched(
    program: external.External, values: dict[str, ParameterValue]
) -> dict[str, ParameterValue]:
    """The values, with a policy's words `true` and `false` in the form for a switch."""
    switches = {option.name for option in program.options if option.is_switch}
    words = {"true": True, "false": False}
    return {
        name: words.get(str(value), value) if name.replace("_", "-") in switches else value
        for name, value in values.items()
    }


def _with(known: Candidate, passed: tuple[GateResult, ...]) -> Candidate:
    """A stored candidate, with the results for this text of it in place of another."""
    if not passed:
        return known
    again = {each.gate for each in passed}
    others = tuple(each for each in known.proof.results if each.gate not in again)
    return replace(known, proof=replace(known.proof, results=(*passed, *others)))


class Candidates:
    """Makes candidates, passes them through the gates, and stores them.

    `recorded` returns the newest recording of a workload, if there is one. Results of policies are
    kept in `cache`, if it is given. `controls` judges a known candidate anew by what the machine
    uses at that moment, and a third-party program, which passes no other gate of ours.
    """

    def __init__(
        self,
        *,
        catalog: Callable[[], Catalog],
        folder: Path,
        gates: Passing,
        publish: Publish,
        cache: Path | None = None,
        recorded: Callable[[str], Path | None] = lambda workload: None,
        controls: ControlsGate | None = None,
    ) -> None:
        self._catalog = catalog
        self._folder = folder
        self._gates = gates
        self._publish = publish
        self._cache = cache
        self._recorded = recorded
        self._controls = controls
        self._known: OrderedDict[str, Candidate] = OrderedDict()
        # One at a time: clang and the verifier are the heaviest work of this daemon. An urgent
        # request never waits for one that is not.
        self._gate = asyncio.Lock()
        self._hurried = asyncio.Lock()

    def get(self, id: str) -> Candidate:
        """Raises Fault NOT_FOUND."""
        found = self._known.get(id)
        if found is None:
            raise Fault(
                FaultType.NOT_FOUND,
                f"there is no candidate {id!r}",
                hint="candidates are forgotten when the daemon restarts: create it again",
            )
        return found

    async def create(
        self, request: CandidateRequest, workload: str = "", judged: JudgedBy | None = None
    ) -> Candidate:
        """Resolve, check and prove a candidate; a proven one is answered from memory.

        `workload` is the one it is meant for, if the request names none; `judged`: how it is
        judged.

        Raises:
            Fault: BAD_REQUEST, UNKNOWN_SCHEDULER, BAD_NAME, BAD_PARAMETER, BAD_POLICY,
                NOT_INSTALLED, and those that keep a gate from doing its work (MISSING_TOOL, STATE).
        """
        given = [
            word for word in ("library", "source", "policy") if getattr(request, word) is not None
        ]
        if len(given) != 1:
            raise Fault(
                FaultType.BAD_REQUEST,
                "a candidate is one of `library`, `source` and `policy`",
                why=f"given: {', '.join(given) or 'none of them'}",
            )
        workload = request.workload or workload
        trace = await asyncio.to_thread(self._recorded, workload) if workload else None
        hurry = request.episode is not None
        wish = CandidateOptions(
            dict(request.parameters),
            trace,
            request.canary,
            hurry,
            tuple(request.cpus),
            judged=judged,
        )
        if not hurry:
            return await self._asked_for(request, wish)
        with at_priority(Priority.URGENT):
            return await self._asked_for(request, wish)

    async def prove_again(self, request: CandidateRequest) -> Candidate:
        """Prove what was proven before, and what the machine waits for now.

        It does not wait for work that is done ahead.

        Raises:
            Fault: as `create`.
        """
        with at_priority(Priority.URGENT):
            return await self._asked_for(
                request, CandidateOptions(dict(request.parameters), hurry=True)
            )

    async def prove_ahead(self, request: CandidateRequest, *, anew: bool = False) -> Candidate:
        """The result that `create` would give for a request, while nobody waits for it.

        Raises:
            Fault: as `create`; BUSY if the work that this belongs to is given up.
        """
        return await self._asked_for(
            request, CandidateOptions(dict(request.parameters), ahead=True, anew=anew)
        )

    def request_of(self, candidate: Candidate) -> CandidateRequest:
        """What makes the same candidate again, at any time. Reads a file.

        Raises:
            Fault: STATE if its source is no longer stored.
        """
        asked = candidate.asked
        if asked is not None and (asked.library or asked.policy):
            return asked
        source = self._place(candidate.source_sha256) / f"{candidate.name}.bpf.c"
        try:
            text = source.read_text("utf-8")
        except OSError as error:
            raise Fault(
                FaultType.STATE,
                f"the source of {candidate.id} cannot be read",
                where=str(source),
                why=error.strerror or "",
            ) from None
        return CandidateRequest(
            source=text, name=candidate.name, parameters=dict(candidate.parameters)
        )

    async def _asked_for(self, request: CandidateRequest, wish: CandidateOptions) -> Candidate:
        made = await self._made(request, wish)
        if made.asked is not None:
            # Another request made the same before.
            return made
        asked = CandidateRequest(
            library=request.library,
            policy=request.policy,
            parameters=request.parameters,
            name=request.name,
        )
        return self._remember(replace(made, asked=asked))

    async def _made(self, request: CandidateRequest, wish: CandidateOptions) -> Candidate:
        if request.policy is not None:
            return await self._from_policy(request.policy, wish)
        if request.library is not None:
            return await self._from_library(self._catalog().get(request.library), wish)
        assert request.source is not None
        return await self._from_source(request.source, request.name, wish)

    def _lock(self, wish: CandidateOptions) -> asyncio.Lock:
        return self._hurried if wish.hurry else self._gate

    async def _from_library(
        self, entry: CatalogEntry, wish: CandidateOptions, by: tuple[str, ...] = ()
    ) -> Candidate:
        """`by`: the policies of the library whose `use` led here."""
        if entry.manifest.kind is EntryKind.EXTERNAL:
            return await self._from_external(entry, wish.parameters)
        if entry.manifest.kind is EntryKind.POLICY:
            text = await asyncio.to_thread(entry.policy)
            return await self._from_policy(text, wish, entry, by)
        assert entry.source is not None
        draft = Candidate(
            "",
            entry.name,
            EntryKind.BPF,
            dict(check_parameters(entry.manifest, wish.parameters)),
            library=entry.name,
            tags=tuple(entry.manifest.tags),
            manifest=entry.manifest,
        )
        return await self._prove(draft, entry.source, wish)

    async def _from_policy(
        self,
        text: str,
        wish: CandidateOptions,
        entry: CatalogEntry | None = None,
        by: tuple[str, ...] = (),
    ) -> Candidate:
        async with self._lock(wish):
            step, made = await compiled(text, cache=self._cache, apart=wish.ahead)
        if isinstance(made, Used):
            by = (*by, entry.name) if entry else by
            if made.name in by:
                raise Fault(
                    FaultType.BAD_POLICY,
                    f"the policy {made.name!r} of the library uses itself",
                    why=" uses ".join((*by, made.name)),
                )
            wanted = replace(wish, parameters={**made.parameters, **wish.parameters})
            return await self._from_library(self._catalog().get(made.name), wanted, by)
        draft = Candidate(
            "",
            entry.name if entry else made.name,
            EntryKind.POLICY,
            dict(check_parameters(made.manifest, wish.parameters)),
            library=entry.name if entry else "",
            tags=tuple((entry.manifest if entry else made.manifest).tags),
            manifest=made.manifest,
            policy=made.text,
            facts=made.facts,
        )
        source = await asyncio.to_thread(self._stored, made.name, made.source.encode())
        return await self._prove(draft, source, wish, (step,), made.origin)

    async def _from_external(
        self, entry: CatalogEntry, parameters: dict[str, ParameterValue]
    ) -> Candidate:
        program = await asyncio.to_thread(external.inspect_external, entry)
        if program.state is not external.State.INSTALLED:
            raise Fault(
                FaultType.NOT_INSTALLED,
                f"{entry.name} cannot be used on this machine: {program.state.value}",
                why=program.note,
                hint="install the scx schedulers, or choose another: schedpilot library list",
            )
        parameters = _switched(program, parameters)
        parameters = await asyncio.to_thread(
            external.with_layers, entry.name, program.options, parameters
        )
        words = external.arguments(entry.name, program.options, parameters)
        id = candidate_id(EntryKind.EXTERNAL, entry.name, program.path.encode(), parameters)
        # The verifier checks it when it loads itself; there is nothing here for us to build.
        found = GateMessage(severity="note", message=f"installed: {program.found}")
        results = [GateResult(gate=Gate.STATIC, passed=True, seconds=0, messages=[found])]
        if self._controls is not None:
            names = [option.name for option in program.options]
            results.append(
                await self._controls(lambda: of_program(Path(program.path), names, parameters))
            )
        proof = Proof(tuple(results))
        return self._remember(
            Candidate(
                id,
                entry.name,
                EntryKind.EXTERNAL,
                parameters,
                at=time.time(),
                proof=proof,
                command=(program.path, *words),
                library=entry.name,
                tags=tuple(entry.manifest.tags),
                manifest=entry.manifest,
            )
        )

    async def _from_source(self, text: str, name: str | None, wish: CandidateOptions) -> Candidate:
        raw = text.encode()
        name = check_name(name or f"own-{hashlib.sha256(raw).hexdigest()[:8]}")
        source = await asyncio.to_thread(self._stored, name, raw)
        return await self._prove(Candidate("", name, EntryKind.BPF, wish.parameters), source, wish)

    def _stored(self, name: str, raw: bytes) -> Path:
        """The source as a file; equal content has the same path.

        Raises:
            Fault: STATE.
        """
        folder = self._place(hashlib.sha256(raw).hexdigest())
        source = folder / f"{name}.bpf.c"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            source.write_bytes(raw)
            os.utime(folder)
            self._prune()
        except OSError as error:
            raise Fault(
                FaultType.STATE,
                "the candidate's source cannot be stored",
                where=str(folder),
                why=str(error),
                hint="free some space in the state folder, or make it writable",
            ) from None
        return source

    def _place(self, sha256: str) -> Path:
        """The folder of the source with this digest."""
        return self._folder / sha256[:16]

    def _prune(self) -> None:
        """Remove the oldest sources. Raises OSError."""
        folders = list(self._folder.iterdir())
        if len(folders) > MOST_SOURCES:
            folders.sort(key=lambda each: each.stat().st_mtime)
            for each in folders[:-MOST_SOURCES]:
                shutil.rmtree(each, ignore_errors=True)

    async def _prove(
        self,
        draft: Candidate,
        source: Path,
        wish: CandidateOptions,
        passed: tuple[GateResult, ...] = (),
        origin: Origin | None = None,
    ) -> Candidate:
        """The draft with its id and its gates' results; `passed` are those already done.

        `origin` leads from the source to the policy from which it was compiled.
        """
        raw = await asyncio.to_thread(source.read_bytes)
        id = candidate_id(draft.kind, draft.name, raw, draft.parameters)
        async with self._lock(wish):
            known = self._known.get(id)
            if known is not None and _answers(known.proof, wish):
                return await self._judged_anew(_with(known, passed))
            told = Silent() if wish.ahead else GateEvents(self._publish, id, draft.name)
            for result in passed:
                told.answered(result)
            subject = Subject(
                id,
                draft.name,
                source,
                draft.parameters,
                wish.trace,
                wish.canary,
                origin or {},
                wish.cpus,
                draft.facts,
                wish.judged,
            )
            proof = await self._gates(subject, told, passed)
            digest = hashlib.sha256(raw).hexdigest()
            return self._remember(
                replace(draft, id=id, source_sha256=digest, at=time.time(), proof=proof)
            )

    async def current(self, id: str) -> Candidate:
        """A candidate, judged by the resource controls that the machine uses at this moment.

        Raises:
            Fault: NOT_FOUND.
        """
        return await self._judged_anew(self.get(id))

    async def _judged_anew(self, known: Candidate) -> Candidate:
        object = known.proof.object
        others = tuple(each for each in known.proof.results if each.gate is not Gate.CONTROLS)
        if self._controls is None or object is None or len(others) == len(known.proof.results):
            return known
        result = await self._controls(lambda: of_object(object))
        place = next(n for n, each in enumerate(known.proof.results) if each.gate is result.gate)
        results = (*others[:place], result, *others[place:])
        return self._remember(replace(known, proof=replace(known.proof, results=results)))

    def _remember(self, candidate: Candidate) -> Candidate:
        self._known[candidate.id] = candidate
        self._known.move_to_end(candidate.id)
        while len(self._known) > MOST_CANDIDATES:
            self._known.popitem(last=False)
        return candidate
