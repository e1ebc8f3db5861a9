# SPDX-License-Identifier: GPL-2.0-or-later
"""How the daemon is reached and what it reports: sockets, journal, events, metrics."""
