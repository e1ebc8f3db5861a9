# SPDX-License-Identifier: GPL-2.0-or-later
"""Policies in the real daemon on a real sched_ext kernel; played in the lab by test_policy_lab.py.

    python -m tests.daemon.guest_policy

Prints what was seen as one line of JSON; the tests judge it.
"""

import json
import shutil
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from daemon.api.models import (
    CandidateRequest,
    CandidateView,
    EventKind,
    ParametersRequest,
    PreparedState,
    RollbackRequest,
    TrialRequest,
)
from process import Fault
from scheduler_library.policy.compiler import CompiledPolicy
from scheduler_library.this_machine import compile_here
from tests.daemon.guest_faults import TABLES, Seen, Stage, answers, busy, fault_of
from tests.daemon.running import EVENT_S, Place, Running, running

# The guest is ours alone.
PLACE = Path("/var/tmp/policy")  # noqa: S108
LINE = 'comm ~ "sh" { slice 1ms } ; * { slice 3000us }'


def propose(stage: Stage, **request: Any) -> CandidateView:
    return stage.client.create_candidate(CandidateRequest(**request))


def compiled() -> CompiledPolicy:
    """The line, compiled here as the daemon does it."""
    found = compile_here(LINE)
    assert isinstance(found, CompiledPolicy)
    return found


def refused(stage: Stage) -> Seen:
    return fault_of(lambda: propose(stage, policy="slice fase"))


def held(stage: Stage) -> Seen:
    """A line passes its gates and is held under load, while one of its numbers changes."""
    view = propose(stage, policy=LINE)
    seen: Seen = {"view": view.model_dump(mode="json")}
    parameter = next(each for each in compiled().manifest.params if "slice" in each.name)
    seen["parameter"] = [parameter.name, parameter.max]
    with busy():
        stage.hold(view.id)
        seen["held"] = stage.status()
        request = ParametersRequest(parameters={parameter.name: parameter.max or 0})
        seen["set"] = stage.client.set_parameters(request).model_dump(mode="json")
        wrong = ParametersRequest(parameters={"nonsense": 1})
        seen["unknown"] = fault_of(lambda: stage.client.set_parameters(wrong))
        seen["answers_s"] = answers()
        seen["after"] = stage.status()
    stage.calm()
    return seen


def won(stage: Stage) -> Seen:
    """A policy wins a trial, and is an entry of the library from then on."""
    number = stage.daemon.last_event()
    view = propose(stage, policy=LINE)
    trial = stage.fed(view.id, better=True)
    seen: Seen = {"trial": trial.model_dump(mode="json")}
    saved = stage.daemon.until(EventKind.SAVED, number)
    seen["saved"] = saved.model_dump(mode="json")
    seen["detail"] = stage.client.scheduler(view.name).model_dump(mode="json")
    stage.calm()
    return seen


def by_name(stage: Stage) -> Seen:
    """After a restart: the saved policy, loaded by its name."""
    view = propose(stage, library=compiled().name)
    stage.hold(view.id)
    seen: Seen = {"view": view.model_dump(mode="json"), "held": stage.status()}
    stage.calm()
    return seen


def ready(stage: Stage) -> str:
    """Wait for a scheduler that is proven ahead; its name."""
    deadline = time.monotonic() + EVENT_S
    while time.monotonic() < deadline:
        view = stage.client.status().preparation
        for each in view.schedulers if view else []:
            if each.state is PreparedState.PROVEN and not each.policy:
                return each.name
        time.sleep(0.2)
    raise TimeoutError(f"nothing is proven ahead: {stage.client.status().preparation}")


def prepared(stage: Stage) -> Seen:
    """A scheduler that was proven ahead goes into its trial without any compilation."""
    name = ready(stage)
    number = stage.daemon.last_event()
    view = propose(stage, library=name)
    trial = stage.client.start_trial(TrialRequest(candidate=view.id))
    stage.daemon.until(EventKind.TRIAL_STARTED, number)
    told = [each.kind.value for each in stage.daemon.events(number)]
    stage.client.rollback(RollbackRequest(reason="seen"))
    return {
        "name": name,
        "view": view.model_dump(mode="json"),
        "trial": trial.model_dump(mode="json"),
        "told": told,
    }


def remembered(stage: Stage) -> Seen:
    """After a restart on a fully loaded machine, the same scheduler is ready."""
    with busy():
        name = ready(stage)
        view = propose(stage, library=name)
    return {"name": name, "view": view.model_dump(mode="json")}


def played(daemon: Running, act: Callable[[Stage], Seen]) -> Seen:
    """What a scene saw, or what stopped it."""
    stage = Stage(daemon)
    try:
        return act(stage)
    except Exception as trouble:  # noqa: BLE001 - the tests show it
        report = trouble.report() if isinstance(trouble, Fault) else traceback.format_exc()
        return {"trouble": f"{report}\nthe daemon said:\n{daemon.said()[-4000:]}"}
    finally:
        stage.client.close()


def main() -> None:
    shutil.rmtree(PLACE, ignore_errors=True)
    place = Place(PLACE, TABLES)
    with running(place) as daemon:
        scenes = {"refused": refused, "held": held, "won": won}
        seen = {name: played(daemon, act) for name, act in scenes.items()}
    with running(place) as daemon:
        seen["by_name"] = played(daemon, by_name)
    place.tables = {**TABLES, "prepare": {"enabled": True}}
    with running(place) as daemon:
        seen["prepared"] = played(daemon, prepared)
    with running(place) as daemon:
        seen["remembered"] = played(daemon, remembered)
    print(json.dumps(seen), flush=True)


if __name__ == "__main__":
    main()
