"""The ECG of a Polar strap, as blocks of samples at our time."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from edge_agent.core.clock import Instant
from edge_agent.core.control.sender_clock import SenderClock
from edge_agent.core.sensors import ECG_HZ, EcgBlock
from edge_agent.vitals.polar import pmd

_NEARLY = 0.1
"""A rate that differs by a larger share is none: frames were lost in between."""


class Ecg:
    """Decodes the frames of an ECG, a listener of ``PolarService``.

    The strap stamps the last sample of each frame by its own clock. Its difference from ours is
    taken from the frames that came quickest, as with other senders; the samples before are as far
    apart as two frames' stamps say.

    Args:
        source: of the blocks.
        sink: called with each block.
    """

    measurement = pmd.ECG
    noun = "ECG"

    def __init__(self, source: str, sink: Callable[[EcgBlock], None]) -> None:
        self._source = source
        self._sink = sink
        self._clock = SenderClock()
        self._period_s = 1 / ECG_HZ
        self._newest_ns: int | None = None

    def begin(self, settings: Mapping[int, tuple[int, ...]], factor: float) -> None:
        """Begin anew: the strap's clock may have been set since."""
        del settings, factor  # there is one rate, and samples are whole microvolts
        self._clock = SenderClock()
        self._newest_ns = None

    def take(self, payload: bytes, at: Instant) -> None:
        """Take a frame that came at an instant.

        Raises:
            GattError: it is damaged.
        """
        stamp_ns, microvolts = pmd.decode_ecg(payload)
        if not microvolts:
            return
        if self._newest_ns is not None:
            period_s = (stamp_ns - self._newest_ns) / 1e9 / len(microvolts)
            if abs(period_s * ECG_HZ - 1) < _NEARLY:
                self._period_s = period_s
        self._newest_ns = stamp_ns
        ended = self._clock.instant(stamp_ns / 1e6, at)
        self._sink(EcgBlock(self._source, ended, self._period_s, microvolts))
