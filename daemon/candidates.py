# SPDX-License-Identifier: GPL-2.0-only
"""Candidates: immutable things that might be loaded, each with an id made from its content."""

import asyncio
import hashlib
import json
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from daemon.api.models import (
    CandidateRequest,
    CandidateView,
    Event,
    EventKind,
    Gate,
    GateMessage,
    GateResult,
    ParameterValue,
)
from daemon.gates import Proof, build_gate, verify_gate
from daemon.holding import Loadable, require_sched_ext
from process import Fault, FaultType
from scheduler_library import external
from scheduler_library.catalog import Catalog, Entry, check_name
from scheduler_library.manifest import Kind
from scheduler_library.parameters import check_parameters

# Candidates remembered; the oldest go first. Their objects stay in the build cache.
MOST_CANDIDATES = 256

Publish = Callable[..., Event]


@dataclass(frozen=True)
class Candidate:
    """One candidate and what the gates said of it."""

    id: str
    name: str
    kind: Kind
    parameters: dict[str, ParameterValue]
    source_sha256: str
    at: float
    proof: Proof
    command: tuple[str, ...] = ()
    library: str = ""
    tags: tuple[str, ...] = field(default=())

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
            gates=list(self.proof.results),
            proven=self.proven,
            quarantined=quarantined,
            at=self.at,
        )

    def loadable(self) -> Loadable:
        """Raises Fault NOT_ALLOWED for a candidate that some gate stopped."""
        if not self.proven:
            failed = next((each for each in self.proof.results if not each.passed), None)
            raise Fault(
                FaultType.NOT_ALLOWED,
                f"candidate {self.id} is not proven",
                why=f"the gate {failed.gate.value!r} stopped it"
                if failed
                else "no gate was passed",
                hint=f"see `GET /v1/candidates/{self.id}` for what to correct",
            )
        return Loadable(
            candidate=self.id,
            name=self.name,
            ops=self.proof.ops,
            object=self.proof.object,
            command=self.command,
            parameters=self.parameters,
        )


def result_reason(result: GateResult) -> str:
    """The first error that a gate found, with its cause; empty where it passed."""
    first = next((each for each in result.messages if each.severity == "error"), None)
    if first is None:
        return ""
    return f"{first.message}: {first.cause}" if first.cause else first.message


def candidate_id(
    kind: Kind, name: str, source: bytes, parameters: dict[str, ParameterValue]
) -> str:
    """The same content gives the same id, on every machine and at every time."""
    text = json.dumps([kind.value, name, parameters], sort_keys=True).encode()
    digest = hashlib.sha256(text + b"\0" + source).hexdigest()
    return f"c-{digest[:12]}"


