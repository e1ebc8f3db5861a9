# SPDX-License-Identifier: GPL-2.0-or-later
"""Everything about a policy that needs no daemon: parsing, checking, formatting, compiling to C.

    python -m scheduler_library.policy.command [--emit-c | --format] [--json] < POLICY
    python -m scheduler_library.policy.command --library NAME …

It is a separate program, so that the command `schedpilot check` need not import any of this. The
requested text goes to standard output, everything else to standard error; the exit status is 1
after a fault. Nothing is built, proven or loaded.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field

from process import Fault, FaultType, fault_of, printable
from scheduler_library.catalog import LARGEST_POLICY_BYTES, CatalogEntry, load_catalog
from scheduler_library.manifest import EntryKind
from scheduler_library.parameters import Value, check_parameters
from scheduler_library.policy.compiler import CompiledPolicy, Use
from scheduler_library.policy.trouble import Doubt
from scheduler_library.this_machine import compile_here


@dataclass(frozen=True)
class CheckedPolicy:
    """The result to print. `source` is the C, `seconds` the compiler's time.

    `values` are the given parameters, as the object takes them.
    """

    name: str
    policy: str
    source: str
    seconds: float
    about: Mapping[str, object]
    values: Mapping[str, Value] = field(default_factory=dict)
    doubts: tuple[Doubt, ...] = ()


def check_text(
    text: str, values: Mapping[str, str], by: tuple[str, ...] = (), *, cpus: int = 0
) -> CheckedPolicy:
    """Compile a policy; for one that is `use …`, check as far as the library reaches.

    Args:
        by: the policies of the library that led here.
        cpus: number of CPUs of the machine it is for; 0: this one.

    Raises:
        Fault: BAD_POLICY, BAD_PARAMETER, UNKNOWN_SCHEDULER.
    """
    started = time.perf_counter()
    compiled = compile_here(text, cpus=cpus)
    seconds = time.perf_counter() - started
    if isinstance(compiled, Use):
        return _used(compiled, values, by, seconds, cpus)
    given = check_parameters(compiled.manifest, values)
    about = _about(compiled)
    return CheckedPolicy(
        compiled.name, compiled.text, compiled.source, seconds, about, given, compiled.doubts
    )


def _about(compiled: CompiledPolicy) -> dict[str, object]:
    return {
        "parameters": [each.model_dump(mode="json") for each in compiled.manifest.params],
        "facts": asdict(compiled.facts),
        "cpus": compiled.cpus,
        "body_lines": [asdict(each) for each in compiled.body_lines],
    }


def _used(
    use: Use, values: Mapping[str, str], by: tuple[str, ...], seconds: float, cpus: int
) -> CheckedPolicy:
    if use.name in by:
        raise Fault(FaultType.BAD_POLICY, f"the policy {use.name!r} of the library uses itself")
    entry = load_catalog().get(use.name)
    found = check_entry(entry, {**use.parameters, **values}, by, cpus=cpus)
    about = {"uses": use.name, "given": dict(use.parameters), **found.about}
    if use.layers:
        about["layers"] = json.loads(use.layers)
    took, doubts = seconds + found.seconds, (*use.doubts, *found.doubts)
    return CheckedPolicy(use.name, use.text, found.source, took, about, found.values, doubts)


def check_entry(
    entry: CatalogEntry, values: Mapping[str, str], by: tuple[str, ...] = (), *, cpus: int = 0
) -> CheckedPolicy:
    """An entry of the library. For an installed scheduler only the program knows more.

    Raises:
        Fault: as `check_text`, and STATE if the source cannot be read.
    """
    if entry.manifest.kind is EntryKind.POLICY:
        return check_text(entry.policy(), values, (*by, entry.name), cpus=cpus)
    about: dict[str, object] = {
        "parameters": [each.model_dump(mode="json") for each in entry.manifest.params]
    }
    if entry.source is None:
        return CheckedPolicy(entry.name, "", "", 0.0, about)
    given = check_parameters(entry.manifest, values)
    try:
        return CheckedPolicy(entry.name, "", entry.source.read_text(), 0.0, about, given)
    except OSError as error:
        raise Fault(
            FaultType.STATE,
            "the source cannot be read",
            where=str(entry.source),
            why=error.strerror or "",
        ) from None


def _answer(found: CheckedPolicy, asked: argparse.Namespace) -> str:
    """The text for standard output."""
    layers = found.about.get("layers")
    if asked.emit_c and layers and not asked.json:
        return json.dumps(layers, indent=2)
    if asked.emit_c and not found.source:
        raise Fault(
            FaultType.UNSUPPORTED,
            f"there is no C of {found.name!r}",
            why="it is a program, which may or may not be installed",
            hint="`schedpilot check --emit-c` prints its layer file"
            if layers
            else f"see `schedpilot library show {found.name}`",
        )
    if asked.json:
        document: dict[str, object] = {"name": found.name, "policy": found.policy, **found.about}
        document["values"] = dict(found.values)
        document["messages"] = [each.message() for each in found.doubts]
        if asked.emit_c:
            document["source"] = found.source
        document["seconds"] = {"compile": round(found.seconds, 6)}
        return json.dumps(document, indent=2)
    if asked.emit_c:
        return found.source.rstrip("\n")
    if not found.policy:
        raise Fault(
            FaultType.BAD_REQUEST,
            f"{found.name!r} is not a policy",
            hint="--emit-c prints the C of what is written in C",
        )
    return found.policy


def main(words: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="schedpilot check", allow_abbrev=False)
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--emit-c", action="store_true", help="print the C")
    what.add_argument("--format", action="store_true", help="print the canonical text")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--library", metavar="NAME", help="an entry instead of standard input")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument(
        "--cpus",
        type=int,
        default=0,
        metavar="N",
        help=("number of CPUs of the machine it is for; default: this one's"),
    )
    asked = parser.parse_args(words)
    values = dict(each.partition("=")[::2] for each in asked.set)
    try:
        if asked.library is not None:
            found = check_entry(load_catalog().get(asked.library), values, cpus=asked.cpus)
        else:
            raw = sys.stdin.buffer.read(LARGEST_POLICY_BYTES + 1)
            found = check_text(_decoded(raw), values, cpus=asked.cpus)
        answer = _answer(found, asked)
    except (Fault, OSError) as error:
        for line in fault_of(error).report().split("\n"):
            print(printable(line), file=sys.stderr)
        return 1
    for doubt in found.doubts:
        for line in doubt.report().split("\n"):
            print(printable(line), file=sys.stderr)
    try:
        print(answer)
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader has seen enough (`| head`). Buffered output is discarded.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if found.policy and not asked.json:
        lines = found.source.count("\n")
        told = f"{found.name}: {lines} lines of C" if found.source else found.name
        print(f"{told}; parsed and compiled in {found.seconds * 1000:.0f} ms", file=sys.stderr)
    return 0


def _decoded(raw: bytes) -> str:
    """Raises Fault BAD_POLICY or TOO_LARGE."""
    if len(raw) > LARGEST_POLICY_BYTES:
        raise Fault(
            FaultType.TOO_LARGE,
            "this is too large for a policy",
            why=f"more than {LARGEST_POLICY_BYTES} bytes",
        )
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        raise Fault(
            FaultType.BAD_POLICY,
            "the policy is not text in UTF-8",
            where=f"byte {error.start + 1}",
            hint="write it in ASCII",
        ) from None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
