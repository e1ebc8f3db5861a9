# SPDX-License-Identifier: GPL-2.0-or-later
"""`python -m lab`."""

from lab.cli import main

main()
