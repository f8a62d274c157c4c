"""Faces that may not be the participant's, in the questions that can count them."""

from __future__ import annotations

from pathlib import Path

import pytest
from starlette.testclient import TestClient

from dashboard.questions.entry import Way
from dashboard.questions.register import QUESTIONS
from tests.support.dashboard import add_session, fill

OF_FACES = [
    one
    for one in QUESTIONS
    if one.has(Way.PAGE) and one.has(Way.COMMAND) and "count_unknown" in one.query.model_fields
]
TICK = 'name="count_unknown" value="true"'


@pytest.mark.parametrize("page", [f"/{one.name}" for one in OF_FACES])
def test_tick_that_counts_unknown_faces_stays_in_the_form(
    ada: TestClient, database: Path, page: str
) -> None:
    fill(database)
    add_session(database)
    assert f"{TICK} checked" in ada.get(f"{page}?count_unknown=true").text
    assert f"{TICK}>" in ada.get(page).text
