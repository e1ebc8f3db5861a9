# SPDX-License-Identifier: GPL-2.0-or-later
"""Candidates, and the gates that each passes before it may run on the host."""
