# SPDX-License-Identifier: GPL-2.0-or-later
"""From a scheduler's C to an object: the kernel's types, our headers, clang and its messages."""
