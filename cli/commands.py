# SPDX-License-Identifier: GPL-2.0-or-later
"""The command line: words, options and help. Each command's work is in its own module.

Those modules are imported only when their command runs, so that `--help` answers at once, also on a
slow machine.
"""

from pathlib import Path
from typing import Annotated, NoReturn

import typer

from cli.exits import ExitCode
from cli.programs import PROGRAMS, become

app = typer.Typer(
    name="schedpilot",
    help="An autopilot for the Linux CPU scheduler: the operator's command.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=(
        "Exit codes: 0 done, 1 a fault, 2 wrong usage, 3 the answer is no, 4 no daemon answers, "
        "5 the measured command failed, 6 a question was not answered, 130 interrupted."
    ),
)
library = typer.Typer(help="The known schedulers.", no_args_is_help=True)
app.add_typer(library, name="library", rich_help_panel="Looking")


def _path(word: str) -> Path:
    """An empty word is not a path, and does not mean the current folder."""
    if not word:
        raise typer.BadParameter("a path is missing")
    return Path(word)


LOOKING, ACTING, PROGRAM = "Looking", "Acting", "The project's other programs"

Json = Annotated[bool, typer.Option("--json", help="Write JSON instead of a table.")]
Target = Annotated[
    str,
    typer.Argument(
        metavar="NAME|POLICY|FILE",
        help="A legal name (a lower-case letter, then a-z, 0-9, _ and -) is a scheduler of the "
        "library, FILE.bpf.c and FILE.policy are files, and everything else is a policy: "
        "'slice 3ms'.",
    ),
]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="Set a parameter; can be repeated."),
]


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"schedpilot {version('schedpilot')}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Print the version."),
    ] = False,
    # cli.main reads it before anything else, because the project's other programs know it too.
    verbose: Annotated[
        bool,
        typer.Option("--verbose", help="First word: with a fault, print the command that failed."),
    ] = False,
) -> None:
    """An autopilot for the Linux CPU scheduler: the operator's command."""


def _leave(code: ExitCode) -> NoReturn:
    raise typer.Exit(int(code))


# ---------------------------------------------------------------- looking


@app.command(rich_help_panel=LOOKING)
def status(json: Json = False) -> None:
    """What runs, what is degraded, what the daemon may do."""
    from cli.status import show_status

    show_status(json=json)


@app.command(rich_help_panel=LOOKING)
def top(
    once: Annotated[bool, typer.Option("--once", help="Print one picture and end.")] = False,
    interval: Annotated[
        float, typer.Option(min=0.2, max=60, help="Seconds between updates.")
    ] = 2.0,
    most: Annotated[int, typer.Option("--most", "-n", min=1, help="Workloads shown.")] = 25,
    json: Json = False,
) -> None:
    """The workloads that wait longest for a CPU, live."""
    from cli.status import show_top

    show_top(once=once, json=json, interval_s=interval, most=most)


@app.command(rich_help_panel=LOOKING)
def profile(
    workload: Annotated[str, typer.Argument(metavar="WORKLOAD", help="Its id, as `top` shows it.")],
    json: Json = False,
) -> None:
    """What one workload is, does and waits for; measures for up to a second."""
    from cli.profile import show_profile

    show_profile(workload, json=json)


@library.command("list")
def library_list(json: Json = False) -> None:
    """Every scheduler, installed or not."""
    from cli.library import show_list

    show_list(json=json)


@library.command("show")
def library_show(name: str, json: Json = False) -> None:
    """How one scheduler works, when it is wrong, and its parameters."""
    from cli.library import show_scheduler

    show_scheduler(name, json=json)


@library.command("search")
def library_search(
    words: Annotated[list[str] | None, typer.Argument(metavar="[WORD]…")] = None,
    workload: Annotated[
        str, typer.Option(metavar="ID", help="Those that fit this workload, as `top` shows it.")
    ] = "",
    everything: Annotated[
        bool, typer.Option("--all", help="Include those that are not installed here.")
    ] = False,
    json: Json = False,
) -> None:
    """The installed schedulers that fit a description or a workload, best first, and why."""
    from cli.library import show_search

    if not words and not workload:
        raise typer.BadParameter("say what to search for: words, or --workload ID")
    if not show_search(" ".join(words or []), workload, everything=everything, json=json):
        _leave(ExitCode.NO)


