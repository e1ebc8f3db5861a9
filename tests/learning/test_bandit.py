# SPDX-License-Identifier: GPL-2.0-or-later
"""Beliefs: what changes them, how far, and for how long."""

import pytest

from scheduler_library.learning.bandit import (
    PRIOR_DEVIATION,
    BanditArm,
    BanditObservation,
    Belief,
    ObservationKind,
    believe,
)
from scheduler_library.learning.context import Context, closeness, likeness, similarity
from scheduler_library.learning.templates import shape

NOW = 1_800_000_000.0
DAY = 86400.0
TAGS = ("latency-sensitive", "short-bursts")
WEB = Context(TAGS, TAGS, {"mean_burst_us": 300.0, "wakeups_per_s": 800.0}, "comm:web")
LATENCY = BanditArm("latency", good_for=("latency-sensitive",), bad_for=("batch",))


def seen(gain: float, **fields: object) -> BanditObservation:
    plain: dict[str, object] = {
        "scheduler": "latency",
        "at": NOW,
        "gain": gain,
        "kept": gain > 0,
        "tags": TAGS,
        "figures": WEB.figures,
        "workload": "comm:web",
    }
    return BanditObservation(**(plain | fields))  # type: ignore[arg-type]


def believed(
    *observed: BanditObservation, arm: BanditArm = LATENCY, context: Context = WEB
) -> Belief:
    return believe(arm, context, observed, NOW)


def test_without_observations_the_page_is_all_there_is() -> None:
    """Without observations, the words that manifest and workload share make the prior, good and
    bad."""
    assert believed().mean == pytest.approx(0.15)
    assert believed().deviation == pytest.approx(PRIOR_DEVIATION)
    assert believed(context=Context(("batch",))).mean < 0
    assert believed().words == ("latency-sensitive",)


def test_each_verdict_moves_the_mean_and_narrows_the_interval() -> None:
    """The posterior lies between prior and observations, and has a narrower interval than
    either."""
    one, three = believed(seen(0.4)), believed(seen(0.4), seen(0.4), seen(0.4))
    assert 0.15 < one.mean < three.mean < 0.4
    assert PRIOR_DEVIATION > one.deviation > three.deviation
    assert (three.observations, three.kept) == (3, 3)
    assert three.chance() > 0.99


def test_a_verdict_with_a_wide_interval_counts_less() -> None:
    """The noise of an observation is at least the width of its own interval."""
    assert believed(seen(0.5, deviation=0.3)).mean < believed(seen(0.5)).mean


def test_other_workloads_count_for_little_however_many_they_are() -> None:
    """The workload's own bad verdict outweighs ten good ones from others; without it, those
    help."""
    elsewhere = [seen(0.5, workload=f"comm:w{number}") for number in range(10)]
    assert believed(*elsewhere).mean > believed().mean
    assert believed(*elsewhere, seen(-0.4, kept=False)).mean < believed().mean


def test_an_observation_ages() -> None:
    """Old verdicts lose weight, and failures lose it sooner, because failures get fixed."""
    fresh, old = believed(seen(0.5)), believed(seen(0.5, at=NOW - 90 * DAY))
    assert fresh.mean > old.mean > believed().mean
    held = BanditObservation("latency", NOW, ObservationKind.QUARANTINE)
    later = BanditObservation("latency", NOW - 30 * DAY, ObservationKind.QUARANTINE)
    assert believed(held).mean < believed(later).mean < believed().mean


def test_failures_are_remembered_on_every_workload() -> None:
    """If the kernel ejected a scheduler, it is expected to fail on every workload; failing a gate
    weighs less."""
    thrown = believed(BanditObservation("latency", NOW, ObservationKind.QUARANTINE))
    stopped = believed(BanditObservation("latency", NOW, ObservationKind.GATE))
    assert thrown.mean < stopped.mean < believed().mean
    assert (thrown.failures, thrown.mean < 0) == (1, True)


def test_a_line_learns_from_the_same_line_with_another_name() -> None:
    """Lines of one shape share their measurements; other lines do not."""
    line = 'comm = "web" { latency }; * { slice 3ms }'
    other = 'comm = "db" { latency }; * { slice 3ms }'
    assert shape(line) == shape(other)
    arm = BanditArm("policy-1", shape=shape(line))
    same = seen(0.4, scheduler="policy-2", shape=shape(other), workload="comm:db")
    assert believed(same, arm=arm).mean > believed(arm=arm).mean
    strange = seen(0.4, scheduler="policy-3", shape=shape("slice 3ms"))
    assert believed(strange, arm=arm) == believed(arm=arm)


def test_one_absurd_ratio_does_not_decide() -> None:
    """A measured gain counts as one half at most."""
    assert believed(seen(40.0)).mean == believed(seen(0.5)).mean


def test_likeness_is_of_tags_figures_and_the_workload_itself() -> None:
    """Tags count first, then the figures; the same workload is always close to itself."""
    assert similarity(("a", "b"), ("b", "c")) == pytest.approx(1 / 3)
    assert closeness({"mean_burst_us": 100.0}, {"mean_burst_us": 100.0}) == 1.0
    near = likeness(WEB, TAGS, {"mean_burst_us": 330.0})
    far = likeness(WEB, TAGS, {"mean_burst_us": 30_000.0})
    assert 1.0 > near > far >= 0.5
    assert likeness(WEB, ("batch",), {}, "comm:web") == 0.8
    assert likeness(WEB, TAGS, WEB.figures, "comm:db") == 0.7
    assert likeness(WEB, ("batch",), {}, "comm:db") == 0.0
