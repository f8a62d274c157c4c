"""ExportJobs from the dashboard: prepared for one account, sent in parts, deleted in time."""

from __future__ import annotations

import io
import json
import os
import shutil
import zipfile
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import ParamSpec, TypeVar

import pytest
from markupsafe import escape
from starlette.testclient import TestClient

from dashboard import export_jobs
from dashboard.computing.processes import Computing
from dashboard.export_jobs import ExportJobs, ExportRequest
from dashboard.web.options import DashboardOptions, options_from
from edge_agent.config.loading import load_settings
from edge_agent.core.errors import StudyError
from edge_agent.timeline.database.connection import write_transaction
from edge_agent.timeline.export.bundle import BUNDLE
from edge_agent.timeline.export.rows import ExportChoice
from edge_agent.timeline.export.text_formats import JSON
from edge_agent.timeline.upkeep.erasure import erase_participant
from tests.support.dashboard import NAME, add_session, client_of, fill, services_of, set_up
from tests.support.studies import HEART, heart
from tests.support.studies import add_session as add_study_session
from tests.support.timeline import START_MS, query, wait_for

_Given = ParamSpec("_Given")
_Computed = TypeVar("_Computed")


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """Where the dashboard's database lies."""
    return DashboardOptions(data=tmp_path).database


@pytest.fixture
def ada(tmp_path: Path, database: Path) -> Iterator[TestClient]:
    """Somebody who is logged in to a dashboard with five minutes of recording and one session."""
    with client_of(tmp_path) as client:
        set_up(client, tmp_path)
        fill(database, minutes=4)
        add_session(database, minutes_ago=3)
        yield client
        services_of(client).exports.close()


def prepare(client: TestClient, **asked: object) -> str:
    """Prepare an export over the API and wait until it is ready; return its address."""
    made = client.post("/api/v1/exports", json=asked)
    assert made.status_code == 202, made.text
    address = f"/api/v1/exports/{made.json()['id']}"
    wait_for(lambda: client.get(address).json()["state"] != "preparing")
    assert client.get(address).json()["problem"] == ""
    return address


def waiting(folder: Path) -> list[Path]:
    """Every file that waits in the data folder."""
    # os.walk passes over a folder that is deleted meanwhile.
    walked = os.walk(folder / "exports")
    return [Path(root) / name for root, _, names in walked for name in names]


def test_an_export_is_prepared_and_sent_and_put_on_record(ada: TestClient, database: Path) -> None:
    address = prepare(ada, sessions=[1])
    answer = ada.get(f"{address}/file")
    assert answer.headers["content-type"] == "application/zip"
    assert 'attachment; filename="affect-edge-' in answer.headers["content-disposition"]
    assert answer.headers["cache-control"] == "no-store"
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert {"expression.csv", "analysis.py", "analysis.R", "datapackage.json"} <= set(
            archive.namelist()
        )
        assert b"P-01" in archive.read("session.csv")
        flow = archive.read("flow.csv").decode()
        assert flow.startswith("step,vital,first,second,state,reason,people,sessions,readings\n")
        assert "\nin_sessions,,,,,,1,1,\n" in flow  # of the session asked for, and no other
    assert query(database, "SELECT actor, detail FROM audit WHERE action = 'export'") == [
        (NAME, "sessions=[1] format=bundle")
    ]
    prepare(ada, start=START_MS, format="json")
    details = [detail for (detail,) in query(database, "SELECT detail FROM audit ORDER BY id")]
    assert details[-1] == "sessions=all start=2026-09-21T14:20:00.000Z format=json"


WORDS = "harbour violin seventeen mossy kettle"


