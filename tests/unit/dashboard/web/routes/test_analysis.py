"""The analysis page where the question names no state with readings."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path

from starlette.testclient import TestClient

from tests.support.studies import HEART, States, add_session, make_study


def other_labels(*labels: str) -> States:
    """The more readings, the later the label."""
    return {label: {HEART: [70.0] * place} for place, label in enumerate(labels, 1)}


def test_labels_with_readings_are_named_and_lead_to_the_question_with_them(
    ada: TestClient, tmp_path: Path
) -> None:
    path = make_study(tmp_path, {"P-1": other_labels("film 1", "film & 2", "Baseline")})
    page = ada.get("/analysis?outcome=level&family=all").text
    assert "There are readings with other labels: film &amp; 2, film 1." in page
    found = re.search(r'href="([^"]*)">Compare these</a>', page)
    assert found is not None
    address = unescape(found[1])
    assert address == "/analysis?outcome=level&states=film+%26+2&states=film+1"
    assert "There are readings with other labels" not in ada.get(address).text
    add_session(path, "P-2", other_labels(*"abcdef"))
    page = ada.get("/analysis").text
    assert page.count("&amp;states=") + page.count("?states=") == 6
    assert "Compare the 6 with the most readings</a>" in page


def test_a_single_label_is_named_without_a_question(ada: TestClient, tmp_path: Path) -> None:
    assert "There are readings" not in ada.get("/analysis").text
    make_study(tmp_path, {"P-1": other_labels("film")})
    page = ada.get("/analysis").text
    assert "There are readings with other labels: film." in page and "Compare the" not in page
