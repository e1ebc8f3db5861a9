# SPDX-License-Identifier: GPL-2.0-or-later
"""The `lab` command: build the virtual machine, run commands in it.

Exit status: that of the command in the guest; 124 if it timed out; 125 for any other trouble of the
lab itself (as `timeout` and `env` do).
"""

import json
import signal
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from lab import cache, canary, kernels, packages
from lab.chroot import in_root
from lab.kernel_types import kernel_types
from lab.machine import Port
from lab.recipe import recipe_for
from lab.root import ensure
from lab.topology import GuestTopology
from lab.tree import copy_files, files_of, project_root
from lab.vm import run_in_lab
from process import Fault, FaultType, Fixed, fault_of, printable

TIMED_OUT = 124
# Default time limit for a command in the guest.
RUN_S = 600.0
TROUBLE = 125

app = typer.Typer(
    add_completion=False, no_args_is_help=True, help="A sched_ext virtual machine for schedpilot."
)


def _folder(word: str) -> Path:
    """An empty word is refused instead of meaning the current folder."""
    if not word:
        raise typer.BadParameter("a path is missing")
    return Path(word)


def _there(word: str) -> Path:
    """An existing folder."""
    path = _folder(word)
    if not path.is_dir():
        raise typer.BadParameter(f"{printable(word)} is not a folder")
    return path


Tree = Annotated[
    Path | None,
    typer.Option(
        parser=_there,
        metavar="FOLDER",
        help="The checkout; default: the lab's own.",
    ),
]
Out = Annotated[
    Path | None,
    typer.Option(
        parser=_folder,
        metavar="FOLDER",
        help="Folder that gets the files from the guest's /out.",
    ),
]
Kernel = Annotated[
    str | None,
    typer.Option(
        metavar="VERSION",
        help="Another kernel than the root's own, such as 6.18; `lab kernels` lists them.",
    ),
]
Command = Annotated[list[str], typer.Argument(help="Program and arguments, after `--`.")]
# Everything after the first unknown word belongs to the command.
PASS_ON = {"allow_interspersed_args": False}


def _progress(line: str) -> None:
    print(f"lab: {line}", file=sys.stderr, flush=True)


def _checkout(tree: Path | None) -> Path:
    return tree.resolve() if tree else project_root()


@app.command()
def build(
    tree: Tree = None,
    kernel: Kernel = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print what was built as JSON.")] = False,
) -> None:
    """Build the guest's root once (minutes, about 4 GB); does nothing if it exists."""
    started = time.monotonic()
    root = ensure(recipe_for(_checkout(tree)), _progress, kernel)
    seconds = time.monotonic() - started
    folder = root.other or root.folder
    if as_json:
        facts = {"folder": str(folder), "kernel": root.release, "seconds": round(seconds, 1)}
        print(json.dumps(facts))
    else:
        print(f"{folder} (kernel {root.release}, {seconds:.0f} s)")


@app.command(name="kernels")
def kernels_(
    tree: Tree = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print them as JSON.")] = False,
) -> None:
    """List the kernels that the lab can boot: those in Debian's backports, and those built."""
    root = kernels.find(recipe_for(_checkout(tree)), "")
    try:
        with packages.index(root) as index:
            offered = kernels.offers(index.names())
    except Fault as fault:
        # What is built boots without Debian's mirror.
        _progress(f"only what is built here: {fault}")
        offered = []
    rows = kernels.rows(root.release, kernels.built().values(), offered)
    if as_json:
        print(json.dumps([asdict(each) for each in rows]))
        return
    for each in rows:
        lacks = f"without {' and '.join(each.lacks)}" if each.lacks else ""
        print(f"{each.version:9} {each.state:14} {lacks}".rstrip())


@app.command()
def path(tree: Tree = None) -> None:
    """Print the cache folder of the current recipe, built or not."""
    print(cache.place_of(recipe_for(_checkout(tree))))


@app.command()
def prune(tree: Tree = None) -> None:
    """Remove every cached root except that of the current recipe."""
    for each in cache.prune(recipe_for(_checkout(tree))):
        print(f"removed {each}")


