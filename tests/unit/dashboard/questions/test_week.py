"""One participant's week beside the weeks before it."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from dashboard.languages.current import speaking
from dashboard.questions.week.answer import (
    DAYS,
    PARTS,
    DayModel,
    PartOfDay,
    Parts,
    PlainMeanModel,
    WeekSummaryModel,
)
from dashboard.questions.week.computing import summarise
from dashboard.questions.week.counting import count_parts, weeks_until
from dashboard.questions.week.letter import write_letter
from dashboard.questions.week.usual import ReadingWays, figures_of
from dashboard.questions.week.words import put_into_words, say, weeks_in_words
from edge_agent.core.expression import EMOTIONS, Emotion
from edge_agent.core.readings import VitalFlag, VitalReading
from edge_agent.core.study import MADE_UP
from edge_agent.core.vitals import VitalKind
from edge_agent.timeline.database.connection import write_transaction
from edge_agent.timeline.read.reader import Reader
from edge_agent.timeline.study.declarations import declare
from tests.support.timeline import instant, reading, row, second_of, session_row, timeline

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
FIRST = date(2026, 11, 22)
START_MS = 1_795_305_600_000  # 2026-11-22T00:00:00Z


def period(
    first: date,
    days: int,
    distress_min: float,
    rate: float | None = 77,
    face_h: float = 45,
    systolic: float = 117,
) -> DayModel:
    """Return what was recorded in some days: distress as sadness and fear, the rest neutral."""
    start = START_MS + (first - FIRST).days * DAY_MS
    shown = dict.fromkeys([*(emotion.value for emotion in EMOTIONS), "uncertain"], 0)
    shown["sadness"] = shown["fear"] = round(distress_min * 30_000)
    shown["neutral"] = max(0, round(face_h * HOUR_MS) - 2 * shown["fear"])
    vitals = {VitalKind.SYSTOLIC: systolic, VitalKind.DIASTOLIC: 78.0}
    if rate is not None:
        vitals[VitalKind.HEART_RATE] = rate
    return DayModel(
        first=first,
        last=first + timedelta(days=days - 1),
        start=start,
        end=start + days * DAY_MS,
        recorded_days=int(face_h > 0),
        session_ms=round(face_h * HOUR_MS),
        face_ms=sum(shown.values()),
        emotions=shown,
        vitals={kind: PlainMeanModel(mean=mean, n=9 * days) for kind, mean in vitals.items()}
        if face_h
        else {},
        simulated=False,
    )


def described(
    distress_min: float,
    before: Sequence[float],
    reading: ReadingWays = ReadingWays(),  # noqa: B008 - frozen
    *,
    rate: float = 77,
    face_h: float = 45,
    systolic: float = 117,
) -> WeekSummaryModel:
    """Return a week with these minutes of distress on its first day, after weeks with those."""
    days = [
        period(FIRST + timedelta(days=n), 1, distress_min * (n == 0), rate, face_h / DAYS, systolic)
        for n in range(DAYS)
    ]
    weeks = [
        period(FIRST - timedelta(days=DAYS * n), DAYS, minutes, 70 + n, 45 if minutes else 0)
        for n, minutes in enumerate(before, 1)
    ]
    return put_into_words(summarise("P-01", days, weeks, reading))


USUAL = [150, 140, 160, 150, 170, 130, 150, 150]


def test_week_names_the_day_of_most_distress_beside_its_time_with_a_face() -> None:
    week = described(110, USUAL, face_h=42)
    most = "Most distress on Sun 22 Nov 2026: 1 h 50 min of 6 h 00 min with a face."
    assert week.days_sentence.startswith(f"{most} 7 of 7 days recorded")
    with speaking("de"):
        told = described(110, USUAL, face_h=42).days_sentence
    assert told.startswith("Am meisten Belastung am So")


@pytest.mark.parametrize(
    ("minutes", "reading"),
    [(0.5, ReadingWays()), (110, ReadingWays(changed_ms=START_MS + HOUR_MS))],
    ids=["none", "days that are not alike"],
)
def test_week_names_no_day_of_most_distress_without_reason(
    minutes: float, reading: ReadingWays
) -> None:
    assert described(minutes, USUAL, reading).most_distress is None


def test_day_says_its_time_of_distress_beside_the_heart_rate() -> None:
    assert say("day_facts", period(FIRST, 1, 45)) == "45 min · 77 /min"
    assert say("day_facts", period(FIRST, 1, 0, face_h=0)) == "not recorded"


def test_week_range_that_rounds_to_one_number_is_written_as_one() -> None:
    figure = described(110, USUAL).figures[1]
    assert say("note", figure) == "as usual: 68 to 81"
    narrow = {"compared": 68.0, "usual_from": 67.6, "usual_to": 68.4}
    narrow_figure = figure.model_copy(update=narrow)
    assert say("note", narrow_figure) == "as usual: 68"


def test_week_below_its_last_eight_is_reported_to_be_calmer() -> None:
    week = described(110, USUAL)
    distress, rate, pressure = week.figures
    assert week.sentence == (
        "Calmer than usual: 1 h 50 min of distress, 40 min less than in the median week; heart "
        "rate 77, as usual; blood pressure 117/78, as usual."
    )
    assert (distress.change, distress.usual, distress.weeks) == ("lower", 150 * 60_000, 8)
    assert (distress.shown, distress.note) == ("1 h 50 min", "40 min less than usual")
    assert (rate.change, rate.usual, rate.note) == ("usual", 74.5, "as usual: 68 to 81")
    assert (rate.least, rate.most) == (71, 78)
    assert (pressure.value, pressure.second, pressure.usual_second) == (117, 78, 78)
    with speaking("de"):
        assert described(110, USUAL).sentence.startswith("Ruhiger als sonst: 1 h 50 min")


def test_week_above_its_last_eight_is_reported_to_have_more() -> None:
    week = described(200, USUAL, rate=83)
    assert week.sentence.startswith(
        "More distress than usual: 3 h 20 min, 50 min more than in the median week; heart rate 83, "
        "8 more than usual"
    )
    week = described(200, USUAL, systolic=126)
    assert week.sentence.endswith("blood pressure 126/78, systolic 9 more than usual.")
    assert week.figures[2].note == "systolic 9 more than usual"


def test_week_within_its_last_eight_is_as_usual() -> None:
    assert described(168, USUAL).sentence.startswith("As usual: 2 h 48 min of distress")
    assert described(168, USUAL).figures[0].note == "as usual: 2 h 00 min to 3 h 00 min"
    # Half an hour more than all of them, but of a longer time with a face.
    assert described(180, [150] * 8, face_h=54).figures[0].change == "usual"
    longer = described(185, [150] * 8, face_h=56).figures[0]
    assert (longer.change, longer.note) == ("usual", "as usual for the time with a face")


@pytest.mark.parametrize(
    ("rate", "systolic", "changes"),
    [
        # Beyond all eight rates, within 2.5 of their standard deviations; 74.5 + 2.5 × 2.449.
        (79.5, 117, ["usual", "usual"]),
        (80.7, 117, ["higher", "usual"]),
        # Of eight pressures alike: less than 5 mmHg is no difference.
        (75, 121.9, ["usual", "usual"]),
        (75, 122.1, ["usual", "higher"]),
        (75, 111.9, ["usual", "lower"]),
    ],
)
def test_number_has_an_arrow_only_where_its_difference_matters(
    rate: float, systolic: float, changes: list[str]
) -> None:
    week = described(150, USUAL, rate=rate, systolic=systolic)
    assert [one.change for one in week.figures[1:]] == changes


def test_weeks_fewer_than_eight_are_reported_and_have_no_arrow() -> None:
    week = described(10, USUAL[:7])
    assert [one.change for one in week.figures] == [None] * 3
    assert {one.note for one in week.figures} == {"not compared yet: 7 of 8 weeks"}
    assert week.sentence == "10 min of distress; heart rate 77; blood pressure 117/78."
    # Of twelve weeks the last eight with a recording count.
    away = described(10, [*USUAL[:3], 0, 0, *USUAL[3:]])
    assert away.figures[0].change == "lower"


@pytest.mark.parametrize(
    ("reading", "why"),
    [
        (ReadingWays(changed_ms=START_MS - 20 * DAY_MS), "reading_changed"),
        (ReadingWays(changed_ms=START_MS + DAY_MS), "reading_changed"),
        (ReadingWays(kept_since_ms=START_MS - 20 * DAY_MS), "rows_deleted"),
        (ReadingWays(shifted=[(START_MS, START_MS + 9)]), "own_neutral"),
    ],
)
def test_expressions_read_in_another_way_are_not_compared_and_readings_are(
    reading: ReadingWays, why: str
) -> None:
    distress, rate, _ = described(110, USUAL, reading).figures
    assert (distress.change, distress.uncompared) == (None, why)
    assert distress.note.startswith("not compared")
    assert rate.change == "usual"
    assert described(110, USUAL, ReadingWays(changed_ms=START_MS - 99 * DAY_MS)).figures[0].change


def parts_of(means: Sequence[float], counts: Sequence[float], every_ms: float = 60_000) -> Parts:
    """Return a week whose heart rate has these means and counts in the parts of the day."""
    return {
        VitalKind.HEART_RATE: [
            PartOfDay(mean=mean, n=round(n), open_ms=round(n * every_ms))
            for mean, n in zip(means, counts, strict=True)
        ]
    }


DAY = [60.0, 60, 65, 72, 74, 74, 72, 66]
"""Heart rates from 1, 4, 7 … 22 o'clock on."""


