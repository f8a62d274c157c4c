"""Whether who wears a Polar strap moves: from its accelerometer, beside its heart rate.

The measure is the mean amplitude deviation (MAD) of the length of the acceleration, in thousandths
of g, over the last five seconds: the mean distance from its mean. 91 mg separates light from
moderate activity, such as walking (Vähä-Ypyä et al. 2015, PLoS ONE 10:e0134813, worn on the hip).
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from math import hypot

from edge_agent.core.clock import Instant
from edge_agent.core.errors import GattError, VitalsError, VitalsReason
from edge_agent.vitals.base import Link
from edge_agent.vitals.polar import pmd

log = logging.getLogger(__name__)

WINDOW_S = 5.0
MODERATE_MG = 91.0
ANSWER_S = 5.0
Clock = Callable[[], Instant]
_LEAST_SHARE = 0.5
_FRESH_S = 5.0  # frames come every 1 to 2 s


class Movement:
    """Starts the accelerometer of a strap and judges what it sends.

    Args:
        source: name of the strap, for the log.

    Example:
        >>> movement = Movement("ble:A0:9E:1A:00:00:01")
        >>> await movement.start(link)
        >>> movement.is_strong(clock.now())
        False
    """

    def __init__(self, source: str) -> None:
        self._source = source
        self._rate = 25
        self._factor = 1.0
        self._lengths: deque[float] = deque()
        self._newest: Instant | None = None
        self._answer: asyncio.Future[pmd.Answer] | None = None
        self._refusing = False

    async def start(self, link: Link, now: Clock) -> None:
        """Have a strap send its acceleration; one that has no accelerometer goes on without.

        Raises:
            VitalsError: the connection fails.
        """
        self._lengths.clear()
        try:
            await link.subscribe(pmd.CONTROL_POINT, self._take_answer)
            await link.subscribe(pmd.DATA, lambda payload: self.take(payload, now()))
        except VitalsError as error:
            if error.reason is not VitalsReason.UNSUPPORTED:
                raise
            log.warning("%s has no accelerometer that is known: movement is not told", self._source)
            return
        offered = await self._ask(link, pmd.settings_command(pmd.ACCELERATION))
        if offered is None:
            return
        started = await self._ask(link, pmd.start_command(pmd.ACCELERATION, offered.settings))
        if started is not None:
            self._rate = min(offered.settings.get(0, (self._rate,)))
            self._factor = started.factor
            log.info("%s tells movement", self._source)

    async def _ask(self, link: Link, command: bytes) -> pmd.Answer | None:
        """Send a command; return the answer, ``None`` where it is refused or does not come."""
        self._answer = asyncio.get_running_loop().create_future()
        await link.write(pmd.CONTROL_POINT, command)
        try:
            async with asyncio.timeout(ANSWER_S):
                answer = await self._answer
        except TimeoutError:
            log.warning("%s: its accelerometer does not answer", self._source)
            return None
        if answer.status not in {0, pmd.ALREADY_STARTED}:
            log.warning("%s: its accelerometer refuses (%s)", self._source, answer.problem)
            return None
        return answer

    def _take_answer(self, payload: bytes) -> None:
        try:
            answer = pmd.decode_answer(payload)
        except GattError as error:
            log.warning("%s: %s %s", self._source, error.characteristic, error.problem)
            return
        if answer is not None and self._answer is not None and not self._answer.done():
            self._answer.set_result(answer)

    def take(self, payload: bytes, at: Instant) -> None:
        """Take a frame; one that is damaged is passed over, and said once."""
        try:
            samples = pmd.decode_acceleration(payload, self._factor)
        except GattError as error:
            if not self._refusing:
                log.warning("%s: %s %s", self._source, error.characteristic, error.problem)
            self._refusing = True
            return
        self._refusing = False
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
