# SPDX-License-Identifier: GPL-2.0-or-later
"""Frame times from the log that MangoHud writes (`output_folder`, `autostart_log`), milliseconds.

    mangohud = { folder = "/home/anna/mangologs" }

The newest `*.csv` of the folder is read. Its table begins with a line of column names, `frametime`
among them.
"""

import math
from pathlib import Path

from agent.measuring.lines import Parse
from agent.measuring.table import AgentTable, FilePath
from process import Fault, FaultType

UNIT = "ms"
MOST_FILES = 4096
# MangoHud's columns since 0.6: `fps,frametime,cpu_load,…`. A log that is opened in its middle no
# longer shows its column names.
_USUAL_COLUMN = 1
_LONGEST_FRAME_MS = 3_600_000.0
# Frames per second times the frame time: 1000 if that is in milliseconds, a million in older
# versions, which use microseconds.
_MICROSECONDS = 100_000


class MangoHud(AgentTable):
    """The folder in which MangoHud writes its logs."""

    folder: FilePath


def newest(folder: Path) -> Path | None:
    """The newest log; None if there is none yet.

    Raises:
        Fault: NOT_FOUND or NOT_ALLOWED, for the folder.
    """
    best: tuple[float, Path] | None = None
    try:
        for number, path in enumerate(folder.iterdir()):
            if number >= MOST_FILES:
                break
            # MangoHud writes `NAME_summary.csv` beside a log when it is complete.
            if path.suffix != ".csv" or path.stem.endswith("_summary") or not path.is_file():
                continue
            changed = path.stat().st_mtime
            if best is None or changed > best[0]:
                best = (changed, path)
    except PermissionError as error:
        raise Fault(
            FaultType.NOT_ALLOWED,
            "the folder may not be read",
            where=str(folder),
            why=error.strerror or "",
            hint="below /home the service needs ProtectHome=read-only (`systemctl edit "
            "schedpilot-agent`), and the folder must be readable for the user schedpilot-agent",
        ) from None
    except OSError as error:
        raise Fault(
            FaultType.NOT_FOUND,
            "the folder cannot be read",
            where=str(folder),
            why=error.strerror or "",
            hint="set `output_folder` for MangoHud, and the same folder here",
        ) from None
    return best[1] if best else None


def frame_times() -> Parse:
    """Finds the frame time in a line; learns the column from the line of names, if it comes."""
    column = _USUAL_COLUMN

    def parse(line: str) -> float | None:
        nonlocal column
        cells = line.split(",", 64)
        if "frametime" in cells:
            column = cells.index("frametime")
            return None
        if len(cells) <= column:
            return None
        try:
            value = float(cells[column])
            if column == _USUAL_COLUMN and value * float(cells[0]) > _MICROSECONDS:
                value /= 1000
        except ValueError:
            return None
        return value if math.isfinite(value) and 0 < value < _LONGEST_FRAME_MS else None

    return parse
