# SPDX-License-Identifier: GPL-2.0-or-later
"""The lines of the guide's cookbook, and their objects on the way into the lab."""

import json
import pwd
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from bpf.build.objects import BuildResult
from lab.tree import copy_files, files_of, project_root
from scheduler_library.policy.compiler import CompiledPolicy, TargetMachine, compile_policy

GUIDE = project_root() / "docs" / "policy-language.md"
# The guest has this many CPUs, and every one of its policies is made for them.
CPUS = 2
# The folder in the guest's tree, and the list in it.
FOLDER = "policies"
INDEX = "index.json"


def lines() -> list[str]:
    """The blocks ```policy of the guide's cookbook, in order."""
    _, _, cookbook = GUIDE.read_text("utf-8").partition("\n## Cookbook\n")
    return [block.partition("\n```")[0].strip() for block in cookbook.split("```policy\n")[1:]]


def machine(cpus: int = CPUS) -> TargetMachine:
    """The guest, as far as a policy can see it. Its user nobody is Debian's, as everywhere."""
    return TargetMachine(cpus, {"nobody": 65534, "root": pwd.getpwnam("root").pw_uid}.get)


def compiled(line: str, cpus: int = CPUS) -> CompiledPolicy:
    """One line of the cookbook as a scheduler."""
    found = compile_policy(line, machine=machine(cpus))
    assert isinstance(found, CompiledPolicy), line
    return found


@dataclass(frozen=True)
class Policy:
    """A policy as the guest gets it. `bits`: field of a selector → its bit in `selected`."""

    line: str
    name: str
    bits: dict[str, int]
    expected_runtime: bool


def tree_with_policies(
    folder: Path, build: Callable[[str, Path, str], BuildResult], cpus: int = CPUS
) -> Path:
    """A copy of this checkout in `folder`, with an object for each line of the cookbook.

    `build` gets a source, the folder for its object and a name; `cpus` are those of the guest.
    """
    checkout = project_root()
    tree = folder / "tree"
    copy_files(checkout, files_of(checkout), tree)
    place = tree / FOLDER
    place.mkdir()
    found = []
    for line in lines():
        policy = compiled(line, cpus)
        build(policy.source, place, f"{policy.name}.bpf.c").require()
        bits = {each.field: each.bit for each in policy.facts.selectors}
        found.append(Policy(line, policy.name, bits, policy.facts.expected_runtime))
    (place / INDEX).write_text(json.dumps([asdict(each) for each in found]), "utf-8")
    return tree
