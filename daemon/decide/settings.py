# SPDX-License-Identifier: GPL-2.0-or-later
"""Settings of the daemon's judgement; the defaults are the documentation.

Each class is one table of the configuration file (`daemon/config.py`). Ratios are of
"worse" to "good": a `ratio_min` of 2 means twice as bad, whichever direction is better.
"""

from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class SettingsTable(BaseModel):
    """A table of the configuration: frozen, complete, and without unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class DetectSettings(SettingsTable):
    """When a workload counts as served worse than its baseline."""

    # An interval is bad if all of these hold for its response p99 (run-queue delay p99, if response
    # time is unknown).
    ratio_min: Annotated[float, Field(gt=1, le=100)] = 2.0
    z_min: Annotated[float, Field(ge=1, le=50)] = 4.0
    floor_us: Annotated[float, Field(ge=0, le=10_000_000)] = 2000.0
    # With fewer activations (delays) than this an interval says nothing: its p99 is its maximum.
    samples_min: Annotated[int, Field(ge=1, le=100_000)] = 30
    # A degradation is `bad_intervals` bad ones among the last `of_intervals`.
    bad_intervals: Annotated[int, Field(ge=1, le=64)] = 3
    of_intervals: Annotated[int, Field(ge=1, le=64)] = 5
    # It ends after this many calm intervals in a row. Calm means half way back, not merely below
    # the limit, so that a value at the limit does not flap.
    calm_intervals: Annotated[int, Field(ge=1, le=64)] = 4
    # Intervals until a baseline is trusted, and how many of the newest it is made of.
    baseline_min: Annotated[int, Field(ge=5, le=512)] = 12
    baseline_intervals: Annotated[int, Field(ge=5, le=512)] = 120
    # A degradation that has lasted this long becomes the new normal. 0: never.
    accept_after_s: Annotated[float, Field(ge=0, le=604_800)] = 3600.0
    # A workload not seen for this long is forgotten.
    forget_after_s: Annotated[float, Field(ge=10, le=604_800)] = 1800.0
    max_workloads: Annotated[int, Field(ge=1, le=4096)] = 512

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.bad_intervals > self.of_intervals:
            raise ValueError(
                f"bad_intervals ({self.bad_intervals}) cannot be more than "
                f"of_intervals ({self.of_intervals})"
            )
        if self.baseline_min > self.baseline_intervals:
            raise ValueError(
                f"baseline_min ({self.baseline_min}) cannot be more than "
                f"baseline_intervals ({self.baseline_intervals})"
            )
        return self


class Tolerances(SettingsTable):
    """How much worse each guarded metric may become in exchange for the objective.

    A fraction: 0.1 tolerates a tenth less, 2.0 tolerates three times the delay. The response time
    (the delay, if that is unknown) of other workloads gets room, because a scheduler that serves
    one workload first makes another wait longer on purpose; it may not take their CPU time.
    """

    machine_run_share: Annotated[float, Field(gt=0, le=1)] = 0.1
    others_run_share: Annotated[float, Field(gt=0, le=1)] = 0.2
    others_response_p99_us: Annotated[float, Field(gt=0, le=1000)] = 4.0
    others_delay_p99_us: Annotated[float, Field(gt=0, le=1000)] = 4.0
    own_throughput: Annotated[float, Field(gt=0, le=1)] = 0.1


class TrialSettings(SettingsTable):
    """How a candidate is compared with the current scheduler."""

    window_s: Annotated[float, Field(ge=0.5, le=600)] = 15.0
    # The discarded start of each window: the schedulers have just been changed.
    settle_s: Annotated[float, Field(ge=0, le=60)] = 2.0
    # Windows of both arms together; multiples of four are whole ABBA blocks.
    min_windows: Annotated[int, Field(ge=4, le=64)] = 8
    max_windows: Annotated[int, Field(ge=4, le=64)] = 16
    # A window with fewer samples than this is excluded and repeated.
    samples_min: Annotated[int, Field(ge=1, le=1_000_000)] = 50
    confidence: Annotated[float, Field(ge=0.8, le=0.999)] = 0.95
    # Kept only when better by at least this fraction.
    min_gain: Annotated[float, Field(ge=0, le=0.9)] = 0.05
    # Stop at once: windows this many times worse than every baseline window...
    harm_ratio: Annotated[float, Field(gt=1, le=100)] = 1.5
    # ...two intervals in a row this many times worse than the worst baseline window...
    catastrophe_ratio: Annotated[float, Field(gt=1, le=1000)] = 4.0
    # ...or any task of the machine waiting this long if the baseline never did.
    starved_us: Annotated[float, Field(ge=1000, le=30_000_000)] = 1_000_000.0
    # Others' response time or delay below this in both arms is too short to guard.
    others_floor_us: Annotated[float, Field(ge=1000, le=10_000_000)] = 10_000.0
    # The runner detaches by itself if the daemon has not renewed for this long.
    lease_s: Annotated[float, Field(ge=1, le=300)] = 10.0
    tolerance: Tolerances = Tolerances()

    def asked(self, window_s: float | None, max_windows: int | None) -> Self:
        """These settings for a trial whose client requested other windows."""
        span = self.window_s if window_s is None else window_s
        most = self.max_windows if max_windows is None else max_windows
        return self.model_copy(
            update={
                "window_s": span,
                # A short window keeps at least two thirds of itself.
                "settle_s": min(self.settle_s, span / 3),
                "max_windows": most,
                "min_windows": min(self.min_windows, most),
            }
        )

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.min_windows > self.max_windows:
            raise ValueError(
                f"min_windows ({self.min_windows}) cannot be more than "
                f"max_windows ({self.max_windows})"
            )
        if self.settle_s >= self.window_s:
            raise ValueError(
                f"settle_s ({self.settle_s:g}) leaves nothing of window_s ({self.window_s:g})"
            )
        return self


class GuardSettings(SettingsTable):
    """When a kept scheduler is rolled back."""

    # Worse than under itself before by this ratio, and worse than the default was.
    regression_ratio: Annotated[float, Field(gt=1, le=100)] = 1.5
    bad_intervals: Annotated[int, Field(ge=1, le=64)] = 4
    of_intervals: Annotated[int, Field(ge=1, le=64)] = 6
    # Another workload that waits this many times longer than under the default, and longer
    # by this much, counts as harmed.
    bystander_ratio: Annotated[float, Field(gt=1, le=1000)] = 8.0
    bystander_floor_us: Annotated[float, Field(ge=0, le=30_000_000)] = 100_000.0

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.bad_intervals > self.of_intervals:
            raise ValueError(
                f"bad_intervals ({self.bad_intervals}) cannot be more than "
                f"of_intervals ({self.of_intervals})"
            )
        return self


class LimitSettings(SettingsTable):
    """How often the daemon may try anything, and how long it pauses after trouble."""

    trials_per_hour: Annotated[int, Field(ge=1, le=1000)] = 12
    # After a verdict; doubled with each failure in a row, up to the maximum.
    cooldown_s: Annotated[float, Field(ge=0, le=86_400)] = 30.0
    cooldown_max_s: Annotated[float, Field(ge=0, le=604_800)] = 3600.0
    # After an ejection or a failed load; doubled each time for the same candidate.
    quarantine_s: Annotated[float, Field(ge=1, le=31_536_000)] = 86_400.0
    quarantine_max_s: Annotated[float, Field(ge=1, le=31_536_000)] = 2_592_000.0
    # After this many ejections within the time, the daemon only gives advice for the given time.
    ejections: Annotated[int, Field(ge=1, le=1000)] = 3
    ejections_within_s: Annotated[float, Field(ge=1, le=604_800)] = 3600.0
    advice_only_s: Annotated[float, Field(ge=1, le=31_536_000)] = 21_600.0

    @model_validator(mode="after")
    def _possible(self) -> Self:
        for low, high in (
            ("cooldown_s", "cooldown_max_s"),
            ("quarantine_s", "quarantine_max_s"),
        ):
            if getattr(self, low) > getattr(self, high):
                raise ValueError(
                    f"{low} ({getattr(self, low):g}) cannot be more than "
                    f"{high} ({getattr(self, high):g})"
                )
        return self
