# SPDX-License-Identifier: GPL-2.0-or-later
"""Selectors that the kernel cannot see."""

import pytest

from daemon.decide.selecting import command_of, selected, unit_of
from scheduler_library.policy.facts import UserSelector

SELECTORS = (
    UserSelector(0, "cmd", ("ffmpeg *1080p*",)),
    UserSelector(3, "unit", ("redis*", "nginx.service")),
    UserSelector(63, "cmd", ("*",)),
)


@pytest.mark.parametrize(
    ("command", "cgroup", "bits"),
    [
        ("ffmpeg -i a-1080p.mkv", "", {0, 63}),
        ("FFMPEG -i a-1080p.mkv", "", {63}),
        ("ffmpeg\n1080p", "", {63}),
        ("ffmpeg -x\n1080p", "", {0, 63}),
        ("redis-server", "redis-server.service", {3, 63}),
        ("nginx", "nginx.service", {3, 63}),
        ("nginx", "nginx.socket", {63}),
        ("", "redis.service", {3}),
        ("", "", set()),
    ],
)
def test_a_mask_has_the_bits_of_what_matches(command: str, cgroup: str, bits: set[int]) -> None:
    """Globs are matched with case, against the whole; kernel threads have no command line."""
    assert selected(SELECTORS, command, cgroup) == sum(1 << bit for bit in bits)


def test_a_cgroup_matches_by_its_whole_path() -> None:
    """From the root on; a part in the middle needs stars."""
    selector = UserSelector(2, "cgroup", ("/system.slice/redis*",))
    assert selected([selector], "", "/system.slice/redis.service") == 4
    assert selected([selector], "", "/user.slice/system.slice/redis.service") == 0
    assert selected([selector], "redis", "") == 0


def test_a_unit_matches_without_its_ending() -> None:
    """`nginx` means `nginx.service`, as for systemctl."""
    assert selected([UserSelector(1, "unit", ("nginx",))], "", "nginx.service") == 2
    assert selected([UserSelector(1, "unit", ("user-1000",))], "", "user-1000.slice") == 2


@pytest.mark.parametrize(
    ("cgroup", "unit"),
    [
        ("/system.slice/redis.service", "redis.service"),
        ("/system.slice/docker.service/init/worker", "docker.service"),
        ("/user.slice/user-1000.slice/session-3.scope", "session-3.scope"),
        ("/system.slice/dbus.socket", "dbus.socket"),
        ("/user.slice", "user.slice"),
        ("/", ""),
        ("/lxc/servicebox", ""),
    ],
)
def test_the_unit_is_the_innermost_of_the_path(cgroup: str, unit: str) -> None:
    """A cgroup that a service makes below its own still belongs to that service."""
    assert unit_of(cgroup) == unit


def test_a_command_line_has_single_spaces_and_an_end() -> None:
    """Arguments are joined by one space each; what is endless is cut."""
    assert command_of(["gzip", "-9", "a b"]) == "gzip -9 a b"
    assert len(command_of(["x" * 100_000])) == 4096
