# SPDX-License-Identifier: GPL-2.0-only
"""What answers each request of the API."""
