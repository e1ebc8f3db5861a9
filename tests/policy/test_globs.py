# SPDX-License-Identifier: GPL-2.0-or-later
"""The C of globs, compiled for this machine, compared with the standard library's globs."""

import ctypes
import re
import shutil
import tempfile
from fnmatch import fnmatchcase
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from process import run
from scheduler_library.policy.compiler import CompiledPolicy, compile_policy
from scheduler_library.policy.formatter import format_expression
from scheduler_library.policy.syntax import Binary, Name, Text

from .programs import MACHINE

# What the functions depend on.
BEFORE = """\
#include <stdbool.h>
#include <stdint.h>
#define __always_inline inline __attribute__((always_inline))
typedef uint32_t u32;
"""
FLAGS = ("-shared", "-fPIC", "-O1", "-fsanitize=undefined", "-fsanitize-trap=all")
# Few letters, so that names and patterns often match.
NAMES = st.lists(st.text("ab.", max_size=15), min_size=50, max_size=50)
PATTERNS = st.text("ab.*?", min_size=1, max_size=18).filter(
    lambda text: len(text.replace("*", "")) < 16
)


@pytest.mark.skipif(not shutil.which("clang-19"), reason="clang-19 compiles the C")
@settings(deadline=None, max_examples=25)
@given(st.lists(PATTERNS, min_size=20, max_size=32, unique=True), NAMES)
def test_globs_match_as_everywhere(patterns: list[str], names: list[str]) -> None:
    """A name matches a pattern in the kernel exactly when it does in a shell."""
    selector = format_expression(Binary("~", Name("comm"), Text("|".join(patterns))))
    policy = compile_policy(f"{selector} {{ idle }}", machine=MACHINE)
    assert isinstance(policy, CompiledPolicy)
    part = re.search(
        r"^static __always_inline \w+ at\(.*^static __noinline bool name_is_\d+\(.*?^}$",
        policy.source,
        re.DOTALL | re.MULTILINE,
    )
    assert part is not None
    with tempfile.TemporaryDirectory(prefix="schedpilot-globs-") as place:
        source, library = Path(place, "globs.c"), Path(place, "globs.so")
        seen = re.sub(r"static __noinline bool (name_is_\d+)", r"bool \1", part[0])
        source.write_text(BEFORE + seen)
        run(["clang-19", *FLAGS, source, "-o", library], timeout=60)
        loaded = ctypes.CDLL(str(library))
        for number, pattern in enumerate(patterns, 1):
            matches = loaded[f"name_is_{number}"]
            matches.restype = ctypes.c_bool
            for name in names:
                # As the kernel gives it: 16 bytes, padded with zeros.
                found = matches(ctypes.create_string_buffer(name.encode(), 16))
                assert found == fnmatchcase(name, pattern), (pattern, name)
