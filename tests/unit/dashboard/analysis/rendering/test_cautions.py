"""What is said before and after the numbers, so that nobody takes nonsense for a finding."""

from __future__ import annotations

from itertools import permutations
from pathlib import Path

import pytest

from dashboard.analysis.analyse import analyse
from dashboard.analysis.conclusions import Caution, Conclusion
from dashboard.analysis.inference.checks import ClassifierByCard
from dashboard.analysis.query import AnalysisQuery, Sample, StateBy
from dashboard.analysis.rendering.answer import response_of
from dashboard.analysis.rendering.words import say, sentences
from dashboard.analysis.results import Notice
from dashboard.statistics.period import Recall
from edge_agent.core.expression import Emotion
from edge_agent.core.measures import ExpressionKind, MovementKind, RatingKind
from edge_agent.core.readings import VitalFlag
from edge_agent.core.vitals import VitalKind
from edge_agent.timeline.read.reader import Reader
from tests.support.analyses import analysed
from tests.support.script_studies import moved
from tests.support.studies import (
    DIASTOLIC,
    FOUR_PEOPLE,
    HEART,
    SYSTOLIC,
    States,
    add_session,
    heart,
    make_study,
)
from tests.support.timeline import reading, row, session_row, timeline

PEOPLE = {
    "P-1": heart(anger=75.0, happiness=70.0, neutral=70.5),
    "P-2": heart(neutral=78.0, anger=84.0, happiness=79.0),
    "P-3": heart(happiness=66.5, neutral=65.5, anger=71.0),
    "P-4": heart(anger=90.0, happiness=84.0, neutral=83.0),
}


def test_one_person_is_n_1_however_many_readings(tmp_path: Path) -> None:
    person: States = {
        state: {HEART: [70.0 + n % 7 for n in range(100)]}
        for state in ("anger", "happiness", "neutral")
    }
    found = analysed(make_study(tmp_path, {"P-1": person}))
    assert " ".join(response_of(found).warnings) == (
        "All 300 readings come from one person. That is n = 1, however many readings there are, "
        "and says nothing about people in general: at least 3 people are needed, and many more "
        "for a good answer."
    )
    assert found.answer.tests_computed == 0


def test_estimated_readings_among_measured_ones_are_never_silent(tmp_path: Path) -> None:
    path = make_study(tmp_path, PEOPLE)
    add_session(path, "P-5", heart(anger=80.0, neutral=70.0), flags=[VitalFlag.ESTIMATED])
    left_out = analysed(path)
    assert (
        left_out.answer.readings,
        left_out.answer.estimated_readings,
        left_out.answer.estimated_left_out,
    ) == (12, 0, 2)
    assert response_of(left_out).cautions[0] == (
        "2 estimated readings are left out: an estimate, such as the camera’s pulse, is not a "
        "measurement and counts only if you select it."
    )
    assert response_of(analysed(path, estimated=True)).warnings[0] == (
        "Estimated and measured readings are mixed: 2 of 14 are estimates, not measurements. "
        "Select sessions whose readings are all measured, or all estimated."
    )
    assert response_of(analysed(path, sample="selected", session=[5], estimated=True)).warnings[
        0
    ] == ("All of these readings are estimates, not measurements. The tests compare the estimates.")


def test_movements_of_different_programs_are_a_warning(tmp_path: Path) -> None:
    database = tmp_path / "affect-edge.db"
    moved(database)
    question = AnalysisQuery(vital=(MovementKind.SMILE,), states=("neutral", "happiness"))
    (warning,) = response_of(analyse(Reader(database), question)).warnings
    assert "different programs: OpenFace (1 person) and this appliance (6 people)" in warning
    of_one = question.model_copy(update={"sample": Sample.SELECTED, "session": (2, 3, 4, 5)})
    assert response_of(analyse(Reader(database), of_one)).warnings == ()


def test_measures_of_the_face_and_ratings_have_their_caution(tmp_path: Path) -> None:
    database = tmp_path / "affect-edge.db"
    moved(database)
    kinds = (ExpressionKind.ANGER, MovementKind.SMILE, RatingKind.SAM_VALENCE)
    answered = response_of(analyse(Reader(database), AnalysisQuery(vital=kinds)))
    codes = (Notice.EXPRESSIONS, Notice.MOVEMENTS, Notice.RATINGS)
    assert answered.caution_codes[:3] == codes
    said = answered.cautions[0]
    assert said.startswith("Probabilities, valence and labelled time are what the classifier says")
    assert said.endswith("An own neutral shifts none of them.")
    assert not {*codes} & {*response_of(analyse(Reader(database), AnalysisQuery())).caution_codes}


