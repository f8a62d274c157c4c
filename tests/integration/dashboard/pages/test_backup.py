"""A backup by a button: locked, complete or not there, for administrators, and put on record."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from starlette.testclient import TestClient

from dashboard.accounts.roles import Role
from dashboard.backup import write_backup
from dashboard.web.options import DashboardOptions
from edge_agent.appliance.archive import open_archive
from edge_agent.core.errors import BackupError
from tests.support.dashboard import (
    NAME,
    add_session,
    client_of,
    fill,
    log_in_as,
    services_of,
    set_up,
)
from tests.support.timeline import query, wait_for

WORDS = "harbour violin seventeen mossy kettle"
TWICE = {"passphrase": WORDS, "again": WORDS}


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """Where the dashboard's database lies."""
    return DashboardOptions(data=tmp_path).database


@pytest.fixture
def ada(tmp_path: Path, database: Path) -> Iterator[TestClient]:
    """An administrator of a dashboard with five minutes of recording and one session."""
    with client_of(tmp_path) as client:
        set_up(client, tmp_path)
        fill(database, minutes=4)
        add_session(database, minutes_ago=3)
        yield client
        services_of(client).exports.close()


def files_of(folder: Path) -> list[Path]:
    """Every file that waits in the data folder."""
    return [one for one in (folder / "exports").rglob("*") if one.is_file()]


def write_slowly(_database: Path, _config: None, target: Path, _passphrase: str) -> tuple[()]:
    """A backup that takes twenty seconds, and leaves a file when it is at its end."""
    target.with_name("begun").touch()
    time.sleep(20)
    target.parents[2].joinpath("written").touch()
    return ()


def prepare(client: TestClient) -> str:
    """Prepare a backup by the page and wait until it is ready; return its address."""
    assert client.post("/backup", data=TWICE).headers["location"] == "/backup"
    wait_for(lambda: "is being written" not in client.get("/backup").text)
    page = client.get("/backup").text
    assert "Your backup is ready" in page, page
    return page.split('href="/api/v1/exports/')[1].split("/")[0]


def test_backup_by_button_opens_with_its_passphrase_alone(
    ada: TestClient, database: Path, tmp_path: Path
) -> None:
    answer = ada.get(f"/api/v1/exports/{prepare(ada)}/file")
    assert answer.headers["content-type"] == "application/zip"
    assert 'filename="affect-edge-backup-' in answer.headers["content-disposition"]
    file = tmp_path / "got.zip"
    file.write_bytes(answer.content)
    assert b"P-01" not in answer.content
    with open_archive(file, lambda: WORDS) as made:
        made.check(made.manifest.files)
        paths = {one.path for one in made.manifest.files}
        assert {"data/affect-edge.db", "data/dashboard.db"} <= paths
        assert made.manifest.contents.accounts == 1
    with pytest.raises(BackupError, match="passphrase"), open_archive(file, lambda: "wrong words"):
        pass
    assert [one.name for one in files_of(tmp_path)] == [
        answer.headers["content-disposition"].split('"')[1]
    ]
    written = query(database, "SELECT actor, detail FROM audit WHERE action = 'backup'")
    assert written == [(NAME, "locked")]


def test_passphrases_that_differ_or_are_weak_write_no_backup(
    ada: TestClient, database: Path, tmp_path: Path
) -> None:
    for first, second, why in (
        (WORDS, "harbour violin", "The two passphrases differ"),
        ("password1234", "password1234", "easy to guess"),
        ("", "", "one has 0"),
    ):
        answer = ada.post("/backup", data={"passphrase": first, "again": second})
        assert answer.status_code == 422 and why in answer.text
        assert WORDS not in answer.text
    assert not files_of(tmp_path)
    assert not query(database, "SELECT 1 FROM audit WHERE action = 'backup'")


def test_backup_is_for_administrators_and_its_owner_alone(ada: TestClient) -> None:
    token = prepare(ada)
    researcher = log_in_as(ada, Role.RESEARCHER)
    assert researcher.get("/backup").status_code == 403
    assert researcher.post("/backup", data=TWICE).status_code == 403
    assert researcher.get(f"/api/v1/exports/{token}/file").status_code == 404
    assert "is ready" not in ada.get("/export").text, "it is no export"


def test_backup_that_waits_is_gone_with_an_erased_person(ada: TestClient, tmp_path: Path) -> None:
    token = prepare(ada)
    assert ada.post("/study/participants/P-01/erase", data={"typed": "P-01"}).status_code == 200
    assert not files_of(tmp_path)
    assert ada.get(f"/api/v1/exports/{token}/file").status_code == 404


def test_erasure_and_stop_end_a_backup_that_is_being_written(
    ada: TestClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[4]))
    monkeypatch.setattr("dashboard.export_jobs.write_backup", write_slowly)
    exports = services_of(ada).exports
    for address in ("/backup/prepared/{}/delete", "/study/participants/P-01/erase"):
        ada.post("/backup", data=TWICE)
        wait_for(lambda: [one.name for one in files_of(tmp_path)] == ["begun"])
        made = exports.of_account(1)
        assert made is not None
        assert ada.post(address.format(made.id), data={"typed": "P-01"}).status_code in {200, 303}
        made.done.result()
        assert not files_of(tmp_path)
    assert not (tmp_path / "written").exists()


def test_deleted_backup_leaves_no_file(ada: TestClient, tmp_path: Path) -> None:
    token = prepare(ada)
    assert ada.post(f"/backup/prepared/{token}/delete").status_code == 303
    assert not files_of(tmp_path) and "is ready" not in ada.get("/backup").text


def test_backup_leaves_the_recording_on_its_disk_some_space(
    database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(database, minutes=1)
    (tmp_path / "made").mkdir()
    usage = shutil.disk_usage(tmp_path)
    # room for the copy, which takes most of it, and for the archive, but not for both and more
    free = iter((501_000_000, 500_500_000))
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=next(free)))
    with pytest.raises(BackupError, match="1 MB are needed for the archive, and 0 MB may be"):
        write_backup(database, None, tmp_path / "made" / "backup.zip", WORDS)
    assert not list((tmp_path / "made").iterdir())


def test_backup_says_that_an_erasure_by_command_has_ended_it(
    ada: TestClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    computing = services_of(ada).computing
    call = computing.call_until

    def erase_first(stopping: Event, function: Any, *values: Any) -> Any:
        shutil.rmtree(values[2].parent)
        return call(stopping, function, *values)

    monkeypatch.setattr(computing, "call_until", erase_first)
    ada.post("/backup", data=TWICE)
    wait_for(lambda: "The backup failed" in ada.get("/backup").text)
    assert "A participant was erased meanwhile" in ada.get("/backup").text
    assert not files_of(tmp_path)


def test_file_of_root_is_left_out_of_a_backup_and_named(
    database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(database, minutes=1)
    secret = tmp_path / "mqtt-password"
    secret.write_text("hidden", encoding="utf-8")
    config = tmp_path / "affect-edge.toml"
    config.write_text(f'[mqtt]\npassword_file = "{secret}"\n', encoding="utf-8")
    # root may read everything, and tests may run as root
    monkeypatch.setattr(
        "edge_agent.appliance.backup.os.access", lambda path, _mode: Path(path) != secret
    )
    target = tmp_path / "made" / "backup.zip"
    target.parent.mkdir()
    assert write_backup(database, config, target, WORDS) == ("mqtt.password_file",)
    with open_archive(target, lambda: WORDS) as made:
        assert not [one for one in made.manifest.files if "password" in one.path]
    assert [one.name for one in target.parent.iterdir()] == ["backup.zip"]
