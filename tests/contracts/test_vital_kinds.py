"""Every kind of vital: its entry, its table in the documentation, its values from a reading to a
database, an observation and the colours of the pages.
"""

from __future__ import annotations

import math
import re
from pathlib import Path

import pytest

from dashboard.web.rendering import HERE
from edge_agent.core.errors import ReadingError
from edge_agent.core.given_readings import ReadingOrigin, reading_of
from edge_agent.core.readings import VitalFlag, VitalReading
from edge_agent.core.vitals import SPECS, VitalKind
from edge_agent.timeline.read.reader import Reader
from edge_agent.timeline.write.reading_imports import import_readings
from tests.support.timeline import database, instant, query

ROOT = Path(__file__).resolve().parents[2]
STYLE = HERE / "static" / "app.css"
WRITTEN_BY_A_COMMAND = (
    "dashboard/web/static/js/registers.js",
    "tests/golden/expected/",
    "tests/unit/timeline/database/schema_34/",  # kept as the first release had it
)
ROOMS = ("affect_edge", "edge_agent", "dashboard", "docs", "config", "tests", "tools", "systemd")
TEXTS = {".py", ".R", ".js", ".css", ".html", ".md", ".sql", ".toml", ".json"}


def given(kind: VitalKind, value: float, unit: str = "") -> VitalReading:
    fields = {"kind": kind, "value": value, "unit": unit or kind.unit}
    return reading_of(fields, instant(0), ReadingOrigin("watch"))


def test_kind_registry_has_one_entry_for_each_kind_in_their_order() -> None:
    assert list(SPECS) == list(VitalKind)


@pytest.mark.parametrize("kind", VitalKind)
def test_kind_entry_agrees_with_itself(kind: VitalKind) -> None:
    spec = kind.spec
    low, high = spec.plausible
    assert low < high
    assert spec.possible[0] <= low and high <= spec.possible[1]
    assert {unit.lower() for unit in spec.unit_choices} <= set(spec.units)
    kept = spec.units[spec.unit.lower()]
    assert (kept.factor, kept.offset) == (1.0, 0.0), "the unit that is kept is not converted"
    assert bool(spec.loinc) or spec.fhir_profile is None, "a profile wants a LOINC code"
    own_name = kind.value.replace("_", " ")
    assert [one for one in VitalKind if re.fullmatch(one.spec.headers, own_name)] == [kind]


@pytest.mark.parametrize("kind", VitalKind)
def test_kind_value_outside_its_range_is_flagged_or_refused(kind: VitalKind) -> None:
    spec = kind.spec
    step = 10.0**-spec.decimals
    for end, outwards in zip(spec.plausible, (-step, step), strict=True):
        assert VitalFlag.OUT_OF_RANGE not in given(kind, end).flags
        if spec.is_possible(end + outwards):
            beyond = given(kind, end + outwards)
            assert (beyond.value, VitalFlag.OUT_OF_RANGE in beyond.flags) == (end + outwards, True)
    low, high = spec.possible
    told = f"cannot be {spec.name_in_text}. Possible: {low:g} to {high:g} {spec.unit_shown}."
    for end, outwards in ((low, -step), (high, step)):
        if math.isinf(end):
            continue
        assert given(kind, end).value == end
        with pytest.raises(ReadingError) as refusal:
            given(kind, end + outwards)
        assert told in str(refusal.value)


@pytest.mark.parametrize("kind", VitalKind)
def test_kind_value_in_an_unknown_unit_is_refused_with_the_known_ones(kind: VitalKind) -> None:
    with pytest.raises(ReadingError, match="furlong") as refusal:
        given(kind, kind.plausible[0], "furlong")
    assert kind.unit in str(refusal.value)


@pytest.mark.parametrize(
    ("kind", "value", "unit", "kept"),
    [
        (VitalKind.SKIN_TEMPERATURE, 90.5, "°F", 32.5),
        (VitalKind.SKIN_TEMPERATURE, 32.5, "Cel", 32.5),
        (VitalKind.BODY_TEMPERATURE, 98.6, "[degF]", 37.0),
        (VitalKind.SYSTOLIC, 16.0, "kPa", 120.009872),
        (VitalKind.RR_INTERVAL, 800, "ms", 0.8),
        (VitalKind.OXYGEN_SATURATION, 0.97, "share", 97.0),
        (VitalKind.SKIN_CONDUCTANCE, 5200, "nS", 5.2),
        (VitalKind.SKIN_CONDUCTANCE, 5.2, "\u03bcS", 5.2),
        (VitalKind.SKIN_CONDUCTANCE, 5.2, "\u00b5mho", 5.2),
        (VitalKind.SKIN_CONDUCTANCE, 0.0052, "mS", 5.2),
        (VitalKind.SKIN_CONDUCTANCE, 5.2e-6, "S", 5.2),
        (VitalKind.SKIN_CONDUCTANCE, 200, "k\u03a9", 5.0),
        (VitalKind.SKIN_CONDUCTANCE, 200, "k\u2126", 5.0),
        (VitalKind.SKIN_CONDUCTANCE, 200_000, "ohm", 5.0),
        (VitalKind.BODY_MOTION, 0.02, "g", 20.0),
    ],
)
def test_kind_value_in_another_unit_is_converted(
    kind: VitalKind, value: float, unit: str, kept: float
) -> None:
    assert given(kind, value, unit).value == pytest.approx(kept)