@pytest.mark.parametrize(
    ("counts", "raised", "change", "left_out"),
    [
        ([900] * 8, 0, "usual", []),
        ([900] * 8, 9, "higher", []),
        # Without nights the plain mean is 5 more.
        ([0, 0, 900, 900, 900, 900, 900, 0], 0, "usual", [(22, 7)]),
        ([0, 0, 900, 900, 900, 900, 900, 0], -9, "lower", [(22, 7)]),
        ([900, 900, 400, 900, 2000, 900, 900, 900], 0, "usual", [(7, 10), (13, 16)]),
        ([500, 600, 1700, 900, 900, 1700, 900, 900], 0, "usual", []),
        # Less than a half of everything: three days.
        ([400] * 8, 9, None, []),
        # A cuff: parts of six hours.
        ([0, 0, 6, 0, 0, 0, 7, 0], 0, "usual", []),
        ([0, 0, 7, 0, 0, 0, 0, 0], 0, "usual", [(16, 22)]),
        ([0, 0, 1, 0, 0, 0, 0, 0], 0, None, []),
    ],
)
def test_vitals_are_compared_at_like_times_of_day(
    counts: list[float], raised: float, change: str | None, left_out: list[tuple[int, int]]
) -> None:
    usual = [0, 0, 7, 0, 0, 0, 7, 0] if sum(counts) < 100 else [900] * 8
    before = [parts_of([one + n % 3 - 1 for one in DAY], usual) for n in range(9)]
    own = parts_of([one + raised for one in DAY], counts)
    weeks = [period(FIRST - timedelta(days=DAYS * n), DAYS, 150) for n in range(10)]
    (_, figure, _) = figures_of(weeks[0], weeks[1:], ReadingWays(), [own, *before])
    assert figure.change == change
    assert figure.uncompared == (None if change else "times_of_day")
    assert figure.hours_left_out == left_out


