# SPDX-License-Identifier: GPL-2.0-or-later
"""Schedulers that are installed on the host (the scx_* family), used with their own options.

Their options are parsed from the installed binary's own `--help`, in the layout that Rust's clap
prints, so that they fit the installed version. Programs differ in where they print the help and in
their exit status then: some print it on standard error and end with 255. Only its readability
counts. A missing binary is a state, not an error.
"""

import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from process import Fault, FaultType, ResourceLimits, nearest_known, run
from process.run import PATH, tail
from scheduler_library.catalog import CatalogEntry
from scheduler_library.layers import read_layers
from scheduler_library.manifest import EntryKind

# Reading the help takes milliseconds; an emulated guest is slow, and a program may hang.
HELP_TIMEOUT_S = 10.0
HELP_LIMITS = ResourceLimits(memory=2 << 30, cpu=10, file=1 << 20)
# A help page is a few kilobytes. A longer one is cut before it is parsed.
HELP_LARGEST = 256 * 1024
# The output of `--version` is one short line.
VERSION_LARGEST = 4096
# The parameter that holds the layers of a program that cannot run without them (scx_layered).
LAYERS = "layers"


class State(StrEnum):
    INSTALLED = "installed"
    NOT_INSTALLED = "not installed"
    UNREADABLE = "installed, but its options could not be read"


@dataclass(frozen=True)
class ExternalOption:
    """One option of an external scheduler, according to its help.

    `name` is the long option without dashes; `placeholder` the help's name for the value, empty for
    a switch; `default` and `choices` as printed. A `positional` one is given without its name, as
    the argument of a program that takes layers.
    """

    name: str
    short: str = ""
    placeholder: str = ""
    description: str = ""
    default: str = ""
    choices: tuple[str, ...] = ()
    repeatable: bool = False
    positional: bool = False

    @property
    def is_switch(self) -> bool:
        return not self.placeholder


@dataclass(frozen=True)
class External:
    """An external entry as found on this host; `version` is empty if the program does
    not print it.
    """

    state: State
    path: str = ""
    options: tuple[ExternalOption, ...] = ()
    note: str = ""
    version: str = ""

    @property
    def found(self) -> str:
        """The installed program, in words."""
        return f"{self.path} {self.version}".strip()


# `  -s, --slice-us <SLICE_US>`, `      --primary-domain [<CPUS>]`, `  -t, --name[=<NAME>]`, `  -v,
# --verbose...`; in the short help the description follows on the same line after two or more
# blanks.
_HEAD = re.compile(
    r"^\s{1,8}(?:-(?P<short>\w)(?:,\s+|\s*$))?(?:--(?P<long>[a-z0-9][a-z0-9-]*))?"
    r"(?P<dots>\.\.\.)?"
    r"(?:(?:[ =]|(?=\[=))(?P<value>\[?=?<[^>]*>(?:\.\.\.)?\]?|\[[A-Z_]+\]|[A-Z][A-Z0-9_]+)"
    r"(?P<more>\.\.\.)?)?"
    r"(?:\s{2,}(?P<text>\S.*))?\s*$"
)
_DEFAULT = re.compile(r"\[default:\s*(?P<value>[^\]]*)\]")
_CHOICES = re.compile(r"\[possible values:\s*(?P<values>[^\]]*)\]")
_CHOICE_LINE = re.compile(r"^\s*-\s+(?P<value>[\w.-]+)(?::|\s*$)")
# With these options the program does something other than scheduling; there is nothing to tune.
_GENERAL = frozenset({"help", "version", "help-stats", "monitor"})
_OTHER_WORK = re.compile(r"\b(?:and exits?|(?:is|are) not launched)\b", re.IGNORECASE)
# `scx_lavd 1.1.4-g12ab x86_64-unknown-linux-gnu`, `scx_p2dq: 1.1.4`, `scx_rusty v1.0.8`.
_VERSION = re.compile(r"(?<![\w.])v?(?P<version>\d{1,6}(?:\.\d{1,6}){1,3}(?:[-+][\w.+-]{1,40})?)")
_LAYERS_OPTION = ExternalOption(
    name=LAYERS,
    placeholder="FILE",
    description="The layers: the path of a JSON file that the service can read, or the JSON itself",
    positional=True,
)


def _clean(text: str) -> str:
    """Printable ASCII and line ends only: help texts come from a third-party program."""
    text = re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", text[:HELP_LARGEST])
    return "".join(c for c in text.replace("\t", "    ") if c == "\n" or c.isprintable())


def _option(found: re.Match[str], lines: list[str]) -> ExternalOption:
    body = "\n".join(lines)
    default = _DEFAULT.search(body)
    choices = _CHOICES.search(body)
    listed: list[str] = []
    prose: list[str] = []
    in_list = False
    for line in lines:
        if re.match(r"^\s*Possible values:\s*$", line):
            in_list = True
        elif in_list and (item := _CHOICE_LINE.match(line)):
            listed.append(item["value"])
        elif not line.strip():
            in_list = in_list and not listed
        elif not in_list:
            prose.append(_CHOICES.sub("", _DEFAULT.sub("", line)).strip())
    return ExternalOption(
        name=found["long"],
        short=found["short"] or "",
        placeholder=(found["value"] or "").strip("[]<>.="),
        description=" ".join(" ".join(prose).split()),
        default=default["value"].strip().strip('"') if default else "",
        choices=tuple(v.strip() for v in choices["values"].split(","))
        if choices
        else tuple(listed),
        repeatable=bool(found["dots"] or found["more"] or "..." in (found["value"] or "")),
    )


