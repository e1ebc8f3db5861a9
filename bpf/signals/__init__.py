# SPDX-License-Identifier: GPL-2.0-or-later
"""`schedpilot-signals` (C), which measures every workload, and the reader of its lines."""
