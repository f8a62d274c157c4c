"""The trends page and its API over a real database."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from edge_agent.core.vitals import VitalKind
from tests.support.dashboard import fill
from tests.support.timeline import query

HOUR_MS = 3_600_000


def test_trends_draw_the_chosen_range_and_mark_simulated_data(
    ada: TestClient, database: Path
) -> None:
    fill(database, minutes=10, simulated=True)
    page = ada.get("/trends?range=1h").text
    assert 'data-length="3600000"' in page and "contains simulated data" in page
    chart = json.loads(page.split("data-chart-json>")[1].split("</script>")[0])
    assert {trace["name"] for trace in chart["figure"]["data"]} >= {
        "happiness",
        "uncertain",
        "heart rate",
        "systolic",
    }


@pytest.mark.parametrize(("minutes", "key"), [(0, "24h"), (5, "10m"), (40, "1h")])
def test_trends_open_on_a_range_that_fits_what_is_recorded(
    ada: TestClient, database: Path, minutes: int, key: str
) -> None:
    if minutes:
        fill(database, minutes=minutes)
    assert f'href="/trends?range={key}" aria-current' in ada.get("/trends").text


def test_a_range_of_ones_own_is_kept_and_an_empty_one_refused(
    ada: TestClient, database: Path
) -> None:
    fill(database, minutes=5)
    ((last,),) = query(database, "SELECT max(at) FROM expression")
    page = ada.get(f"/trends?start={last - HOUR_MS}&end={last + 1}")
    assert page.status_code == 200 and f'name="start" value="{last - HOUR_MS}"' in page.text
    refused = ada.get(f"/trends?start={last}&end={last}")
    assert refused.status_code == 422 and "its end must lie after its start" in refused.text
    assert "Nothing was recorded from" in ada.get("/trends?start=0&end=1000").text


def test_the_trends_api_mirrors_the_page(ada: TestClient, database: Path) -> None:
    fill(database, minutes=10)
    ((last,),) = query(database, "SELECT max(at) FROM expression")
    answer = ada.get(f"/api/v1/trends?start={last - 600_000}&end={last + 1}&buckets=10").json()
    assert set(answer["vitals"]) == set(VitalKind)
    assert answer["vitals"]["heart_rate"]["unit"] == "/min"
    # buckets begin at round times of the clock: the first may end before the first row, others lie
    # in the gap
    shares = [
        bucket
        for bucket in zip(*answer["expression"]["shares"].values(), strict=True)
        if bucket[0] is not None
    ]
    assert len(shares) >= 4
    assert [sum(bucket) for bucket in shares] == pytest.approx([1.0] * len(shares))
    chart = ada.get(f"/api/v1/trends/chart?start={last - 600_000}&end={last + 1}").json()
    assert chart["time_axis"] and len(chart["columns"]) == len(chart["rows"][0])
    assert ada.get(f"/api/v1/trends?start={last}&end={last}").status_code == 422
    assert ada.get("/api/v1/trends?start=0&end=9999999999999").status_code == 422
