# SPDX-License-Identifier: GPL-2.0-or-later
"""The running kernel's features and state; the doctor is here too."""
