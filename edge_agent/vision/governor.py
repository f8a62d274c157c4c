"""Limits the processor time of the vision chain by its budget and the processor's temperature."""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass

from edge_agent.core.texts import N_, Worded
from edge_agent.vision.reading_by_need import Effort

log = logging.getLogger(__name__)

WHOLE_S = 0.5
"""Seconds from one search of the whole frame to the next while every frame is read: a new face
waits half of it.
"""
WHOLE_FRAMES = 8
"""One of so many frames is searched as a whole when frames are skipped."""
SLOWEST_S = 0.5
"""Most seconds from one frame to the next, whatever the cost: with fewer frames, changes of an
expression are missed.
"""
COST_S = 2.0
"""Time constant with which the cost of a frame follows what is measured."""
# Raspberry Pi documentation, "Frequency management and thermal control": the processor lowers its
# clock from 80 °C on.
HEAT = ((70.0, 0.75), (74.0, 0.5), (78.0, 0.25))
"""Temperature in degrees Celsius, and the share of the budget that may be used from there on. At 80
a Raspberry Pi slows down everything; reading fewer frames earlier avoids that."""
COOLED = 2.0
"""Degrees by which the processor must cool below a step before the step is left."""
TELL_S = 5.0
"""Seconds that a decision must last before it is logged: short changes while the governor searches
its limit are of no interest.
"""
_SPARED = 2.5
"""Reading by need costs at most this many times as much as reading sparingly: 1.6 to 2.3 times the
processor time on made-up walks (training/RESULTS.md)."""
_SLACK = 1.1


class Limit(Worded):
    """The limit that keeps frames from being read."""

    BUDGET = "budget", N_("processor budget")
    HEAT = "heat", N_("heat")


@dataclass(frozen=True, slots=True)
class VisionPlan:
    """The pace and the effort that the vision chain may use.

    Attributes:
        frame_s: least time from one frame that is read to the next; 0 reads every frame.
        whole_s: time from one search of the whole frame to the next.
        limit: why frames are skipped; ``None``: none are.
        effort: how carefully faces are read when they are read by need.
    """

    frame_s: float = 0.0
    whole_s: float = WHOLE_S
    limit: Limit | None = None
    effort: Effort = Effort.BY_NEED