def parse_help(text: str) -> tuple[ExternalOption, ...]:
    """The options in a help text as clap prints it (`-h` or `--help` layout). Pure.

    Lenient: it leaves out what it does not understand. Options with which no scheduler would run
    (`--help`, `--version`, `--monitor`) are left out on purpose.
    """
    options: list[ExternalOption] = []
    head: re.Match[str] | None = None
    lines: list[str] = []

    def close() -> None:
        if head and head["long"] not in _GENERAL:
            option = _option(head, lines)
            if not _OTHER_WORK.search(option.description):
                options.append(option)

    for line in _clean(text).splitlines():
        found = _HEAD.match(line)
        if found and found["long"]:
            close()
            head, lines = found, [found["text"]] if found["text"] else []
        elif re.match(r"^\S.*:\s*$", line):
            # A heading ("Arguments:", "Options:", "Commands:") ends the option before it.
            close()
            head, lines = None, []
        else:
            lines.append(line)
    close()
    return tuple(options)


def inspect_external(entry: CatalogEntry) -> External:
    """The state of this external entry on this host. Never raises for a missing binary."""
    command = entry.manifest.command
    assert entry.manifest.kind is EntryKind.EXTERNAL
    assert command is not None
    path = shutil.which(command, path=PATH)
    if path is None:
        return External(State.NOT_INSTALLED, note=f"there is no {command} on {PATH}")
    try:
        done = run([path, "--help"], timeout=HELP_TIMEOUT_S, limits=HELP_LIMITS, check=False)
    except Fault as fault:
        return External(State.UNREADABLE, path, note=str(fault))
    options = parse_help(done.text) or parse_help(done.error_text)
    if not options:
        said = tail(done.stderr or done.stdout, lines=1)
        note = f"its --help shows no options we can read, and ended with status {done.status}"
        return External(State.UNREADABLE, path, note=f"{note}: {said[0][:200]}" if said else note)
    if entry.manifest.layers:
        options = (_LAYERS_OPTION, *options)
    return External(State.INSTALLED, path, options, version=_version(path))


def parse_version(text: str) -> str:
    """The version in the output of `--version`; empty if there is none. Pure."""
    found = _VERSION.search(_clean(text[:VERSION_LARGEST]))
    return found["version"] if found else ""


def _version(path: str) -> str:
    try:
        done = run([path, "--version"], timeout=HELP_TIMEOUT_S, limits=HELP_LIMITS, check=False)
    except Fault:
        return ""
    return parse_version(done.text) or parse_version(done.error_text)


def ops_name(command: str) -> str:
    """The beginning of the name that the kernel will show; empty if the program's name does not
    give it.

    `scx_lavd` registers as `lavd`, to which newer versions add their version:
    `lavd_1.1.4_x86_64_…`.
    """
    return command.removeprefix("scx_") if command.startswith("scx_") else ""


def is_ops_of(ops: str, command: str) -> bool:
    """Whether a scheduler of this name (`root/ops`) can be this program's."""
    name = ops_name(command)
    return bool(ops) and (not name or ops == name or ops.startswith(f"{name}_"))


def with_layers(
    name: str, options: tuple[ExternalOption, ...], values: Mapping[str, str | int | float | bool]
) -> dict[str, str | int | float | bool]:
    """The values, with the layers' text in place of their file, so that a candidate never changes.

    Raises:
        Fault: BAD_PARAMETER, also if a program that needs layers gets none.
    """
    if not any(option.positional for option in options):
        return dict(values)
    if LAYERS in values:
        return {**values, LAYERS: read_layers(str(values[LAYERS]))}
    if any(values.get(word) is True for word in ("run-example", "run_example")):
        return dict(values)
    raise Fault(
        FaultType.BAD_PARAMETER,
        f"{name} needs layers and got none",
        where=f"scheduler {name!r}",
        why="without a layer file it ends at once",
        hint=f"give it the path of one: {LAYERS}=/etc/schedpilot/layers.json; "
        "docs/peers.md shows a layer file",
    )


def arguments(
    name: str, options: tuple[ExternalOption, ...], values: Mapping[str, str | int | float | bool]
) -> list[str]:
    """The argument list for these option values; `True` sets a switch, `False` leaves it.

    Layers come as their text (see `with_layers`).

    Raises:
        Fault: BAD_PARAMETER, with each wrong option as a line of `details`.
    """
    known = {option.name: option for option in options}
    problems: list[str] = []
    words: list[str] = []
    positional: list[str] = []
    for key, value in values.items():
        option = known.get(key.replace("_", "-"))
        if option is not None and isinstance(value, bool) and "true" in option.choices:
            # An option that takes the word, not a switch.
            value = str(value).lower()
        if option is None:
            problems.append(f"{key[:60]!r}: no such option{nearest_known(key, known)}")
        elif option.positional:
            positional.append(str(value))
        elif option.is_switch:
            if not isinstance(value, bool):
                problems.append(f"--{option.name} is a switch: true or false")
            elif value:
                words.append(f"--{option.name}")
        elif isinstance(value, bool):
            problems.append(f"--{option.name} wants a value ({option.placeholder})")
        elif option.choices and str(value) not in option.choices:
            problems.append(f"--{option.name}: one of {', '.join(option.choices)}")
        elif any(not c.isprintable() for c in str(value)) or len(str(value)) > 400:
            problems.append(f"--{option.name}: this value is not a printable word")
        else:
            # As one word, so that a value that begins with a dash stays a value.
            words.append(f"--{option.name}={value}")
    if problems:
        raise Fault(
            FaultType.BAD_PARAMETER,
            f"{len(problems)} option{'s' if len(problems) > 1 else ''} cannot be used",
            where=f"scheduler {name!r}",
            why=problems[0],
            hint=f"`schedpilot library show {name}` lists the options of the installed version",
            details=tuple(problems),
        )
    # After `--`, so that nothing in them is an option.
    return [*words, "--", *positional] if positional else words