@app.command(rich_help_panel=LOOKING)
def history(
    learned: Annotated[
        bool, typer.Option("--learned", help="Show what was measured and learned instead.")
    ] = False,
    last: Annotated[int, typer.Option(min=1, max=1000, help="Episodes shown.")] = 20,
    workload: Annotated[
        str, typer.Option(metavar="ID", help="With --learned: the beliefs about this workload.")
    ] = "",
    json: Json = False,
) -> None:
    """What the daemon did, episode by episode; or what it learned from them, and why."""
    from cli.history import show_history, show_learned

    if workload and not learned:
        raise typer.BadParameter("--workload goes with --learned")
    if learned:
        show_learned(workload, json=json)
    else:
        show_history(last=last, json=json)


@app.command(rich_help_panel=LOOKING)
def explain(
    id: Annotated[str, typer.Argument(help="The id of an episode, a trial or a candidate.")],
    json: Json = False,
) -> None:
    """The full story of one record: what was seen, tried, measured and decided, and why."""
    from cli.explain import explain as tell

    tell(id, json=json)


@app.command(rich_help_panel=LOOKING)
def report(
    output: Annotated[
        Path,
        typer.Option(
            "-o",
            "--output",
            metavar="FILE",
            help="Ends in .html, .png, .svg or .json.",
            parser=_path,
        ),
    ] = Path("schedpilot-report.html"),
    workload: Annotated[
        str, typer.Option(help="Its id, as `top` shows it; default: that of the last episode.")
    ] = "",
    last: Annotated[str, typer.Option(help="How far back: 90s, 30m, 6h, 1d.")] = "1h",
    source: Annotated[
        Path | None,
        typer.Option(
            "--from",
            metavar="FILE",
            help="A file that --json wrote, perhaps on another machine.",
            parser=_path,
        ),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="JSON to standard output.")] = False,
) -> None:
    """Write a page with the picture: run-queue delay over time, and every decision on it."""
    from cli.report import report as write

    write(output, workload, last, source, json=json)


@app.command(rich_help_panel=LOOKING)
def simulate(
    target: Target,
    settings: Settings = None,
    trace: Annotated[
        Path | None,
        typer.Option(
            parser=_path,
            metavar="FILE",
            help="A recording by `record` or `perf sched record`, or JSON for rt-app.",
        ),
    ] = None,
    scenario: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help=("One scenario of the stress set or of the usual ones, instead of the whole set."),
        ),
    ] = "",
    cpus: Annotated[
        int, typer.Option(min=0, max=512, help="CPUs; 0: as recorded, and 4 for the stress set.")
    ] = 0,
    seed: Annotated[
        int, typer.Option(min=0, help=("Random seed; equal seeds give equal results."))
    ] = 1,
    btf: Annotated[
        Path | None,
        typer.Option(
            parser=_path,
            metavar="FILE",
            help="BTF of the kernel to compile for; default: this kernel.",
        ),
    ] = None,
    cache: Annotated[
        Path | None,
        typer.Option(parser=_path, metavar="FOLDER", help="Folder for build results."),
    ] = None,
    perfetto: Annotated[
        Path | None,
        typer.Option(parser=_path, metavar="FILE", help="Write a timeline for ui.perfetto.dev."),
    ] = None,
    objective: Annotated[
        str,
        typer.Option(
            help=("Judge by this: 'response p99', 'completions'; default: by each group's kind.")
        ),
    ] = "",
    json: Json = False,
) -> None:
    """Compare a scheduler with the default one, in simulation. 3: it was ejected. No daemon."""
    from cli.simulate import SimulateOptions
    from cli.simulate import simulate as compare

    if trace and scenario:
        raise typer.BadParameter("choose one of --trace and --scenario")
    wish = SimulateOptions(trace, scenario, cpus, seed, btf, cache, perfetto, objective)
    _leave(compare(target, settings or [], wish, json=json))