@pytest.mark.parametrize("form", ["bundle", "json"])
def test_an_export_is_locked_with_a_passphrase_that_is_kept_nowhere(
    ada: TestClient, database: Path, caplog: pytest.LogCaptureFixture, form: str
) -> None:
    address = prepare(ada, sessions=[1], format=form, passphrase=WORDS)
    (file,) = waiting(database.parent)
    assert file.name.endswith(".sealed.zip"), "the open file is gone"
    answer = ada.get(f"{address}/file")
    assert answer.headers["content-type"] == "application/zip"
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.namelist()[:2] == ["HOW-TO-OPEN.txt", "key.age"]
        assert b"P-01" not in archive.read(archive.namelist()[2])
    (detail,) = query(database, "SELECT detail FROM audit WHERE action = 'export'")
    assert str(detail[0]).endswith("sealed")
    kept = [one.read_bytes() for one in database.parent.glob("*") if one.is_file()]
    assert not any(WORDS.encode() in content for content in kept)
    assert WORDS not in caplog.text


def test_one_participant_is_exported_alone_over_page_and_api(
    ada: TestClient, database: Path
) -> None:
    add_session(database, "P-02", minutes_ago=-8)
    whole = {"participant": "p-02", "format": "json"}
    told = json.loads(ada.get(f"{prepare(ada, **whole)}/file").content)
    assert told["participant"] == "P-02"
    assert [one["participant"] for one in told["tables"]["session"]] == ["P-02"]
    assert ada.get("/api/v1/export", params=whole).json()["participant"] == "P-02"
    page = ada.get("/export").text
    assert "<option>P-01</option><option>P-02</option>" in page
    assert ada.post("/export", data={"participant": "P-01", "format": "json"}).status_code == 303
    assert 'href="/export/download?participant=P-02"' in ada.get("/study/participants/P-02").text
    noted = query(database, "SELECT detail FROM audit WHERE action = 'export' ORDER BY id")
    assert [detail.split()[0] for (detail,) in noted] == [
        *["participant=P-02"] * 2,
        "participant=P-01",
    ]
    unknown = ada.post("/api/v1/exports", json={"participant": "P-09"})
    assert unknown.status_code == 404 and "P-09: has no session" in unknown.json()["detail"]
    both = ada.post("/api/v1/exports", json={"participant": "P-01", "sessions": [1]})
    assert "Name sessions or a participant, not both." in both.json()["detail"]


def test_page_sends_fields_of_the_choice_alone(ada: TestClient, database: Path) -> None:
    """A browser without scripts sends what is hidden, too."""
    add_session(database, "P-02", minutes_ago=-8)
    all_fields = {"session": "1", "participant": "P-02", "start": "2026-09-21T14:20"}
    for what in ("sessions", "participant", "range"):
        form = all_fields | {"what": what, "format": "json"}
        assert ada.post("/export", data=form).status_code == 303
    noted = query(database, "SELECT detail FROM audit WHERE action = 'export' ORDER BY id")
    sessions, participant, of_range = (detail for (detail,) in noted)
    assert sessions == "sessions=[1] format=json"
    assert participant == "participant=P-02 format=json"
    assert of_range.startswith("sessions=all start=")


def test_chosen_sessions_without_a_session_are_refused_on_the_page(ada: TestClient) -> None:
    answer = ada.post("/export", data={"what": "sessions", "format": "fhir"})
    assert answer.status_code == 422 and "Choose at least one session." in answer.text
    assert 'name="what" value="sessions" checked' in answer.text
    assert 'value="fhir" checked' in answer.text


def test_a_weak_passphrase_prepares_nothing(ada: TestClient, database: Path) -> None:
    for weak, why in (("", "one has 0"), ("password1234", "easy to guess"), ("x" * 1001, "")):
        answer = ada.post("/api/v1/exports", json={"passphrase": weak})
        assert answer.status_code == 422 and why in answer.text
        assert not weak or weak not in answer.text
    answer = ada.post("/export", data={"passphrase": "password1234"})
    assert answer.status_code == 422 and "easy to guess" in answer.text
    assert not waiting(database.parent)
    assert ada.post("/export", data={"passphrase": "", "format": "json"}).status_code == 303