def test_parts_of_the_day_are_those_of_the_clock_though_it_is_set_back(tmp_path: Path) -> None:
    zone = ZoneInfo("Europe/Berlin")
    last = date(2026, 11, 1)  # a week after the clocks were set back
    calendar = weeks_until(last, 2, zone)
    first_s, last_s = (second_of(at) for at in (calendar.edges_ms[0], calendar.edges_ms[-1]))
    seconds = range(round(first_s) - 7_000, round(last_s) + 9_000, 1_900)
    path = timeline(
        tmp_path,
        vital=[reading(at, 60 + at % 13) for at in seconds],
        session=[session_row(first_s - 6_000, last_s - 50_000, participant="P-01")],
    )
    kind = VitalKind.HEART_RATE
    sessions = Reader(path).session_list()
    known: dict[tuple[int, int], list[float]] = defaultdict(list)
    for at in seconds:
        here = datetime.fromtimestamp(instant(at).wall_ms / 1000, zone)
        if first_s <= at < last_s - 50_000:
            week = (here.date() - calendar.days[0]).days // DAYS
            known[week, (sum(hour <= here.hour for hour in PARTS) or 8) - 1].append(60 + at % 13)
    found = count_parts(Reader(path), sessions, calendar, [kind], zone)
    assert [[one.n for one in week[kind]] for week in found] == [
        [len(known[week, part]) for part in range(len(PARTS))] for week in range(2)
    ]
    assert found[1][kind][3].mean == pytest.approx(statistics.mean(known[1, 3]))


