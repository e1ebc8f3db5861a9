# SPDX-License-Identifier: GPL-2.0-or-later
"""Every option and argument of every program that takes a path, with paths that cannot be used.

The tests read the programs' own tables of parameters, so a new option is tried without a change
here. A new program, or the first path of a command, needs a line in `COMMANDS`.
"""

import argparse
import importlib
import io
import json
import os
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_args, get_type_hints

import pytest
import typer

import simulator.gates
from cli.commands import app
from daemon.api.paths import RUN_DIR_VARIABLE
from lab import cli as lab
from process import Completed, Fault, FaultType, named_path, require_writable, write_output
from tests.api.fake import Served

NOBODY = 65534
# Words before the option that is tried, so that the program reaches its use.
COMMANDS: dict[str, tuple[str, ...]] = {
    "schedpilot report": (),
    "schedpilot simulate": ("fifo", "--scenario=quiet", "--btf=types"),
    "schedpilot check": ("slice 3ms",),
    "schedpilot record": ("--seconds=0.1",),
    "schedpilot search": ("fifo", "--scenario=quiet", "--trials=2", "--btf=types"),
    "schedpilot tune": ("--parameters=fifo", "--scenario=quiet", "--trials=2", "--btf=types"),
    "lab build": (),
    "lab path": (),
    "lab prune": (),
    "lab run": ("true",),
    "lab chroot": ("true",),
    "lab types": (),
    "lab kernels": (),
    "lab canary": ("--seconds=1",),
    "agent.main": ("--check-config",),
    "daemon.main": ("--check",),
    "daemon.replay": ("recorded",),
    "mcp_server.main": ("--http=0",),
    "simulator.gates": ("--source=missing.bpf.c", "--out=out"),
    "simulator.compare": ("--source=missing.bpf.c", "--scenario=quiet", "--btf=types"),
    "simulator.search": (
        "--source=missing.bpf.c",
        "--space=space.json",
        "--scenario=quiet",
        "--btf=types",
    ),
}
PROGRAMS = [name for name in COMMANDS if "." in name]
# Two options that exclude each other: the one that is tried stands alone.
INSTEAD = {"trace": "--scenario=quiet", "source": "--source=missing.bpf.c", "out": "--out=out"}
INSTEAD |= {"object": "--out=out", "space": "--space=space.json"}
# Programs that answer another program, in JSON, even if something was not done.
TELLS_JSON = {"simulator.gates"}


@dataclass(frozen=True)
class Place:
    """One parameter. `flag` is empty for an argument."""

    program: str
    name: str
    flag: str

    def __str__(self) -> str:
        return f"{self.program} {self.flag or self.name}"

    def words(self, path: str) -> list[str]:
        words = [word for word in COMMANDS[self.program] if word != INSTEAD.get(self.name)]
        flags = [word for word in words if word.startswith("-")]
        if not self.flag:
            return [*flags, path]
        # Before the words that are no flags, because those may belong to another command.
        return [*flags, f"{self.flag}={path}", *(word for word in words if word not in flags)]


class _ParserFound(Exception):
    """Takes a parser out of the program that made it."""


def _typer(program: str, typer_app: typer.Typer) -> Iterator[Place]:
    for group in typer_app.registered_groups:
        assert group.typer_instance is not None
        yield from _typer(f"{program} {group.name}", group.typer_instance)
    for command in typer_app.registered_commands:
        assert command.callback is not None
        name = command.name or command.callback.__name__.rstrip("_")
        for parameter, hint in get_type_hints(command.callback, include_extras=True).items():
            kind, *about = get_args(hint) or (hint,)
            if Path not in (kind, *get_args(kind)):
                continue
            flag = f"--{parameter.replace('_', '-')}"
            # Typer mistakes the first of them for a default.
            declared = [d for each in about for d in (each.default, *(each.param_decls or ()))]
            declared = [each for each in declared if isinstance(each, str)]
            yield Place(f"{program} {name}", parameter, declared[-1] if declared else flag)


def _argparse(program: str) -> Iterator[Place]:
    main = importlib.import_module(program).main

    def stop(parser: argparse.ArgumentParser, *_: object) -> None:
        raise _ParserFound(parser)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(argparse.ArgumentParser, "parse_args", stop)
        with pytest.raises(_ParserFound) as caught:
            main([])
    for action in caught.value.args[0]._actions:
        if action.type in (Path, named_path):
            flags = action.option_strings
            yield Place(program, action.dest, flags[-1] if flags else "")


