"""Readings lost more in one state than in another: counted by person, and said with the result."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from dashboard.analysis.conclusions import Caution
from dashboard.analysis.inference.loss import (
    Losses,
    StateLoss,
    compare_doubts,
    compare_losses,
    losses_in_states,
)
from dashboard.analysis.query import AnalysisQuery, HeartMeasure, SkinMeasure
from dashboard.analysis.readings.series import CountedSeries
from dashboard.analysis.readings.states import ReadingGroup
from dashboard.analysis.rendering.answer import response_of
from dashboard.analysis.windows import ResponseWindow
from dashboard.questions.entry import Inquiry
from dashboard.questions.responses.answer import ResponsesQuery
from dashboard.questions.responses.computing import CurveMaterial, compare_windows
from dashboard.questions.responses.question import answer as answer_to
from edge_agent.core.measures import Measure
from edge_agent.core.readings import DOUBTED, VitalFlag, VitalReading
from edge_agent.core.study import AttributeUse, Purpose, Session
from edge_agent.core.vitals import VitalKind
from edge_agent.timeline.read.events import Event, EventKind
from edge_agent.timeline.study.exclusions import leave_out
from edge_agent.timeline.study.people import agree_to_attributes
from tests.support.analyses import analysed
from tests.support.timeline import Row, instant, reading, session_row, timeline

STATES = ("anger", "happiness", "neutral")
ORDERS = tuple(permutations(STATES))
LASTS = 110
APART_S = 1000
Sensor = Callable[[int, str, int], VitalFlag | bool]
"""By person, state and its second: a flag, or whether a reading comes."""


def study(
    folder: Path,
    sensor: Sensor,
    people: int = 6,
    kinds: Sequence[VitalKind] = (VitalKind.HEART_RATE,),
    apart: float = 0.0,
) -> Path:
    """Write a session for each person, of three states one after the other, in which the people
    differ by so much.
    """
    sessions: list[Row] = []
    readings: list[VitalReading] = []
    for person in range(people):
        start = APART_S * person
        order = ORDERS[person % len(ORDERS)]
        begins = [start + 10 + (LASTS + 40) * place for place in range(len(order))]
        shown = [(at, at + LASTS, label) for at, label in zip(begins, order, strict=True)]
        sessions.append(session_row(start, start + 500, *shown, participant=f"P{person}"))
        for at, label in zip(begins, order, strict=True):
            for second in range(-10, LASTS):
                found = sensor(person, label, second)
                if found is False:
                    continue
                flags = [found] if isinstance(found, VitalFlag) else []
                for kind in kinds:
                    value = {VitalKind.RR_INTERVAL: 0.9}.get(kind, 70.0)
                    value += (second * 7919 * (person + 2)) % 17 / (1000 if value < 1 else 10)
                    value += apart * (len(label) * (person + 1) % 11)
                    readings.append(reading(at + second + 0.5, value, kind, flags=flags))
    return timeline(folder, session=sessions, vital=readings)


def lost(*shares: float) -> Losses:
    return {code: StateLoss(share, share) for code, share in zip("ABCDE", shares, strict=False)}


def asked(path: Path, **question: object) -> AnalysisQuery:
    return AnalysisQuery.model_validate({"vital": ["heart_rate"], "sensitivity": False, **question})


def test_losses_are_compared_within_people_as_scipy_does() -> None:
    one = lost(0.2, 0.1, 0.25, 0.12, 0.5)
    two = lost(0.02, 0.05, 0.01, 0.0)
    none = lost(0.0, 0.0, 0.0, 0.0)
    unequal, equal, few = compare_losses([(one, two), (none, none), (lost(1.0), lost(0.0))])
    assert unequal is not None and equal is not None and few is None
    p = stats.ttest_rel([0.2, 0.1, 0.25, 0.12], [0.02, 0.05, 0.01, 0.0]).pvalue
    assert unequal.p == pytest.approx(2 * p, rel=1e-9), "Holm, of two pairs"
    assert (unequal.people, unequal.first, unequal.second) == pytest.approx((4, 0.1675, 0.02))
    assert unequal.is_unequal
    assert (equal.p, equal.is_unequal) == (1.0, False)


def test_loss_of_everybody_alike_is_as_sure_as_can_be() -> None:
    some, none = lost(0.05, 0.05, 0.05), lost(0.0, 0.0, 0.0)
    (found,) = compare_losses([(some, none)])
    assert found is not None and (found.p, found.is_unequal) == (0.0, True)


def test_readings_that_never_come_in_a_state_are_a_caution_with_its_size(tmp_path: Path) -> None:
    path = study(tmp_path, lambda _, state, second: state != "anger" or second % 5 > 0)
    found = {
        (one.first, one.second): one
        for one in analysed(path, sensitivity=False).answer.comparisons[:3]
    }
    lossy = found["anger", "neutral"]
    assert lossy.loss is not None
    # of the 100 s after the heart has settled, one reading in five
    assert (lossy.loss.first, lossy.loss.second, lossy.loss.people) == pytest.approx((0.2, 0.0, 6))
    assert Caution.UNEQUAL_LOSS in lossy.result.caution_codes
    assert lossy.bayes_factor is not None
    assert Caution.UNEQUAL_LOSS in lossy.bayes_factor.caution_codes
    calm = found["happiness", "neutral"]
    assert calm.loss is not None and not calm.loss.is_unequal
    assert Caution.UNEQUAL_LOSS not in calm.result.caution_codes
    answered = {(one.first, one.second): one for one in response_of(analysed(path)).comparisons[:3]}
    told = answered["anger", "neutral"].sentence
    assert (
        "Readings were lost, which may make or hide a difference: 20 % in anger, 0 % in neutral."
        in told
    )
    assert "Readings were lost" not in answered["happiness", "neutral"].sentence


def test_readings_in_doubt_in_one_state_are_a_caution(tmp_path: Path) -> None:
    def sensor(person: int, state: str, second: int) -> VitalFlag | bool:
        is_high = state == "anger" and (second + person) % 10 == 0
        return VitalFlag.OUT_OF_RANGE if is_high else True

    path = study(tmp_path, sensor)
    test, *_ = (
        one
        for one in analysed(path).answer.comparisons
        if (one.first, one.second) == ("anger", "neutral")
    )
    assert test.loss is not None and test.loss.first == pytest.approx(0.1)
    assert Caution.UNEQUAL_LOSS in test.result.caution_codes
    counted = analysed(path, count_flagged=["out_of_range"])
    assert not any(one.loss and one.loss.is_unequal for one in counted.answer.comparisons)


def test_people_with_estimates_alone_are_no_loss(tmp_path: Path) -> None:
    path = study(tmp_path, lambda person, *_: VitalFlag.ESTIMATED if person > 5 else True, 9)
    losses = [
        one.loss for one in analysed(path).answer.comparisons if one.vital is VitalKind.HEART_RATE
    ]
    assert [(one and one.people, one and one.first) for one in losses] == [(6, 0.0)] * 3


def test_complete_readings_and_stretches_left_out_have_no_caution(tmp_path: Path) -> None:
    path = study(tmp_path, lambda *_: True)
    for session in (1, 2, 3):
        start = APART_S * (session - 1) + 10
        span = (instant(start + 40).wall_ms, instant(start + 80).wall_ms)
        leave_out(path, session, span, reason="coughed", actor="ada")
    tests = analysed(path).answer.comparisons
    losses = [one.loss for one in tests if one.loss is not None]
    assert losses and all(abs(one.first) < 0.02 and not one.is_unequal for one in losses)


def test_measures_of_beats_and_skin_have_the_caution(tmp_path: Path) -> None:
    path = study(
        tmp_path,
        lambda person, state, second: state != "anger" or (second + person) % 4 > 0,
        kinds=(VitalKind.RR_INTERVAL, VitalKind.SKIN_CONDUCTANCE),
    )
    found = analysed(path, heart_measure=[HeartMeasure.SDNN], skin_measure=[SkinMeasure.SCR_COUNT])
    losses = {
        (one.first, one.second): one.loss
        for one in (*found.answer.heart_tests, *found.answer.skin_tests)
    }
    loss = losses["anger", "neutral"]
    assert loss is not None and loss.is_unequal and loss.first == pytest.approx(0.25, abs=0.02)
    (heart,) = (
        one for one in found.answer.heart_tests if (one.first, one.second) == ("anger", "neutral")
    )
    if heart.result.by is not None:
        assert Caution.UNEQUAL_LOSS in heart.result.caution_codes
    assert losses["happiness", "neutral"] is not None


def test_curves_with_bins_lost_after_one_event_say_so(tmp_path: Path) -> None:
    lossy = study(tmp_path, lambda _, state, second: state != "anger" or second % 4 > 0)
    query = ResponsesQuery.model_validate({"vital": ["heart_rate"]})
    found = {one.first: one for one in answer_to(Inquiry((("", lossy),), query)).tests}
    anger = found["anger"]
    assert anger.loss is not None and (anger.refused, anger.n) == (None, 6)
    # of the 30 s after the event every fourth
    assert (anger.loss.first, anger.loss.second) == pytest.approx((8 / 30, 0.0))
    assert anger.caution_codes == (Caution.UNEQUAL_LOSS,)
    assert "27 % after anger, 0 % after neutral." in anger.sentence
    happiness = found["happiness"]
    assert happiness.caution_codes == () and "Readings were lost" not in happiness.sentence


def test_windows_with_bins_lost_after_one_event_say_so() -> None:
    sessions = {
        number: Session(number, f"P{number}", Purpose.RESEARCH, "", 0, 300_000)
        for number in range(1, 7)
    }
    at_ms = 1000 * np.arange(300) + 500
    events, series = [], []
    for number, session in sessions.items():
        order = ("anger", "neutral") if number % 2 else ("neutral", "anger")
        times = {label: 60_000 + 120_000 * place for place, label in enumerate(order)}
        events += [Event(number, at, label) for label, at in times.items()]
        since = at_ms - times["anger"]
        kept = ~((since >= 5000) & (since < 20_000) & (at_ms // 1000 % 3 == 0))
        values = 70 + (at_ms // 1000 * 7919 * (number + 2)) % 17 / 10
        one = (session, VitalKind.HEART_RATE, "strap", at_ms[kept], values[kept])
        series.append(CountedSeries(*one, simulated=False))
    material = {EventKind.STIMULUS_START: CurveMaterial(sessions, series, events)}
    window = ResponseWindow(
        vital=VitalKind.HEART_RATE, event="anger", against="neutral", start=5, end=20
    )
    alone = window.model_copy(update={"against": ""})
    beside, of_baseline = compare_windows(material, (window, alone))
    for found in (beside, of_baseline):
        assert found.loss is not None
        assert (found.loss.first, found.loss.second) == pytest.approx((1 / 3, 0.0))
        assert found.caution_codes == (Caution.UNEQUAL_LOSS,)


Numbers = tuple[int, ...]
"""Of one state how many readings each person has."""


def compared_of(kind: VitalKind, anger: Numbers, elsewhere: Numbers) -> list[bool]:
    """Tell of anger and happiness beside neutral whether their losses are a caution."""
    numbers = {"anger": anger, "happiness": elsewhere, "neutral": elsewhere}
    seconds: dict[tuple[int, str, Measure], float] = {
        (person, state, kind): 120.0 for state in numbers for person in range(len(elsewhere))
    }
    groups = [
        ReadingGroup(f"P{person}", person, state, kind, frozenset(), False, n, 100.0 * n, 100.0)
        for state, own in numbers.items()
        for person, n in enumerate(own)
        if n
    ]
    losses = losses_in_states(groups, AnalysisQuery(vital=(kind,)), seconds)[kind]
    pairs = [(losses[state], losses["neutral"]) for state in ("anger", "happiness")]
    return [one is not None and one.is_unequal for one in compare_losses(pairs)]


@pytest.mark.parametrize("kind", [VitalKind.SYSTOLIC, VitalKind.HEART_RATE])
@pytest.mark.parametrize(
    ("anger", "elsewhere", "unequal"),
    [
        ((2, 1) * 6, (2,) * 12, [True, False]),
        ((4, 3, 3, 2) * 3, (4, 4, 5, 5) * 3, [True, False]),
        ((1, 0) * 6, (1,) * 12, [True, False]),
        # what differs by plan is no loss, where some of it is lost alike, too
        ((2,) * 12, (1,) * 12, [False, False]),
        ((1,) * 12, (2,) * 12, [False, False]),
        ((2, 2, 1, 2) * 3, (1, 1, 0, 1, 1, 1) * 2, [False, False]),
        ((4, 5) * 6, (5, 4) * 6, [False, False]),
    ],
)
def test_few_readings_lost_are_told_from_few_planned(
    kind: VitalKind, anger: Numbers, elsewhere: Numbers, unequal: list[bool]
) -> None:
    assert compared_of(kind, anger, elsewhere) == unequal


def test_few_readings_follow_the_length_of_a_state() -> None:
    kind = VitalKind.SYSTOLIC
    lengths = {"anger": 300.0, "happiness": 120.0, "neutral": 60.0}
    seconds: dict[tuple[int, str, Measure], float] = {
        (person, state, kind): one for state, one in lengths.items() for person in range(12)
    }
    groups = [
        ReadingGroup(f"P{person}", person, state, kind, frozenset(), False, n, 100.0 * n, 100.0)
        for (person, state, _), lasted in seconds.items()
        if (n := int(lasted / 50 + person % 3 / 2.5))
    ]
    losses = losses_in_states(groups, AnalysisQuery(vital=(kind,)), seconds)[kind]
    (found,) = compare_losses([(losses["anger"], losses["neutral"])])
    assert found is not None and not found.is_unequal


def test_doubt_in_few_readings_is_a_caution_whatever_its_p(tmp_path: Path) -> None:
    def cuff(person: int, state: str, second: int) -> VitalFlag | bool:
        if second not in (40, 80):
            return False
        in_doubt = state == "anger" and second == 80 and person < 3
        return VitalFlag.POOR_SIGNAL if in_doubt else True

    path = study(tmp_path, cuff, kinds=(VitalKind.SYSTOLIC,))
    found, *_ = analysed(path, vital=["systolic"]).answer.comparisons
    assert found.loss is not None and found.loss.p > 0.05
    assert found.loss.first == pytest.approx(0.25) and found.loss.is_unequal


@pytest.mark.parametrize("flag", sorted(DOUBTED))
def test_readings_that_a_cuff_doubts_count_and_are_a_caution(
    flag: VitalFlag, tmp_path: Path
) -> None:
    def cuff(person: int, state: str, second: int) -> VitalFlag | bool:
        if second not in (40, 60 + len(state) * person % 7, 80):
            return False
        return flag if state == "anger" and second == 80 else True

    path = study(tmp_path, cuff, kinds=(VitalKind.SYSTOLIC,))
    answer = response_of(analysed(path, vital=["systolic"]))
    found = {(one.first, one.second): one for one in answer.comparisons}
    anger = found["anger", "neutral"]
    assert anger.doubted is not None and anger.doubted.people == 6
    assert (anger.doubted.first, anger.doubted.second) == pytest.approx((1 / 3, 0.0))
    assert anger.result.caution_codes == (Caution.DOUBTED,), "none is lost"
    assert (
        "The device itself doubted readings, which may make or hide a difference: 33 % in anger, "
        "0 % in neutral." in anger.sentence
    )
    assert found["happiness", "neutral"].doubted is None
    assert sum(one.readings for one in answer.states) == 54, "each counts"


@pytest.mark.parametrize(("share", "is_warned"), [(0.1, False), (0.25, True)])
def test_doubt_alike_in_all_states_is_a_caution_from_a_fifth(share: float, is_warned: bool) -> None:
    some = [share + apart for apart in (-0.03, 0.0, 0.03)]
    other = [share + apart for apart in (0.02, -0.03, 0.0)]
    (found,) = compare_doubts([(lost(*some), lost(*other))])
    assert found is not None and found.is_unequal is is_warned


def in_arms(path: Path, people: int) -> Path:
    """Put every second person into another group."""
    for person in range(people):
        values = {"arm": "ab"[person % 2]}
        agree_to_attributes(path, f"P{person}", AttributeUse.HERE, actor=None, values=values)
    return path


@pytest.mark.parametrize("gone", [False, VitalFlag.CUFF_LOOSE])
def test_groups_that_lose_readings_in_a_state_say_so(
    gone: VitalFlag | bool, tmp_path: Path
) -> None:
    def sensor(person: int, state: str, second: int) -> VitalFlag | bool:
        is_gone = person % 2 and state == "anger" and (second + person) % 4 == 0
        return gone if is_gone else True

    path = in_arms(study(tmp_path, sensor, people=12, apart=0.5), 12)
    (found,) = response_of(analysed(path, vital=["heart_rate"], group="arm")).groups
    of = {(one.first_state, one.second_state): one for one in found.contrasts}
    told = of["anger", "neutral"]
    remark = told.doubted if gone else told.loss
    assert remark is not None and (remark.state, remark.people) == ("anger", 12)
    assert sorted((remark.first, remark.second)) == pytest.approx([0.0, 0.25], abs=0.01)
    assert told.caution_codes == ((Caution.DOUBTED if gone else Caution.UNEQUAL_LOSS),)
    assert "25 % in anger of b" in told.sentence and "0 % in anger of a" in told.sentence
    assert of[None, None].caution_codes == told.caution_codes, "anger is one of all states"
    assert of["happiness", "neutral"].caution_codes == ()


def test_groups_that_lose_alike_have_no_caution(tmp_path: Path) -> None:
    path = study(tmp_path, lambda person, _, s: (7 * s + person) % 20 > 0, 12, apart=0.5)
    in_arms(path, 12)
    (found,) = analysed(path, vital=["heart_rate"], group="arm").answer.groups
    assert found.contrasts and not any(one.caution_codes for one in found.contrasts)


def test_curves_and_windows_of_readings_that_a_device_doubts_say_so(tmp_path: Path) -> None:
    def sensor(_: int, state: str, second: int) -> VitalFlag | bool:
        return VitalFlag.BODY_MOVEMENT if state == "anger" and second % 3 == 0 else True

    query = ResponsesQuery.model_validate({"vital": ["heart_rate"]})
    inquiry = Inquiry((("", study(tmp_path, sensor)),), query)
    found = {one.first: one for one in answer_to(inquiry).tests}
    anger = found["anger"]
    assert anger.doubted is not None
    assert (anger.doubted.first, anger.doubted.second) == pytest.approx((1 / 3, 0.0), abs=0.02)
    assert anger.caution_codes == (Caution.DOUBTED,)
    assert "The device itself doubted readings" in anger.sentence
    assert "33 % after anger, 0 % after neutral." in anger.sentence
    assert found["happiness"].caution_codes == ()