def test_a_fixed_order_is_named(tmp_path: Path) -> None:
    made = {
        f"P-{n}": heart(neutral=70.0 + n * n, happiness=71.0 + n, anger=75.0 - n) for n in range(4)
    }
    path = make_study(tmp_path, made)
    assert response_of(analysed(path)).cautions[0] == (
        "All 4 people went through the states in the same order (neutral, happiness, anger). A "
        "difference may come from the order: habituation, fatigue or the previous state. "
        "Balance the order between participants."
    )
    add_session(path, "P-9", heart(anger=75.0, happiness=70.0, neutral=70.5))
    assert (
        response_of(analysed(path))
        .cautions[0]
        .startswith("4 of 5 people went through the states in the same order")
    )


def test_caution_open_session_says_that_numbers_will_change(tmp_path: Path) -> None:
    path = make_study(tmp_path, PEOPLE)
    timeline(path, session=[session_row(5 * 3600, None, participant="P-1")])
    text = "A session is still open: the numbers will change. Draw conclusions when it has ended."
    assert text in response_of(analysed(path)).cautions


def test_uneven_states_are_named(tmp_path: Path) -> None:
    path = make_study(tmp_path, PEOPLE)
    for number in range(4):
        add_session(path, f"Q-{number}", {"anger": {HEART: [80.0 + number] * 9}})
    said = response_of(analysed(path)).cautions
    assert (
        "Heart rate: the states have uneven numbers of people (4 in neutral, 4 in happiness, 8 in "
        "anger). People are seldom missing from a state by chance."
    ) in said
    assert (
        "Heart rate: the states have uneven numbers of readings per person (1 in neutral, 1 in "
        "happiness, 5 in anger). The mean of few readings is less precise."
    ) in said


def test_warning_few_matched_readings_names_their_share(tmp_path: Path) -> None:
    path = make_study(tmp_path, {"P-0": {}, "P-1": {}})
    timeline(path, expression=[row(20, Emotion.ANGER)], vital=[25, 500, 600, 700])
    answer = response_of(analysed(path, state="observed"))
    assert answer.warning_codes[-1] is Notice.FEW_MATCHED
    assert answer.warnings[-1].startswith(
        "Only 25 % of the readings could be matched to an emotion. They are not a random selection"
    )


def test_analysis_by_report_uses_the_last_report_of_each_stimulus(tmp_path: Path) -> None:
    path = make_study(tmp_path, PEOPLE)
    # of the first stimulus of each session; P-1 reports another emotion than shown
    for session, said in ((1, "neutral"), (2, "neutral"), (3, "none")):
        at = 3600 * (session - 1) + 100
        report = {"session": session, "at": at, "scale": "emotion", "value": said}
        timeline(path, self_report=[report])
    found = analysed(path, state="reported")
    assert [(mean.participant, mean.state, mean.mean) for mean in found.means] == [
        ("P-1", Emotion.NEUTRAL, 75.0),
        ("P-2", Emotion.NEUTRAL, 78.0),
    ]
    assert (found.answer.unreported, found.answer.other_states) == (9, {"none": 1})
    assert (
        "The participants gave no self-report for 9 stimuli; their readings are left out."
        in response_of(found).cautions
    )
    assert "the last report before the next stimulus" in sentences("method", "method", found)[0]


def in_every_order(folder: Path) -> Path:
    """Return six people who met the states in six orders: the heart differs clearly, systolic
    pressure hardly, diastolic not.
    """
    people = {}
    noise = (0.0, 1.1, -0.7, 0.4, -1.3, 0.8, 0.2, -0.5)
    for number, order in enumerate(permutations(("anger", "happiness", "neutral"))):
        people[f"P-{number}"] = {
            state: {
                HEART: [70.0 + number + 5 * (state == "anger") + noise[(number + place) % 8]],
                SYSTOLIC: [
                    120.0 - number + 1.6 * (state == "anger") + noise[(2 * number + 3 * place) % 8]
                ],
                DIASTOLIC: [80.0 + noise[(3 * number + 5 * place) % 8]],
            }
            for place, state in enumerate(order)
        }
    return make_study(folder, people)


