"""Responses of a study: which events count, who is compared, and what is refused."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from html import unescape
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from starlette.testclient import TestClient

from dashboard.__main__ import main as dashboard
from dashboard.questions.entry import Inquiry
from dashboard.questions.responses.answer import CurveRefusal, ResponsesModel, ResponsesQuery
from dashboard.questions.responses.question import answer as answer_to
from dashboard.questions.responses.report import report
from edge_agent.core.expression import Emotion
from edge_agent.core.readings import VitalReading
from edge_agent.core.vitals import VitalKind
from edge_agent.timeline.database.connection import write_transaction
from edge_agent.timeline.database.upgrade import migrate
from edge_agent.timeline.study.example_study import seed_example_study
from edge_agent.timeline.study.preregistrations import fingerprint
from edge_agent.vitals.simulated import SimulatedPerson
from tests.support.dashboard import client_of, set_up
from tests.support.studies import read_otherwise
from tests.support.timeline import Row, instant, reading, session_row, timeline

APART_S = 2000
BALANCED = tuple(permutations(("neutral", "anger")))
RISE = 6.0


def study(
    folder: Path,
    orders: Sequence[tuple[str, ...]],
    begins: Sequence[float] = (20, 120),
    missing: tuple[int, float, float] | None = None,
) -> Path:
    """Write a session for each order: a heart rate of 70, which rises after anger.

    Args:
        folder: of the database.
        orders: of each person, the labels of their events.
        begins: when these are in the session, seconds.
        missing: number of a person, and from when to when nothing was measured.
    """
    sessions: list[Row] = []
    readings: list[VitalReading] = []
    for person, order in enumerate(orders):
        start = person * APART_S
        events = [
            (start + at, start + at + 1, label) for at, label in zip(begins, order, strict=True)
        ]
        sessions.append(session_row(start, start + 200, *events, participant=f"P{person:02d}"))
        for second in range(200):
            if missing and missing[0] == person and missing[1] <= second < missing[2]:
                continue
            angry = [at for at, label in zip(begins, order, strict=True) if label == "anger"]
            rise = RISE if any(at <= second < at + 30 for at in angry) else 0.0
            value = 70.0 + person + rise + (second * 7919 * (person + 1)) % 13 / 10
            readings.append(reading(start + second + 0.5, value))
    return timeline(folder, session=sessions, vital=readings)


def answer(path: Path, **question: object) -> ResponsesModel:
    return answer_to(Inquiry((("", path),), ResponsesQuery.model_validate(question)))


def declare(path: Path, *lines: str, at: float = -60.0) -> None:
    """Preregister windows so many seconds after the made timeline began."""
    decided = {"people": 8, "stopping": "after 8 people", "windows": lines}
    document = json.dumps(decided)
    sha256 = fingerprint(instant(at).wall_ms, document)
    timeline(path, preregistration=[{"at": at, "document": document, "sha256": sha256}])


def test_responses_of_a_study_are_reported_with_their_test(tmp_path: Path) -> None:
    found = answer(study(tmp_path, BALANCED * 3))
    anger, neutral = found.curves
    assert (anger.event, neutral.event, anger.events) == ("anger", "neutral", 6)
    assert anger.n == (6,) * 35
    assert anger.peak.mean == pytest.approx(RISE, abs=1.3)
    (test,) = found.tests
    assert (test.n, test.p, test.shown) == (6, 2 / 64, True)
    assert "It is shown that they differ, not when." in test.sentence
    # no text of a test tells a time
    assert " s " not in test.sentence
    assert found.flips == 64
    assert found.is_exact
    assert test.effect is not None
    # 30 s of 30 after anger it is higher by RISE; the noise of the made readings is 0.4 /min.
    assert test.effect.difference == pytest.approx(RISE, abs=0.3)
    assert test.effect.low < test.effect.difference < test.effect.high
    assert test.effect.g_low < test.effect.g < test.effect.g_high
    assert "The mean difference over all points after the events is " in test.sentence


def test_responses_with_events_near_each_other_leave_both_out(tmp_path: Path) -> None:
    orders = [("neutral", "anger", "anger"), ("anger", "neutral", "neutral")] * 3
    found = answer(study(tmp_path, orders, begins=(20, 100, 130)))
    assert sum(one.overlapping for one in found.curves) == 12
    assert [one.events for one in found.curves] == [3, 3]
    assert "12 events are left out: others were nearer than 35 s." in found.notes


def test_responses_with_all_events_too_near_say_so_with_the_way(tmp_path: Path) -> None:
    path = study(tmp_path, BALANCED * 3, begins=(20, 32))
    found = answer(path)
    assert (found.curves, found.labels) == ((), {"neutral": 6, "anger": 6})
    near = found.too_near
    assert near is not None
    assert (near.events, near.within_s, near.nearest_s) == (12, 35.0, 12.0)
    assert near.sentence == (
        "All 12 events are left out because others are nearer than 35 s, the seconds before and "
        "after them together. The nearest are 12 s apart: choose 2 s before and 10 s after them, "
        "or less (--before 2 --after 10)."
    )
    assert near.sentence in " ".join(report(found).split())
    asked = answer(path, before=near.before, after=near.after)
    assert sum(one.events for one in asked.curves) == 12
    assert asked.too_near is None
    (tmp_path / "3").mkdir()
    three = answer(study(tmp_path / "3", BALANCED * 3, begins=(20, 22)))
    assert three.too_near is not None
    assert "They are at least 2 s apart, too near for a curve" in three.too_near.sentence


def test_responses_in_one_order_are_not_tested(tmp_path: Path) -> None:
    found = answer(study(tmp_path, [("neutral", "anger")] * 8))
    (test,) = found.tests
    assert test.refused is CurveRefusal.UNEQUAL_TIMES
    assert test.minutes_apart == pytest.approx(100 / 60)
    assert test.p is None
    assert "anger came 1.7 min later in the session than neutral on average" in test.sentence


def test_responses_with_a_gap_are_drawn_and_not_tested(tmp_path: Path) -> None:
    # P06 has no reading from 10 to 20 s after the first event
    path = study(tmp_path, [*BALANCED * 3, ("neutral", "anger")], missing=(6, 30, 40))
    found = answer(path)
    (test,) = found.tests
    assert test.with_gaps == ("P06",)
    assert test.n == 6
    assert "Left out because a curve has a gap: P06." in test.sentence
    neutral = found.curves[1]
    assert neutral.n[:15] == (7,) * 15
    assert neutral.n[15:25] == (6,) * 10
    assert "With gaps: 6 to 7 people at each point." in neutral.sentence


def test_responses_of_five_people_are_not_tested(tmp_path: Path) -> None:
    (test,) = answer(study(tmp_path, (BALANCED * 3)[:5])).tests
    assert test.refused is CurveRefusal.TOO_FEW


def test_responses_to_events_without_others_are_described(tmp_path: Path) -> None:
    found = answer(study(tmp_path, BALANCED * 3), event=["anger"], against="")
    assert found.tests == ()
    assert any(note.startswith("Nothing is tested") for note in found.notes)


def test_responses_of_a_cuff_say_which_window_it_needs(tmp_path: Path) -> None:
    path = study(tmp_path, BALANCED * 3)
    cuff = [reading(second, 120, VitalKind.SYSTOLIC) for second in range(5, 200, 45)]
    timeline(path, vital=cuff)
    found = answer(path, vital=["heart_rate", "systolic"])
    (unread,) = found.unread
    assert unread.step_s == 60
    assert "needs 60 s" in unread.sentence


PAIR = "heart_rate: anger - neutral, 5 to 20 s"


def test_declared_windows_are_paired_tests_of_one_family(tmp_path: Path) -> None:
    path = study(tmp_path, BALANCED * 4)
    assert answer(path).declared is None
    declare(path, PAIR, "heart_rate: anger, 0 to 2.5 s, baseline 10 s", "heart_rate: rest, 0 to 9")
    # The question asks for other events and another window: the declared ones stay what they are.
    found = answer(path, event=["neutral"], against="", after=60)
    pair, alone, none = found.windows
    by_label = {one.event: one.people for one in answer(path).curves}
    anger, neutral = (
        [np.mean(np.array(one.values[10:25], float)) for one in by_label[label]]
        for label in ("anger", "neutral")
    )
    expected = stats.ttest_rel(anger, neutral)
    assert (pair.n, pair.df, pair.step_s) == (8, 7, 1.0)
    assert pair.t == pytest.approx(expected.statistic, rel=1e-9)
    assert pair.p == pytest.approx(expected.pvalue, rel=1e-9)
    assert pair.first == pytest.approx(np.mean(anger), rel=1e-9)
    ci = expected.confidence_interval()
    assert (pair.low, pair.high) == pytest.approx((ci.low, ci.high), rel=1e-9)
    assert pair.rank_p == stats.wilcoxon(anger, neutral).pvalue == 2 / 2**8
    assert pair.p is not None and alone.p is not None
    assert sorted(filter(None, (pair.adjusted_p, alone.adjusted_p))) == pytest.approx(
        sorted([2 * min(pair.p, alone.p), max(pair.p, alone.p, 2 * min(pair.p, alone.p))])
    )
    # Bins 0.5 and 1.5 s; the middle of the third one, 2.5 s, is no longer in the window.
    assert alone.second is None and alone.g is None and alone.shown
    assert none.refused is CurveRefusal.NO_EVENTS
    assert "/min higher after anger than after neutral (95 % interval" in pair.sentence
    assert "paired t-test, 8 people, t(7) = " in pair.sentence
    assert "A drift over the session cannot be told from a response" in alone.sentence
    assert none.sentence.endswith("after rest: not tested. There is no curve.")


@pytest.mark.parametrize(
    ("at", "n", "told"),
    [
        (-60.0, 6, "Declared before the data, in preregistration 1, 21 Sept 2026, 14:19 UTC: 6 s"),
        (APART_S + 1.0, 4, "4 sessions with these events. Left out because they began earlier: 2"),
        (99.0 * APART_S, 0, "Only sessions that begin after it are tested; so far there are none"),
    ],
)
def test_declared_windows_are_tested_in_sessions_after_the_declaration(
    tmp_path: Path, at: float, n: int, told: str
) -> None:
    path = study(tmp_path, BALANCED * 3)
    declare(path, PAIR, at=at)
    found = answer(path, count_flagged=["estimated"])
    assert found.windows[0].n == n
    assert (found.windows[0].p is None) is (n == 0)
    assert found.declared is not None and told in found.declared.sentence
    assert "Count flagged: preregistered none, now estimated." in found.declared.sentence


def test_declared_windows_are_refused_as_curves_are(tmp_path: Path) -> None:
    path = study(tmp_path, [("neutral", "anger")] * 4, missing=(3, 30, 40))
    declare(path, PAIR, PAIR.replace("5 to 20", "0 to 5"), "systolic: anger, 0 to 9")
    timeline(path, vital=[reading(second, 120, VitalKind.SYSTOLIC) for second in range(5, 200, 45)])
    gap, uneven, cuff = answer(path).windows
    # P03 has no reading from 10 to 20 s after the first event: only the first window needs it.
    assert (gap.with_gaps, gap.n, uneven.with_gaps, uneven.n) == (("P03",), 3, (), 4)
    assert gap.refused is uneven.refused is CurveRefusal.UNEQUAL_TIMES
    assert "a drift over the session cannot be told from a response" in uneven.sentence
    assert (cuff.refused, cuff.step_s, cuff.p) == (CurveRefusal.TOO_SHORT, 60, None)


def test_windows_of_a_preregistration_that_was_changed_are_not_tested(tmp_path: Path) -> None:
    path = study(tmp_path, BALANCED * 3)
    declare(path, PAIR)
    with write_transaction(path) as connection:
        connection.execute("DROP TRIGGER preregistration_is_frozen")
        connection.execute("UPDATE preregistration SET at = at - 1")
    found = answer(path)
    assert found.declared is not None and found.windows == ()
    assert "Its windows are not tested." in found.declared.sentence


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example study of the demonstration."""
    path = tmp_path_factory.mktemp("example") / "affect-edge.db"
    migrate(path)
    seed_example_study(path, SimulatedPerson, seed=2026)
    return path


