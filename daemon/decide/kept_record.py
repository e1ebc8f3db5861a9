# SPDX-License-Identifier: GPL-2.0-or-later
"""A kept scheduler as the daemon stores it, so that a later start can find, prove and guard it."""

from collections.abc import Iterable, Mapping

from pydantic import BaseModel, ConfigDict, Field

from daemon.api.models import CandidateRequest, GuardRequest
from daemon.decide.guard import Kept, KeptTerm
from daemon.decide.objective import Guard, Objective, Term, parse_guard, parse_objective

# How many times of putting back are stored: more than are needed to judge the pause.
MOST_RESTORED = 64


class Stored(BaseModel):
    """Part of a file of ours: frozen, and of a version that this daemon wrote."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)


class KernelIdentity(Stored):
    """A kernel, as far as it decides whether a proof still holds. `btf`: SHA-256 of its types,
    empty if it has none.
    """

    release: str = ""
    version: str = ""
    machine: str = ""
    btf: str = ""

    @property
    def title(self) -> str:
        return self.release or "unknown"


class Boot(Stored):
    """One run of the machine. `id`: the kernel's random boot_id, empty if it cannot be read."""

    id: str = ""
    kernel: KernelIdentity = KernelIdentity()


class KeptFigure(Stored):
    """One figure of the trial beside the leading one: medians under both arms, in its unit."""

    workload: str
    title: str
    kept_value: float
    default_value: float


class KeptRecord(Stored):
    """The scheduler, how it was judged, and where.

    `request` makes the candidate again, and `object_sha256` names what the gates had built (for an
    installed scheduler: its program). `boot`: the run of the machine in which it last ran.
    `crashes`: how often in a row the machine went down under it. `by_hand`: a person fed its trial.
    """

    candidate: str
    scheduler: str
    request: CandidateRequest
    object_sha256: str
    boot: Boot
    since: float
    trial: str = ""
    by_hand: bool = False
    workload: str = ""
    objective: str
    units: Mapping[str, str] = Field(default_factory=dict)
    guards: tuple[GuardRequest, ...] = ()
    kept_value: float
    default_value: float
    default_delay_max_us: float
    besides: tuple[KeptFigure, ...] = ()
    usual_over_quota: tuple[str, ...] = ()
    crashes: int = 0

    def judged_by(self) -> Objective:
        """Raises Fault BAD_PARAMETER for a text that this version cannot read."""
        return parse_objective(self.objective).with_units(self.units)

    def guarded(self) -> tuple[Guard, ...]:
        """Raises Fault BAD_PARAMETER for a text that this version cannot read."""
        return tuple(parse_guard(each.workload, each.text) for each in self.guards)

    def kept(self, since: float) -> Kept:
        """For the guard, which watches it from Unix time `since` on.

        Raises:
            Fault: BAD_PARAMETER for a text that this version cannot read.
        """
        objective = self.judged_by()
        known = {(each.workload, each.title): each for each in self.besides}
        besides = [
            KeptTerm(of, term, found.kept_value, found.default_value)
            for of, term in _terms(self.workload, objective, self.guarded())
            if (found := known.get((of, term.title)))
        ]
        return Kept(
            self.candidate,
            self.workload,
            objective,
            since,
            self.kept_value,
            self.default_value,
            self.default_delay_max_us,
            tuple(besides),
            frozenset(self.usual_over_quota),
        )


def _terms(
    workload: str, objective: Objective, guards: Iterable[Guard]
) -> Iterable[tuple[str, Term]]:
    for term in objective.terms:
        yield workload, term
    for guard in guards:
        yield guard.workload, guard.term