def test_vitals_of_a_sensor_that_sends_more_often_are_compared() -> None:
    before = [parts_of([one + n % 3 - 1 for one in DAY], [900] * 8) for n in range(9)]
    weeks = [period(FIRST - timedelta(days=DAYS * n), DAYS, 150) for n in range(10)]
    own = parts_of(DAY, [54_000] * 8, every_ms=1_000)
    (_, figure, _) = figures_of(weeks[0], weeks[1:], ReadingWays(), [own, *before])
    assert (figure.change, figure.hours_left_out) == ("usual", [])


def test_week_without_nights_says_which_hours_are_not_compared() -> None:
    figure = described(110, USUAL).figures[1].model_copy(update={"hours_left_out": [(22, 7)]})
    assert say("note", figure) == "as usual: 68 to 81, without 22:00 to 07:00"
    assert say("vital", figure) == "heart rate 77, as usual, without 22:00 to 07:00"


def test_short_recording_is_not_taken_for_a_calm_week() -> None:
    # An hour and a half less, and a smaller share, too: yet of a sixth of the time.
    for minutes, hours in ((20, 6), (100, 30), (2, 7)):
        distress = described(minutes, USUAL, face_h=hours).figures[0]
        assert (distress.change, distress.uncompared) == (None, "recorded_time")
    # Nearly as long as usual, it is a week as usual where hours and share disagree.
    assert described(125, USUAL, face_h=36).figures[0].change == "usual"


def test_days_without_a_face_differ_from_days_without_recording() -> None:
    days = [period(FIRST + timedelta(days=n), 1, 0, None, face_h=n % 2) for n in range(DAYS)]
    days[2] = days[2].model_copy(update={"session_ms": HOUR_MS, "recorded_days": 1})
    week = put_into_words(summarise("P-01", days, [], ReadingWays()))
    assert (week.recorded_days, week.faceless_days) == (4, 1)
    assert week.days_sentence == "4 of 7 days recorded; on 1 of them no face was read."
    nothing = put_into_words(summarise("P-01", [days[0]] * DAYS, [], ReadingWays()))
    assert nothing.sentence == "Nothing was recorded."
    assert [one.shown for one in nothing.figures] == ["–"] * 3


def test_nurse_who_is_not_known_gives_the_week_no_distress(tmp_path: Path) -> None:
    patient = [row(at, Emotion.NEUTRAL, attribution="seat") for at in range(1, 1200)]
    nurse = [
        row(at, Emotion.ANGER, primary=False, attribution="unknown", track=2)
        for at in range(1200, 3000)
    ]
    database = timeline(
        tmp_path, session=[session_row(0, 3600, participant="P-01")], expression=patient + nurse
    )
    # The letter counts days by the zone of this machine.
    day = datetime.fromtimestamp(instant(3000).wall_ms / 1000, UTC).astimezone().date()
    (week,) = weeks_in_words(database, "P-01", day, None)
    assert week.model.face_ms == 1_199_000
    assert week.model.figures[0].value == 0
    told = "For 30 min it is not known whose face was in view"
    assert told in week.model.faces_sentence
    assert told in write_letter(database, "P-01", day, 1, "hall").body


