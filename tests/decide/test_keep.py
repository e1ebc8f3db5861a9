# SPDX-License-Identifier: GPL-2.0-or-later
"""What happens to a kept scheduler after a start, case by case."""

from dataclasses import replace

import pytest

from daemon.api.models import Autonomy, Limitation
from daemon.decide.keep import (
    FREE_RESTORES,
    RESTORES_WITHIN_S,
    AfterReboot,
    KeptAction,
    KeptFacts,
    KeptProof,
    decide,
    restore_pause,
)
from daemon.decide.settings import LimitSettings

PROVEN = KeptProof()
OTHER_OBJECT = KeptProof(same_object=False)
OTHER_SOURCE = KeptProof(same_candidate=False, same_object=False)
# The daemon started again in the same run of the machine, and the gates pass the scheduler.
AGAIN = KeptFacts(proof=PROVEN)
REBOOTED = replace(AGAIN, same_boot=False)
OTHER_KERNEL = replace(REBOOTED, same_kernel=False)
LIMIT = Limitation(reason="too much trouble", until=5.0)

TRIAL, LOAD, NO = AfterReboot.TRIAL, AfterReboot.LOAD, AfterReboot.NO


@pytest.mark.parametrize(
    ("facts", "setting", "action", "said"),
    [
        # A restart of the daemon alone.
        (replace(AGAIN, proof=None), TRIAL, KeptAction.PROVE, "gates"),
        (AGAIN, TRIAL, KeptAction.PUT_BACK, "kernel and object are the same"),
        (AGAIN, LOAD, KeptAction.PUT_BACK, "the same"),
        (AGAIN, NO, KeptAction.PUT_BACK, "the same"),
        (replace(AGAIN, proof=OTHER_OBJECT), LOAD, KeptAction.TRIAL, "not the object"),
        (replace(AGAIN, proof=OTHER_SOURCE), LOAD, KeptAction.TRIAL, "source is not the one"),
        # A reboot, by each setting.
        (replace(REBOOTED, proof=None), TRIAL, KeptAction.PROVE, "gates"),
        (REBOOTED, TRIAL, KeptAction.TRIAL, "booted again"),
        (REBOOTED, LOAD, KeptAction.PUT_BACK, '"load"'),
        (REBOOTED, NO, KeptAction.FORGET, '"no"'),
        (replace(REBOOTED, proof=OTHER_OBJECT), LOAD, KeptAction.TRIAL, "not the object"),
        (replace(REBOOTED, proof=OTHER_SOURCE), LOAD, KeptAction.TRIAL, "source"),
        # Another kernel is proven anew, whatever the setting.
        (replace(OTHER_KERNEL, proof=None), TRIAL, KeptAction.PROVE, "another kernel"),
        (replace(OTHER_KERNEL, proof=None), LOAD, KeptAction.PROVE, "another kernel"),
        (OTHER_KERNEL, TRIAL, KeptAction.TRIAL, "another kernel, for which"),
        (OTHER_KERNEL, LOAD, KeptAction.PUT_BACK, "passed it anew"),
        (OTHER_KERNEL, NO, KeptAction.FORGET, '"no"'),
        (replace(OTHER_KERNEL, proof=OTHER_OBJECT), LOAD, KeptAction.PUT_BACK, "anew"),
        (replace(OTHER_KERNEL, proof=OTHER_SOURCE), LOAD, KeptAction.TRIAL, "source"),
        (replace(AGAIN, same_kernel=False), LOAD, KeptAction.PUT_BACK, "kernel is another"),
        (replace(AGAIN, same_kernel=False), TRIAL, KeptAction.TRIAL, "kernel is another"),
        # The machine went down under it.
        (replace(REBOOTED, crashes=1), LOAD, KeptAction.TRIAL, "had gone down"),
        (replace(REBOOTED, crashes=2), LOAD, KeptAction.FORGET, "2 times in a row"),
        (replace(REBOOTED, crashes=2), TRIAL, KeptAction.FORGET, "2 times in a row"),
        # The gates.
        (replace(AGAIN, proof=KeptProof(refused="verify: no")), LOAD, KeptAction.FORGET, "verify"),
        (replace(AGAIN, proof=KeptProof(hindered="no clang")), LOAD, KeptAction.WAIT, "no clang"),
        # What ended it for good, and what only delays it.
        (replace(AGAIN, quarantined="a stall"), LOAD, KeptAction.FORGET, "quarantine: a stall"),
        (replace(AGAIN, supported=False), LOAD, KeptAction.WAIT, "no sched_ext"),
        (replace(AGAIN, foreign="scx_flash"), LOAD, KeptAction.WAIT, "scx_flash"),
        (replace(AGAIN, loaded="fifo"), LOAD, KeptAction.WAIT, "fifo runs now"),
        (replace(AGAIN, busy="trial t-1"), LOAD, KeptAction.WAIT, "trial t-1"),
        (replace(AGAIN, advice_only=LIMIT), LOAD, KeptAction.WAIT, "too much trouble"),
        (replace(AGAIN, pause=LIMIT), LOAD, KeptAction.WAIT, "too much trouble"),
        (replace(AGAIN, cooldown=LIMIT), LOAD, KeptAction.PUT_BACK, "the same"),
        (replace(REBOOTED, cooldown=LIMIT), TRIAL, KeptAction.WAIT, "too much trouble"),
        (
            replace(REBOOTED, workload="comm:a", baseline=False),
            TRIAL,
            KeptAction.WAIT,
            "until comm:a has been seen",
        ),
        (replace(REBOOTED, baseline=False), LOAD, KeptAction.PUT_BACK, '"load"'),
        # What the operator lets the daemon do.
        (replace(AGAIN, autonomy=Autonomy.OBSERVE), LOAD, KeptAction.WAIT, "observe"),
        (
            replace(AGAIN, autonomy=Autonomy.OBSERVE, by_hand=True),
            LOAD,
            KeptAction.PUT_BACK,
            "the same",
        ),
        (
            replace(REBOOTED, autonomy=Autonomy.OBSERVE, by_hand=True),
            TRIAL,
            KeptAction.WAIT,
            "tries nothing",
        ),
        (replace(AGAIN, autonomy=Autonomy.ASK), LOAD, KeptAction.PUT_BACK, "the same"),
        (replace(REBOOTED, autonomy=Autonomy.ASK), TRIAL, KeptAction.TRIAL, "booted again"),
    ],
)
def test_the_decision_and_its_reason(
    facts: KeptFacts, setting: AfterReboot, action: KeptAction, said: str
) -> None:
    """Each situation has one answer, which says why."""
    found = decide(facts, setting)
    assert found.action is action
    assert said in found.reason


