# SPDX-License-Identifier: GPL-2.0-or-later
"""Closer looks, on demand: short-lived kernel programs made with BCC.

`kinds` says which there are and what each lacks here; `probe` runs one as a child process; the
child itself is `child`, run by the system's own Python, for that is the one that has BCC.
"""
