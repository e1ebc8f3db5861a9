# SPDX-License-Identifier: GPL-2.0-only
"""Candidates, and the gates that each passes before it may meet the host."""
