"""One participant by day and week: the page and its API over a real database."""

from __future__ import annotations

import random
import re
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from affect_edge.demo import SEED
from dashboard.accounts.roles import Role
from dashboard.languages import figures
from edge_agent.core.clock import now
from edge_agent.core.expression import Emotion
from edge_agent.core.study import NewSession, Purpose
from edge_agent.core.vitals import VitalKind
from edge_agent.timeline.database.connection import write_transaction
from edge_agent.timeline.study.example_study import (
    WEEKS_CODE,
    seed_example_study,
    seed_example_weeks,
)
from edge_agent.timeline.study.sessions import Study
from edge_agent.timeline.write.inserts import ModelUse, write_model
from edge_agent.vitals.simulated import SimulatedPerson
from tests.support.dashboard import consenting, log_in_as
from tests.support.timeline import START_MS, add, copied, database, instant, reading, row

DAY_S = 86_400
LAST = date(2026, 9, 21)
"""The day of the made timeline, in UTC."""


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database of P-01, recorded for ten minutes on two days a week apart."""
    path = database(tmp_path_factory.mktemp("recorded"))
    study = consenting(path)
    for day, rate, sad in ((-7, 60.0, 120), (0, 70.0, 240)):
        record(path, study, day * DAY_S, rate, sad)
    # A time outside all sessions, and one of somebody else.
    add(path, [row(s, Emotion.ANGER) for s in range(2_000, 2_300)], [reading(2_000, 150.0)])
    consenting(path, "P-02")
    record(path, study, 3_000, 99.0, 300, "P-02")
    return path


@pytest.fixture
def home(recorded: Path, tmp_path: Path) -> Path:
    """A copy of it, made before the dashboard."""
    return copied(recorded, tmp_path)


@pytest.fixture
def carer(home: Path, ada: TestClient) -> TestClient:
    """Somebody who looks after P-01."""
    return ada


def record(
    path: Path, study: Study, start_s: int, rate: float, sad: int, code: str = "P-01"
) -> None:
    """Write a session of ten minutes: neutral, and sad at the end with a heart rate 20 higher."""
    shown = [Emotion.SADNESS if s >= 600 - sad else Emotion.NEUTRAL for s in range(600)]
    study.start_session(NewSession(code, Purpose.PERSONAL), instant(start_s))
    study.end_session(instant(start_s + 600))
    add(
        path,
        [row(start_s + s, emotion) for s, emotion in enumerate(shown)],
        [
            reading(start_s + s, rate + 20 * (emotion is Emotion.SADNESS))
            for s, emotion in enumerate(shown)
        ],
    )


def days(client: TestClient, code: str = "P-01", **words: Any) -> Any:
    """Return the API's answer for the days that end with that of the made timeline."""
    asked = {"to": LAST.isoformat(), "zone": "UTC"} | words
    answer = client.get(f"/api/v1/participants/{code}/days", params=asked)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_week_is_reported_in_numbers_and_words_beside_the_week_before(carer: TestClient) -> None:
    found = days(carer, "p-01")
    (week,) = found["weeks"]
    assert (found["participant"], week["first"], week["last"]) == (
        "P-01",
        "2026-09-15",
        "2026-09-21",
    )
    assert week["recorded_days"] == found["before"]["recorded_days"] == 1
    assert (week["session_ms"], week["face_ms"]) == (600_000, 600_000)
    assert (week["emotions"]["neutral"], week["emotions"]["sadness"]) == (360_000, 240_000)
    assert week["vitals"] == {"heart_rate": {"mean": pytest.approx(78.0), "n": 600}}
    assert found["before"]["vitals"]["heart_rate"]["mean"] == pytest.approx(64.0)
    assert week["sentence"] == (
        "Heart rate 78 per minute on average (64 per minute the week before); 1 of 7 days "
        "recorded; mostly neutral, sadness for 4 min."
    )
    assert [day["recorded_days"] for day in week["days"]] == [0] * 6 + [1]
    assert not found["simulated"] and found["rows_kept_since"] is None


@pytest.mark.parametrize("given", ["0", "1789948800", "20260921", "2026-09-21T00:00:00"])
def test_day_of_an_address_that_is_a_number_or_a_time_is_refused(
    carer: TestClient, given: str
) -> None:
    pages = ("/api/v1/participants/P-01/days?to=", "/api/v1/participants/P-01/week?to=")
    for address in (*pages, "/study/participants/P-01/days?to=", "/study?day="):
        refused = carer.get(f"{address}{given}")
        assert refused.status_code == 422 and "2026-03-31" in refused.text, address


