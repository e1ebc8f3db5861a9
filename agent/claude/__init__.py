# SPDX-License-Identifier: GPL-2.0-or-later
"""The Claude agent: a model that handles episodes with the MCP server's tools, on a budget."""
