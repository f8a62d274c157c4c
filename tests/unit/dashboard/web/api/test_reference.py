"""The page of the API: every operation with its parameters and examples, behind the log-in."""

from __future__ import annotations

import json
import re
from html import unescape

from starlette.testclient import TestClient

from dashboard.web.reference import groups_of


def test_the_page_shows_every_operation_of_the_description(ada: TestClient) -> None:
    document = ada.get("/api/v1/openapi.json").json()
    page = unescape(ada.get("/docs").text)
    described = {
        f"{method.upper()} {path}" for path, item in document["paths"].items() for method in item
    }
    assert set(re.findall(r"<h3><code>([^<]+)</code></h3>", page)) == described
    assert f"{ada.base_url}/api/v1/session" in page
    assert "<script" not in page.partition("<main")[2].partition("</main>")[0]


def test_an_operation_has_parameters_bodies_and_answers_that_are_json(ada: TestClient) -> None:
    document = ada.get("/api/v1/openapi.json").json()
    groups = dict(groups_of(document))
    operations = {one.name: one for own in groups.values() for one in own}
    trends = operations["get_trends"]
    buckets = next(one for one in trends.parameters if one.name == "buckets")
    assert buckets.kind == "integer, 1 to 2000, default 200" and not buckets.is_needed
    assert "scope read and the role viewer" in trends.details[-1]
    assert json.loads(trends.answers[0].example)["start"] == 1_790_000_000_000
    (new,) = operations["start_session"].bodies
    assert json.loads(new.example)["purpose"] in {"research", "medical", "safety", "personal"}
    examples = [body.example for one in operations.values() for body in (*one.bodies, *one.answers)]
    assert all(json.loads(one) is not None for one in examples if one)
    assert {"401", "403", "429", "503"} <= set(operations["remove_marker"].refusals)


def test_a_stranger_is_sent_to_the_log_in(ada: TestClient) -> None:
    ada.cookies.clear()
    answer = ada.get("/docs")
    assert answer.status_code == 303 and answer.headers["location"].startswith("/login")
