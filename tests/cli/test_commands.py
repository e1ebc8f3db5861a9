# SPDX-License-Identifier: GPL-2.0-or-later
"""The command as users see it: output, exit codes, faults, hostile names."""

import json
import unicodedata
from pathlib import Path

import pytest

from daemon.api.models import (
    Autonomy,
    CandidateView,
    EpisodeState,
    EpisodeView,
    SplitView,
    StatusView,
    TrialView,
    WorkloadView,
)
from process import Fault, FaultType
from tests.agent.machine import HOSTILE, WORKLOAD, ServedMachine
from tests.cli.conftest import Schedpilot


def harmless(text: str) -> bool:
    """Whether the text moves no cursor and changes no direction of writing."""
    return all(each == "\n" or unicodedata.category(each)[0] != "C" for each in text)


def test_status_says_what_runs(served: ServedMachine, schedpilot: Schedpilot) -> None:
    """The kernel's state and the degradations, as text for people and as JSON for scripts."""
    served.call(lambda: served.machine.degrade(HOSTILE))
    done = schedpilot("status")
    assert done.status == 0
    assert "the kernel's own" in done.text
    assert "x30.0" in done.text
    assert harmless(done.text)
    view = StatusView.model_validate_json(schedpilot("status", "--json").stdout)
    assert view.degraded[0].workload == HOSTILE


def test_top_lists_the_longest_waiting_first(served: ServedMachine, schedpilot: Schedpilot) -> None:
    """Without a terminal, one picture is printed; hostile names have no effect in it."""
    done = schedpilot("top")
    assert done.status == 0
    assert done.text.index(WORKLOAD) < done.text.index("cgroup:/calm") < done.text.index("comm:")
    assert "x30.0" in done.text
    assert "[bold]x" in done.text
    assert harmless(done.text)
    listed = json.loads(schedpilot("top", "--json").stdout)
    assert WorkloadView.model_validate(listed[0]).id == WORKLOAD


def test_json_on_standard_output_is_ascii(served: ServedMachine, schedpilot: Schedpilot) -> None:
    """A hostile name stays in its JSON string, also when JSON is shown on a terminal."""
    served.call(lambda: served.machine.degrade("comm:\u202etxt.\x9b31m"))
    done = schedpilot("history", "--json")
    assert done.stdout.isascii()
    assert json.loads(done.stdout)[0]["workload"] == "comm:\u202etxt.\x9b31m"


def test_the_library_is_listed_shown_and_searched(
    served: ServedMachine, schedpilot: Schedpilot
) -> None:
    """A scheduler that is not installed is marked; a search without a result has the exit code for
    no."""
    listed = schedpilot("library", "list").text
    assert "lavd" in listed
    assert "not installed" in listed
    shown = schedpilot("library", "show", "latency").text
    assert "slice_us" in shown
    assert "100 to 100000" in shown
    assert 'comm ~ "a*" { slice 3ms }' in schedpilot("library", "show", "calm").text
    assert "batch" in schedpilot("library", "search", "cpu-bound").text
    assert schedpilot("library", "search", "nothing").status == 3
    found = schedpilot("library", "search", "interactive")
    assert found.status == 3
    assert "1 more that match are not installed here: --all" in found.text
    assert "lavd" in schedpilot("library", "search", "interactive", "--all").text
    unknown = schedpilot("library", "show", "nope")
    assert unknown.status == 1
    assert unknown.error_text.startswith("error: ")


def test_run_loads_and_stop_goes_back(served: ServedMachine, schedpilot: Schedpilot) -> None:
    """Parameters are sent as numbers."""
    done = schedpilot("run", "latency", "--set", "slice_us=500")
    assert done.status == 0
    assert "latency (slice_us=500) runs now" in done.text
    assert served.machine.loaded is not None
    assert served.machine.loaded.parameters == {"slice_us": 500}
    assert "the kernel's own scheduler runs now" in schedpilot("stop").text
    assert served.machine.loaded is None
    assert schedpilot("rollback", "--reason", "because").status == 0
    assert served.machine.asked[-1][1].reason == "because"


def test_what_is_not_proven_is_not_run(served: ServedMachine, schedpilot: Schedpilot) -> None:
    """The gate's message is on standard error, with its place."""
    served.machine.unproven.add("fifo")
    done = schedpilot("run", "fifo")
    assert done.status == 1
    assert "x.bpf.c:3: error: unknown kfunc" in done.error_text
    assert not [name for name, _ in served.machine.asked if name == "hold"]


