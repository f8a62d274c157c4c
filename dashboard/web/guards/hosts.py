"""The names by which the dashboard may be asked for.

A page of another site can let its own name lead to this machine (DNS rebinding); to the browser it
is then one site with the dashboard, and may use up the log-in attempts of its visitor. It cannot do
so under an address, nor under a name that is known here.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Callable
from pathlib import Path

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from dashboard.web.guards.own_certificate import names_in
from dashboard.web.settings import DashboardOptions
from edge_agent.core.clock import boot_seconds

_RESOLV = Path("/etc/resolv.conf")
_SHOWN = 80
AGAIN_SECONDS = 60.0


def names_here(options: DashboardOptions) -> frozenset[str]:
    """Return the names of this machine, in small letters.

    Its host name, alone, below ``.local`` and in the domains of its network; what the certificate
    carries; and those of the configuration.
    """
    host = socket.gethostname().lower()
    short = host.partition(".")[0]
    names = {"localhost", host, short, f"{short}.local"}
    names.update(f"{short}.{domain}" for domain in _search_domains())
    names.update(name.lower() for name in options.names)
    if options.certificate is not None and options.key is not None:
        names.update(names_in(options.certificate, options.key))
    return frozenset(names)


def host_of(header: str) -> str:
    """Return the name or address in a ``Host`` header, without its port, in small letters."""
    if header.startswith("["):
        return header[1:].partition("]")[0].lower()
    return header.partition(":")[0].lower()


class HostCheck:
    """ASGI middleware: refuses requests for names that are not of this machine.

    Addresses are always right, and a request without the header comes from no browser.

    Args:
        app: the application.
        options: of the dashboard.
        clock: seconds, never going back.
    """

    def __init__(
        self, app: ASGIApp, options: DashboardOptions, clock: Callable[[], float] = boot_seconds
    ) -> None:
        self._app = app
        self._options = options
        self._clock = clock
        self._names = names_here(options)
        self._read_at = clock()
        self._certificate = _written(options)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 421."""
        if scope["type"] == "http":
            host = host_of(Headers(scope=scope).get("host", ""))
            if not self.is_right(host):
                await _refusal(host)(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def is_right(self, host: str) -> bool:
        """Tell whether a name or an address may be asked for."""
        name = host.rstrip(".")
        if not name or _is_address(name) or self._knows(name):
            return True
        certificate = _written(self._options)
        is_new = certificate != self._certificate
        if not is_new and self._clock() - self._read_at < AGAIN_SECONDS:
            return False
        # The machine may have been renamed, or have a new certificate.
        self._names = names_here(self._options)
        self._read_at = self._clock()
        self._certificate = certificate
        return self._knows(name)

    def _knows(self, name: str) -> bool:
        return name in self._names or f"*.{name.partition('.')[2]}" in self._names


def _written(options: DashboardOptions) -> int | None:
    """Return when the certificate was written last."""
    if options.certificate is None:
        return None
    try:
        return options.certificate.stat().st_mtime_ns
    except OSError:
        return None


def _refusal(host: str) -> PlainTextResponse:
    shown = host[:_SHOWN].encode("ascii", "replace").decode()
    text = (
        f"This is not the machine {shown!r}. Open the dashboard by its address or by the name of "
        "the machine; to use another name, add it to dashboard.names in the configuration."
    )
    return PlainTextResponse(text, 421)


def _search_domains() -> list[str]:
    try:
        text = _RESOLV.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    lines = re.findall(r"^(?:search|domain)\s+(.+)$", text.lower(), re.MULTILINE)
    return [domain.strip(".") for line in lines for domain in line.split()]


def _is_address(host: str) -> bool:
    """Tell whether a host is told by its address, not by a name."""
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True
