# SPDX-License-Identifier: GPL-2.0-or-later
"""The parameters for trying a scheduler: those that won, else slices that fit. Pure."""

import math
import re
from collections.abc import Iterable, Mapping

from scheduler_library.learning.bandit import BanditObservation
from scheduler_library.learning.context import SUCH, Context, likeness
from scheduler_library.manifest import Parameter, ParameterType
from scheduler_library.parameters import Value
from scheduler_library.profile import Tag

# For slices: a workload with runs shorter than the first is brief, with runs longer than the
# second, long.
BRIEF_US = 2_000.0
LONG_US = 5_000.0
# A slice is a multiple of the mean run, so that most runs end by themselves, and stays within these
# factors of the default: a mean is not a distribution.
RUNS_A_SLICE = 4.0
SHORTEST_FACTOR, LONGEST_FACTOR = 0.25, 2.5
# The limit below which a run counts as brief is this factor above the mean run.
RUNS_A_LIMIT = 3.0
# Workloads that somebody waits for.
WAITED_FOR = {Tag.LATENCY_SENSITIVE, Tag.INTERACTIVE, Tag.SERVICE}
# Smaller relative changes are not worth a parameter.
LEAST_CHANGE = 0.25

_IN_US = {"ns": 0.001, "us": 1.0, "ms": 1_000.0, "s": 1_000_000.0}


def _rounded(value: float) -> float:
    """To two significant digits: a slice of 317.4 us would claim too much."""
    if value <= 0:
        return 0.0
    digits = 1 - math.floor(math.log10(value))
    return round(value, digits)


def _wanted_us(name: str, default_us: float, run_us: float) -> float:
    """The value of a parameter for runs of `run_us`, microseconds; the default if it fits, or if
    the parameter does not depend on runs.

    Brief workloads only ever get a shorter slice than the default (their neighbours give way
    sooner, and they still finish a run in one), long ones only a longer one.
    """
    if re.fullmatch(r"slice(_(ns|us|ms|s))?", name):
        wanted_us = RUNS_A_SLICE * run_us
        if run_us < BRIEF_US:
            return min(default_us, max(wanted_us, SHORTEST_FACTOR * default_us))
        if run_us > LONG_US:
            return max(default_us, min(wanted_us, LONGEST_FACTOR * default_us))
    if re.fullmatch(r"burst_limit(_(ns|us|ms|s))?", name) and run_us < BRIEF_US:
        return max(default_us, RUNS_A_LIMIT * run_us)
    return default_us


def _adapted(parameter: Parameter, run_us: float) -> Value | None:
    """A value that fits runs of `run_us`, or None if the default fits as well."""
    scale = _IN_US.get(parameter.unit.value)
    default = parameter.default
    if scale is None or isinstance(default, bool) or default <= 0:
        return None
    value = _rounded(_wanted_us(parameter.name, default * scale, run_us)) / scale
    value = min(max(value, parameter.min or 0.0), parameter.max or math.inf)
    if abs(value / default - 1) < LEAST_CHANGE:
        return None
    return round(value) if parameter.type is ParameterType.INT else value


def adapted_parameters(parameters: Iterable[Parameter], run_us: float) -> dict[str, Value]:
    """Small adaptations to a workload's measured run length.

    Args:
        run_us: the workload's mean uninterrupted run, microseconds; 0 if unknown.
    """
    if run_us <= 0:
        return {}
    found = {each.name: _adapted(each, run_us) for each in parameters}
    return {name: value for name, value in found.items() if value is not None}


def parameters_for(
    name: str,
    parameters: Iterable[Parameter],
    context: Context,
    observed: Iterable[BanditObservation],
) -> dict[str, Value]:
    """The parameters of the best kept outcome on such a workload, else adapted to its figures."""
    pool = tuple(parameters)
    kept = [
        each
        for each in observed
        if each.scheduler == name
        and each.kept
        and likeness(context, each.tags or (), each.figures, each.workload) >= SUCH
    ]
    known = {parameter.name for parameter in pool}
    for each in sorted(kept, key=lambda one: (-one.gain, -one.at)):
        if set(each.parameters) <= known:
            return dict(each.parameters)
    measured_us = run_us(context.figures)
    if WAITED_FOR & set(context.tags) and Tag.CUT_SHORT not in context.tags:
        # If somebody waits for answers no slice is made longer, however long the runs look, unless
        # its bursts are known to be cut in the middle.
        measured_us = min(measured_us, LONG_US)
    return adapted_parameters(pool, measured_us)


def run_us(figures: Mapping[str, float]) -> float:
    """How long the workload runs from sleep to sleep, microseconds; 0 if not measured.

    If bursts are known: half of its CPU time is in bursts of at least this length. A thread that
    only hands out work wakes as often as those that do it, and would halve the mean.
    """
    return figures.get("burst_half_us") or figures.get("mean_burst_us", 0.0)
