"""The timelines of one and two sessions as shapes, and their means side by side."""

from __future__ import annotations

import itertools
import re
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from dashboard.charts.session import (
    SessionRecording,
    description,
    session_timeline,
    side_by_side,
    since_start,
)
from dashboard.languages.current import speaking
from dashboard.web.rendering import HERE
from edge_agent.core.clock import Instant
from edge_agent.core.expression import EMOTIONS, Emotion
from edge_agent.core.study import Marker, MarkerKind
from edge_agent.core.vitals import VitalKind
from edge_agent.timeline.read.base import ConditionInterval, Trend, VitalTrend
from edge_agent.timeline.read.sessions import ConditionSummary, MeanReading, SessionSummary
from edge_agent.timeline.study.exclusions import Exclusion

MINUTE = 60_000
START = 1_800_000_000_000
SEEN_BY = {
    "everybody": np.eye(3),
    # Machado, Oliveira and Fernandes 2009, severity 1
    "protanope": np.array(
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ]
    ),
    "deuteranope": np.array(
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ]
    ),
    "tritanope": np.array(
        [
            [1.255528, -0.076749, -0.178779],
            [-0.078411, 0.930809, 0.147602],
            [0.004733, 0.691367, 0.303900],
        ]
    ),
}


def vital(start: int, kind: VitalKind, values: tuple[float | None, ...]) -> VitalTrend:
    """Readings of one each minute."""
    starts = tuple(start + MINUTE * n for n in range(len(values)))
    counts = tuple(0 if value is None else 1 for value in values)
    none = (0,) * len(values)
    return VitalTrend(
        kind, start, start + MINUTE * len(values), MINUTE, "row", starts, values, values, values,
        counts, none, False,
    )  # fmt: skip


def recording(start: int = START, minutes: int = 4, label: str = "anger") -> SessionRecording:
    """Minutes of anger but for a first one that is half neutral, and a last without a face."""
    known = (0.5, *(1.0,) * (minutes - 2), None)
    shares = {e: tuple(None if v is None else 0.0 for v in known) for e in EMOTIONS}
    shares[Emotion.ANGER] = known
    shares[Emotion.NEUTRAL] = (0.5, *(0.0,) * (minutes - 2), None)
    starts = tuple(start + MINUTE * n for n in range(minutes))
    rows = (60,) * minutes
    end = start + MINUTE * minutes
    trend = Trend(
        start, end, MINUTE, "row", starts, shares, shares[Emotion.FEAR], shares, rows, rows, False
    )
    heart = (70.0, None, None, *(80.0,) * (minutes - 3))
    cuff = (120.0, *(None,) * (minutes - 2), 130.0)
    markers = [
        Marker(Instant(0, start), MarkerKind.STIMULUS_START, label),
        Marker(Instant(0, start + 2 * MINUTE), MarkerKind.NOTE, "coughed"),
    ]
    return SessionRecording(
        start,
        end,
        trend,
        {
            VitalKind.HEART_RATE: vital(start, VitalKind.HEART_RATE, heart),
            VitalKind.SYSTOLIC: vital(start, VitalKind.SYSTOLIC, cuff),
        },
        [ConditionInterval(1, "P-01", label, start, start + MINUTE)],
        markers,
    )


def test_shares_fill_the_strip_and_a_minute_without_a_face_stays_empty() -> None:
    (strip,) = session_timeline([("", recording())], 854.0).strips
    quarter = (854 - 54) / 4
    assert [(bar.name, bar.height) for bar in strip.bars] == [
        ("neutral", 48.0),
        ("anger", 48.0),
        ("anger", 96.0),
        ("anger", 96.0),
    ]
    assert [bar.x for bar in strip.bars] == [44.0, 44.0, 44 + quarter, 44 + 2 * quarter]
    assert {bar.width for bar in strip.bars} == {quarter}


def test_timeline_left_out_stretches_lie_over_all_panels_of_one_session() -> None:
    sneezed = Exclusion(1, 1, START, MINUTE, MINUTE + 500, "sneezed", START, "ada")
    whole = Exclusion(2, 1, START, None, None, "asleep", START, "ada")
    one = replace(recording(), left_out=[sneezed])
    picture = session_timeline([("", one)], 854.0)
    (stretch,) = picture.left_out
    assert (stretch.x, stretch.width, stretch.text) == (244.0, 2.0, "sneezed"), "it can be seen"
    assert (stretch.y, stretch.y + stretch.height) == (picture.strips[0].top, picture.foot)
    other = replace(recording(START + 500 * MINUTE), left_out=[whole])
    second = session_timeline([("A", one), ("B", other)], 854.0)
    assert [box.y for box in second.left_out] == [strip.top for strip in second.strips]
    assert second.left_out[1].height == 96.0


def colours(style: str, name: str) -> tuple[str, str]:
    """A colour of the sheet of tokens on a light and on a dark screen."""
    found = re.findall(rf"^ *--{name}: (#\w{{6}});", style, re.MULTILINE)
    return found[0], found[-1]


def linear_parts(colour: str) -> NDArray[np.float64]:
    """Red, green and blue of a colour such as ``#bcc4cd`` without its gamma."""
    parts = np.array([int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)])
    return np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)


