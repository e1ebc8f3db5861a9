# SPDX-License-Identifier: GPL-2.0-or-later
"""Returns memory that the daemon needed only for a while.

Making the shared headers of all builds passes megabytes of text through a thread. After the first
such block glibc's malloc keeps later ones for itself, and leaves the freed memory in a thread's
arena: some 7 MB for ever, for one minute of work.
"""

import contextlib
import ctypes

# mallopt(3): from this size on a block is its own mapping and is returned when freed. This is
# glibc's default; setting it keeps it from growing.
_M_MMAP_THRESHOLD = -3
_MMAP_THRESHOLD_BYTES = 128 * 1024


def keep_small() -> None:
    """From now on large blocks are returned to the kernel as soon as they are freed."""
    # Other C libraries have no such setting, and need none.
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, _MMAP_THRESHOLD_BYTES)


def give_back() -> None:
    """Return all free memory to the kernel; takes some milliseconds."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
