"""A window that shows nothing, and calls what it was given at its next flip, as PsychoPy does."""

from __future__ import annotations

from collections.abc import Callable


class Window:
    """What PsychoPy draws on."""

    def __init__(self) -> None:
        self._calls: list[tuple[Callable[..., object], tuple[object, ...]]] = []

    def callOnFlip(self, function: Callable[..., object], *args: object) -> None:  # noqa: N802
        """Call a function right after the next flip."""
        self._calls.append((function, args))

    def flip(self) -> None:
        """Show what was drawn, then call what waits for it."""
        calls, self._calls = self._calls, []
        for function, args in calls:
            function(*args)


class TextStim:
    """A text."""

    def __init__(self, win: Window, text: str) -> None:
        self.text = text

    def draw(self) -> None:
        """Put it on the window."""
