# SPDX-License-Identifier: GPL-2.0-or-later
"""The machine of these tests, and the schedulers of the library that run there."""

from lab.topology import GuestTopology

LIBRARY = ("fifo", "fair", "latency", "batch", "locality", "jobs")

# Two nodes with two last-level caches each, two cores in each of those, two threads of a core.
MIDDLE = GuestTopology(2, 2, 2, 2)