def test_week_says_on_page_and_api_that_the_face_may_be_another(
    home: Path, carer: TestClient
) -> None:
    with write_transaction(home) as connection:
        after = instant(400).wall_ms
        connection.execute("UPDATE expression SET track = 2 WHERE at >= ?", (after,))
        connection.execute(
            "DELETE FROM expression WHERE at BETWEEN ? AND ?", (after, after + 5_000)
        )
    asked = {"to": LAST.isoformat(), "zone": "UTC"}
    sentence = (
        "The face was out of view once, and a face came back. It is not known whether it was "
        "always the same person."
    )

    week = carer.get("/api/v1/participants/P-01/week", params=asked).json()
    page = carer.get("/study/participants/P-01/days", params=asked).text

    told = {"left": 1, "several_s": 0.0, "changed": 0, "unknown": None}
    told |= {"sessions": 1, "unknown_sessions": 0, "not_known_s": 0.0}
    assert week["faces"] == days(carer)["faces"] == told
    assert week["faces_sentence"] == days(carer)["faces_sentence"] == sentence
    assert re.search(f'class="week-sentence">[^<]+</p>\\s*<p id="faces">{sentence}</p>', page)


def test_week_at_a_glance_agrees_with_its_days_on_page_and_api(carer: TestClient) -> None:
    asked = {"to": LAST.isoformat(), "zone": "UTC"}
    week = carer.get("/api/v1/participants/P-01/week", params=asked).json()
    distress, rate, pressure = week["figures"]
    assert (distress["value"], distress["weeks"], rate["weeks"]) == (240_000, 1, 1)
    assert rate["value"] == pytest.approx(days(carer)["weeks"][0]["vitals"]["heart_rate"]["mean"])
    assert (pressure["value"], pressure["uncompared"]) == (None, "not_measured")
    assert week["sentence"] == "4 min of distress; heart rate 78."
    page = carer.get("/study/participants/P-01/days", params=asked).text
    assert all(text in page for text in (week["sentence"], distress["note"], week["days_sentence"]))
    assert page.count('class="week-line"') == 2, "on the day recorded, and in the legend"
    assert "Readings by emotion" not in page, "details come when somebody asks"


def test_heart_rate_in_distress_is_matched_as_in_an_analysis(carer: TestClient) -> None:
    found = days(carer)
    rows = {tuple(one["emotions"]): one for one in found["by_emotion"]}
    distress = rows["sadness", "anger", "fear"]
    assert distress["ms"] == rows["sadness",]["ms"] == 240_000
    assert distress["vitals"]["heart_rate"]["mean"] == pytest.approx(90.0)
    # The window of 10 s, and the lag of a heart rate, keep those at the turn out.
    assert 200 < distress["vitals"]["heart_rate"]["n"] < 240
    assert found["distress"].startswith(
        "While the face showed sadness, anger or fear (4 min): heart rate 90 per minute on average"
    )
    assert " per minute while neutral" in found["distress"]
    assert found["matched"] + found["ambiguous"] + found["unmatched"] == 600


def test_a_week_of_all_expressions_is_what_its_rows_give_one_by_one(
    ada: TestClient, tmp_path: Path
) -> None:
    path = database(tmp_path)
    study = consenting(path)
    rng = random.Random(7)
    stored: list[tuple[int, Emotion | None]] = []
    values: list[tuple[int, float]] = []
    for day in range(-6, 1):
        study.start_session(NewSession("P-01", Purpose.PERSONAL), instant(day * DAY_S))
        study.end_session(instant(day * DAY_S + 300))
        shown: list[Emotion | None] = []
        while len(shown) < 300:
            shown += [rng.choice((*Emotion, None))] * rng.randint(1, 25)
        # Seconds without a face, and a second face.
        seconds = [day * DAY_S + s for s in range(300) if rng.random() < 0.9]
        faces = [(s, shown[s - day * DAY_S]) for s in seconds]
        rates = [(s, 70 + rng.randrange(100) / 8) for s in seconds]
        others = [row(s, Emotion.FEAR, primary=False) for s in seconds[:50]]
        add(path, [*(row(*face) for face in faces), *others], [reading(*rate) for rate in rates])
        stored += faces
        values += rates
    found = days(ada)
    (week,) = found["weeks"]
    for emotion in (*Emotion, None):
        rows = sum(one is emotion for _, one in stored)
        assert week["emotions"][emotion or "uncertain"] == 1000 * rows > 0
    lag = int(VitalKind.HEART_RATE.spec.lag_s)
    means: dict[str, list[float]] = {emotion: [] for emotion in Emotion}
    counts = dict.fromkeys(("matched", "ambiguous", "unmatched"), 0)
    for at, value in values:
        window = [one for second, one in stored if at - lag - 10 < second <= at - lag]
        held = Counter(one for one in window if one is not None).most_common(1)
        if held and held[0][1] / len(window) >= 0.6:
            means[held[0][0]].append(value)
        counts["unmatched" if not window else "ambiguous"] += 1
    counts["matched"] = sum(map(len, means.values()))
    counts["ambiguous"] -= counts["matched"]
    assert {name: found[name] for name in counts} == counts
    assert min(counts.values()) > 0
    for one in found["by_emotion"][:-1]:
        own = means[one["emotions"][0]]
        mean = {"mean": pytest.approx(sum(own) / len(own), rel=1e-13), "n": len(own)}
        assert one["vitals"] == {"heart_rate": mean}