def test_a_refused_form_comes_before_the_file_of_an_earlier_export(ada: TestClient) -> None:
    prepare(ada, sessions=[1])
    assert "not locked: anybody can open it" in ada.get("/export").text
    for form in ({"session": "1"}, {}, {"question": "{}"}):
        page = ada.post("/export", data=form | {"passphrase": "password1234"}).text
        assert page.index("easy to guess") < page.index("Your export is ready")
    prepare(ada, sessions=[1], passphrase=WORDS)
    assert "locked with a passphrase." in ada.get("/export").text


def test_a_format_without_its_library_cannot_be_chosen(
    ada: TestClient, database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "edge_agent.timeline.export.format.importlib.util.find_spec",
        lambda name: None if name == "xlsxwriter" else name,
    )
    page = ada.get("/export").text
    assert page.count('value="xlsx" disabled>') == page.count("Excel (not installed)") == 1
    assert page.count("For Excel, run on the appliance: sudo ./install.sh --with xlsx") == 1
    assert 'value="json">' in page
    answer = ada.post("/export", data={"session": "1", "format": "xlsx"})
    assert answer.status_code == 422 and "needs the library xlsxwriter" in answer.text
    assert 'name="session" value="1" checked' in answer.text
    assert not waiting(database.parent)


def test_bundle_asks_about_the_labels_of_its_sessions_where_none_is_usual(
    ada: TestClient, database: Path
) -> None:
    own = {"sad": {HEART: [70.0]}, "Baseline": {HEART: [70.0]}, "calm": {HEART: [70.0]}}
    films = add_study_session(database, "P-7", own)
    usual = add_study_session(database, "P-8", heart(film=70.0, neutral=70.0))

    def states(**asked: object) -> list[str]:
        file = ada.get(f"{prepare(ada, **asked)}/file").content
        with zipfile.ZipFile(io.BytesIO(file)) as archive:
            return list(json.loads(archive.read("question.json"))["states"])

    assert states(sessions=[films]) == ["sad", "calm"]
    assert states(sessions=[films, usual]) == ["neutral", "sad", "calm", "film"]
    asked = {"states": ["neutral", "happiness", "anger"]}
    assert states(sessions=[films], question=asked) == asked["states"]


def test_an_analysis_is_exported_under_a_passphrase(ada: TestClient, database: Path) -> None:
    asked = {"question": '{"state":"observed","window":4.0}'}
    assert 'name="question"' in ada.get("/analysis").text
    assert 'name="passphrase"' in ada.get("/analysis").text
    answer = ada.post("/export", data=asked | {"passphrase": "password1234"})
    assert answer.status_code == 422 and "easy to guess" in answer.text
    # The next try is of the same question, and not of everything.
    assert escape(asked["question"]) in answer.text
    assert not waiting(database.parent)
    assert ada.post("/export", data=asked | {"passphrase": WORDS}).status_code == 303
    wait_for(lambda: "Your export is ready" in ada.get("/export").text)
    (file,) = waiting(database.parent)
    assert file.name.endswith(".sealed.zip")


def test_waiting_export_leaves_out_a_person_who_withdraws(ada: TestClient, database: Path) -> None:
    address = prepare(ada)
    assert waiting(database.parent)
    assert ada.post("/study/participants/P-01/withdraw").status_code == 303
    assert not waiting(database.parent)
    assert ada.get(f"{address}/file").status_code == 404


def test_a_broken_download_is_taken_up_where_it_ended(ada: TestClient) -> None:
    address = prepare(ada)
    whole = ada.get(f"{address}/file")
    part = ada.get(f"{address}/file", headers={"range": "bytes=0-999"})
    rest = ada.get(
        f"{address}/file", headers={"range": "bytes=1000-", "if-range": whole.headers["etag"]}
    )
    assert (part.status_code, rest.status_code) == (206, 206)
    assert part.content + rest.content == whole.content
    assert ada.get(f"{address}/file", headers={"range": "bytes=99999999-"}).status_code == 416


def test_one_request_prepares_and_sends_and_the_same_request_goes_on(ada: TestClient) -> None:
    whole = ada.get("/api/v1/export?session=1")
    assert whole.status_code == 200 and zipfile.is_zipfile(io.BytesIO(whole.content))
    rest = ada.get("/api/v1/export?session=1", headers={"range": "bytes=500-"})
    assert rest.status_code == 206 and rest.content == whole.content[500:]


