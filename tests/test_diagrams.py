# SPDX-License-Identifier: GPL-2.0-or-later
"""The diagrams of docs/architecture.md show the real processes, sockets, events and routes."""

import re
from pathlib import Path

from daemon.api.models import EventKind
from daemon.api.paths import CONTROL_SOCKET, OBSERVE_SOCKET, RUN_DIR
from mcp_server.server import TOOLS

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "architecture.md").read_text()
FLOW, SEQUENCE = re.findall(r"```mermaid\n(.*?)```", PAGE, re.DOTALL)
ROUTES = (ROOT / "daemon" / "api" / "README.md").read_text()
NUMBERS = {4: "four", 5: "five", 6: "six", 7: "seven"}


def unit(name: str) -> dict[str, str]:
    """The settings of a unit in systemd/; if one appears several times, the last."""
    text = (ROOT / "systemd" / name).read_text()
    return dict(re.findall(r"^([A-Za-z]+)=(.*)$", text, re.MULTILINE))


def groups() -> dict[str, set[str]]:
    """The processes of each frame of the diagram, by the frame's title."""
    found = re.findall(r'subgraph \w+\["([^"]+)"\](.*?)\bend\b', FLOW, re.DOTALL)
    return {title: set(re.findall(r'\["([^"]+)"\]', body)) for title, body in found}


def processes_of_the_table() -> set[str]:
    """Names of our own programs in the first column of "Processes and privileges"."""
    table = PAGE.split("## Processes and privileges")[1].split("```mermaid")[0]
    cells = re.findall(r"^\| ([^|]+) \|", table, re.MULTILINE)
    return {name for cell in cells for name in re.findall(r"`(schedpilot[^`]*)`", cell)}


def test_every_process_of_the_table_is_in_the_diagram() -> None:
    """Each program in the table has its place in a frame."""
    drawn = set().union(*groups().values())
    assert processes_of_the_table() <= drawn


def test_the_frames_say_what_the_units_give() -> None:
    """User, capabilities and network of each frame are those of the unit that starts it."""
    titles = {each.split(",")[0]: each for each in groups()}
    daemon, agent = unit("schedpilotd.service"), unit("schedpilot-agent.service")
    capabilities = daemon["CapabilityBoundingSet"].split()
    assert "User" not in daemon
    assert f"{NUMBERS[len(capabilities)]} capabilities" in titles["root"]
    assert daemon["PrivateNetwork"] == "yes"
    assert "no network" in titles["root"]
    users = re.findall(
        r"^u (\S+)", (ROOT / "systemd/schedpilot.sysusers").read_text(), re.MULTILINE
    )
    drawn = {title.removeprefix("user ") for title in titles if title.startswith("user ")}
    assert drawn == set(users)
    title = titles[f"user {agent['User']}"]
    assert agent["CapabilityBoundingSet"] == ""
    assert "no capability" in title
    assert "AF_INET" in agent["RestrictAddressFamilies"]
    assert "network" in title


def test_every_socket_is_where_the_diagram_says() -> None:
    """The diagram has both sockets, and no other."""
    drawn = set(re.findall(r"/run/\S+\.sock", FLOW))
    assert drawn == {str(RUN_DIR / CONTROL_SOCKET), str(RUN_DIR / OBSERVE_SOCKET)}


def test_the_sequence_names_what_exists() -> None:
    """Events, tools and routes in the sequence of an episode are those of the API and of MCP."""
    assert set(re.findall(r"event ([a-z-]+)", SEQUENCE)) <= {each.value for each in EventKind}
    assert set(re.findall(r"tool ([a-z_]+)", SEQUENCE)) <= {tool.name for tool in TOOLS}
    routes = re.findall(r"((?:GET|POST|DELETE) /v1/\S+)", SEQUENCE)
    assert [each for each in routes if f"`{each}`" not in ROUTES] == []
    assert len(routes) >= 4


def test_the_sequence_has_the_processes_of_the_other_diagram() -> None:
    """Each speaker in the sequence is drawn with its privileges, except for the kernel and the
    model."""
    speakers = set(re.findall(r"participant \w+ as (.+)", SEQUENCE)) - {"kernel", "model"}
    assert speakers <= set().union(*groups().values())
