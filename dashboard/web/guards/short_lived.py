"""What a person has begun and has to finish within minutes: the second half of a login, a second
factor that is being turned on.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock
from typing import Generic, TypeVar

from dashboard.accounts.account_rows import Account

HALF_LOGIN_S = 300
ENROLMENT_S = 900
MOST = 200

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class HalfLogin:
    """The right password was given, and not yet the code of the second factor.

    Attributes:
        account: whose password it was.
        stamp: changes with the password.
        target: where the browser wanted to go.
    """

    account: Account
    stamp: str
    target: str


@dataclass(frozen=True, slots=True)
class Enrolment:
    """A second factor that is shown to its owner, and not yet on.

    Attributes:
        account: number of the account.
        secret: what the app reads.
    """

    account: int
    secret: str


class ShortLived(Generic[Value]):
    """Values under secrets that are drawn here; in memory, so that a restart forgets them.

    Args:
        clock: seconds, never going back.
        seconds: how long a value is kept.

    Example:
        >>> key = half_logins.keep(HalfLogin(ada, stamp, "/live"))
        >>> half_logins.of(key).account.name
        'ada'
    """

    def __init__(self, clock: Callable[[], float], seconds: float) -> None:
        self._clock = clock
        self._seconds = seconds
        self._lock = Lock()
        self._kept: dict[str, tuple[float, Value]] = {}

    def keep(self, value: Value) -> str:
        """Keep a value and return its secret; of more than ``MOST`` the oldest are forgotten."""
        key = secrets.token_urlsafe(32)
        with self._lock:
            self._forget_old()
            while len(self._kept) >= MOST:
                del self._kept[next(iter(self._kept))]
            self._kept[key] = (self._clock() + self._seconds, value)
        return key

    def of(self, key: str) -> Value | None:
        """Return the value of a secret; ``None``: there is none, or it came too late."""
        with self._lock:
            self._forget_old()
            kept = self._kept.get(key)
        return None if kept is None else kept[1]

    def end(self, key: str) -> None:
        """Forget a value."""
        with self._lock:
            self._kept.pop(key, None)

    def _forget_old(self) -> None:
        at = self._clock()
        for key in [key for key, (ends, _) in self._kept.items() if ends <= at]:
            del self._kept[key]
