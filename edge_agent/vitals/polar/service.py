"""Starts what is wanted of a Polar strap's own service, beside its heart rate, and hands it on."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from edge_agent.core.clock import Instant
from edge_agent.core.errors import GattError, VitalsError, VitalsReason
from edge_agent.vitals.base import Link
from edge_agent.vitals.polar import pmd

log = logging.getLogger(__name__)

ANSWER_S = 5.0
Clock = Callable[[], Instant]


class Listener(Protocol):
    """Takes the frames of one measurement of the service.

    Attributes:
        measurement: its number in Polar's specification.
        noun: its name in the log.
    """

    measurement: int
    noun: str

    def begin(self, settings: Mapping[int, tuple[int, ...]], factor: float) -> None:
        """Note that it was started: what the strap offered, and ``Answer.factor``."""
        ...

    def take(self, payload: bytes, at: Instant) -> None:
        """Take a frame of it.

        Raises:
            GattError: it is damaged.
        """
        ...


class PolarService:
    """Has a strap send measurements, and hands each frame to the listener of its measurement.

    Args:
        source: name of the strap, for the log.
        listeners: one for each measurement that is wanted.

    Example:
        >>> service = PolarService("ble:A0:9E:1A:00:00:01", [Movement()])
        >>> await service.start(link, clock.now)
    """

    def __init__(self, source: str, listeners: Sequence[Listener]) -> None:
        self._source = source
        self._listeners = {listener.measurement: listener for listener in listeners}
        self._answer: asyncio.Future[pmd.Answer] | None = None
        self._refusing = False

    async def start(self, link: Link, now: Clock) -> None:
        """Start every measurement; a strap that lacks one, or all, goes on without.

        Raises:
            VitalsError: the connection fails.
        """
        nouns = " and ".join(listener.noun for listener in self._listeners.values())
        try:
            await link.subscribe(pmd.CONTROL_POINT, self._take_answer)
            await link.subscribe(pmd.DATA, lambda payload: self.take(payload, now()))
        except VitalsError as error:
            if error.reason is not VitalsReason.UNSUPPORTED:
                raise
            log.warning("%s has no %s that is known; it goes on without", self._source, nouns)
            return
        for listener in self._listeners.values():
            await self._start(link, listener)

    async def _start(self, link: Link, listener: Listener) -> None:
        noun, measurement = listener.noun, listener.measurement
        offered = await self._ask(link, pmd.settings_command(measurement), noun)
        if offered is None:
            return
        started = await self._ask(link, pmd.start_command(measurement, offered.settings), noun)
        if started is not None:
            listener.begin(offered.settings, started.factor)
            log.info("%s: its %s has started", self._source, noun)

    async def _ask(self, link: Link, command: bytes, noun: str) -> pmd.Answer | None:
        """Send a command; return the answer, ``None`` where it is refused or does not come."""
        self._answer = asyncio.get_running_loop().create_future()
        await link.write(pmd.CONTROL_POINT, command)
        try:
            async with asyncio.timeout(ANSWER_S):
                answer = await self._answer
        except TimeoutError:
            log.warning("%s: its %s does not answer", self._source, noun)
            return None
        if answer.status not in {0, pmd.ALREADY_STARTED}:
            log.warning("%s: its %s refuses (%s)", self._source, noun, answer.problem)
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
        """Hand a frame on; one that is damaged is passed over, and said once."""
        listener = self._listeners.get(payload[0] if payload else -1)
        if listener is None:
            return
        try:
            listener.take(payload, at)
        except GattError as error:
            if not self._refusing:
                log.warning("%s: %s %s", self._source, error.characteristic, error.problem)
            self._refusing = True
            return
        self._refusing = False
