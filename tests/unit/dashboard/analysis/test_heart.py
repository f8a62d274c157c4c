"""Heart-rate variability: artefacts, measures, runs of beats, tests; and change from baseline."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.simulated.ectopic import (
    KINDS,
    SPOILT,
    errors,
    ours,
    rhythm,
    with_ectopic,
    with_extra,
    with_missed,
)
from dashboard.analysis.analyse import Analysis, analyse
from dashboard.analysis.conclusions import Caution
from dashboard.analysis.inference.heart import recordings_of, variability_by_state
from dashboard.analysis.query import AnalysisQuery, Design, HeartMeasure, Outcome
from dashboard.analysis.readings.means import find_baselines
from dashboard.analysis.rendering.answer import response_of
from dashboard.analysis.rendering.tables import bundle_tables
from dashboard.analysis.rendering.words import say
from dashboard.analysis.results import HeartTestModel, VariabilityModel
from dashboard.statistics.distributions import Values
from dashboard.statistics.heart import (
    HIGH_HZ,
    LOW_HZ,
    ArtefactError,
    Corrections,
    HeartVariability,
    NoBreathError,
    breaths_per_minute,
    correct_beats,
    heart_variability,
    ln_rmssd,
    spectrum,
)
from dashboard.statistics.samples import TooShortError
from dashboard.statistics.t_tests import Method, hedges_g, paired_t
from edge_agent.core.expression import Emotion
from edge_agent.core.vitals import VitalKind
from edge_agent.timeline.read.observed import Beats
from edge_agent.timeline.read.reader import Reader
from tests.support.studies import HEART, add_session, make_study
from tests.support.timeline import reading, session_row, timeline

SECONDS = [0.8, 0.81, 0.79, 0.8, 0.82, 0.79] * 3  # 14 s


STEADY = [0.8, 0.82, 0.8, 0.78] * 25  # 80 s


def beats(
    values: Sequence[float],
    *,
    start_s: float = 0.0,
    state: str = "anger",
    code: str = "a",
    lost: int | None = None,
    session: int = 1,
) -> Beats:
    """Intervals of one participant, each measured at its end.

    The one at place ``lost`` without contact.
    """
    at = np.round(1000 * (start_s + np.cumsum(values))).astype(np.int64)
    flags = tuple("simulated contact_lost" if place == lost else "" for place in range(len(values)))
    return Beats(code, state, at, np.array(values), flags, simulated=False, session=session)


def by_state(parts: Sequence[Beats]) -> tuple[VariabilityModel, ...]:
    return variability_by_state(recordings_of(parts))


def of_recording(part: Beats) -> HeartVariability:
    (recording,) = recordings_of([part]).values()
    return recording.variability


RHYTHM = np.round(800 + 40 * np.sin(np.arange(200) * 0.9) + 7 * np.cos(np.arange(200) * 2.3)) / 1000


def rmssd(values: Values) -> float:
    """Task Force of the ESC and the NASPE 1996, by hand: 1 / (n - 1) Σ (x - x before)²."""
    return 1000 * math.sqrt(float(np.mean(np.diff(values) ** 2)))


def test_a_missed_beat_is_inserted_and_touches_no_measure() -> None:
    missed = np.concatenate([RHYTHM[:100], [RHYTHM[100] + RHYTHM[101]], RHYTHM[102:]])
    found = correct_beats([missed])
    assert found.corrections == Corrections(ectopic=0, missed=1, extra=0, misplaced=0)
    assert len(found.intervals) == 200
    assert list(np.flatnonzero(~found.measured)) == [100, 101]


def test_an_extra_beat_is_deleted_and_its_interval_is_whole_again() -> None:
    parts = np.array([0.45, 0.55]) * RHYTHM[100]
    found = correct_beats([np.concatenate([RHYTHM[:100], parts, RHYTHM[101:]])])
    assert found.corrections == Corrections(ectopic=0, missed=0, extra=1, misplaced=0)
    assert found.intervals == pytest.approx(RHYTHM)


@pytest.mark.parametrize("early", [0.25, -0.25])
def test_a_beat_that_comes_early_or_late_takes_both_of_its_intervals(early: float) -> None:
    moved = RHYTHM.copy()
    moved[100] -= early
    moved[101] += early
    found = correct_beats([moved])
    assert found.corrections == Corrections(ectopic=1, missed=0, extra=0, misplaced=0)
    assert list(np.flatnonzero(~found.measured)) == [100, 101]
    assert found.intervals[100] == pytest.approx(RHYTHM[100], abs=0.06)


def test_a_rhythm_without_artefacts_is_left_as_it_is() -> None:
    found = heart_variability([RHYTHM])
    assert (found.n, found.successive, found.share_corrected) == (200, 199, 0.0)
    assert found.rmssd_ms == pytest.approx(rmssd(RHYTHM))
    assert found.sdnn_ms == pytest.approx(float(np.std(1000 * RHYTHM, ddof=1)))
    assert found.ln_rmssd == ln_rmssd(found.rmssd_ms) == pytest.approx(math.log(rmssd(RHYTHM)))


def test_variability_of_beats_with_errors_has_limits() -> None:
    errors = np.full(200, 0.008)
    clean = heart_variability([RHYTHM], [errors])
    assert clean.rmssd_limits is not None and clean.sdnn_limits is not None
    # Errors of 8 ms alone give sqrt(2.5) * 10.03 = 15.9 ms.
    middle = sum(one**2 for one in clean.rmssd_limits) / 2
    assert middle == pytest.approx(clean.rmssd_ms**2 - 15.9**2, rel=0.05)
    assert clean.sdnn_limits[0] < clean.sdnn_ms
    # Independent errors alone give sqrt(2) * 10.03 = 14.2 ms.
    assert clean.own_rmssd_ms == pytest.approx(math.sqrt(clean.rmssd_ms**2 - 14.2**2), rel=0.01)
    assert clean.ln_rmssd == math.log(clean.own_rmssd_ms)
    assert clean.own_sdnn_ms < clean.sdnn_ms
    # Larger than what was measured: the middle of the limits.
    wide = heart_variability([RHYTHM], [np.full(200, 0.2)])
    assert wide.rmssd_limits is not None
    assert wide.own_rmssd_ms == sum(wide.rmssd_limits) / 2 > 0
    missed = np.concatenate([RHYTHM[:100], [RHYTHM[100] + RHYTHM[101]], RHYTHM[102:]])
    # What is corrected is in no measure, so neither is its error.
    gone = np.where(np.arange(199) == 100, np.nan, 0.008)
    assert heart_variability([missed], [gone]).rmssd_limits is not None
    assert heart_variability([RHYTHM], [np.where(np.arange(200) == 5, np.nan, 0.008)]) == (
        heart_variability([RHYTHM])
    )


def test_variability_of_an_armband_has_its_limits_in_table_and_bundle(tmp_path: Path) -> None:
    path = tmp_path / "affect-edge.db"
    values = np.tile(RHYTHM, 2)
    ends = 20 + np.cumsum(values)
    sessions = [session_row(0, 400, (20, 360, "anger"), participant="P01")]
    readings = [
        replace(reading(float(at), float(one), VitalKind.RR_INTERVAL, "ble:sense"), error=0.008)
        for at, one in zip(ends, values, strict=True)
    ]
    timeline(path, session=sessions, vital=readings)
    found = analyse(Reader(path), AnalysisQuery(states=("neutral", "anger")))
    (one,) = found.answer.variability
    assert one.rmssd_ms is not None
    assert one.rmssd_low_ms is not None and one.rmssd_high_ms is not None
    assert one.rmssd_low_ms < one.rmssd_high_ms < one.rmssd_ms
    (row,) = csv.DictReader(io.StringIO(bundle_tables(found)["heart_measure.csv"]))
    assert float(row["low"]) == pytest.approx(math.log(one.rmssd_low_ms))
    assert "95 % limits" in say("beside", "variability", found.answer.variability)


def test_band_of_beats_that_are_mostly_corrected_needs_no_rmssd_for_limits() -> None:
    # 62 s without a break, of which less than a minute is measured: a band has a number.
    values = np.resize(RHYTHM, 78).copy()
    values[[20, 40]] -= 0.25
    values[[21, 41]] += 0.25
    (recording,) = recordings_of([beats(values.tolist())]).values()
    with pytest.raises(TooShortError):
        _ = recording.variability
    assert recording.value(HeartMeasure.LN_HF) > 0
    assert recording.limits(HeartMeasure.LN_HF) == (None, None)


def test_less_than_a_minute_gives_no_number_but_says_how_much_is_needed() -> None:
    with pytest.raises(
        TooShortError, match="at least 60 s of intervals between beats; there are 14"
    ):
        heart_variability([SECONDS])
    with pytest.raises(TooShortError, match="there are 0"):
        heart_variability([])


def test_too_many_corrected_beats_give_no_number_and_no_sensor_is_blamed() -> None:
    rng = np.random.default_rng(2)
    fibrillation = rng.uniform(0.4, 1.3, 300)
    counts = r"\d+ early or late, \d+ missed, \d+ extra, \d+ misplaced"
    with pytest.raises(ArtefactError, match=f"of 300 beats do not fit .*{counts}") as refused:
        heart_variability([fibrillation])
    assert "with up to 20% of them" in str(refused.value)
    assert "sensor" not in str(refused.value)
    assert "the heart's own rhythm" in str(refused.value)


def test_each_participant_and_state_has_its_own_measures_or_reason_why_not() -> None:
    calm = beats(STEADY)
    brief = beats(SECONDS, state="neutral", start_s=100)
    other = beats(STEADY, state="Neutral", code="b")
    found = by_state([calm, brief, other])
    assert [(one.participant, one.state) for one in found] == [
        ("a", Emotion.NEUTRAL),
        ("a", Emotion.ANGER),
        ("b", Emotion.NEUTRAL),
    ]
    assert (found[0].sessions, found[0].refused) == (0, 1) and "there are 14" in found[0].reasons[0]
    own = heart_variability([STEADY])
    assert (found[1].sessions, found[1].rmssd_ms, found[1].refused) == (1, own.rmssd_ms, 0)


def two_sessions(first: float, second: float, seconds: float) -> list[Beats]:
    """Return one state of two sessions at the given mean intervals, each as long as ``seconds``."""
    rng = np.random.default_rng(5)
    return [
        beats(rng.normal(mean, 0.023, round(seconds / mean)).tolist(), session=number)
        for number, mean in enumerate((first, second), start=1)
    ]


def test_variability_several_sessions_is_averaged_over_them() -> None:
    parts = two_sessions(0.75, 0.95, 340)
    (found,) = by_state(parts)
    # The definitions of the Task Force (1996), by NumPy, of each session.
    spread = [1000 * float(np.std(part.values, ddof=1)) for part in parts]
    change = [rmssd(part.values) for part in parts]
    assert max(spread) < 25
    assert 1000 * float(np.std(np.concatenate([part.values for part in parts]))) > 100
    assert found.sdnn_ms == pytest.approx(float(np.mean(spread)))
    assert found.rmssd_ms == pytest.approx(float(np.mean(change)))
    assert found.ln_rmssd == pytest.approx(float(np.mean(np.log(change))))
    assert found.beats == sum(len(part.values) for part in parts)
    assert found.seconds == pytest.approx(sum(float(part.values.sum()) for part in parts))
    assert (found.ultra_short, found.rejected) == (0, 0.0)


def test_variability_two_short_sessions_are_each_ultra_short() -> None:
    parts = [*two_sessions(0.75, 0.95, 170), beats(SECONDS, session=3)]
    (found,) = by_state(parts)
    assert found.seconds == pytest.approx(340, abs=4)
    assert (found.sessions, found.ultra_short, found.refused) == (2, 2, 1)
    assert say("beside", "variability", [found]).startswith(
        "2 of 3 recordings (one state in one session) give values from the intervals between "
        "beats. 2 of them are shorter than the standard five minutes (ultra-short). Of several "
        "sessions of a person, the table has the mean of their values. 1 of 1 person lacks a "
        "number in at least one recording: 1 with less than 60 s of intervals."
    )


def test_variability_table_shows_the_values_that_the_tests_compare(tmp_path: Path) -> None:
    path = tmp_path / "affect-edge.db"
    rng = np.random.default_rng(8)
    for level in (0.75, 0.95):
        states = {
            state: {RR: (level + rng.normal(0, 0.02, 120)).tolist()}
            for state in ("anger", "neutral")
        }
        add_session(path, "P-1", states)
    measures = (HeartMeasure.LN_RMSSD, HeartMeasure.SDNN)
    found = analyse(Reader(path), AnalysisQuery(heart_measure=measures))
    for shown in response_of(found).variability:
        assert shown.sessions == 2
        tested = {
            measure: [
                one.value
                for one in found.heart_values
                if (one.measure, one.state) == (measure, shown.state)
            ]
            for measure in measures
        }
        assert shown.ln_rmssd == pytest.approx(np.mean(tested[HeartMeasure.LN_RMSSD]))
        assert shown.sdnn_ms == pytest.approx(np.mean(tested[HeartMeasure.SDNN]))


def test_a_pause_ends_a_run() -> None:
    values = np.array(STEADY * 2)
    pause = np.repeat([0, 10_000], 100)
    whole = beats(values.tolist())
    own = of_recording(replace(whole, at_ms=whole.at_ms + pause))
    assert (own.n, own.successive) == (200, 198)


def test_neighbours_with_a_missing_beat_between_them_are_no_pair() -> None:
    values = np.tile(RHYTHM, 2)
    whole = beats(values.tolist())
    there = np.ones(len(values), dtype=bool)
    there[7::20] = False  # a hole of one beat, which is far below three seconds
    own = of_recording(
        replace(
            whole, at_ms=whole.at_ms[there], values=values[there], flags=("",) * int(there.sum())
        )
    )
    pairs = there[1:] & there[:-1]
    true = 1000 * math.sqrt(float(np.mean(np.diff(values)[pairs] ** 2)))  # by hand
    assert own.successive == pairs.sum()
    assert own.rmssd_ms == pytest.approx(true)


@pytest.mark.parametrize("mean", [0.6, 1.05])
def test_beats_that_carry_the_time_of_their_packet_stay_neighbours(mean: float) -> None:
    values = RHYTHM - 0.8 + mean
    part = beats(values.tolist())
    packets = 1000 * np.ceil(part.at_ms / 1000).astype(np.int64)
    own = of_recording(replace(part, at_ms=packets))
    assert own.successive >= 0.97 * (len(values) - 1)
    assert own.rmssd_ms == pytest.approx(rmssd(values), rel=0.01)


def test_lost_contact_ends_a_run_and_is_counted() -> None:
    part = beats(STEADY * 2, lost=99)
    (found,) = by_state([part])
    assert found.contact_lost == 1
    own = of_recording(part)
    assert (own.n, own.successive) == (199, 197)


@given(st.lists(st.floats(0.2, 2.2), max_size=60))
@settings(max_examples=60, deadline=None)
def test_any_intervals_are_corrected_without_losing_time(values: list[float]) -> None:
    found = correct_beats([values])
    assert len(found.intervals) == len(found.measured) == len(found.run)
    inserted = found.corrections.missed - found.corrections.extra
    assert len(found.intervals) == len(values) + inserted


@pytest.mark.parametrize("kind", ["deep", "shallow", "fast heart", "slow heart", "drifting"])
def test_true_beats_of_a_clean_rhythm_are_left_alone(kind: str) -> None:
    off = errors(ours, kind, "nothing", people=40)
    assert abs(float(np.mean(off))) <= 0.01
    assert float(np.max(np.abs(off))) <= 0.1


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("spoiling", [one for one in SPOILT if one[-2:] in ("_2", "_6")])
def test_rmssd_of_spoilt_recordings_is_near_the_truth_and_none_is_refused(
    spoiling: str, kind: str
) -> None:
    off = errors(ours, kind, spoiling, people=6)
    assert not np.isnan(off).any()
    assert abs(float(np.median(off))) <= 0.05


# Kind of person, corrections, intervals and pairs measured; RMSSD, SDNN, low and high band.
FIGURES = [
    ("rest", (10, 9, 12, 8), (352, 326), (42.288368, 142.807322, 108.4563, 1050.9356)),
    ("slow", (17, 7, 11, 8), (344, 316), (65.052482, 183.515058, 13390.3099, 149.8153)),
    ("drifting", (14, 9, 12, 4), (352, 326), (46.744948, 148.52599, 419.114, 959.107)),
]


@pytest.mark.parametrize(("kind", "corrections", "counts", "figures"), FIGURES)
def test_figures_of_spoilt_recordings_do_not_change(
    kind: str, corrections: tuple[int, ...], counts: tuple[int, int], figures: tuple[float, ...]
) -> None:
    # Published results rest on them: whoever changes a figure here changes theirs.
    rng = np.random.default_rng(11)
    runs = []
    for length in (260, 140, 5):
        run = rhythm(rng, KINDS[kind])[:length]
        for spoil in (with_ectopic, with_missed, with_extra):
            run = spoil(rng, run, 0.03)
        runs.append(run)
    found = heart_variability(runs)
    assert found.corrections == Corrections(*corrections)
    assert (found.n, found.successive) == counts
    bands = spectrum(runs, 60.0)
    given = (found.rmssd_ms, found.sdnn_ms, bands.power(LOW_HZ), bands.power(HIGH_HZ))
    assert given == pytest.approx(figures, rel=1e-6)


RR = VitalKind.RR_INTERVAL


def waves(*parts: tuple[float, float], beats: int = 400, level: float = 0.8) -> Values:
    """Intervals that follow waves of (amplitude in s, frequency in Hz) in time."""
    now = 0.0
    found = []
    for _ in range(beats):
        found.append(level + sum(a * math.sin(2 * math.pi * f * now) for a, f in parts))
        now += found[-1]
    return np.array(found)


def test_a_wave_has_half_squared_amplitude_in_band_and_nothing_in_other() -> None:
    low = spectrum([waves((0.03, 0.1))])
    assert low.power(LOW_HZ) == pytest.approx(450, rel=0.05)
    assert low.power(HIGH_HZ) < 10
    high = spectrum([waves((0.03, 0.25))])
    assert high.power(HIGH_HZ) == pytest.approx(450, rel=0.1)
    assert high.power(LOW_HZ) < 10


def test_a_band_says_how_long_the_recording_must_be() -> None:
    minute = waves((0.03, 0.1), beats=100)
    with pytest.raises(TooShortError, match=r"at least 120 s .* the longest time has 80"):
        spectrum([minute, minute])
    assert spectrum([minute], least_s=60).seconds == pytest.approx(80, abs=1)


@pytest.mark.parametrize("breaths", [10.5, 20.0])
def test_the_breath_is_read_from_the_rhythm_to_half_a_breath(breaths: float) -> None:
    found = spectrum([waves((0.03, breaths / 60), (0.01, 0.08))])
    assert breaths_per_minute(found) == pytest.approx(breaths, abs=0.5)


def test_no_breath_is_made_up_where_none_stands_out() -> None:
    rng = np.random.default_rng(3)
    with pytest.raises(NoBreathError, match="stands out"):
        breaths_per_minute(spectrum([0.8 + rng.normal(0, 0.02, 400)]))
    with pytest.raises(NoBreathError):
        breaths_per_minute(spectrum([waves((0.1, 0.1), (0.01, 0.2))]))


def beat_study(folder: Path) -> Path:
    """Four people; in anger the breath moves the heart half as far; their levels differ."""
    rng = np.random.default_rng(6)
    path = folder / "affect-edge.db"
    for number in range(4):
        depth = 0.03 + 0.005 * number
        noise = [rng.normal(0, 0.004, 100) for _ in range(2)]
        states = {
            "anger": {RR: list(waves((depth / 2, 0.25), beats=100) + noise[0])},
            "neutral": {RR: list(waves((depth, 0.25), beats=100) + noise[1])},
        }
        add_session(path, f"P-{number}", states)
    return path


def test_variability_is_tested_within_sessions_in_a_family_of_its_own(tmp_path: Path) -> None:
    path = beat_study(tmp_path)
    query = AnalysisQuery(heart_measure=(HeartMeasure.LN_RMSSD, HeartMeasure.LN_LF))
    found = analyse(Reader(path), query)
    assert [(one.measure, one.first) for one in found.answer.heart_tests][:2] == [
        (HeartMeasure.LN_RMSSD, Emotion.ANGER),
        (HeartMeasure.LN_RMSSD, Emotion.HAPPINESS),
    ]
    test = found.answer.heart_tests[0]
    by_hand = [
        [one.ln_rmssd for one in found.answer.variability if one.state == state and one.ln_rmssd]
        for state in (Emotion.ANGER, Emotion.NEUTRAL)
    ]
    expected = paired_t(*by_hand)
    assert test.t == pytest.approx(expected.t)
    assert (test.method, test.n_first, test.n_second) == ("paired", 4, 4)
    assert test.g == pytest.approx(hedges_g(by_hand[0], by_hand[1], Method.PAIRED).g)
    assert test.adjusted_p == pytest.approx(expected.p)  # the only test that could be computed
    answered = response_of(found).heart_tests
    text = answered[0].sentence
    assert text.startswith("RMSSD, anger and neutral: a difference, 0.5")
    assert "times (95 % CI" in text and "n = 4" in text
    assert "but the order may explain it: 4 of 4 people had anger" in text
    low = found.answer.heart_tests[3]
    assert low.p is None
    assert low.left_out == {"too short": 8}
    assert "8 too short" in answered[3].sentence


def resting_study(folder: Path) -> Path:
    """Two groups whose levels differ, and whose change from rest does not; one has no baseline."""
    people = {}
    for number in range(8):
        level = 60.0 + 5 * number
        state = "anger" if number < 4 else "neutral"
        people[f"P-{number}"] = {
            "baseline": {HEART: [level - 1, level + 1]},
            state: {HEART: [level + 3 + number % 2]},
        }
    people["Q"] = {"anger": {HEART: [150.0]}}
    return make_study(folder, people)


def difference(analysis: Analysis) -> float:
    difference = analysis.answer.comparisons[0].difference
    assert difference is not None
    return difference


def test_a_change_takes_the_baseline_of_its_session_away(tmp_path: Path) -> None:
    reader = Reader(resting_study(tmp_path))
    query = AnalysisQuery(vital=(HEART,), design=Design.INDEPENDENT, outcome=Outcome.CHANGE)
    found = analyse(reader, query)
    assert {mean.participant: mean.mean for mean in found.means} == {
        f"P-{number}": 3.0 + number % 2 for number in range(8)
    }
    assert difference(found) == pytest.approx(0.0)
    levels = analyse(reader, query.model_copy(update={"outcome": Outcome.LEVEL}))
    assert abs(difference(levels)) > 3
    (warning,) = [text for text in response_of(found).warnings if "baseline" in text]
    assert "1 session has no baseline" in warning
    assert len(find_baselines(reader, query, reader.session_list())) == 8


def armband(
    folder: Path, in_anger: float, elsewhere: Callable[[int], float], *, stated: bool = True
) -> dict[str, HeartTestModel]:
    """Return the tests of anger beside neutral of six people whose beats have errors, seconds."""
    rng = np.random.default_rng(5)
    sessions, readings = [], []
    for person in range(6):
        start = 1000 * person
        shown = [(start + 20 + 150 * place, start + 160 + 150 * place) for place in range(2)]
        labels = ("anger", "neutral") if person % 2 else ("neutral", "anger")
        spans = [(*span, label) for span, label in zip(shown, labels, strict=True)]
        sessions.append(session_row(start, start + 400, *spans, participant=f"P{person}"))
        for first, _, label in spans:
            error = in_anger if label == "anger" else elsewhere(person)
            values = 0.85 + rng.normal(0, 0.025, 140) + rng.normal(0, 1.25 * error, 140)
            for at, one in zip(first + np.cumsum(values), values.tolist(), strict=True):
                own = reading(float(at), one, VitalKind.RR_INTERVAL, "ble:sense")
                readings.append(replace(own, error=error) if stated else own)
    path = timeline(folder / "affect-edge.db", session=sessions, vital=readings)
    found = response_of(
        analyse(
            Reader(path),
            AnalysisQuery(
                states=("neutral", "anger"),
                heart_measure=(HeartMeasure.LN_RMSSD, HeartMeasure.SDNN, HeartMeasure.RESPIRATION),
            ),
        )
    )
    return {one.measure: one for one in found.heart_tests}


def test_larger_stated_errors_in_a_state_are_a_caution_with_their_size(tmp_path: Path) -> None:
    found = armband(tmp_path, 0.012, lambda person: 0.005 + 0.0002 * person)
    rmssd_test, sdnn = found["ln_rmssd"], found["sdnn"]
    assert rmssd_test.errors is not None and rmssd_test.errors.is_unequal
    assert rmssd_test.errors.people == 6
    assert Caution.UNEQUAL_ERRORS in rmssd_test.result.caution_codes
    assert Caution.UNEQUAL_ERRORS in sdnn.result.caution_codes
    assert not rmssd_test.result.shows_difference
    assert "are not alike: 15.0 ms in anger, 6.9 ms in neutral." in rmssd_test.sentence
    assert found["respiration"].errors is None


@pytest.mark.parametrize("stated", [True, False])
def test_stated_errors_that_are_alike_or_absent_are_no_caution(
    tmp_path: Path, stated: bool
) -> None:
    found = armband(tmp_path, 0.008, lambda person: 0.0075 + 0.0002 * person, stated=stated)
    errors = found["ln_rmssd"].errors
    assert (errors is not None) == stated
    assert not (errors and errors.is_unequal)
    assert Caution.UNEQUAL_ERRORS not in found["ln_rmssd"].result.caution_codes
