"""What the tests of training share."""

from __future__ import annotations

import pytest


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the pictures of a test empty that is about something else: Matplotlib draws for half a
    second each, twenty times as long as the runs here learn.
    """

    monkeypatch.setattr("matplotlib.figure.Figure.savefig", lambda *_, **__: None)
    monkeypatch.setattr("training.report.figures._png", lambda *_, **__: b"undrawn")
