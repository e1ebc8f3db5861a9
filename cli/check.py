# SPDX-License-Identifier: GPL-2.0-only
"""`schedpilot check`: run a scheduler through the gates; nothing is loaded for good."""

import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.text import Text

from cli.exits import Exit
from cli.following import following
from cli.formats import parse_parameters, span, titled
from cli.output import as_json, note, out, plain, say, table
from daemon.api.client import Client, control_client
from daemon.api.display import displayable
from daemon.api.models import (
    NAME_PATTERN,
    POLICY_LIMIT,
    CandidateRequest,
    CandidateView,
    GateResult,
)
from process import Fault, FaultType, run

# As the daemon takes it; a source is a page or ten.
LARGEST_BYTES = 1024 * 1024
POLICY_SUFFIX = ".policy"
# How long the compiler of policies may take without a daemon, seconds: an emulated machine is slow.
OFFLINE_S = 120.0


def request_for(target: str, settings: Sequence[str]) -> CandidateRequest:
    """The candidate that a word on the command line means.

    A legal name is a library scheduler, a word that ends as a file's name does is that file,
    and everything else is a policy.

    Raises:
        Fault: NOT_FOUND, TOO_LARGE, BAD_POLICY or BAD_PARAMETER.
    """
    parameters = parse_parameters(settings)
    if re.fullmatch(NAME_PATTERN, target):
        return CandidateRequest(library=target, parameters=parameters)
    path = _file(target)
    if path is None:
        return CandidateRequest(policy=_policy(target), parameters=parameters)
    if target.endswith(POLICY_SUFFIX):
        return CandidateRequest(policy=_policy(_text(path)), parameters=parameters)
    return CandidateRequest(source=_text(path), name=_name(path), parameters=parameters)


def label(target: str) -> str:
    """A target as a few words; a policy may be long."""
    return displayable(" ".join(target.split()), 60)


def _file(target: str) -> Path | None:
    """The file that this word names; a policy may end like one, but not without a blank."""
    if not target.endswith((".c", POLICY_SUFFIX)):
        return None
    path = Path(target)
    return path if path.is_file() or not any(each.isspace() for each in target) else None


def _policy(text: str) -> str:
    """The text, where it can be sent at all.

    Raises:
        Fault: TOO_LARGE or BAD_POLICY.
    """
    if len(text) > POLICY_LIMIT:
        raise Fault(
            FaultType.TOO_LARGE,
            "this is too large for a policy",
            why=f"more than {POLICY_LIMIT} characters",
        )
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise Fault(
            FaultType.BAD_POLICY,
            "the policy is not text in UTF-8",
            where=f"column {error.start + 1}",
            hint="write it in ASCII",
        ) from None
    return text


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            raw = file.read(LARGEST_BYTES + 1)
        if len(raw) > LARGEST_BYTES:
            raise Fault(
                FaultType.TOO_LARGE,
                "this is too large for a scheduler's source",
                where=str(path),
                why=f"more than {LARGEST_BYTES} bytes",
            )
        return raw.decode()
    except (OSError, UnicodeDecodeError) as error:
        raise Fault(
            FaultType.NOT_FOUND, "the source cannot be read", where=str(path), why=str(error)
        ) from None


def _name(path: Path) -> str | None:
    """The file's name as a scheduler's, where it can be one."""
    name = path.name.removesuffix(".c").removesuffix(".bpf").lower()
    return name if re.fullmatch(NAME_PATTERN, name) else None


def create(client: Client, request: CandidateRequest, target: str) -> CandidateView:
    """Make a candidate, showing how it gets on with the gates."""
    with following(f"proving {label(target)}"):
        return client.create_candidate(request)


def _place(gate: GateResult) -> list[str]:
    lines = []
    for message in gate.messages:
        where = message.file
        if where and message.line:
            where += f":{message.line}" + (f":{message.column}" if message.column else "")
        text = f"{where}: " if where else ""
        text += f"{message.severity}: {message.message}"
        lines.append(text)
        if message.cause:
            lines.append(f"  because {message.cause}")
        if message.fix:
            lines.append(f"  fix: {message.fix}")
    return lines


def show_gates(candidate: CandidateView) -> None:
    """Each gate, and everything that a failed one said."""
    made = table("gate", "", "took", "figures", right=("took",))
    for gate in candidate.gates:
        made.add_row(
            gate.gate.value,
            Text("passed", style="green") if gate.passed else Text("failed", style="red"),
            span(gate.seconds),
            plain(", ".join(f"{name} {value:g}" for name, value in gate.figures.items())),
        )
    if candidate.gates:
        out().print(made)
    for gate in candidate.gates:
        for line in _place(gate):
            say(line, "" if gate.passed else "red")


def not_proven(candidate: CandidateView) -> Fault:
    """The fault of a candidate that may not be loaded."""
    if candidate.quarantined:
        return Fault(
            FaultType.QUARANTINED,
            f"{titled(candidate.name, candidate.parameters)} is in quarantine",
            why=candidate.quarantined,
            hint="`schedpilot status` says until when",
        )
    failed = next((gate for gate in candidate.gates if not gate.passed), None)
    return Fault(
        FaultType.LOAD_FAILED,
        f"{titled(candidate.name, candidate.parameters)} is not proven",
        why=f"the gate {failed.gate.value!r} failed" if failed else "not every gate has passed it",
        hint=f"`schedpilot explain {candidate.id}` shows what the gates said",
        details=tuple(_place(failed)[:20]) if failed else (),
    )


def check(target: str, settings: Sequence[str], *, json: bool) -> Exit:
    """OK where the candidate is proven, NO where it is not.

    A policy is checked without a daemon as far as that goes; the answer is UNREACHABLE then.
    """
    request = request_for(target, settings)
    try:
        with control_client() as client:
            candidate = create(client, request, target)
    except Fault as fault:
        if fault.type is not FaultType.UNREACHABLE or request.policy is None:
            raise
        done = offline(target, settings, ["--json"] if json else [])
        if done is Exit.OK:
            note(f"this is as far as it goes without a daemon: {fault}", "yellow")
        return Exit.UNREACHABLE if done is Exit.OK else done
    good = candidate.proven and not candidate.quarantined
    if json:
        as_json(candidate)
        return Exit.OK if good else Exit.NO
    for line in candidate.policy.splitlines():
        say(line, "bold")
    show_gates(candidate)
    name = titled(candidate.name, candidate.parameters)
    if good:
        say(f"{name} is proven as candidate {candidate.id}", "green")
    elif candidate.quarantined:
        say(f"{name} is in quarantine: {candidate.quarantined}", "red")
    else:
        say(f"{name} is not proven (candidate {candidate.id})", "red")
    return Exit.OK if good else Exit.NO


def offline(target: str, settings: Sequence[str], options: Sequence[str]) -> Exit:
    """Have a policy compiled by a process of its own, which writes to where we do.

    The command imports nothing of the library, and the compiler needs no daemon.
    """
    request = request_for(target, settings)
    if request.source is not None:
        raise Fault(FaultType.BAD_REQUEST, "this is C already", where=target)
    words = [*options, *(f"--set={each}" for each in settings)]
    if request.library is not None:
        words += ["--library", request.library]
    # By its standard input: it may be longer than an argument can be.
    done = run(
        [sys.executable, "-P", "-m", "scheduler_library.offline", *words],
        timeout=OFFLINE_S,
        input=(request.policy or "").encode(),
        env=dict(os.environ),
        check=False,
        capture=False,
    )
    return Exit(done.status) if done.status in set(Exit) else Exit.FAULT
