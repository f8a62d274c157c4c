"""Straps and cuffs without a radio, which a test controls in the time of its loop."""

from __future__ import annotations

import asyncio
import random
import struct
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from types import MappingProxyType

from edge_agent.core.clock import Instant
from edge_agent.core.errors import VitalsError, VitalsReason
from edge_agent.vitals import polar
from edge_agent.vitals.gatt import BATTERY_LEVEL
from edge_agent.vitals.sources import Link
from tests.support.clocks.simulated_time import simulated_now

AWAY = VitalsError(VitalsReason.NOT_FOUND, "It is not in reach.", "Wear it.")
NOT_POLAR = VitalsError(VitalsReason.UNSUPPORTED, "It is of another maker.", "Use it as it is.")
REFUSED = VitalsError(VitalsReason.CONNECTION_FAILED, "It does not answer.", "It is tried again.")


class ScriptedLink:
    """A connection that lasts until it is closed; ``say`` sends to who has subscribed."""

    def __init__(
        self,
        battery: bytes | VitalsError,
        features: bytes | None = None,
        refusal: int = 0,
        answers: Mapping[bytes, list[bytes]] = MappingProxyType({}),
    ) -> None:
        self.battery = battery
        self.refusal = refusal
        self.answers = answers
        self.closed = asyncio.Event()
        self.subscribed = asyncio.Event()
        self.battery_reads = 0
        self.features = features
        self.written: list[bytes] = []
        self._listeners: dict[str, Callable[[bytes], None]] = {}

    async def subscribe(self, characteristic: str, on_value: Callable[[bytes], None]) -> None:
        await asyncio.sleep(0.1)
        self._listeners[characteristic] = on_value
        self.subscribed.set()

    async def write(self, characteristic: str, value: bytes) -> None:
        assert characteristic == polar.CONTROL_POINT
        self.written.append(value)
        usual = bytes([polar.ANSWER, value[0], value[1], self.refusal, 0])
        answers = self.answers.get(value[:2], [usual])
        if answer := answers.pop(0) if len(answers) > 1 else answers[0]:
            self._listeners[characteristic](answer)

    async def read(self, characteristic: str) -> bytes:
        if characteristic == polar.CONTROL_POINT:
            if self.features is None:
                raise NOT_POLAR
            return self.features
        assert characteristic == BATTERY_LEVEL
        self.battery_reads += 1
        if isinstance(self.battery, VitalsError):
            raise self.battery
        return self.battery

    async def closed_within(self, seconds: float) -> bool:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.closed.wait()
        return self.closed.is_set()

    @property
    def hears(self) -> bool:
        """Whether what is said now arrives."""
        return self.subscribed.is_set() and not self.closed.is_set()

    def say(self, payload: bytes, characteristic: str | None = None) -> None:
        assert self.hears
        for uuid, listener in list(self._listeners.items()):
            if uuid == characteristic or (
                characteristic is None and uuid not in (polar.CONTROL_POINT, polar.DATA)
            ):
                listener(payload)


@dataclass
class ScriptedRadio:
    """Connects to one sensor, unless told otherwise.

    Attributes:
        features: what a Polar sensor answers to that question; ``None``: it is of another maker.
        refusal: the code by which it refuses its streams.
        answers: what it answers instead to requests that begin so, one after the other and the last
            again and again; empty: nothing.
        refusing: why it cannot connect now.
        attempts: when it was asked to, seconds since the start.
        links: the connections so far.
    """

    battery: bytes | VitalsError = b"\x57"
    features: bytes | None = None
    refusal: int = 0
    answers: dict[bytes, list[bytes]] = field(default_factory=dict)
    refusing: VitalsError | None = None
    attempts: list[float] = field(default_factory=list)
    links: list[ScriptedLink] = field(default_factory=list)

    @asynccontextmanager
    async def connect(self, address: str) -> AsyncIterator[Link]:
        self.attempts.append(asyncio.get_running_loop().time())
        await asyncio.sleep(0.2)
        if self.refusing is not None:
            raise self.refusing
        link = ScriptedLink(self.battery, self.features, self.refusal, self.answers)
        self.links.append(link)
        try:
            yield link
        finally:
            link.closed.set()


def heart_rate(rate: int, *intervals: float, contact: bool = True) -> bytes:
    """A Heart Rate Measurement with contact and RR intervals in seconds."""
    flags = 0x10 | (0x06 if contact else 0x04)
    return struct.pack(
        f"<BB{len(intervals)}H", flags, rate, *(round(1024 * value) for value in intervals)
    )


class DroppingStrap:
    """A strap that sends once a second, drops its connection and is out of reach at random.

    Args:
        radio: through which it is reached.
        seed: of what happens.

    Attributes:
        said: what it sent while somebody listened: when, and with which values.
        drops: how often it has dropped the connection.
    """

    def __init__(self, radio: ScriptedRadio, seed: int) -> None:
        self._radio = radio
        self._random = random.Random(seed)
        self.said: list[tuple[Instant, int, tuple[float, ...]]] = []
        self.drops = 0

    @property
    def _link(self) -> ScriptedLink | None:
        return self._radio.links[-1] if self._radio.links and self._radio.links[-1].hears else None

    async def speak(self) -> None:
        """Send for ever, at times nothing for some seconds, or two messages at once."""
        while True:
            await asyncio.sleep(self._random.uniform(0.7, 1.3))
            if self._random.random() < 0.005:
                await asyncio.sleep(self._random.uniform(5, 25))
            for _ in range(2 if self._random.random() < 0.02 else 1):
                if (link := self._link) is not None:
                    rate = self._random.randint(55, 120)
                    intervals = tuple(
                        self._random.randint(400, 1100) / 1024
                        for _ in range(self._random.randint(0, 3))
                    )
                    self.said.append((simulated_now(), rate, intervals))
                    link.say(heart_rate(rate, *intervals))

    async def drop(self, times: int) -> None:
        """Drop the connection so many times, each time after having had one for a random while."""
        for _ in range(times):
            while (link := self._link) is None:
                await asyncio.sleep(0.05)
            await asyncio.sleep(self._random.uniform(0, 40))
            if link.closed.is_set():  # the other side has given up first
                continue
            link.closed.set()
            self.drops += 1
            if self._random.random() < 0.4:
                self._radio.refusing = self._random.choice([AWAY, REFUSED])
                await asyncio.sleep(self._random.uniform(0.5, 30))
                self._radio.refusing = None
