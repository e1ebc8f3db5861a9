# SPDX-License-Identifier: GPL-2.0-or-later
"""What the running kernel can do and what it says of itself; the doctor is here too."""
