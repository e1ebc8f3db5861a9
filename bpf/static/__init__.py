# SPDX-License-Identifier: GPL-2.0-only
"""What can be said of a scheduler's C without compiling or running it."""
