# SPDX-License-Identifier: GPL-2.0-or-later
"""What answers each request of the API."""
