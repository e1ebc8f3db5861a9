# SPDX-License-Identifier: GPL-2.0-only
"""The Claude agent: a model that deals with episodes by the MCP server's tools, on a budget."""
