"""An appliance, and an archive of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.backups.whole_appliance import WholeAppliance, backed_up, whole_appliance


@pytest.fixture
def appliance(tmp_path: Path) -> WholeAppliance:
    return whole_appliance(tmp_path)


@pytest.fixture
def archive(appliance: WholeAppliance, tmp_path: Path) -> Path:
    return backed_up(appliance, tmp_path / "backup.zip")
