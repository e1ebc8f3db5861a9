# SPDX-License-Identifier: GPL-2.0-or-later
"""The model's key, and the folder of the agent's spending record, as systemd provides them."""

from collections.abc import Mapping
from pathlib import Path

from agent.claude.settings import Claude
from agent.delegation import HandedOn
from process import Fault, FaultType
from process.text_file import read_text

KEY_FILE = "anthropic-api-key"
CREDENTIALS_VARIABLE, STATE_VARIABLE = "CREDENTIALS_DIRECTORY", "STATE_DIRECTORY"
STATE_DIR = Path("/var/lib/schedpilot-agent")
LONGEST_KEY = 4096


def read_key(settings: Claude, environment: Mapping[str, str]) -> str:
    """The key, from the file that systemd or the operator provides; never from the environment.

    Raises:
        HandedOn: there is no key.
    """
    folder = environment.get(CREDENTIALS_VARIABLE, "")
    if settings.key_file:
        path = Path(settings.key_file)
    elif folder:
        path = Path(folder) / KEY_FILE
    else:
        raise HandedOn("there is no key: no credential was given, and claude.key_file is not set")
    try:
        text = read_text(
            path, largest_bytes=LONGEST_KEY, type=FaultType.BAD_CONFIG, what="the key"
        ).strip()
    except FileNotFoundError:
        raise HandedOn(f"there is no key in {path}") from None
    except Fault as fault:
        raise HandedOn(str(fault)) from None
    if not text or not text.isascii() or not text.isprintable() or " " in text:
        raise HandedOn(f"{path} does not contain a key")
    return text


def state_folder(settings: Claude, environment: Mapping[str, str]) -> Path:
    """The folder of the spending record: as configured, else systemd's StateDirectory."""
    # systemd separates several folders by colons; here there is one.
    given = settings.state_dir or environment.get(STATE_VARIABLE, "").partition(":")[0]
    return Path(given) if given else STATE_DIR
