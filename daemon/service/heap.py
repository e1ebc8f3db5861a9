# SPDX-License-Identifier: GPL-2.0-or-later
"""Keeps what the daemon once needed from staying with it.

Making the headers that all builds share passes megabytes of text through a thread. glibc's
malloc learns from the first such block to keep the later ones for itself, and leaves what is
freed in a thread's arena there: some 7 MB for ever, for work of one minute.
"""

import contextlib
import ctypes

# mallopt(3): from this size on a block is the kernel's own mapping and goes back when freed.
# This is glibc's default; to set it keeps it from growing.
_M_MMAP_THRESHOLD = -3
_MMAP_THRESHOLD_BYTES = 128 * 1024


def keep_small() -> None:
    """From now on large blocks go back to the kernel as soon as they are freed."""
    # Other C libraries have no such thing, and no such need.
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, _MMAP_THRESHOLD_BYTES)


def give_back() -> None:
    """Give all that is free back to the kernel; takes some milliseconds."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
