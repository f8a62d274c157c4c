"""Errors as answers, and the description of the API.

People get a page and programs a problem (RFC 9457, ``application/problem+json``); nobody gets a
traceback. The description (OpenAPI 3.1) is what FastAPI finds out from the routes, and what every
operation shares: who may use it, and the ways in which it refuses. A route lists with
``may_refuse`` the refusals that only it can give.

>>> KINDS[409].name
'conflict'
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Any, TypeVar
from urllib.parse import quote

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from fastapi.responses import JSONResponse, RedirectResponse, Response
from fastapi.routing import APIRoute
from pydantic import ValidationError
from pydantic.json_schema import models_json_schema
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Send
from starlette.types import Scope as Connection

from dashboard.accounts.passwords import AccountError
from dashboard.accounts.roles import TOKEN_ROLES, Permission, Scope, roles_with
from dashboard.computing.processes import ComputationEndedError
from dashboard.languages.current import gettext, speaking
from dashboard.languages.names import said_of
from dashboard.languages.refused import refused_text
from dashboard.picture.reader import PicturesBusyError
from dashboard.web.authentication import LOGIN_COOKIE, LoginNeededError
from dashboard.web.chosen_study import DeviceNeededError
from dashboard.web.configuration import NotWritableError
from dashboard.web.forms import FormPage, Refused, RequestError, form_page_of
from dashboard.web.guards.login_throttle import HeldUpError
from dashboard.web.guards.permissions import (
    AccountPageNeededError,
    is_for_programs,
    permission_of,
    scope_of,
)
from dashboard.web.guards.security import HEADERS
from dashboard.web.options import PORT
from dashboard.web.rendering import language_of, render
from dashboard.web.schemas import Problem
from edge_agent import __version__
from edge_agent.config.editing import ConfigChangedError
from edge_agent.core.errors import (
    AffectEdgeError,
    ConfigError,
    ModelError,
    PictureError,
    StatisticsError,
    StoreError,
    StudyError,
)
from edge_agent.core.given_readings import MAX_READINGS, GivenReading
from edge_agent.core.texts import N_

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
_TYPE = "urn:affect-edge:problem:{name}"
_SAFE = "/-._~!$&'()*+,;=:@%"
_NO_ROUTE = HTTPStatus(404).phrase
_PAGE_TITLES = {404: N_("Page not found")}
_ABOUT = (
    "Emotion and vital-sign timeline of one appliance. A program sends a token "
    "(`Authorization: Bearer …`), which an administrator makes on the page Tokens; the pages "
    "of the dashboard use the cookie of a login. Every error is a problem (RFC 9457)."
)
_ALWAYS = (401, 403, 429, 503)
_WITH_BODY = (400, 413)
_BUSY_S = 2
_PROBLEM = {"$ref": "#/components/schemas/Problem"}
_HEADERS: Mapping[int, Mapping[str, str]] = {
    401: {"WWW-Authenticate": "How to come in: Bearer"},
    429: {"Retry-After": "Seconds to wait"},
}
_UNUSED = ("HTTPValidationError", "ValidationError")
EVENTS = "text/event-stream"
_RULE = "rule_beyond_schema"
Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])


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


_OTHER = ProblemKind(
    "refused", N_("Request failed"), N_("Read detail, correct the request and try again.")
)
KINDS: Mapping[int, ProblemKind] = {
    400: ProblemKind(
        "invalid-request",
        N_("Invalid request"),
        N_("Correct what detail names, and send it again."),
    ),
    401: ProblemKind(
        "not-logged-in",
        N_("Not logged in"),
        N_("Log in, or send a valid token: Authorization: Bearer …."),
    ),
    403: ProblemKind(
        "not-allowed",
        N_("Not allowed"),
        N_("Use an account or token with the rights that detail names."),
    ),
    404: ProblemKind(
        "not-found", N_("Not found"), N_("Check the address, and the number or name in it.")
    ),
    405: ProblemKind(
        "not-supported", N_("Not supported here"), N_("Use one of the methods in the Allow header.")
    ),
    409: ProblemKind(
        "conflict",
        N_("Not possible now"),
        N_("Correct what detail names, then try again; repeating the request alone does not help."),
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
        N_("Wait for the number of seconds in the Retry-After header, then try again."),
    ),
    500: ProblemKind(
        "internal-error",
        N_("Something went wrong"),
        N_("See the dashboard's log; trying again may help."),
    ),
    503: ProblemKind(
        "unavailable",
        N_("The data cannot be read"),
        N_("Try again in a few seconds. If the error stays, see the Health page."),
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


def handle_errors(app: FastAPI, known: Sequence[BaseRoute]) -> None:
    """Turn every error into a page for people or JSON for programs, never a traceback."""

    _handle_what_is_needed(app)

    @app.exception_handler(HTTPException)
    def http_error(request: Request, error: HTTPException) -> Response:
        # The router's own 404 knows nothing but the phrase of the status.
        if error.status_code == 404 and error.detail == _NO_ROUTE:
            text = gettext("There is nothing at this address.")
        else:
            text = str(error.detail)
        response = _answer(request, error.status_code, text)
        response.headers.update(error.headers or {})
        # A 405 has to name the methods that there are (RFC 9110, section 15.5.6).
        if error.status_code == 405:
            response.headers["Allow"] = ", ".join(_methods_at(known, request))
        return response

    @app.exception_handler(RequestValidationError)
    def bad_value(request: Request, error: RequestValidationError) -> Response:
        return _answer(request, 422, "; ".join(_describe(detail) for detail in error.errors()))

    @app.exception_handler(AffectEdgeError)
    async def known_error(request: Request, error: AffectEdgeError) -> Response:
        page = form_page_of(request)
        status, wait = _status_of(error), _wait_of(error)
        if page is not None and (status < 500 or wait):
            typed = page.typed(await request.form())
            refused = page.refused(request.url.path, error, typed)
            return _PageOfForm(request, page, replace(refused, status=status, wait=wait))
        # Drawing a page reads the database.
        return await run_in_threadpool(_known_error, request, error, status)

    @app.exception_handler(ValidationError)
    async def refused_values(request: Request, error: ValidationError) -> Response:
        page = form_page_of(request)
        if page is None:  # nobody's input: a fault of ours
            raise error
        typed = page.typed(await request.form())
        refused = Refused.invalid(request.url.path, error, typed)
        return _PageOfForm(request, page, replace(refused, status=422))

    @app.exception_handler(ClientDisconnect)
    async def went_away(_request: Request, _error: ClientDisconnect) -> Response:
        # Who sent it has gone in the middle of it, and reads no answer.
        return Response(status_code=400)

    @app.exception_handler(Exception)
    def unknown_error(request: Request, error: Exception) -> Response:  # noqa: ARG001 - logged by the server
        with speaking(language_of(request)):  # this answer passes by the middleware
            response = _answer(
                request,
                500,
                gettext(
                    "See the dashboard's log. Reload the page; if the error stays, restart the "
                    "dashboard."
                ),
            )
        response.headers.update(HEADERS)
        return response


def _known_error(request: Request, error: AffectEdgeError, status: int) -> Response:
    if isinstance(error, StoreError):
        log.error("the store refused: %s", error)
    response = _answer(request, status, said_of(error))
    if wait := _wait_of(error):
        response.headers["Retry-After"] = str(wait)
    return response


class _PageOfForm(Response):
    """The page that has a refused form, as its own route answers, with what is wrong."""

    def __init__(self, request: Request, page: FormPage, refused: Refused) -> None:
        super().__init__()
        path, _, query = page.path.partition("?")
        path = path.format(**request.path_params)
        self._asked = {"method": "GET", "path": path, "raw_path": quote(path).encode()}
        if query:
            self._asked["query_string"] = query.encode()
        request.state.refused = refused
        request.state.form_page = None  # what the page itself cannot show is an error of its own

    async def __call__(self, scope: Connection, receive: Receive, send: Send) -> None:
        """Answer as a GET of the page would; login and permission are checked there once more."""
        await scope["app"].router({**scope, **self._asked, "path_params": {}}, receive, send)


def _handle_what_is_needed(app: FastAPI) -> None:
    """Redirect people to the page where they log in or choose; send programs an error."""

    @app.exception_handler(LoginNeededError)
    def login_needed(request: Request, error: LoginNeededError) -> Response:
        if is_for_programs(request.url.path):
            return _login_needed(request)
        return RedirectResponse(error.location, 303)

    @app.exception_handler(AccountPageNeededError)
    def account_page_needed(request: Request, error: AccountPageNeededError) -> Response:
        if is_for_programs(request.url.path):
            return problem_response(request, 403, gettext(str(error)))
        return RedirectResponse("/account", 303)

    @app.exception_handler(DeviceNeededError)
    def device_needed(request: Request, error: DeviceNeededError) -> Response:
        names = ", ".join((error.offered.devices or ())[:20]) or gettext("none")
        if is_for_programs(request.url.path):
            text = error.problem or gettext("device: choose one of {names}.").format(names=names)
            return problem_response(request, error.status if error.problem else 422, text)
        return render(
            request,
            "choose_device.html",
            error.status,
            chosen_study=error.offered,
            problem=error.problem,
        )


def _methods_at(known: Iterable[BaseRoute], request: Request) -> list[str]:
    """Return the methods that the routes at a request's address allow."""
    methods: set[str] = set()
    for route in known:
        if isinstance(route, Route) and route.path_regex.match(request.url.path):
            methods.update(route.methods or ())
    return sorted(methods)