def test_check_answers_with_its_exit_code(
    served: ServedMachine, schedpilot: Schedpilot, tmp_path: Path
) -> None:
    """0 proven, 3 not proven; a file's source is sent whole, under the file's name."""
    assert schedpilot("check", "latency").status == 0
    served.machine.unproven.add("mine")
    source = tmp_path / "mine.bpf.c"
    source.write_text("int x;")
    done = schedpilot("check", str(source))
    assert done.status == 3
    assert "fix: spell it right" in done.text
    request = served.machine.asked[-1][1]
    assert (request.source, request.name, request.library) == ("int x;", "mine", None)
    view = CandidateView.model_validate_json(schedpilot("check", "latency", "--json").stdout)
    assert view.proven


def test_what_is_no_name_is_a_policy(
    served: ServedMachine, schedpilot: Schedpilot, tmp_path: Path
) -> None:
    """A line, or a file with one, is sent as a policy; a valid name is always a name."""
    done = schedpilot("run", "slice 3ms", "--set", "slice_ns=5ms")
    assert done.status == 0, done.error_text
    assert served.machine.loaded is not None
    assert served.machine.loaded.name == "policy-0a1b2c3d"
    assert "policy-0a1b2c3d (slice_ns=5ms) runs now" in done.text
    assert "  slice 3ms\n" in done.text
    assert "slice 3ms" in schedpilot("status").text
    request = served.machine.asked[-2][1]
    assert (request.policy, request.library, request.source) == ("slice 3ms", None, None)
    assert request.parameters == {"slice_ns": "5ms"}
    path = tmp_path / "mine.policy"
    path.write_text("slice 3ms; order fifo\n")
    checked = schedpilot("check", str(path))
    assert checked.status == 0, checked.error_text
    assert "slice 3ms; order fifo" in checked.text
    assert served.machine.asked[-1][1].policy == "slice 3ms; order fifo\n"
    assert schedpilot("check", 'cgroup ~ "/a/b.c" { slice 1ms }').status == 0
    assert served.machine.asked[-1][1].policy is not None
    assert schedpilot("check", "latency").status == 0
    assert served.machine.asked[-1][1].library == "latency"


def test_a_refused_policy_is_shown_with_a_caret(
    served: ServedMachine, schedpilot: Schedpilot
) -> None:
    """The fault has the line, the column below it, what was expected and what to do, as from the
    daemon."""
    done = schedpilot("check", "slice fase 3ms")
    assert done.status == 1
    assert done.stdout == b""
    assert done.error_text.splitlines() == [
        "error: column 7: 'fase' is no fact: expected a time",
        "  | slice fase 3ms",
        "  |       ^",
        "hint: did you mean 'age'?",
    ]


def test_a_policy_that_cannot_be_sent_is_refused_here(
    served: ServedMachine, schedpilot: Schedpilot, tmp_path: Path
) -> None:
    """The command does not send a file that is not text, or that is far too large."""
    assert "column 7" in schedpilot("run", "slice \udc80").error_text
    path = tmp_path / "long.policy"
    path.write_text("slice 3ms;" * 10_000)
    assert "too large for a policy" in schedpilot("run", str(path)).error_text
    assert served.machine.asked == []


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("run", "nope"), "nearest: latency"),
        (("run", "slice fase 3ms"), "did you mean 'age'?"),
        (("tune", "-c", "latency", "-c", "slice fase 3ms", "--", "true"), "did you mean 'age'?"),
        (("run", "latency", "--set", "slice"), "--set NAME=VALUE"),
        (("check", "./nowhere.bpf.c"), "cannot be read"),
        (("check", "--cpus", "0,2", "fifo"), "not a list of CPU counts"),
        (("explain", "x-1"), "no id"),
        (("explain", "e-9999"), "no episode"),
        (("report", "-o", "report.pdf"), ".html"),
        (("report", "--last", "soon"), "90s, 30m"),
    ],
)
def test_a_fault_is_a_report_and_not_a_traceback(
    served: ServedMachine, schedpilot: Schedpilot, words: tuple[str, ...], says: str
) -> None:
    """Standard error says what is wrong and what to do; standard output stays empty."""
    done = schedpilot(*words)
    assert done.status == 1
    assert done.stdout == b""
    assert says in done.error_text
    assert "Traceback" not in done.error_text


