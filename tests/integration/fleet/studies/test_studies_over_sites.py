"""Studies over several devices: people by site and code, and the site in the mixed model."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("psycopg", reason="pip install -e '.[fleet]'")
pytest.importorskip("cbor2", reason="pip install -e '.[fleet]'")

import psycopg
from starlette.testclient import TestClient

from dashboard.analysis.analyse import analyse
from dashboard.analysis.query import AnalysisQuery, Outcome, Sample, StateBy
from dashboard.statistics.mixed_model import mixed_model
from dashboard.web.chosen_study import MOST_DEVICES
from edge_agent.core.errors import StoreError
from edge_agent.timeline.database.connection import write_transaction
from edge_agent.timeline.read.reader import Reader
from edge_agent.timeline.read.sites import PooledReader
from tests.support.fleet.postgres import INSTALL, Postgres, postgres_programs
from tests.support.fleet.sites import (
    CRITERION,
    EFFECTS,
    FIRST_EFFECTS,
    FIRST_VARIANCES,
    ROWS,
    VARIANCES,
    first_sessions,
)
from tests.support.fleet.studies_there import analysed, collect, studied_device
from tests.support.studies import add_session, heart
from tests.support.timeline import timeline

pytestmark = pytest.mark.skipif(postgres_programs() is None, reason=INSTALL)


@pytest.fixture(scope="module")
def sites(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The databases of three devices, which measured at the same times."""
    folder = tmp_path_factory.mktemp("sites")
    found = {}
    for site, people in first_sessions().items():
        found[site] = timeline(folder / site)
        for code, states in people.items():
            add_session(found[site], code, heart(**states))
    return found


