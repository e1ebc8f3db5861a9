# SPDX-License-Identifier: GPL-2.0-or-later
"""The catalog: our own entries are correct, and bad entries elsewhere do no harm."""

import re
from pathlib import Path

import pytest

from process import Fault, FaultType
from scheduler_library.catalog import OWN, EntryPlace, load_catalog, read_entry
from scheduler_library.manifest import EntryKind, Parameter, ParameterType, When

NAMED = {"fifo", "fair", "latency", "batch", "locality", "jobs"}
DEMO = Path(__file__).parents[2] / "demo" / "schedulers"


def entry(root: Path, name: str, *, manifest_name: str = "", source: bool = True) -> Path:
    folder = root / name
    folder.mkdir(parents=True)
    (folder / "manifest.toml").write_text(
        f'name = "{manifest_name or name}"\nsummary = "s"\ndescription = "d"\n'
        'algorithm = "a"\nkind = "bpf"\nsource = "x.bpf.c"\norigin = "o"\nlicense = "MIT"\n'
    )
    if source:
        (folder / "x.bpf.c").write_text("")
    return folder


def test_our_own_library_is_complete_and_without_a_warning() -> None:
    """The library has the six schedulers and the external ones, and every manifest is correct."""
    catalog = load_catalog(operator=[DEMO])
    assert catalog.warnings == ()
    assert {e.name for e in catalog if e.manifest.kind is EntryKind.BPF} == NAMED | {"crawl"}
    assert sum(e.manifest.kind is EntryKind.EXTERNAL for e in catalog) == 10
    assert all((e.folder / "README.md").is_file() for e in catalog if e.manifest.source)


@pytest.mark.parametrize("name", sorted(NAMED))
def test_a_manifests_parameters_are_the_variables_of_the_source(name: str) -> None:
    """Name, default and `when` of each parameter agree with the C source, in both directions."""
    found = load_catalog().get(name)
    assert found.source is not None
    text = found.source.read_text()
    declared = {
        variable: (When.LOAD if const else When.LIVE, kind, value)
        for const, kind, variable, value in re.findall(
            r"^(const )?volatile (u64|u32|bool) (\w+) = (\w+);", text, re.MULTILINE
        )
    }
    described = {
        p.name: (
            p.when,
            "bool" if p.type is ParameterType.BOOL else declared[p.name][1],
            str(p.default).lower(),
        )
        for p in found.manifest.params
    }
    assert described == declared


def row(of: Parameter) -> str:
    """The row of a parameter in its scheduler's README."""
    switch = of.type is ParameterType.BOOL
    allowed = "true, false" if switch else f"{of.min} to {of.max}"
    unit = "" if switch else of.unit
    default = str(of.default).lower()
    return f"| `{of.name}` | {default} | {allowed} | {unit} | {of.when} | {of.description} |"


@pytest.mark.parametrize("name", sorted(NAMED | {"crawl"}))
def test_a_readmes_table_of_parameters_is_the_manifest(name: str) -> None:
    """The README has one row for each parameter, with the manifest's words, in its order."""
    found = load_catalog(operator=[DEMO]).get(name)
    readme = (found.folder / "README.md").read_text()
    head = "| name | default | allowed | unit | when | effect |\n|---|---|---|---|---|---|\n"
    table = readme.partition(head)[2].partition("\n\n")[0].splitlines()
    assert table == [row(of=parameter) for parameter in found.manifest.params]


def test_an_unknown_name_comes_with_the_nearest_ones() -> None:
    """A misspelt scheduler is answered with the nearest names."""
    with pytest.raises(Fault) as caught:
        load_catalog().get("latencey")
    assert caught.value.type is FaultType.UNKNOWN_SCHEDULER
    assert "latency" in caught.value.hint


@pytest.mark.parametrize("name", ["../x", "", "a/b", "A", "a b", "x" * 42, "a\n", ".", "fifo\0"])
def test_a_name_that_could_be_a_path_is_refused(name: str) -> None:
    """Names are checked before anything is looked up with them."""
    with pytest.raises(Fault) as caught:
        load_catalog().get(name)
    assert caught.value.type is FaultType.BAD_NAME


