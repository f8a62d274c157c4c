"""Bluetooth straps and cuffs as a source of readings, each kept connected, and the search for them.

A silence becomes a gap. This module does not depend on the Bluetooth library, which is loaded only
when needed: a ``Radio`` makes connections, and a ``Link`` is one connection.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from edge_agent.core import clock
from edge_agent.core.clock import Instant
from edge_agent.core.electrocardiogram import EcgStretch
from edge_agent.core.errors import GattError, VitalsError, VitalsReason
from edge_agent.core.pauses import Pauses, doubling
from edge_agent.core.process import Later
from edge_agent.core.readings import Gap
from edge_agent.core.vitals import FoundSensor, SensorKind, SensorState
from edge_agent.vitals import gatt, polar
from edge_agent.vitals.polar_beats import BeatChoice, EcgKeeper
from edge_agent.vitals.polar_motion import MotionMeter
from edge_agent.vitals.profiles import (
    PROFILES,
    Decode,
    Measurement,
    SensorReadings,
    read_motion,
    read_polar,
)
from edge_agent.vitals.sources import Link, Radio, Sink, VitalSource

if TYPE_CHECKING:
    import asyncio
else:
    asyncio = Later("asyncio")  # an agent without Bluetooth sensors does without

log = logging.getLogger(__name__)
Record = Callable[[Gap | EcgStretch], None]
"""Is given what is recorded beside readings."""

SILENCE_S = 10.0
STALL_S = 60.0  # a connection on which nothing comes for this long is made anew
WATCH_S = 20.0
BATTERY_S = 600.0
ANSWER_S = 5.0
"""Seconds for which the answer to a request of Polar's protocol is awaited."""
# a cuff is in reach for some 30 s after a measurement: never wait longer
PAUSES_S = doubling(1.0, 15.0)
_CONTACT = {True: "made", False: "lost", None: "not told"}


@dataclass(frozen=True, slots=True)
class Sensor:
    """A configured strap or cuff.

    Attributes:
        address: Bluetooth address.
        kind: kind of sensor.
        keeps_ecg: whether its electrocardiogram is recorded, and not only its beats.
        measures_motion: whether its acceleration is asked for, too.
    """

    address: str
    kind: SensorKind
    keeps_ecg: bool = False
    measures_motion: bool = False

    @property
    def source(self) -> str:
        """Name of the source of its readings and gaps."""
        return f"ble:{self.address}"


class Silence:
    """Measures the silence of a sensor; one longer than ``SILENCE_S`` becomes a gap when it ends.

    Args:
        source: of the gaps.
        since: when listening begins.
        on_gap: called with each gap.
    """

    def __init__(self, source: str, since: Instant, on_gap: Callable[[Gap], None]) -> None:
        self._source = source
        self._since = since
        self._on_gap = on_gap
        self._connected = False
        self._was_away = True

    def seconds(self, at: Instant) -> float:
        """Return the length of the silence so far."""
        return at.seconds_since(self._since)

    def connection(self, connected: bool) -> None:
        """Record that the connection begins or ends, which decides the reason of the gap."""
        self._connected = connected
        # Away at any time of the silence: then that is the reason, whatever came after it.
        self._was_away = self._was_away or not connected

    def end(self, at: Instant) -> None:
        """Record that a message came, or that listening ends."""
        if self.seconds(at) > SILENCE_S:
            reason = "disconnected" if self._was_away else "silent"
            self._on_gap(Gap(self._source, self._since, at, reason))
        self._since = at
        # From here on, the connection of now counts.
        self._was_away = not self._connected


