"""Exports of several devices: one zip, each with what its own dashboard would export."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import subprocess
import sys
import threading
import zipfile
from pathlib import Path
from shutil import which
from typing import Any

import pytest

pytest.importorskip("psycopg", reason="pip install -e '.[fleet]'")
pytest.importorskip("cbor2", reason="pip install -e '.[fleet]'")

from starlette.testclient import TestClient

from collector.messages import BrokerDelivery
from collector.writer import MessageWriter
from dashboard.accounts.audit import AuditFilter
from dashboard.accounts.roles import Role
from dashboard.export_jobs import export_sites
from dashboard.web.chosen_study import MOST_DEVICES
from edge_agent.timeline.upkeep.erasure import erase_participant
from tests.support.broker import wait_until
from tests.support.commands import affect_edge
from tests.support.dashboard import log_in_as
from tests.support.exports.over_http import exported, members, prepared, without_times
from tests.support.exports.readme import code_of
from tests.support.exports.sealed import WORDS, opened
from tests.support.fleet.dashboards import services_of
from tests.support.fleet.devices import messages_of, packed
from tests.support.fleet.postgres import INSTALL, Postgres, postgres_programs

pytestmark = pytest.mark.skipif(postgres_programs() is None, reason=INSTALL)
BOTH = "device=hall&device=room"


@pytest.fixture(scope="module")
def bundle(fleet: TestClient) -> dict[str, bytes]:
    """The bundle of both devices, with all of their sessions."""
    return members(exported(fleet, "bundle", BOTH))


def rows(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode())))


def test_each_site_has_the_bundle_that_it_has_alone(
    bundle: dict[str, bytes], fleet: TestClient
) -> None:
    for name in ("hall", "room"):
        alone = members(exported(fleet, "bundle", f"device={name}"))
        start = f"sites/{name}/"
        here = {one[len(start) :]: text for one, text in bundle.items() if one.startswith(start)}
        assert here.keys() == alone.keys()
        assert without_times(here) == without_times(alone)
        assert name.encode() in here["README.md"]
    assert b"2 devices as sites of one study" in bundle["README.md"]


def test_one_request_answers_with_all_sites(fleet: TestClient) -> None:
    files = members(fleet.get(f"/api/v1/export?{BOTH}&format=json").content)
    assert {one.split("/")[1] for one in files if one.startswith("sites/")} == {"hall", "room"}


def test_what_is_about_all_sites_is_what_the_page_says(
    bundle: dict[str, bytes], fleet: TestClient
) -> None:
    sessions = {one["id"]: one for one in fleet.get(f"/api/v1/sessions?{BOTH}").json()}
    chosen = "&".join(f"session={number}" for number in sorted(sessions))
    answer = fleet.get(f"/api/v1/analysis?{BOTH}&sample=selected&{chosen}")
    assert json.loads(bundle["analysis.json"]) == answer.json()
    assert answer.json()["readings"] > 5
    numbers = rows(bundle["session_number.csv"])
    assert {int(one["session"]): one["participant"] for one in numbers} == {
        number: one["participant"] for number, one in sessions.items()
    }
    for one in numbers:
        own = {row["session"]: row for row in rows(bundle[f"sites/{one['site']}/session.csv"])}
        code = own[one["session_of_site"]]["participant"]
        assert f"{one['site']}/{code}" == one["participant"]
    sites = rows(bundle["sites.csv"])
    assert [(one["site"], one["folder"]) for one in sites] == [
        ("hall", "sites/hall"),
        ("room", "sites/room"),
    ]
    assert sum(int(one["sessions"]) for one in sites) == len(sessions)
    assert {one["participant"].split("/")[0] for one in rows(bundle["session_mean.csv"])} == {
        "hall",
        "room",
    }


def test_its_readme_reads_the_tables_of_all_sites_as_one(
    bundle: dict[str, bytes], tmp_path: Path
) -> None:
    """The code of the README, as it stands there, in Python, R and DuckDB."""
    for name, content in bundle.items():
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    wanted = {site: len(rows(bundle[f"sites/{site}/vital.csv"])) for site in ("hall", "room")}
    codes = code_of(bundle["README.md"].decode())
    python = next(one for one in codes if "pandas" in one)
    counted = "print(vital.groupby('site').size().to_dict())"
    done = subprocess.run(
        [sys.executable, "-c", f"{python}\n{counted}"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert eval(done.stdout) == wanted
    if which("Rscript"):
        code = next(one for one in codes if "Sys.glob" in one)
        code += '\ncat(sprintf("%s %d\\n", names(table(vital$site)), table(vital$site)))'
        done = subprocess.run(
            ["Rscript", "-e", code], cwd=tmp_path, capture_output=True, text=True, check=True
        )
        assert {one.split()[0]: int(one.split()[1]) for one in done.stdout.splitlines()} == wanted
    import duckdb

    query = next(one for one in codes if "read_csv('sites" in one).replace(
        "sites/", f"{tmp_path}/sites/"
    )
    query = query.replace(f"'{tmp_path}/sites/([^/]+)/'", "'sites/([^/]+)/'").rstrip(";\n ")
    with duckdb.connect() as connection:
        found = connection.execute(f"SELECT site, count(*) FROM ({query}) GROUP BY 1").fetchall()
    assert dict(found) == wanted


def test_a_site_without_a_chosen_session_is_left_out(fleet: TestClient) -> None:
    sessions = fleet.get(f"/api/v1/sessions?{BOTH}").json()
    (hall,) = (one["id"] for one in sessions if one["participant"] == "hall/P00")
    for name in ("edf", "json", "bids"):
        files = members(prepared(fleet, BOTH, format=name, sessions=[hall]))
        assert rows(files["sites.csv"]) == [
            {"site": "hall", "folder": "sites/hall", "participants": "1", "sessions": "1"}
        ]
        assert {one.split("/")[1] for one in files if one.startswith("sites/")} == {"hall"}
        assert "analysis.json" not in files


@pytest.mark.parametrize(
    "name", ["json", *(pytest.param(name, marks=pytest.mark.deep) for name in ("fhir", "edf"))]
)
def test_other_formats_have_a_folder_for_each_site_too(name: str, fleet: TestClient) -> None:
    of_making = re.compile(rb'"(timestamp|created|lastUpdated)": ?"[^"]*"')
    files = members(exported(fleet, name, BOTH))
    for site in ("hall", "room"):
        alone = exported(fleet, name, f"device={site}")
        own = members(alone) if alone.startswith(b"PK") else {f"{site}.{name}": alone}
        start = f"sites/{site}/"
        here = {one[len(start) :]: text for one, text in files.items() if one.startswith(start)}
        if len(own) == 1:
            own = dict(zip(here, own.values(), strict=True))
        assert here.keys() == own.keys()
        for file, content in own.items():
            assert of_making.sub(b"", here[file]) == of_making.sub(b"", content), file


def test_a_range_of_time_is_of_all_sites(fleet: TestClient) -> None:
    sessions = {one["participant"]: one for one in fleet.get(f"/api/v1/sessions?{BOTH}").json()}
    start, end = (sessions["room/P05"][name] for name in ("start", "end"))
    files = members(prepared(fleet, BOTH, start=start, end=end))
    assert {one["participant"] for one in rows(files["session_number.csv"])} >= {"room/P05"}
    assert len(rows(files["session_number.csv"])) < len(sessions)
    refused = fleet.post(f"/api/v1/exports?{BOTH}", json={"start": end, "end": start})
    assert refused.status_code == 422


def test_what_is_asked_wrongly_is_refused_before_anything_is_prepared(fleet: TestClient) -> None:
    for question, chosen, status, reason in (
        (BOTH, {"sessions": [987_654]}, 404, "there is no such session"),
        (BOTH, {"format": "fhir"}, 422, "takes sessions only"),
        ("device=hall&device=attic", {}, 404, "device = attic: no such device"),
        ("&".join(["device=hall"] * (MOST_DEVICES + 1)), {}, 422, "device"),
        ("", {}, 422, "device: choose one of hall, room"),
    ):
        answer = fleet.post(f"/api/v1/exports?{question}", json=chosen)
        assert answer.status_code == status, answer.text
        assert reason in answer.text
    guest = log_in_as(fleet, Role.VIEWER)
    assert guest.post(f"/api/v1/exports?{BOTH}", json={}).status_code == 403


def test_export_over_sites_is_locked_and_audited(fleet: TestClient, tmp_path: Path) -> None:
    file = tmp_path / "export.sealed.zip"
    file.write_bytes(prepared(fleet, BOTH, passphrase=WORDS))
    with zipfile.ZipFile(io.BytesIO(opened(file, WORDS))) as archive:
        assert "sites/hall/session.csv" in archive.namelist()
    trail = [str(one) for one in services_of(fleet).audit.lines(AuditFilter())]
    assert any("hall, room: sessions=all" in one and "sealed" in one for one in trail)


def test_a_study_that_is_not_all_there_is_not_exported(fleet: TestClient, there: Any) -> None:
    there.execute("UPDATE fleet.stream SET copied = false WHERE device = 'hall'")
    try:
        answer = fleet.post(f"/api/v1/exports?{BOTH}", json={})
        assert answer.status_code == 503
        assert "hall has not sent all its data yet" in answer.text
    finally:
        there.execute("UPDATE fleet.stream SET copied = true")


def command(postgres: Postgres, out: Path, *words: str, given: str = "") -> tuple[int, str, str]:
    done = affect_edge("export", "--source", postgres.address, "--out", out, *words, given=given)
    return done.code, done.out, done.err


def test_the_command_exports_all_devices(
    bundle: dict[str, bytes], postgres: Postgres, tmp_path: Path
) -> None:
    out = tmp_path / "study.zip"
    code, said, error = command(postgres, out, "--all-devices")
    assert (code, said.strip()) == (0, str(out)), error
    assert out.stat().st_mode & 0o077 == 0
    with zipfile.ZipFile(out) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    # of all the timeline there, and not of chosen sessions, else it is the same
    for site in ("hall", "room"):
        for table in ("session", "marker", "participant", "self_report"):
            file = f"sites/{site}/{table}.csv"
            assert files[file] == bundle[file]
    assert json.loads(files["analysis.json"])["readings"] > 5
    before = out.read_bytes()
    code, _, error = command(postgres, out, "--all-devices")
    assert code == 1 and "is there already" in error
    assert out.read_bytes() == before
    assert list(tmp_path.iterdir()) == [out]


def test_command_takes_all_sessions_where_a_format_needs_them_and_locks(
    postgres: Postgres, tmp_path: Path
) -> None:
    out = tmp_path / "study.zip"
    words = ("--device", "hall", "--format", "fhir", "--passphrase-file", "-")
    code, _, error = command(postgres, out, *words, given=f"{WORDS}\n")
    assert code == 0, error
    with zipfile.ZipFile(io.BytesIO(opened(out, WORDS))) as archive:
        assert "sites/hall/hall.fhir.json" in archive.namelist()


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("--device", "attic"), "There is no device 'attic'"),
        (("--device", "hall", "--all-devices"), "not both"),
        ((), "Name one with --device"),
        pytest.param(
            *(("--device", "hall", "--session", "999"), "There is no session 999"),
            marks=pytest.mark.deep,
        ),
        pytest.param(
            *(("--all-devices", "--passphrase-file", "-"), "10 to 1000 characters"),
            marks=pytest.mark.deep,
        ),
        pytest.param(
            *(("--all-devices", "--question", "no.json"), "no.json: no such file"),
            marks=pytest.mark.deep,
        ),
    ],
)
def test_the_command_says_what_is_wrong_and_writes_nothing(
    words: tuple[str, ...], reason: str, there: Any, postgres: Postgres, tmp_path: Path
) -> None:
    code, said, error = command(postgres, tmp_path / "study.zip", *words, given="short\n")
    assert code != 0 and not said
    assert reason in error and "Traceback" not in error
    assert not list(tmp_path.iterdir())


def test_devices_are_of_a_source(tmp_path: Path) -> None:
    out = tmp_path / "study.zip"
    done = affect_edge("export", "--all-devices", "--out", out, "--data", tmp_path)
    assert done.code == 2 and "choose devices of --source" in done.err


def test_an_erasure_ends_a_preparation_and_takes_what_is_ready(
    fleet: TestClient, there: Any, devices: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last test of this module: a device changes while its site is already in the zip."""
    first, erased = threading.Event(), threading.Event()
    right = export_sites

    def slowly(sites: Any, wanted: Any, out: Path, compute: Any, on_progress: Any) -> None:
        def on_share(share: float) -> None:
            if share >= 0.5:  # hall is in, room is being added
                first.set()
                assert erased.wait(60)
            on_progress(share)

        right(sites, wanted, out, compute, on_share)

    applied = there.execute("SELECT applied FROM fleet.stream WHERE device = 'hall'").fetchone()
    monkeypatch.setattr("dashboard.export_jobs.export_sites", slowly)
    made = fleet.post(f"/api/v1/exports?{BOTH}", json={"format": "json"}).json()
    folder = services_of(fleet).options.data / "exports"
    assert first.wait(60)
    assert any(file.is_file() for file in folder.rglob("*"))
    erase_participant(devices["hall"], "P00", actor="ada")
    messages = messages_of(devices["hall"], "hall", applied[0])
    MessageWriter(there).write_deliveries(
        [BrokerDelivery("hall", packed(one), 0) for one in messages]
    )
    address = f"/api/v1/exports/{made['id']}"
    wait_until(lambda: fleet.get(address).status_code == 404, "the export is given up")
    erased.set()
    # os.walk passes over a folder that goes while it looks; rglob does not.
    wait_until(lambda: not any(files for _, _, files in os.walk(folder)), "nothing is left")
    monkeypatch.undo()
    files = members(prepared(fleet, BOTH, format="json"))
    hall, _ = rows(files["sites.csv"])
    assert hall["sessions"] == "0"
