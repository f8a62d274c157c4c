"""Sources of orders: a stream of markers, and a serial port whose bytes are codes.

Markers of the Lab Streaming Layer have the sender's times. Codes come from a TTL box or an
experiment program. This module builds both from the settings, and also the offered streams.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edge_agent.config.settings import Settings
from edge_agent.control.orders import ClockNote, OrderWorker, Quiet
from edge_agent.core import clock
from edge_agent.core.clock import Every, Instant
from edge_agent.core.errors import ServerError, StudyError
from edge_agent.core.study import read_order
from edge_agent.core.threads import Worker
from edge_agent.core.vitals import SensorKind, VitalKind
from edge_agent.lsl.inlet import CorrectedTimes
from edge_agent.lsl.outlet import StreamClock, load_pylsl
from edge_agent.lsl.streams import StreamOptions
from edge_agent.lsl.worker import StreamWorker
from edge_agent.store.study.sessions import Study
from edge_agent.vitals.sensor import Sensor

log = logging.getLogger(__name__)

_PULL_S = 0.2
_RESOLVE_S = 1.0
_OPEN_S = 2.0
_LATEST_S = 2.0
"""Lead of a time stamp above which it is a fault of the sender."""
_OLDEST_S = 600.0
MOST_PER_SECOND = 100
"""Most codes accepted in a second: a floating line produces thousands."""
_WAIT_S = 0.2
_RETRY_S = (0.5, 1.0, 2.0, 5.0)
_BITS = 10  # of a byte on the line, with start and stop
_USB_S = 0.016  # how long an adapter gathers bytes before it sends them, unless told otherwise
_GIVES = {
    SensorKind.HEART_RATE: (VitalKind.HEART_RATE, VitalKind.RR_INTERVAL),
    SensorKind.BLOOD_PRESSURE: (VitalKind.SYSTOLIC, VitalKind.DIASTOLIC, VitalKind.MEAN_ARTERIAL),
    SensorKind.PULSE_OXIMETER: (VitalKind.OXYGEN_SATURATION, VitalKind.HEART_RATE),
    SensorKind.THERMOMETER: (VitalKind.SKIN_TEMPERATURE, VitalKind.BODY_TEMPERATURE),
}
"""The vitals of each kind of sensor, so that its streams exist before the first reading."""


class MarkerStream(Worker):
    """Turns the samples of a stream into orders, each at the time of its stamp.

    The stream may come and go: it is searched by its name again and again, and the library
    recognises a sender that returns with the same source id. It does not repeat markers that were
    sent before the connection.

    Args:
        name: of the stream.
        orders: carries out the orders.
        codes: order for each number; a text is an order itself.

    Raises:
        ServerError: pylsl or its native library is missing.
    """

    def __init__(self, name: str, orders: OrderWorker, codes: Mapping[int, str]) -> None:
        super().__init__("lsl-markers")
        self._pylsl = load_pylsl()
        self._name = name
        self._sender = f"lsl:{name}"
        self._orders = orders
        self._codes = codes
        self._clock = StreamClock(self._pylsl.local_clock)
        self._strange = Quiet()

    def work(self) -> None:
        """Listen until stopped."""
        while not self.stopping.is_set():
            streams = self._pylsl.resolve_byprop("name", self._name, timeout=_RESOLVE_S)
            if not streams:
                continue
            if len(streams) > 1:
                log.warning("lsl: %d streams are called %s; one is taken", len(streams), self._name)
            try:
                self._listen(self._pylsl.StreamInlet(streams[0], recover=True))
            except RuntimeError as error:  # lost, or no answer in time: pylsl's own errors are such
                log.warning("lsl: the stream %s is lost (%s); it is looked for", self._name, error)

    def _listen(self, inlet: Any) -> None:
        inlet.open_stream(timeout=_OPEN_S)
        times = CorrectedTimes(inlet, self._clock, self._note_clock)
        log.info("lsl: listening to the stream %s", self._name)
        while not self.stopping.is_set():
            sample, stamp_s = inlet.pull_sample(timeout=_PULL_S)
            times.follow()
            if sample is not None:
                self._apply(sample[0], times.instant_of(stamp_s))

    def _note_clock(self, correction_s: float) -> None:
        # the documented accuracy of the library's estimate is better than this
        self._orders.note_clock(self._sender, ClockNote(correction_s, 0.001))

    def _apply(self, value: object, at: Instant) -> None:
        try:
            order = read_order(self._text_of(value))
            ahead_s = at.seconds_since(clock.now())
            if not -_OLDEST_S <= ahead_s <= _LATEST_S:
                raise StudyError(
                    f"A marker {ahead_s:+.0f} s from now is not set. Let the program stamp its "
                    "samples with local_clock(), or leave the stamp out."
                )
        except StudyError as error:
            self._strange.warn("control: %s: %s", self._sender, error)
            return
        self._orders.give(order, at, self._sender)

    def _text_of(self, value: object) -> str:
        """Return the order of a sample: its text, or that of its code."""
        text = str(value).strip()
        if isinstance(value, float) and value.is_integer():
            text = str(int(value))
        if not text.isascii() or not text.isdigit():
            return text
        if int(text) not in self._codes:
            raise StudyError(f"The code {text} is not in [control.codes]. Add it there.")
        return self._codes[int(text)]


class SerialCodes(Worker):
    """Turns the bytes of a serial port into orders, each at the time at which it came.

    An unknown byte is counted and logged. A 0 is the idle level between codes and is ignored,
    unless it has a meaning. An unplugged port is opened again when it is back.

    Args:
        port: such as ``/dev/ttyUSB0``.
        baud: its speed.
        orders: carries out the orders.
        codes: order for each byte.

    Raises:
        ServerError: pyserial is missing.
    """

    def __init__(self, port: str, baud: int, orders: OrderWorker, codes: Mapping[int, str]) -> None:
        super().__init__("serial")
        self._serial = _load_pyserial()
        self._port = port
        self._baud = baud
        self._sender = f"serial:{port}"
        self._orders = orders
        self._codes = {code: read_order(text) for code, text in codes.items()}
        self._strange = Quiet()
        self._flood = Quiet()
        self._second = Every(1.0)
        self._taken = 0
        self._problem = ""

    def work(self) -> None:
        """Listen until stopped; if the port is missing, wait and open it again."""
        attempt = 0
        while not self.stopping.is_set():
            try:
                with self._serial.Serial(self._port, self._baud, timeout=_WAIT_S) as port:
                    attempt = 0
                    self._listen(port)
            except (OSError, ValueError) as error:  # its own error is an OSError
                self._tell(str(error))
                self.stopping.wait(_RETRY_S[min(attempt, len(_RETRY_S) - 1)])
                attempt += 1

    def _tell(self, problem: str) -> None:
        """Log a new problem."""
        if problem != self._problem:
            log.warning(
                "serial port %s: %s. It is opened again when it is there; the agent's user must "
                "be in the group dialout.",
                self._port,
                problem,
            )
        self._problem = problem

    def _listen(self, port: Any) -> None:
        port.reset_input_buffer()  # what came before anybody listened has no time
        log.info("serial port %s: listening", self._port)
        self._problem = ""
        # the time of a byte is that of its arrival here
        byte_s = _BITS / self._baud
        self._orders.note_clock(self._sender, ClockNote(0.0, byte_s + _USB_S))
        while not self.stopping.is_set():
            # One byte at a time: with larger reads, all bytes of a read would get the time of the
            # last.
            if data := port.read(1):
                self._apply(data[0])

    def _apply(self, code: int) -> None:
        at = clock.now()
        order = self._codes.get(code)
        if order is None:
            if code:
                self._strange.warn(
                    "serial port %s: the byte %d is not in [control.codes]", self._port, code
                )
            return
        if self._second.due():
            self._taken = 0
        self._taken += 1
        if self._taken > MOST_PER_SECOND:
            self._flood.warn(
                "serial port %s: more than %d codes in a second; the others are left out",
                self._port,
                MOST_PER_SECOND,
            )
            return
        self._orders.give(order, at, self._sender)


def _load_pyserial() -> Any:
    try:
        import serial
    except ImportError as error:
        raise ServerError(
            "Serial port: the library pyserial is not installed. On an appliance: "
            "sudo ./install.sh --with serial. In a checkout: .venv/bin/pip install -e '.[serial]'. "
            "With pipx: pipx inject affect-edge pyserial."
        ) from error
    return serial


def configured_streams(settings: Settings, database: Path) -> StreamWorker | None:
    """Return the worker that offers the streams, not yet started; ``None`` if it is off.

    Raises:
        ServerError: pylsl or its native library is missing.
    """
    if not settings.lsl.enabled:
        return None
    return StreamWorker(
        StreamOptions(settings.device.name, settings.lsl),
        database,
        simulated=settings.camera.source == "demo",
        movements=settings.vision.movements,
        sensors=[
            (kind, Sensor(device.address, device.kind).source)
            for device in settings.vitals.bluetooth.devices
            for kind in _GIVES[device.kind]
        ],
    )


def configured_control(settings: Settings, study: Study) -> list[Worker]:
    """Return the workers that receive and carry out orders of other programs, not yet started.

    Raises:
        ServerError: a library is missing.
    """
    control = settings.control
    if control.lsl_stream is None and control.serial_port is None:
        return []
    orders = OrderWorker(study)
    workers: list[Worker] = [orders]
    if control.lsl_stream is not None:
        workers.append(MarkerStream(control.lsl_stream, orders, control.codes))
    if control.serial_port is not None:
        port = control.serial_port
        workers.append(SerialCodes(port, control.serial_baud, orders, control.codes))
    return workers
