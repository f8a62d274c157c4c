"""What the tests of training share."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the pictures of a test empty that is about something else: Matplotlib draws for half a
    second each, twenty times as long as the runs here learn.
    """

    def save(_: object, path: Path, **__: object) -> None:
        path.touch()

    monkeypatch.setattr("matplotlib.figure.Figure.savefig", save)
    monkeypatch.setattr("training.report.figures._png", lambda *_, **__: b"undrawn")
