"""A library that is imported when it is used first, for modules that most of their users need
without it.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any


class Later:
    """A stand-in for a library; the first use of a name imports the library.

    Example:
        NumPy costs 12 MB, which a page that computes nothing need not hold::

            if TYPE_CHECKING:
                import numpy as np
            else:
                np = Later("numpy")
    """

    def __init__(self, library: str) -> None:
        self._library = library

    def __getattr__(self, name: str) -> Any:
        """Return a name of the library, which is looked up once."""
        value = getattr(import_module(self._library), name)
        setattr(self, name, value)
        return value
