# SPDX-License-Identifier: GPL-2.0-or-later
"""Probes on demand: short-lived kernel programs made with BCC.

`kinds` lists them and what each lacks here; `probe` runs one as a child process; the child itself
is `child`, run by the system's own Python, which has BCC.
"""