@pytest.mark.parametrize(
    ("header", "kind"),
    [
        ("spo2", VitalKind.OXYGEN_SATURATION),
        ("oxygen saturation", VitalKind.OXYGEN_SATURATION),
        ("hauttemperatur", VitalKind.SKIN_TEMPERATURE),
        ("respiratory rate", VitalKind.RESPIRATION_RATE),
        ("atemfrequenz", VitalKind.RESPIRATION_RATE),
        ("body temp", VitalKind.BODY_TEMPERATURE),
        ("eda", VitalKind.SKIN_CONDUCTANCE),
        ("temperature oral", VitalKind.BODY_TEMPERATURE),
        ("körpertemperatur", VitalKind.BODY_TEMPERATURE),
        ("frecuencia respiratoria", VitalKind.RESPIRATION_RATE),
        ("fréquence respiratoire", VitalKind.RESPIRATION_RATE),
        ("frequência respiratória", VitalKind.RESPIRATION_RATE),
        ("呼吸数", VitalKind.RESPIRATION_RATE),
        ("temperatura corporea", VitalKind.BODY_TEMPERATURE),
        ("température de la peau", VitalKind.SKIN_TEMPERATURE),
        ("saturazione", VitalKind.OXYGEN_SATURATION),
        ("血氧饱和度", VitalKind.OXYGEN_SATURATION),
        ("frequenza cardiaca", VitalKind.HEART_RATE),
        ("脉搏", VitalKind.HEART_RATE),
        ("pression systolique", VitalKind.SYSTOLIC),
        ("高压", VitalKind.SYSTOLIC),
        ("最低血圧", VitalKind.DIASTOLIC),
    ],
)
def test_kind_header_of_another_program_means_it_alone(header: str, kind: VitalKind) -> None:
    assert [one for one in VitalKind if re.fullmatch(one.spec.headers, header)] == [kind]


def test_kind_pressures_of_a_cuff_share_a_tile_and_a_panel() -> None:
    titles = {kind.value: (kind.spec.tile, kind.spec.panel) for kind in VitalKind}
    pressure = ("Blood pressure", "Blood pressure")
    alone = (
        *("heart_rate", "oxygen_saturation", "skin_temperature", "respiration_rate"),
        *("body_temperature", "skin_conductance", "blink_rate", "blink_duration"),
        "body_motion",
    )
    assert titles == {
        **{name: (VitalKind(name).spec.label,) * 2 for name in alone},
        "systolic": pressure,
        "diastolic": pressure,
        "mean_arterial": ("Mean arterial pressure", ""),
        "rr_interval": ("RR interval", ""),
    }


@pytest.mark.parametrize("kind", VitalKind)
def test_kind_colour_of_the_pages_is_there_in_light_and_dark(kind: VitalKind) -> None:
    style = STYLE.read_text(encoding="utf-8")
    for name in (kind.spec.colour, f"{kind.spec.colour}-band"):
        assert len(re.findall(rf"^\s*{name}: ", style, re.MULTILINE)) == 2, name
    assert f'[data-colour="{kind.spec.colour}"]' in style


def test_kind_values_are_taken_by_a_database_in_their_units(tmp_path: Path) -> None:
    path = database(tmp_path)
    taken = set(query(path, "SELECT kind, unit FROM vital_kind"))
    assert taken == {(kind.value, kind.unit) for kind in VitalKind}, (
        "a kind needs a row of vital_kind in schema.sql"
    )
    middle = {kind: sum(kind.plausible) / 2 for kind in VitalKind}
    readings = [VitalReading(instant(9000), kind, middle[kind], "new") for kind in VitalKind]
    assert import_readings(path, readings)[:2] == (len(VitalKind), 0)
    latest = Reader(path).latest_vitals()
    assert {kind: latest[kind].value for kind in VitalKind} == middle


def test_kind_that_is_new_stands_in_four_files_at_most() -> None:
    naming = [
        str(file.relative_to(ROOT))
        for room in ROOMS
        for file in (ROOT / room).rglob("*")
        if file.suffix in TEXTS and re.search("respiration_rate", file.read_text("utf-8"), re.I)
    ]
    by_hand = {name for name in naming if not name.startswith(WRITTEN_BY_A_COMMAND)}
    by_hand.discard("tools/style.toml")  # the table of `make style` asks the same question
    assert by_hand == {
        "edge_agent/core/vitals.py",
        "edge_agent/timeline/database/schema.sql",
        "docs/importing.md",
        "tests/contracts/test_vital_kinds.py",
    }