class Governor:
    """Keeps the vision chain within its share of the processor, and lowers it when that is hot.

    While the budget allows it, faces are read by need at the camera's rate. Beyond the budget they
    are read sparingly. If that is still too much, frames are skipped at even intervals, and the
    whole frame is searched less often in the same proportion. All methods but `set_temperature`
    belong to one thread.

    Args:
        budget: share of one core that may be used, above 0; 0.4 is 40 %.
        fps: frames per second that the camera is asked for.

    Attributes:
        plan: the plan for the next frames.
        cost_s: smoothed processor time of a frame, seconds.

    Example:
        A frame of 0.1 s, five times a second, fits into one core but not into a tenth of it:

        >>> generous, strict = Governor(budget=1.0, fps=5), Governor(budget=0.1, fps=5)
        >>> for second in range(20):
        ...     plans = [one.record_cost(0.1, float(second)) for one in (generous, strict)]
        >>> [plan.limit for plan in plans]
        [None, <Limit.BUDGET: 'budget'>]
    """

    def __init__(self, budget: float, fps: float) -> None:
        if not budget > 0 or not fps > 0:
            raise ValueError(f"budget {budget} and frames per second {fps} must be above 0")
        self.plan = self._told = VisionPlan()
        self._budget = budget
        self._period_s = 1.0 / fps
        self._heat = 0
        self._celsius: float | None = None
        self.cost_s = 0.0
        self._spent_at_s: float | None = None
        self._untold_since_s: float | None = None

    def set_temperature(self, celsius: float | None) -> None:
        """Set the temperature of the processor; ``None`` where it is not known.

        May be called from any thread.
        """
        self._celsius = celsius

    def record_cost(self, cpu_s: float, at_s: float) -> VisionPlan:
        """Record the cost of one frame, and return the plan for the next ones.

        Args:
            cpu_s: processor time of the frame, seconds.
            at_s: when it was done, boot clock.
        """
        if self._spent_at_s is not None:  # the first frame is not counted: libraries load
            # Weighted by elapsed time, not by frames: frames are skipped when the chain is limited.
            # expm1 keeps its precision for steps that are short beside the time constant.
            share = -math.expm1(-max(at_s - self._spent_at_s, 0.0) / COST_S)
            self.cost_s += share * (cpu_s - self.cost_s)
        self._spent_at_s = at_s
        self._heat = self._heat_step()
        self.plan = self._make_plan()
        self._tell_what_lasts(at_s)
        return self.plan

    def _heat_step(self) -> int:
        """Return the number of steps of `HEAT` in force; each lasts until the processor cooled."""
        celsius = self._celsius
        if celsius is None:
            return 0
        reached = sum(celsius >= limit for limit, _ in HEAT)
        held = sum(celsius > limit - COOLED for limit, _ in HEAT)
        return max(reached, min(held, self._heat))

    def _make_plan(self) -> VisionPlan:
        allowed = self._budget * (HEAT[self._heat - 1][1] if self._heat else 1.0)
        frame_s = self.cost_s / allowed
        # Once limited, stays so until the frames fit with room to spare: no flutter around the
        # limit.
        fits = frame_s <= self._period_s / (_SLACK if self.plan.limit else 1.0)
        effort = self._effort(fits, frame_s)
        if fits:
            return VisionPlan(effort=effort)
        frame_s = min(frame_s, max(SLOWEST_S, self._period_s))
        # Heat is the reason only if the full budget would have been enough.
        is_heat = self._heat > 0 and self.cost_s / self._budget <= self._period_s
        limit = Limit.HEAT if is_heat else Limit.BUDGET
        return VisionPlan(frame_s, max(WHOLE_S, WHOLE_FRAMES * frame_s), limit, effort)

    def _effort(self, fits: bool, frame_s: float) -> Effort:
        """Choose how carefully faces are read; go back to *by need* only when that fits too."""
        if not fits:
            return Effort.SPARING
        # Between "fits by need" and "fits sparingly" the present effort stays: no flutter here
        # either.
        if frame_s * _SPARED <= self._period_s:
            return Effort.BY_NEED
        return self.plan.effort

    def _tell_what_lasts(self, at_s: float) -> None:
        if not _differ(self.plan, self._told):
            self._untold_since_s = None
        elif self._untold_since_s is None:
            self._untold_since_s = at_s
        elif at_s - self._untold_since_s >= TELL_S:
            self._told = self.plan
            self._untold_since_s = None
            self._tell()

    def _tell(self) -> None:
        plan = self.plan
        percent = 100 * self._budget
        if plan.limit is None and plan.effort is Effort.SPARING:
            text = "faces are read sparingly, to keep to %.0f %% of one core (vision.cpu_budget)"
            log.info(text, percent)
        elif plan.limit is None:
            log.info("faces are read as often as they need it again")
        elif plan.limit is Limit.HEAT:
            text = "at most %.1f frames are read each second: the processor has %.0f °C"
            log.info(text, 1 / plan.frame_s, self._celsius)
        elif plan.frame_s * self._budget < 0.9 * self.cost_s:
            log.warning(
                "a frame takes %.0f ms of the processor: even %.1f a second are more than %.0f %% "
                "of one core (vision.cpu_budget). Choose the model expression-fast, or allow more.",
                1000 * self.cost_s,
                1 / plan.frame_s,
                percent,
            )
        else:
            log.info(
                "at most %.1f frames are read each second, to keep to %.0f %% of one core "
                "(vision.cpu_budget)",
                1 / plan.frame_s,
                percent,
            )


def _differ(plan: VisionPlan, told: VisionPlan) -> bool:
    """Return whether a change is worth logging: another reason, or a rate that changed by half."""
    if plan.limit is not told.limit or plan.effort is not told.effort:
        return True
    return plan.limit is not None and not 2 / 3 <= plan.frame_s / told.frame_s <= 3 / 2
