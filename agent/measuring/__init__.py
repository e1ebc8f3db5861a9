# SPDX-License-Identifier: GPL-2.0-or-later
"""Where an application's own numbers come from: one module for each kind of source.

Each has the table that names it in `agent.toml`, and a reader (`reading.Source`) that says at the
end of each interval what the number was in it. Text that is read here (log lines, pages, datagrams)
is hostile: bounded where it enters, escaped where it is shown.
"""
