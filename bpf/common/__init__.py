# SPDX-License-Identifier: GPL-2.0-or-later
"""What several programs share: the JSON writer, clock and cgroups in C, names in Python."""