def places() -> list[Place]:
    """All parameters that take a path."""
    found = [
        *_typer("schedpilot", app),
        *_typer("lab", lab.app),
    ]
    for program in PROGRAMS:
        found += _argparse(program)
    return found


def _bad(folder: Path) -> dict[str, str]:
    """Paths that cannot be used, by their problem."""
    there = folder / "there.html"
    there.write_text("no json, no trace")
    made = folder / "folder.html"
    made.mkdir()
    (folder / "dangling.html").symlink_to(folder / "none" / "target")
    loop = folder / "loop.html"
    loop.symlink_to(loop)
    return {
        "empty": "",
        # Not even root can make a folder in /proc.
        "no folder": "/proc/none/x.html",
        "a folder": str(made),
        "below a file": str(there / "x.html"),
        "dangling": str(folder / "dangling.html"),
        "a loop": str(loop),
        "a device": "/dev/null",
        "a full disk": "/dev/full",
        "endless": "/dev/zero",
        "too long": str(folder / ("x" * 300 + ".html")),
        "far too long": "/" + "y/" * 3000 + "x.html",
        "odd": os.fsdecode(bytes(folder) + b"/none/\xff\x1b[31m\n.html"),
    }


class Bench:
    """Runs programs in this process, with stubs for everything that is slow and uses no path."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def call(self, place: Place, path: str) -> tuple[int, str]:
        """The exit status, and everything that was printed."""
        words = place.words(path)
        if place.program.startswith(("schedpilot ", "lab ")):
            program, _, command = place.program.partition(" ")
            main = importlib.import_module("cli.main" if program == "schedpilot" else "lab.cli")
            words = [command, *words]
            return self._said(main.main, words)
        return self._said(importlib.import_module(place.program).main, words)

    def _said(self, main: Callable[..., Any], words: Sequence[str]) -> tuple[int, str]:
        raw = io.BytesIO()
        said = io.TextIOWrapper(raw, "utf-8", errors="backslashreplace", write_through=True)
        status: object = 0
        argv, sys.argv = sys.argv, ["program", *words]
        try:
            with redirect_stdout(said), redirect_stderr(said):
                takes_words = main.__code__.co_argcount > 0
                status = main(list(words)) if takes_words else main()
        except SystemExit as end:
            status = end.code
        finally:
            sys.argv = argv
        return int(str(status or 0)), raw.getvalue().decode()

    def child(self, module: str, words: Sequence[str]) -> Completed:
        """A program that the command would start, in this process."""
        status, text = self._said(importlib.import_module(module).main, words)
        return Completed((module,), status, text.encode(), text.encode())


def forget_consoles() -> None:
    """Send further output to the current `sys.stdout` and `sys.stderr`."""
    import cli.output

    cli.output.out.cache_clear()
    cli.output.err.cache_clear()


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    import cli.local_gates
    import cli.output
    import cli.searching
    import cli.simulate

    made = Bench(tmp_path)
    (tmp_path / "space.json").write_text("[]")
    (tmp_path / "recorded").write_text("")
    (tmp_path / "types").write_bytes(b"\0sched_ext_ops\0")
    served = Served(tmp_path / "run")
    served.start()
    monkeypatch.setenv(RUN_DIR_VARIABLE, str(tmp_path / "run"))
    monkeypatch.chdir(tmp_path)
    forget_consoles()

    def compiled(module: str, words: Sequence[str], *_: object) -> Completed:
        if module == "scheduler_library.policy.command":
            about = {"name": "fifo", "source": "int x;", "values": {}, "policy": ""}
            about |= {"seconds": {"compile": 0}, "messages": []}
            return Completed((), 0, json.dumps(about).encode(), b"")
        return made.child(module, words)

    def streamed(
        words: Sequence[str], *_: object, on_error: Callable[[bytes], None], **__: Any
    ) -> int:
        done = made.child(words[3], words[4:])
        on_error(done.stderr)
        return done.status

    def no_lab(*_: object, **__: object) -> None:
        raise Fault(FaultType.LAB, "there is no lab here")

    async def nothing(*_: object, **__: object) -> None:
        return None

    async def lines(
        module: str, words: Sequence[str], said: list[str] | None = None
    ) -> AsyncIterator[dict[str, Any]]:
        for line in made.child(module, words).text.splitlines():
            yield json.loads(line)

    good = simulator.gates.GateOutcome("static", True, 0.0)
    monkeypatch.setattr("simulator.gates.static", lambda *_, **__: good)
    monkeypatch.setattr(cli.local_gates, "_lines", lines)
    monkeypatch.setattr(
        cli.local_gates, "run", lambda *_, **__: compiled("scheduler_library.policy.command", ())
    )
    monkeypatch.setattr(cli.simulate, "_program", compiled)
    monkeypatch.setattr(cli.searching, "stream", streamed)
    monkeypatch.setattr("uvicorn.Server.serve", nothing)
    for name in ("ensure", "run_in_lab", "in_root", "kernel_types", "files_of", "copy_files"):
        done = SimpleNamespace(status=0, folder="", release="", tree="", btf="")
        monkeypatch.setattr(lab, name, lambda *_, done=done, **__: done)
    monkeypatch.setattr("lab.cache.prune", lambda _: [])
    for name in ("find_place", "try_out"):
        monkeypatch.setattr(f"lab.canary.{name}", no_lab)
    yield made
    served.stop()
    forget_consoles()


@pytest.fixture
def ordinary_user(tmp_path: Path) -> Iterator[None]:
    """A user without rights opens the files."""
    tmp_path.chmod(0o755)
    if os.geteuid():
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


def harmless(text: str) -> bool:
    return all(each.isprintable() or each == "\n" for each in text)


def test_every_command_with_a_path_is_known() -> None:
    """A new command needs a line above, and is then tried with every bad path."""
    assert {place.program for place in places()} == set(COMMANDS)


@pytest.mark.parametrize("place", places(), ids=str)
def test_paths_that_cannot_be_used_are_told(bench: Bench, tmp_path: Path, place: Place) -> None:
    """There is no traceback; the status and a message report the problem, and nothing in the
    message acts."""
    for what, path in _bad(tmp_path).items():
        status, text = bench.call(place, path)
        assert "Traceback" not in text, what
        assert harmless(text), what
        if what in ("empty", "no folder", "below a file", "far too long", "a loop"):
            if place.program in TELLS_JSON:
                continue
            assert status != 0, (what, text)
            assert "rror" in text, (what, text)


@pytest.mark.parametrize("place", places(), ids=str)
def test_files_of_others_are_told(
    bench: Bench, tmp_path: Path, place: Place, ordinary_user: None
) -> None:
    """This also holds for an ordinary user, and for files that only root may open."""
    for path in ("/root/x.html", "/proc/1/mem", "/sys/x.html", "/etc/shadow"):
        status, text = bench.call(place, path)
        assert "Traceback" not in text, path
        assert harmless(text), path
        assert status != 0 or place.program in TELLS_JSON, (path, text)


@pytest.mark.parametrize("suffix", [".bpf.c", ".policy"])
@pytest.mark.parametrize("command", ["simulate", "check"])
def test_sources_that_cannot_be_read_are_told(
    bench: Bench, tmp_path: Path, command: str, suffix: str
) -> None:
    """A scheduler's file is a path too, although the argument may be a name or a policy."""
    for what, path in _bad(tmp_path).items():
        if not path.endswith(".html"):
            continue
        named = path.removesuffix(".html") + suffix
        if not os.path.lexists(named) and os.path.lexists(path):
            Path(path).rename(named)
        place = Place(f"schedpilot {command}", "target", "")
        status, text = bench.call(place, named)
        assert "Traceback" not in text, what
        assert harmless(text), what
        assert status != 0, what


def test_a_full_disk_is_told_after_the_work(bench: Bench, tmp_path: Path) -> None:
    """It is a fault if a file can be opened but not written."""
    require_writable(Path("/dev/full"), "the report")
    with pytest.raises(Fault, match="the report cannot be written"):
        write_output(Path("/dev/full"), b"x", "the report")


def test_looking_whether_a_file_can_be_written_leaves_nothing(tmp_path: Path) -> None:
    """Neither a new file nor the target of a link is made, and existing files do not change."""
    (tmp_path / "link").symlink_to("target")
    (tmp_path / "old").write_text("kept")
    os.mkfifo(tmp_path / "pipe")
    for name in ("new", "link", "old", "pipe"):
        require_writable(tmp_path / name, "it")
    assert sorted(each.name for each in tmp_path.iterdir()) == ["link", "old", "pipe"]
    assert (tmp_path / "old").read_text() == "kept"
