# SPDX-License-Identifier: GPL-2.0-or-later
"""The gates' answers for people: a line for each gate, and its messages below."""

from rich.text import Text

from cli.formats import span
from cli.output import note, out, plain, say
from daemon.api.models import CandidateView, Gate, GateResult

# For a gate that passed: its warnings only.
_WORTH_SAYING = ("error", "warning")
# A policy may be valid and still not mean what its author thinks, so its doubts are shown too.
_OF_POLICIES = (*_WORTH_SAYING, "note")


def said(gate: GateResult) -> list[str]:
    """A gate's messages, each with place, cause and fix."""
    lines = []
    for message in gate.messages:
        worth = _OF_POLICIES if gate.gate is Gate.COMPILE else _WORTH_SAYING
        if gate.passed and message.severity not in worth:
            continue
        where = message.file
        if where and message.line:
            where += f":{message.line}" + (f":{message.column}" if message.column else "")
        elif message.column:
            line = f"line {message.line}, " if message.line > 1 else ""
            where = f"{line}column {message.column}"
        text = f"{where}: " if where else ""
        text += f"{message.severity}: {message.message}"
        lines.append(text)
        if message.cause:
            lines.append(f"  because {message.cause}")
        if message.fix:
            lines.append(f"  fix: {message.fix}")
    return lines


def figures(gate: GateResult) -> str:
    """The gate's figures, without the time, which has its own column."""
    told = {name: value for name, value in gate.figures.items() if name != "seconds"}
    return ", ".join(f"{name.replace('_', ' ')} {value:g}" for name, value in told.items())


def show_gate(gate: GateResult) -> None:
    """One gate's line, shown as soon as it has answered."""
    line = Text(gate.gate.value.ljust(10))
    if gate.skipped:
        line.append("not run".ljust(8), style="yellow")
        line.append_text(plain(gate.skipped, 500))
    else:
        how, style = ("passed", "green") if gate.passed else ("failed", "red")
        line.append(how.ljust(8), style=style)
        took = "known" if gate.reused else span(gate.seconds)
        line.append(took.rjust(8) + "  ")
        line.append_text(plain(figures(gate), 1000, "dim"))
    line.rstrip()
    out().print(line, soft_wrap=True)
    for each in said(gate):
        say(f"  {each}", "" if gate.passed else "red")


def show_gates(candidate: CandidateView) -> None:
    for gate in candidate.gates:
        show_gate(gate)


def warn(candidate: CandidateView) -> None:
    """The policy compiler's warnings, for callers that show no gates."""
    for gate in candidate.gates:
        for each in said(gate) if gate.gate is Gate.COMPILE else ():
            note(each, "yellow")


def stopping(candidate: CandidateView) -> GateResult | None:
    """The gate that keeps it from being loaded: the first that refused it, else one that was not
    run.

    If it does not compile, the compiler's messages come before those of the static check.
    """
    failed = [gate for gate in candidate.gates if not gate.passed]
    failed.sort(key=lambda each: (bool(each.skipped), each.gate is not Gate.BUILD))
    return next(iter(failed), None)
