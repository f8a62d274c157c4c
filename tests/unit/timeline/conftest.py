"""What most tests of the store begin with."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.timeline import timeline


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A database without rows."""
    return timeline(tmp_path)
