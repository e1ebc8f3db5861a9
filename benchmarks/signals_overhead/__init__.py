# SPDX-License-Identifier: GPL-2.0-only
"""What the signals program costs the system it watches."""
