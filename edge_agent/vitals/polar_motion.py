r"""Motion of the wearer of a Polar sensor: the mean amplitude deviation of its acceleration.

That is the mean of \|r - mean r\|, of the length r of the acceleration at each sample, over epochs
of about five seconds (Vähä-Ypyä et al. 2015, Clin Physiol Funct Imaging 35:64-70; Aittasalo et al.
2015, BMC Sports Sci Med Rehabil 7:18). Gravity and the position of the sensor are in the mean and
so not in the deviation. The acceleration itself is not kept.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from edge_agent.core.clock import Instant
from edge_agent.vitals import polar
from edge_agent.vitals.polar import PolarFrame
from edge_agent.vitals.polar_beats import SensorClock, most_late_s

EPOCH_S = 5.0
"""Length of what one value is of."""


@dataclass(frozen=True, slots=True)
class EpochMotion:
    """The motion of one epoch.

    Attributes:
        ended: when its last sample was measured.
        deviation_mg: mean amplitude deviation.
    """

    ended: Instant
    deviation_mg: float


def deviation(lengths: Sequence[float]) -> float:
    """Return the mean absolute deviation of some numbers from their mean.

    Example:
        >>> deviation([900.0, 1100.0, 900.0, 1100.0])
        100.0
    """
    mean = math.fsum(lengths) / len(lengths)
    return math.fsum(abs(one - mean) for one in lengths) / len(lengths)


class MotionMeter:
    """Makes values of the frames of one connection; none reaches over a lost frame.

    Args:
        hz: nominal rate of the samples.
        factor: that the sensor has stated; ``None``: none.
    """

    def __init__(self, hz: float, factor: float | None) -> None:
        self._hz = hz
        self._factor = factor
        self._epoch = max(1, round(EPOCH_S * hz))
        self._clock = SensorClock()
        self._lengths: list[float] = []
        self._ended_s = 0.0

    def add(self, frame: PolarFrame, at: Instant) -> list[EpochMotion]:
        """Return the epochs that end with a frame that arrived now.

        Raises:
            GattError: it violates the protocol.
        """
        samples = polar.decode_acceleration(frame, self._factor)
        if not samples:
            return []
        nominal_s = len(samples) / self._hz
        end_s = self._ended_s + nominal_s if frame.time_s is None else frame.time_s
        late_s = end_s - self._ended_s - nominal_s
        if abs(late_s) > most_late_s(nominal_s, self._hz):
            self._lengths = []
            if late_s < -nominal_s:  # the sensor's clock was set back
                self._clock = SensorClock()
        self._ended_s = end_s
        self._clock.hear(end_s, at)
        self._lengths += (math.hypot(*sample) for sample in samples)
        whole: list[EpochMotion] = []
        while len(self._lengths) >= self._epoch:
            epoch, self._lengths = self._lengths[: self._epoch], self._lengths[self._epoch :]
            ended = self._clock.instant(end_s - len(self._lengths) / self._hz, at)
            whole.append(EpochMotion(ended, round(deviation(epoch), 1)))
        return whole
