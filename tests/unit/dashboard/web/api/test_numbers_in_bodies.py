"""Numbers in the body of a request are numbers of JSON, as the description says."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from tests.support.dashboard import add_session, client_of, fill, set_up
from tests.support.timeline import START_MS

SESSION = {"participant": "P-01", "purpose": "research", "start": START_MS, "end": START_MS + 1}
BODIES: list[tuple[str, dict[str, Any], str]] = [
    ("/api/v1/session/markers", {"kind": "note", "label": "x"}, "at"),
    ("/api/v1/session/end", {}, "session"),
    ("/api/v1/exports", {"format": "json"}, "end"),
    ("/api/v1/participants/P-01/consents", {"text_version": "1"}, "given"),
    ("/api/v1/sessions", SESSION, "end"),
    ("/api/v1/preregistrations", {"stopping": "then"}, "people"),
]


@pytest.fixture
def ada(tmp_path: Path) -> Iterator[TestClient]:
    fill(tmp_path / "affect-edge.db", minutes=1)
    add_session(tmp_path / "affect-edge.db")
    with client_of(tmp_path) as client:
        yield set_up(client, tmp_path)


@pytest.mark.parametrize("value", ["1", True])
@pytest.mark.parametrize(("path", "body", "field"), BODIES)
def test_a_text_and_a_truth_value_are_no_numbers(
    ada: TestClient, path: str, body: dict[str, Any], field: str, value: object
) -> None:
    answer = ada.post(path, json=body | {field: value})
    assert answer.status_code == 422
    assert field in answer.json()["detail"] and "should be a valid" in answer.json()["detail"]


@pytest.mark.parametrize("value", ["1", True])
def test_a_list_of_sessions_has_numbers_of_json(ada: TestClient, value: object) -> None:
    answer = ada.post("/api/v1/exports", json={"format": "json", "sessions": [value]})
    assert (answer.status_code, "valid integer" in answer.json()["detail"]) == (422, True)
    question = {"sample": "selected", "session": [value]}
    document = {"people": 12, "stopping": "then", "question": question}
    refused = ada.post("/api/v1/preregistrations", json=document)
    assert refused.status_code == 422
    assert f"session: give numbers, not {value!r}" in refused.json()["detail"]


def test_a_whole_number_may_be_written_with_a_point(ada: TestClient) -> None:
    """JSON Schema counts 12.0 as a whole number."""
    answer = ada.post("/api/v1/preregistrations", json={"people": 12.0, "stopping": "then"})
    assert (answer.status_code, answer.json()["document"]["people"]) == (201, 12)
