"""Bluetooth straps and cuffs as a source of readings, and the search for them.

Loads ``bleak`` when it is needed.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial

from edge_agent.core.errors import VitalsError, VitalsReason
from edge_agent.core.gaps import Gap
from edge_agent.core.sensors import FoundSensor, SensorState
from edge_agent.core.worker import Worker
from edge_agent.vitals.base import Radio, Sink, VitalSource
from edge_agent.vitals.sensor import Sensor, SensorSession

log = logging.getLogger(__name__)


class BluetoothVitals(VitalSource):
    """Keeps all configured straps and cuffs connected, in one thread with an event loop.

    A sensor that is away, and Bluetooth that does not work, are tried again for ever, at most 15 s
    apart; what is wrong stands in ``states``.

    Args:
        sink: as in ``VitalSource``.
        on_gap: told of every silence of a strap longer than 10 s once it is over.
        sensors: what to connect to.
        open_radio: makes the radio, in the event loop that uses it.
        on_death: as in ``Worker``.

    Example:
        >>> strap = Sensor("AA:BB:CC:DD:EE:FF", SensorKind.HEART_RATE)
        >>> sensors = BluetoothVitals(recorder.submit, recorder.submit, [strap], BleakRadio)
        >>> sensors.start()
    """

    def __init__(
        self,
        sink: Sink,
        on_gap: Callable[[Gap], None],
        sensors: Sequence[Sensor],
        open_radio: Callable[[], Radio],
        on_death: Callable[[Worker, Exception], None] | None = None,
    ) -> None:
        super().__init__("bluetooth", sink, on_death)
        self._on_gap = on_gap
        self._sensors = sensors
        self._open_radio = open_radio
        self._sessions: tuple[SensorSession, ...] = ()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._halt = asyncio.Event()

    @property
    def states(self) -> tuple[SensorState, ...]:
        """How things stand with each sensor."""
        return tuple(session.state for session in self._sessions)

    def stop(self) -> None:
        """Ask the thread to say goodbye to the sensors and to end; returns at once."""
        super().stop()
        loop = self._loop
        if loop is not None:
            with suppress(RuntimeError):  # the loop has ended by itself
                loop.call_soon_threadsafe(self._halt.set)

    def work(self) -> None:
        """Keep the sensors connected until stopped."""
        asyncio.run(self._listen())

    async def _listen(self) -> None:
        self._loop = asyncio.get_running_loop()
        if self.stopping.is_set():
            return
        radio = self._open_radio()
        self._sessions = tuple(
            SensorSession(sensor, radio, self.emit, self._on_gap) for sensor in self._sensors
        )
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(session.run()) for session in self._sessions]
            await self._halt.wait()
            for task in tasks:
                task.cancel()


@contextmanager
def _needs_bleak() -> Iterator[None]:
    """Say what is missing when the import in the block fails."""
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name not in {"bleak", "dbus_fast"}:
            raise
        raise VitalsError(
            VitalsReason.BLEAK_MISSING,
            "The library for Bluetooth, bleak, is not installed.",
            "With pipx: pipx inject affect-edge bleak. Otherwise, where affect-edge is installed: "
            "pip install bleak.",
        ) from error


def radio_factory(adapter: str | None) -> Callable[[], Radio]:
    """Return what makes the radio; to be called in the event loop that uses it.

    Raises:
        VitalsError: ``bleak`` is not installed.
    """
    with _needs_bleak():
        from edge_agent.vitals.ble import BleakRadio
    return partial(BleakRadio, adapter)


def check_bluetooth(adapter: str | None) -> None:
    """Look whether Bluetooth can be used here.

    Raises:
        VitalsError: it cannot; the text says the cure.
    """
    with _needs_bleak():
        from edge_agent.vitals.ble import check
    asyncio.run(check(adapter))


def scan_sensors(seconds: float, adapter: str | None) -> list[FoundSensor]:
    """Return the straps and cuffs in reach after listening for so long; see ``ble.scan``.

    Raises:
        VitalsError: Bluetooth cannot be used.
    """
    with _needs_bleak():
        from edge_agent.vitals.ble import scan
    return asyncio.run(scan(seconds, adapter))
