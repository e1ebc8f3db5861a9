# SPDX-License-Identifier: GPL-2.0-or-later
"""Paths as words of a command line: an empty word is none, and never the current folder."""

from argparse import ArgumentTypeError
from pathlib import Path


def named_path(text: str) -> Path:
    """For argparse.

    Raises:
        ArgumentTypeError: the word is empty.
    """
    if not text:
        raise ArgumentTypeError("a path is missing")
    return Path(text)
