"""Listens to a serial port whose bytes are codes, as of a TTL box or an experiment program."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

from edge_agent.core import clock
from edge_agent.core.control.orders import read_order
from edge_agent.core.errors import ServerError
from edge_agent.core.timers import Every
from edge_agent.core.worker import Worker
from edge_agent.runtime.control.orders import ClockNote, OrderWorker, Quiet

log = logging.getLogger(__name__)

MOST_PER_SECOND = 100
"""Codes that are taken in a second: a line that floats gives thousands."""
_WAIT_S = 0.2
_RETRY_S = (0.5, 1.0, 2.0, 5.0)
_BITS = 10  # of a byte on the line, with start and stop
_USB_S = 0.016  # how long an adapter gathers bytes before it sends them, unless told otherwise


class SerialCodes(Worker):
    """Turns the bytes of a serial port into orders, each at the time at which it came.

    A byte without a meaning is counted and logged; a 0 is the rest of a line of codes and is passed
    over, unless it has a meaning. A port that is unplugged is opened again when it is back.

    Args:
        port: such as ``/dev/ttyUSB0``.
        baud: its speed.
        orders: carries out what is asked for.
        codes: what each byte asks for.

    Raises:
        ServerError: pyserial is missing.
    """

    def __init__(
        self,
        port: str,
        baud: int,
        orders: OrderWorker,
        codes: Mapping[int, str],
        on_death: Callable[[Worker, Exception], None] | None = None,
    ) -> None:
        super().__init__("serial", on_death)
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
        """Listen until stopped; whenever the port is away, wait and open it again."""
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
        """Log a problem when it is new."""
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
            if data := port.read(1):
                self._take(data[0])

    def _take(self, code: int) -> None:
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
