# SPDX-License-Identifier: GPL-2.0-or-later
"""`schedpilot-recorder` (C), which records a workload's activity, and its Python side."""