# ---------------------------------------------------------------- acting


@app.command(rich_help_panel=ACTING)
def check(
    target: Target,
    settings: Settings = None,
    workload: Annotated[
        str, typer.Option(help="Also simulate a recording of this workload (its id).")
    ] = "",
    canary: Annotated[
        bool, typer.Option("--canary", help="Try it in a virtual machine, even if that is slow.")
    ] = False,
    cpus: Annotated[
        str,
        typer.Option(metavar="N[,N…]", help="Also simulate machines with these numbers of CPUs."),
    ] = "",
    btf: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            exists=True,
            dir_okay=False,
            help="Kernel types to build for, instead of this kernel's; no daemon.",
        ),
    ] = None,
    emit_c: Annotated[
        bool, typer.Option("--emit-c", help="Print the generated C and prove nothing; no daemon.")
    ] = False,
    canonical: Annotated[
        bool,
        typer.Option("--format", help="Print the policy in its canonical form; no daemon."),
    ] = False,
    json: Json = False,
) -> None:
    """Run a scheduler through the gates without loading it. 3: it is not proven.

    Without a daemon it is still checked, built and simulated; the answer is 4 then.
    """
    from cli import check as checking

    if emit_c and canonical:
        raise typer.BadParameter("choose one of --emit-c and --format")
    if emit_c or canonical:
        from cli.local_gates import show_c

        options = ["--emit-c" if emit_c else "--format", *(["--json"] if json else [])]
        request = checking.request_for(target, settings or [])
        _leave(show_c(request, target, settings or [], options))
    wish = checking.CheckOptions(workload, checking.sizes(cpus), btf, canary)
    _leave(checking.check(target, settings or [], wish, json=json))


@app.command(rich_help_panel=ACTING)
def run(
    target: Target,
    settings: Settings = None,
    json: Json = False,
) -> None:
    """Load a scheduler and keep it loaded until `stop` or `rollback`."""
    from cli.hold import run as load

    load(target, settings or [], json=json)


@app.command(rich_help_panel=ACTING)
def record(
    seconds: Annotated[float, typer.Option(min=0.1, max=3600, help="How long.")] = 10.0,
    workload: Annotated[
        str,
        typer.Option(
            metavar="ID", help=("Only this workload, as `top` shows it; default: everything.")
        ),
    ] = "",
    cgroup: Annotated[
        str, typer.Option(metavar="PATH", help="The same as --workload cgroup:PATH.")
    ] = "",
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            metavar="FILE",
            help=("Output file; default: ID.trace.gz here."),
            parser=_path,
        ),
    ] = None,
    kept: Annotated[
        bool, typer.Option("--list", help="List the stored recordings instead.")
    ] = False,
    json: Json = False,
) -> None:
    """Record what the machine does, to simulate schedulers with it."""
    from cli.record import record as begin
    from cli.record import show_recordings

    if workload and cgroup:
        raise typer.BadParameter("choose one of --workload and --cgroup")
    if kept:
        _leave(show_recordings(json=json))
    _leave(begin(seconds, f"cgroup:{cgroup}" if cgroup else workload, output, json=json))