def record_of(
    kept: Kept,
    guards: Iterable[Guard],
    *,
    scheduler: str,
    request: CandidateRequest,
    object_sha256: str,
    boot: Boot,
    trial: str,
    by_hand: bool,
) -> KeptRecord:
    """What is stored of a scheduler that has just been kept."""
    return KeptRecord(
        candidate=kept.candidate,
        scheduler=scheduler,
        request=request,
        object_sha256=object_sha256,
        boot=boot,
        since=kept.since,
        trial=trial,
        by_hand=by_hand,
        workload=kept.workload,
        objective=kept.objective.canonical,
        units={term.name: term.unit for term in kept.objective.terms if term.name and term.unit},
        guards=tuple(
            GuardRequest(workload=each.workload, text=each.term.canonical) for each in guards
        ),
        kept_value=kept.kept_value,
        default_value=kept.default_value,
        default_delay_max_us=kept.default_delay_max_us,
        # A name that is no text cannot be written, and then counts as usual no longer.
        usual_over_quota=tuple(sorted(filter(str.isprintable, kept.usual_over_quota))),
        besides=tuple(
            KeptFigure(
                workload=each.workload,
                title=each.term.title,
                kept_value=each.kept_value,
                default_value=each.default_value,
            )
            for each in kept.besides
        ),
    )


class KeptPair(Stored):
    """What is kept, and what was kept before it: a rollback goes back to that."""

    now: KeptRecord
    before: KeptRecord | None = None


class KeptRunning(Stored):
    """A kept scheduler that was put into the kernel: of which regime, in which boot (its id)."""

    regime: str
    boot: str


class KeptState(Stored):
    """All that is kept, by power regime.

    `running`: what a daemon put into the kernel that has not ended in order since; None if there is
    none. `restored`: when kept schedulers were put back lately, Unix seconds.
    """

    regimes: Mapping[str, KeptPair] = Field(default_factory=dict)
    running: KeptRunning | None = None
    restored: tuple[float, ...] = ()

    def of(self, regime: str) -> KeptRecord | None:
        pair = self.regimes.get(regime)
        return pair.now if pair else None

    def keeping(self, regime: str, record: KeptRecord, before: str) -> "KeptState":
        """From now on this is kept; `before`: the candidate that ran before its trial."""
        was = self.of(regime)
        kept_before = was if was is not None and was.candidate == before else None
        pair = KeptPair(now=record, before=kept_before)
        return self._with(regime, pair, KeptRunning(regime=regime, boot=record.boot.id))

    def without(self, regime: str, *, back: bool = False) -> "KeptState":
        """Nothing is kept there any more; with `back` what was kept before is again, and runs."""
        pair = self.regimes.get(regime)
        before = pair.before if pair and back else None
        if before is None:
            return self._with(regime, None, None)
        return self._with(
            regime, KeptPair(now=before), KeptRunning(regime=regime, boot=before.boot.id)
        )

    def tried(self, regime: str, boot: Boot) -> "KeptState":
        """A trial of this regime's scheduler begins in this boot; its record stays as it is."""
        return self.model_copy(update={"running": KeptRunning(regime=regime, boot=boot.id)})

    def put_back(self, regime: str, boot: Boot, now: float) -> "KeptState":
        """This regime's scheduler is about to be loaded again, in this boot."""
        pair = self.regimes[regime]
        pair = pair.model_copy(update={"now": pair.now.model_copy(update={"boot": boot})})
        state = self._with(regime, pair, KeptRunning(regime=regime, boot=boot.id))
        return state.model_copy(update={"restored": (*self.restored, now)[-MOST_RESTORED:]})

    def started(self, boot: Boot) -> "KeptState":
        """The daemon starts: if the machine went down under a kept scheduler, that is noted."""
        running = self.running
        if running is None:
            return self
        pair = self.regimes.get(running.regime)
        if pair is None or running.boot == boot.id:
            return self.stopped()
        return self._with(running.regime, _crashed(pair, pair.now.crashes + 1), None)

    def stopped(self) -> "KeptState":
        """It is not in the kernel any more, or never got in."""
        return self.model_copy(update={"running": None})

    def ended(self) -> "KeptState":
        """Its scheduler was taken out of the kernel in order."""
        running = self.running
        if running is None:
            return self
        pair = self.regimes.get(running.regime)
        if pair is None:
            return self.stopped()
        return self._with(running.regime, _crashed(pair, 0), None)

    def _with(self, regime: str, pair: KeptPair | None, running: KeptRunning | None) -> "KeptState":
        others = {name: each for name, each in self.regimes.items() if name != regime}
        if pair is not None:
            others[regime] = pair
        return self.model_copy(update={"regimes": others, "running": running})


def _crashed(pair: KeptPair, times: int) -> KeptPair:
    return pair.model_copy(update={"now": pair.now.model_copy(update={"crashes": times})})
