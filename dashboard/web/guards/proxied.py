"""Who asks, as a proxy before the dashboard says that has logged them in already.

Three things prove that it is the proxy: the address that it comes from, a secret that only the two
know, and that each of both headers is there once. Anything else is as if nothing was said.
"""

from __future__ import annotations

import ipaddress
import logging
import secrets

from fastapi import Request

from dashboard.web.guards.connections import OnceAMinute
from dashboard.web.proxy import LEAST_SECRET, SECRET_HEADER, TrustedProxy

log = logging.getLogger(__name__)
log.addFilter(OnceAMinute())


def name_from_proxy(request: Request, proxy: TrustedProxy | None) -> str:
    """Return the name that the trusted proxy gives for who asks; empty if it gives none."""
    if proxy is None or not _comes_from(request, proxy):
        return ""
    given = request.headers.getlist(SECRET_HEADER)
    names = request.headers.getlist(proxy.header)
    if len(given) != 1 or len(names) != 1:
        return ""
    try:
        secret = proxy.secret()
    except OSError as error:
        log.warning("%s: cannot be read (%s)", proxy.secret_file, error.strerror)
        return ""
    if len(secret) < LEAST_SECRET or not secrets.compare_digest(given[0].encode(), secret.encode()):
        log.warning("somebody at %s named an account with a wrong secret", _address(request))
        return ""
    return names[0].strip()


def _comes_from(request: Request, proxy: TrustedProxy) -> bool:
    try:
        address = ipaddress.ip_address(_address(request))
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv6Address):
        address = address.ipv4_mapped or address
    return address in {ipaddress.ip_address(one) for one in proxy.addresses}


def _address(request: Request) -> str:
    return request.client.host if request.client else ""