@app.command(rich_help_panel=ACTING)
def probe(
    kind: Annotated[
        str,
        typer.Argument(metavar="KIND", help="A name that `--list` shows: runqlat, offcpu, …."),
    ] = "",
    workload: Annotated[
        str,
        typer.Option(
            metavar="ID", help=("Only this workload, as `top` shows it; default: everything.")
        ),
    ] = "",
    seconds: Annotated[int, typer.Option(min=1, max=30, help="How long.")] = 5,
    binary: Annotated[
        str, typer.Option(metavar="FILE", help="With uprobe: the program, an absolute path.")
    ] = "",
    enter: Annotated[
        str, typer.Option(metavar="NAME", help="With uprobe: the function to time.")
    ] = "",
    leave: Annotated[
        str,
        typer.Option(
            "--exit",
            metavar="NAME",
            help=("With uprobe: the function at whose return the time ends."),
        ),
    ] = "",
    list_: Annotated[
        bool, typer.Option("--list", help="List the probes, and what each lacks here.")
    ] = False,
    json: Json = False,
) -> None:
    """Look closer for a few seconds: what threads wait for, who wakes whom, where they run."""
    from cli.probe import run_probe, show_probes

    if list_ or not kind:
        show_probes(json=json)
    elif kind == "uprobe" and (not binary or not enter):
        raise typer.BadParameter("uprobe needs --binary FILE and --enter NAME")
    elif kind != "uprobe" and (binary or enter or leave):
        raise typer.BadParameter("--binary, --enter and --exit go with uprobe")
    else:
        calls = (binary, enter, leave or enter) if kind == "uprobe" else None
        _leave(run_probe(kind, workload, seconds, calls, json=json))


@app.command(rich_help_panel=ACTING)
def stop(json: Json = False) -> None:
    """Go back to the kernel's own scheduler."""
    from cli.hold import stop as release

    release(json=json)


@app.command(rich_help_panel=ACTING)
def rollback(
    reason: Annotated[str, typer.Option(help="The reason, for the record.")] = "",
    json: Json = False,
) -> None:
    """Go back to what ran before the last change; ends a trial."""
    from cli.hold import rollback as back

    back(reason, json=json)


@app.command(rich_help_panel=ACTING, context_settings={"allow_interspersed_args": False})
def tune(
    command: Annotated[list[str] | None, typer.Argument(metavar="-- COMMAND [ARGUMENT]…")] = None,
    candidate: Annotated[
        list[str] | None,
        typer.Option(
            "--candidate",
            "-c",
            metavar="NAME|POLICY|FILE",
            help=(
                "Try this one; can be repeated. A word that is not a legal name is a policy: "
                "'slice 3ms'."
            ),
        ),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="NAME:KEY=VALUE",
            help=("A parameter of a candidate; NAME is the candidate."),
        ),
    ] = None,
    runs: Annotated[
        int, typer.Option(min=2, max=32, help=("Maximum number of runs for each side."))
    ] = 6,
    warm_up: Annotated[int, typer.Option(min=0, max=10, help="Warm-up runs, not counted.")] = 1,
    timeout: Annotated[
        float, typer.Option(min=0.1, help=("Time limit for one run, seconds."))
    ] = 1500.0,
    show_output: Annotated[
        bool, typer.Option("--show-output", help="Let the command write to the terminal.")
    ] = False,
    keep: Annotated[bool, typer.Option("--keep", help="Load the best one afterwards.")] = False,
    agent: Annotated[
        bool,
        typer.Option("--agent", help="The old spelling of `schedpilot ask`.", hidden=True),
    ] = False,
    workload: Annotated[
        str,
        typer.Option(metavar="ID", help="With --agent.", hidden=True),
    ] = "",
    goal: Annotated[str, typer.Option(help="With --agent.", hidden=True)] = "",
    objective: Annotated[
        str,
        typer.Option(
            help=(
                "Judge by this: 'response p99', 'completions'. Without it: by the duration of a "
                "run."
            )
        ),
    ] = "",
    guard: Annotated[
        list[str] | None,
        typer.Option(
            metavar="'NAME: TEXT'",
            help=(
                "Another workload that must not suffer: 'backup: cpu not worse than 50%'; can be "
                "repeated."
            ),
        ),
    ] = None,
    parameters: Annotated[
        str, typer.Option(help="The old spelling of `schedpilot search`.", hidden=True)
    ] = "",
    trace: Annotated[
        Path | None, typer.Option(parser=_path, help="With --parameters.", hidden=True)
    ] = None,
    scenario: Annotated[str, typer.Option(help="With --parameters.", hidden=True)] = "",
    metric: Annotated[str, typer.Option(help="With --parameters.", hidden=True)] = "",
    group: Annotated[str, typer.Option(help="With --parameters.", hidden=True)] = "",
    trials: Annotated[
        int, typer.Option(min=2, max=10_000, help="With --parameters.", hidden=True)
    ] = 40,
    seed: Annotated[int, typer.Option(min=0, help="With --parameters.", hidden=True)] = 1,
    save: Annotated[
        Path | None, typer.Option(parser=_path, help="With --parameters.", hidden=True)
    ] = None,
    btf: Annotated[
        Path | None, typer.Option(parser=_path, help="With --parameters.", hidden=True)
    ] = None,
    cache: Annotated[
        Path | None, typer.Option(parser=_path, help="With --parameters.", hidden=True)
    ] = None,
    json: Json = False,
) -> None:
    """Run a command under the current scheduler and under candidates, alternating; report the best.

    0: something was better. 3: nothing was. The machine is left as it was, unless --keep.
    """
    if parameters:
        from cli.output import note

        if command or agent or workload or candidate or guard:
            raise typer.BadParameter("--parameters searches one scheduler; no command, no --agent")
        note("`tune --parameters` is now called `schedpilot search`; this run continues")
        search(
            parameters,
            settings,
            trace,
            scenario,
            objective,
            metric,
            group,
            trials,
            seed,
            save,
            btf,
            cache,
            json,
        )
    if trace or scenario or save:
        raise typer.BadParameter("--trace, --scenario and --save are for --parameters")
    if agent:
        from cli import asking
        from cli.output import note

        if bool(command) == bool(workload):
            raise typer.BadParameter("--agent takes a command, or --workload ID")
        if candidate or settings or keep or show_output:
            raise typer.BadParameter("with --agent the agent chooses what is tried")
        if objective or guard:
            raise typer.BadParameter("`schedpilot ask` takes --objective and --guard")
        note("`tune --agent` is now called `schedpilot ask`; this run continues")
        _leave(
            asking.ask(asking.AskOptions(tuple(command or ()), workload, goal, timeout), json=json)
        )
    if workload or goal:
        raise typer.BadParameter("--workload and --goal are for --agent")
    if not command:
        raise typer.BadParameter("a command is missing: schedpilot tune -- COMMAND")
    from cli import tune as tuning

    plan = tuning.TunePlan(
        command=tuple(command),
        candidates=tuple(dict.fromkeys(candidate or [])),
        settings=tuning.parse_settings(settings or []),
        runs=runs,
        warm_up=warm_up,
        timeout_s=timeout,
        show_output=show_output,
        keep=keep,
        objective=objective,
        guards=tuple(guard or ()),
    )
    _leave(tuning.tune(plan, json=json))


