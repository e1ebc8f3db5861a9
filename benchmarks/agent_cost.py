# SPDX-License-Identifier: GPL-2.0-or-later
"""What an episode of the Claude agent costs: tokens in and out, calls, and time without the model.

    python -m benchmarks.agent_cost

The model is a script on loopback (tests/agent/scripted_anthropic.py) that counts characters / 4 as
tokens. The machine is a busy fake (tests/mcp/rich.py). Agent, SDK and MCP server are real.
`decided_s` is the time from the degradation to the start of the first trial (or the end of an
episode without one), without the time of the model itself.
"""

import asyncio
import statistics
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from daemon.api.models import (
    EpisodeView,
    EventKind,
    SchedulerView,
    SignalsView,
    StatusView,
    WorkloadProfileView,
)
from tests.agent.claude_agent import (
    CHECKS,
    EFFECT,
    LEARNS,
    Agent,
    whole_agent,
)
from tests.agent.machine import Machine
from tests.agent.scripted_anthropic import Says, Scripted, Use
from tests.mcp.rich import RichMachine

REPEATS = 5
WRONG = Says("", [Use("check_candidate", {"policy": "slice fase 3ms"})])
# Scripted episodes by name, from the simplest.
SCRIPTS: Mapping[str, Sequence[Scripted]] = {
    "nothing to do": (Says("It waits for its disk; no scheduler changes that."),),
    "one line, kept": (CHECKS, LEARNS),
    "a line refused, mended, kept": (WRONG, CHECKS, LEARNS),
    "looks twice, then a line, kept": (
        Says("", [Use("get_history"), Use("get_signals")]),
        Says("", [Use("get_scheduler", {"name": "latency"})]),
        CHECKS,
        LEARNS,
    ),
    "rolled back, then stops": (
        Says("", [Use("check_candidate", {"library": "batch"})]),
        Says("Worse; what runs is better."),
        LEARNS,
    ),
}


class BusyMachine(Machine):
    """A machine that can be tuned and shows as much as the rich one."""

    def __init__(self) -> None:
        super().__init__(EFFECT)
        self._rich = RichMachine()

    async def status(self) -> StatusView:
        ours = await super().status()
        kept = ("autonomy", "kernel", "loaded", "trial", "pid", "since", "version")
        nothing: dict[str, object] = {
            "advice_only": None,
            "cooldown": None,
            "foreign": "",
            "quarantine": [],
        }
        theirs = await self._rich.status()
        return theirs.model_copy(update={**{name: getattr(ours, name) for name in kept}, **nothing})

    async def workload_profile(self, id: str) -> WorkloadProfileView:
        return await self._rich.workload_profile(id)

    async def library(self, query: str, workload: str = "") -> list[SchedulerView]:
        return await self._rich.library(query, workload)

    async def signals(self, workload: str, last_s: float) -> SignalsView:
        return await self._rich.signals(workload, last_s)


@contextmanager
def _agent() -> Iterator[Agent]:
    """One started agent, as its unit starts it."""
    with (
        tempfile.TemporaryDirectory(prefix="schedpilot-agent-") as place,
        whole_agent(Path(place), BusyMachine(), timeout_s=60.0) as agent,
    ):
        agent.episode(*SCRIPTS["nothing to do"])
        yield agent


def _decided_s(agent: Agent, episode: EpisodeView) -> float:
    events = agent.served.machine.log.recorded(0)
    ends = (EventKind.TRIAL_STARTED, EventKind.EPISODE_CLOSED)
    mine = [each for each in events if each.episode == episode.id]
    opened = next(each.at for each in mine if each.kind is EventKind.EPISODE_OPENED)
    return next(each.at for each in mine if each.kind in ends) - opened


def measure() -> dict[str, object]:
    """The figures of each script, by its name."""
    found: dict[str, object] = {}
    with _agent() as agent:
        for name, script in SCRIPTS.items():
            views, decided, model = [], [], []
            for _ in range(REPEATS):
                before = agent.model.seconds
                view = agent.episode(*script)
                assert view.advisor == "claude", view.outcome
                views.append(view)
                model.append(agent.model.seconds - before)
                decided.append(_decided_s(agent, view))
            cost = views[-1].cost
            found[name] = {
                "calls": cost.calls,
                "input_tokens": cost.input_tokens,
                "output_tokens": cost.output_tokens,
                "money": round(cost.money, 4),
                "decided_s": round(statistics.median(decided) - statistics.median(model), 3),
            }
    return found


async def measure_beside() -> dict[str, object]:
    """The same beside a running loop, for `python -m benchmarks`."""
    return await asyncio.to_thread(measure)


def main() -> None:
    print(f"{'calls':>6} {'in':>7} {'out':>5} {'money':>7} {'decided_s':>9}")
    for name, row in measure().items():
        assert isinstance(row, dict)
        print(
            f"{row['calls']:6} {row['input_tokens']:7} {row['output_tokens']:5} "
            f"{row['money']:7.4f} {row['decided_s']:9.3f}  {name}"
        )


if __name__ == "__main__":
    main()
