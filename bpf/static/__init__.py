# SPDX-License-Identifier: GPL-2.0-or-later
"""What can be said of a scheduler's C without compiling or running it."""
