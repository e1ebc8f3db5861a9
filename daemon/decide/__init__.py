# SPDX-License-Identifier: GPL-2.0-or-later
"""The daemon's decisions: pure functions over recorded data.

Nothing here does I/O or reads a clock. A state and an observation go in, a new state and the
decisions come out; `daemon.replay` runs the same functions over a recording.
"""
