"""How much can be operated on a page: what somebody must look over before they find what they want.

Counted is what the server sends, whatever is folded: inputs, lists, buttons and text fields.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from dashboard.web.options import DashboardOptions
from edge_agent.timeline.study.example_study import seed_example_study
from edge_agent.vitals.simulated import SimulatedPerson
from tests.support.dashboard import client_of, fill, set_up

CONTROLS = frozenset({"input", "select", "button", "textarea"})
MOST = 30
"""Of one page."""
MOST_OF_A_COLUMN = 4
"""Of the preview of a table, for each of its columns."""


class _Controls(HTMLParser):
    """Counts the controls of a page by their names."""

    def __init__(self) -> None:
        super().__init__()
        self.found: Counter[str] = Counter()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if tag in CONTROLS and values.get("type") != "hidden":
            self.found[f"{tag} {values.get('name') or values.get('id') or ''}".strip()] += 1


def controls_of(page: str) -> Counter[str]:
    """Return the controls of a page, and how many there are of each name."""
    parser = _Controls()
    parser.feed(page)
    return parser.found


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder of the example study, half an hour of recording, and movements of the face."""
    folder = tmp_path_factory.mktemp("filled")
    database = DashboardOptions(data=folder).database
    fill(database, minutes=30, simulated=True)
    seed_example_study(database, SimulatedPerson)
    return folder


@pytest.fixture
def ada(filled: Path, tmp_path: Path) -> Iterator[TestClient]:
    """The administrator, who may operate everything, with a configuration that can be changed."""
    data = shutil.copytree(filled, tmp_path / "data")
    config = tmp_path / "affect-edge.toml"
    config.write_text("", encoding="utf-8")
    with client_of(data, config=config) as client:
        yield set_up(client, data)


@pytest.mark.parametrize(
    "path",
    [
        "/alerts",
        "/alerts?rule=disk",
        "/responses",
        "/trends",
        "/analysis",
        "/study",
        "/study/import",
        "/readings",
    ],
)
def test_page_has_few_controls(ada: TestClient, path: str) -> None:
    answer = ada.get(path)
    assert answer.status_code == 200
    found = controls_of(answer.text)
    assert found.total() <= MOST, f"{path}: {found.total()}, {found}"


@pytest.mark.parametrize(
    "table",
    [
        "Datum,Uhrzeit,SYS (mmHg),DIA (mmHg),Puls\n05.10.2026,09:14,121,88,81\n",
        "time,SpO2 (%),heart rate\n2026-10-05 09:14,97,61\n",
        "Date,121/79 (mmHg),Pulse,Temperature (F),note\n10/13/2026 8:15 AM,121/79,64,97.7,a\n",
    ],
)
def test_preview_of_a_table_has_few_controls_for_each_column(ada: TestClient, table: str) -> None:
    sent = ada.post("/readings/import", files={"file": ("cuff.csv", table, "text/csv")})
    page = ada.get(sent.headers["location"]).text
    columns = table.partition("\n")[0].count(",") + 1
    found = controls_of(page)
    assert found.total() <= MOST_OF_A_COLUMN * columns, f"{found.total()}, {found}"
    named = {name for name in found if name.startswith("select is_")}
    assert len(named) == columns, "each can be taken for something else"
