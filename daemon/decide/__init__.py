# SPDX-License-Identifier: GPL-2.0-or-later
"""What the daemon decides, and from what: pure functions over recorded data.

Nothing here does I/O or reads a clock. A state and an observation go in, a new state and
what was decided come out; `daemon.replay` runs the same functions over a recording.
"""
