# SPDX-License-Identifier: GPL-2.0-only
"""Whether the offline advisor learns: recorded gains, and episodes replayed against them."""