@pytest.fixture(scope="module")
def one_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The database of one device that measured all of them, one after the other."""
    path = timeline(tmp_path_factory.mktemp("one"))
    for site, people in first_sessions().items():
        for code, states in people.items():
            add_session(path, f"{site}-{code}", heart(**states))
    return path


@pytest.fixture(scope="module")
def there(postgres: Postgres, sites: dict[str, Path]) -> Iterator[Any]:
    with psycopg.connect(postgres.address, autocommit=True) as connection:
        collect(connection, sites)
        yield connection


def test_the_site_in_the_model_is_that_of_r() -> None:
    effects = {name: [float(row[3] == name) for row in ROWS] for name in ("happiness", "anger")}
    effects |= {f"site {one}": [float(row[0] == one) for row in ROWS] for one in ("hall", "room")}
    people = [f"{row[0]}/{row[1]}" for row in ROWS]
    model = mixed_model([row[4] for row in ROWS], effects, people, [row[2] for row in ROWS])
    for effect in model.effects:
        assert (effect.estimate, effect.error) == pytest.approx(EFFECTS[effect.name], rel=1e-7)
    variances = (model.participant_variance, model.session_variance, model.residual_variance)
    assert variances == pytest.approx(VARIANCES, rel=1e-6)
    assert model.criterion == pytest.approx(CRITERION, rel=1e-10)


def test_several_devices_are_one_study(
    one_file: Path, there: Any, postgres: Postgres, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("--json", "--vital", "heart_rate")
    alone = json.loads(analysed(capsys, "--data", str(one_file.parent), *words))
    folder = ("--data", str(one_file.parent), "--source", postgres.address)
    every = analysed(capsys, *folder, "--all-devices", *words)
    named = [word for one in ("room", "cabin", "hall") for word in ("--device", one)]
    assert analysed(capsys, *folder, *named, *words) == every
    pooled = json.loads(every)
    assert pooled["readings"] == alone["readings"] == 36
    assert pooled["participants"] == alone["participants"] == 15
    assert {"cabin/P00", "hall/P00", "room/P00"} <= {
        mean["participant"] for mean in pooled["means"]
    }
    for mine, theirs in zip(pooled["comparisons"], alone["comparisons"], strict=True):
        for name in ("difference", "p", "holm_p", "t", "df", "n_first", "g", "interval"):
            assert mine[name] == theirs[name], name
    assert pooled["flow"]["stages"] == alone["flow"]["stages"]
    (model,) = pooled["models"]
    assert model["first_site"] == "cabin" and "The model includes the site" in model["sentence"]
    for site in model["sites"]:
        known = FIRST_EFFECTS[site["site"]]
        assert (site["difference"], site["error"]) == pytest.approx(known, rel=1e-6)
    assert (model["minute"], model["places"]) == (None, 3)
    by_model = {(one["first"], one["second"]): one["by_model"] for one in pooled["comparisons"]}
    for state in ("anger", "happiness"):
        test = by_model[state, "neutral"]
        assert (test["difference"], test["error"]) == pytest.approx(FIRST_EFFECTS[state], rel=1e-6)
    variances = (model["participant_variance"], model["residual_variance"])
    assert variances == pytest.approx(FIRST_VARIANCES, rel=1e-6)
    assert any("People of 3 sites are pooled: cabin, hall, room" in one for one in pooled["method"])
    assert alone["models"][0]["sites"] == [] and not alone["models"][0]["first_site"]


def test_a_wrong_clock_of_a_site_changes_nothing(
    there: Any, postgres: Postgres, capsys: pytest.CaptureFixture[str]
) -> None:
    """Sessions, conditions and readings of a site are all by the clock of its own device."""
    words = ("--source", postgres.address, "--all-devices", "--json")
    before = analysed(capsys, *words)
    there.execute(
        "INSERT INTO fleet.clock (device, since, until, reached, boot, boot_ms, "
        "wall_minus_boot_ms, ahead_ms, doubt_ms, synchronised) SELECT 'room', now(), now(), now(), "
        "'a', 1, 1, 7200000, 1000, false"
    )
    try:
        assert analysed(capsys, *words) == before
    finally:
        there.execute("DELETE FROM fleet.clock")


def test_sites_are_groups_of_people_too(
    there: Any, postgres: Postgres, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("--source", postgres.address, "--all-devices", "--group", "site", "--json")
    groups = json.loads(analysed(capsys, *words))["groups"]
    assert set(groups[0]["sizes"]) == {"cabin", "hall", "room"}


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Reader:
    """The study of a device, with faces, self-reports and intervals between beats."""
    path = studied_device(tmp_path_factory.mktemp("own"))
    with write_transaction(path) as connection:
        connection.execute(
            "INSERT INTO marker (session, at, boot_ms, kind, label, boot) SELECT id, started + 1, "
            "boot_ms, 'baseline', '', boot FROM session"
        )
    return Reader(path)


@pytest.mark.parametrize("state", StateBy)
@pytest.mark.parametrize("outcome", Outcome)
def test_a_pool_of_equal_sites_has_all_of_them_twice(
    state: StateBy, outcome: Outcome, own: Reader
) -> None:
    query = AnalysisQuery(sample=Sample.EXAMPLE, state=state, outcome=outcome)
    one = analyse(own, query)
    two = analyse(PooledReader({"a": own, "b": own}), query)
    assert one.answer.readings > 100
    assert two.without_baseline == 2 * one.without_baseline
    for name in ("readings", "simulated_readings", "flagged", "unreported"):
        assert getattr(two.answer, name) == 2 * getattr(one.answer, name), name
    assert len(two.participants) == 2 * len(one.participants)
    assert len(two.heart_values) == 2 * len(one.heart_values)
    assert len(two.answer.variability) == 2 * len(one.answer.variability)
    by_person = {(mean.participant, mean.kind, mean.state): mean for mean in two.means}
    for mean in one.means:
        for site in "ab":
            own_mean = by_person[f"{site}/{mean.participant}", mean.kind, mean.state]
            assert own_mean.mean == mean.mean
    if one.answer.matching is not None:
        assert two.answer.matching is not None
        assert two.answer.matching.matched == 2 * one.answer.matching.matched
        assert two.answer.matching.ambiguous == 2 * one.answer.matching.ambiguous


def test_a_pool_says_who_is_where_and_refuses_what_no_analysis_asks(own: Reader) -> None:
    pool = PooledReader({"a": own, "b": own})
    sessions = own.session_list()
    assert {one.participant for one in pool.session_list()} == {
        f"{site}/{one.participant}" for site in "ab" for one in sessions
    }
    assert len({one.id for one in pool.session_list()}) == 2 * len(sessions)
    assert {one["site"] for one in pool.attributes().values()} == {"a", "b"}
    assert {len(one) for one in pool.attributes().values()} == {2}, "sex and site"
    with pytest.raises(StoreError, match="one device only"):
        pool.connect()


def test_the_page_takes_several_devices(
    fleet: TestClient, there: Any, postgres: Postgres, capsys: pytest.CaptureFixture[str]
) -> None:
    question = "device=hall&device=room&device=cabin&vital=heart_rate"
    mine = fleet.get(f"/api/v1/analysis?{question}")
    assert mine.status_code == 200, mine.text
    words = ("--source", postgres.address, "--all-devices", "--json", "--vital", "heart_rate")
    assert mine.json() == json.loads(analysed(capsys, *words))
    page = fleet.get(f"/analysis?{question}&whole=yes")
    assert page.status_code == 200, page.text
    assert "The model includes the site. Differences from cabin" in page.text
    assert page.text.count('<input type="hidden" name="device"') == 3
    assert "the same code at two sites counts as two people" in page.text
    chosen = fleet.get("/analysis")
    assert '<input type="checkbox" name="device" value="cabin">' in chosen.text


def test_a_page_takes_so_many_devices_and_no_more(fleet: TestClient) -> None:
    question = "&".join(f"device=d{one}" for one in range(MOST_DEVICES + 1))
    assert fleet.get(f"/api/v1/analysis?{question}").status_code == 422
    assert fleet.get("/api/v1/analysis?device=hall&device=attic").status_code == 404
