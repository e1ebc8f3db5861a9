# SPDX-License-Identifier: GPL-2.0-or-later
"""`schedpilot-recorder` (C), which records what a workload does, and its Python side."""