def test_nothing_is_loaded_or_tried_without_a_proof_of_this_run() -> None:
    """Whatever the setting and the kernel, the gates come first."""
    for facts in (AGAIN, REBOOTED, OTHER_KERNEL):
        for setting in AfterReboot:
            action = decide(replace(facts, proof=None), setting).action
            assert action in (KeptAction.PROVE, KeptAction.FORGET)


def test_a_wait_that_ends_says_when() -> None:
    """The end of a limitation is passed on."""
    assert decide(replace(AGAIN, pause=LIMIT), LOAD).until == LIMIT.until


def test_the_pause_doubles_with_each_time_it_was_put_back() -> None:
    """The first restarts wait for nothing; a daemon that keeps dying waits longer each time."""
    limits = LimitSettings(cooldown_s=30.0)
    restored: list[float] = []
    waits = []
    now = 1000.0
    for _ in range(5):
        pause = restore_pause(restored, now, limits)
        waits.append(pause.until - now if pause else 0.0)
        now += waits[-1]
        restored.append(now)
    assert waits == [0, 0, 30, 60, 120]
    assert FREE_RESTORES == 2


def test_what_was_long_ago_does_not_count() -> None:
    """Nor does a time that has not come yet: the clock may have been set."""
    limits = LimitSettings()
    long_ago = [0.0] * 9
    assert restore_pause(long_ago, RESTORES_WITHIN_S + 1, limits) is None
    assert restore_pause([9e9] * 9, 1000.0, limits) is None
