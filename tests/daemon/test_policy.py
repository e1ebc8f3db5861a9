# SPDX-License-Identifier: GPL-2.0-or-later
"""Policies as candidates, and those that win as entries of the library; no kernel is needed."""

import asyncio
import os
import stat
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bpf.kernel import sysfs
from daemon.api.models import (
    CandidateRequest,
    Decision,
    Event,
    EventKind,
    Gate,
    GateResult,
    ProfileView,
    TrialRequest,
    TrialState,
    VerdictView,
)
from daemon.decide.objective import parse_objective
from daemon.decide.settings import TrialSettings
from daemon.decide.trial_states import TrialChange
from daemon.gates import candidates as making
from daemon.gates.candidates import Candidate, Candidates
from daemon.gates.proof import GateListener, Proof, Subject
from daemon.lifecycle.episodes import Episodes
from daemon.lifecycle.trials import Trial
from daemon.memory import saved_policies as saving
from daemon.memory.saved_policies import SavedPolicies
from daemon.service.events import EventLog
from process import Fault, FaultType
from scheduler_library.catalog import Catalog, CatalogEntry, EntryPlace, load_catalog
from scheduler_library.manifest import EntryKind, When
from scheduler_library.parameters import check_parameters
from scheduler_library.policy.facts import PolicyFacts
from tests.daemon import running

NOW = 1_800_000_000.0
LINE = "slice 3000us"
CANONICAL = "slice 3ms"


class Bench:
    """Candidates with a fake build and verifier; everything before these is real."""

    def __init__(self, state: Path) -> None:
        self.state = state
        self.built: list[Path] = []
        self._object = state / "built.bpf.o"
        self._object.touch()
        self.events: list[Event] = []
        self.log = EventLog(self.events.append)
        self.candidates = Candidates(
            catalog=lambda: load_catalog(state),
            folder=state / "candidates",
            gates=self._gates,
            publish=self.log.append,
        )

    async def _gates(
        self, subject: Subject, told: GateListener, before: tuple[GateResult, ...] = ()
    ) -> Proof:
        self.built.append(subject.source)
        results = [
            GateResult(gate=gate, passed=True, seconds=0.5) for gate in (Gate.BUILD, Gate.VERIFY)
        ]
        for each in results:
            told.answered(each)
        return Proof((*before, *results), self._object, "ops")

    def make(self, **request: Any) -> Candidate:
        return asyncio.run(self.candidates.create(CandidateRequest(**request)))

    def refused(self, **request: Any) -> Fault:
        with pytest.raises(Fault) as caught:
            self.make(**request)
        return caught.value

    def entry(self, name: str, text: str) -> None:
        """A policy in the library of the state folder."""
        folder = self.state / "generated" / name
        folder.mkdir(parents=True)
        (folder / f"{name}.policy").write_text(text)
        (folder / "manifest.toml").write_text(
            f'name = "{name}"\nsummary = "s"\ndescription = "d"\nalgorithm = "a"\ntags = ["t"]\n'
            f'kind = "policy"\nsource = "{name}.policy"\norigin = "o"\nlicense = "MIT"\n'
        )


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


# ---------------------------------------------------------------- candidates


def test_a_line_becomes_a_proven_candidate(bench: Bench) -> None:
    """Its C is stored and passes the gates of a source, with the time of each."""
    made = bench.make(policy=LINE)
    assert made.kind is EntryKind.POLICY
    assert made.name.startswith("policy-")
    assert (made.policy, made.library) == (CANONICAL, "")
    assert [each.gate for each in made.proof.results] == [Gate.COMPILE, Gate.BUILD, Gate.VERIFY]
    assert all(each.seconds > 0 for each in made.proof.results)
    (source,) = bench.built
    assert source.name == f"{made.name}.bpf.c"
    assert CANONICAL in source.read_text()
    view = made.view()
    assert (view.kind, view.policy, view.proven) == ("policy", CANONICAL, True)
    assert [event.kind for event in bench.events] == [EventKind.GATE_PASSED] * 3