@app.command(rich_help_panel=ACTING, context_settings={"allow_interspersed_args": False})
def ask(
    command: Annotated[list[str] | None, typer.Argument(metavar="[-- COMMAND [ARGUMENT]…]")] = None,
    goal: Annotated[str, typer.Option(help="What you want, in your words.")] = "",
    workload: Annotated[
        str,
        typer.Option(
            metavar="NAME", help="The workload it is about: an id as `top` shows it, or its name."
        ),
    ] = "",
    objective: Annotated[
        str,
        typer.Option(
            metavar="TEXT",
            help=(
                "The goal in measurable terms, if your words are understood differently: "
                "'response p99 < 20ms; completions not worse than 5%'."
            ),
        ),
    ] = "",
    guard: Annotated[
        list[str] | None,
        typer.Option(
            metavar="'NAME: TEXT'",
            help=(
                "Another workload that must not suffer: 'backup: cpu not worse than 50%'; can be "
                "repeated."
            ),
        ),
    ] = None,
    timeout: Annotated[
        float, typer.Option(min=0.1, help="Time limit for one run of COMMAND, seconds.")
    ] = 1500.0,
    json: Json = False,
) -> None:
    """Ask the agent for what you want, for a workload that runs or for a command.

    It says how it understands the goal and how schedulers will be judged. 0: something was kept. 3:
    nothing was better. 6: the goal is not clear enough, and nobody can answer here.
    """
    from cli import asking

    if command and workload:
        raise typer.BadParameter("choose one of a command and --workload NAME")
    if not (goal or objective or command or workload):
        raise typer.BadParameter("say what is wanted: --goal 'lower latency' --workload NAME")
    if not (command or workload or goal):
        raise typer.BadParameter("say what it is about: --workload NAME")
    if len(goal) > 500:
        raise typer.BadParameter("a goal has at most 500 characters")
    wish = asking.AskOptions(
        tuple(command or ()), workload, goal, timeout, objective, tuple(guard or ())
    )
    _leave(asking.ask(wish, json=json))


