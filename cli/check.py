# SPDX-License-Identifier: GPL-2.0-or-later
"""`schedpilot check`: run a scheduler through the gates; nothing is loaded for good."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cli.exits import ExitCode
from cli.following import following
from cli.formats import parse_parameters, titled
from cli.gates import said, show_gates, stopping
from cli.output import as_json, say
from daemon.api.client import Client, control_client
from daemon.api.display import displayable
from daemon.api.models import (
    NAME_PATTERN,
    POLICY_LIMIT,
    CandidateRequest,
    CandidateView,
)
from process import Fault, FaultType

# The daemon's limit; a source file is rarely longer than ten pages.
LARGEST_BYTES = 1024 * 1024
POLICY_SUFFIX = ".policy"
# The API's limits.
MOST_SIZES, MOST_CPUS = 8, 256


def request_for(target: str, settings: Sequence[str]) -> CandidateRequest:
    """The candidate that a word on the command line means.

    A legal name is a library scheduler, a word with the suffix of a source file is that file, and
    everything else is a policy.

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


def beside(target: str) -> Path | None:
    """The folder of a C file that includes its own headers from there; else None."""
    path = _file(target)
    if path is None or not target.endswith(".c") or re.fullmatch(NAME_PATTERN, target):
        return None
    own = re.findall(r'^[ \t]*#[ \t]*include[ \t]*"([\w.-]+\.h)"', _text(path), re.MULTILINE)
    there = any((path.parent / each).is_file() for each in own if each != "vmlinux.h")
    return path.parent.absolute() if there else None


def label(target: str) -> str:
    """A short label for a target, since a policy may be long."""
    return displayable(" ".join(target.split()), 60)


def _file(target: str) -> Path | None:
    """The file that this word names.

    A policy may end in a file's suffix too, but it contains a blank.
    """
    if not target.endswith((".c", POLICY_SUFFIX)):
        return None
    path = Path(target)
    return path if path.is_file() or not any(each.isspace() for each in target) else None


def _policy(text: str) -> str:
    """The text, if the API accepts it.

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
    """A scheduler name made from the file's name, if it gives a legal one."""
    name = path.name.removesuffix(".c").removesuffix(".bpf").lower()
    return name if re.fullmatch(NAME_PATTERN, name) else None


def create(client: Client, request: CandidateRequest, target: str) -> CandidateView:
    """Make a candidate and show the progress of its gates."""
    with following(f"proving {label(target)}"):
        return client.create_candidate(request)


def not_proven(candidate: CandidateView) -> Fault:
    """The fault for a candidate that may not be loaded."""
    if candidate.quarantined:
        return Fault(
            FaultType.QUARANTINED,
            f"{titled(candidate.name, candidate.parameters)} is in quarantine",
            why=candidate.quarantined,
            hint="`schedpilot status` says until when",
        )
    gate = stopping(candidate)
    why = "it has not passed every gate"
    if gate:
        why = f"the gate {gate.gate.value!r} failed"
        if gate.skipped:
            why = f"the gate {gate.gate.value!r} was not run: {gate.skipped}"
    return Fault(
        FaultType.LOAD_FAILED,
        f"{titled(candidate.name, candidate.parameters)} is not proven",
        why=why,
        hint=f"`schedpilot explain {candidate.id}` shows what the gates said",
        details=tuple(said(gate)[:20]) if gate else (),
    )


@dataclass(frozen=True)
class CheckOptions:
    """How to check it, as `schedpilot check --help` explains."""

    workload: str = ""
    cpus: tuple[int, ...] = ()
    btf: Path | None = None
    canary: bool = False


def sizes(text: str) -> tuple[int, ...]:
    """Parses numbers of CPUs such as `1,2,16`; the empty string gives an empty list.

    Raises:
        Fault: BAD_REQUEST.
    """
    words = [each.strip() for each in text.split(",")] if text else []
    right = all(re.fullmatch(r"[0-9]{1,3}", word) and 1 <= int(word) <= MOST_CPUS for word in words)
    if not right or len(words) > MOST_SIZES:
        raise Fault(
            FaultType.BAD_REQUEST,
            f"`{displayable(text, 40)}` is not a list of CPU counts",
            where="--cpus",
            hint=f"up to {MOST_SIZES} numbers from 1 to {MOST_CPUS}, as in --cpus 1,2,16",
        )
    return tuple(dict.fromkeys(map(int, words)))


def check(target: str, settings: Sequence[str], wish: CheckOptions, *, json: bool) -> ExitCode:
    """OK if the candidate is proven, NO if it is not.

    Without a daemon it runs the gates that need no kernel, and the answer is UNREACHABLE.
    """
    request = request_for(target, settings).model_copy(
        update={
            "canary": wish.canary,
            "workload": wish.workload or None,
            "cpus": list(wish.cpus),
        }
    )
    headers = beside(target)
    try:
        if wish.btf is not None:
            raise Fault(FaultType.UNREACHABLE, "it is to be built for another kernel")
        if headers is not None:
            raise Fault(
                FaultType.UNREACHABLE, "it has headers of its own, and a daemon takes one text"
            )
        with control_client() as client:
            candidate = create(client, request, target)
    except Fault as fault:
        if fault.type is not FaultType.UNREACHABLE:
            raise
        from cli.local_gates import prove  # imported late: most checks have a daemon

        return prove(
            request, target, settings, btf=wish.btf, headers=headers, why=str(fault), json=json
        )
    good = candidate.proven and not candidate.quarantined
    if json:
        as_json(candidate)
        return ExitCode.OK if good else ExitCode.NO
    for line in candidate.policy.splitlines():
        say(line, "bold")
    show_gates(candidate)
    name = titled(candidate.name, candidate.parameters)
    gate = stopping(candidate)
    if good:
        say(f"{name} is proven as candidate {candidate.id}", "green")
    elif candidate.quarantined:
        say(f"{name} is in quarantine: {candidate.quarantined}", "red")
    elif gate and gate.skipped:
        say(f"{name} is not proven (candidate {candidate.id}): some gates were not run", "yellow")
    else:
        say(f"{name} is not proven (candidate {candidate.id})", "red")
    return ExitCode.OK if good else ExitCode.NO