@pytest.mark.parametrize("correction", ["holm", "benjamini_hochberg"])
def test_all_states_verdict_is_adjusted_over_the_vitals(tmp_path: Path, correction: str) -> None:
    found = analysed(in_every_order(tmp_path), correction=correction)
    told = response_of(found).all_states
    assert not any(one.uneven for one in told)
    heart_p, systolic_p, diastolic_p = (one.p or 0.0 for one in told)
    assert heart_p < 0.05 / 3 < systolic_p < 0.05 < diastolic_p
    # By hand: Holm (1979) and Benjamini and Hochberg (1995) of three p values in rising order.
    by_hand = {
        "holm": [3 * heart_p, 2 * systolic_p, max(2 * systolic_p, diastolic_p)],
        "benjamini_hochberg": [3 * heart_p, 1.5 * systolic_p, diastolic_p],
    }[correction]
    assert [one.adjusted_p for one in told] == pytest.approx(by_hand)
    assert told[0].sentence.startswith(
        "Heart rate differed between the three states overall (6 people, F = "
    )
    assert told[1].sentence.startswith(
        "Systolic pressure did not differ significantly between the three states overall"
    )


def test_all_states_with_an_uneven_order_are_described_only(tmp_path: Path) -> None:
    found = analysed(make_study(tmp_path, FOUR_PEOPLE), vital=("heart_rate", "systolic"))
    first, second = response_of(found).all_states
    assert first.uneven and (first.adjusted_p or 1.0) < 0.05
    assert first.sentence.startswith("Heart rate between the three states overall: 4 people, F = ")
    assert first.sentence.endswith("This ignores time in the session, so it only describes.")
    assert second.sentence == (
        "Systolic pressure, all three states at once: no test. It needs at least 3 people with "
        "readings in all three states; there are 0."
    )


def test_variability_short_recording_gives_a_reason_instead_of_values(tmp_path: Path) -> None:
    beats = [0.8 + 0.02 * (n % 3) for n in range(100)]
    people = {
        "P-1": {
            "anger": {VitalKind.RR_INTERVAL: beats},
            "neutral": {VitalKind.RR_INTERVAL: beats[:20]},
        }
    }
    path = make_study(tmp_path, people)
    analysis = analysed(path)
    without = response_of(analysis).variability[0]
    assert (without.rmssd_ms, without.beats, without.rejected) == (None, None, None)
    assert "at least 60 s" in without.reason
    found = analysis.answer.variability
    assert [(one.state, one.sessions) for one in found] == [
        (Emotion.NEUTRAL, 0),
        (Emotion.ANGER, 1),
    ]
    assert say("beside", "variability", found).startswith(
        "1 of 2 recordings (one state in one session) give values from the intervals between "
        "beats. 1 of them is shorter"
    )
    timeline(path, self_report=[{"at": 20, "scale": "emotion", "value": "happiness"}])
    assert [one.state for one in analysed(path, state="reported").answer.variability] == [
        Emotion.HAPPINESS
    ]


CALM = {"P": (70.0, 71.0), "Q": (64.0, 66.5), "R": (81.0, 80.0), "S": (75.5, 77.0)}


CHANGED = (
    "Heart rate: 4 people lack anger, and they differ from the 4 who have it: happiness − "
    "neutral was 10.4 /min higher (Welch, Holm p < 0.001). Comparisons with anger describe only "
    "the people who have it; do not take them for an effect in everybody."
)
ALIKE = (
    "Heart rate: 4 people lack anger. They did not differ significantly from the 4 who have it "
    "in neutral, happiness and happiness − neutral (smallest Holm p = 1.000), but so few people "
    "can hide a difference; find out why they lack it."
)


@pytest.mark.parametrize(
    ("missing", "text"),
    [
        # R 4.2.2: p.adjust of t.test of both states and their difference: 0.874, 0.167, 0.00053
        ({"T": (70.0, 82.0), "U": (66.0, 75.0), "V": (78.5, 92.0), "W": (73.0, 84.0)}, CHANGED),
        ({"T": (70.0, 72.0), "U": (66.0, 65.0), "V": (78.5, 80.0), "W": (73.0, 75.0)}, ALIKE),
    ],
    ids=["strong reactions", "like the others"],
)
def test_who_lacks_a_state_is_compared_with_who_has_it(
    tmp_path: Path, missing: dict[str, tuple[float, float]], text: str
) -> None:
    people = {
        code: heart(neutral=n, happiness=h, anger=75.0 + n / 9) for code, (n, h) in CALM.items()
    }
    people |= {code: heart(neutral=n, happiness=h) for code, (n, h) in missing.items()}
    analysis = analysed(make_study(tmp_path, people))
    assert text in (*response_of(analysis).warnings, *response_of(analysis).cautions)
    assert (text in response_of(analysis).warnings) == (text is CHANGED)


def angry_faces(folder: Path, faster: float = 10.0) -> Path:
    """Make a study of three people whose heart is faster while the face is angry."""
    path = make_study(folder, {f"P-{n}": {} for n in range(3)})
    for person in range(3):
        start = 3600.0 * person
        emotions = [Emotion.ANGER] * 60 + [Emotion.NEUTRAL] * 60
        fast = reading(start + 60, 70.0 + faster + person**2)
        slow = reading(start + 120, 70.0 + person)
        rows = [row(start + second, shown) for second, shown in enumerate(emotions, start=20)]
        timeline(path, expression=rows, vital=[fast, slow])
    return path


