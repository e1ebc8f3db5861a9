# SPDX-License-Identifier: GPL-2.0-or-later
"""Everything of ours on the lab's kernel, or on that of `make test KERNEL=`: it works, or not for a
reason that the kernel gives.
"""

import pytest

from lab import kernels

from .guest import LIBRARY, POLICY
from .looked import KernelLook, look
from .table import notes

pytestmark = [pytest.mark.vm, pytest.mark.long]


@pytest.fixture(scope="module")
def found() -> KernelLook:
    return look(kernels.wanted(None))


def test_schedulers_load_wherever_the_kernels_functions_are_sound(found: KernelLook) -> None:
    """The library runs under load and leaves when asked; each line of the cookbook is verified."""
    if found.features.malformed:
        assert len(found.refused) == found.number(LIBRARY) + found.number(POLICY)
        assert all("cannot be called on this kernel" in each for each in found.refused.values())
        return
    assert found.refused == {}
    assert found.works(POLICY) == found.number(POLICY) > 20, notes(found)
    for name, each in found.tried(LIBRARY).items():
        assert each.get("ops") == name, each
        assert (each["end"], each["why"]) == ("detached", "request")
        assert each["counters"] > 0


def test_what_watches_works_everywhere(found: KernelLook) -> None:
    """Signals and the recorder lose nothing, and need no function that a kernel may lack."""
    assert found.seen["signals"]["workloads"] > 0
    assert found.seen["signals"]["lost"] == 0
    assert found.seen["recorder"]["records"] > 0
    assert found.seen["recorder"]["lost"] == 0


def test_the_doctor_fails_only_for_malformed_functions(found: KernelLook) -> None:
    """What a kernel lacks is a warning; only a kernel that can load nothing is a failure."""
    failing = {"scheduler functions"} if found.features.malformed else set()
    assert set(found.seen["failing"]) == failing
