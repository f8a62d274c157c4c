"""The description of the API (OpenAPI 3.1): what FastAPI finds out from the routes, and what every
operation shares: who may use it, and how it refuses.

A route says with ``may_refuse`` what only it can answer; the rest follows from its method, its
address and the permission that it declares.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from pydantic.json_schema import models_json_schema
from starlette.routing import BaseRoute

from dashboard.accounts.roles import Permission, roles_with
from dashboard.accounts.scopes import Scope
from dashboard.web.api.problems import KINDS, MEDIA_TYPE
from dashboard.web.guards.cookies import LOGIN_COOKIE
from dashboard.web.guards.permissions import permission_of, scope_of
from dashboard.web.schemas import Problem
from edge_agent import __version__
from edge_agent.core.given_readings import MAX_READINGS, GivenReading

_ABOUT = (
    "Emotion and vital-sign timeline of one appliance. A program sends a token "
    "(`Authorization: Bearer …`), which an administrator makes on the page Tokens; the pages "
    "of the dashboard use the cookie of a login. Every error is a problem (RFC 9457)."
)
_ALWAYS = (401, 403, 429, 503)
_WITH_BODY = (400, 413)
_PROBLEM = {"$ref": "#/components/schemas/Problem"}
_NAMES = {
    status: "".join(word.capitalize() for word in kind.name.split("-"))
    for status, kind in KINDS.items()
}
_HEADERS: Mapping[int, Mapping[str, str]] = {
    401: {"WWW-Authenticate": "How to come in: Bearer"},
    429: {"Retry-After": "Seconds to wait"},
}
_UNUSED = ("HTTPValidationError", "ValidationError")


def may_refuse(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the ``responses`` of a route that can refuse in these ways, beyond what all can."""
    return {status: {"description": KINDS[status].title} for status in statuses}


def file_answer(*media_types: str) -> dict[int | str, dict[str, Any]]:
    """Return the ``responses`` of a route that sends a file of one of these types."""
    binary = {"schema": {"type": "string", "format": "binary"}}
    return {
        200: {"description": "The file", "content": dict.fromkeys(media_types, binary)},
    }


def event_answer() -> dict[int | str, dict[str, Any]]:
    """Return the ``responses`` of a route that streams server-sent events."""
    text = {"schema": {"type": "string"}}
    return {200: {"description": "Events, until the client goes", "content": {EVENTS: text}}}


EVENTS = "text/event-stream"


def describe(routes: Iterable[BaseRoute]) -> dict[str, Any]:
    """Return the description of the routes that are part of the API."""
    served = [route for route in routes if isinstance(route, APIRoute) and route.include_in_schema]
    document = get_openapi(
        title="Affect Edge",
        version=__version__,
        description=_ABOUT,
        routes=served,
    )
    document = _with_plain_names(document)
    for route in served:
        for method in route.methods or ():
            _complete(document["paths"][route.path][method.lower()], route)
    components = document.setdefault("components", {})
    components["securitySchemes"] = _security_schemes()
    components["responses"] = {_NAMES[status]: _refusal(status) for status in _used(document)}
    components["schemas"] = _schemas(components["schemas"])
    return document


def _with_plain_names(document: dict[str, Any]) -> dict[str, Any]:
    """Return the description with names that programs can use as names of types.

    A shape that is not the same when it is sent and when it comes back has two of them.
    """
    text = json.dumps(document).replace('-Input"', 'Input"').replace('-Output"', 'Output"')
    named: dict[str, Any] = json.loads(text)
    for name, schema in named["components"]["schemas"].items():
        if name.endswith(("Input", "Output")):
            schema["title"] = name
    return named


def _schemas(shapes: Mapping[str, Any]) -> dict[str, Any]:
    """Return the shapes that FastAPI found, and those that it cannot see, by name."""
    _, made = models_json_schema(
        [(Problem, "validation"), (GivenReading, "validation")],
        ref_template="#/components/schemas/{model}",
    )
    given = {"$ref": "#/components/schemas/GivenReading"}
    several = {"type": "array", "items": given, "minItems": 1, "maxItems": MAX_READINGS}
    either = {"description": "One reading, or a list of them", "oneOf": [given, several]}
    together = {**shapes, **made["$defs"], "GivenReadings": either}
    return {name: together[name] for name in sorted(together) if name not in _UNUSED}


def _complete(operation: dict[str, Any], route: APIRoute) -> None:
    """Add to an operation who may use it and how it refuses."""
    permission = permission_of(route) or Permission.ADMINISTER
    scope = scope_of(route)
    operation["security"] = [{"token": [scope.value]}]
    if not _wants_token(route):
        operation["security"].append({"login": []})
    role = roles_with(permission)[0]
    operation["description"] = (
        f"{operation.get('description', '').strip()}\n\nA token needs the scope `{scope}` and the "
        f"role {role} or higher; so does a login."
    )
    responses = operation["responses"]
    statuses = {int(code) for code in responses if int(code) >= 400} | set(_ALWAYS)
    if "requestBody" in operation:
        statuses |= set(_WITH_BODY)
    for status in sorted(statuses):
        stated = responses.pop(str(status), {})
        shape = _own_shape(stated)
        if shape is None:
            responses[str(status)] = {"$ref": f"#/components/responses/{_NAMES[status]}"}
        else:
            responses[str(status)] = _refusal(status, shape)


def _own_shape(stated: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the schema that a route gave a refusal of its own; ``None``: it is a plain problem."""
    for content in stated.get("content", {}).values():
        schema: Mapping[str, Any] = content.get("schema", {})
        if schema.get("$ref", "").rpartition("/")[2] not in {"", "Problem", *_UNUSED}:
            return schema
    return None


def _refusal(status: int, schema: Mapping[str, Any] = _PROBLEM) -> dict[str, Any]:
    kind = KINDS[status]
    answer: dict[str, Any] = {
        "description": f"{kind.title}. {kind.what_to_do}",
        "content": {MEDIA_TYPE: {"schema": dict(schema)}},
    }
    if status in _HEADERS:
        answer["headers"] = {
            name: {"description": about, "schema": {"type": "string"}}
            for name, about in _HEADERS[status].items()
        }
    return answer


def _wants_token(route: APIRoute) -> bool:
    """Tell whether a login does not open a route."""
    return scope_of(route) is Scope.READINGS


def _used(document: Mapping[str, Any]) -> list[int]:
    """Return the statuses whose plain refusal an operation refers to."""
    names = {
        answer["$ref"].rpartition("/")[2]
        for path in document["paths"].values()
        for operation in path.values()
        for answer in operation["responses"].values()
        if "$ref" in answer
    }
    return [status for status, name in _NAMES.items() if name in names]


def _security_schemes() -> dict[str, Any]:
    return {
        "token": {
            "type": "http",
            "scheme": "bearer",
            "description": "A token of a program, made on the page Tokens. Its scopes: "
            + ", ".join(scope.value for scope in Scope),
        },
        "login": {
            "type": "apiKey",
            "in": "cookie",
            "name": LOGIN_COOKIE,
            "description": "The login of a browser; over HTTPS the name begins with __Host-",
        },
    }
