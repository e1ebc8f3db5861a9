# SPDX-License-Identifier: GPL-2.0-or-later
"""`schedpilot-runner` (C), which loads and holds one scheduler, and its Python side."""