def test_a_bad_entry_in_the_state_folder_does_not_hide_the_others(tmp_path: Path) -> None:
    """A problem with one entry is a warning; the other entries are still there."""
    entry(tmp_path / "generated", "good-one")
    (tmp_path / "generated" / "bad-one").mkdir()
    (tmp_path / "generated" / "bad-one" / "manifest.toml").write_text("name = 3")
    entry(tmp_path / "imported", "no-source", source=False)
    entry(tmp_path / "imported", "other-name", manifest_name="fifo")
    (tmp_path / "imported" / "Bad Name").mkdir()
    catalog = load_catalog(tmp_path)
    assert catalog.get("good-one").place is EntryPlace.GENERATED
    assert catalog.get("fifo").place is EntryPlace.OWN
    assert len(catalog.warnings) == 4
    assert {w.type for w in catalog.warnings} == {FaultType.BAD_MANIFEST, FaultType.BAD_NAME}


def test_a_taken_name_stays_with_the_earlier_place(tmp_path: Path) -> None:
    """A generated or imported entry cannot replace one of ours."""
    entry(tmp_path / "generated", "fifo")
    entry(tmp_path / "generated", "mine")
    entry(tmp_path / "imported", "mine")
    catalog = load_catalog(tmp_path)
    assert catalog.get("fifo").folder == OWN / "fifo"
    assert catalog.get("mine").place is EntryPlace.GENERATED
    assert [w.what for w in catalog.warnings] == [
        "the name 'fifo' is taken, so this entry is left out",
        "the name 'mine' is taken, so this entry is left out",
    ]


def test_links_are_not_followed_out_of_the_state_folder(tmp_path: Path) -> None:
    """An entry or a source that is a link is left out with a warning."""
    outside = entry(tmp_path / "outside", "linked")
    (tmp_path / "generated").mkdir()
    (tmp_path / "generated" / "linked").symlink_to(outside)
    inside = entry(tmp_path / "generated", "linked-source", source=False)
    (inside / "x.bpf.c").symlink_to("/etc/passwd")
    catalog = load_catalog(tmp_path)
    assert "linked" not in catalog.entries
    assert "linked-source" not in catalog.entries
    assert len(catalog.warnings) == 2


def policy(root: Path, text: str = "slice 3ms\n", *, source: str = "mine.policy") -> Path:
    folder = root / "mine"
    folder.mkdir(parents=True)
    (folder / "manifest.toml").write_text(
        f'name = "mine"\nsummary = "s"\ndescription = "d"\nalgorithm = "a"\n'
        f'kind = "policy"\nsource = "{source}"\norigin = "o"\nlicense = "MIT"\n'
    )
    (folder / source).write_text(text)
    return folder


def test_a_policy_is_read_from_beside_its_manifest(tmp_path: Path) -> None:
    """Its text comes without surrounding white space; an entry that is no policy has none."""
    policy(tmp_path / "generated")
    entry(tmp_path / "generated", "other")
    catalog = load_catalog(tmp_path)
    assert catalog.warnings == ()
    assert catalog.get("mine").policy() == "slice 3ms"
    assert catalog.get("other").policy() == ""


@pytest.mark.parametrize("text", ["#" * 70_000, "\udcff"])
def test_a_policy_that_is_no_text_is_a_fault_with_its_path(tmp_path: Path, text: str) -> None:
    """A policy that is far too large, or not UTF-8, is refused when it is read."""
    folder = policy(tmp_path / "generated")
    (folder / "mine.policy").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(Fault) as caught:
        load_catalog(tmp_path).get("mine").policy()
    assert caught.value.type is FaultType.BAD_MANIFEST
    assert caught.value.where.endswith("mine.policy")


def test_a_policy_has_one_name_and_no_parameters_of_its_own(tmp_path: Path) -> None:
    """Another file name is refused, and so is a list of parameters that could differ from the
    text."""
    policy(tmp_path / "a" / "generated", source="other.policy")
    folder = policy(tmp_path / "b" / "generated")
    with (folder / "manifest.toml").open("a") as file:
        file.write('[[params]]\nname = "x"\ntype = "bool"\ndefault = true\ndescription = "d"\n')
    for state, told in (("a", "has another name"), ("b", "lists parameters")):
        catalog = load_catalog(tmp_path / state)
        assert "mine" not in catalog.entries
        assert told in str(catalog.warnings[0])


def test_an_entry_is_added_without_hiding_another(tmp_path: Path) -> None:
    """A catalog with one more entry is a new catalog, and a taken name stays with its owner."""
    before = load_catalog()
    mine = read_entry(policy(tmp_path), EntryPlace.GENERATED)
    after = before.plus(mine)
    assert "mine" not in before.entries
    assert after.get("mine") is mine
    assert list(after.entries) == sorted(after.entries)
    false_fifo = read_entry(entry(tmp_path, "fifo"), EntryPlace.GENERATED)
    assert after.plus(false_fifo).get("fifo").place is EntryPlace.OWN
