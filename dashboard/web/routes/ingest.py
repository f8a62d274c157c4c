"""Readings that programs send over HTTP, with a token instead of a login."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import JSONResponse, Response
from pydantic import Field
from starlette.concurrency import run_in_threadpool

from dashboard.accounts.roles import Permission, Scope
from dashboard.accounts.tokens import Token
from dashboard.languages.current import gettext
from dashboard.web.chosen_study import APPLIANCE_ONLY
from dashboard.web.errors import may_refuse, problem_response, refuses_by
from dashboard.web.guards.permissions import needs, token_of
from dashboard.web.schemas import ApiModel, Problem
from dashboard.web.services import Services, ServicesDep
from edge_agent.core import clock
from edge_agent.core.errors import ReadingError
from edge_agent.core.given_readings import (
    MAX_BYTES,
    ReadingOrigin,
    id_of,
    parse_payload,
    read_given,
)
from edge_agent.core.readings import VitalFlag, VitalReading
from edge_agent.live.feed import is_live, vital_message
from edge_agent.timeline.database.connection import read_transaction
from edge_agent.timeline.write.batch import rows_in_sessions
from edge_agent.timeline.write.boots import stamp

router = APIRouter(
    tags=["readings"], dependencies=[needs(Permission.RUN, Scope.READINGS), APPLIANCE_ONLY]
)
PATH = "/api/v1/vitals"
_BODY = {
    "required": True,
    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/GivenReadings"}}},
}
_OUTSIDE = ReadingError(
    "at", "", "lies outside sessions, and capture.mode is sessions: start a session first."
)


class ReadingResult(ApiModel):
    """The result for one reading."""

    index: int = Field(description="Its place in the list")
    id: str | int | None = Field(description="As its sender calls it")
    outcome: Literal["taken", "duplicate", "refused"] = Field(
        description="duplicate: the same kind, source, time and value is there already, and was "
        "left alone"
    )
    flags: list[VitalFlag] = Field(description="What was found to be special about it")
    field: str | None = Field(description="refused: which part is wrong")
    reason: str | None = Field(description="refused: field, value, and what is allowed")


class HandedIn(ApiModel):
    """The result for the readings of a request."""

    detail: str = Field(description="The same in a sentence")
    taken: int
    duplicates: int
    refused: int
    results: list[ReadingResult] = Field(description="One for each reading, in the order given")


class RefusedReadings(Problem):
    """The error of a request whose readings were all refused, or that is no list of readings."""

    taken: int = Field(0, description="How many were taken: none")
    duplicates: int = Field(0, description="How many were there already: none")
    refused: int = Field(0, description="How many were refused")
    results: list[ReadingResult] = Field(
        [], description="One for each reading, in the order given; none where there is no reading"
    )


@router.post(
    PATH,
    operation_id="send_readings",
    responses=may_refuse(400, 415) | {422: {"model": RefusedReadings}},
    openapi_extra={"requestBody": _BODY},
    response_model=HandedIn,
)
@refuses_by("a reading is of now or of the past, in a unit of its kind")
async def hand_in(request: Request, services: ServicesDep) -> Response:
    """Send one reading, or a list of up to 1000.

    Each is judged by itself: a bad one does not keep out the others. All that are taken are written
    in one transaction. The answer says for each whether it was taken, was there already, or why it
    was refused.
    """
    token = token_of(request)
    if token is None:
        raise HTTPException(
            401,
            gettext(
                "Send a token: Authorization: Bearer …. An administrator can create one on the "
                "Tokens page."
            ),
            {"WWW-Authenticate": "Bearer"},
        )
    _check_form(request)
    body = await request.body()
    if len(body) > MAX_BYTES:
        raise HTTPException(
            413,
            gettext("The request is larger than {max_bytes} KiB. Send less at a time.").format(
                max_bytes=MAX_BYTES // 1024
            ),
        )
    done, taken = await run_in_threadpool(_hand_in, services, token, body)
    for reading in taken:
        # The agent, whose feed the pages show, does not learn of what the dashboard writes.
        if is_live(reading):
            services.live.share(vital_message(reading))
    if done.refused == len(done.results):
        return problem_response(request, 422, done.detail, done.model_dump(mode="json"))
    return JSONResponse(done.model_dump(mode="json"))


def _check_form(request: Request) -> None:
    kind = request.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    if (
        kind != "application/json"
        or request.headers.get("content-encoding", "identity") != "identity"
    ):
        raise HTTPException(
            415, gettext("Send JSON in UTF-8, not compressed, with Content-Type: application/json.")
        )


def _hand_in(services: Services, token: Token, body: bytes) -> tuple[HandedIn, list[VitalReading]]:
    """Write the readings of a request; return the answer, and the readings that are new."""
    items = parse_payload(body)
    origin = ReadingOrigin(f"http:{token.name}", prefix=f"http:{token.name}:", as_text=False)
    judged = read_given(items, clock.now(), origin, services.arrivals)
    if services.options.only_in_sessions:
        judged = _within_sessions(services, judged)
    # One answer for each reading that was judged well, in their order; refused ones have none.
    answers = iter(
        services.commands.hand_in_readings(
            [one for one in judged if isinstance(one, VitalReading)], token=token.name
        )
    )
    results = [
        _result_of(index, id_of(item), one, is_new=isinstance(one, VitalReading) and next(answers))
        for index, (item, one) in enumerate(zip(items, judged, strict=True))
    ]
    taken = [
        one
        for one, result in zip(judged, results, strict=True)
        if isinstance(one, VitalReading) and result.outcome == "taken"
    ]
    return _summed(results), taken


def _result_of(
    index: int, identity: str | int | None, one: VitalReading | ReadingError, *, is_new: bool
) -> ReadingResult:
    if isinstance(one, ReadingError):
        return ReadingResult(
            index=index, id=identity, outcome="refused", flags=[], field=one.field, reason=str(one)
        )
    return ReadingResult(
        index=index,
        id=identity,
        outcome="taken" if is_new else "duplicate",
        flags=sorted(one.flags),
        field=None,
        reason=None,
    )


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
