"""The audit trail as a page, as JSON and as CSV."""

from __future__ import annotations

import csv
import io
import json
import sqlite3
from contextlib import closing
from hashlib import sha256
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from edge_agent.timeline.database.connection import write_transaction
from edge_agent.timeline.write.audit import AuditLine, append
from tests.support.dashboard import client_of, set_up

HOUR_MS = 3_600_000


@pytest.fixture
def ada(tmp_path: Path) -> TestClient:
    """The administrator, over an audit with 250 lines of eve and one that looks like a formula."""
    client = set_up(client_of(tmp_path), tmp_path)
    with write_transaction(tmp_path / "affect-edge.db") as connection:
        for number in range(250):
            append(connection, AuditLine(number * HOUR_MS, "eve", "export", f"csv {number}"))
        append(connection, AuditLine(0, "mallory", "export", "=HYPERLINK(1)"))
    return client


def test_lines_are_filtered_by_time_person_and_action(ada: TestClient) -> None:
    def matching(query: str) -> int:
        return int(ada.get(f"/api/v1/audit?{query}").json()["matching"])

    everything = matching("")
    assert matching("start=&end=&actor=&action=") == everything == 253
    assert matching("actor=eve") == 250
    assert matching("actor=eve&action=login") == 0
    assert matching(f"start={10 * HOUR_MS}&end={20 * HOUR_MS}") == 10
    assert matching("start=2001-01-01T00:00") == 2, "as the page sends it without JavaScript"
    assert matching("actor=ada&action=setup") == 1
    page = ada.get("/audit?actor=eve&page=3").text
    assert "Page 3 of 3" in page and "csv 0" in page and "csv 60" not in page
    assert "No entry matches" in ada.get("/audit?actor=nobody").text
    assert ada.get("/audit?start=yesterday").status_code == 422


def test_the_csv_can_be_checked_with_nothing_but_a_hash(ada: TestClient) -> None:
    answer = ada.get("/audit/download")
    assert answer.headers["content-disposition"].endswith('filename="affect-edge-audit.csv"')
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert rows[-1]["action"] == "audit_download" and len(rows) == 254
    seal = ""
    for row in rows:
        if row["detail"].startswith("'="):
            row["detail"] = row["detail"][1:]  # so that no spreadsheet computes it
        values = [seal, int(row["at_ms"]), row["actor"], row["action"], row["detail"]]
        text = json.dumps(values, ensure_ascii=False, separators=(",", ":"))
        seal = sha256(text.encode()).hexdigest()
        assert seal == row["seal"]
    assert len(list(csv.DictReader(io.StringIO(ada.get("/audit/download?actor=eve").text)))) == 250


def test_a_download_that_another_site_asks_for_is_refused(ada: TestClient) -> None:
    answer = ada.get("/audit/download", headers={"sec-fetch-site": "cross-site"})
    assert answer.status_code == 403


def test_the_page_says_that_a_line_was_changed(ada: TestClient, tmp_path: Path) -> None:
    assert "The log is intact (253 entries)" in ada.get("/audit").text
    with closing(sqlite3.connect(tmp_path / "affect-edge.db")) as connection:
        connection.execute("UPDATE audit SET actor = 'nobody' WHERE id = 40")
        connection.execute("DELETE FROM audit WHERE id = 50")
        connection.commit()
    page = ada.get("/audit").text
    assert "Line 40 was changed" in page and "Line 50 is missing" in page
    assert len(ada.get("/api/v1/audit").json()["faults"]) == 2
