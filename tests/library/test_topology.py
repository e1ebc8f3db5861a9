# SPDX-License-Identifier: GPL-2.0-or-later
"""The machine's topology is what sysfs says, and sysfs may say nothing or nonsense."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler_library.cpu_list import MOST_CPUS, cpu_list, parse_cpu_list, ranges_of
from scheduler_library.topology import SpeedSource, Topology, fast_ones, named_sets
from scheduler_library.topology_here import LONGEST_BYTES, topology_here


def write(folder: Path, files: dict[str, str]) -> Path:
    """A /sys/devices with these files."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def cpu_files(cpu: int, *, siblings: str, llc: str) -> dict[str, str]:
    """The files of a CPU with a cache of its own and one that others share."""
    folder = f"system/cpu/cpu{cpu}"
    return {
        f"{folder}/topology/thread_siblings_list": f"{siblings}\n",
        f"{folder}/cache/index0/level": "1\n",
        f"{folder}/cache/index0/shared_cpu_list": f"{siblings}\n",
        f"{folder}/cache/index3/level": "3\n",
        f"{folder}/cache/index3/shared_cpu_list": f"{llc}\n",
    }


# Two nodes of two cores with two CPUs each; a last-level cache for each node.
SERVER = {
    "system/cpu/online": "0-7\n",
    "system/node/node0/cpulist": "0-1,4-5\n",
    "system/node/node1/cpulist": "2-3,6-7\n",
    "system/node/node2/cpulist": "\n",
    "system/node/possible": "0-2\n",
} | {
    name: text
    for cpu in range(8)
    for name, text in cpu_files(
        cpu, siblings=f"{cpu % 4},{cpu % 4 + 4}", llc="0-1,4-5" if cpu % 4 < 2 else "2-3,6-7"
    ).items()
}


def test_nodes_caches_and_cores_are_read(tmp_path: Path) -> None:
    """Each set has its CPUs, and a node without CPUs is none that a task could run on."""
    found = topology_here(write(tmp_path, SERVER))
    near, far = frozenset((0, 1, 4, 5)), frozenset((2, 3, 6, 7))
    assert found.online == frozenset(range(8))
    assert found.nodes == {0: near, 1: far}
    assert found.llcs == (near, far)
    assert found.cores == tuple(frozenset((cpu, cpu + 4)) for cpu in range(4))
    assert found.smt
    assert (found.fast, found.slow, found.fast_by) == (frozenset(), frozenset(), None)


def test_cpus_that_are_offline_are_in_no_set(tmp_path: Path) -> None:
    """A set has the CPUs that can run something now."""
    found = topology_here(write(tmp_path, SERVER | {"system/cpu/online": "0-3"}))
    assert found.nodes == {0: frozenset((0, 1)), 1: frozenset((2, 3))}
    assert found.llcs == (frozenset((0, 1)), frozenset((2, 3)))
    assert not found.smt


def test_other_cpus_online_are_seen(tmp_path: Path) -> None:
    """What was read is read again after hot-plugging."""
    folder = write(tmp_path, SERVER)
    assert len(topology_here(folder).online) == 8
    write(folder, {"system/cpu/online": "0-1"})
    assert topology_here(folder).cores == (frozenset((0,)), frozenset((1,)))


def numbers(name: str, values: list[int]) -> dict[str, str]:
    return {f"system/cpu/cpu{cpu}/{name}": f"{value}\n" for cpu, value in enumerate(values)}


CAPACITY, PERF, FREQUENCY = (
    SpeedSource.CAPACITY,
    SpeedSource.HIGHEST_PERF,
    SpeedSource.MAX_FREQUENCY,
)
TYPES = {"cpu_core/cpus": "0-1\n", "cpu_atom/cpus": "2-3\n"}
FAST_CPUS: list[tuple[str, dict[str, str], set[int], SpeedSource | None]] = [
    ("big.LITTLE", numbers(CAPACITY, [446, 446, 1024, 1024]), {2, 3}, CAPACITY),
    ("three kinds", numbers(CAPACITY, [325, 325, 886, 1024]), {2, 3}, CAPACITY),
    ("a hybrid", TYPES, {0, 1}, SpeedSource.CORE_TYPE),
    (
        "a hybrid whose capacities are not known apart",
        TYPES | numbers(CAPACITY, [1024] * 4),
        {0, 1},
        SpeedSource.CORE_TYPE,
    ),
    (
        "capacity before type",
        TYPES | numbers(CAPACITY, [1024, 600, 600, 600]),
        {0},
        CAPACITY,
    ),
    ("preferred cores", numbers(PERF, [166, 166, 231, 226]), {2, 3}, PERF),
    (
        "frequencies",
        numbers(FREQUENCY, [5_000_000, 5_000_000, 3_800_000, 3_800_000]),
        {0, 1},
        FREQUENCY,
    ),
    (
        "a little faster",
        numbers(FREQUENCY, [5_000_000, 4_900_000, 4_900_000, 4_900_000]),
        set(),
        None,
    ),
    ("all alike", numbers(CAPACITY, [1024] * 4), set(), None),
    ("only one kind", {"cpu_core/cpus": "0-3\n", "cpu_atom/cpus": "\n"}, set(), None),
    ("one CPU says nothing", numbers(CAPACITY, [446, 446, 1024]), set(), None),
    ("nothing", {}, set(), None),
]


