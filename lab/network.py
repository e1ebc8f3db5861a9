# SPDX-License-Identifier: GPL-2.0-or-later
"""What a child that fetches something may know of the caller's environment."""

import os


def network_environment() -> dict[str, str]:
    """Only the parts of the caller's environment that describe network access."""
    proxies = ("http_proxy", "https_proxy", "no_proxy", "all_proxy")
    wanted = {*proxies, *(each.upper() for each in proxies)}
    return {
        name: value
        for name, value in os.environ.items()
        if name in wanted or name in ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_TRUSTED_HOST")
    }
