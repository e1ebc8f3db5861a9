# SPDX-License-Identifier: GPL-2.0-or-later
"""The lab's machines with several nodes, last-level caches, cores and threads."""

import pytest
from typer.testing import CliRunner

from lab.cli import app
from lab.topology import GuestTopology
from process import Fault, FaultType


def test_a_topology_is_read_from_its_four_numbers() -> None:
    """Nodes, caches, cores and threads, in this order; their product is the number of CPUs."""
    found = GuestTopology.parse("2x4x3x1")
    assert found == GuestTopology(nodes=2, caches=4, cores=3, threads=1)
    assert found.cpus == 24


@pytest.mark.parametrize("text", ["", "2x2x2", "2x2x2x2x2", "0x2x2x2", "axbxcxd", "16x4x4x2"])
def test_anything_else_is_refused_with_an_example(text: str) -> None:
    """Too few or too many numbers, nothing of something, or more CPUs than QEMU boots."""
    with pytest.raises(Fault) as caught:
        GuestTopology.parse(text)
    assert caught.value.type is FaultType.BAD_REQUEST
    assert "2x2x2x2" in caught.value.hint


def test_each_node_has_its_part_of_cpus_and_memory() -> None:
    """QEMU gets the arrangement, and the nodes with their CPUs."""
    words = " ".join(GuestTopology(2, 2, 2, 2).words("2G"))
    assert "-smp 16,sockets=4,cores=2,threads=2 -m 2048M" in words
    assert "memory-backend-ram,id=node0,size=1024M" in words
    assert "-numa node,nodeid=0,memdev=node0,cpus=0-7" in words
    assert "-numa node,nodeid=1,memdev=node1,cpus=8-15" in words


def test_memory_without_a_unit_is_refused() -> None:
    """An amount that QEMU would take for something else is not passed on."""
    with pytest.raises(Fault) as caught:
        GuestTopology(2, 1, 1, 1).words("2048")
    assert "512M" in caught.value.hint


def test_a_number_of_cpus_and_a_topology_exclude_each_other() -> None:
    """The command says so before it builds or boots anything."""
    done = CliRunner().invoke(app, ["run", "--cpus", "4", "--topology", "2x2x2x2", "--", "true"])
    assert done.exit_code == 2
    assert "--topology" in done.output
