"""The analysis page where the question names no state with readings."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path

from starlette.testclient import TestClient

from tests.support.script_studies import example
from tests.support.studies import HEART, States, add_session, add_stimuli, heart, make_study


def other_labels(*labels: str) -> States:
    """The more readings, the later the label."""
    return {label: {HEART: [70.0] * place} for place, label in enumerate(labels, 1)}


def test_labels_with_readings_are_named_and_lead_to_the_question_with_them(
    ada: TestClient, tmp_path: Path
) -> None:
    path = make_study(tmp_path, {"P-1": other_labels("film 1", "film & 2", "Baseline")})
    usual = "states=neutral&states=anger"
    page = ada.get(f"/analysis?outcome=level&family=all&{usual}").text
    assert "There are readings with other labels: film &amp; 2, film 1." in page
    found = re.search(r'href="([^"]*)">Compare these</a>', page)
    assert found is not None
    address = unescape(found[1])
    assert address == "/analysis?outcome=level&states=film+1&states=film+%26+2"
    assert "There are readings with other labels" not in ada.get(address).text
    add_session(path, "P-2", other_labels(*"abcdef"))
    page = ada.get(f"/analysis?{usual}").text
    assert page.count("&amp;states=") + page.count("?states=") >= 6
    assert "Compare the 6 with the most readings</a>" in page


def test_single_other_label_is_named_without_a_link_to_compare(
    ada: TestClient, tmp_path: Path
) -> None:
    assert "There are readings" not in ada.get("/analysis").text
    make_study(tmp_path, {"P-1": other_labels("film")})
    page = ada.get("/analysis").text
    assert "There are readings with other labels: film." in page and "Compare the" not in page


def test_conditions_of_measured_sessions_are_named_beside_the_example(
    ada: TestClient, tmp_path: Path
) -> None:
    path = make_study(tmp_path, {"E-1": heart(anger=80.0, neutral=70.0)}, simulated=True)
    assert "Compare these" not in ada.get("/analysis").text, "there is no measured session"
    add_stimuli(path, "P-1", {"Calm": [70.0] * 4, "sad & <b>": [72.0] * 4})
    page = ada.get("/analysis?family=all").text
    assert "the example study is shown instead" in page
    assert "The measured sessions have other conditions: Calm, sad &amp; &lt;b&gt;." in page
    found = re.search(r'href="([^"]*)">Compare these</a>', page)
    assert found is not None
    address = unescape(found[1])
    assert address == "/analysis?sample=measured&states=Calm&states=sad+%26+%3Cb%3E"
    assert 'name="states" value="Calm"' in ada.get("/analysis?whole=yes").text
    assert "have other conditions" not in ada.get("/analysis?sample=example").text
    assert "have other conditions" not in ada.get("/analysis?state=reported").text
    emptied = ada.get(address).text
    assert "All 8 readings of heart rate fall into the first 10 s of a stimulus" in emptied
    assert "Record sessions whose" not in emptied and "have other conditions" not in emptied
    assert "fall into the first" not in ada.get(f"{address}&settling_heart_rate=0").text


def test_conditions_without_a_reading_that_counts_lead_to_their_question(
    ada: TestClient, tmp_path: Path
) -> None:
    path = make_study(tmp_path, {})
    add_stimuli(path, "P-1", {"calm": [70.0] * 4, "Baseline": [70.0] * 4, "sad": [72.0] * 4})
    own = ada.get("/analysis?sample=measured").text
    assert "No reading in sad or calm" in own and "have other conditions" not in own
    usual = "states=neutral&states=anger"
    page = ada.get(f"/analysis?sample=measured&{usual}").text
    assert "The measured sessions have other conditions: calm, sad." in page
    assert 'href="/analysis?sample=measured&amp;states=calm&amp;states=sad">Compare these' in page
    chosen = ada.get(f"/analysis?sample=selected&session=1&{usual}").text
    assert 'href="/analysis?sample=selected&amp;session=1&amp;states=calm&amp;' in chosen


def test_check_of_stimuli_that_holds_is_folded_after_the_results(
    ada: TestClient, database: Path
) -> None:
    assert "Check of the stimuli" not in ada.get("/analysis").text, "there is no study"
    example(database)
    page = unescape(ada.get("/analysis?sample=example").text)
    check, results = page.index('id="stimuli-check"'), page.index('id="results"')
    assert results < page.index("Heart rate was ") < check, "the answer comes first"
    assert '<details class="fold" id="agreements">' in page, "what holds is folded"
    told = page[page.index('id="agreements"') :]
    assert "2 of 2 stimuli raised the probability of their own emotion" in told
    assert told.index("Probability of happiness was 40.4 points higher in happiness than") > 0
    assert "Probability of anger was 44.7 points higher in anger than in neutral" in told
    answered = ada.get("/api/v1/analysis?sample=example").json()["stimuli_check"]
    assert [(test["vital"], test["first"]) for test in answered["comparisons"]] == [
        ("happiness", "happiness"),
        ("anger", "anger"),
    ]
    german = ada.get("/analysis?sample=example", headers={"Accept-Language": "de"}).text
    assert "Prüfung der Reize" in german and "2 von 2 Reizen hoben" in german
    assert "Check of the stimuli" not in ada.get("/analysis?state=observed&sample=example").text