@pytest.mark.parametrize(
    ("files", "fast", "source"), [case[1:] for case in FAST_CPUS], ids=[c[0] for c in FAST_CPUS]
)
def test_fast_cpus_are_told_by_the_first_source_that_tells_them_apart(
    tmp_path: Path, files: dict[str, str], fast: set[int], source: SpeedSource | None
) -> None:
    """Capacity, then core type, then preferred cores, then the highest frequency."""
    found = topology_here(write(tmp_path, {"system/cpu/online": "0-3"} | files))
    assert (set(found.fast), found.fast_by) == (fast, source)
    assert found.slow == (frozenset(range(4)) - fast if fast else frozenset())


@given(st.dictionaries(st.integers(0, 63), st.integers(1, 10_000)))
def test_the_fastest_are_fast_and_the_slowest_are_not(speeds: dict[int, int]) -> None:
    """Whatever the numbers are, nobody fast is slower than somebody slow."""
    fast = fast_ones(speeds)
    slow = [speed for cpu, speed in speeds.items() if cpu not in fast]
    if fast:
        assert slow
        assert min(speeds[cpu] for cpu in fast) > max(slow)
    else:
        assert not slow or max(slow) < 1.05 * min(slow) + 1


NONSENSE = (
    *("", "\n", "x", "0-", "-1", "3-1", "0,,1", "0 1", "0x3", "1e9", "\u0663", "0-99999999", "\0"),
    *(str(MOST_CPUS), f"0-{MOST_CPUS}", "0" * (LONGEST_BYTES + 1), "../../etc/passwd"),
)


@pytest.mark.parametrize("text", NONSENSE)
def test_a_file_with_nonsense_says_nothing(tmp_path: Path, text: str) -> None:
    """A topology without what such a file should say, and no exception."""
    files = {name: text for name in (*SERVER, *TYPES) if name != "system/cpu/online"}
    files |= {f"system/cpu/cpu{cpu}/{each}": text for cpu in range(8) for each in SpeedSource}
    found = topology_here(write(tmp_path, {"system/cpu/online": "0-7"} | files))
    assert found.online == frozenset(range(8))
    assert found.cores == tuple(frozenset((cpu,)) for cpu in range(8))
    assert (found.nodes, found.llcs, found.fast) == ({}, (), frozenset())


@pytest.mark.parametrize("text", NONSENSE)
def test_a_machine_that_does_not_say_which_cpus_are_online_is_unknown(
    tmp_path: Path, text: str
) -> None:
    """Nothing is known then about any CPU."""
    assert topology_here(write(tmp_path, SERVER | {"system/cpu/online": text})) == Topology()


def test_without_sysfs_nothing_is_known(tmp_path: Path) -> None:
    """A container without it is a machine whose CPUs are alike."""
    assert topology_here(tmp_path) == Topology()


def test_a_folder_in_place_of_a_file_says_nothing(tmp_path: Path) -> None:
    """It cannot be read, like any file that is not there."""
    (tmp_path / "system/cpu/cpu0/cpu_capacity").mkdir(parents=True)
    found = topology_here(write(tmp_path, {"system/cpu/online": "0"}))
    assert found == Topology(frozenset((0,)), cores=(frozenset((0,)),))


@given(st.frozensets(st.integers(0, MOST_CPUS - 1), max_size=200))
def test_a_list_of_cpus_survives_being_written_and_read(cpus: frozenset[int]) -> None:
    """What is parsed from a written list is that list."""
    assert parse_cpu_list(cpu_list(ranges_of(cpus))) == cpus


def test_sets_that_tell_cpus_apart_have_the_names_of_the_language() -> None:
    """One node, one cache or one speed for all is no set that anybody needs."""
    halves = frozenset((0, 1)), frozenset((2, 3))
    online = frozenset(range(4))
    assert named_sets(Topology(online, {0: online}, (online,))) == {}
    found = named_sets(Topology(online, {0: halves[0], 2: halves[1]}, halves, (), frozenset((3,))))
    assert found == {
        "cpus fast": "3",
        "cpus slow": "0-2",
        "cpus node 0": "0-1",
        "cpus node 2": "2-3",
        "cpus llc 0": "0-1",
        "cpus llc 1": "2-3",
    }


def test_a_smaller_machine_has_the_first_cpus(tmp_path: Path) -> None:
    """Sets that lose all their CPUs are gone, and what is left of one kind only is alike."""
    whole = topology_here(write(tmp_path, SERVER | numbers(CAPACITY, [1024] * 2 + [500] * 6)))
    assert whole.fast == {0, 1}
    found = whole.below(4)
    assert found.nodes == {0: {0, 1}, 1: {2, 3}}
    assert found.fast == {0, 1}
    assert not found.smt
    smaller = whole.below(2)
    assert smaller.nodes == {0: {0, 1}}
    assert smaller.llcs == (frozenset((0, 1)),)
    assert (smaller.fast, smaller.slow) == (frozenset(), frozenset())