def test_the_first_sentence_by_observed_emotion_calls_it_an_association(tmp_path: Path) -> None:
    comparison = response_of(analysed(angry_faces(tmp_path), state="observed")).comparisons[0]
    assert comparison.sentence.startswith(
        "Heart rate was 10.7 /min higher in anger than in neutral (95 % CI 7.8 to 13.5; 3 people, "
        "paired t(2) = 16.00, Holm p = 0.004, g = 3.76), an association, not a proven effect. Time "
        "in the session may explain it: in 3 of 3 people, anger was seen mostly before neutral. "
    )
    assert "N = 3, an association, not a proven effect. Time in the session" in comparison.apa


def misread(anger: float, neutral: float) -> ClassifierByCard:
    """Return a classifier that reads these shares of 500 faces in each of two states rightly."""
    recalls = {Emotion.ANGER: Recall(anger, 500), Emotion.NEUTRAL: Recall(neutral, 500)}
    return ClassifierByCard("m 1", recalls)


OBSERVED = AnalysisQuery(vital=(HEART,), state=StateBy.OBSERVED, sensitivity=False)


@pytest.mark.parametrize(
    ("face", "text"),
    [
        # By hand: 0.505 is left; Wilson's limits of 0.7 and 0.8, square-and-add: 0.450 to 0.556
        (
            misread(0.7, 0.8),
            "Misread faces may have hidden a difference: as little as 45 % of it may be left.",
        ),
        (None, "Misread faces may have hidden a difference: no model card says how much of it is"),
        (misread(0.95, 0.95), ""),
    ],
    ids=["half", "unknown", "little"],
)
def test_no_difference_says_that_misread_faces_may_have_hidden_one(
    tmp_path: Path, face: ClassifierByCard | None, text: str
) -> None:
    found = analyse(Reader(angry_faces(tmp_path, faster=0.0)), OBSERVED, face)
    comparison = response_of(found).comparisons[0]
    assert comparison.result.conclusion is Conclusion.NOT_SHOWN
    assert comparison.result.caution_codes == ((Caution.MISREAD,) if text else ())
    for told in (comparison.claim, comparison.sentence, comparison.apa):
        assert ("Misread" in told, text in told) == (bool(text), True)


def test_misread_faces_hide_neither_what_is_shown_nor_what_is_not_tested(tmp_path: Path) -> None:
    found = analyse(Reader(angry_faces(tmp_path)), OBSERVED, misread(0.7, 0.8))
    shown, untested = found.answer.comparisons[:2]
    assert shown.result.caution_codes == (Caution.ASSOCIATION, Caution.TIME)
    assert (untested.result.by, untested.result.caution_codes) == (None, ())


@pytest.mark.parametrize("faster", [0.0, 10.0], ids=["told with the result", "not told"])
def test_an_unknown_share_is_reported_once(tmp_path: Path, faster: float) -> None:
    said = response_of(analyse(Reader(angry_faces(tmp_path, faster)), OBSERVED)).cautions
    stands = any(text.startswith("Anger and neutral: no model card") for text in said)
    assert stands == bool(faster)


def test_how_often_faces_are_misread_stands_beside_the_caution(tmp_path: Path) -> None:
    found = analyse(Reader(angry_faces(tmp_path, faster=0.0)), OBSERVED, misread(0.7, 0.8))
    told = response_of(found)
    assert any("m 1 reads 70 % of 500 faces in anger" in text for text in told.cautions)
    read = told.comparisons[0].misreading
    assert read is not None and read.first is not None and read.second is not None
    assert (read.model, read.first.share, read.second.share) == ("m 1", 0.7, 0.8)


def test_other_windows_and_lags_are_tried_where_asked_for(tmp_path: Path) -> None:
    path = angry_faces(tmp_path)
    found = analysed(path, state="observed", sensitivity=True)
    assert len(found.answer.sensitivity) == len(found.answer.comparisons) == 9
    assert found.answer.sensitivity[0].conclusion is Conclusion.HIGHER
    assert response_of(found).sensitivity[0].sentence == (
        "Heart rate, anger and neutral: a rise under all 9 windows and lags."
    )
    assert analysed(path, state="observed", sensitivity=False).answer.sensitivity == ()
    assert len(analysed(path, state="observed").answer.sensitivity) == 9
    assert analysed(path, sensitivity=True).answer.sensitivity == ()
