# SPDX-License-Identifier: GPL-2.0-or-later
"""`schedpilot measure`: lists the measures, and shows what each of them reads right now."""

import argparse
import asyncio
import contextlib
import json
import os
import sys
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any, TextIO

from agent.config import PATH, AgentConfig, parse_config, read_config
from agent.measuring.journal import absent
from agent.measuring.measure import MeasureEntry
from agent.measuring.reading import MeasurementReading
from agent.measuring.sources import source_of
from agent.measuring.uprobe import AskForCalls
from daemon.api.client import control_async_client, control_opens
from daemon.api.display import displayable
from process import Fault, FaultType, fault_of, named_path

LONGEST_LINE = 4000
SECONDS = 5.0
# As in docs/cli.md.
_OK, _FAULT, _USAGE, _NO, _INTERRUPTED = 0, 1, 2, 3, 130


def describe(measure: MeasureEntry) -> str:
    """The source and the statistic in a few words."""
    table = getattr(measure, measure.source)
    if measure.source == "command":
        said = " ".join(table)
    else:
        given = table.model_dump(mode="json", exclude_defaults=True)
        given = given or table.model_dump(mode="json", exclude_none=True)
        said = ", ".join(f"{key} {value}" for key, value in given.items() if value is not None)
    taken = f", {measure.taken}" if measure.taken else ""
    return f"{measure.source}: {displayable(said, 160)}{taken}, every {measure.interval_s:g} s"


async def look(measure: MeasureEntry, seconds: float) -> MeasurementReading:
    """What it reads in this many seconds; at once if it needs no interval.

    Raises:
        Fault: it cannot be read.
    """
    async with asking(measure) as ask, source_of(measure, ask) as source:
        reading = await source.take()
        if reading.value is None:
            await asyncio.sleep(seconds)
            reading = await source.take()
    if not reading.count and (fault := await asyncio.to_thread(_behind, measure)):
        raise fault
    return reading


@contextlib.asynccontextmanager
async def asking(measure: MeasureEntry) -> AsyncIterator[AskForCalls | None]:
    """How the daemon is asked for calls, for a measure that needs it."""
    if measure.uprobe is None and measure.usdt is None:
        yield None
        return
    if not control_opens():
        raise Fault(
            FaultType.UNREACHABLE,
            "the daemon's control socket does not open",
            why="the daemon counts calls, because it has the privileges",
            hint="is it running, and are you in the group schedpilot (or root)?",
        )
    async with control_async_client() as client:
        yield client.count_calls


def _behind(measure: MeasureEntry) -> Fault | None:
    """Why a unit gave nothing: it does not exist, or it does not run."""
    for table in (measure.journal, measure.nginx, measure.haproxy):
        unit = table.unit if table is not None else None
        if unit is not None:
            return absent(unit)
    return None


def told(reading: MeasurementReading, measure: MeasureEntry, seconds: float) -> list[str]:
    """The reading as lines for people."""
    unit = measure.unit or reading.unit
    taken = measure.taken or "value"
    lines = []
    if reading.value is None:
        lines.append(f"no value in {seconds:.3g} s")
    else:
        of = f" of {reading.count} in {seconds:.3g} s" if measure.taken else ""
        lines.append(f"{taken} = {reading.value:.6g}{f' {unit}' if unit else ''}{of}")
    if measure.taken and reading.examples:
        more = ", …" if reading.count > len(reading.examples) else ""
        lines.append("samples: " + ", ".join(f"{each:.6g}" for each in reading.examples) + more)
    return lines + [f"note: {each}" for each in reading.notes]


def _show(measure: MeasureEntry, seconds: float, as_json: list[dict[str, Any]] | None) -> int:
    """Read one measure and print the result; returns the exit status."""
    began = time.time()
    entry: dict[str, Any] = {"name": measure.name, "source": measure.source, "take": measure.taken}
    if as_json is None:
        _print(f"{measure.name}  {describe(measure)}")
    try:
        reading = asyncio.run(look(measure, seconds))
    except (Fault, OSError) as error:
        fault = fault_of(error)
        if as_json is None:
            for line in fault.report().splitlines():
                _print(f"  {line}")
        else:
            as_json.append({**entry, "fault": str(fault), "hint": fault.hint})
        return _FAULT
    took = time.time() - reading.since if measure.taken else time.time() - began
    if as_json is None:
        for line in told(reading, measure, took):
            _print(f"  {line}")
    else:
        as_json.append(
            {
                **entry,
                "value": reading.value,
                "unit": measure.unit or reading.unit,
                "count": reading.count,
                "seconds": round(took, 3),
                "samples": list(reading.examples),
                "notes": list(reading.notes),
            }
        )
    return _OK if reading.value is not None else _NO