def test_the_page_prepares_shows_and_deletes_an_export(ada: TestClient, tmp_path: Path) -> None:
    page = ada.get("/export").text
    assert "films" in page and "Prepare the export" in page and "is ready" not in page
    assert (
        ada.post("/export", data={"session": "1", "format": "fhir"}).headers["location"]
        == "/export"
    )
    wait_for(lambda: "Your export is ready" in ada.get("/export").text)
    page = ada.get("/export").text
    (file,) = waiting(tmp_path)
    assert file.name in page and file.stat().st_mode & 0o077 == 0
    address = page.split('action="/export/prepared/')[1].split('"')[0]
    assert ada.post(f"/export/prepared/{address}").status_code == 303
    assert waiting(tmp_path) == [] and "is ready" not in ada.get("/export").text
    assert ada.post(f"/export/prepared/{address}").status_code == 303, "twice is no error"


def test_an_export_belongs_to_the_account_that_asked_for_it(ada: TestClient) -> None:
    token = prepare(ada).rpartition("/")[2]
    prepared = services_of(ada).exports
    assert prepared.find(1, token) is not None
    assert prepared.find(2, token) is None and prepared.of_account(2) is None
    for address in ("/api/v1/exports/guess", "/api/v1/exports/guess/file"):
        assert ada.get(address).status_code == 404
    ada.cookies.clear()
    assert ada.get(f"/api/v1/exports/{token}/file").status_code == 401


def test_an_export_is_deleted_some_time_after_it_was_sent(
    ada: TestClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export_jobs, "SENT_S", 0.05)
    address = prepare(ada)
    ada.get(f"{address}/file", headers={"range": "bytes=0-9"})
    assert len(waiting(tmp_path)) == 1, "the first part is not the end"
    ada.get(f"{address}/file", headers={"range": "bytes=10-"})
    wait_for(lambda: not waiting(tmp_path))
    assert ada.get(f"{address}/file").status_code == 404


def test_an_export_that_nobody_fetches_is_deleted(
    ada: TestClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export_jobs, "KEPT_S", 0.05)
    token = ada.post("/api/v1/exports", json={}).json()["id"]
    wait_for(lambda: ada.get(f"/api/v1/exports/{token}").status_code == 404)
    wait_for(lambda: waiting(tmp_path) == [])


def test_nothing_is_left_when_the_dashboard_starts_or_ends(tmp_path: Path, database: Path) -> None:
    (tmp_path / "exports" / "old").mkdir(parents=True)
    (tmp_path / "exports" / "old" / "export.zip").write_bytes(b"health data")
    prepared = ExportJobs(database, "pi", {}, (), Computing())
    assert not list((tmp_path / "exports").iterdir())
    fill(database, minutes=1)
    prepared.prepare(1, ExportRequest(BUNDLE, ExportChoice())).done.result()
    assert len(waiting(tmp_path)) == 1
    prepared.close()
    assert not list((tmp_path / "exports").iterdir())


def test_an_erased_participant_is_in_no_export_that_waits(
    ada: TestClient, tmp_path: Path, database: Path
) -> None:
    address = prepare(ada)
    assert ada.post("/study/participants/P-01/erase", data={"typed": "P-01"}).status_code == 200
    assert waiting(tmp_path) == [] and ada.get(f"{address}/file").status_code == 404
    content = ada.get("/api/v1/export").content
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert all(b"P-01" not in archive.read(name) for name in archive.namelist())


class ErasedMeanwhile(Computing):
    """Computes; then somebody is erased by a command of another user."""

    def __init__(self, database: Path) -> None:
        super().__init__()
        self._database = database

    def call(
        self, function: Callable[_Given, _Computed], *given: _Given.args, **_nothing: _Given.kwargs
    ) -> _Computed:
        computed = super().call(function, *given, **_nothing)
        erase_participant(self._database, "P-01", actor="command line")
        return computed


