# SPDX-License-Identifier: GPL-2.0-or-later
"""Cache of compiled policies: the compiler's result for a text is stored, and read without the
compiler.

    python -m daemon.gates.compiled_policies < POLICY      the same in a separate process, as JSON

The compiler needs a parser and a template language, some ten megabytes that the daemon would keep
for ever, and under emulation seconds of imports in an emergency. So policies that are compiled
ahead are compiled in a child.
"""

import asyncio
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel, TypeAdapter

from bpf.build.kit import digest
from daemon.api.models import GateResult, ParameterValue
from daemon.gates.chain import compile_gate
from daemon.gates.simulation import fault_from
from process import Fault, run
from scheduler_library import policy as language
from scheduler_library.manifest import Manifest
from scheduler_library.policy.facts import PolicyFacts
from scheduler_library.this_machine import machine_stamp
from simulator import verdict_cache

# Two seconds of imports under emulation.
COMPILE_LIMIT_S = 30.0
# User names in a policy become user ids.
_USERS = Path("/etc/passwd")


@dataclass(frozen=True)
class Written:
    """A policy as a scheduler, as far as the daemon needs it; see `policy.compiler.Compiled`.

    `origin` leads from lines of the source to the policy that they came from.
    """

    text: str
    name: str
    source: str
    manifest: Manifest
    facts: PolicyFacts
    origin: dict[int, tuple[int, int]] = field(default_factory=dict)


@dataclass(frozen=True)
class Used:
    """Another scheduler that a policy uses, and its settings as written."""

    name: str
    parameters: dict[str, ParameterValue]


class CompileOutcome(BaseModel):
    """The stored text and the child's output: the gate's answer, and one of the two."""

    gate: GateResult
    written: dict[str, Any] | None = None
    used: dict[str, Any] | None = None

    def policy(self) -> Written | Used:
        if self.used is not None:
            return Used(**self.used)
        return TypeAdapter(Written).validate_python(self.written)


@lru_cache(maxsize=1)
def _compiler() -> str:
    """Changes with the compiler."""
    folders = [Path(each) for each in language.__path__]
    files = sorted(
        each
        for folder in folders
        for each in folder.rglob("*")
        if each.suffix in (".py", ".j2", ".lark")
    )
    return digest(*(part for each in files for part in (each.name, each.read_bytes())))


def question(text: str) -> str:
    """The cache key of the compiler's result for a text on this machine."""
    try:
        users = _USERS.stat()
        stamp = f"{users.st_size} {users.st_mtime_ns}"
    except OSError:
        stamp = ""
    return digest("policy", _compiler(), machine_stamp(text), stamp, text)


async def compiled(
    text: str, *, cache: Path | None, apart: bool = False
) -> tuple[GateResult, Written | Used]:
    """The compiler's result for a policy; the answer of its gate, `reused` if it was stored.

    Args:
        cache: where it is stored; None: nowhere.
        apart: compile it in a separate process, so that this one stays small.

    Raises:
        Fault: BAD_POLICY, with the column and what was expected there; BUSY if the work that this
            belongs to was given up.
    """
    if cache is None:
        found = await _compiled(text, apart=apart)
        return found.gate, found.policy()
    name = await asyncio.to_thread(question, text)
    kept = await asyncio.to_thread(verdict_cache.recall, name, cache)
    if kept is not None:
        try:
            found = CompileOutcome.model_validate(kept)
            return found.gate.model_copy(update={"reused": True}), found.policy()
        except ValueError:
            # Another version stored it; a new compilation is right.
            pass
    found = await _compiled(text, apart=apart)
    await asyncio.to_thread(verdict_cache.keep, name, found.model_dump(mode="json"), cache)
    return found.gate, found.policy()


async def _compiled(text: str, *, apart: bool) -> CompileOutcome:
    return await asyncio.to_thread(_in_a_child, text) if apart else await _here(text)


async def _here(text: str) -> CompileOutcome:
    gate, found = await compile_gate(text)
    from scheduler_library.policy.compiler import CompiledPolicy  # it is loaded by now

    if not isinstance(found, CompiledPolicy):
        return CompileOutcome(
            gate=gate, used={"name": found.name, "parameters": dict(found.parameters)}
        )
    origin = {each.source_line: (each.line, each.column) for each in found.body_lines}
    written = Written(found.text, found.name, found.source, found.manifest, found.facts, origin)
    return CompileOutcome(gate=gate, written=TypeAdapter(Written).dump_python(written, mode="json"))


def _in_a_child(text: str) -> CompileOutcome:
    words = [sys.executable, "-P", "-m", "daemon.gates.compiled_policies"]
    done = run(
        words,
        timeout=COMPILE_LIMIT_S,
        name="the compiler of policies",
        input=text.encode("utf-8", "surrogatepass"),
    )
    said: Mapping[str, Any] = json.loads(done.stdout)
    if "fault" in said:
        raise fault_from(said["fault"])
    return CompileOutcome.model_validate(said)


def main() -> None:
    text = sys.stdin.buffer.read().decode("utf-8", "surrogatepass")
    try:
        said = asyncio.run(_here(text)).model_dump(mode="json")
    except Fault as fault:
        said = {"fault": {"type": fault.type.value, **_words(fault)}}
    sys.stdout.write(json.dumps(said) + "\n")


def _words(fault: Fault) -> dict[str, Any]:
    return {
        "what": fault.what,
        "where": fault.where,
        "why": fault.why,
        "hint": fault.hint,
        "details": list(fault.details),
    }


if __name__ == "__main__":
    main()
