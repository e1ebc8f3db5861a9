# SPDX-License-Identifier: GPL-2.0-only
"""Options of installed schedulers, read from help texts in clap's layouts."""

from pathlib import Path

import pytest

from process import Fault, FaultType
from scheduler_library import external
from scheduler_library.catalog import Entry, Place, load_catalog
from scheduler_library.external import Option, State, arguments, inspect_external, parse_help
from scheduler_library.manifest import parse_manifest

LONG = """\
scx_example: a scheduler for tests

It has a page of prose -s that mentions --options in passing.

Usage: scx_example [OPTIONS]

Options:
  -s, --slice-us <SLICE_US>
          Maximum scheduling slice duration in microseconds

          A second paragraph.

          [default: 20000]

      --exit-dump-len <EXIT_DUMP_LEN>
          Exit debug dump buffer length. 0 indicates default

          [default: 0]

  -m, --primary-domain <PRIMARY_DOMAIN>
          Specifies the initial set of CPUs, represented as a bitmask in hex (e.g., 0xff)

          - "performance" = fast CPUs

  -p, --power-mode <MODE>
          Power mode

          Possible values:
          - auto: decides by itself
          - performance: as fast as can be
          - powersave

          [default: auto]

      --performance
          Run in performance mode

  -v, --verbose...
          More messages, also repeated

      --stats <STATS>
          Enable stats monitoring with the specified interval

      --layer-spec [<SPEC>...]
          Layers

  -h, --help
          Print help (see a summary with '-h')

  -V, --version
          Print version
"""

SHORT = """\
Usage: scx_example [OPTIONS] [EXTRA]...

Arguments:
  [EXTRA]...  Something else

Options:
  -s, --slice-us <SLICE_US>  Slice in microseconds [default: 20000]
      --mode <MODE>          Mode [default: auto] [possible values: auto, fast, slow]
  -q, --quiet                Say less
  -h, --help                 Print help
"""


def test_the_long_layout_is_read_whole() -> None:
    """Names, short forms, placeholders, defaults and choices come out of `--help`."""
    options = {option.name: option for option in parse_help(LONG)}
    assert list(options) == [
        "slice-us",
        "exit-dump-len",
        "primary-domain",
        "power-mode",
        "performance",
        "verbose",
        "stats",
        "layer-spec",
    ]
    assert options["slice-us"] == Option(
        name="slice-us",
        short="s",
        placeholder="SLICE_US",
        description="Maximum scheduling slice duration in microseconds A second paragraph.",
        default="20000",
    )
    assert options["power-mode"].choices == ("auto", "performance", "powersave")
    assert options["power-mode"].default == "auto"
    assert options["power-mode"].description == "Power mode"
    assert options["performance"].is_switch
    assert options["verbose"].repeatable
    assert options["primary-domain"].choices == ()
    assert not options["layer-spec"].is_switch


def test_the_short_layout_is_read_too() -> None:
    """The one-line layout of `-h` gives the same facts."""
    slice_us, mode, quiet = parse_help(SHORT)
    assert (slice_us.name, slice_us.default) == ("slice-us", "20000")
    assert slice_us.description == "Slice in microseconds"
    assert mode.choices == ("auto", "fast", "slow")
    assert mode.description == "Mode"
    assert quiet.is_switch


@pytest.mark.parametrize(
    "text", ["", "\x00\x1b[31m", "Options:\n", "  --\n  -\n" * 1000, "a" * 10**6]
)
def test_a_text_that_is_no_help_gives_no_options(text: str) -> None:
    """Rubbish is no error and no option."""
    assert parse_help(text) == ()


def test_terminal_escapes_do_not_come_through() -> None:
    """What a foreign program prints is cleaned before anybody shows it."""
    (option,) = parse_help("  \x1b[1m--level\x1b[0m <N>  \x1b]0;owned\x07text\n")
    assert option.name == "level"
    assert "\x1b" not in option.description
    assert "\x07" not in option.description


def program(folder: Path, body: str) -> Entry:
    folder.mkdir(exist_ok=True)
    path = folder / "scx_fake"
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    manifest = parse_manifest(
        'name = "scx_fake"\nsummary = "s"\ndescription = "d"\nalgorithm = "a"\n'
        'kind = "external"\ncommand = "scx_fake"\norigin = "o"\nlicense = "GPL-2.0-only"\n',
        "test",
    )
    return Entry(manifest, folder, Place.OWN)


def test_an_absent_binary_is_a_state_and_no_error() -> None:
    """Every external entry can be looked at on a host that has none of them."""
    entry = load_catalog().get("scx_lavd")
    found = inspect_external(entry)
    assert found.state in State
    if found.state is State.NOT_INSTALLED:
        assert "scx_lavd" in found.note


def test_an_installed_binary_is_asked_for_its_help(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its options are those of the version that is there."""
    monkeypatch.setattr(external, "PATH", str(tmp_path))
    entry = program(tmp_path, f"cat <<'END'\n{SHORT}\nEND")
    found = inspect_external(entry)
    assert found.state is State.INSTALLED
    assert [option.name for option in found.options] == ["slice-us", "mode", "quiet"]


@pytest.mark.parametrize("body", ["exit 3", "head -c 100000000 /dev/zero", "kill -SEGV $$"])
def test_a_binary_that_misbehaves_is_told_as_unreadable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str
) -> None:
    """A program without a usable help is a state with a note."""
    monkeypatch.setattr(external, "PATH", str(tmp_path))
    found = inspect_external(program(tmp_path, body))
    assert found.state is State.UNREADABLE
    assert found.note


def test_a_binary_that_hangs_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading help has a limit in time."""
    monkeypatch.setattr(external, "PATH", str(tmp_path))
    monkeypatch.setattr(external, "HELP_TIMEOUT_S", 0.2)
    found = inspect_external(program(tmp_path, "sleep 100"))
    assert found.state is State.UNREADABLE
    assert "did not finish" in found.note


def test_values_become_arguments_that_cannot_be_misread() -> None:
    """Each value is one word with its option; switches stand alone."""
    words = arguments(
        "scx_example",
        parse_help(LONG),
        {"slice_us": 5000, "performance": True, "power-mode": "auto", "stats": "-1"},
    )
    assert words == ["--slice-us=5000", "--performance", "--power-mode=auto", "--stats=-1"]


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"slise-us": 1}, "no such option (nearest known: 'slice-us')"),
        ({"performance": 3}, "is a switch"),
        ({"slice-us": True}, "wants a value"),
        ({"power-mode": "warp"}, "one of auto, performance, powersave"),
        ({"stats": "a\nb"}, "not a printable word"),
    ],
)
def test_a_wrong_option_is_told(values: dict[str, str | int | bool], told: str) -> None:
    """What the installed version does not take is refused before it is started."""
    with pytest.raises(Fault) as caught:
        arguments("scx_example", parse_help(LONG), values)
    assert caught.value.type is FaultType.BAD_PARAMETER
    assert told in caught.value.why