@app.command(context_settings=PASS_ON)
def run(
    command: Command,
    cpus: Annotated[int | None, typer.Option(min=1, help="Guest CPUs; default: 2.")] = None,
    topology: Annotated[
        str | None,
        typer.Option(
            metavar="NxLxCxT",
            help="Memory nodes, last-level caches in each, cores in each of those, threads of a "
            "core; for example 2x2x2x2.",
        ),
    ] = None,
    memory: Annotated[str, typer.Option(help="Guest memory, such as 2G.")] = "2G",
    systemd: Annotated[bool, typer.Option(help="Boot systemd as PID 1 first.")] = False,
    timeout: Annotated[
        float | None,
        typer.Option(
            min=1,
            help="Seconds for the whole run; default: 600, and more on a slow or busy machine.",
        ),
    ] = None,
    out: Out = None,
    tree: Tree = None,
    kernel: Kernel = None,
    kernel_argument: Annotated[
        list[str] | None, typer.Option(help="Add to the kernel's command line; may be repeated.")
    ] = None,
    timing: Annotated[bool, typer.Option(help="Print the times on standard error.")] = False,
) -> None:
    """Boot the guest, run a command in it as root, exit with its status."""
    if cpus is not None and topology is not None:
        raise typer.BadParameter("give --cpus or --topology")
    arranged = GuestTopology.parse(topology) if topology is not None else cpus or 2
    if out is not None:
        # Check before the minutes of work instead of after them.
        out.mkdir(parents=True, exist_ok=True)

    def show(port: Port, data: bytes) -> None:
        stream = sys.stdout if port is Port.STDOUT else sys.stderr
        stream.buffer.write(data)
        stream.buffer.flush()

    result = run_in_lab(
        command,
        cpus=arranged,
        memory=memory,
        systemd=systemd,
        timeout=RUN_S if timeout is None else Fixed(timeout),
        out=out,
        on_output=show,
        tree=tree,
        kernel=kernel,
        kernel_arguments=kernel_argument or (),
        progress=_progress,
    )
    if timing:
        _progress(f"started after {result.start_s:.1f} s, ended after {result.wall_s:.1f} s")
    raise typer.Exit(result.status)


@app.command(context_settings=PASS_ON)
def chroot(command: Command, out: Out = None, tree: Tree = None, kernel: Kernel = None) -> None:
    """Run a command at native speed on the guest's files, in a scratch copy of the tree."""
    checkout = _checkout(tree)
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
    root = ensure(recipe_for(checkout), _progress, kernel)
    with tempfile.TemporaryDirectory(prefix="schedpilot-lab-") as scratch:
        copy = Path(scratch) / "tree"
        results = out.resolve() if out else Path(scratch) / "out"
        results.mkdir(parents=True, exist_ok=True)
        copy_files(checkout, files_of(checkout), copy)
        done = in_root(
            root.tree,
            command,
            timeout=3600,
            binds={copy: "/tree", results: "/out"},
            btf=root.btf,
            cwd="/tree",
            check=False,
            capture=False,
        )
    raise typer.Exit(done.status)


@app.command()
def types(tree: Tree = None, kernel: Kernel = None) -> None:
    """Print the path of the guest kernel's types: a BTF file, with vmlinux.h beside it."""
    print(kernel_types(tree, kernel))


@app.command(name="canary")
def canary_(
    object: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            dir_okay=False,
            help="The scheduler: NAME.bpf.o.",
        ),
    ] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="Set a parameter.")
    ] = None,
    seconds: Annotated[float, typer.Option(min=1, max=600, help="Of load.")] = 20,
    tree: Tree = None,
) -> None:
    """Try a built scheduler in the machine under load, and print the result as JSON.

    Without --object: print whether a machine boots here, with which kernel and accelerator.
    """
    if object is None:
        print(json.dumps(asdict(canary.find_place(tree))))
    else:
        outcome = canary.try_out(object, settings or (), seconds=seconds, tree=tree)
        print(json.dumps(asdict(outcome)))


def main() -> None:
    """Run the command line; a `Fault` becomes a report and an exit status."""
    # SIGTERM unwinds as Ctrl-C does, so that an ended run removes its files.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    try:
        app(prog_name="schedpilot lab")
    except (Fault, OSError) as error:
        fault = fault_of(error)
        for line in fault.report().split("\n"):
            print(printable(line), file=sys.stderr)
        sys.exit(TIMED_OUT if fault.type is FaultType.TIMEOUT else TROUBLE)
