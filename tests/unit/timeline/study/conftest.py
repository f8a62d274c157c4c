"""A study of one participant who gave consent."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_agent.timeline.study.sessions import Study


@pytest.fixture
def study(path: Path) -> Study:
    study = Study(path)
    study.create_participant("P01")
    study.give_consent("P01", "2026-10 v2")
    return study