def test_week_counts_an_unknown_face_that_was_declared_afterwards(tmp_path: Path) -> None:
    unknown = [
        row(at, Emotion.ANGER, primary=False, attribution="unknown") for at in range(1, 1801)
    ]
    database = timeline(
        tmp_path, session=[session_row(0, 3600, participant="P-01")], expression=unknown
    )
    span = instant(0).wall_ms, instant(1800).wall_ms
    declare(database, 1, span, reason="she was alone in the room", actor="ada")

    (week,) = weeks_in_words(database, "P-01", date(2026, 9, 21), UTC)

    assert week.model.sentence == "30 min of distress."
    assert "not known whose it is" not in week.model.faces_sentence


def weeks_of_cuff(path: Path, last: Callable[[int], VitalReading]) -> WeekSummaryModel:
    """Return the last of nine weeks with two pressures a day, which has those that are given."""
    in_week = 2 * DAYS
    start_s = second_of(START_MS) - 8 * DAYS * 86_400
    usual = [
        reading(0, 118 + number % 5, VitalKind.SYSTOLIC, "ble:cuff")
        for number in range(8 * in_week)
    ]
    readings = [
        replace(one, at=instant(start_s + 43_200 * number + 30_000))
        for number, one in enumerate([*usual, *map(last, range(in_week))])
    ]
    end_s = second_of(START_MS) + DAYS * 86_400
    timeline(path, vital=readings, session=[session_row(start_s, end_s, participant="P-01")])
    (week,) = weeks_in_words(path, "P-01", FIRST + timedelta(days=DAYS - 1), UTC)
    return week.model


@pytest.mark.parametrize(
    ("flag", "doubted", "said"),
    [
        ("body_movement", 4, ", without 4 of 14 readings that the device itself doubts"),
        ("cuff_loose", 4, ", without 4 of 14 readings that the device itself doubts"),
        ("improper_position", 4, ", without 4 of 14 readings that the device itself doubts"),
        ("irregular_pulse", 4, ", the device itself doubts 4 of 14 readings"),
        # Too few would be left.
        ("body_movement", 9, ", the device itself doubts 9 of 14 readings"),
        ("pulse_high", 4, ""),
    ],
)
def test_week_is_judged_without_readings_unreliable_by_their_flags(
    flag: str, doubted: int, said: str, tmp_path: Path
) -> None:
    def last(number: int) -> VitalReading:
        value, flags = (160.0, [VitalFlag(flag)]) if number < doubted else (119.0, [])
        return reading(0, value, VitalKind.SYSTOLIC, "ble:cuff", flags)

    week = weeks_of_cuff(tmp_path / "affect-edge.db", last)
    pressure = week.figures[2]
    is_without = said.startswith(", without")
    assert (pressure.readings, pressure.left_out) == (14, doubted if is_without else 0)
    assert pressure.change == ("usual" if is_without else "higher")
    assert pressure.note.endswith(said) and ("doubts" in pressure.note) is bool(said)
    assert pressure.value == pytest.approx((160 * doubted + 119 * (14 - doubted)) / 14)


@pytest.mark.parametrize(
    ("source", "flags", "said"),
    [
        ("ble:cuff", [], ""),
        ("ble:other", [], ", at least partly measured by another sensor than usual (ble:other)"),
        # The name of a file says nothing of who measured.
        (
            "csv:week.csv",
            [VitalFlag.IMPORTED],
            ", at least partly measured by another sensor than usual (csv)",
        ),
    ],
)
def test_week_by_another_sensor_than_usual_says_so(
    source: str, flags: list[VitalFlag], said: str, tmp_path: Path
) -> None:
    week = weeks_of_cuff(
        tmp_path / "affect-edge.db",
        lambda number: reading(0, 119 + number % 3, VitalKind.SYSTOLIC, source, flags),
    )
    assert week.figures[2].note.endswith(said)
    assert ("another sensor" in week.figures[2].note) is bool(said)


