# SPDX-License-Identifier: GPL-2.0-or-later
"""Parts shared by several programs: the JSON writer, clock and cgroups in C, names in Python."""
