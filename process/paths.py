# SPDX-License-Identifier: GPL-2.0-or-later
"""Paths on a command line: an empty word is refused instead of meaning the current folder."""

from argparse import ArgumentTypeError
from pathlib import Path


def named_path(text: str) -> Path:
    """A type for argparse.

    Raises:
        ArgumentTypeError: the word is empty.
    """
    if not text:
        raise ArgumentTypeError("a path is missing")
    return Path(text)