def test_weeks_of_files_are_by_one_sensor_whatever_they_are_called() -> None:
    counts = [{VitalKind.HEART_RATE: {"csv": 40}}] * 10
    weeks = [period(FIRST - timedelta(days=DAYS * n), DAYS, 150) for n in range(10)]
    parts = [parts_of([one + n % 3 for one in DAY], [900] * 8) for n in range(10)]
    assert not figures_of(weeks[0], weeks[1:], ReadingWays(), parts, counts)[1].other_sources
    mixed = [{VitalKind.HEART_RATE: {"strap": 20, "watch": n}} for n in (18, *[24] * 9)]
    assert not figures_of(weeks[0], weeks[1:], ReadingWays(), parts, mixed)[1].other_sources


@pytest.mark.parametrize(("raised", "named"), [(9, ("watch",)), (0, ())])
def test_week_that_differs_names_a_sensor_that_gave_some_of_it(
    raised: int, named: tuple[str, ...]
) -> None:
    weeks = [period(FIRST - timedelta(days=DAYS * n), DAYS, 150) for n in range(10)]
    values = [one + raised for one in DAY]
    usual = [parts_of([one + n % 3 for one in DAY], [900] * 8) for n in range(9)]
    parts = [parts_of(values, [900] * 8), *usual]
    sources = [{"strap": 6, "watch": 1}, *[{"strap": 7}] * 9]
    counts = [{VitalKind.HEART_RATE: one} for one in sources]
    figure = figures_of(weeks[0], weeks[1:], ReadingWays(), parts, counts)[1]
    assert (figure.change, figure.other_sources) == ("higher" if raised else "usual", named)


@pytest.mark.parametrize(
    ("raised", "mg", "said"),
    [(9, 30.0, ", the wearer moved more than usual"), (9, 12.0, ""), (0, 30.0, "")],
)
def test_week_in_which_the_wearer_moved_more_says_so_beside_the_heart(
    raised: float, mg: float, said: str
) -> None:
    def week(n: int, level: float, moved: float) -> Parts:
        own = parts_of([one + level + n % 3 for one in DAY], [900] * 8)
        motion = parts_of([moved + n % 3] * 8, [900] * 8)
        return {**own, VitalKind.BODY_MOTION: motion[VitalKind.HEART_RATE]}

    every = [week(0, raised, mg), *(week(n, 0, 11.0) for n in range(9))]
    weeks = [period(FIRST - timedelta(days=DAYS * n), DAYS, 150) for n in range(10)]
    figure = figures_of(weeks[0], weeks[1:], ReadingWays(), every)[1]
    assert figure.change == ("higher" if raised else "usual")
    assert say("note", figure).endswith(said)
    assert ("moved" in say("note", figure)) is bool(said)


def test_week_leaves_sessions_out_whose_times_are_made_up(tmp_path: Path) -> None:
    start_s = second_of(START_MS)
    path = timeline(
        tmp_path,
        vital=[reading(start_s + 60 * n, 70.0) for n in range(60)],
        session=[
            session_row(start_s, start_s + 1800, participant="P-01"),
            session_row(start_s + 1800, start_s + 3600, participant="P-01"),
        ],
    )
    last = FIRST + timedelta(days=DAYS - 1)
    (both,) = weeks_in_words(path, "P-01", last, UTC)
    assert (both.model.without_times, both.model.figures[1].readings) == (0, 60)
    with write_transaction(path) as connection:
        connection.execute(f"UPDATE session SET origin = 'import: x.csv ({MADE_UP})' WHERE id = 2")
    (one,) = weeks_in_words(path, "P-01", last, UTC)
    assert (one.model.without_times, one.model.figures[1].readings) == (1, 30)
    assert "1 session is left out: its times are made up." in one.model.days_sentence
