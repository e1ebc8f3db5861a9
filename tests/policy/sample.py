# SPDX-License-Identifier: GPL-2.0-or-later
"""Many generated programs, compiled natively and shown to the verifier of the lab's kernel."""

import itertools
import json
import re
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, seed, settings

from bpf.build.objects import BuildResult
from lab.vm import run_in_lab
from scheduler_library.policy.compiler import CompiledPolicy, compile_policy
from scheduler_library.policy.formatter import format_policy
from scheduler_library.policy.syntax import PolicyProgram
from tests.target import Target

from .programs import MACHINE, programs

ROOT = Path(__file__).parent.parent.parent
# Only what the guest needs to ask its kernel: a new disk is made for it each time.
SHIPPED = ("pyproject.toml", "bpf", "process", "tests/policy/guest_verify.py")
_QUOTED = re.compile(r'"[^"]*"')
_WORD = re.compile(r"[a-z_]+|[^\sa-z0-9_]+")
# Emulated, with some reserve for a busy machine. A policy of many queues takes 20 s of CPU time.
BOOT_S, VERIFY_S = 120.0, 30.0


@dataclass(frozen=True)
class Refused:
    """A policy that our compiler accepted, and that clang or the verifier then refused."""

    text: str
    why: str


def _drawn(batch: int) -> list[PolicyProgram]:
    """About a hundred programs; the same ones for the same number."""
    found: list[PolicyProgram] = []

    @seed(batch)
    @settings(
        max_examples=100,
        database=None,
        phases=(Phase.generate,),
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(programs())
    def collect(program: PolicyProgram) -> None:
        found.append(program)

    collect()
    return found


def sample(count: int, *, start: int = 1) -> Iterator[CompiledPolicy]:
    """This many different policies; the same ones for the same `start`."""
    found: set[str] = set()
    for batch in itertools.count(start):
        for program in _drawn(batch):
            compiled = compile_policy(format_policy(program), machine=MACHINE)
            assert isinstance(compiled, CompiledPolicy)
            if compiled.name not in found:
                found.add(compiled.name)
                yield compiled
                if len(found) == count:
                    return


def varied(policies: Iterable[CompiledPolicy], count: int) -> Iterator[CompiledPolicy]:
    """This many of them, among which are all words of the language that any of them has, the rare
    ones as often as can be."""
    left = {policy: set(_WORD.findall(_QUOTED.sub("", policy.text))) for policy in policies}
    seen: Counter[str] = Counter()
    for _ in range(min(count, len(left))):
        best = max(left, key=lambda policy: sum(1 / (1 + seen[word]) ** 2 for word in left[policy]))
        seen.update(left.pop(best))
        yield best


def build(
    target: Target, policies: Iterator[CompiledPolicy], out: Path
) -> tuple[int, list[Refused]]:
    """Compile all; return how many, and those with any message from clang, warnings included."""

    def one(policy: CompiledPolicy) -> tuple[CompiledPolicy, BuildResult]:
        return policy, target.build(policy.source, out, name=f"{policy.name}.bpf.c")

    count, trouble = 0, []
    with ThreadPoolExecutor(2) as pool:
        for policy, result in pool.map(one, policies):
            count += 1
            (out / f"{policy.name}.policy").write_text(policy.text)
            if not result.ok or result.diagnostics:
                trouble.append(Refused(policy.text, _said(policy, result)))
    return count, trouble


def _said(policy: CompiledPolicy, result: BuildResult) -> str:
    """clang's messages, each with its line of C."""
    lines = policy.source.splitlines()
    return "\n".join(
        f"{each.severity}: {each.message}\n\t{each.line}: "
        + "".join(lines[each.line - 1 : each.line]).strip()
        for each in result.diagnostics
    )


def verify(
    objects: Path, work: Path, progress: Callable[[str], None] = lambda _: None
) -> list[Refused]:
    """Show every object of a folder to the lab's kernel, in one boot."""
    tree = work / "tree"
    for name in SHIPPED:
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, tree / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, tree / name)
    shutil.copytree(objects, tree / "objects")
    count = len(list(objects.glob("*.bpf.o")))
    done = run_in_lab(
        ["python", "tests/policy/guest_verify.py", "objects", "/out/verdicts.json"],
        tree=tree,
        out=work / "out",
        timeout=BOOT_S + VERIFY_S * count,
        progress=progress,
    )
    assert done.status == 0, f"{done.text}\n{done.error_text}"
    progress(f"{count} objects, looked at longest: {done.text.strip()} ({done.wall_s:.0f} s)")
    verdicts: dict[str, str] = json.loads((work / "out" / "verdicts.json").read_text())
    assert len(verdicts) == count
    return [
        Refused((objects / f"{name}.policy").read_text(), why)
        for name, why in sorted(verdicts.items())
        if why
    ]
