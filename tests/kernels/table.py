# SPDX-License-Identifier: GPL-2.0-or-later
"""What was found on each kernel, as the table of docs/kernels.md."""

from collections.abc import Iterable, Sequence

from bpf.kernel.controls import ResourceControl

from .guest import LIBRARY, POLICY
from .looked import KernelLook

BEGIN = "<!-- made by `python -m tests.kernels --write`: begin -->"
END = "<!-- end -->"
HEADINGS = (
    "kernel",
    "functions (malformed)",
    "library",
    "cookbook",
    "resource controls",
    "event counters",
    "signals",
    "recorder",
    "probes",
)
YES, NO = "yes", "no"
# Nothing was booted, or nothing ran there.
_UNKNOWN = "–"


def row(found: KernelLook) -> tuple[str, ...]:
    """One kernel: cells in the order of `HEADINGS`."""
    honoured = [each.value for each in ResourceControl if each not in found.lacking]
    malformed = len(found.features.malformed)
    return (
        found.release.partition("+")[0],
        f"{len(found.features.kfuncs)}" + (f" ({malformed})" if malformed else ""),
        _of(found, LIBRARY),
        _of(found, POLICY),
        ", ".join(honoured) or "none",
        _counters(found),
        _signals(found),
        _recorder(found),
        _probes(found),
    )


def _of(found: KernelLook, kind: str) -> str:
    return f"{found.works(kind)} of {found.number(kind)}"


def _counters(found: KernelLook) -> str:
    """Those that the kernel shows for a scheduler that runs."""
    shown = [each["counters"] for each in found.tried(LIBRARY).values() if "counters" in each]
    return str(max(shown)) if shown else _UNKNOWN


def _signals(found: KernelLook) -> str:
    seen = found.seen.get("signals")
    if seen is None:
        return _UNKNOWN
    if not seen.get("workloads"):
        return NO
    lacks = [name for name in ("open", "turns") if not seen.get(name)]
    return f"yes, without {' and '.join(lacks)}" if lacks else YES


def _recorder(found: KernelLook) -> str:
    seen = found.seen.get("recorder")
    if seen is None:
        return _UNKNOWN
    return YES if seen.get("records") else NO


def _probes(found: KernelLook) -> str:
    seen = found.seen.get("probes")
    if seen is None:
        return _UNKNOWN
    return NO if all(seen.values()) else YES


def notes(found: KernelLook) -> list[str]:
    """Why something does not work there, one sentence each."""
    release = found.release.partition("+")[0]
    said = [f"{release}: {reason}." for reason in found.lacking.values()]
    by_reason: dict[str, list[str]] = {}
    for name, reason in found.refused.items():
        by_reason.setdefault(reason, []).append(name)
    for kind in (LIBRARY, POLICY):
        for name, each in found.tried(kind).items():
            if "trouble" in each:
                by_reason.setdefault(each["trouble"], []).append(f"{kind}{name}")
    said += [
        f"{release}: {len(names)} scheduler{'s' if len(names) > 1 else ''}: {reason}."
        for reason, names in sorted(by_reason.items(), key=lambda each: -len(each[1]))
    ]
    reasons = {reason for each in found.seen.get("probes", {}).values() for reason in each}
    said += [f"{release}: probes lack {reason}." for reason in sorted(reasons)]
    for program in ("signals", "recorder"):
        if trouble := found.seen.get(program, {}).get("trouble"):
            said.append(f"{release}: {program}: {trouble}.")
    return said


def rendered(looks: Iterable[KernelLook]) -> str:
    """The table, and below it why something does not work."""
    found = list(looks)
    lines = [_line(HEADINGS), _line(["---"] * len(HEADINGS)), *(_line(row(each)) for each in found)]
    said = [note for each in found for note in notes(each)]
    return (
        "\n".join(lines) + "\n" + "".join(f"\n- {each}" for each in said) + ("\n" if said else "")
    )


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def replaced(page: str, table: str) -> str:
    """The page with another table between its marks.

    Raises:
        ValueError: it has no such marks.
    """
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError("the page has no place for the table")
    return f"{before}{BEGIN}\n\n{table}\n{END}{after}"
