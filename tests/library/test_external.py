# SPDX-License-Identifier: GPL-2.0-or-later
"""Options of installed schedulers, read from help texts in clap's layouts."""

from pathlib import Path

import pytest

from process import Fault, FaultType
from scheduler_library import external
from scheduler_library.catalog import CatalogEntry, EntryPlace, load_catalog
from scheduler_library.external import (
    ExternalOption,
    State,
    arguments,
    inspect_external,
    parse_help,
)
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
    """`--help` gives names, short forms, placeholders, defaults and choices."""
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
    assert options["slice-us"] == ExternalOption(
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
    """A text that is not a help text gives no options and no error."""
    assert parse_help(text) == ()


def test_terminal_escapes_do_not_come_through() -> None:
    """A foreign program's output is cleaned before anybody shows it."""
    (option,) = parse_help("  \x1b[1m--level\x1b[0m <N>  \x1b]0;owned\x07text\n")
    assert option.name == "level"
    assert "\x1b" not in option.description
    assert "\x07" not in option.description


def program(folder: Path, body: str) -> CatalogEntry:
    folder.mkdir(exist_ok=True)
    path = folder / "scx_fake"
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    manifest = parse_manifest(
        'name = "scx_fake"\nsummary = "s"\ndescription = "d"\nalgorithm = "a"\n'
        'kind = "external"\ncommand = "scx_fake"\norigin = "o"\nlicense = "GPL-2.0-only"\n',
        "test",
    )
    return CatalogEntry(manifest, folder, EntryPlace.OWN)


def test_an_absent_binary_is_a_state_and_no_error() -> None:
    """Every external entry can be shown on a host that has none of them installed."""
    entry = load_catalog().get("scx_lavd")
    found = inspect_external(entry)
    assert found.state in State
    if found.state is State.NOT_INSTALLED:
        assert "scx_lavd" in found.note


def test_an_installed_binary_is_asked_for_its_help(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The options are those of the installed version."""
    monkeypatch.setattr(external, "PATH", str(tmp_path))
    entry = program(tmp_path, f"cat <<'END'\n{SHORT}\nEND")
    found = inspect_external(entry)
    assert found.state is State.INSTALLED
    assert [option.name for option in found.options] == ["slice-us", "mode", "quiet"]


@pytest.mark.parametrize("body", ["exit 3", "head -c 100000000 /dev/zero", "kill -SEGV $$"])
def test_a_binary_that_misbehaves_is_told_as_unreadable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str
) -> None:
    """A program without a usable help text is a state with a note."""
    monkeypatch.setattr(external, "PATH", str(tmp_path))
    found = inspect_external(program(tmp_path, body))
    assert found.state is State.UNREADABLE
    assert found.note


def test_a_binary_that_hangs_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading the help text has a time limit."""
    monkeypatch.setattr(external, "PATH", str(tmp_path))
    monkeypatch.setattr(external, "HELP_TIMEOUT_S", 0.2)
    found = inspect_external(program(tmp_path, "sleep 100"))
    assert found.state is State.UNREADABLE
    assert "did not finish" in found.note


def test_values_become_arguments_that_cannot_be_misread() -> None:
    """Each value is one word together with its option; switches stand alone."""
    words = arguments(
        "scx_example",
        parse_help(LONG),
        {"slice_us": 5000, "performance": True, "power-mode": "auto", "stats": "-1"},
    )
    assert words == ["--slice-us=5000", "--performance", "--power-mode=auto", "--stats=-1"]


def test_a_truth_value_is_a_word_where_one_is_wanted() -> None:
    """An option that takes `true` or `false` gets that word; a switch does not."""
    values = {"disable-topology": False, "run-example": True}
    words = arguments("scx_layered", parse_help(LAYERED), values)
    assert words == ["--disable-topology=false", "--run-example"]


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
    """An option that the installed version does not have is refused before the program starts."""
    with pytest.raises(Fault) as caught:
        arguments("scx_example", parse_help(LONG), values)
    assert caught.value.type is FaultType.BAD_PARAMETER
    assert told in caught.value.why


# As scx_layered 1.1.4 prints it: much prose, and a positional argument.
LAYERED = """\
scx_layered: A highly configurable multi-layer sched_ext scheduler

scx_layered allows classifying tasks into multiple layers and applying
different scheduling policies to them. An example:

  "matches": [
    [
      { "CgroupPrefix": "system.slice/" }
    ]
  ],

- NiceAbove: Matches if the task's nice value is greater than the
  pattern.

  $ scx_layered -e example.json

Usage: scx_layered [OPTIONS] [SPECS]...

Arguments:
  [SPECS]...
          Layer specification. See --help

Options:
  -v, --verbose...
          Deprecated, noop, use RUST_LOG or --log-level instead

  -s, --slice-us <SLICE_US>
          Scheduling slice duration in microseconds

          [default: 20000]

  -t, --disable-topology[=<DISABLE_TOPOLOGY>]
          Disable topology awareness

          [possible values: true, false]

  -e, --example <EXAMPLE>
          Write example layer specifications into the file and exit

      --monitor <MONITOR>
          Run in stats monitoring mode with the specified interval. Scheduler is not launched

      --run-example
          Run with example layer specifications (useful for e.g. CI pipelines)

  -V, --version
          Print scheduler version and exit

      --help-stats
          Show descriptions for statistics

      --print-and-exit
          Print the config (after template expansion) and exit

  -h, --help
          Print help (see a summary with '-h')

Libbpf Options:
      --kconfig <KCONFIG>
          Additional kernel config content that augments and overrides system Kconfig for CONFIG_xxx
          externs
"""


@pytest.mark.parametrize(
    "body",
    [
        f"cat >&2 <<'END'\n{SHORT}\nEND\nexit 255",
        f"cat <<'END'\n{SHORT}\nEND\nexit 255",
        f"echo 'a warning' >&2\ncat <<'END'\n{SHORT}\nEND\nexit 1",
        f"echo 'scx_fake starts'\ncat >&2 <<'END'\n{SHORT}\nEND\nexit 2",
    ],
)
def test_help_that_can_be_read_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str
) -> None:
    """Neither the exit status nor the choice of stream keeps the options from being read."""
    monkeypatch.setattr(external, "PATH", str(tmp_path))
    found = inspect_external(program(tmp_path, body))
    assert found.state is State.INSTALLED
    assert [option.name for option in found.options] == ["slice-us", "mode", "quiet"]


def test_why_help_could_not_be_read_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For a program without a readable help text, the note has its status and its last message."""
    monkeypatch.setattr(external, "PATH", str(tmp_path))
    found = inspect_external(
        program(tmp_path, "printf 'libseccomp.so.2: \\033[1mno' >&2; exit 127")
    )
    assert found.state is State.UNREADABLE
    assert "status 127" in found.note
    assert "libseccomp.so.2" in found.note
    assert "\x1b" not in found.note


def test_options_that_do_other_work_are_not_offered() -> None:
    """With `--monitor`, `--example` and the like, no scheduler would run."""
    names = [option.name for option in parse_help(LAYERED)]
    assert names == ["verbose", "slice-us", "disable-topology", "run-example", "kconfig"]


def test_an_option_whose_value_may_be_left_out_takes_one() -> None:
    """`--name[=<VALUE>]` is read with its value and its choices."""
    option = next(each for each in parse_help(LAYERED) if each.name == "disable-topology")
    assert (option.placeholder, option.choices) == ("DISABLE_TOPOLOGY", ("true", "false"))


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("scx_bpfland 1.1.4 x86_64-unknown-linux-gnu\n", "1.1.4"),
        ("scx_p2dq: 1.1.4-g0123abc-dirty x86_64-unknown-linux-gnu", "1.1.4-g0123abc-dirty"),
        ("scx_rusty v1.0.8", "1.0.8"),
        ("1.0", "1.0"),
        ("no version here: x86_64", ""),
        ("\x1b[31m", ""),
    ],
)
def test_the_version_is_read(text: str, version: str) -> None:
    """The version is found in the output of `--version`, in more than one form."""
    assert external.parse_version(text) == version


@pytest.mark.parametrize(
    ("ops", "ours"),
    [
        ("lavd", True),
        ("lavd_1.1.4_x86_64_unknown_linux_gnu", True),
        ("lavdish", False),
        ("flash_1.1.4_x86_64_unknown_linux_gnu", False),
        ("", False),
    ],
)
def test_the_kernels_name_is_that_of_the_program(ops: str, ours: bool) -> None:
    """A scheduler registers under its program's name without `scx_`, perhaps with its version."""
    assert external.is_ops_of(ops, "scx_lavd") == ours


def test_a_program_whose_name_is_no_sign_may_have_any_ops() -> None:
    """Only a program whose name begins with `scx_` is known to register under its own name."""
    assert external.is_ops_of("anything", "my-scheduler")
    assert not external.is_ops_of("", "my-scheduler")


def layered(folder: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[ExternalOption, ...]:
    monkeypatch.setattr(external, "PATH", str(folder))
    path = folder / "scx_layered"
    path.write_text(f"#!/bin/sh\ncat >&2 <<'END'\n{LAYERED}\nEND\nexit 255\n")
    path.chmod(0o755)
    found = inspect_external(load_catalog().get("scx_layered"))
    assert found.state is State.INSTALLED
    return found.options


def test_layers_are_an_argument(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The program gets the text of its layers, and a changed file is another candidate."""
    options = layered(tmp_path, monkeypatch)
    file = tmp_path / "layers.json"
    file.write_text('[{"name": "all", "matches": [[]],\n"kind": {"Open": {}}}]')
    values = external.with_layers("scx_layered", options, {"layers": str(file), "slice-us": 5000})
    line = '[{"name":"all","matches":[[]],"kind":{"Open":{}}}]'
    assert values == {"layers": line, "slice-us": 5000}
    assert arguments("scx_layered", options, values) == ["--slice-us=5000", "--", line]


def test_without_layers_it_is_not_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """scx_layered without layers would end at once, and the fault says what it needs."""
    options = layered(tmp_path, monkeypatch)
    with pytest.raises(Fault) as caught:
        external.with_layers("scx_layered", options, {"slice-us": 5000})
    assert caught.value.type is FaultType.BAD_PARAMETER
    assert "needs layers" in caught.value.what
    assert external.with_layers("scx_layered", options, {"run-example": True})
