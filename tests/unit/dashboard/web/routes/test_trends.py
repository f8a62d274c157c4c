"""The trends page and its API over a real database."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from dashboard.accounts.roles import Role
from dashboard.web.rendering import minute
from edge_agent.core.clock import Instant, now
from edge_agent.core.movements import MovementRow
from edge_agent.core.vitals import VitalKind
from edge_agent.timeline.database.connection import write_transaction
from edge_agent.timeline.write.inserts import write_movements
from tests.support.dashboard import add_session, fill, log_in_as
from tests.support.timeline import movement_row, movements, query, timeline

HOUR_MS = 3_600_000


def test_trends_draw_the_chosen_range_and_mark_simulated_data(
    ada: TestClient, database: Path
) -> None:
    fill(database, minutes=10, simulated=True)
    page = ada.get("/trends?range=1h").text
    assert 'data-length="3600000"' in page and "contains simulated data" in page
    assert page.count('class="drawing drawing-wide"') == 1
    traces = set(re.findall(r'<g data-trace="([^"]+)"', page))
    assert traces >= {"happiness", "uncertain", "heart rate", "systolic"}
    assert '<th scope="col">happiness</th>' in page, "the table needs no script"
    legend = set(re.findall(r'fill="url\(#(hatch-\w+)\)"', page))
    patterns = set(re.findall(r'<pattern id="(hatch-\w+)"', page))
    assert legend - patterns == {"hatch-neutral"}, "each but one has its pattern on paper"


def test_a_range_of_ones_own_is_kept_and_an_empty_one_refused(
    ada: TestClient, database: Path
) -> None:
    fill(database, minutes=5)
    ((last,),) = query(database, "SELECT max(at) FROM expression")
    page = ada.get(f"/trends?start={last - HOUR_MS}&end={last + 1}")
    assert page.status_code == 200 and f'value="{minute(last)}"' in page.text
    refused = ada.get(f"/trends?start={last}&end={last}")
    assert refused.status_code == 422 and "The end must be after the start" in refused.text
    empty = ada.get("/trends?start=2026-07-01T10:00&end=1782903600000").text  # without JavaScript
    assert '<time datetime="2026-07-01T10:00:00.000Z"' in empty and "Nothing was recorded" in empty


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


def test_notes_and_baselines_of_a_session_stand_on_its_chart(
    ada: TestClient, database: Path
) -> None:
    fill(database, minutes=15)
    number = add_session(database, minutes_ago=12)
    ((start, end),) = query(database, f"SELECT started, ended FROM session WHERE id = {number}")
    note = {"at": start + 5_000, "kind": "note", "label": "coughed <loud>"}
    baseline = {"at": start + 9_000, "kind": "baseline"}
    ada.post(f"/api/v1/sessions/{number}/markers", json=[note, baseline])
    chart = ada.get(f"/api/v1/trends/chart?start={start}&end={end + 1}").json()
    traces = {trace["name"]: trace for trace in chart["figure"]["data"]}
    assert traces["marker"]["x"] == [start + 5_000, start + 9_000]
    assert traces["marker"]["hovertemplate"] == [
        "note: coughed &lt;loud&gt;<extra></extra>",
        "baseline begins<extra></extra>",
    ]
    lines = [
        shape["x0"] for shape in chart["figure"]["layout"]["shapes"] if shape["type"] == "line"
    ]
    assert lines == traces["marker"]["x"]
    assert chart["sentence"].endswith("marked: baseline 1, note 1.")


def test_a_chart_up_to_now_ends_by_the_clock_of_this_machine(
    ada: TestClient, database: Path
) -> None:
    fill(database, minutes=5)
    before_ms = now().wall_ms
    chart = ada.get(f"/api/v1/trends/chart/now?length={HOUR_MS}").json()
    start, end = chart["figure"]["layout"]["xaxis"]["range"]
    assert end - start == HOUR_MS
    assert before_ms <= end <= now().wall_ms


def test_where_only_sums_remain_trends_know_from_when_to_when(
    ada: TestClient, database: Path
) -> None:
    fill(database, minutes=5)
    with write_transaction(database) as connection:
        for table in ("expression", "expression_minute", "expression_hour", "vital"):
            connection.execute(f"DELETE FROM {table}")
    page = ada.get("/trends?start=0&end=1000").text
    assert "Show all of it" in page and "not recorded anything yet" not in page
    assert "Nothing was recorded" not in ada.get("/trends?range=24h").text


def test_chosen_movements_are_drawn_in_points_and_degrees_and_stay_chosen(
    ada: TestClient, database: Path
) -> None:
    fill(database, minutes=10)
    ((last,),) = query(database, "SELECT max(at) FROM expression")
    assert "Movements of the face" not in ada.get("/trends?range=1h").text
    face = movements(smile=0.25, yaw=-12.0).values
    with write_transaction(database) as connection:
        for back in range(60):
            row = MovementRow(Instant(0, last - 1000 * back), 1, 5, face, back % 2 == 0)
            write_movements(connection, [(row, None)], 1000, simulated=False)
    chosen = f"start={last - 600_000}&end={last + 1}&movement=yaw&movement=smile"
    answer = ada.get(f"/api/v1/trends?{chosen}&buckets=1").json()["movements"]
    assert {name: (one["unit"], sum(one["n"])) for name, one in answer.items()} == {
        "smile": ("%", 30),
        "yaw": ("deg", 30),
    }
    assert [set(one["mean"]) - {None} for one in answer.values()] == [{-12.0}, {25.0}]
    page = ada.get(f"/trends?{chosen}").text
    assert "Movements of the face (points)" in page and "Head pose (" in page
    assert page.count('name="movement" value="smile" checked') == 1
    assert "&amp;movement=yaw&amp;movement=smile" in page, "the ranges keep them"
    assert ada.get("/trends?movement=grin").status_code == 422
    with write_transaction(database) as connection:
        for table in ("expression", "vital"):
            connection.execute(f"DELETE FROM {table} WHERE at > ?", (last - 600_000,))
    only_moved = f"start={last - 60_000}&end={last + 1}"
    assert "Nothing was recorded" not in ada.get(f"/trends?{only_moved}").text
    refused = ada.get(f"/api/v1/trends?{chosen}&movement=grin")
    assert refused.status_code == 422 and "movement" in refused.json()["detail"]


def test_analysis_offers_other_measures_when_asked_grouped_by_their_origin(
    ada: TestClient, database: Path
) -> None:
    page = ada.get("/analysis?offer=measures").text
    assert "Movements of the face" not in page, "none was recorded"
    timeline(database, movement=[movement_row(0, smile=0.5)])
    plain = ada.get("/analysis").text
    assert "Choose measures of the face, self-rated valence and arousal" in plain
    assert 'value="smile"' not in plain
    page = ada.get("/analysis?offer=measures").text
    titles = ("Heart and pressure", "Expressions of the face", "Movements of the face")
    places = [page.index(f"{title}</") for title in (*titles, "Self-rated valence and arousal")]
    assert places == sorted(places)
    for name in ("anger", "labelled_fear", "smile", "sam_valence"):
        assert f'name="vital" value="{name}">' in page
    assert 'name="offer"' not in page
    assert 'value="smile" checked' in ada.get("/analysis?vital=smile").text


def test_analysis_of_face_by_observed_emotions_says_that_it_is_circular(ada: TestClient) -> None:
    for name in ("anger", "valence", "labelled_anger", "smile", "look_x"):
        refused = ada.get(f"/analysis?state=observed&vital={name}")
        assert refused.status_code == 422
        assert f"{name} by observed emotions would be circular" in refused.text
        assert "choose state condition or reported" in refused.text
        told = ada.get(f"/api/v1/analysis?state=observed&vital={name}")
        assert told.status_code == 422 and "circular" in told.json()["detail"]


def test_trends_of_a_participant_or_session_leave_out_everybody_else(
    ada: TestClient, database: Path
) -> None:
    fill(database, minutes=60)
    first = add_session(database, minutes_ago=58)
    second = add_session(database, "P-02", "evening", minutes_ago=15)
    ((start, end),) = query(database, "SELECT started, ended FROM session WHERE id = ?", second)
    span = f"start={start - 3 * HOUR_MS}&end={end + HOUR_MS}"

    def rows(which: str) -> int:
        return sum(ada.get(f"/api/v1/trends?{span}{which}").json()["expression"]["rows"])

    kept = "SELECT count(*) FROM expression WHERE at >= ? AND at < ?"
    ((inside,),) = query(database, kept, start, end)
    assert rows("&participant=p-02") == rows(f"&session={second}") == inside > 500
    assert rows("&participant=P-01") + inside < rows("")
    answer = ada.get(f"/api/v1/trends?{span}&participant=P-02&session={second}").json()
    assert (answer["participant"], answer["session"]) == ("P-02", second)
    page = ada.get(f"/trends?session={second}").text
    assert "<h1>Trends of P-02, evening</h1>" in page
    assert f'value="{minute(start)}"' in page, "it begins with the session"
    assert f"&amp;session={second}" in page, "the ranges keep it"
    assert "<h1>Trends of P-01</h1>" in ada.get("/trends?participant=P-01&session=").text
    empty = ada.get("/trends?participant=P-01&range=10m")
    assert empty.status_code == 200 and "Nothing was recorded of P-01 from" in empty.text
    for which, why in (
        ("participant=P-09", "There is no participant 'P-09'"),
        ("session=99", "session = 99: there is no such session"),
        (f"participant=P-02&session={first}", "is a session of P-01, not of P-02"),
    ):
        answer = ada.get(f"/api/v1/trends?{span}&{which}")
        assert answer.status_code == 404 and why in answer.json()["detail"], which
        assert ada.get(f"/trends?{which}").status_code == 404
    assert ("session_view", str(second)) in query(database, "SELECT action, detail FROM audit")


def test_trends_of_a_participant_open_on_the_latest_recording_and_say_so(
    ada: TestClient, database: Path
) -> None:
    fill(database, minutes=60)
    number = add_session(database, minutes_ago=50)
    add_session(database, "P-02", minutes_ago=15)
    ((start,),) = query(database, "SELECT started FROM session WHERE id = ?", number)
    page = ada.get("/trends?participant=P-01").text
    assert "<strong>Latest recording</strong>" in page and f'data-start="{start}"' in page
    assert 'aria-current="true">Latest recording</a>' in page and "data-length" not in page
    assert "<strong>Whole session</strong>" in ada.get(f"/trends?session={number}").text
    asked = ada.get("/trends?range=1h").text
    for everybody, keeps in ((ada.get("/trends").text, False), (asked, True)):
        assert "Latest recording" not in everybody
        form = everybody.split('<label for="participant">')[0].rpartition("<form")[2]
        assert ('name="range"' in form) is keeps, "only a range that was asked for is kept"


def test_trends_of_people_need_the_role_that_may_see_them(ada: TestClient, database: Path) -> None:
    fill(database, minutes=30)
    number = add_session(database)
    viewer, operator = (log_in_as(ada, role) for role in (Role.VIEWER, Role.OPERATOR))
    assert viewer.get("/trends").status_code == 200
    assert "P-01" not in viewer.get("/trends").text + operator.get("/trends").text
    assert viewer.get(f"/trends?session={number}").status_code == 403
    assert operator.get(f"/trends?session={number}").status_code == 200
    assert operator.get("/trends?participant=P-01").status_code == 403
    assert operator.get("/api/v1/trends?start=0&end=1&participant=P-01").status_code == 403


def test_trends_of_a_participant_say_that_old_rows_are_deleted(
    ada: TestClient, database: Path
) -> None:
    fill(database, minutes=30)
    add_session(database)
    assert "are deleted" not in ada.get("/trends?participant=P-01").text
    with write_transaction(database) as connection:
        connection.execute("DELETE FROM expression")
    page = ada.get("/trends?participant=P-01").text
    assert "are deleted. Of earlier sessions only sums" in page
    assert ada.get("/api/v1/trends?start=0&end=3000000000000&participant=P-01").json()[
        "rows_kept_since"
    ]
