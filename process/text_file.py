# SPDX-License-Identifier: GPL-2.0-or-later
"""Small text files: what people write (configuration, manifests), and safe writes of our own."""

import contextlib
import os
import tomllib
from pathlib import Path
from typing import Any

from process.fault import Fault, FaultType


def read_text(path: Path, *, largest_bytes: int, type: FaultType, what: str) -> str:
    """The text of a file. `what` (`the manifest`) names it in a fault, which has this type.

    Raises:
        FileNotFoundError: it does not exist; the caller decides whether that matters.
        Fault: it cannot be read, is far too large, or is not UTF-8.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(largest_bytes + 1)
        text = raw.decode()
    except FileNotFoundError:
        raise
    except UnicodeDecodeError as error:
        raise Fault(
            type,
            f"{what} is not UTF-8 text",
            where=str(path),
            why=f"byte {error.start} cannot be decoded",
            hint="save it as UTF-8",
        ) from None
    except OSError as error:
        raise Fault(
            type,
            f"{what} cannot be read",
            where=str(path),
            why=error.strerror or str(error),
            hint="check what the path is, and its owner and mode",
        ) from None
    if len(raw) > largest_bytes:
        raise Fault(
            type,
            f"{what} is larger than {largest_bytes // 1024} KiB",
            where=str(path),
            hint="check that this is the right file",
        )
    return text


def parse_toml(text: str, *, where: str, type: FaultType, what: str) -> dict[str, Any]:
    """The tables of a TOML text; `where` (its path) goes into any fault.

    Raises:
        Fault: it is not TOML.
    """
    try:
        return tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise Fault(
            type,
            f"{what} is not TOML",
            where=where,
            why=str(error),
            hint="text needs quotes, tables are `[name]`, lists of tables are `[[name]]`",
        ) from None


def write_whole(path: Path, text: str, mode: int) -> None:
    """Replace a file's text, whole or not at all, even if the machine loses its power.

    Raises:
        OSError: the folder cannot be written, or is full; the old content is still there.
    """
    draft = path.with_name(path.name + ".new")
    try:
        # A leftover file may have another owner's mode.
        draft.unlink(missing_ok=True)
        made = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        with os.fdopen(made, "wb") as file:
            os.fchmod(made, mode)
            file.write(text.encode())
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            draft.unlink()
        raise