@pytest.mark.parametrize("words", [("status",), ("run", "fifo"), ("report",), ("top",)])
def test_without_a_daemon_the_exit_code_is_its_own(
    schedpilot: Schedpilot, words: tuple[str, ...]
) -> None:
    """The exit code is 4 without a daemon, and the hint says how to start one."""
    done = schedpilot(*words)
    assert done.status == 4
    assert "systemctl start schedpilotd" in done.error_text


@pytest.mark.parametrize("words", [("nonsense",), ("status", "--jsno"), ("tune",), ("run",)])
def test_wrong_usage_has_its_own_exit_code(schedpilot: Schedpilot, words: tuple[str, ...]) -> None:
    """The exit code for a wrong command line is 2."""
    assert schedpilot(*words).status == 2


def test_a_policy_is_checked_without_a_daemon(schedpilot: Schedpilot) -> None:
    """Without a daemon it shows the formatted text and the gates that need no kernel, and exits
    with the code for no daemon."""
    done = schedpilot("check", "slice   3000us")
    assert done.status == 4, done.error_text
    line, compiled, static, *rest = done.text.splitlines()
    assert line == "slice 3ms"
    assert compiled.split()[:2] == ["compile", "passed"]
    assert static.split()[:2] == ["static", "passed"]
    # Only where this kernel has no sched_ext is there nothing to build for.
    assert rest[0].startswith("build")
    assert "without a daemon" in done.error_text
    bad = schedpilot("check", "slice fase")
    assert bad.status == 1
    assert "  |       ^" in bad.error_text


def test_a_source_is_checked_without_a_daemon(schedpilot: Schedpilot, tmp_path: Path) -> None:
    """The exit code is 3 if a gate refuses it, with place and remedy, as text and as JSON."""
    source = tmp_path / "loser.bpf.c"
    source.write_text(
        "#include <scx/common.bpf.h>\n"
        'char _license[] SEC("license") = "GPL";\n'
        "void BPF_STRUCT_OPS(loser_enqueue, struct task_struct *p, u64 enq_flags) {}\n"
        'SCX_OPS_DEFINE(loser_ops, .enqueue = (void *)loser_enqueue, .name = "loser");\n'
    )
    done = schedpilot("check", str(source))
    assert done.status == 3, done.error_text
    assert "loser.bpf.c:3" in done.text
    assert "fix: " in done.text
    view = CandidateView.model_validate_json(schedpilot("check", str(source), "--json").stdout)
    assert not view.proven
    assert next(each for each in view.gates if each.gate.value == "static").messages[0].line == 3


def test_the_c_of_a_policy_is_printed_without_a_daemon(schedpilot: Schedpilot) -> None:
    """`--emit-c` gives the same C each time, and `--format` the line; for a name, they give its
    source."""
    done = schedpilot("check", "--emit-c", "slice 3000us")
    assert done.status == 0, done.error_text
    assert "SCX_OPS_DEFINE" in done.text
    assert "slice 3ms" in done.text
    assert schedpilot("check", "--emit-c", "slice 3ms").stdout == done.stdout
    assert schedpilot("check", "--format", "slice 3000us").text == "slice 3ms\n"
    assert "SCX_OPS_DEFINE" in schedpilot("check", "--emit-c", "fifo").text
    used = schedpilot("check", "--format", "use  fifo  slice_ns=3ms")
    assert used.text == "use fifo slice_ns=3ms\n"
    document = json.loads(schedpilot("check", "--emit-c", "--json", "slice 3ms").stdout)
    assert document["name"].startswith("policy-")
    assert document["policy"] == "slice 3ms"
    assert document["source"] == done.text
    assert document["seconds"]["compile"] > 0


@pytest.mark.parametrize(
    ("words", "status", "says"),
    [
        (("--emit-c", "--format", "slice 3ms"), 2, "one of"),
        (("--format", "fifo"), 1, "is not a policy"),
        (("--emit-c", "scx_lavd"), 1, "there is no C"),
        (("--emit-c", "nope"), 1, "no scheduler named"),
        (("--emit-c", "use fifo slcie_ns=3ms"), 1, "slice_ns"),
        (("--emit-c", "slice 3ms", "--set", "nonsense=1"), 1, "nonsense"),
    ],
)
def test_what_has_no_c_or_no_line_is_told(
    schedpilot: Schedpilot, words: tuple[str, ...], status: int, says: str
) -> None:
    """Without a daemon, the same faults have the same words."""
    done = schedpilot("check", *words)
    assert done.status == status, done.error_text
    assert done.stdout == b""
    assert says in done.error_text
    assert "Traceback" not in done.error_text


