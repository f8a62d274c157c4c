"""Whether who wears a Polar strap moves: from its accelerometer, beside its heart rate.

The measure is the mean amplitude deviation (MAD) of the length of the acceleration, in thousandths
of g, over the last five seconds: the mean distance from its mean. 91 mg separates light from
moderate activity, such as walking (Vähä-Ypyä et al. 2015, PLoS ONE 10:e0134813, worn on the hip).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from math import hypot

from edge_agent.core.clock import Instant
from edge_agent.vitals.polar import pmd

WINDOW_S = 5.0
MODERATE_MG = 91.0
_LEAST_SHARE = 0.5
_FRESH_S = 5.0  # frames come every 1 to 2 s


class Movement:
    """Judges what the accelerometer of a strap sends, a listener of ``PolarService``.

    Example:
        >>> movement = Movement()
        >>> await PolarService("ble:A0:9E:1A:00:00:01", [movement]).start(link, clock.now)
        >>> movement.is_strong(clock.now())
        False
    """

    measurement = pmd.ACCELERATION
    noun = "accelerometer"

    def __init__(self) -> None:
        self._rate = 25
        self._factor = 1.0
        self._lengths: deque[float] = deque()
        self._newest: Instant | None = None

    def begin(self, settings: Mapping[int, tuple[int, ...]], factor: float) -> None:
        """Note the rate at which it was started; what was before is forgotten."""
        self._lengths.clear()
        self._rate = min(settings.get(0, (self._rate,)))
        self._factor = factor

    def take(self, payload: bytes, at: Instant) -> None:
        """Take a frame.

        Raises:
            GattError: it is damaged.
        """
        samples = pmd.decode_acceleration(payload, self._factor)
        if self._newest is not None and at.seconds_since(self._newest) > _FRESH_S:
            self._lengths.clear()
        self._newest = at
        self._lengths.extend(hypot(*sample) for sample in samples)
        while len(self._lengths) > self._rate * WINDOW_S:
            self._lengths.popleft()

    @property
    def deviation_mg(self) -> float:
        """The mean amplitude deviation of the last five seconds, thousandths of g."""
        if not self._lengths:
            return 0.0
        mean = sum(self._lengths) / len(self._lengths)
        return sum(abs(length - mean) for length in self._lengths) / len(self._lengths)

    def is_strong(self, at: Instant) -> bool:
        """Tell whether the wearer moves at least as in walking; no where nothing fresh is known."""
        if self._newest is None or at.seconds_since(self._newest) > _FRESH_S:
            return False
        if len(self._lengths) < _LEAST_SHARE * WINDOW_S * self._rate:
            return False
        return self.deviation_mg >= MODERATE_MG