@app.command(rich_help_panel=LOOKING)
def search(
    target: Target,
    settings: Settings = None,
    trace: Annotated[
        Path | None, typer.Option(parser=_path, metavar="FILE", help="On a recorded workload.")
    ] = None,
    scenario: Annotated[
        str, typer.Option(metavar="NAME", help="On one scenario of the stress set.")
    ] = "",
    objective: Annotated[
        str,
        typer.Option(
            help="Judge by this: 'response p99', 'completions'. Without it: by the kind of each "
            "group."
        ),
    ] = "",
    metric: Annotated[
        str,
        typer.Option(
            help="Judge by one figure: delay-p99, delay-p50, makespan, mean-completion, "
            "throughput or fairness."
        ),
    ] = "",
    group: Annotated[str, typer.Option(help="Only this group or workload.")] = "",
    trials: Annotated[
        int, typer.Option(min=2, max=10_000, help="How many sets of values to try.")
    ] = 40,
    seed: Annotated[
        int, typer.Option(min=0, help="Random seed; equal seeds give equal results.")
    ] = 1,
    save: Annotated[
        Path | None,
        typer.Option(parser=_path, metavar="FILE.policy", help="Write the result as a policy."),
    ] = None,
    btf: Annotated[
        Path | None,
        typer.Option(parser=_path, metavar="FILE", help="BTF of the kernel to compile for."),
    ] = None,
    cache: Annotated[
        Path | None,
        typer.Option(parser=_path, metavar="FOLDER", help="Folder for build results."),
    ] = None,
    json: Json = False,
) -> None:
    """Search better parameters for a scheduler in the simulator. Needs no daemon; loads nothing.

    0: better values were found. 3: the defaults are as good.
    """
    from cli import searching

    if bool(trace) == bool(scenario):
        raise typer.BadParameter("a search needs one of --trace and --scenario")
    if metric and objective:
        raise typer.BadParameter("choose one of --objective and --metric")
    if metric and metric not in searching.METRICS:
        raise typer.BadParameter(f"--metric is one of {', '.join(searching.METRICS)}")
    options = searching.SearchOptions(
        trials, seed, metric, group, trace, scenario, btf, cache, save, objective
    )
    _leave(searching.search(target, settings or [], options, json=json))


@app.command(rich_help_panel=ACTING)
def approve(
    id: Annotated[str, typer.Argument(help="An id as `status` and the journal show it.")],
    reason: Annotated[str, typer.Option(help="The reason, for the record.")] = "",
    json: Json = False,
) -> None:
    """Approve what the daemon asked for."""
    from cli.hold import answer

    answer(id, approve=True, reason=reason, json=json)


@app.command(rich_help_panel=ACTING)
def decline(
    id: Annotated[str, typer.Argument(help="An id as `status` and the journal show it.")],
    reason: Annotated[str, typer.Option(help="The reason, for the record.")] = "",
    json: Json = False,
) -> None:
    """Decline what the daemon asked for."""
    from cli.hold import answer

    answer(id, approve=False, reason=reason, json=json)


# ---------------------------------------------------------------- other programs


def _add_program(name: str, help_text: str) -> None:
    # All its arguments are the program's own, including `--help`.
    @app.command(
        name,
        help=help_text,
        rich_help_panel=PROGRAM,
        add_help_option=False,
        context_settings={"ignore_unknown_options": True, "allow_extra_args": True},
    )
    def program(context: typer.Context) -> None:
        become(name, context.args)


for _name, (_, _help) in PROGRAMS.items():
    _add_program(_name, _help)