class Candidates:
    """Makes candidates, passes them through the gates, and remembers them."""

    def __init__(
        self, *, catalog: Callable[[], Catalog], folder: Path, cache: Path, publish: Publish
    ) -> None:
        self._catalog = catalog
        self._folder = folder
        self._cache = cache
        self._publish = publish
        self._known: OrderedDict[str, Candidate] = OrderedDict()
        # One at a time: clang and the verifier are the heaviest things this daemon does.
        self._gate = asyncio.Lock()

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

    async def create(self, request: CandidateRequest) -> Candidate:
        """Resolve, check and prove a candidate; a proven one is answered from memory.

        Raises:
            Fault: BAD_REQUEST, UNKNOWN_SCHEDULER, BAD_NAME, BAD_PARAMETER, NOT_INSTALLED, and
                what keeps a gate from doing its work (MISSING_TOOL, STATE).
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
        if request.policy is not None:
            raise Fault(
                FaultType.UNSUPPORTED,
                "policy lines cannot be compiled yet",
                hint="name a library scheduler (`schedpilot library list`) or send C source",
            )
        if request.library is not None:
            return await self._from_library(self._catalog().get(request.library), request)
        assert request.source is not None
        return await self._from_source(request.source, request)

    async def _from_library(self, entry: Entry, request: CandidateRequest) -> Candidate:
        parameters: dict[str, ParameterValue] = {}
        if entry.manifest.kind is Kind.EXTERNAL:
            return await self._from_external(entry, request)
        if entry.manifest.kind is Kind.POLICY or entry.source is None:
            raise Fault(FaultType.UNSUPPORTED, f"{entry.name} is a policy, not yet compiled here")
        parameters.update(check_parameters(entry.manifest, request.parameters))
        return await self._prove(
            Kind.BPF, entry.name, entry.source, parameters, entry.name, entry.manifest.tags
        )

    async def _from_external(self, entry: Entry, request: CandidateRequest) -> Candidate:
        program = await asyncio.to_thread(external.inspect_external, entry)
        if program.state is not external.State.INSTALLED:
            raise Fault(
                FaultType.NOT_INSTALLED,
                f"{entry.name} cannot be used on this machine: {program.state.value}",
                why=program.note,
                hint="install the scx schedulers, or choose another: schedpilot library list",
            )
        words = external.arguments(entry.name, program.options, request.parameters)
        parameters = dict(request.parameters)
        id = candidate_id(Kind.EXTERNAL, entry.name, program.path.encode(), parameters)
        # The verifier meets it when it loads itself; there is nothing here for us to build.
        found = GateMessage(severity="note", message=f"installed: {program.path}")
        proof = Proof((GateResult(gate=Gate.STATIC, passed=True, seconds=0, messages=[found]),))
        return self._remember(
            Candidate(
                id,
                entry.name,
                Kind.EXTERNAL,
                parameters,
                "",
                time.time(),
                proof,
                command=(program.path, *words),
                library=entry.name,
                tags=tuple(entry.manifest.tags),
            )
        )

    async def _from_source(self, text: str, request: CandidateRequest) -> Candidate:
        raw = text.encode()
        digest = hashlib.sha256(raw).hexdigest()
        name = check_name(request.name or f"own-{digest[:8]}")
        folder = self._folder / digest[:16]
        source = folder / f"{name}.bpf.c"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            source.write_bytes(raw)
        except OSError as error:
            raise Fault(
                FaultType.STATE,
                "the candidate's source cannot be stored",
                where=str(folder),
                why=str(error),
                hint="free some space in the state folder, or make it writable",
            ) from None
        return await self._prove(Kind.BPF, name, source, dict(request.parameters), "", ())

    async def _prove(
        self,
        kind: Kind,
        name: str,
        source: Path,
        parameters: dict[str, ParameterValue],
        library: str,
        tags: tuple[str, ...],
    ) -> Candidate:
        raw = await asyncio.to_thread(source.read_bytes)
        id = candidate_id(kind, name, raw, parameters)
        async with self._gate:
            known = self._known.get(id)
            object = known.proof.object if known else None
            if known is not None and known.proven and object is not None and object.exists():
                return known
            proof = await self._pass(id, name, source, parameters)
            digest = hashlib.sha256(raw).hexdigest()
            candidate = Candidate(
                id, name, kind, parameters, digest, time.time(), proof, library=library, tags=tags
            )
            return self._remember(candidate)

    async def _pass(
        self, id: str, name: str, source: Path, parameters: dict[str, ParameterValue]
    ) -> Proof:
        require_sched_ext()
        built, object = await build_gate(source, self._cache / "candidates" / id, self._cache)
        self._tell(id, name, built)
        if object is None:
            return Proof((built,))
        verified, ops = await verify_gate(object, parameters)
        self._tell(id, name, verified)
        return Proof((built, verified), object, ops)

    def _tell(self, id: str, name: str, result: GateResult) -> None:
        reason = result_reason(result)
        self._publish(
            EventKind.GATE_PASSED if result.passed else EventKind.GATE_FAILED,
            f"{name}: {result.gate.value} "
            + (f"passed in {result.seconds:.1f} s" if result.passed else "failed")
            + (f": {reason}" if reason else ""),
            candidate=id,
            scheduler=name,
            reason=reason,
        )

    def _remember(self, candidate: Candidate) -> Candidate:
        self._known[candidate.id] = candidate
        self._known.move_to_end(candidate.id)
        while len(self._known) > MOST_CANDIDATES:
            self._known.popitem(last=False)
        return candidate
