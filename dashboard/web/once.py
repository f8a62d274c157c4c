"""Forms that are handed in twice, as by a double click: done once, answered alike."""

from __future__ import annotations

import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable

MOST_KEPT = 256


def new_key() -> str:
    """Return the key that a page gives one form."""
    return secrets.token_urlsafe(12)


class Once:
    """Remembers what became of each key; for forms that are sent and answered within minutes.

    Example:
        >>> once = Once()
        >>> once.run("a key", lambda: "/made/1"), once.run("a key", lambda: "/made/2")
        ('/made/1', '/made/1')
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._results: OrderedDict[str, str] = OrderedDict()

    def run(self, key: str, act: Callable[[], str]) -> str:
        """Return what ``act`` returns, or what it returned before for this key.

        The second of two at one time waits for the first. An action that raises counts as not
        done. Without a key it is done each time.
        """
        if not key:
            return act()
        with self._lock:
            if key not in self._results:
                self._results[key] = act()
                while len(self._results) > MOST_KEPT:
                    self._results.popitem(last=False)
            return self._results[key]
