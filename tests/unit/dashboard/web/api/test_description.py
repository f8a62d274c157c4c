"""The description of the API: who may use an operation, how it refuses, and what has a name."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from starlette.testclient import TestClient

METHODS = {"get", "post", "put", "patch", "delete"}
PROBLEM = "#/components/schemas/Problem"
MEDIA_TYPE = "application/problem+json"


@pytest.fixture
def document(ada: TestClient) -> dict[str, Any]:
    return dict(ada.get("/api/v1/openapi.json").json())


def operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, item in document["paths"].items():
        for method, operation in item.items():
            if method in METHODS:
                yield f"{method.upper()} {path}", operation


def followed(document: dict[str, Any], part: dict[str, Any]) -> dict[str, Any]:
    """Return what a reference leads to; what is none, as it is."""
    while "$ref" in part:
        found: Any = document
        for name in part["$ref"].removeprefix("#/").split("/"):
            found = found[name]
        part = found
    return part


def test_every_operation_has_a_name_of_its_own_that_is_a_name_in_programs(
    document: dict[str, Any],
) -> None:
    names = [operation["operationId"] for _, operation in operations(document)]
    assert len(names) == len(set(names)) > 50
    assert [name for name in names if not re.fullmatch("[a-z]+(_[a-z]+)+", name)] == []


def test_every_operation_says_who_may_use_it_and_how_it_refuses(document: dict[str, Any]) -> None:
    scopes = set()
    for address, operation in operations(document):
        (token,) = [one["token"] for one in operation["security"] if "token" in one]
        scopes |= set(token)
        refusals = {code for code in operation["responses"] if int(code) >= 400}
        assert refusals >= {"401", "403", "429", "503"}, address
        if "requestBody" in operation:
            assert refusals >= {"400", "413"}, address
        for code in refusals:
            content = followed(document, operation["responses"][code])["content"]
            assert list(content) == [MEDIA_TYPE], (address, code)
        unauthorised = followed(document, operation["responses"]["401"])
        assert unauthorised["content"][MEDIA_TYPE]["schema"] == {"$ref": PROBLEM}, address
        assert "WWW-Authenticate" in unauthorised["headers"], address
    assert scopes == {"read", "markers", "readings", "control"}
    told = followed(document, {"$ref": PROBLEM})["properties"]
    assert {"type", "title", "status", "detail"} <= set(told)


def unnamed(schema: Any) -> Iterator[dict[str, Any]]:
    """Yield the objects without a title among the alternatives of a schema."""
    if isinstance(schema, list):
        for one in schema:
            yield from unnamed(one)
    elif isinstance(schema, dict):
        for key, inner in schema.items():
            if key in {"anyOf", "oneOf"}:
                yield from (one for one in inner if "properties" in one)
            yield from unnamed(inner)


def test_what_is_one_of_several_shapes_refers_to_them_by_name(document: dict[str, Any]) -> None:
    assert list(unnamed(document["paths"])) == []
    assert list(unnamed(document["components"]["schemas"])) == []
    bodies = [operation.get("requestBody", {}) for _, operation in operations(document)]
    for content in (content for body in bodies for content in body.get("content", {}).values()):
        schema = content["schema"]
        choice = schema.get("anyOf") or schema.get("oneOf") or []
        assert all("$ref" in one or one.get("type") == "null" for one in choice), schema
