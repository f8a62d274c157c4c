"""How often an address may try to log in or to send readings.

>>> limiter = AttemptLimiter(limit=1, window_s=60.0, clock=lambda: 0.0)
>>> limiter.attempt("192.0.2.7"), limiter.attempt("192.0.2.7")
(0, 60)
"""

from __future__ import annotations

import ipaddress
import threading
from collections import OrderedDict, deque
from collections.abc import Callable

from fastapi import Request
from starlette.responses import Response

from edge_agent.core.clock import boot_seconds


class AttemptLimiter:
    """Counts attempts per network address, so that passwords and codes cannot be guessed.

    An attempt is counted before it is checked: several at once cannot slip past. IPv6 addresses
    count per /64, which is what one machine gets. Kept in memory and bounded; a restart forgives.

    Args:
        limit: attempts in a window.
        window_s: length of the window in seconds.
        addresses: most addresses remembered; the oldest is forgotten.
        clock: seconds, never going back.
    """

    def __init__(
        self,
        limit: int = 5,
        window_s: float = 300.0,
        addresses: int = 1000,
        clock: Callable[[], float] = boot_seconds,
    ) -> None:
        self._limit = limit
        self._window_s = window_s
        self._addresses = addresses
        self._clock = clock
        self._seen: OrderedDict[str, deque[float]] = OrderedDict()
        self._lock = threading.Lock()

    def attempt(self, address: str) -> int:
        """Count an attempt; return 0 when it may go on, else the seconds to wait (such an attempt
        is not counted).
        """
        key = _group(address)
        now = self._clock()
        with self._lock:
            times = self._seen.setdefault(key, deque())
            self._seen.move_to_end(key)
            while len(self._seen) > self._addresses:
                self._seen.popitem(last=False)
            while times and now - times[0] >= self._window_s:
                times.popleft()
            if len(times) >= self._limit:
                return max(1, round(self._window_s - (now - times[0])))
            times.append(now)
            return 0

    def forgive(self, address: str) -> None:
        """Forget the attempts of an address, after a right one."""
        with self._lock:
            self._seen.pop(_group(address), None)


def address_of(request: Request) -> str:
    """Return the network address that a request comes from; its attempts are counted together."""
    if request.client:
        return request.client.host
    return "unknown"


def too_many(wait: int) -> str:
    """Say how many seconds to wait before the next attempt."""
    if wait < 90:
        shown = f"{wait} seconds"
    else:
        shown = f"{round(wait / 60)} minutes"
    return f"Too many attempts from this address. Wait {shown}, then try again."


def with_wait(response: Response, wait: int) -> Response:
    """Tell programs, too, how many seconds to wait; 0 is not told."""
    if wait:
        response.headers["Retry-After"] = str(wait)
    return response


def _group(address: str) -> str:
    """Return what is counted together: the address itself, or the /64 network of an IPv6
    address.
    """
    try:
        parsed = ipaddress.ip_address(address.split("%", maxsplit=1)[0])
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is None:
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed)
