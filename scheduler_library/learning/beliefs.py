# SPDX-License-Identifier: GPL-2.0-or-later
"""All options to try on a workload, with the belief about each. Pure.

The options are the library's entries and the policy lines that fit such a workload.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from scheduler_library.catalog import CatalogEntry, EntryPlace
from scheduler_library.learning.bandit import BanditArm, BanditObservation, Belief, believe, warning
from scheduler_library.learning.context import Context
from scheduler_library.learning.fitting import parameters_for
from scheduler_library.learning.leading_metric import DELAY_WEIGHT
from scheduler_library.learning.templates import Template, bad_for, selector, shape
from scheduler_library.manifest import EntryKind
from scheduler_library.parameters import Value

# The factor for a line that nobody tried here yet, relative to a scheduler of the library.
LINE_TRUST = 0.75


@dataclass(frozen=True)
class TrialOption:
    """One option to try.

    `refused` is the reason why it cannot be tried here, `warned` why it should not be unless a
    person wants it; both may be empty.
    """

    name: str
    kind: EntryKind
    belief: Belief
    parameters: Mapping[str, Value] = field(default_factory=dict)
    policy: str = ""
    refused: str = ""
    warned: str = ""


@dataclass(frozen=True)
class NamedTemplate:
    """A template, with its name as a scheduler."""

    template: Template
    name: str


class _Seen:
    """Observations by their subject: there may be thousands of them, and hundreds of arms."""

    def __init__(self, observed: Iterable[BanditObservation]) -> None:
        self._by_name: dict[str, list[BanditObservation]] = {}
        self._by_shape: dict[str, list[BanditObservation]] = {}
        for each in observed:
            self._by_name.setdefault(each.scheduler, []).append(each)
            if each.shape:
                self._by_shape.setdefault(each.shape, []).append(each)

    def of(self, name: str, shape: str = "") -> list[BanditObservation]:
        """Those about a scheduler, and about lines of its shape."""
        alike = self._by_shape.get(shape, []) if shape else []
        return self._by_name.get(name, []) + [each for each in alike if each.scheduler != name]


def options(
    entries: Iterable[CatalogEntry],
    lines: Iterable[NamedTemplate],
    context: Context,
    observed: Iterable[BanditObservation],
    now: float,
    *,
    installed: Callable[[CatalogEntry], bool],
    policy_of: Callable[[CatalogEntry], str],
) -> list[TrialOption]:
    """All of them, the most promising first.

    Args:
        policy_of: the text of an entry of kind policy, empty for every other.
    """
    seen = _Seen(observed)
    found = []
    names = set()
    for entry in entries:
        names.add(entry.name)
        text = policy_of(entry)
        manifest = entry.manifest
        own = manifest.params if manifest.kind is EntryKind.BPF else ()
        arm = BanditArm(
            entry.name,
            manifest.good_for,
            (*manifest.bad_for, *bad_for(text, context.tags)) if text else manifest.bad_for,
            manifest.tags,
            parameters_for(entry.name, own, context, seen.of(entry.name)),
            shape(text) if text else "",
        )
        refused = "" if installed(entry) else "not installed"
        if not refused and manifest.layers:
            refused = "it needs layers, which an operator or a policy writes"
        if not refused and text and not _meant(entry, text, context.workload):
            refused = "it names another workload"
        belief = believe(arm, context, seen.of(arm.name, arm.shape), now)
        found.append(
            TrialOption(
                entry.name,
                manifest.kind,
                belief,
                arm.parameters,
                refused=refused,
                warned=warning(belief, context),
            )
        )
    for line in lines:
        if line.name in names:
            continue
        template = line.template
        arm = BanditArm(
            line.name,
            template.tags,
            template.against,
            shape=shape(template.policy),
            trust=LINE_TRUST,
        )
        belief = believe(arm, context, seen.of(arm.name, arm.shape), now)
        found.append(
            TrialOption(
                line.name,
                EntryKind.POLICY,
                belief,
                policy=template.policy,
                warned=warning(belief, context),
            )
        )
    return sorted(found, key=lambda each: (bool(each.refused), -each.belief.mean, each.name))


def _meant(entry: CatalogEntry, text: str, workload: str) -> bool:
    """Whether a generated policy may be meant for this workload: it selects nobody by name, or this
    one.
    """
    if entry.place is not EntryPlace.GENERATED or shape(text) == " ".join(text.split()):
        return True
    chosen = selector(workload)
    return chosen is not None and chosen in text


def why(belief: Belief) -> list[str]:
    """The evidence behind a belief, for people."""
    said = []
    if belief.words:
        said.append(f"its page says it is good for {', '.join(belief.words)}")
    if belief.against:
        said.append(f"its page says it is bad for {', '.join(belief.against)}")
    verdicts = belief.observations - belief.failures
    if verdicts:
        said.append(
            f"{verdicts} verdict{'s' if verdicts > 1 else ''} on workloads like this, "
            f"{belief.kept} kept; together they count for {belief.weight:.1f}"
        )
    if belief.outdated:
        said.append(
            f"{belief.outdated} of them judged by run-queue delay, which counts for "
            f"{DELAY_WEIGHT:.0%}: it says little about how long anybody waits for an answer"
        )
    if belief.failures:
        said.append(f"stopped by a gate or ejected {belief.failures} times, which is remembered")
    return said or ["nothing is known about it on such workloads"]


__all__ = ["NamedTemplate", "TrialOption", "options", "why"]
