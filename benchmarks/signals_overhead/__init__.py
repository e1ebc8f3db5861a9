# SPDX-License-Identifier: GPL-2.0-or-later
"""What the signals program costs the system it watches."""
