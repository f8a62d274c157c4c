"""What the tests of training share: without the training extra none of them runs."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest

HERE = Path(__file__).parent
EXTRA = ("litert_torch", "matplotlib", "sklearn", "torch")
if not all(map(find_spec, EXTRA)):
    collect_ignore_glob = ["*"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark all of them."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.training)


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the pictures of a test empty that is about something else: Matplotlib draws for half a
    second each, twenty times as long as the runs here learn.
    """

    monkeypatch.setattr("matplotlib.figure.Figure.savefig", lambda *_, **__: None)
    monkeypatch.setattr("training.report.figures._png", lambda *_, **__: b"undrawn")
