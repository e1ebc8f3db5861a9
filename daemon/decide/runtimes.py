# SPDX-License-Identifier: GPL-2.0-or-later
"""How long a process is going to run, learned from those that ended.

A process is known by its program and its arguments, after what differs between two runs of the
same thing (process ids, random parts of names) is taken out of them; file names and plain numbers
stay, since they are what makes one job another. Arguments may hold secrets: they are kept as a hash
only.

An estimate is an exponential average that one odd run moves only so far. A process never seen is
expected to run as long as the others of its program, where these are alike; else nothing is
expected of it.
"""

import hashlib
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from statistics import fmean, pstdev

# Estimates remembered. A build of a large program has some thousand jobs.
MOST_RUNTIMES = 10_000
# How many go at once when there are more, so that looking for the oldest is rare.
DROPPED_AT_ONCE = MOST_RUNTIMES // 20
# The newest run counts for at least this much: what changed for good is learned in some ten runs.
LEAST_WEIGHT = 0.2
# Runs from which on an odd one is clipped; before, nobody knows which of them is the odd one.
TRUSTED_RUNS = 3
# A run counts as at most this many spreads away from the mean, plus a part of the mean: jobs that
# took the very same time so far have no spread, and may change all the same.
CLIPPED_SPREADS = 3.0
CLIPPED_PART = 0.25
# A program's jobs are alike where their means differ by no more than this part of their mean...
ALIKE = 0.5
# ...and that can be said of this many of them. The newest ones are looked at.
ALIKE_LEAST = 3
ALIKE_LOOKED_AT = 32
# Longer than any program's name is: 15 bytes, each of which may be told in four characters.
PROGRAM_LIMIT = 64

# Names with these parts differ in each run, wherever they are.
_EVERYWHERE = (
    (re.compile(r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}"), "#"),  # UUIDs
    (re.compile(r"(?<=/proc/)\d+(?=/|$)"), "#"),
    (re.compile(r"(?<=/dev/fd/)\d+"), "#"),  # what a shell makes of <(…)
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
# A process id in a temporary folder's name; with a leading zero it is somebody's counting.
_NUMBER = re.compile(r"(?<!\d)[1-9]\d{2,6}(?!\d)")


@dataclass(frozen=True, slots=True)
class Key:
    """What is run: a program's name (hostile text), and the hash of its arguments."""

    program: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Runtime:
    """What is known of the CPU time of one key, ns. `at`: its last run, Unix seconds."""

    mean_ns: float
    spread_ns: float
    count: int
    at: float

    def __post_init__(self) -> None:
        sound = math.isfinite(self.mean_ns + self.spread_ns + self.at)
        if not sound or self.mean_ns < 0 or self.spread_ns < 0 or self.count < 1:
            raise ValueError("no such runtime can have been learned")


def _random(word: str) -> bool:
    """Whether this looks drawn and not written: small and large letters and digits take turns more
    often than they do in names like `part07`, `libFoo2` or `mySuperJob`."""
    pieces = len(_PIECE.findall(word))
    return pieces >= 3 and len(word) < 2.5 * pieces


def _temporary(found: re.Match[str]) -> str:
    """The first name below a folder for temporary things, without what was drawn for it."""
    folder, name, more = found.groups()
    name = _COMPILER.sub("cc#", name)
    name = _WORD.sub(lambda word: "#" if _random(word[0]) else word[0], name)
    if more:
        # A folder's number is a process's; a file's number may be what the job is about.
        name = _NUMBER.sub("#", name)
    return f"{folder}{name}{more}"


def _hex(found: re.Match[str]) -> str:
    word = found[0]
    return word if word.isdigit() or word.isalpha() else "#"


def normalised(arguments: Sequence[str]) -> tuple[str, ...]:
    """The arguments without what differs between two runs of the same thing."""
    found: list[str] = []
    pid_next = False
    for number, argument in enumerate(arguments):
        # However it was called: by its name, or by its path.
        text = argument.rpartition("/")[2] if number == 0 else argument
        if pid_next and text.isdigit():
            text = "#"
        pid_next = _PID_OPTION.fullmatch(text) is not None
        for pattern, stand_in in _EVERYWHERE:
            text = pattern.sub(stand_in, text)
        text = _TEMPORARY.sub(_temporary, text)
        found.append(_HEX.sub(_hex, text))
    return tuple(found)


def key_of(program: str, arguments: Sequence[str]) -> Key:
    """The key of a process; `arguments` as `bpf.signals.source` tells them."""
    state = hashlib.sha256()
    for each in normalised(arguments):
        raw = each.encode("utf-8", "surrogatepass")
        state.update(b"%d:" % len(raw))
        state.update(raw)
    return Key(program[:PROGRAM_LIMIT], state.hexdigest()[:16])


def learned(before: Runtime | None, run_ns: float, at: float) -> Runtime:
    """What is known after one more run."""
    if before is None:
        return Runtime(run_ns, 0.0, 1, at)
    weight = max(1.0 / (before.count + 1), LEAST_WEIGHT)
    deviation = run_ns - before.mean_ns
    if before.count >= TRUSTED_RUNS:
        bound = CLIPPED_SPREADS * before.spread_ns + CLIPPED_PART * before.mean_ns
        deviation = max(-bound, min(bound, deviation))
    return Runtime(
        before.mean_ns + weight * deviation,
        before.spread_ns + weight * (abs(deviation) - before.spread_ns),
        before.count + 1,
        at,
    )


class Runtimes:
    """All that is known, bounded; the keys not seen for the longest go first."""

    def __init__(self, known: Iterable[tuple[Key, Runtime]] = ()) -> None:
        # By program; in each, the key that ran last is last.
        self._programs: dict[str, dict[str, Runtime]] = {}
        self._count = 0
        for key, runtime in sorted(known, key=lambda each: each[1].at):
            self._put(key, runtime)

    def __len__(self) -> int:
        return self._count

    def get(self, key: Key) -> Runtime | None:
        """What is known of just this."""
        return self._programs.get(key.program, {}).get(key.arguments)

    def learn(self, key: Key, run_ns: float, at: float) -> Runtime:
        """Note a run that ended well; returns what is known of its like now."""
        runtime = learned(self.get(key), run_ns, at)
        self._put(key, runtime)
        return runtime

    def expected_ns(self, key: Key) -> int | None:
        """How long a process is going to run in all, CPU time in ns; None: nobody knows."""
        of_program = self._programs.get(key.program, {})
        known = of_program.get(key.arguments)
        if known is not None:
            return round(known.mean_ns)
        means = [each.mean_ns for each in islice(reversed(of_program.values()), ALIKE_LOOKED_AT)]
        if len(means) < ALIKE_LEAST:
            return None
        mean = fmean(means)
        return round(mean) if pstdev(means, mean) <= ALIKE * mean else None

    def _put(self, key: Key, runtime: Runtime) -> None:
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
