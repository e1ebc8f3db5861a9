# SPDX-License-Identifier: GPL-2.0-or-later
"""Sources of an application's own numbers: one module for each kind.

Each has its table in `agent.toml`, and a reader (`reading.MeasurementSource`) that returns the
interval's number at its end. Text from outside (log lines, pages, datagrams) is hostile: bounded
where it enters, escaped where it is shown.
"""
