"""Odd payloads to each place where others send readings: nothing breaks, nothing is half stored.

``make fuzz`` sends 10,000 to each, which takes a minute and more; every other test run sends 1,000,
the same each time, so that a mistake of today's change is found at once and the suite stays quick.
"""

from __future__ import annotations

import os
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.core.given_readings import ReadingOrigin
from edge_agent.core.readings import VitalReading
from edge_agent.mqtt.incoming import rejected_payload
from edge_agent.timeline.database.connection import connect
from edge_agent.timeline.write.reading_imports import import_readings
from edge_agent.vitals.ingest import VitalIngest
from tests.support.dashboard import client_of
from tests.support.fuzz.damage import examples
from tests.support.security.tokens import make_token
from tests.support.timeline import query, timeline
from tests.support.vitals.odd_readings import PAYLOADS

WANTED = int(os.environ.get("FUZZ_PAYLOADS", "300"))
IN_EACH = 50
PAYLOAD_LISTS = st.lists(PAYLOADS, min_size=IN_EACH, max_size=IN_EACH)
FUZZ = examples(-(-WANTED // IN_EACH))
TYPES = st.sampled_from(
    ["application/json"] * 12
    + [
        "application/json; charset=utf-16",
        "text/plain",
        "",
        "multipart/form-data; boundary=x",
        "é",
        "a" * 500,
    ]
)
ENCODINGS = st.sampled_from([None] * 12 + ["gzip", "identity", "br", "\xff"])


def check_database(path: Path) -> None:
    with closing(connect(path, readonly=True)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
    rolled = query(path, "SELECT sum(n + flagged) FROM vital_hour")
    assert rolled == query(path, "SELECT count(*) FROM vital"), (
        "every reading is in the rollups, and no other"
    )


@pytest.mark.timeout(600)
def test_odd_messages_over_mqtt_are_taken_or_refused(tmp_path: Path) -> None:
    taken: list[VitalReading] = []
    ingest = VitalIngest(taken.append, ReadingOrigin("mqtt", prefix="mqtt:"))
    sent = Counter[str]()

    @FUZZ
    @given(PAYLOAD_LISTS, st.booleans())
    def hand_in(payloads: list[bytes], retained: bool) -> None:
        for payload in payloads:
            before = len(taken)
            verdict = ingest.accept(payload, retained=retained)
            assert len(taken) - before == verdict.taken
            refused = [(r.index, r.id, r.error) for r in verdict.refusals]
            if refused:
                assert (
                    len(rejected_payload(0, verdict.digest, verdict.taken, refused).encode())
                    < 30_000
                )
            sent["messages"] += 1

    hand_in()
    assert sent["messages"] >= WANTED
    store = timeline(tmp_path)
    done = import_readings(store, taken)
    assert done.inserted + done.duplicates == len(taken) == ingest.taken > WANTED // 20
    assert ingest.refused > WANTED // 10
    check_database(store)


@pytest.mark.timeout(600)
def test_odd_requests_are_answered_and_never_with_an_error_of_ours(tmp_path: Path) -> None:
    answers = Counter[int]()
    taken = 0
    with client_of(tmp_path) as client:
        store = tmp_path / "affect-edge.db"
        client.app.state.services.tokens.requests._limit = 10**9  # type: ignore[attr-defined]
        token = f"Bearer {make_token(store)}"

        @FUZZ
        @given(PAYLOAD_LISTS, TYPES, ENCODINGS)
        def hand_in(payloads: list[bytes], kind: str, encoding: str | None) -> None:
            nonlocal taken
            headers = {"Authorization": token, "Content-Type": kind} | (
                {"Content-Encoding": encoding} if encoding else {}
            )
            raw = {name: value.encode("latin-1") for name, value in headers.items()}
            for payload in payloads:
                answer = client.post("/api/v1/vitals", content=payload, headers=raw)  # type: ignore[arg-type]
                said = answer.json()
                answers[answer.status_code] += 1
                assert answer.status_code in {200, 400, 413, 415, 422}, (payload, answer.text)
                assert isinstance(said["detail"], str)
                taken += said.get("taken", 0)
                assert said.get("taken", 0) + said.get("duplicates", 0) + said.get(
                    "refused", 0
                ) == len(said.get("results", []))

        hand_in()
    assert answers.total() >= WANTED
    assert min(answers[200], answers[400], answers[422]) > WANTED // 50, answers
    assert query(store, "SELECT count(*) FROM vital") == [(taken,)], (
        "what is told to be taken is there, and nothing else"
    )
    check_database(store)
