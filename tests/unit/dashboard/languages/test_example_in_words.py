"""The example study in other languages than English: what the program wrote in it, and emotions."""

from __future__ import annotations

from pathlib import Path

import pytest
from starlette.testclient import TestClient

from dashboard.languages.current import speaking
from dashboard.languages.names import own_text
from edge_agent.core.study import EXAMPLE_CONSENT, NOT_IN_EXAMPLE
from edge_agent.timeline.study.example_study import seed_example_study
from edge_agent.timeline.study.exclusions import leave_out
from edge_agent.vitals.simulated import SimulatedPerson


@pytest.mark.parametrize(("language", "emotion"), [("de", "Freude"), ("es", "alegría")])
def test_example_study_is_reported_in_the_language_of_the_page(
    language: str, emotion: str, ada: TestClient, database: Path
) -> None:
    seed_example_study(database, SimulatedPerson, seed=2026)
    asked = {"Accept-Language": language}
    leave_out(database, 12, None, reason=NOT_IN_EXAMPLE, actor="ada")
    paths = ("12?whole=yes", "12", "12/quality")
    pages = [ada.get(f"/study/sessions/{path}", headers=asked).text for path in paths]
    text = " ".join(" ".join(pages).split())
    with speaking(language):
        written = {one: own_text(one) for one in (NOT_IN_EXAMPLE, EXAMPLE_CONSENT)}
    for english, word in written.items():
        assert word in text and word != english
    assert NOT_IN_EXAMPLE not in text and ">happiness<" not in text
    assert f'<th scope="row">{emotion}</th>' in text
