# SPDX-License-Identifier: GPL-2.0-or-later
"""Predicts how long a process will run, from those that ended.

A process is identified by its program and its arguments, without the parts that differ between two
runs of the same command (process ids, random parts of names); file names and plain numbers stay,
because they distinguish jobs. Arguments may contain secrets: only their hash is kept.

An estimate is an exponential average that one odd run moves only so far. An unknown process is
expected to run as long as the others of its program, if these are alike; else there is no
expectation.
"""

import hashlib
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from statistics import fmean, pstdev

# How many estimates are kept. A build of a large program has some thousand jobs.
MOST_RUNTIMES = 10_000
# How many are removed at once when there are more, so that the search for the oldest is rare.
DROPPED_AT_ONCE = MOST_RUNTIMES // 20
# The newest run counts at least this much: a lasting change is learned in some ten runs.
LEAST_WEIGHT = 0.2
# From this many runs on an odd one is clipped; before, it is unknown which of them is the odd one.
TRUSTED_RUNS = 3
# A run counts as at most this many spreads away from the mean, plus a part of the mean: jobs that
# took exactly the same time so far have no spread, and may still change.
CLIPPED_SPREADS = 3.0
CLIPPED_PART = 0.25
# A program's jobs are alike if their means differ by at most this fraction of their mean...
ALIKE = 0.5
# ...and this many of them are known. The newest ones are checked.
ALIKE_LEAST = 3
ALIKE_LOOKED_AT = 32
# Longer than any program's name: 15 bytes, each of which may be escaped as four characters.
PROGRAM_LIMIT = 64

