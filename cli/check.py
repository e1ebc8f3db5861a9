# SPDX-License-Identifier: GPL-2.0-only
"""`schedpilot check`: run a scheduler through the gates; nothing is loaded for good."""

import re
from collections.abc import Sequence
from pathlib import Path

from rich.text import Text

from cli.following import following
from cli.formats import parse_parameters, span, titled
from cli.output import as_json, out, plain, say, table
from daemon.api.client import Client, control_client
from daemon.api.models import CandidateRequest, CandidateView, GateResult
from process import Fault, FaultType

# As the daemon takes it; a source is a page or ten.
LARGEST_BYTES = 1024 * 1024
SOURCE_SUFFIX = ".bpf.c"


def request_for(target: str, settings: Sequence[str]) -> CandidateRequest:
    """The candidate that a word on the command line means: a library name or a source file.

    Raises:
        Fault: NOT_FOUND, TOO_LARGE, BAD_NAME or BAD_PARAMETER.
    """
    parameters = parse_parameters(settings)
    if target.endswith(".c") or "/" in target:
        return CandidateRequest(
            source=_source(Path(target)), name=_name(Path(target)), parameters=parameters
        )
    if not re.fullmatch(r"[a-z][a-z0-9_-]{0,40}", target):
        raise Fault(
            FaultType.BAD_NAME,
            f"{target[:60]!r} is neither a scheduler's name nor a {SOURCE_SUFFIX} file",
            hint="`schedpilot library list` shows the names there are",
        )
    return CandidateRequest(library=target, parameters=parameters)


def _source(path: Path) -> str:
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
    return name if re.fullmatch(r"[a-z][a-z0-9_-]{0,40}", name) else None


def create(client: Client, request: CandidateRequest, label: str) -> CandidateView:
    """Make a candidate, showing how it gets on with the gates."""
    with following(f"proving {label}"):
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


def check(target: str, settings: Sequence[str], *, json: bool) -> bool:
    """Whether the candidate is proven."""
    request = request_for(target, settings)
    with control_client() as client:
        candidate = create(client, request, target)
    good = candidate.proven and not candidate.quarantined
    if json:
        as_json(candidate)
        return good
    show_gates(candidate)
    name = titled(candidate.name, candidate.parameters)
    if good:
        say(f"{name} is proven as candidate {candidate.id}", "green")
    elif candidate.quarantined:
        say(f"{name} is in quarantine: {candidate.quarantined}", "red")
    else:
        say(f"{name} is not proven (candidate {candidate.id})", "red")
    return good