def test_a_hostile_fault_is_harmless_on_the_terminal(
    served: ServedMachine, schedpilot: Schedpilot
) -> None:
    """The quotes in a fault have no effect on a terminal either."""
    served.machine.trouble = Fault(
        FaultType.STATE, "bad \x1b]0;title\x07 name", hint="\u202eback", details=("\r over",)
    )
    done = schedpilot("status")
    assert done.status == 1
    assert harmless(done.error_text)
    assert "\\x1b]0;title" in done.error_text


def test_history_and_explain_tell_an_episode(served: ServedMachine, schedpilot: Schedpilot) -> None:
    """From the degradation to the outcome, with the trial's windows; each id leads there."""
    episode = served.call(served.machine.degrade)
    opened = served.machine.kept_episodes[episode]
    assert opened.profile is not None
    split = SplitView(running=0.65, waiting=0.2, preempted=0.15)
    measured = {"split": split, "bound": 0.65, "response_p50_us": 2e4, "response_p99_us": 9e4}
    profile = opened.profile.model_copy(update=measured)
    served.machine.kept_episodes[episode] = opened.model_copy(update={"profile": profile})
    run_agent(schedpilot)
    listing = schedpilot("history").text
    assert episode in listing
    assert "kept latency" in listing
    story = " ".join(schedpilot("explain", episode).text.split())
    for part in (
        "x30.0",
        "latency-sensitive",
        "p50 20 ms, p99 90 ms",
        "20% waiting after the wakeup, 15% preempted: a scheduler can reduce it to 0.65",
        "by offline",
        "t-0000",
        "verdict: keep",
        "57% to 61% better (95%, 4+4 windows)",
        "episode-closed",
    ):
        assert part in story, part
    assert EpisodeView.model_validate_json(
        schedpilot("explain", episode, "--json").stdout
    ).state is (EpisodeState.CLOSED)
    assert "latency" in schedpilot("explain", "t-0000").text
    assert "passed" in schedpilot("explain", "c-0000").text
    learned = schedpilot("history", "--learned")
    assert "kept" in learned.text
    assert "- latency" in learned.text
    document = json.loads(schedpilot("history", "--learned", "--json").stdout)
    assert [each["scheduler"] for each in document["outcomes"]] == ["latency"]


def run_agent(schedpilot: Schedpilot) -> None:
    """The agent through the command, which replaces itself with it."""
    done = schedpilot("agent", "--once")
    assert done.status == 0, done.error_text


def test_approving_starts_what_was_asked_for(served: ServedMachine, schedpilot: Schedpilot) -> None:
    """`approve` and `decline` answer by the reported id."""
    served.machine.autonomy = Autonomy.ASK
    assert schedpilot("check", "latency").status == 0
    from daemon.api.models import TrialRequest

    served.do(served.machine.start_trial(TrialRequest(candidate="c-0000")))
    assert "a-t-0000" in schedpilot("status").text
    done = schedpilot("decline", "a-t-0000", "--reason", "not today", "--json")
    assert done.status == 0
    assert TrialView.model_validate_json(done.stdout).reason == "not today"
    assert "a-t-0000" not in schedpilot("status").text


def test_other_programs_take_over_with_all_their_words(
    schedpilot: Schedpilot, tmp_path: Path
) -> None:
    """`--help` is the program's own; a folder of the same name in the current folder is not."""
    stranger = tmp_path / "agent"
    stranger.mkdir()
    (stranger / "__init__.py").write_text("raise SystemExit(99)")
    done = schedpilot("agent", "--help", cwd=None)
    assert done.status == 0
    assert "usage: schedpilot agent" in done.text
    assert "--advisor" in done.text


def test_help_names_every_command_and_the_exit_codes(schedpilot: Schedpilot) -> None:
    """The help fits one page and needs no daemon."""
    text = schedpilot("--help").text
    for word in [
        "status",
        "top",
        "doctor",
        "library",
        "check",
        "run",
        "stop",
        "rollback",
        "tune",
        "history",
        "explain",
        "report",
        "approve",
        "decline",
        "lab",
        "daemon",
        "agent",
        "replay",
    ]:
        assert f" {word} " in text
    assert "4 no daemon" in " ".join(text.split())