def test_the_page_says_the_same_and_leads_to_other_weeks(carer: TestClient) -> None:
    path = "/study/participants/P-01/days"
    asked = f"{path}?to={LAST}&zone=UTC"
    page = carer.get(f"{asked}&whole=yes").text
    found = days(carer)
    assert found["weeks"][0]["sentence"] in page and found["distress"] in page
    assert f"<title>P-01, {figures.day(date(2026, 9, 15))} to {figures.day(LAST)} ·" in page
    assert f'href="{path}?weeks=1&amp;to=2026-09-14&amp;zone=UTC" rel="prev"' in page
    assert f'href="{path}?weeks=4&amp;to={LAST}&amp;zone=UTC"' in page
    assert page.count('class="week-day"') == 7
    assert 'data-label="Week before">10 min</td>' in page, "a phone shows no head of the table"
    assert page.count('aria-label="Nothing was recorded."') == 6
    assert 'aria-label="Mostly neutral, sadness for 4 min; heart rate 78 per minute."' in page
    month = carer.get(f"{asked}&weeks=4").text
    assert month.count('class="week-day"') == 28
    assert "2 min of distress; heart rate 64." in month, "the week before, as on its own page"
    assert f"{path}" in carer.get("/study").text
    assert f"{path}" in carer.get("/study/participants/P-01").text
    assert f"{path}" in carer.get("/analysis").text, "where three people are needed"


def test_the_weeks_of_the_demonstration_differ(ada: TestClient, tmp_path: Path) -> None:
    path = database(tmp_path)
    evening = instant(5 * 3_600)
    seed_example_study(path, SimulatedPerson, seed=SEED, now=evening)
    seed_example_weeks(path, SimulatedPerson, seed=SEED, now=evening)
    found = days(ada, WEEKS_CODE)
    (week,) = found["weeks"]
    assert found["simulated"] and found["before"]["recorded_days"] == 7
    assert week["recorded_days"] == 7
    assert re.match(r"Heart rate \d+ per minute on average \(\d+ per minute", week["sentence"])
    assert re.search(r"mostly neutral, .*sadness for \d h .*anger for", week["sentence"])
    assert " per minute while neutral" in found["distress"]
    asked = {"to": LAST.isoformat(), "zone": "UTC"}
    glance = ada.get(f"/api/v1/participants/{WEEKS_CODE}/week", params=asked).json()
    assert glance["sentence"].startswith("More distress than usual: ")
    assert [one["change"] for one in glance["figures"]] == ["higher"] * 3


def test_days_are_those_of_the_zone(carer: TestClient) -> None:
    # 14:20 UTC is the next day in Kiritimati.
    here = days(carer, zone="Pacific/Kiritimati")["weeks"][0]["days"]
    assert [day["recorded_days"] for day in here] == [1, *[0] * 6], "that of a week before"
    later = days(carer, zone="Pacific/Kiritimati", to="2026-09-22")["weeks"][0]
    assert later["recorded_days"] == 1 and later["days"][-1]["first"] == "2026-09-22"
    # The clocks in Berlin went back on 25 October: a day of 25 hours.
    week = days(carer, zone="Europe/Berlin", to="2026-10-25")["weeks"][0]
    assert week["end"] - week["start"] == (7 * 24 + 1) * 3_600_000


def test_no_data_are_reported_plainly(carer: TestClient) -> None:
    empty = days(carer, to="2026-08-01")
    assert empty["weeks"][0]["sentence"] == "Nothing was recorded."
    assert empty["distress"] == "The face showed no sadness, anger or fear."
    page = carer.get("/study/participants/P-01/days?to=2026-08-01&zone=UTC").text
    assert "The latest session is of" in page
    assert f"?weeks=1&amp;to={LAST}&amp;zone=UTC" in page, "the link to its week"
    carer.post("/study/participants", data={"code": "P-03"})
    assert "P-03 has no session yet" in carer.get("/study/participants/P-03/days").text


