"""The same study on a device and in PostgreSQL: the same numbers, pages and exports."""

from __future__ import annotations

import json
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("psycopg", reason="pip install -e '.[fleet]'")
pytest.importorskip("cbor2", reason="pip install -e '.[fleet]'")

from starlette.testclient import TestClient

from collector.messages import BrokerDelivery
from collector.writer import MessageWriter
from dashboard.__main__ import main as dashboard
from dashboard.accounts.roles import Role
from dashboard.fleet.study_files import FOLDER, KEPT_S, KeptCopies
from edge_agent.core.errors import StoreError
from edge_agent.timeline.read.reader import Reader
from edge_agent.timeline.upkeep.erasure import erase_participant
from tests.support.broker import wait_until
from tests.support.dashboard import client_of, log_in_as, set_up
from tests.support.exports.over_http import exported, members, without_times
from tests.support.fleet.dashboards import services_of
from tests.support.fleet.devices import messages_of, packed
from tests.support.fleet.postgres import INSTALL, Postgres, postgres_programs
from tests.support.fleet.studies_there import analysed

pytestmark = pytest.mark.skipif(postgres_programs() is None, reason=INSTALL)


QUESTIONS = {
    "conditions": (),
    "example": ("--sample", "example"),
    "observed": ("--sample", "example", "--state", "observed"),
    "reported": ("--sample", "example", "--state", "reported"),
    "group": ("--group", "sex", "--no-sensitivity"),
    "flow": ("--print-flow", "--sample", "example"),
    "tables": ("--print-tables", "--sample", "example"),
}


@pytest.fixture(scope="module")
def own(devices: dict[str, Path]) -> Iterator[TestClient]:
    folder = devices["room"].parent
    with client_of(folder, device="room") as one:
        yield set_up(one, folder)
        services_of(one).exports.close()


def copies_of(client: TestClient) -> KeptCopies:
    copies = services_of(client).copies
    assert copies is not None
    return copies


