"""A stimulus that a range of time cuts: when its vitals have settled is asked from its true start,
on the page and by the scripts of the bundle alike.
"""

from __future__ import annotations

import csv
import zipfile
from pathlib import Path

import pytest

from dashboard.analysis.analyse import Analysis, analyse
from dashboard.analysis.answer import response_of
from dashboard.analysis.request import AnalysisQuery
from edge_agent.store.database.schema import migrate
from edge_agent.store.export.bundle import BUNDLE
from edge_agent.store.export.rows import Choice
from edge_agent.store.read.reader import RangeReader, Reader
from tests.integration.export.test_scripts import BOTH, printed_rows, shown_by
from tests.support.studies import HEART, add_stimuli

SECONDS = 60
SETTLING = round(HEART.spec.settling_s)
QUERY = AnalysisQuery(vital=(HEART,), states=("rest", "film"), sensitivity=False)


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """Five people, each at rest and with a film; a heart that calms down all the while."""
    path = tmp_path / "affect-edge.db"
    migrate(path)
    for person in range(5):
        level = 70 + 2.5 * person
        calm = [level + (7 + person) * 0.95**second for second in range(SECONDS)]
        add_stimuli(path, f"P-{person}", {"rest": calm, "film": [one + 3 for one in calm]})
    return path


def analysed_from(database: Path, start_ms: int) -> Analysis:
    return analyse(RangeReader(database, start_ms, None), QUERY)


@pytest.mark.parametrize(
    ("cut", "left"),
    [
        (0, SECONDS - SETTLING),
        (SETTLING // 2, SECONDS - SETTLING),  # not yet settled at the cut: the rest is left out
        (SETTLING + 10, SECONDS - SETTLING - 10),  # settled long before: nothing more is left out
    ],
)
@pytest.mark.parametrize("run", BOTH)
def test_it_does_not_settle_anew(run: object, cut: int, left: int, database: Path) -> None:
    first = min(Reader(database).session_list(), key=lambda session: session.start_ms)
    start = first.start_ms + 1000 * cut
    analysis = analysed_from(database, start)
    counts = {(mean.participant, mean.state): mean.readings for mean in analysis.means}
    assert counts["P-0", "rest"] == left
    assert counts["P-0", "film"] == counts["P-1", "rest"] == SECONDS - SETTLING
    assert analysis.flow is not None
    (settling,) = analysis.settling
    assert settling.readings == 10 * SETTLING - min(cut, SETTLING)
    file = BUNDLE.export(database, database.parent / "b.zip", Choice(None, start, None))[0]
    folder = database.parent / "bundle"
    with zipfile.ZipFile(file) as archive:
        archive.extractall(folder)
    assert callable(run)
    words = ("--vital", "heart_rate", "--states", "rest", "--states", "film")
    text = run(folder, words)
    assert printed_rows(text) == shown_by(response_of(analysis))
    with (folder / "marker.csv").open(newline="") as lines:
        markers = list(csv.DictReader(lines))
    assert [row["label"] for row in markers[:2]] == ["rest", "film"]


def test_a_range_between_stimuli_brings_no_marker_of_before(database: Path) -> None:
    first = min(Reader(database).session_list(), key=lambda session: session.start_ms)
    assert first.end_ms is not None
    choice = Choice(None, first.end_ms + 1000, None)
    file = BUNDLE.export(database, database.parent / "b.zip", choice)[0]
    with zipfile.ZipFile(file) as archive:
        lines = archive.read("marker.csv").decode().splitlines()
    assert len(lines) == 1 + 2 * 4
