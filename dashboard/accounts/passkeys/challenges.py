"""What a passkey has to sign: drawn here, good for one purpose, for minutes, and once.

Who asks for a challenge need not be known, so nothing is kept for it: it carries its own end and a
code that only this process can make. Only challenges that came back are remembered, until their
end. A restart ends them all.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import struct
from collections.abc import Callable
from threading import Lock

from dashboard.accounts.passwords import AccountError
from edge_agent.core.texts import N_

LOGIN = "login"
"""Purpose of a challenge with which somebody logs in."""
_NONCE_BYTES = 16
_END = struct.Struct(">d")
_MAC_BYTES = 32
_LENGTH = _NONCE_BYTES + _END.size + _MAC_BYTES

TOO_LATE = N_("That took too long, or the page was used before. Try again; nothing was changed.")


class Challenges:
    """Draws challenges and takes each of them once.

    Args:
        clock: seconds, never going back.

    Example:
        >>> challenge = challenges.new(LOGIN, seconds=300)
        >>> challenges.use_up(challenge, LOGIN)
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._key = secrets.token_bytes(_MAC_BYTES)
        self._lock = Lock()
        self._spent: dict[bytes, float] = {}

    def new(self, purpose: str, seconds: float) -> bytes:
        """Draw a challenge.

        Args:
            purpose: what it is for; no other takes it.
            seconds: until it ends.
        """
        head = secrets.token_bytes(_NONCE_BYTES) + _END.pack(self._clock() + seconds)
        return head + self._mac(head, purpose)

    def use_up(self, challenge: bytes, purpose: str) -> None:
        """Take a challenge, which is good for nothing afterwards, whatever becomes of the answer.

        Raises:
            AccountError: it was not drawn here for this purpose, has ended, or came before.
        """
        head = challenge[:-_MAC_BYTES]
        mac = challenge[-_MAC_BYTES:]
        if len(challenge) != _LENGTH or not hmac.compare_digest(mac, self._mac(head, purpose)):
            raise AccountError(TOO_LATE)
        (ends,) = _END.unpack(head[_NONCE_BYTES:])
        at = self._clock()
        with self._lock:
            self._spent = {one: until for one, until in self._spent.items() if until > at}
            if ends <= at or head in self._spent:
                raise AccountError(TOO_LATE)
            self._spent[head] = ends

    def _mac(self, head: bytes, purpose: str) -> bytes:
        return hmac.new(self._key, head + purpose.encode(), hashlib.sha256).digest()


def handle_of(challenge: bytes) -> bytes:
    """Return the random part of a challenge: what a browser is told instead of an account's number
    while it makes a passkey.
    """
    return challenge[:_NONCE_BYTES]
