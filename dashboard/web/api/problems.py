"""Errors as programs get them: problem details (RFC 9457, ``application/problem+json``).

>>> KINDS[409].name
'conflict'
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from fastapi import Request
from fastapi.responses import JSONResponse

from dashboard.languages.current import gettext
from dashboard.web.schemas import Problem
from edge_agent.core.texts import N_

MEDIA_TYPE = "application/problem+json"
_TYPE = "urn:affect-edge:problem:{name}"
_SAFE = "/-._~!$&'()*+,;=:@%"


@dataclass(frozen=True, slots=True)
class ProblemKind:
    """A kind of error.

    Attributes:
        name: the last part of its ``type``, which never changes.
        title: what it is, for people.
        what_to_do: what helps with any error of the kind.
    """

    name: str
    title: str
    what_to_do: str


_OTHER = ProblemKind("refused", N_("Request failed"), N_("Read detail, correct it, and ask again."))
KINDS: Mapping[int, ProblemKind] = {
    400: ProblemKind(
        "invalid-request",
        N_("Invalid request"),
        N_("Correct what detail names, and send it again."),
    ),
    401: ProblemKind(
        "not-logged-in",
        N_("Not logged in"),
        N_("Log in, or send a token that is in force: Authorization: Bearer …."),
    ),
    403: ProblemKind(
        "not-allowed",
        N_("Not allowed"),
        N_("Use an account or a token that may do this; detail says which."),
    ),
    404: ProblemKind(
        "not-found", N_("Not found"), N_("Check the address, and the number or name in it.")
    ),
    405: ProblemKind(
        "not-supported", N_("Not supported here"), N_("Use one of the methods in the header Allow.")
    ),
    409: ProblemKind(
        "conflict",
        N_("Not possible now"),
        N_("Change what detail names, then ask again; asking again alone does not help."),
    ),
    410: ProblemKind("gone", N_("No longer available"), N_("Ask for a new one.")),
    413: ProblemKind("too-large", N_("Too large"), N_("Send less at a time.")),
    415: ProblemKind(
        "wrong-content",
        N_("Content is not understood"),
        N_("Send the content type that detail names."),
    ),
    422: ProblemKind(
        "invalid-value", N_("Invalid value"), N_("Correct the value that detail names.")
    ),
    429: ProblemKind(
        "too-many-requests",
        N_("Too many attempts"),
        N_("Wait as many seconds as the header Retry-After says, then ask again."),
    ),
    500: ProblemKind(
        "internal-error",
        N_("Something went wrong"),
        N_("Look at the dashboard's log; asking again may help."),
    ),
    503: ProblemKind(
        "unavailable",
        N_("The data cannot be read"),
        N_("Ask again in some seconds; if it stays, look at the page Health."),
    ),
}
"""Every kind that the API uses, by status."""


def problem_of(request: Request, status: int, detail: str) -> Problem:
    """Return the description of an error of one request."""
    kind = KINDS.get(status, _OTHER)
    return Problem(
        type=_TYPE.format(name=kind.name),
        title=gettext(kind.title),
        status=status,
        detail=detail,
        instance=quote(request.url.path, safe=_SAFE),
        what_to_do=gettext(kind.what_to_do),
    )


def problem_response(
    request: Request, status: int, detail: str, more: Mapping[str, Any] | None = None
) -> JSONResponse:
    """Return an error as an answer.

    Args:
        request: what was asked.
        status: of the answer.
        detail: what is wrong with this request and what to do.
        more: further members.
    """
    content = problem_of(request, status, detail).model_dump(mode="json") | dict(more or {})
    return JSONResponse(content, status, media_type=MEDIA_TYPE)