def refusal(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert dashboard(["analyse", *words]) == 1
    return capsys.readouterr().err


DEEP = ("observed", "reported", "group", "flow")
"""A copy that is equal answers all questions equally; these are asked by make test-all."""


@pytest.mark.parametrize(
    "name", [pytest.param(one, marks=pytest.mark.deep if one in DEEP else ()) for one in QUESTIONS]
)
def test_the_command_computes_the_same_to_the_last_digit(
    name: str,
    devices: dict[str, Path],
    there: Any,
    postgres: Postgres,
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = QUESTIONS[name]
    if not any(word.startswith("--print") for word in words):
        words = (*words, "--json")
    folder = ("--data", str(devices["room"].parent))
    own = analysed(capsys, *folder, *words)
    source = ("--source", postgres.address, "--device", "room")
    assert analysed(capsys, *folder, *source, *words) == own
    if "--json" in words:
        assert json.loads(own)["readings"] > 10


def test_of_several_devices_one_must_be_named(
    devices: dict[str, Path], there: Any, postgres: Postgres, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("--data", str(devices["room"].parent), "--source", postgres.address)
    assert "Name one with --device. Devices there: hall, room." in refusal(capsys, *words)
    assert "There is no device 'attic'" in refusal(capsys, *words, "--device", "attic")
    both = ("--device", "room", "--all-devices")
    assert "Give --device or --all-devices, not both." in refusal(capsys, *words, *both)


def test_without_a_server_or_its_tables_it_says_so(
    devices: dict[str, Path], there: Any, postgres: Postgres, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("--data", str(devices["room"].parent), "--source")
    empty = postgres.address.replace("/postgres?", "/template1?")
    assert "no collector has written to it" in refusal(capsys, *words, empty)
    nowhere = f"postgresql://fleet@/postgres?host={postgres.folder}&port=1"
    assert "Error: PostgreSQL: connection" in refusal(capsys, *words, nowhere)


def test_the_page_computes_the_same_to_the_last_digit(fleet: TestClient, own: TestClient) -> None:
    mine = own.get("/api/v1/analysis?group=sex&sensitivity=false")
    assert mine.status_code == 200, mine.text
    assert fleet.get("/api/v1/analysis?device=room&group=sex&sensitivity=false").text == mine.text
    assert json.loads(mine.text)["readings"] > 5


def test_the_sessions_are_equal(fleet: TestClient, own: TestClient) -> None:
    for address in ("/api/v1/sessions", "/api/v1/sessions/1/quality", "/api/v1/sessions/1/course"):
        mine = own.get(address)
        assert mine.status_code == 200, mine.text
        assert fleet.get(f"{address}?device=room").text == mine.text


def test_a_bundle_is_equal_byte_for_byte(fleet: TestClient, own: TestClient) -> None:
    mine = members(exported(own, "bundle", ""))
    theirs = members(exported(fleet, "bundle", "device=room"))
    assert theirs.keys() == mine.keys()
    assert without_times(theirs) == without_times(mine)
    assert b"room" in theirs["README.md"]
    assert mine["vital.csv"].count(b"\n") > 100


def test_the_page_export_says_how_much_of_the_timeline_there_is(
    fleet: TestClient, own: TestClient
) -> None:
    said = "the export covers its sessions and one hour before and after each"
    assert said in fleet.get("/export?device=room").text
    assert said not in own.get("/export").text


def test_pages_are_for_reading_only(fleet: TestClient) -> None:
    for address in (
        "/study",
        "/study/participants/P00",
        "/study/sessions/1",
        "/study/sessions/1?with=2",
        "/study/sessions/1/quality",
        "/study/sessions/1/course",
        "/analysis",
        "/analysis?whole=yes",
        "/responses",
        "/export",
    ):
        mark = "&" if "?" in address else "?"
        page = fleet.get(f"{address}{mark}device=room")
        assert page.status_code == 200, (address, page.text)
        assert 'name="device"' in page.text, address
        if address.startswith("/study"):
            assert 'method="post"' not in page.text.replace('method="post" action="/logout"', "")
            for wording in ("Withdraw", "/erase", "Start a session", "/attributes"):
                assert wording not in page.text, (address, wording)


@pytest.mark.parametrize(
    "address",
    [
        "/study/participants",
        "/study/participants/P00/erase",
        "/api/v1/session/end",
        "/api/v1/vitals",
    ],
)
def test_requests_that_would_change_a_fleet_study_are_refused(
    address: str, fleet: TestClient
) -> None:
    answer = fleet.post(f"{address}?device=room", json={}, headers={"origin": "http://127.0.0.1"})
    assert answer.status_code == 409, answer.text
    assert "cannot change them" in answer.text


def test_a_device_must_be_named_and_known(fleet: TestClient, own: TestClient) -> None:
    unnamed = fleet.get("/api/v1/analysis")
    assert unnamed.status_code == 422
    assert unnamed.json()["detail"] == "device: choose one of hall, room."
    unknown = fleet.get("/api/v1/analysis?device=attic")
    assert unknown.status_code == 404
    assert "device = attic: no such device" in unknown.json()["detail"]
    page = fleet.get("/analysis")
    assert page.status_code == 200
    assert 'name="device" value="hall"' in page.text
    assert '<option value="hall">' in fleet.get("/study").text
    assert fleet.get("/study?device=attic").status_code == 404
    assert own.get("/api/v1/analysis?device=room").status_code == 404


def test_pages_of_a_fleet_study_refuse_a_viewer(fleet: TestClient) -> None:
    guest = log_in_as(fleet, Role.VIEWER)
    for address in ("/analysis", "/export", "/study", "/api/v1/analysis", "/api/v1/sessions"):
        assert guest.get(f"{address}?device=room").status_code == 403, address


@pytest.mark.parametrize(
    ("statement", "reason"),
    [
        ("UPDATE fleet.stream SET copied = false", "room has not sent all its data yet"),
        (
            "INSERT INTO fleet.lost SELECT id, 1, 2, 'refused' FROM fleet.stream",
            "Changes from room were lost (stretches: 1",
        ),
        (
            "UPDATE fleet.stream SET ahead = '{[1000000,1000001]}'",
            "Some messages from room are missing",
        ),
    ],
)
def test_a_study_that_is_not_all_there_is_refused(
    statement: str, reason: str, fleet: TestClient, there: Any
) -> None:
    before = there.execute("SELECT id, copied, ahead FROM fleet.stream").fetchall()
    assert fleet.get("/api/v1/analysis?device=room").status_code == 200
    there.execute(statement)
    try:
        for address in ("/api/v1/analysis", "/analysis", "/study", "/api/v1/export"):
            answer = fleet.get(f"{address}?device=room")
            assert answer.status_code == 503, address
            assert reason in answer.text
    finally:
        there.execute("DELETE FROM fleet.lost")
        there.cursor().executemany(
            "UPDATE fleet.stream SET copied = %s, ahead = %s WHERE id = %s",
            [(copied, ahead, number) for number, copied, ahead in before],
        )


def test_a_copy_is_kept_privately_and_made_anew_when_more_has_come(
    fleet: TestClient, there: Any
) -> None:
    copies = copies_of(fleet)
    with copies.lend("room") as first, copies.lend("room") as again:
        assert first == again
        for part in (first.parent, first.parent.parent):
            assert stat.S_IMODE(part.stat().st_mode) == 0o700
    with copies.lend("room") as kept:
        assert kept == first
    there.execute("UPDATE fleet.stream SET applied = applied + 1 WHERE device = 'room'")
    with copies.lend("room") as newer:
        assert newer != first
        assert not first.exists()
    there.execute("UPDATE fleet.stream SET applied = applied - 1 WHERE device = 'room'")


def test_copy_of_a_study_that_is_not_used_is_deleted(
    fleet: TestClient, there: Any, tmp_path: Path
) -> None:
    database = services_of(fleet).fleet
    assert database is not None
    time = [0.0]
    copies = KeptCopies(database, tmp_path, lambda: None, lambda: time[0])
    with copies.lend("hall") as path:
        time[0] += KEPT_S + 1
        copies.delete_outdated()
        assert path.exists()
    copies.delete_outdated()
    assert path.exists()
    time[0] += KEPT_S + 1
    copies.delete_outdated()
    assert not path.exists()
    left = tmp_path / FOLDER / "of-a-crash"
    left.mkdir()
    (left / "affect-edge.db").write_bytes(b"x")
    copies.close()
    KeptCopies(database, tmp_path, lambda: None).close()
    assert not left.exists()


def test_without_space_it_says_so(
    fleet: TestClient, there: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = services_of(fleet).fleet
    assert database is not None
    copies = KeptCopies(database, tmp_path, lambda: None)
    monkeypatch.setattr(copies, "_most_bytes", lambda: 300_000)
    with pytest.raises(StoreError, match="no space is left"), copies.lend("room"):
        pass
    assert not list((tmp_path / FOLDER).iterdir())
    copies.close()


def test_an_erasure_on_the_device_takes_copies_and_exports_at_once(
    fleet: TestClient, there: Any, devices: dict[str, Path]
) -> None:
    """The last test of this module: the device changes."""
    made = fleet.post("/api/v1/exports?device=room", json={"format": "json"}).json()
    address = f"/api/v1/exports/{made['id']}"
    wait_until(lambda: fleet.get(address).json()["state"] == "ready", "the export")
    copies = copies_of(fleet)
    row = there.execute("SELECT applied FROM fleet.stream WHERE device = 'room'").fetchone()

    def read_while_somebody_is_erased() -> None:
        with copies.lend("room") as path:
            assert "P03" in {one.participant for one in Reader(path).session_list()}
            erase_participant(devices["room"], "P03", actor="ada")
            messages = messages_of(devices["room"], "room", row[0])
            MessageWriter(there).write_deliveries(
                [BrokerDelivery("room", packed(one), 0) for one in messages]
            )
            wait_until(lambda: not path.exists(), "the copy goes")
            Reader(path).session_list()

    with pytest.raises(StoreError, match="A participant was just erased on room"):
        read_while_somebody_is_erased()
    wait_until(lambda: fleet.get(address).status_code == 404, "the export goes")
    answer = fleet.get("/api/v1/sessions?device=room")
    assert answer.status_code == 200, answer.text
    assert "P03" not in {one["participant"] for one in answer.json()}