def _status_of(error: AffectEdgeError) -> int:
    match error:
        case HeldUpError():
            return error.status
        case StoreError() | PicturesBusyError() | ModelError() | ComputationEndedError():
            return 503
        case StudyError() | ConfigChangedError() | NotWritableError():
            return 409
        case ConfigError() | StatisticsError() | PictureError() | RequestError() | AccountError():
            return 422
        case _:
            return 400


def _wait_of(error: AffectEdgeError) -> int:
    """Return after how many seconds to try again; 0: there is nothing to wait for."""
    match error:
        case HeldUpError():
            return error.wait
        case PicturesBusyError():
            return _BUSY_S
        case _:
            return 0


def _describe(detail: dict[str, object]) -> str:
    where = detail.get("loc")
    places = where if isinstance(where, tuple | list) else ()
    # Of a value in a list the last place is its number, which says less than the list's name.
    name = next((place for place in reversed(places) if isinstance(place, str)), "request")
    return gettext("{name}: {problem} (given: {given!r})").format(
        name=name, problem=refused_text(detail), given=str(detail.get("input"))[:80]
    )


def _answer(request: Request, status: int, text: str) -> Response:
    if is_for_programs(request.url.path):
        return problem_response(request, status, text)
    kind = KINDS.get(status)
    title = gettext(_PAGE_TITLES.get(status) or (kind.title if kind else N_("Request failed")))
    return render(request, "error.html", status, title=title, text=text)


