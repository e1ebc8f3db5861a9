# SPDX-License-Identifier: GPL-2.0-or-later
"""Whether a candidate may run on a machine that uses resource controls: weights, quotas, idle
groups of cgroups.

The kernel's own scheduler honours them. Under another one each of them works only if that one has
the callback for it, so a candidate without it would silently take away what the operator set up.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from bpf.kernel.controls import ControlsInUse, ResourceControl, usage_words, without_callback
from daemon.api.models import GateMessage

# The key of the operator's configuration.
ALLOW = "allow_ignoring"


@dataclass(frozen=True, slots=True)
class DeclaredControls:
    """What a candidate says of itself. `callbacks` are those that it sets, None if nobody knows.

    `switched_off`: controls for which it has the callback, but which it honours only with an
    option, that it was not given.
    """

    callbacks: frozenset[str] | None
    switched_off: Mapping[ResourceControl, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class MachineControls:
    """What the machine uses, and the callbacks that its kernel knows: None or empty if that
    is not known.

    `can_load` is False if its kernel has no sched_ext, so that nothing can be lost.
    """

    in_use: ControlsInUse
    kernel: frozenset[str] | None
    can_load: bool = True


@dataclass(frozen=True, slots=True)
class ControlsJudgement:
    """`ignored` are the controls that the machine uses and the candidate does not honour."""

    passed: bool
    messages: tuple[GateMessage, ...]
    ignored: tuple[ResourceControl, ...] = ()


def judge(
    machine: MachineControls,
    candidate: DeclaredControls,
    allowed: frozenset[ResourceControl] = frozenset(),
) -> ControlsJudgement:
    """Judge a candidate by what the machine uses and the operator allows it to ignore."""
    in_use = machine.in_use
    if in_use.unread:
        said = f"which resource controls this machine uses is not known: {in_use.unread}"
        return ControlsJudgement(True, (GateMessage(severity="warning", message=said),))
    ignored: list[ResourceControl] = []
    messages: list[GateMessage] = []
    for control in in_use.used:
        why = _ignores(control, machine, candidate)
        if why is None:
            messages.append(_honoured(control, in_use, candidate))
            continue
        ignored.append(control)
        accepted = control in allowed or not machine.can_load
        messages.append(_ignored(control, in_use, why, allowed, accepted=accepted))
    messages += _remarks(in_use, candidate)
    passed = not any(each.severity == "error" for each in messages)
    return ControlsJudgement(passed, tuple(messages), tuple(ignored))


@dataclass(frozen=True, slots=True)
class _Cause:
    """Why a control is not honoured. `clause` ends the sentence that begins with who uses it."""

    clause: str
    cause: str
    fix: str


def _ignores(
    control: ResourceControl, machine: MachineControls, candidate: DeclaredControls
) -> _Cause | None:
    if machine.kernel and (why := without_callback(control, machine.kernel)):
        return _Cause("no scheduler can honour it on this kernel", why, "boot another kernel")
    if candidate.callbacks is None:
        return None
    if control.callback not in candidate.callbacks:
        return _Cause(
            "this scheduler ignores it",
            f"it has no callback {control.callback}, so under it {control} has no effect",
            f"try one that has {control.callback}",
        )
    if option := candidate.switched_off.get(control):
        return _Cause(
            f"this scheduler ignores it without --{option}",
            f"it honours {control} only with that option",
            f"set {option}=true",
        )
    return None


def _ignored(
    control: ResourceControl,
    in_use: ControlsInUse,
    why: _Cause,
    allowed: frozenset[ResourceControl],
    *,
    accepted: bool,
) -> GateMessage:
    said = f"{usage_words(control, in_use.of(control))}; {why.clause}"
    if accepted:
        reason = (
            f"the configuration allows that ({ALLOW})"
            if control in allowed
            else "nothing can be loaded here, as this kernel has no sched_ext"
        )
        return GateMessage(severity="warning", message=f"{said}; {reason}", cause=why.cause)
    # The whole line to write, with what stands in it now.
    values = ", ".join(f'"{each}"' for each in ResourceControl if each in {*allowed, control})
    return GateMessage(
        severity="error",
        message=said,
        cause=why.cause,
        fix=f"{why.fix}, or accept the loss: {ALLOW} = [{values}] under [gates] in schedpilot.toml",
    )


def _honoured(
    control: ResourceControl, in_use: ControlsInUse, candidate: DeclaredControls
) -> GateMessage:
    said = usage_words(control, in_use.of(control))
    if candidate.callbacks is None:
        watched = "; the guard compares usage with quota" if control is ResourceControl.MAX else ""
        return GateMessage(
            severity="warning",
            message=f"{said}; whether this scheduler honours it is not known{watched}",
            cause="no scheduler of sched_ext could be read from its program",
        )
    return GateMessage(
        severity="note", message=f"{said}; this scheduler has {control.callback} for it"
    )


def _remarks(in_use: ControlsInUse, candidate: DeclaredControls) -> list[GateMessage]:
    said = []
    if not in_use.used:
        said.append("no cgroup of this machine has a weight or a quota, and none is idle")
    blind = (
        candidate.callbacks is not None
        and ResourceControl.WEIGHT.callback not in candidate.callbacks
    )
    if blind and in_use.groups > 1:
        said.append(
            f"{in_use.groups} cgroups here have the CPU controller: under the kernel's own "
            "scheduler those of one parent share the CPUs, under this one their tasks compete one "
            "by one"
        )
    if not in_use.complete:
        said.append("this machine has more cgroups than were read: the rest may use others")
    return [GateMessage(severity="note", message=each) for each in said]