def test_example_study_shows_a_rise_after_anger_and_none_after_neutral(example: Path) -> None:
    found = answer(example)
    by_label = {one.event: one for one in found.curves}
    peaks = {label: one.mean_peak or 0.0 for label, one in by_label.items()}
    assert peaks[Emotion.ANGER] > 5
    assert peaks[Emotion.NEUTRAL] < 2
    shown = {one.first: one.shown for one in found.tests}
    assert shown == {Emotion.ANGER: True, Emotion.HAPPINESS: False}


def test_responses_over_two_sites_are_of_the_people_of_both(example: Path) -> None:
    found = answer_to(
        Inquiry((("hall", example), ("room", example)), ResponsesQuery(event=("anger",)))
    )
    assert len(found.participants) == 24
    assert found.participants[0] == "hall/SIM-01"
    alone = answer(example, event=["anger"])
    assert found.curves[0].mean == pytest.approx(alone.curves[0].mean, abs=1e-12)
    assert found.tests[0].n == 24
    assert not found.is_exact


def test_responses_page_of_the_example_shows_curves_in_words(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with client_of(tmp_path) as stranger:
        ada = set_up(stranger, tmp_path)
        seed_example_study(tmp_path / "affect-edge.db", SimulatedPerson, seed=2026)
        page = ada.get("/responses")
        assert page.status_code == 200
        assert "It is shown that they differ, not when." in page.text
        assert "All of these readings are simulated." in page.text
        # the page tells of a picture what its caption tells, peaks, bands and p
        sentence = re.findall(r'chart-sentence"[^>]*>([^<]+)<', page.text)[0]
        assert "Bands: 95 % CI of each point by itself" in sentence
        assert re.search(r"Peaks of the mean curves: anger \d.*: anger − neutral p = 0\.", sentence)
        assert page.text.count("<figure><svg") == 12
        curve, tests = (page.text.index(one) for one in ('id="response-', 'id="tests-title"'))
        assert curve < tests, "what is seen before what is said of it"
        assert "/responses?sample=selected&amp;session=1" in ada.get("/study/sessions/1").text
        own = ada.get("/responses?sample=selected&session=1")
        assert own.text.count("<figure><svg") == 1
        assert ada.get("/api/v1/responses?event=anger").json()["participants"][0] == "SIM-01"
        _check_refusals(ada)
        _check_windows(ada, tmp_path, capsys)


def test_responses_form_offers_six_labels_to_tick_and_others_in_a_list(tmp_path: Path) -> None:
    labels = [f"film {number}" for number in range(8)]
    begins = [20.0 + 60 * number for number in range(8)]
    events = [(at, at + 1, label) for at, label in zip(begins, labels, strict=True)]
    # the first six come twice: they are the commonest
    events += [(600 + at, 601 + at, labels[place]) for place, at in enumerate(begins[:6])]
    readings = [reading(second + 0.5, 70 + second % 5) for second in range(1200)]
    beats = [reading(second, 36.5, VitalKind.BODY_TEMPERATURE) for second in range(1200)]
    session = session_row(0, 1200, *events, participant="P01")
    timeline(tmp_path, session=[session], vital=[*readings, *beats])
    with client_of(tmp_path) as stranger:
        ada = set_up(stranger, tmp_path)
        page = ada.get("/responses").text
        ticks = re.findall(r'type="checkbox" name="event" value="([^"]+)"', page)
        assert ticks == labels[:6]
        listed = page[page.index('id="another-event"') :]
        assert re.findall(r'option value="([^"]*)"', listed)[:3] == ["", *labels[6:]]
        asked = ada.get("/responses?event=film+7&event=&vital=heart_rate&vital=body_temperature")
        assert asked.status_code == 200 and "Body temperature and heart rate around" not in page
        ticked = re.findall(r'value="([^"]+)" checked', asked.text)
        assert {"film 7", "heart_rate", "body_temperature"} == set(ticked)


def _check_windows(ada: TestClient, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Follow the link to the plan, freeze its windows, and find them on page and in the command."""
    asked = ["responses", "--data", str(folder)]
    assert dashboard(asked) == 0
    assert "No window is tested" in capsys.readouterr().out
    (link,) = re.findall(r'href="(/plan\?windows=[^"#]+)', ada.get("/responses").text)
    plan = ada.get(unescape(link)).text
    assert "heart_rate: anger - neutral, 0 to 30 s, baseline 5 s\n" in plan
    form = {"people": "12", "stopping": "then", "windows": "heart_rate: anger, 9 to 5 s\nno"}
    wrong = ada.post("/plan/preregistrations", data=form)
    assert wrong.status_code == 422
    assert "A window ends after it begins." in wrong.text
    assert "&#39;no&#39; is no window; write one as heart_rate: anger - neutral" in wrong.text
    made = ada.post("/plan/preregistrations", data=form | {"windows": f"{PAIR}\n\n"})
    assert f"<code>{PAIR}, baseline 5 s</code>" in ada.get(made.headers["location"]).text
    page = ada.get("/responses?event=happiness").text
    assert "Only sessions that begin after it are tested" in page
    assert "Declare a window" not in page
    assert dashboard(asked) == 0
    told = " ".join(capsys.readouterr().out.split())
    (one,) = ada.get("/api/v1/responses").json()["windows"]
    assert one["sentence"] in told and not one["shown"]


def _check_refusals(ada: TestClient) -> None:
    wrong = ada.get("/responses?before=0.1")
    assert wrong.status_code == 422
    assert "before = " in wrong.text
    assert ada.get("/api/v1/responses?sample=selected&session=99").status_code == 422


@pytest.mark.parametrize("measure", ["valence", "heart_rate"])
def test_curves_and_windows_across_a_change_of_model_say_so(measure: str, tmp_path: Path) -> None:
    path = study(tmp_path, BALANCED * 3)
    declare(path, f"{measure}: anger - neutral, 5 to 30 s")
    read_otherwise(path, 2.5 * APART_S)
    found = answer(path, vital=["heart_rate"])
    is_of_face = measure == "valence"
    assert (found.reading_changed_ms is not None) is is_of_face, "of a window alone, too"
    said = any(one.startswith("Faces are read in another way since") for one in found.notes)
    assert said is is_of_face
    assert (answer(path, vital=[measure]).reading_changed_ms is not None) is is_of_face
