"""Tells systemd that the service is ready, alive or ending, and a line of status."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping


class SystemdNotifier:
    """Tells systemd how the service is (the protocol of ``sd_notify``).

    Says nothing where nobody listens.

    Args:
        address: of the datagram socket, ``@`` in front for the abstract namespace; ``None`` without
            systemd.
        watchdog_interval_s: how often to send ``watchdog``; ``None`` where systemd does not ask for
            it.

    Example:
        Tell systemd that the start is done; nothing happens where systemd did not start it::

            notifier = SystemdNotifier.from_environment(os.environ)
            notifier.ready()
    """

    def __init__(self, address: str | None, watchdog_interval_s: float | None = None) -> None:
        self._address = f"\0{address[1:]}" if address and address.startswith("@") else address
        self.watchdog_interval_s = watchdog_interval_s

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> SystemdNotifier:
        """Read ``NOTIFY_SOCKET``, ``WATCHDOG_USEC`` and ``WATCHDOG_PID``.

        Half the time asked for is the interval.
        """
        micros = environment.get("WATCHDOG_USEC", "")
        for_us = environment.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        watched = for_us and micros.isdecimal() and int(micros) > 0
        return cls(environment.get("NOTIFY_SOCKET") or None, int(micros) / 2e6 if watched else None)

    def ready(self) -> None:
        """Say that the service is up."""
        self._send("READY=1")

    def watchdog(self) -> None:
        """Say that the service is alive."""
        self._send("WATCHDOG=1")

    def stopping(self) -> None:
        """Say that the service is ending."""
        self._send("STOPPING=1")

    def status(self, text: str) -> None:
        """Set the line that ``systemctl status`` shows."""
        self._send(f"STATUS={' '.join(text.split())}")

    def _send(self, message: str) -> None:
        if self._address is None:
            return
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.setblocking(False)
            try:
                sender.sendto(message.encode(), self._address)
            except OSError:
                return  # systemd is not listening; the watchdog will say so if it matters
