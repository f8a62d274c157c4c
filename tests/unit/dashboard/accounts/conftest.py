"""What the tests of accounts share."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support import timeline


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A timeline without anybody."""
    return timeline.database(tmp_path)