# Names with these parts differ in each run, wherever they are.
_EVERYWHERE = (
    (re.compile(r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}"), "#"),  # UUIDs
    (re.compile(r"(?<=/proc/)\d+(?=/|$)"), "#"),
    (re.compile(r"(?<=/dev/fd/)\d+"), "#"),  # a shell's <(…)
    (re.compile(r"(?<=/fd/)\d+"), "#"),
    (re.compile(r"(?<=\btmp\.)[0-9A-Za-z]{6,}"), "#"),  # mktemp(1)
    (re.compile(r"(?<![0-9A-Za-z])tmp[0-9a-z_]{8}(?![0-9a-z_])"), "tmp#"),  # Python's tempfile
    (re.compile(r"(?<=\bpid[=:-])\d+"), "#"),
)
# Digests, ids of builds and containers: hexadecimal of this length with digits among the letters.
_HEX = re.compile(r"(?<![0-9A-Za-z])[0-9a-fA-F]{16,}(?![0-9A-Za-z])")
_PID_OPTION = re.compile(r"--?[\w-]*pid", re.ASCII)
_TEMPORARY = re.compile(r"(/(?:tmp|dev/shm|run/user/\d+)/)([^/:,]+)(/?)")
_WORD = re.compile(r"[0-9A-Za-z]{6,}")
_PIECE = re.compile(r"[A-Z]?[a-z]+|[A-Z]+|\d+")
# gcc: ccXXXXXX.s
_COMPILER = re.compile(r"^cc[0-9A-Za-z]{6}(?=\.|$)")
# A process id in a temporary folder's name; with a leading zero it is a counter.
_NUMBER = re.compile(r"(?<!\d)[1-9]\d{2,6}(?!\d)")


@dataclass(frozen=True, slots=True)
class RuntimeKey:
    """A job: a program's name (hostile text), and the hash of its arguments."""

    program: str
    arguments: str


@dataclass(frozen=True, slots=True)
class LearnedRuntime:
    """The known CPU time of one key, ns. `at`: its last run, Unix seconds."""

    mean_ns: float
    spread_ns: float
    count: int
    at: float

    def __post_init__(self) -> None:
        sound = math.isfinite(self.mean_ns + self.spread_ns + self.at)
        if not sound or self.mean_ns < 0 or self.spread_ns < 0 or self.count < 1:
            raise ValueError("no such runtime can have been learned")


def _random(word: str) -> bool:
    """Whether this looks random and not written: small and large letters and digits alternate more
    often than in names like `part07`, `libFoo2` or `mySuperJob`.
    """
    pieces = len(_PIECE.findall(word))
    return pieces >= 3 and len(word) < 2.5 * pieces


def _temporary(found: re.Match[str]) -> str:
    """The first name below a folder for temporary files, without its random part."""
    folder, name, more = found.groups()
    name = _COMPILER.sub("cc#", name)
    name = _WORD.sub(lambda word: "#" if _random(word[0]) else word[0], name)
    if more:
        # A folder's number is a process id; a file's number may identify the job.
        name = _NUMBER.sub("#", name)
    return f"{folder}{name}{more}"


def _hex(found: re.Match[str]) -> str:
    word = found[0]
    return word if word.isdigit() or word.isalpha() else "#"


def normalised(arguments: Sequence[str]) -> tuple[str, ...]:
    """The arguments without the parts that differ between two runs of the same command."""
    found: list[str] = []
    pid_next = False
    for number, argument in enumerate(arguments):
        # Whether it was called by its name, or by its path.
        text = argument.rpartition("/")[2] if number == 0 else argument
        if pid_next and text.isdigit():
            text = "#"
        pid_next = _PID_OPTION.fullmatch(text) is not None
        for pattern, stand_in in _EVERYWHERE:
            text = pattern.sub(stand_in, text)
        text = _TEMPORARY.sub(_temporary, text)
        found.append(_HEX.sub(_hex, text))
    return tuple(found)


def key_of(program: str, arguments: Sequence[str]) -> RuntimeKey:
    """The key of a process; `arguments` as `bpf.signals.source` reports them."""
    state = hashlib.sha256()
    for each in normalised(arguments):
        raw = each.encode("utf-8", "surrogatepass")
        state.update(b"%d:" % len(raw))
        state.update(raw)
    return RuntimeKey(program[:PROGRAM_LIMIT], state.hexdigest()[:16])


def learned(before: LearnedRuntime | None, run_ns: float, at: float) -> LearnedRuntime:
    """The estimate after one more run."""
    if before is None:
        return LearnedRuntime(run_ns, 0.0, 1, at)
    weight = max(1.0 / (before.count + 1), LEAST_WEIGHT)
    deviation = run_ns - before.mean_ns
    if before.count >= TRUSTED_RUNS:
        bound = CLIPPED_SPREADS * before.spread_ns + CLIPPED_PART * before.mean_ns
        deviation = max(-bound, min(bound, deviation))
    return LearnedRuntime(
        before.mean_ns + weight * deviation,
        before.spread_ns + weight * (abs(deviation) - before.spread_ns),
        before.count + 1,
        at,
    )


class Runtimes:
    """All estimates, bounded; the keys not seen for the longest are removed first."""

    def __init__(self, known: Iterable[tuple[RuntimeKey, LearnedRuntime]] = ()) -> None:
        # By program; within each, the key that ran last is last.
        self._programs: dict[str, dict[str, LearnedRuntime]] = {}
        self._count = 0
        for key, runtime in sorted(known, key=lambda each: each[1].at):
            self._put(key, runtime)

    def __len__(self) -> int:
        return self._count

    def get(self, key: RuntimeKey) -> LearnedRuntime | None:
        """The estimate for exactly this key."""
        return self._programs.get(key.program, {}).get(key.arguments)

    def learn(self, key: RuntimeKey, run_ns: float, at: float) -> LearnedRuntime:
        """Note a run that ended well; returns the new estimate."""
        runtime = learned(self.get(key), run_ns, at)
        self._put(key, runtime)
        return runtime

    def expected_ns(self, key: RuntimeKey) -> int | None:
        """The expected CPU time of a process's whole run in ns; None: unknown."""
        of_program = self._programs.get(key.program, {})
        known = of_program.get(key.arguments)
        if known is not None:
            return round(known.mean_ns)
        means = [each.mean_ns for each in islice(reversed(of_program.values()), ALIKE_LOOKED_AT)]
        if len(means) < ALIKE_LEAST:
            return None
        mean = fmean(means)
        return round(mean) if pstdev(means, mean) <= ALIKE * mean else None

    def _put(self, key: RuntimeKey, runtime: LearnedRuntime) -> None:
        of_program = self._programs.setdefault(key.program, {})
        if of_program.pop(key.arguments, None) is None:
            self._count += 1
        of_program[key.arguments] = runtime
        if self._count > MOST_RUNTIMES:
            self._drop_oldest()

    def _drop_oldest(self) -> None:
        ages = sorted(
            (runtime.at, program, arguments)
            for program, of_program in self._programs.items()
            for arguments, runtime in of_program.items()
        )
        for _, program, arguments in ages[:DROPPED_AT_ONCE]:
            del self._programs[program][arguments]
            if not self._programs[program]:
                del self._programs[program]
            self._count -= 1
