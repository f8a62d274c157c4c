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
from edge_agent.core.clock import Every
from edge_agent.core.errors import ServerError, StudyError, shown_value
from edge_agent.core.lab_streams import MarkerSample, MarkerSamples
from edge_agent.core.pauses import Pauses
from edge_agent.core.study import MarkerKind, MarkerStreamState, read_order
from edge_agent.core.threads import RestartingWorker, Worker
from edge_agent.core.vitals import SensorKind, VitalKind
from edge_agent.lsl.inlet import CorrectedTimes, from_now, open_inlet
from edge_agent.lsl.outlet import StreamClock, load_pylsl
from edge_agent.lsl.streams import StreamOptions
from edge_agent.lsl.worker import StreamWorker
from edge_agent.timeline.study.sessions import Study
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
_LOOK_S = 10.0
"""Silence after which the stream is looked for: its sender may have gone without a word."""
_DIGITS = 18
"""No code has more."""
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


class _Flood:
    """Counts the codes of a sender, and leaves out what is above ``MOST_PER_SECOND``.

    Args:
        sender: of the codes, for the log.
    """

    def __init__(self, sender: str) -> None:
        self._sender = sender
        self._quiet = Quiet()
        self._second = Every(1.0)
        self._count = 0

    def has_room(self) -> bool:
        """Count a code; return whether it is accepted."""
        if self._second.due():
            self._count = 0
        self._count += 1
        if self._count <= MOST_PER_SECOND:
            return True
        self._quiet.warn(
            "%s: more than %d codes in a second; the others are left out",
            self._sender,
            MOST_PER_SECOND,
        )
        return False


class MarkerStream(RestartingWorker):
    """Turns the samples of a stream into orders, each at the time of its stamp.

    The stream may come and go: it is searched by its name again and again, whatever its source id
    is. It does not repeat markers that were sent before the connection.

    Args:
        name: of the stream.
        orders: carries out the orders.
        codes: order for each number; a text is an order itself.

    Attributes:
        stream: its state, for the doctor.

    Raises:
        ServerError: pylsl or its native library is missing.
    """

    def __init__(self, name: str, orders: OrderWorker, codes: Mapping[int, str]) -> None:
        super().__init__("lsl-markers")
        self._pylsl = load_pylsl()
        self._name = name
        self._sender = f"lsl:{name}"
        self.sources = (self._sender,)
        self._orders = orders
        self._codes = codes
        self._clock = StreamClock(self._pylsl.local_clock)
        self._strange = Quiet()
        self._lost = Quiet()
        self._flood = _Flood(f"the stream {name}")
        self._several = 0
        self._samples = MarkerSamples()
        self.stream = MarkerStreamState(name, connected=False, since=clock.now())

    def work(self) -> None:
        """Listen until stopped."""
        pauses = Pauses(_RETRY_S)
        try:
            while not self.stopping.is_set():
                if not (streams := self._find()):
                    continue
                try:
                    self._listen(streams[0])
                except RuntimeError as error:  # lost, or no answer: pylsl's own errors are such
                    text = "lsl: the stream %s is lost (%s); it is looked for"
                    self._lost.warn(text, self._name, error)
                    if self.stream.connected:
                        pauses.reset()
                    self._note_connection(connected=False)
                    self.stopping.wait(pauses.after_failure())
        finally:
            self._note_connection(connected=False)

    def _find(self) -> list[Any]:
        """Return the streams of this name that are offered now."""
        streams: list[Any] = self._pylsl.resolve_byprop("name", self._name, timeout=_RESOLVE_S)
        if len(streams) > 1 and len(streams) != self._several:
            log.warning("lsl: %d streams are called %s; one is used", len(streams), self._name)
        self._several = len(streams)
        return streams

    def _listen(self, stream: Any) -> None:
        """Listen until the stream is lost, another one has its name, or the agent stops.

        Raises:
            RuntimeError: the stream is lost.
        """
        inlet = open_inlet(self._pylsl, stream)
        look = Every(_LOOK_S)
        try:
            inlet.open_stream(timeout=_OPEN_S)
            times = CorrectedTimes(inlet, self._clock, self._note_clock)
            log.info("lsl: listening to the stream %s", self._name)
            self._note_connection(connected=True)
            while not self.stopping.is_set():
                try:
                    sample, stamp_s = inlet.pull_sample(timeout=_PULL_S)
                except UnicodeDecodeError:
                    self._strange.warn("control: %s: a text that is not UTF-8", self._sender)
                    continue
                times.follow()
                if sample:
                    look = Every(_LOOK_S)
                    event = self._samples.read(sample, stream.nominal_srate())
                    if event and self._flood.has_room():
                        self._apply(event, stamp_s, times)
                # A machine that lost its power does not say that its stream has ended.
                elif look.due() and stream.uid() not in {one.uid() for one in self._find()}:
                    raise RuntimeError("nobody offers it any more")
        finally:
            inlet.close_stream()

    def _note_connection(self, *, connected: bool) -> None:
        if connected is not self.stream.connected:
            self.stream = MarkerStreamState(self._name, connected=connected, since=clock.now())

    def _note_clock(self, correction_s: float) -> None:
        # the documented accuracy of the library's estimate is better than this
        self._orders.note_clock(self._sender, ClockNote(correction_s, 0.001))

    def _apply(self, sample: MarkerSample, stamp_s: float, times: CorrectedTimes) -> None:
        notes = [f"{MarkerKind.NOTE}/{note}" for note in sample.notes]
        for text in [sample.text, *notes] if sample.text or not notes else notes:
            try:
                order = read_order(self._order_of(text))
                ahead_s = times.ahead_s(stamp_s)
                if not -_OLDEST_S <= ahead_s <= _LATEST_S:
                    raise StudyError(
                        f"A marker with {from_now(ahead_s)} is not set. Let the program stamp its "
                        "samples with local_clock(), or leave the stamp out."
                    )
            except StudyError as error:
                self._strange.warn("control: %s: %s", self._sender, error)
            else:
                self._orders.give(order, times.instant_of(stamp_s), self._sender)

    def _order_of(self, text: str) -> str:
        """Return the order of a sample: its text, or that of its code.

        Raises:
            StudyError: it is a code without an order.
        """
        if not text.isascii() or not text.isdigit():
            return text
        if len(text) > _DIGITS or int(text) not in self._codes:
            code = shown_value(text)
            raise StudyError(f"The code {code} is not in [control.codes]. Add it there.")
        return self._codes[int(text)]


class SerialCodes(RestartingWorker):
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
        self.sources = (self._sender,)
        self._strange = Quiet()
        self._flood = _Flood(f"serial port {port}")
        self._problem = ""

    def work(self) -> None:
        """Listen until stopped; if the port is missing, wait and open it again."""
        pauses = Pauses(_RETRY_S)
        while not self.stopping.is_set():
            try:
                with self._serial.Serial(self._port, self._baud, timeout=_WAIT_S) as port:
                    pauses.reset()
                    self._listen(port)
            except (OSError, ValueError) as error:  # its own error is an OSError
                self._tell(str(error))
                self.stopping.wait(pauses.after_failure())

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
        if self._flood.has_room():
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
            for kind in _GIVES[device.kind] + (VitalKind.BODY_MOTION,) * device.body_motion
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
