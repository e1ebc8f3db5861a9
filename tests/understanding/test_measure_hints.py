# SPDX-License-Identifier: GPL-2.0-or-later
"""A profile's hints about the application's own numbers: what could be measured, and how."""

import pytest

from agent.config import parse_config
from daemon.api.models import ProgramKind
from daemon.understanding.measure_hints import MOST, KnownWorkload, listening, measure_hints
from daemon.understanding.proc import Process, Stat


def process(name: str, program: str = "") -> Process:
    stat = Stat(name, "S", 1, 0, 0, 0, 0, 1)
    return Process(pid=10, stat=stat, program=program)


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("redis-server", "redis"),
        ("valkey-server", "redis"),
        ("postgres", "postgres"),
        ("nginx", "nginx"),
        ("haproxy", "haproxy"),
        ("mangoapp", "mangohud"),
    ],
)
def test_programs_that_count_themselves_are_known(name: str, source: str) -> None:
    """Each comes with a valid piece of configuration."""
    for known in (
        KnownWorkload([process(name)]),
        KnownWorkload([process("x", name)], unit="shop.service"),
    ):
        (hint,) = measure_hints(known)
        assert hint.source == source
        (measure,) = parse_config(hint.snippet, "a hint").measure
        assert measure.source == source
        assert measure.taken is not None


def test_ports_tell_where_to_ask() -> None:
    """The port of redis is suggested, and a usual port for metrics; other ports are ignored."""
    (redis,) = measure_hints(KnownWorkload([process("redis-server")], ports={7000}))
    assert "127.0.0.1:7000" in redis.snippet
    (scrape,) = measure_hints(KnownWorkload([process("shop")], ports={80, 9102}))
    assert parse_config(scrape.snippet, "a hint").measure[0].source == "scrape"
    assert "9102" in scrape.snippet
    assert measure_hints(KnownWorkload([process("shop")], ports={80})) == []


def test_a_service_has_its_log() -> None:
    """This holds if nothing better is known, and not for a unit with an odd name, nor for a
    build."""
    unit = "shop@1.service"
    (hint,) = measure_hints(KnownWorkload([process("shop")], unit=unit))
    (measure,) = parse_config(hint.snippet, "a hint").measure
    assert measure.journal is not None
    assert measure.journal.unit == unit
    for odd in ('a".service', "a\nb.service", "session-1.scope", "x" * 200 + ".service"):
        assert measure_hints(KnownWorkload([process("shop")], unit=odd)) == []
    assert measure_hints(KnownWorkload([process("cc1")], [ProgramKind.BUILD], unit)) == []


def test_frames_come_from_mangohud() -> None:
    """It is suggested if MangoHud is loaded or might be."""
    for known in (
        KnownWorkload([process("hl2")], libraries={"libMangoHud.so"}),
        KnownWorkload([process("hl2")], [ProgramKind.GAME]),
    ):
        (hint,) = measure_hints(known)
        assert hint.source == "mangohud"


def test_suggestions_are_few() -> None:
    """This holds for any number of programs."""
    names = ("redis-server", "postgres", "nginx", "haproxy", "mangoapp")
    assert len(measure_hints(KnownWorkload([process(each) for each in names]))) == MOST


def test_listening_ports_are_the_users_own() -> None:
    """They come from the kernel's table, whatever else it has."""
    table = (
        b"  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid\n"
        b"   0: 0100007F:18EB 00000000:0000 0A 00000000:00000000 00:00000000 00000000   106  0\n"
        b"   1: 00000000:0050 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0  0\n"
        b"   2: 0100007F:2382 0100007F:9999 01 00000000:00000000 00:00000000 00000000   106  0\n"
        b"   3: broken\n"
    )
    assert listening(table, 106) == {0x18EB}
    assert listening(b"", 106) == set()