def test_the_same_policy_is_the_same_candidate(bench: Bench) -> None:
    """Different spellings have one name and one id, and are proven once."""
    first = bench.make(policy=LINE)
    again = bench.make(policy=f"  {CANONICAL} ;  # as before")
    assert again.id == first.id
    assert len(bench.built) == 1
    assert bench.make(policy="slice 4ms").id != first.id
    ruled = bench.make(policy='comm ~ "a*" { slice 1ms } ; * { slice 3000us }')
    assert bench.make(policy='comm~"a*"{slice 1000us};*{slice 3ms}').id == ruled.id
    assert len(bench.built) == 3


def test_the_sources_on_disk_are_bounded(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest go first, and a repeated request makes a candidate new."""
    monkeypatch.setattr(making, "MOST_SOURCES", 2)
    first, second = bench.make(policy="slice 1ms"), bench.make(policy="slice 2ms")
    for number, source in enumerate(bench.built):
        os.utime(source.parent, (number, number))
    bench.make(policy="slice 1ms", parameters={})
    bench.make(policy="slice 3ms")
    there = {each.name for each in (bench.state / "candidates").glob("*/*")}
    assert f"{first.name}.bpf.c" in there
    assert f"{second.name}.bpf.c" not in there
    assert len(there) == 2


def test_a_refused_policy_is_a_fault_with_its_column(bench: Bench) -> None:
    """An unreadable policy is neither stored nor built nor reported; the answer has the line with a
    caret."""
    fault = bench.refused(policy="slice fase")
    assert fault.type is FaultType.BAD_POLICY
    assert fault.where == "column 7"
    assert fault.details[0] == "slice fase"
    assert fault.details[1].rstrip() == "      ^"
    assert fault.hint
    assert bench.built == []
    assert not (bench.state / "candidates").exists()


def test_a_user_of_this_machine_can_be_named(bench: Bench) -> None:
    """User names and CPU numbers are checked against this machine."""
    assert bench.make(policy='user = "root" { slice 1ms }').proven
    fault = bench.refused(policy='user = "no-such-user-here" { slice 1ms }')
    assert fault.type is FaultType.BAD_POLICY
    assert bench.make(policy="* { cpus 0 }").proven
    assert bench.refused(policy="* { cpus 4000 }").type is FaultType.BAD_POLICY


def test_what_userspace_must_supply_goes_with_it(bench: Bench) -> None:
    """A selector that the kernel cannot see is on the candidate and on what is loaded."""
    made = bench.make(policy='cmd ~ "ffmpeg *" { slice 20ms }')
    (selector,) = made.facts.selectors
    assert (selector.field, selector.patterns) == ("cmd", ("ffmpeg *",))
    assert made.loadable().facts == made.facts
    assert bench.make(policy="order by expected_runtime desc").facts.expected_runtime
    assert bench.make(library="fifo").loadable().facts == PolicyFacts()


def test_the_parameters_of_a_policy_are_checked_and_live(bench: Bench) -> None:
    """Its parameters are those of its manifest, with units; each can be changed while it runs."""
    plain = bench.make(policy=LINE)
    assert plain.manifest is not None
    parameter = next(each for each in plain.manifest.params if each.when is When.LIVE)
    made = bench.make(policy=LINE, parameters={parameter.name: parameter.default})
    assert made.parameters == {parameter.name: parameter.default}
    assert made.id != plain.id
    live = {parameter.name: parameter.default}
    assert check_parameters(plain.manifest, live, live=True) == live
    fault = bench.refused(policy=LINE, parameters={"nonsense": 1})
    assert fault.type is FaultType.BAD_PARAMETER
    assert parameter.name in fault.hint


def test_use_configures_a_scheduler_of_the_library(bench: Bench) -> None:
    """The candidate is that of the named scheduler with these parameters."""
    used = bench.make(policy="use fifo slice_ns=3ms")
    assert (used.kind, used.library, used.policy) == (EntryKind.BPF, "fifo", "")
    assert used.parameters == {"slice_ns": 3_000_000}
    assert bench.make(library="fifo", parameters={"slice_ns": "3ms"}) is used
    other = bench.make(policy="use fifo slice_ns=3ms", parameters={"slice_ns": "4ms"})
    assert other.parameters == {"slice_ns": 4_000_000}
    assert bench.refused(policy="use fifoo").type is FaultType.UNKNOWN_SCHEDULER
    assert bench.refused(policy="use fifo slcie_ns=3ms").type is FaultType.BAD_PARAMETER


def test_use_configures_an_installed_scheduler(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A switch takes `true` as it is written; a program that is not installed is reported."""
    assert bench.refused(policy="use scx_lavd performance=true").type is FaultType.NOT_INSTALLED
    program = tmp_path / "bin" / "scx_lavd"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\nprintf '      --performance\\n      --slice-us <N>\\n'\n")
    program.chmod(0o755)
    monkeypatch.setattr("scheduler_library.external.PATH", f"{program.parent}:{os.defpath}")
    made = bench.make(policy="use scx_lavd performance=true slice_us=500")
    assert made.command == (str(program), "--performance", "--slice-us=500")
    assert made.proven
    given = bench.make(library="scx_lavd", parameters={"performance": True, "slice_us": "500"})
    assert given.id == made.id


def test_a_policy_of_the_library_is_used_by_its_name(bench: Bench) -> None:
    """A policy entry is compiled like a line, and keeps its name and tags."""
    bench.entry("calm", LINE + "\n")
    made = bench.make(library="calm")
    assert (made.kind, made.name, made.library) == (EntryKind.POLICY, "calm", "calm")
    assert (made.policy, made.tags) == (CANONICAL, ("t",))
    assert made.proven
    assert bench.make(policy="use calm").id == made.id


def test_policies_of_the_library_may_not_use_each_other_in_a_ring(bench: Bench) -> None:
    """`use` leads to a scheduler, or is refused."""
    bench.entry("one", "use two")
    bench.entry("two", "use one")
    fault = bench.refused(library="one")
    assert fault.type is FaultType.BAD_POLICY
    assert fault.why == "one uses two uses one"
    bench.entry("three", "use fifo slice_ns=2ms")
    assert bench.make(library="three").parameters == {"slice_ns": 2_000_000}


# ---------------------------------------------------------------- winners


class Prize:
    """A library for winners."""

    def __init__(self, state: Path) -> None:
        self.state = state
        self.events: list[Event] = []
        self.troubles: list[str] = []
        log = EventLog(self.events.append)
        self.episodes = Episodes(publish=log.append, on_change=lambda episode: None)
        self.catalog: Catalog = load_catalog(state)
        self.saved_policies = SavedPolicies(
            state=state,
            episodes=self.episodes,
            catalog=lambda: self.catalog,
            on_saved=self._saved,
            publish=log.append,
            on_trouble=self.troubles.append,
        )

    def _saved(self, entry: CatalogEntry) -> None:
        self.catalog = self.catalog.plus(entry)

    def trial(self, candidate: Candidate, change: TrialChange = TrialChange.KEPT) -> Trial:
        profile = ProfileView(workload="comm:redis", tags=["latency-sensitive", "short-bursts"])
        episode = self.episodes.begin_by_hand("comm:redis", "by hand", profile)
        self.events.clear()
        trial = Trial(
            id="t-0123",
            request=TrialRequest(candidate="c-0123", workload="comm:redis", episode=episode.id),
            candidate=candidate,
            objective=parse_objective("latency p99"),
            settings=TrialSettings(),
            before=None,
            at=NOW,
            ended=NOW + 60,
            reason="half the delay",
            verdict=VerdictView(
                decision=Decision.KEEP,
                ratio=0.5,
                low=0.4,
                high=0.6,
                confidence=0.95,
                gain=0.5,
                reason="half the delay",
                windows_baseline=2,
                windows_candidate=2,
            ),
        )
        trial.change(change)
        return trial

    def end(self, trial: Trial) -> None:
        asyncio.run(self.saved_policies.trial_ended(trial))

    @property
    def saved(self) -> list[Path]:
        folder = self.state / "generated"
        return sorted(folder.iterdir()) if folder.is_dir() else []


@pytest.fixture
def prize(tmp_path: Path) -> Prize:
    return Prize(tmp_path / "state")


@pytest.fixture
def winner(bench: Bench) -> Candidate:
    return bench.make(policy=LINE)


def test_a_kept_policy_is_saved_to_the_library(prize: Prize, winner: Candidate) -> None:
    """The winner is an entry like any other, with the workload it won on and its origin, and is
    found at once."""
    prize.end(prize.trial(winner))
    found = load_catalog(prize.state)
    assert found.warnings == ()
    entry = found.get(winner.name)
    assert entry.place is EntryPlace.GENERATED
    assert entry.policy() == CANONICAL
    manifest = entry.manifest
    assert (manifest.kind, manifest.params) == (EntryKind.POLICY, ())
    assert manifest.good_for == ("latency-sensitive", "short-bursts")
    assert "t-0123" in manifest.origin
    assert "half the delay" in manifest.description
    assert "comm:redis" in manifest.description
    assert prize.catalog.get(winner.name) == entry
    (event,) = prize.events
    assert (event.kind, event.scheduler) == (EventKind.SAVED, winner.name)
    assert CANONICAL in event.message
    assert prize.troubles == []


def test_only_policies_that_were_kept_are_saved(
    prize: Prize, bench: Bench, winner: Candidate
) -> None:
    """A policy that was rolled back, a scheduler in C and an existing entry are not saved."""
    prize.end(prize.trial(winner, TrialChange.ROLLED_BACK))
    prize.end(prize.trial(bench.make(library="fifo")))
    prize.end(prize.trial(replace(winner, library=winner.name)))
    assert prize.saved == []
    assert prize.events == []


def test_a_winner_that_is_loaded_later_is_saved_then(prize: Prize, winner: Candidate) -> None:
    """A trial that puts everything back (`tune`) saves nothing; loading its winner does."""
    asyncio.run(prize.saved_policies.held(winner))
    assert prize.saved == []
    prize.end(prize.trial(winner, TrialChange.ROLLED_BACK))
    asyncio.run(prize.saved_policies.held(winner))
    assert [each.name for each in prize.saved] == [winner.name]


def test_an_entry_is_never_overwritten(prize: Prize, winner: Candidate) -> None:
    """An existing folder of that name stays unchanged, whether it is an entry or not."""
    folder = prize.state / "generated" / winner.name
    folder.mkdir(parents=True)
    (folder / "precious").write_text("x")
    prize.end(prize.trial(winner))
    assert [each.name for each in folder.iterdir()] == ["precious"]
    assert prize.events == []
    (trouble,) = prize.troubles
    assert "could not be saved" in trouble


def test_a_second_win_changes_nothing(prize: Prize, winner: Candidate) -> None:
    """The first entry stays, and nothing is reported."""
    prize.end(prize.trial(winner))
    (before,) = ((each / "manifest.toml").read_text() for each in prize.saved)
    prize.end(replace(prize.trial(winner), id="t-9999"))
    (after,) = ((each / "manifest.toml").read_text() for each in prize.saved)
    assert after == before
    assert prize.troubles == []


def test_the_library_does_not_grow_without_bounds(
    prize: Prize, winner: Candidate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full library is reported, and nothing is removed for the new entry."""
    monkeypatch.setattr(saving, "MOST_SAVED", 2)
    for name in ("one", "two"):
        (prize.state / "generated" / name).mkdir(parents=True)
    prize.end(prize.trial(winner))
    assert [each.name for each in prize.saved] == ["one", "two"]
    assert "2 entries" in prize.troubles[0]


def test_a_folder_that_cannot_be_written_is_trouble_and_no_failure(
    prize: Prize, winner: Candidate
) -> None:
    """The trial has ended and stays as it ended."""
    prize.state.mkdir()
    (prize.state / "generated").write_text("in the way")
    trial = prize.trial(winner)
    prize.end(trial)
    assert trial.state is TrialState.KEPT
    assert len(prize.troubles) == 1
    assert prize.events == []


def test_what_an_interrupted_saving_left_is_cleared_away(prize: Prize, winner: Candidate) -> None:
    """A draft is never an entry, and the next save removes it; nothing else remains."""
    draft = prize.state / "generated" / ".new-x" / winner.name
    draft.mkdir(parents=True)
    assert winner.name not in load_catalog(prize.state).entries
    prize.end(prize.trial(winner))
    (folder,) = prize.saved
    assert sorted(each.name for each in folder.iterdir()) == [
        "manifest.toml",
        f"{winner.name}.policy",
    ]
    assert all(stat.S_IMODE(each.stat().st_mode) & 0o022 == 0 for each in folder.iterdir())


def test_hostile_words_of_a_workload_are_harmless_in_a_manifest(
    prize: Prize, winner: Candidate
) -> None:
    """A name that is not text, or that would end a string, is escaped so that the file can be
    parsed."""
    trial = prize.trial(winner)
    trial.reason = 'x"\n[[params]]\nname = "y"\udc80\x1b[31m'
    prize.end(trial)
    assert prize.troubles == []
    entry = load_catalog(prize.state).get(winner.name)
    assert entry.manifest.params == ()
    assert "\\x80\\x1b[31m" in entry.manifest.description


# ---------------------------------------------------------------- the daemon


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[running.Running]:
    if sysfs.read().supported:
        pytest.skip("this kernel has sched_ext: tests/daemon/test_policy_lab.py is for such")
    place = running.Place(tmp_path_factory.mktemp("daemon"))
    folder = place.state / "generated" / "calm"
    folder.mkdir(parents=True)
    (folder / "calm.policy").write_text(LINE)
    (folder / "manifest.toml").write_text(
        'name = "calm"\nsummary = "s"\ndescription = "d"\nalgorithm = "a"\nkind = "policy"\n'
        'source = "calm.policy"\norigin = "o"\nlicense = "MIT"\n'
    )
    with running.running(place) as daemon:
        yield daemon


def test_a_client_gets_the_fault_as_the_compiler_raised_it(daemon: running.Running) -> None:
    """The place, the caret and the hint arrive through the socket."""
    with daemon.control() as client, pytest.raises(Fault) as caught:
        client.create_candidate(CandidateRequest(policy="slice 3ms; slice fase"))
    fault = caught.value
    assert (fault.type, fault.where) == (FaultType.BAD_POLICY, "column 18")
    assert fault.details[1].index("^") == fault.details[0].index("fase")
    assert fault.hint


def test_a_sound_policy_meets_the_gates_of_the_daemon(daemon: running.Running) -> None:
    """It comes as far as a library scheduler does on such a kernel: it is not built for it."""
    for request in (CandidateRequest(policy=LINE), CandidateRequest(library="calm")):
        with daemon.control() as client:
            view = client.create_candidate(request)
        assert [each.gate for each in view.gates] == [Gate.COMPILE, Gate.STATIC, Gate.BUILD]
        assert "sched_ext" in view.gates[-1].skipped
        assert not view.proven


def test_the_library_shows_the_line_of_a_policy(daemon: running.Running) -> None:
    """Its text, and the parameters that follow from it, all of them live."""
    with daemon.observe() as client:
        assert {each.kind for each in client.library() if each.name == "calm"} == {"policy"}
        detail = client.scheduler("calm")
    assert detail.policy == LINE
    assert detail.parameters
    assert {each.when for each in detail.parameters} == {"live"}
