"""What a new kind of vital needs: an entry, a migration, and the table of the documentation."""

from __future__ import annotations

import re

import pytest

from dashboard.web.rendering import HERE
from edge_agent.core.vitals import SPECS, VitalKind
from tools.write_vital_kinds import PAGE, with_table


def test_every_kind_has_its_entry_in_the_order_of_the_kinds() -> None:
    assert list(SPECS) == list(VitalKind)


def test_the_documentation_has_the_table_of_kinds_as_the_registry_has_it_now() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert text == with_table(text), "run: python tools/write_vital_kinds.py"


@pytest.mark.parametrize("kind", VitalKind)
def test_the_entry_of_a_kind_agrees_with_itself(kind: VitalKind) -> None:
    spec = kind.spec
    low, high = spec.plausible
    assert low < high
    assert spec.possible[0] <= low and high <= spec.possible[1]
    assert {unit.lower() for unit in spec.unit_choices} <= set(spec.units)
    kept = spec.units[spec.unit.lower()]
    assert (kept.factor, kept.offset) == (1.0, 0.0), "the unit that is kept is not converted"
    assert re.fullmatch(spec.headers, kind.value.replace("_", " ")), "its own name is a header"
    assert bool(spec.loinc) or spec.fhir_profile is None, "a profile wants a LOINC code"


@pytest.mark.parametrize("kind", VitalKind)
def test_the_pages_have_the_colour_of_a_kind_in_light_and_dark(kind: VitalKind) -> None:
    style = (HERE / "static" / "app.css").read_text(encoding="utf-8")
    for name in (kind.spec.colour, f"{kind.spec.colour}-band"):
        assert len(re.findall(rf"^\s*{name}: ", style, re.MULTILINE)) == 2, name
    assert f'[data-colour="{kind.spec.colour}"]' in style


WRITTEN_BY_A_COMMAND = (
    "docs/asyncapi.json",
    "tests/golden/expected/",
    "tests/unit/store/database/schema_34/",  # kept as the first release had it
)
ROOMS = ("affect_edge", "edge_agent", "dashboard", "docs", "config", "tests", "tools", "systemd")
TEXTS = {".py", ".R", ".js", ".css", ".html", ".md", ".sql", ".toml", ".json"}


def test_a_new_kind_stands_in_four_files_at_most() -> None:
    root = PAGE.parents[1]
    naming = [
        str(file.relative_to(root))
        for room in ROOMS
        for file in (root / room).rglob("*")
        if file.suffix in TEXTS and re.search("respiration_rate", file.read_text("utf-8"), re.I)
    ]
    by_hand = {name for name in naming if not name.startswith(WRITTEN_BY_A_COMMAND)}
    # this file and the table of `make style`, which ask the same question
    by_hand -= {"tests/project/test_vital_kinds.py", "tools/style.toml"}
    assert by_hand == {
        "edge_agent/core/vitals.py",
        "edge_agent/store/database/schema.sql",
        "docs/data.md",
        "tests/unit/core/test_vitals.py",
    }
