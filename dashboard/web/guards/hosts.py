"""The host names that the dashboard accepts, and the proxy that may name the logged-in user.

A page of another site can let its own name lead to this machine (DNS rebinding); to the browser it
is then one site with the dashboard, and may use up the log-in attempts of its visitor. It cannot do
so under an address, nor under a name that is known here.

Three things prove that a request comes from the proxy: its address, a secret that only the two
know, and that each of both headers is there once. Anything else is as if nothing was said.
"""

from __future__ import annotations

import ipaddress
import logging
import re
import secrets
import socket
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fastapi import Request
from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from dashboard.web.guards.addresses import is_one_of, peer_of
from dashboard.web.guards.connections import OnceAMinute
from dashboard.web.options import DashboardOptions
from edge_agent.config.dashboard import LEAST_SECRET, SECRET_HEADER, TrustedProxy
from edge_agent.core.clock import boot_seconds

log = logging.getLogger(__name__)
_RESOLV = Path("/etc/resolv.conf")
_SHOWN = 80
AGAIN_SECONDS = 60.0
_MOST_UNTRUSTED = 100  # strangers may come from any number of addresses


def names_in(certificate: Path, key: Path) -> frozenset[str]:
    """Return the host names that a certificate carries, in small letters.

    None where it cannot be used.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # it is its own proof here
    try:
        context.load_verify_locations(certificate)
    except (OSError, ssl.SSLError):
        return frozenset()
    shown = _shown_to(context, certificate, key) or {}
    names = shown.get("subjectAltName", ())
    return frozenset(value.lower() for kind, value in names if kind == "DNS")


def is_trusted(certificate: Path, key: Path) -> bool:
    """Tell whether an authority that this system trusts has signed a certificate."""
    context = ssl.create_default_context()
    context.check_hostname = False
    return _shown_to(context, certificate, key) is not None


def _shown_to(client: ssl.SSLContext, certificate: Path, key: Path) -> dict[str, Any] | None:
    """Return a certificate as a client sees it, or ``None`` when that refuses it.

    Python reads certificates in handshakes only, so there is one, in memory.
    """
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    to_server = ssl.MemoryBIO()
    to_client = ssl.MemoryBIO()
    try:
        server.load_cert_chain(certificate, key)
        asking = client.wrap_bio(to_client, to_server)
        answering = server.wrap_bio(to_server, to_client, server_side=True)
        for _ in range(4):
            for side in (asking, answering):
                try:
                    side.do_handshake()
                except ssl.SSLWantReadError:
                    continue
        return asking.getpeercert()
    except (OSError, ssl.SSLError, ValueError):
        return None


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

    Addresses are always accepted; a request without the header does not come from a browser.

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
        self._certificate = written_ns(options.certificate)

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
        # A full domain name may end in a dot.
        name = host.rstrip(".")
        if not name or _is_address(name) or self._knows(name):
            return True
        certificate = written_ns(self._options.certificate)
        is_new = certificate != self._certificate
        # Not at each unknown name: strangers may ask for any, and looking reads files.
        if not is_new and self._clock() - self._read_at < AGAIN_SECONDS:
            return False
        # The machine may have been renamed, or have a new certificate.
        self._names = names_here(self._options)
        self._read_at = self._clock()
        self._certificate = certificate
        return self._knows(name)

    def _knows(self, name: str) -> bool:
        # A wildcard of a certificate stands for one label.
        return name in self._names or f"*.{name.partition('.')[2]}" in self._names


def written_ns(file: Path | None) -> int | None:
    """Return the modification time of a file; ``None`` if it does not exist."""
    try:
        return None if file is None else file.stat().st_mtime_ns
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
    """Tell whether a host is given as an IP address."""
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True


log.addFilter(OnceAMinute())
_once_each = logging.getLogger(f"{__name__}.untrusted")
_untrusted: set[str] = set()


def name_from_proxy(request: Request, proxy: TrustedProxy | None) -> str:
    """Return the user name that the trusted proxy sends; empty if it sends none."""
    if proxy is None:
        return ""
    given = request.headers.getlist(SECRET_HEADER)
    names = request.headers.getlist(proxy.header)
    if not is_one_of(peer_of(request), proxy.addresses):
        if given or names:
            _note_untrusted(peer_of(request))
        return ""
    # A second header may have been put in front of the proxy's own.
    if len(given) != 1 or len(names) != 1:
        return ""
    try:
        secret = proxy.secret()
    except OSError as error:
        log.warning("%s: cannot be read (%s)", proxy.secret_file, error.strerror)
        return ""
    if len(secret) < LEAST_SECRET or not secrets.compare_digest(given[0].encode(), secret.encode()):
        log.warning("somebody at %s named an account with a wrong secret", peer_of(request))
        return ""
    return names[0].strip()


def _note_untrusted(address: str) -> None:
    """Log an address that sends a proxy's header and is not configured, once each."""
    if address not in _untrusted and len(_untrusted) < _MOST_UNTRUSTED:
        _untrusted.add(address)
        _once_each.warning(
            "a proxy header from %s, which is not in dashboard.proxy_addresses", address
        )
