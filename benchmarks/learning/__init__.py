# SPDX-License-Identifier: GPL-2.0-or-later
"""Whether the offline advisor learns: recorded gains, and episodes replayed against them."""