def test(measures: Sequence[MeasureEntry], seconds: float, *, json_: bool) -> int:
    """Read each of them; the worst exit status: 1 for a fault, 3 if there was no value."""
    entries: list[dict[str, Any]] | None = [] if json_ else None
    if os.geteuid() == 0 and not json_:
        print(
            "note: read as root; the service reads as schedpilot-agent (docs/operations.md)",
            file=sys.stderr,
        )
    statuses = [_show(each, seconds, entries) for each in measures]
    if entries is not None:
        print(json.dumps(entries, indent=2))
    return _FAULT if _FAULT in statuses else max(statuses, default=_OK)


def listing(config: AgentConfig, *, json_: bool) -> int:
    """Each measure of the configuration."""
    if json_:
        print(json.dumps([each.model_dump(mode="json", exclude_none=True)
                          for each in config.measure], indent=2))  # fmt: skip
        return _OK
    if not config.measure:
        print("no measures are configured; docs/operations.md shows one of each kind")
    width = max((len(each.name) for each in config.measure), default=0)
    for each in config.measure:
        _print(f"{each.name:<{width}}  {describe(each)}")
    return _OK


def chosen(config: AgentConfig, names: Sequence[str], source: str, take: str) -> list[MeasureEntry]:
    """The measures with these names; all if there are none, or the one of the command line.

    Raises:
        Fault: BAD_CONFIG, NOT_FOUND.
    """
    if source:
        more = f"\ntake = {json.dumps(take)}" if take else ""
        text = f'[[measure]]\nname = "test"\n{source}{more}\n'
        return list(parse_config(text, "--source").measure)
    known = {each.name: each for each in config.measure}
    for name in names:
        if name not in known:
            raise Fault(
                FaultType.NOT_FOUND,
                f"there is no measure {displayable(name, 60)!r}",
                hint=f"there are: {', '.join(known) or 'none'}",
            )
    return [known[name] for name in names] if names else list(config.measure)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="schedpilot measure",
        description="The measurements that applications provide, as objectives name them.",
    )
    words = parser.add_subparsers(dest="word", required=True)
    listed = words.add_parser("list", help="list the configured measures")
    tested = words.add_parser("test", help="read each for some seconds and show the values")
    tested.add_argument("names", nargs="*", metavar="NAME", help="only these")
    tested.add_argument("--seconds", type=float, default=SECONDS, help="default: %(default)g")
    tested.add_argument(
        "--source",
        default="",
        metavar="TOML",
        help='one that is not configured: redis = { address = "127.0.0.1:6379" }',
    )
    tested.add_argument("--take", default="", help="with --source: p99, mean, rate, …")
    for each in (listed, tested):
        each.add_argument("--config", type=named_path, default=PATH, metavar="FILE")
        each.add_argument("--json", action="store_true", dest="json_")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run with these arguments; the exit status."""
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        if options.config != PATH and not Path(options.config).exists():
            raise Fault(
                FaultType.BAD_CONFIG, "this configuration does not exist", where=str(options.config)
            )
        if options.word == "list":
            return listing(read_config(options.config), json_=options.json_)
        if not 0.1 <= options.seconds <= 3600:
            parser.error("--seconds is from 0.1 to 3600")
        if options.source and options.names:
            parser.error("choose one of NAME and --source")
        config = AgentConfig() if options.source else read_config(options.config)
        measures = chosen(config, options.names, options.source, options.take)
        if not measures:
            print("no measures are configured", file=sys.stderr)
            return _NO
        return test(measures, options.seconds, json_=options.json_)
    except KeyboardInterrupt:
        return _INTERRUPTED
    except (Fault, OSError) as error:
        for line in fault_of(error).report().splitlines():
            _print(line, sys.stderr)
        return _FAULT


def _print(line: str, to: TextIO | None = None) -> None:
    print(displayable(line, LONGEST_LINE), file=to or sys.stdout)


if __name__ == "__main__":
    sys.exit(main())