def test_a_week_without_a_recording_has_no_difference(carer: TestClient) -> None:
    def differences(last: date) -> list[str]:
        page = carer.get(f"/study/participants/P-01/days?zone=UTC&to={last}&whole=yes").text
        return re.findall(r"[+−]\d+ (?:min|s)(?=</td>)", page)

    assert differences(LAST) == ["+2 min", "−2 min", "+2 min"], "distress, neutral, sadness"
    assert differences(LAST - timedelta(days=7)) == []


def test_weeks_read_with_another_prior_have_no_difference_of_expressions(
    carer: TestClient, database: Path
) -> None:
    def used(since_ms: int, prior: str) -> None:
        with write_transaction(database) as connection:
            write_model(
                connection, ModelUse("expression", "fast", "1", "aa", since_ms, 0, prior=prior)
            )

    used(START_MS - 30 * DAY_S * 1000, "data")
    assert days(carer)["reading_changed"] is None, "in use before both weeks"
    used(START_MS - 3 * DAY_S * 1000, "fitted")

    own = days(carer)
    assert own["reading_changed"] == own["latest"], "not when it came: others may tell by that"
    page = carer.get(f"/study/participants/P-01/days?to={LAST}&zone=UTC&whole=yes").text
    assert "Faces are read in another way since" in page
    assert re.findall(r"[+−]\d+ min(?=</td>)", page) == []
    assert "+14" in page, "readings do not depend on it"


def test_rows_that_are_deleted_are_named_and_readings_stay(
    carer: TestClient, database: Path
) -> None:
    with write_transaction(database) as connection:
        connection.execute("DELETE FROM expression WHERE at < ?", (START_MS,))
    found = days(carer)
    assert found["rows_kept_since"] == START_MS
    assert found["before"]["face_ms"] == 0
    assert found["before"]["vitals"]["heart_rate"]["n"] == 600
    page = carer.get(f"/study/participants/P-01/days?to={LAST}&zone=UTC&whole=yes").text
    assert "Rows of expressions from before" in page


@pytest.mark.parametrize(
    ("code", "words", "status", "why"),
    [
        ("P-09", "", 404, "There is no participant 'P-09'"),
        ("P-01", "zone=Mars/Base", 422, "'Mars/Base' is no known time zone"),
        ("P-01", "to=2999-01-01", 422, "to = 2999-01-01: this day is still to come"),
        ("P-01", "to=1969-01-01", 422, "to"),
        ("P-01", "to=today", 422, "to"),
        ("P-01", "weeks=60", 422, "weeks"),
    ],
)
def test_a_question_that_is_wrong_is_refused_with_a_reason(
    carer: TestClient, code: str, words: str, status: int, why: str
) -> None:
    answer = carer.get(f"/api/v1/participants/{code}/days?{words}")
    assert answer.status_code == status and why in answer.json()["detail"]
    assert carer.get(f"/study/participants/{code}/days?{words}").status_code == status


def test_only_those_see_it_who_may_see_participants(carer: TestClient) -> None:
    operator = log_in_as(carer, Role.OPERATOR)
    for path in ("/study/participants/P-01/days", "/api/v1/participants/P-01/days"):
        assert operator.get(path).status_code == 403
    assert "/days" not in operator.get("/study").text


def test_withdrawn_consent_is_the_first_line_wherever_the_person_is(carer: TestClient) -> None:
    sessions = carer.get("/api/v1/sessions").json()
    number = next(one["id"] for one in sessions if one["participant"] == "P-01")
    pages = {
        "/people": ">P-01</a></h2>",
        "/study/participants/P-01": "<article",
        "/study/participants/P-01/days?weeks=2": "<article",
        f"/study/sessions/{number}": "<article",
    }
    start = "/study?participant=P-01#session-title"
    assert start in carer.get("/people").text
    for page in pages:
        assert "Consent was withdrawn" not in carer.get(page).text
    carer.post("/study/participants/P-01/withdraw")
    assert start not in carer.get("/people").text
    for page, before in pages.items():
        first = carer.get(page).text.partition(before)[2].partition("<p ")[2]
        assert "Consent was withdrawn on" in first.partition("</p>")[0], page


def test_today_is_the_last_day_and_nothing_lies_ahead(carer: TestClient) -> None:
    page = carer.get("/study/participants/P-01/days?zone=UTC").text
    assert 'rel="next"' not in page
    today = datetime.fromtimestamp(now().wall_ms / 1000, UTC).date()
    assert (
        f"<title>P-01, {figures.day(today - timedelta(days=6))} to {figures.day(today)} ·" in page
    )
