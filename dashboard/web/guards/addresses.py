"""The network address that a request comes from, also behind proxies."""

from __future__ import annotations

import ipaddress
import logging
from collections.abc import Collection

from fastapi import Request

log = logging.getLogger(__name__)
_SHOWN = 80


def peer_of(request: Request) -> str:
    """Return the network address at the other end of a request's connection."""
    if request.client:
        return request.client.host
    return "unknown"


def address_of(request: Request) -> str:
    """Return the network address that a request comes from; its attempts are counted together.

    Behind the proxies of `dashboard.proxy_addresses` that is the last address of X-Forwarded-For
    which is no such proxy. What stands before it, and the header of anybody else, may be made up.
    """
    origin = peer_of(request)
    state = request.app.state
    proxies = state.services.options.proxy_addresses
    given = ",".join(request.headers.getlist("x-forwarded-for"))
    hops = given.split(",") if given else []
    while hops and is_one_of(origin, proxies):
        hop = hops.pop().strip()
        try:
            origin = _address_of_hop(hop)
        except ValueError:  # the last address that is known for sure
            _note_unread(state.unread_proxies, origin, hop)
            break
    return origin


def _address_of_hop(hop: str) -> str:
    """Return the address of an entry of X-Forwarded-For, which may have a port.

    Raises:
        ValueError: it is none, such as ``unknown``.

    Example:
        >>> _address_of_hop("192.0.2.7:50123"), _address_of_hop("[2001:db8::1]:443")
        ('192.0.2.7', '2001:db8::1')
    """
    host, port = hop, ""
    if hop.startswith("["):
        host, end, port = hop[1:].partition("]")
        port = port.removeprefix(":") if end else hop
    elif hop.count(":") == 1:  # more are an IPv6 address
        host, _, port = hop.partition(":")
    if port and not port.isdecimal():
        raise ValueError(port)
    return str(ipaddress.ip_address(host))


def _note_unread(known: set[str], proxy: str, hop: str) -> None:
    """Log a proxy whose word about its visitors cannot be read, once each."""
    if proxy not in known:
        known.add(proxy)
        log.warning(
            "the proxy %s sends %r in X-Forwarded-For, which is no network address: such visitors "
            "count as one, and share its attempts to log in. Let it send their addresses",
            proxy,
            hop[:_SHOWN],
        )


def is_one_of(host: str, addresses: Collection[str]) -> bool:
    """Tell whether a network address is one of those that were configured."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv6Address):
        # A socket for both protocols shows IPv4 addresses in this form.
        address = address.ipv4_mapped or address
    return address in {ipaddress.ip_address(one) for one in addresses}
