# SPDX-License-Identifier: GPL-2.0-or-later
"""What an advisor hears before it proposes anything; unknown facts are left out."""

from daemon.api.models import (
    Autonomy,
    Direction,
    EpisodeState,
    EpisodeView,
    GuardView,
    KernelView,
    ObjectiveView,
    ProfileView,
    SignalPoint,
    StatusView,
    WorkloadView,
)
from daemon.api.situation import Facts, told

WORKLOAD = "comm:web"


def status(**others: object) -> StatusView:
    given = {
        "version": "1",
        "pid": 1,
        "since": 0.0,
        "autonomy": Autonomy.AUTO,
        "kernel": KernelView(supported=True),
        **others,
    }
    return StatusView.model_validate(given)


def episode(**others: object) -> EpisodeView:
    given = {"id": "e-0001", "state": EpisodeState.OPEN, "at": 1.0, "workload": WORKLOAD, **others}
    return EpisodeView.model_validate(given)


def point(cpus: float = 0.5, scheduler: str = "", response_p99_us: float = 0.0) -> SignalPoint:
    return SignalPoint(
        at=1.0,
        delay_p50_us=1,
        delay_p99_us=2,
        slice_mean_us=3,
        run_share=cpus,
        wakeups_per_s=1,
        involuntary_per_s=1,
        migrations_per_s=1,
        scheduler=scheduler,
        response_p99_us=response_p99_us,
    )


def test_nothing_known_is_nothing_said() -> None:
    """No line without a fact."""
    assert told(Facts(episode(), status())) == []


def test_the_objective_has_its_value_now() -> None:
    """The value is from the intervals under what runs now, and a measurement's value is the posted
    one."""
    before = [point(response_p99_us=900_000)] * 5
    now = [
        point(scheduler="latency", response_p99_us=value * 1e3) for value in (10, 12, 14, 16, 18)
    ]
    said = told(Facts(episode(objective="response p99 < 20ms"), status(), points=[*before, *now]))
    assert said == [
        "Trials are judged by response p99 < 20ms of this workload. "
        "Now: response p99 14 ms (half of the time 11–17 ms)."
    ]
    posted = ObjectiveView(
        workload=WORKLOAD,
        text="measurement requests higher",
        metric="measurement requests",
        direction=Direction.HIGHER,
        unit="1/s",
        value=412.0,
    )
    facts = Facts(episode(objective="measurement requests higher"), status(objectives=[posted]))
    assert "Now: measurement requests 412 /s." in told(facts)[0]


def test_an_unclear_goal_is_said_to_be_unclear() -> None:
    """The text has the open question, and no objective that nobody chose."""
    (line,) = told(Facts(episode(goal="better", question="better in what?"), status()))
    assert "better in what?" in line
    assert "not clear" in line


def test_guards_have_names_and_limits() -> None:
    """The text has the goal's guards by name and the guard for everybody, with their tolerances."""
    guard = GuardView(workload="comm:backup", text="completions not worse than 20%")
    limits = {
        "others_response_p99_us": 4.0,
        "others_run_share": 0.2,
        "starved_us": 1e6,
        "unheard_of": 1.0,
    }
    (line,) = told(Facts(episode(guards=[guard]), status(tolerated=limits)))
    assert line == (
        "Guarded by name: comm:backup completions not worse than 20%. Guarded for everybody: "
        "others' response p99 at most 5 times as long; others' CPU time at most 20% less; "
        "no wait for a CPU of 1 s or more, by anybody."
    )


def test_the_split_says_how_much_a_scheduler_can_save() -> None:
    """Waiting and being preempted together, and the bound that follows."""
    profile = ProfileView.model_validate(
        {
            "workload": WORKLOAD,
            "tags": [],
            "split": {"running": 0.65, "waiting": 0.2, "preempted": 0.15},
            "bound": 0.65,
        }
    )
    (line,) = told(Facts(episode(), status(), profile))
    assert "waiting and being preempted are 35% of response time" in line
    assert "no scheduler can make its mean shorter than 0.65 of it" in line


def test_the_busiest_others_are_named() -> None:
    """The text says how many others run, and which use the most CPU time; idle ones do not
    count."""
    workloads = [
        WorkloadView(id=WORKLOAD, last=point(2.0)),
        WorkloadView(id="comm:backup", last=point(1.72)),
        WorkloadView(id="comm:idle", last=point(0.0)),
        WorkloadView(id="comm:sshd", last=point(0.001)),
        WorkloadView(id="comm:gone"),
    ]
    (line,) = told(Facts(episode(), status(), workloads=workloads))
    assert line == "2 other workloads run; CPUs that they use: comm:backup 1.7."


def test_cpu_sets_are_told_where_cpus_differ() -> None:
    """With the words of the policy language, at most twelve of them; elsewhere nothing is said."""
    assert told(Facts(episode(), status(cpu_sets={}))) == []
    sets = {"cpus fast": "0-3", "cpus slow": "4-7"}
    (line,) = told(Facts(episode(), status(cpu_sets=sets, smt=True)))
    assert "`cpus fast` is 0-3, `cpus slow` is 4-7." in line
    assert "`smt avoid`" in line
    many = {f"cpus llc {number}": f"{number}" for number in range(64)}
    (line,) = told(Facts(episode(), status(cpu_sets=many)))
    assert "`cpus llc 11` is 11, 52 more." in line
    assert "smt" not in line


def test_the_tick_is_told_where_it_is_known() -> None:
    """The text has the length of a tick, for advisors that think of a short slice."""
    (line,) = told(Facts(episode(), status(kernel=KernelView(supported=True, tick_us=4000))))
    assert line == "Slices end at timer ticks, each 4 ms: a shorter slice is rounded up to one."