class SensorSession:
    """Connects to a sensor, listens, and connects again, for as long as it runs.

    Args:
        sensor: the sensor.
        radio: makes the connection.
        sink: called with every reading.
        record: called with every silence longer than 10 s of a sensor that sends continuously (a
            strap, a worn oximeter; a cuff is silent until somebody measures), and with every
            stretch of an electrocardiogram that is kept.
        now: returns the time.
    """

    def __init__(
        self,
        sensor: Sensor,
        radio: Radio,
        sink: Sink,
        record: Record,
        now: Callable[[], Instant] = clock.now,
    ) -> None:
        self._sensor = sensor
        self._radio = radio
        self._sink = sink
        self._now = now
        self._record = record
        self._profile = PROFILES[sensor.kind]
        self._streams = self._profile.always_streams
        self._silence = Silence(sensor.source, now(), self._tell_gap)
        self._readings = SensorReadings(sensor.source)
        self._pauses = Pauses(PAUSES_S)
        self._refused: set[Decode] = set()
        self._asked: set[int] = set()
        self._answers: dict[tuple[int, int], asyncio.Future[bytes]] = {}
        self.state = SensorState(sensor.source, sensor.kind)

    async def run(self) -> None:
        """Keep the sensor connected until cancelled."""
        try:
            while True:
                await self._listen_once()
                # Each message begins the pauses anew: a sensor that only lost its connection is
                # tried again after a second.
                await asyncio.sleep(self._pauses.after_failure())
        finally:
            self._silence.end(self._now())

    async def _listen_once(self) -> None:
        """Connect and listen until the connection ends, or record why there is none."""
        try:
            async with self._radio.connect(self._sensor.address) as link:
                connected = self._now()
                await self._ask_site(link)
                await self._subscribe(link)
                offered = await self._begin_polar(link)
                self._silence.connection(True)
                self.state = replace(self.state, connected=True, problem=None, reason=None)
                log.info("%s is connected", self._sensor.source)
                await self._begin_motion(link, offered)
                await self._watch(link, connected)
            log.info("%s has gone", self._sensor.source)
        except VitalsError as error:
            self._report_failure(error)
        finally:
            self._end_choice()
            self._readings.motion = None
            self._silence.connection(False)
            self.state = replace(self.state, connected=False, contact=None)

    async def _ask_site(self, link: Link) -> None:
        """Read the site of a thermometer before its first message.

        A thermometer need not have it; a site from an earlier connection stays valid.
        """
        if self._profile.site is None:
            return
        try:
            site = gatt.decode_temperature_type(await link.read(self._profile.site))
        except (VitalsError, GattError) as error:
            log.debug("%s does not tell where it measures: %s", self._sensor.source, error)
            return
        self._readings.site = site

    async def _subscribe(self, link: Link) -> None:
        """Listen to every measurement that the sensor has.

        Raises:
            VitalsError: it has none of its kind, or the connection fails.
        """
        subscribed: list[Measurement] = []
        refusal: VitalsError | None = None
        for measurement in self._profile.measurements:
            take = partial(self._read_notification, measurement.decode)
            try:
                await link.subscribe(measurement.characteristic, take)
            except VitalsError as error:
                if error.reason is not VitalsReason.UNSUPPORTED:
                    raise
                refusal = error
            else:
                subscribed.append(measurement)
        # One of several measurements is enough: an oximeter may offer only one of the two.
        if refusal is not None and not subscribed:
            raise refusal
        # Only what was subscribed to can be silent.
        self._streams = any(measurement.stream for measurement in subscribed)

    async def _begin_polar(self, link: Link) -> frozenset[polar.PolarMeasurement]:
        """Ask a strap or armband with Polar's protocol for its beats; others stay as they are.

        Returns:
            The streams that it has.
        """
        offered: frozenset[polar.PolarMeasurement] = frozenset()
        if self._sensor.kind is not SensorKind.HEART_RATE:
            return offered
        try:
            offered = polar.streams_of(await link.read(polar.CONTROL_POINT))
            streams = {one for one in offered if one.is_of_beats}
            if polar.PolarMeasurement.ECG not in streams:
                self._miss_ecg("it has none")
            if not offered:
                return offered
            await link.subscribe(polar.CONTROL_POINT, self._read_answer)
            if streams:
                self._readings.choice = BeatChoice()
            if self._sensor.keeps_ecg:
                self._readings.keeper = EcgKeeper(self._sensor.source)
            self._asked = set(streams)
            await link.subscribe(polar.DATA, self._read_polar)
            for stream in sorted(streams):
                await link.write(polar.CONTROL_POINT, polar.start_request(stream))
        except (VitalsError, GattError) as error:
            self._end_choice()
            self._miss_ecg(str(error))
            is_other = isinstance(error, VitalsError) and error.reason is VitalsReason.UNSUPPORTED
            if not is_other:
                log.info("%s: its heart-rate service is used alone: %s", self._sensor.source, error)
        return offered

    async def _begin_motion(self, link: Link, offered: frozenset[polar.PolarMeasurement]) -> None:
        """Start the acceleration where it is asked for; without it, everything else goes on."""
        if not self._sensor.measures_motion:
            return
        reason = "it has no accelerometer"
        if polar.PolarMeasurement.ACC in offered:
            try:
                self._readings.motion = await self._started_acceleration(link)
            except TimeoutError:
                reason = "it does not answer"
            except GattError as error:
                reason = f"it {error.problem}"
            except VitalsError as error:
                reason = str(error)
            else:
                return
        text = "%s: body_motion is on, but no motion is recorded: %s"
        log.warning(text, self._sensor.source, reason)

    async def _started_acceleration(self, link: Link) -> MotionMeter:
        """Start the acceleration with the settings that fit best.

        Raises:
            TimeoutError: the sensor does not answer.
            VitalsError: the connection fails.
            GattError: it refuses, or its answer cannot be read.
        """
        of_it = polar.PolarMeasurement.ACC
        answer = await self._ask(link, bytes([polar.SETTINGS, of_it]))
        chosen = polar.chosen_settings(polar.settings_of(polar.success_of(answer)))
        request = polar.acceleration_request(chosen)
        answer = await self._ask(link, request)
        if polar.code_of(answer) == polar.ALREADY_RUNNING:  # with settings that nobody knows
            await self._ask(link, bytes([polar.STOP, of_it]))
            answer = await self._ask(link, request)
        factor = polar.factor_of(polar.success_of(answer))
        return MotionMeter(float(chosen[polar.Setting.RATE]), factor)

    async def _ask(self, link: Link, request: bytes) -> bytes:
        """Return the answer to a request at the control point.

        Raises:
            TimeoutError: none came in time.
            VitalsError: the connection fails.
        """
        key = (request[0], request[1])
        answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._answers[key] = answer
        try:
            await link.write(polar.CONTROL_POINT, request)
            async with asyncio.timeout(ANSWER_S):
                return await answer
        finally:
            del self._answers[key]

    def _read_polar(self, payload: bytes) -> None:
        """Turn a notification of Polar's protocol into readings."""
        # Apart, as a stream that cannot be read is reported once until it can.
        is_motion = payload[:1] == bytes([polar.PolarMeasurement.ACC])
        self._read_notification(read_motion if is_motion else read_polar, payload)

    def _read_answer(self, payload: bytes) -> None:
        """Go back to the heart-rate service alone if every stream of beats was refused."""
        try:
            refusal = polar.refusal_of(payload)
        except GattError:  # about something else that nobody asked for
            return
        waiting = self._answers.get((payload[1], payload[2]))
        if waiting is not None and not waiting.done():
            waiting.set_result(payload)
        if refusal is None or polar.stream_of(payload) not in self._asked:
            return
        if polar.stream_of(payload) == polar.PolarMeasurement.ECG:
            self._miss_ecg(f"it refuses it ({refusal})")
        self._asked.discard(polar.stream_of(payload))
        if not self._asked:
            text = "%s: its heart-rate service is used alone: it refuses its measurements (%s)"
            log.info(text, self._sensor.source, refusal)
            self._end_choice()

    def _miss_ecg(self, reason: str) -> None:
        """Warn that no electrocardiogram is recorded although the configuration asks for it."""
        if self._sensor.keeps_ecg:
            text = "%s: keep_ecg is on, but no electrocardiogram is recorded: %s"
            log.warning(text, self._sensor.source, reason)

    def _end_choice(self) -> None:
        """Record the intervals that still wait for others; from here on, none waits."""
        keeper, self._readings.keeper = self._readings.keeper, None
        if keeper is not None:
            for stretch in keeper.rest(self._now()):
                self._record(stretch)
        choice, self._readings.choice = self._readings.choice, None
        if choice is not None:
            for reading in self._readings.of_intervals(choice.rest()):
                self._sink(reading)

    def _tell_gap(self, gap: Gap) -> None:
        """Pass a gap on, unless the sensor only measures now and then."""
        if self._streams:
            self._record(gap)

    async def _watch(self, link: Link, connected: Instant) -> None:
        """Wait for the end of the connection; read the battery now and then."""
        battery_read_at: Instant | None = None
        while True:
            now = self._now()
            if battery_read_at is None or now.seconds_since(battery_read_at) >= BATTERY_S:
                battery_read_at = now
                await self._ask_battery(link)
            if await link.closed_within(WATCH_S):
                return
            now = self._now()
            # A connection that is younger than the silence is given its time, too.
            silent_s = min(self._silence.seconds(now), now.seconds_since(connected))
            if self._streams and silent_s > STALL_S:
                text = "%s says nothing although connected; connecting anew"
                log.warning(text, self._sensor.source)
                return

    async def _ask_battery(self, link: Link) -> None:
        """Record the charge of the battery, if the sensor reports it."""
        try:
            percent = gatt.decode_battery_level(await link.read(gatt.BATTERY_LEVEL))
        except (VitalsError, GattError) as error:
            log.debug("%s does not tell its battery: %s", self._sensor.source, error)
            return
        self.state = replace(self.state, battery_percent=percent)

    def _read_notification(self, decode: Decode, payload: bytes) -> None:
        """Turn a notification into readings."""
        at = self._now()
        try:
            message = decode(self._readings, payload, at)
        except GattError as error:
            # Once, until a message can be read again: a broken sensor sends every second.
            if decode not in self._refused:
                text = "%s: %s %s; passed over"
                log.warning(text, self._sensor.source, error.characteristic, error.problem)
            self._refused.add(decode)
            return
        self._refused.discard(decode)
        self._pauses.reset()
        if decode is not read_motion:  # an acceleration goes on where no heart is found
            self._silence.end(at)
        # Of two characteristics, only one may detect it; Polar's may go on although nobody listens.
        is_alone = self._readings.choice is None and decode not in {read_polar, read_motion}
        if is_alone or message.contact is not None:
            self._note_contact(message.contact)
        for reading in message.readings:
            self._sink(reading)
        for stretch in message.stretches:
            self._record(stretch)

    def _note_contact(self, contact: bool | None) -> None:
        if contact is not self.state.contact:
            log.info("%s: contact with the skin %s", self._sensor.source, _CONTACT[contact])
            self.state = replace(self.state, contact=contact)

    def _report_failure(self, error: VitalsError) -> None:
        """Record why there is no connection; log it once until the reason changes."""
        if self.state.reason != error.reason.value:
            tell = log.info if error.reason is VitalsReason.NOT_FOUND else log.warning
            tell("%s: %s", self._sensor.source, error)
        self.state = replace(self.state, problem=str(error), reason=error.reason.value)