def test_export_under_way_while_a_command_erases_is_not_kept(
    tmp_path: Path, database: Path
) -> None:
    fill(database, minutes=4)
    add_session(database, minutes_ago=3)
    with closing(ExportJobs(database, "pi", {}, (), ErasedMeanwhile(database))) as jobs:
        made = jobs.prepare(1, ExportRequest(BUNDLE, ExportChoice()))
        made.done.result()
        assert made.problem.startswith("A participant was erased meanwhile")
        assert waiting(tmp_path) == []


def test_an_erasure_that_is_refused_leaves_the_exports_that_wait(
    ada: TestClient, tmp_path: Path, database: Path
) -> None:
    address = prepare(ada)
    with pytest.raises(StudyError, match="There is no participant"):
        erase_participant(database, "P-99", actor="command line")
    with write_transaction(database) as connection:
        connection.execute("UPDATE session SET ended = NULL")
    assert ada.post("/study/participants/P-01/erase", data={"typed": "P-01"}).status_code == 409
    assert len(waiting(tmp_path)) == 1 and ada.get(f"{address}/file").status_code == 200


def test_an_export_can_be_stopped_while_it_is_prepared(tmp_path: Path, database: Path) -> None:
    fill(database, minutes=1)
    prepared = ExportJobs(database, "pi", {}, (), Computing())
    first = prepared.prepare(1, ExportRequest(BUNDLE, ExportChoice()))
    second = prepared.prepare(1, ExportRequest(JSON, ExportChoice()))  # ends the first
    prepared.drop(second)
    first.done.result(60)
    second.done.result(60)
    assert waiting(tmp_path) == [] and prepared.of_account(1) is None
    prepared.close()


def test_a_nearly_full_disk_ends_the_export_before_the_recording_suffers(
    ada: TestClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=120_000_000))
    answer = ada.get("/api/v1/export")
    assert answer.status_code == 503
    assert answer.json()["detail"].startswith(
        "Only 120 MB are free, and the recording needs them. Free some space, or export"
    )
    assert waiting(tmp_path) == []
    page = ada.get("/export").text
    assert "The export failed" in page
    assert "Only 120 MB" in page
    failed = services_of(ada).exports.of_account(1)
    assert failed is not None
    assert ada.get(f"/api/v1/exports/{failed.id}/file").status_code == 409


def test_what_cannot_be_exported_is_refused_with_its_value(ada: TestClient, tmp_path: Path) -> None:
    refused = {
        "start=5&end=5": (422, "The end must be after the start."),
        "session=99": (404, "session = 99: there is no such session"),
        "format=csv": (422, "choose one of bundle, json, fhir, bids, deposit, parquet"),
        "format=fhir": (422, "format = fhir: takes sessions only"),
        "format=doc": (422, "format"),
    }
    for asked, (status, said) in refused.items():
        answer = ada.get(f"/api/v1/export?{asked}")
        assert (answer.status_code, said in answer.json()["detail"] or status == 404) == (
            status,
            True,
        ), answer.text
    assert ada.post("/api/v1/exports", json={"formt": "json"}).status_code == 422
    assert waiting(tmp_path) == []


def test_an_export_tells_the_configured_settings_but_no_secret(tmp_path: Path) -> None:
    file = tmp_path / "affect-edge.toml"
    file.write_text(
        '[mqtt]\nusername = "alice"\npassword = "s3cret"\nhost = "broker.example"\n'
        '[camera]\nsource = "opencv"\n'
        'device = "rtsp://alice:hunter2@camera.example/1"\n[data]\nfolder = "/home/alice/affect"\n'
        "[record]\ninterval = 2\n",
        encoding="utf-8",
    )
    options = options_from(load_settings(file))
    told = json.dumps(options.told)
    for secret in ("alice", "s3cret", "hunter2", "example", "/home"):
        assert secret not in told
    assert (
        options.told["record"] == {"interval": 2.0, "keep_days": 90, "budget_mb": 10_000}
        and "expression-accurate" in told
    )
