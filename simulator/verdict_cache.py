# SPDX-License-Identifier: GPL-2.0-or-later
"""Cache of gates' answers: the same question has the same answer, on any day.

The question is everything that decides. For the static check that is the source, our headers and
the check itself; for the simulator the object and its source, the parameters, the recorded
workload, and the simulator. The object contains the kernel's types.
"""

import json
import stat
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from bpf.build import cache
from bpf.build.kit import digest
from bpf.build.objects import MAX_SOURCE_BYTES
from bpf.paths import INCLUDE

_PACKAGE = Path(__file__).resolve().parent
_CHECK = INCLUDE.parent / "static"
_FOLDER = "proofs"
_KEPT = 1024


@lru_cache(maxsize=4)
def _code(*folders: Path) -> str:
    """Changes with any of our code in these folders."""
    files = sorted(
        each
        for folder in folders
        for each in folder.rglob("*")
        if each.suffix in (".c", ".h", ".py")
    )
    return digest(*(part for each in files for part in (str(each), each.read_bytes())))


def static_question(source: Path, headers: Sequence[Path] = ()) -> str:
    """The key under which the static check's answer about a source is stored.

    Raises:
        OSError: it cannot be read, or is not an ordinary file.
    """
    files = [part for each in (source, *headers) for part in (each.name, _ordinary(each))]
    return digest("static", _code(_CHECK, INCLUDE), *files)


def _ordinary(path: Path) -> bytes:
    if not stat.S_ISREG(path.lstat().st_mode):
        raise OSError("this is not an ordinary file")
    with path.open("rb") as file:
        # Larger files are refused, and so never stored.
        return file.read(MAX_SOURCE_BYTES + 1)


def question(
    source: Path,
    object: Path,
    parameters: Mapping[str, str],
    recorded: Path | None = None,
    cpus: Sequence[int] = (),
    headers: Sequence[Path] = (),
    judged: str = "",
) -> str:
    """The key under which the simulator's answer is stored.

    `judged`: how the recorded workload is judged.

    Raises:
        OSError: a file cannot be read.
    """
    return digest(
        _code(_PACKAGE),
        source.read_bytes(),
        object.read_bytes(),
        json.dumps(dict(parameters), sort_keys=True),
        recorded.read_bytes() if recorded else b"",
        json.dumps(list(cpus)),
        judged,
        *(part for each in headers for part in (each.name, _ordinary(each))),
    )


def recall(name: str, cache_folder: Path | None) -> dict[str, Any] | None:
    """The answer to a question; None if it was never asked, or is forgotten."""
    path = cache.folder(cache_folder) / _FOLDER / f"{name}.json"
    try:
        answer = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return answer if isinstance(answer, dict) else None


def keep(name: str, answer: Mapping[str, Any], cache_folder: Path | None) -> None:
    """Raises Fault STATE."""
    folder = cache.folder(cache_folder) / _FOLDER
    cache.write(folder / f"{name}.json", json.dumps(answer).encode())
    cache.prune(folder, keep=_KEPT)
