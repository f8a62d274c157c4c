"""Readings that programs send over HTTP, with a token instead of a login."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, HTTPException, Request
from fastapi.responses import JSONResponse, Response
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import Field
from starlette.concurrency import run_in_threadpool

from dashboard.accounts.roles import Permission
from dashboard.accounts.tokens import SCOPE_VITALS, Token
from dashboard.languages.current import gettext
from dashboard.web.guards.permissions import needs
from dashboard.web.schemas import ApiModel, Problem
from dashboard.web.services import Services, ServicesDep
from edge_agent.core import clock
from edge_agent.core.errors import ReadingError
from edge_agent.core.given_readings import (
    MAX_BYTES,
    MAX_READINGS,
    GivenReading,
    Origin,
    id_of,
    parse_payload,
    read_given,
)
from edge_agent.core.readings import VitalFlag, VitalReading
from edge_agent.store.database.schema import read_transaction
from edge_agent.store.write.clocks.boots import stamp
from edge_agent.store.write.imports import import_each
from edge_agent.store.write.pending_rows import rows_in_sessions

router = APIRouter(tags=["readings"], dependencies=[needs(Permission.OPEN)])
PATH = "/api/v1/vitals"
_bearer = HTTPBearer(
    auto_error=False, description="A token made on the page Readings of the dashboard"
)


class ReadingResult(ApiModel):
    """What became of one reading."""

    index: int = Field(description="Its place in the list")
    id: str | int | None = Field(description="As its sender calls it")
    outcome: Literal["taken", "duplicate", "refused"] = Field(
        description="duplicate: the same kind, source and time is there already, and was left alone"
    )
    flags: list[VitalFlag] = Field(description="What was found to be special about it")
    field: str | None = Field(description="refused: which part is wrong")
    reason: str | None = Field(description="refused: field, value, and what is allowed")


class HandedIn(ApiModel):
    """What became of the readings of a request."""

    detail: str = Field(description="The same in a sentence")
    taken: int
    duplicates: int
    refused: int
    results: list[ReadingResult] = Field(description="One for each reading, in the order given")


_SCHEMA = GivenReading.model_json_schema(ref_template="#/components/schemas/{model}")
_DEFINITIONS = _SCHEMA.pop("$defs")
_ITEM = {**_SCHEMA, "properties": {**_SCHEMA["properties"]}}


def _inlined(schema: Any) -> Any:
    """Return a schema with its definitions put where they are referred to.

    The route reads its body itself.
    """
    if isinstance(schema, dict):
        if "$ref" in schema:
            return _inlined(_DEFINITIONS[schema["$ref"].rsplit("/", 1)[1]])
        return {key: _inlined(value) for key, value in schema.items()}
    if isinstance(schema, list):
        return [_inlined(value) for value in schema]
    return schema


_BODY = {
    "required": True,
    "content": {
        "application/json": {
            "schema": {
                "oneOf": [
                    _inlined(_ITEM),
                    {
                        "type": "array",
                        "items": _inlined(_ITEM),
                        "minItems": 1,
                        "maxItems": MAX_READINGS,
                    },
                ]
            }
        }
    },
}
_ANSWERS: dict[int | str, dict[str, Any]] = {
    400: {"model": Problem, "description": "The body is no JSON"},
    401: {"model": Problem, "description": "No token, or one that is not in force"},
    413: {"model": Problem, "description": "Too large"},
    415: {"model": Problem, "description": "Not JSON, or compressed"},
    422: {"model": HandedIn, "description": "Every reading was refused"},
    429: {"model": Problem, "description": "Too many requests; Retry-After says how long to wait"},
}


@router.post(
    PATH, responses=_ANSWERS, openapi_extra={"requestBody": _BODY}, response_model=HandedIn
)
async def hand_in(
    request: Request,
    services: ServicesDep,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
) -> Response:
    """Send one reading, or a list of up to 1000.

    Each is judged by itself: a bad one does not keep out the others. All that are taken are written
    in one transaction. The answer says for each whether it was taken, was there already, or why it
    was refused.
    """
    token = await run_in_threadpool(_token, services, request, credentials)
    _check_form(request)
    body = await request.body()
    if len(body) > MAX_BYTES:
        raise HTTPException(
            413,
            gettext("The request is larger than {max_bytes} KiB. Send less at a time.").format(
                max_bytes=MAX_BYTES // 1024
            ),
        )
    done = await run_in_threadpool(_hand_in, services, token, body)
    return JSONResponse(
        done.model_dump(mode="json"), 422 if done.refused == len(done.results) else 200
    )


def _token(
    services: Services, request: Request, credentials: HTTPAuthorizationCredentials | None
) -> Token:
    """Return the token that the request brings."""
    address = request.client.host if request.client else ""
    if credentials is None:
        raise HTTPException(
            401,
            gettext(
                "Send a token: Authorization: Bearer …. Make one on the page Readings of the "
                "dashboard."
            ),
            {"WWW-Authenticate": "Bearer"},
        )
    token = services.ingest.tokens.of(credentials.credentials, SCOPE_VITALS)
    if token is None:
        _wait(services.ingest.wrong_tokens.attempt(address), "wrong tokens")
        raise HTTPException(
            401,
            gettext("This token is unknown or revoked."),
            {"WWW-Authenticate": 'Bearer error="invalid_token"'},
        )
    _wait(services.ingest.requests.attempt(f"token {token.id}"), "requests with this token")
    services.ingest.tokens.note_use(token)
    return token


def _wait(seconds: int, what: str) -> None:
    if seconds:
        raise HTTPException(
            429,
            gettext("Too many {what}. Try again in {seconds} s.").format(
                what=what, seconds=seconds
            ),
            {"Retry-After": str(seconds)},
        )


def _check_form(request: Request) -> None:
    kind = request.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    if (
        kind != "application/json"
        or request.headers.get("content-encoding", "identity") != "identity"
    ):
        raise HTTPException(
            415, gettext("Send JSON in UTF-8, not compressed, with Content-Type: application/json.")
        )


def _hand_in(services: Services, token: Token, body: bytes) -> HandedIn:
    items = parse_payload(body)
    origin = Origin(f"http:{token.name}", prefix=f"http:{token.name}:")
    judged = read_given(items, clock.now(), origin, services.ingest.arrivals)
    if services.options.only_in_sessions:
        judged = _within_sessions(services, judged)
    new = iter(
        import_each(services.options.database, [r for r in judged if isinstance(r, VitalReading)])
    )
    results: list[ReadingResult] = []
    for index, (item, answer) in enumerate(zip(items, judged, strict=True)):
        if isinstance(answer, VitalReading):
            outcome: Literal["taken", "duplicate"] = "taken" if next(new) else "duplicate"
            flags = sorted(answer.flags)
            result = ReadingResult(
                index=index, id=id_of(item), outcome=outcome, flags=flags, field=None, reason=None
            )
        else:
            result = ReadingResult(
                index=index,
                id=id_of(item),
                outcome="refused",
                flags=[],
                field=answer.field,
                reason=str(answer),
            )
        results.append(result)
    return _summed(results)


def _within_sessions(
    services: Services, judged: list[VitalReading | ReadingError]
) -> list[VitalReading | ReadingError]:
    """Refuse the readings of a time in which no session was open."""
    readings = [answer for answer in judged if isinstance(answer, VitalReading)]
    with read_transaction(services.options.database) as connection:
        stamped = [(reading, stamp(connection, reading.at)[0]) for reading in readings]
        allowed = {reading for reading, _ in rows_in_sessions(connection, stamped)}
    return [
        _OUTSIDE if isinstance(answer, VitalReading) and answer not in allowed else answer
        for answer in judged
    ]


_OUTSIDE = ReadingError(
    "at", "", "lies outside sessions, and capture.mode is sessions: start a session first."
)


def _summed(results: list[ReadingResult]) -> HandedIn:
    counts = {
        name: sum(r.outcome == name for r in results) for name in ("taken", "duplicate", "refused")
    }
    first = next((r.reason for r in results if r.reason), None)
    if first:
        refused = f", {counts['refused']} refused (the first: {first})"
    else:
        refused = ""
    return HandedIn(
        detail=f"{counts['taken']} taken, {counts['duplicate']} there already{refused}",
        taken=counts["taken"],
        duplicates=counts["duplicate"],
        refused=counts["refused"],
        results=results,
    )
