# SPDX-License-Identifier: GPL-2.0-or-later
"""The cache holds only complete roots."""

import threading
from pathlib import Path

import pytest

from lab import cache
from lab.recipe import Recipe
from tests.waiting import happened

RECIPE = Recipe(requirements=())
OTHER = Recipe(requirements=("another",))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(cache.CACHE_VARIABLE, str(tmp_path / "lab"))
    return tmp_path / "lab"


def fill(work: Path) -> None:
    (work / "root.img").write_text("whole")


def test_a_finished_root_is_built_once(folder: Path) -> None:
    """The second request for a recipe finds what the first one built."""
    built = []

    def build(work: Path) -> None:
        built.append(work)
        fill(work)

    first = cache.complete(RECIPE, build)
    assert cache.complete(RECIPE, build) == first
    assert len(built) == 1
    assert first.image.read_text() == "whole"


def test_a_root_that_failed_half_way_is_not_there(folder: Path) -> None:
    """A failing builder leaves nothing under the key, and no other files."""

    def build(work: Path) -> None:
        fill(work)
        raise RuntimeError("the line went dead")

    with pytest.raises(RuntimeError):
        cache.complete(RECIPE, build)
    assert cache.finished(RECIPE) is None
    assert [each.name for each in folder.iterdir()] == ["lock"]


def test_what_a_killed_builder_left_is_neither_used_nor_kept(folder: Path) -> None:
    """If a builder dies, the next one removes its half-built folder."""
    half = folder / f"{cache.BUILDING}{RECIPE.key}"
    half.mkdir(parents=True)
    (half / "root.img").write_text("half")
    assert cache.finished(RECIPE) is None
    seen: list[Path] = []

    def build(work: Path) -> None:
        seen.extend(work.iterdir())
        fill(work)

    assert cache.complete(RECIPE, build).image.read_text() == "whole"
    assert seen == []
    assert not half.exists()


def test_a_second_builder_waits_and_uses_the_first_ones_root(folder: Path) -> None:
    """Two builders at once build one root."""
    building = threading.Event()
    proceed = threading.Event()
    built = []

    def build(work: Path) -> None:
        built.append(work)
        building.set()
        assert happened(proceed, 30)
        fill(work)

    both = [threading.Thread(target=cache.complete, args=(RECIPE, build)) for _ in range(2)]
    for each in both:
        each.start()
    assert happened(building, 30)
    proceed.set()
    for each in both:
        each.join(30)
    assert len(built) == 1
    assert cache.finished(RECIPE)


def test_pruning_keeps_the_current_root_alone(folder: Path) -> None:
    """Pruning removes old roots and leftovers and keeps the root of the current recipe."""
    kept = cache.complete(RECIPE, fill)
    old = cache.complete(OTHER, fill)
    assert cache.prune(RECIPE) == [old.folder]
    assert cache.finished(RECIPE) == kept
    assert cache.finished(OTHER) is None
