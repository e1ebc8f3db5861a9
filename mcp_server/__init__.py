# SPDX-License-Identifier: GPL-2.0-or-later
"""The MCP server: the daemon's tools for models and the people who use them."""