def _login_needed(request: Request) -> Response:
    response = problem_response(
        request,
        401,
        gettext(
            "Log in first, or send a token: Authorization: Bearer …. An administrator can "
            "create one on the Tokens page."
        ),
    )
    response.headers["WWW-Authenticate"] = "Bearer"
    return response


_NAMES = {
    status: "".join(word.capitalize() for word in kind.name.split("-"))
    for status, kind in KINDS.items()
}


def may_refuse(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the ``responses`` of a route that can refuse in these ways, beyond what all can."""
    return {status: {"description": KINDS[status].title} for status in statuses}


def refuses_by(rule: str) -> Callable[[Endpoint], Endpoint]:
    """Say beside an endpoint by which rule it refuses what its schema allows.

    Who sends made-up values that fit the schema, as the tests of the API do, then expects a
    refusal, too. What has no schema at all, such as the bytes of a file, needs no such rule.

    Args:
        rule: which no schema can express, such as "the end is after the start".
    """

    def mark(endpoint: Endpoint) -> Endpoint:
        setattr(endpoint, _RULE, rule)
        return endpoint

    return mark


def rule_beyond_schema(route: APIRoute) -> str:
    """Return the rule by which a route refuses what its schema allows; empty: there is none."""
    return str(getattr(route.endpoint, _RULE, ""))


def file_answer(*media_types: str) -> dict[int | str, dict[str, Any]]:
    """Return the ``responses`` of a route that sends a file of one of these types."""
    binary = {"schema": {"type": "string", "format": "binary"}}
    return {200: {"description": "The file", "content": dict.fromkeys(media_types, binary)}}


def event_answer() -> dict[int | str, dict[str, Any]]:
    """Return the ``responses`` of a route that streams server-sent events."""
    text = {"schema": {"type": "string"}}
    return {200: {"description": "Events, until the client goes", "content": {EVENTS: text}}}


def describe(routes: Iterable[BaseRoute]) -> dict[str, Any]:
    """Return the description of the routes that are part of the API."""
    served = [route for route in routes if isinstance(route, APIRoute) and route.include_in_schema]
    document = get_openapi(
        title="Affect Edge", version=__version__, description=_ABOUT, routes=served
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
    # In the text of the whole document, since every reference holds the names as well.
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
    """Add the required permission and the error responses to an operation."""
    permission = permission_of(route) or Permission.ADMINISTER
    scope = scope_of(route)
    operation["security"] = [{"token": [scope.value]}]
    login = ""
    if not _wants_token(route):
        operation["security"].append({"login": []})
        login = "; so does a login"
    role = next(one for one in roles_with(permission) if one in TOKEN_ROLES)
    operation["description"] = (
        f"{operation.get('description', '').strip()}\n\nA token needs the scope `{scope}` and the "
        f"role {role} or higher{login}."
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
    """Tell whether a route accepts only a token, not a login."""
    return scope_of(route) is Scope.READINGS


def _used(document: Mapping[str, Any]) -> list[int]:
    """Return the status codes of the shared error responses that an operation refers to."""
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
            "description": "The login of a browser; over HTTPS the name begins with __Host-, and "
            f"with a port other than {PORT} it ends in it, as in {LOGIN_COOKIE}-8443",
        },
    }
