"""A database, and a study in it of one participant who gave consent."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_agent.store.study.study import Study
from tests.support.timeline import database


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return database(tmp_path)


@pytest.fixture
def study(path: Path) -> Study:
    study = Study(path)
    study.create_participant("P01")
    study.give_consent("P01", "2026-10 v2")
    return study
