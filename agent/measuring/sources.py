# SPDX-License-Identifier: GPL-2.0-or-later
"""Creates the reader for a `[[measure]]`."""

from pathlib import Path

from agent.measuring import access_logs, mangohud, postgres, redis
from agent.measuring.command import CommandOutput
from agent.measuring.lines import LineSamples, Parse, lines_of
from agent.measuring.measure import MeasureEntry
from agent.measuring.pattern import Pattern
from agent.measuring.query import QueryAnswer
from agent.measuring.reading import MeasurementSource
from agent.measuring.scrape import ScrapedMetric
from agent.measuring.statsd import StatsDSamples
from agent.measuring.table import Lines, Take
from agent.measuring.tail import Tail, follow
from agent.measuring.uprobe import AskForCalls, CallTimes


def source_of(measure: MeasureEntry, ask: AskForCalls | None = None) -> MeasurementSource:
    """The reader, not opened yet. `ask` requests call counts from the daemon."""
    where = f"measure {measure.name!r}"
    unit, timeout_s, take = measure.unit, measure.timeout_s, measure.taken
    if measure.command is not None:
        where += f", command {measure.command[0]!r}"
        return CommandOutput(measure.command, timeout_s, unit, where)
    if measure.prometheus is not None:
        where += f", {measure.prometheus.url}"
        return QueryAnswer(measure.prometheus, timeout_s, unit, where)
    assert take is not None
    if measure.statsd is not None:
        return StatsDSamples(measure.statsd, take, unit)
    if measure.scrape is not None:
        return ScrapedMetric(measure.scrape, take, unit, timeout_s)
    if measure.postgres is not None:
        made = unit or postgres.UNIT
        return postgres.PostgresCounts(measure.postgres, take, made, timeout_s)
    if measure.redis is not None:
        return redis.RedisCounts(measure.redis, take, unit or redis.UNIT, timeout_s)
    calls = measure.uprobe or measure.usdt
    if calls is not None:
        return CallTimes(calls.points, take, measure.interval_s, ask)
    return _line_samples(measure, take, where)


def _line_samples(measure: MeasureEntry, take: Take, where: str) -> LineSamples:
    unit = measure.unit
    place: Lines
    parse: Parse
    if measure.mangohud is not None:
        folder = Path(measure.mangohud.folder)
        return LineSamples(
            f"{where}, {folder}",
            lambda: follow(Tail(lambda: mangohud.newest(folder))),
            mangohud.frame_times(),
            take,
            unit or mangohud.UNIT,
            "none has a frame time",
        )
    if measure.journal is not None:
        place = Lines(unit=measure.journal.unit)
        parse, said = Pattern(measure.journal.pattern).number, "the pattern matches none"
    elif measure.log is not None:
        place = Lines(log=measure.log.file)
        parse, said = Pattern(measure.log.pattern).number, "the pattern matches none"
    elif measure.nginx is not None:
        place, parse = measure.nginx, access_logs.nginx(measure.nginx)
        said = "none has a request time (put rt=$request_time into the log_format)"
        unit = unit or access_logs.UNIT
    else:
        assert measure.haproxy is not None
        place, parse = measure.haproxy, access_logs.haproxy(measure.haproxy)
        said = "none is of `option httplog` with this timer"
        unit = unit or access_logs.UNIT
    return LineSamples(
        f"{where}, {place.unit or place.log}", lambda: lines_of(place), parse, take, unit, said
    )