def oklab(parts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Lightness and the two axes of colour (Ottosson 2020)."""
    cones = np.array(
        [
            [0.4122214708, 0.5363325363, 0.0514459929],
            [0.2119034982, 0.6806995451, 0.1073969566],
            [0.0883024619, 0.2817188376, 0.6299787005],
        ]
    )
    axes = np.array(
        [
            [0.2104542553, 0.7936177850, -0.0040720468],
            [1.9779984951, -2.4285922050, 0.4505937099],
            [0.0259040371, 0.7827717662, -0.8086757660],
        ]
    )
    seen: NDArray[np.float64] = axes @ np.cbrt(cones @ np.clip(parts, 0, 1))
    return seen


@pytest.mark.parametrize("who", SEEN_BY)
def test_palette_categories_stay_apart_on_light_and_dark_for_every_eye(who: str) -> None:
    style = (HERE / "static" / "app.css").read_text(encoding="utf-8")
    names = [*(str(emotion) for emotion in EMOTIONS), "uncertain"]
    palette = {name: colours(style, f"emotion-{name}") for name in names}
    assert all(light == dark for name, (light, dark) in palette.items() if name != "uncertain")
    for scheme in (0, 1):
        seen = {n: oklab(SEEN_BY[who] @ linear_parts(c[scheme])) for n, c in palette.items()}
        least = min(
            float(np.linalg.norm(seen[one] - seen[other]))
            for one, other in itertools.combinations(names, 2)
        )
        assert least > 0.07


def luminance(colour: str) -> float:
    """The relative luminance of a colour such as ``#bcc4cd`` (WCAG 2.2)."""
    return float(np.array([0.2126, 0.7152, 0.0722]) @ linear_parts(colour))


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize("other", ["surface", "surface-sunken", "emotion-neutral"])
def test_uncertain_looks_like_neither_an_empty_place_nor_neutral(scheme: int, other: str) -> None:
    style = (HERE / "static" / "app.css").read_text(encoding="utf-8")
    both = [luminance(colours(style, name)[scheme]) for name in ("emotion-uncertain", other)]
    assert (max(both) + 0.05) / (min(both) + 0.05) > 1.45


def test_strap_that_was_silent_breaks_line_and_cuff_s_readings_are_joined() -> None:
    heart, pressure = session_timeline([("", recording(minutes=8))], 860.0).panels
    assert heart.caption == "Heart rate (1/min)"
    assert len(heart.lines) == 2
    assert len(heart.lines[0].dots) == 1
    assert not heart.lines[1].dots
    (cuff,) = pressure.lines
    assert len(cuff.dots) == 2
    assert [tick.text for tick in pressure.ticks] == ["120", "125", "130"]


def test_two_sessions_begin_together_and_the_axis_is_as_long_as_the_longer() -> None:
    later = recording(START + 500 * MINUTE, 8, "joy")
    picture = session_timeline([("A", recording()), ("B", later)], 860.0)
    assert [strip.bands[0].x for strip in picture.strips] == [44.0, 44.0]
    assert picture.ticks[-1].text == "8:00"
    assert [line.second for line in picture.panels[1].lines] == [False, True]
    assert [flag.text for flag in picture.flags] == ["1"]
    assert picture.flags[0].at == pytest.approx(44 + 806 / 4, abs=0.1)


def test_two_sessions_can_begin_at_a_condition() -> None:
    later = recording(START + 500 * MINUTE, 8, "joy")
    first = replace(recording(), zero_ms=START)
    second = replace(later, zero_ms=START + 502 * MINUTE)
    picture = session_timeline([("A", first), ("B", second)], 860.0)
    before, after = (strip.bands[0].x for strip in picture.strips)
    assert before > after == 44.0
    assert picture.ticks[0].text == "−2:00" and picture.ticks[-1].text == "6:00"
    zero = next(tick.at for tick in picture.ticks if tick.text == "0:00")
    assert before == zero


def test_a_condition_named_like_an_emotion_is_named_and_keeps_its_colour() -> None:
    with speaking("de"):
        (band,) = session_timeline([("", recording())], 900).strips[0].bands
    assert (band.name, band.text) == ("anger", "Reiz: Ärger")


def test_a_name_that_does_not_fit_condition_is_shortened_and_kept_in_full() -> None:
    narrow = session_timeline([("", recording(label="a very long condition"))], 330.0)
    band = narrow.strips[0].bands[0]
    assert band.name == "a very long condition"
    assert band.name.startswith(band.text.removesuffix("…"))
    assert band.text.endswith("…")
    assert len(band.text) < 10


@pytest.mark.parametrize(
    ("ms", "text"), [(0, "0:00"), (59_600, "1:00"), (245_000, "4:05"), (3_845_000, "1:04:05")]
)
def test_times_since_the_start_are_written_as_a_clock_does(ms: int, text: str) -> None:
    assert since_start(ms) == text


KINDS = (VitalKind.HEART_RATE, VitalKind.SYSTOLIC)


def session(**heart: float | None) -> SessionSummary:
    """Return a session with a mean heart rate for each condition."""
    anger = dict.fromkeys(EMOTIONS, 0.0) | {Emotion.ANGER: 0.8}
    conditions = tuple(
        ConditionSummary(
            label,
            0,
            1,
            10,
            anger if rate is not None else None,
            {} if rate is None else {VitalKind.HEART_RATE: MeanReading(rate, 9)},
            None,
        )
        for label, rate in heart.items()
    )
    return SessionSummary(1, False, None, "", None, conditions)


def test_every_condition_of_either_session_has_a_row() -> None:
    rows = side_by_side(session(calm=70.04, film=90), session(calm=65, stroop=None), KINDS)
    assert [row.label for row in rows] == ["calm", "film", "stroop"]
    heart, pressure = rows[0].pairs
    assert (heart.text_of(heart.first), heart.text_of(heart.second)) == ("70.0", "65.0")
    assert (heart.difference, pressure.difference) == ("−5.0", "–")
    assert rows[1].pairs[0].text_of(None) == rows[1].pairs[0].difference == "–"
    assert rows[0].expressions == (("anger", 0.8), ("anger", 0.8))
    assert rows[2].expressions == (None, None)
    assert list(description(rows)) == ["calm: heart rate 70.0 and 65.0 /min."]