class BluetoothVitals(VitalSource):
    """Keeps all configured straps and cuffs connected, in one thread with an event loop.

    A sensor out of reach, or Bluetooth that does not work, is tried again without end, at most 15 s
    apart; ``states`` has the reason.

    Args:
        sink: as in ``VitalSource``.
        record: called with every silence of a strap longer than 10 s when it is over, and with what
            is kept of electrocardiograms.
        sensors: the configured sensors.
        open_radio: makes the radio, in the event loop that uses it.

    Example:
        >>> strap = Sensor("AA:BB:CC:DD:EE:FF", SensorKind.HEART_RATE)
        >>> sensors = BluetoothVitals(recorder.submit, recorder.submit, [strap], BleakRadio)
        >>> sensors.start()
    """

    def __init__(
        self, sink: Sink, record: Record, sensors: Sequence[Sensor], open_radio: Callable[[], Radio]
    ) -> None:
        super().__init__("bluetooth", sink)
        self.sources = tuple(sensor.source for sensor in sensors)
        self._record = record
        self._sensors = sensors
        self._open_radio = open_radio
        self._sessions: tuple[SensorSession, ...] = ()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._halt: asyncio.Event | None = None

    @property
    def states(self) -> tuple[SensorState, ...]:
        """The state of each sensor."""
        return tuple(session.state for session in self._sessions)

    def stop(self) -> None:
        """Ask the thread to disconnect and to end; return at once."""
        super().stop()
        if self._loop is not None and self._halt is not None:
            with suppress(RuntimeError):  # the loop has ended by itself
                # asyncio.Event is not safe to set from another thread.
                self._loop.call_soon_threadsafe(self._halt.set)

    def work(self) -> None:
        """Keep the sensors connected until stopped."""
        try:
            asyncio.run(self._listen())
        except ExceptionGroup as group:  # its own text names nothing
            raise group.exceptions[0] from group

    async def _listen(self) -> None:
        # Each loop has an event of its own: this one may run after a fault.
        self._halt = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        # It was stopped before the loop began, and nobody would set the event.
        if self.stopping.is_set():
            return
        radio = self._open_radio()
        self._sessions = tuple(
            SensorSession(sensor, radio, self.emit, self._record) for sensor in self._sensors
        )
        # One sensor's bug ends the group and so the thread, which then begins again, instead of
        # leaving one sensor silent.
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(session.run()) for session in self._sessions]
            await self._halt.wait()
            for task in tasks:
                task.cancel()


@contextmanager
def _needs_bleak() -> Iterator[None]:
    """Name the missing library if the import in the block fails."""
    try:
        yield
    except ModuleNotFoundError as error:
        # Another module that is missing is a fault of the installation, which pip install bleak
        # would not mend.
        if error.name not in {"bleak", "dbus_fast"}:
            raise
        raise VitalsError(
            VitalsReason.BLEAK_MISSING,
            "The library for Bluetooth, bleak, is not installed.",
            "With pipx: pipx inject affect-edge bleak. Otherwise, where affect-edge is installed: "
            "pip install bleak.",
        ) from error


def radio_factory(adapter: str | None) -> Callable[[], Radio]:
    """Return the factory of the radio; it must be called in the event loop that uses the radio.

    Raises:
        VitalsError: ``bleak`` is not installed.
    """
    with _needs_bleak():
        from edge_agent.vitals.ble import BleakRadio
    return partial(BleakRadio, adapter)


def check_bluetooth(adapter: str | None) -> None:
    """Check that Bluetooth can be used here.

    Raises:
        VitalsError: it cannot; the message contains the cure.
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
