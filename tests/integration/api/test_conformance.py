"""What is asked of each operation of the API, and what is not judged, follows from the application:
``make api`` sends the requests, after every ``make test`` of continuous integration.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("schemathesis", reason="the dev extra is not installed")

from dashboard.web.app import create_app
from dashboard.web.options import DashboardOptions
from tests.integration.api.conformance import Operation, operations_of

OF_JSON: dict[str, Any] = {"requestBody": {"content": {"application/json": {}}}}
OF_BYTES: dict[str, Any] = {"requestBody": {"content": {"audio/wav": {}}}}
OF_A_LIST = {"parameters": [{"schema": {"type": "array", "maxItems": 1000}}]}
ACCEPTANCE = {"positive_data_acceptance": {"enabled": False}}


def unjudged(description: dict[str, Any], rule: str = "") -> Any:
    """Return what schemathesis is told not to judge of a made-up operation."""
    settings = Operation("made_up", {"responses": {}} | description, rule).settings()
    (one,) = tomllib.loads(settings).get("operations", [{}])
    return one.get("checks")


def test_all_is_judged_but_what_no_schema_can_say() -> None:
    assert unjudged({}) is None
    assert unjudged(OF_JSON) is None
    assert unjudged(OF_JSON, "the end is after the start") == ACCEPTANCE
    assert unjudged(OF_BYTES) == ACCEPTANCE
    assert unjudged(OF_A_LIST) == {"status_code_conformance": {"enabled": False}}


def test_every_operation_of_the_api_is_known_and_only_streams_are_left_out(tmp_path: Path) -> None:
    app = create_app(DashboardOptions(data=tmp_path))
    described = [one for ways in app.openapi()["paths"].values() for one in ways.values()]
    known = operations_of(app)
    assert sorted(one.name for one in known) == sorted(one["operationId"] for one in described)
    endless = [one.name for one in known if one.is_stream]
    assert sorted(endless) == ["stream_live", "stream_protocol"]
