"""Answer errors: a page for people, a problem for programs, never a traceback."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import RedirectResponse, Response
from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute, Route

from dashboard.computing.computing import ComputationEndedError
from dashboard.languages.current import gettext, speaking
from dashboard.languages.names import said_of
from dashboard.languages.refused import refused_text
from dashboard.picture.reader import BusyError
from dashboard.web.api.problems import KINDS, problem_response
from dashboard.web.chosen_study import DeviceNeededError
from dashboard.web.guards.languages import language_of
from dashboard.web.guards.permissions import PasswordChangeNeededError, SecondFactorNeededError
from dashboard.web.guards.tokens import is_for_programs
from dashboard.web.login_guard import LoginNeededError
from dashboard.web.rendering import render
from dashboard.web.security import HEADERS
from edge_agent.core.errors import (
    AffectEdgeError,
    ModelError,
    PictureError,
    StatisticsError,
    StoreError,
    StudyError,
)
from edge_agent.core.texts import N_

log = logging.getLogger(__name__)

_NO_ROUTE = HTTPStatus(404).phrase
_PAGE_TITLES = {404: N_("Page not found")}


def handle_errors(app: FastAPI, known: Sequence[BaseRoute]) -> None:
    """Turn every error into a page for people or JSON for programs, never a traceback."""

    _handle_what_is_needed(app)

    @app.exception_handler(HTTPException)
    def http_error(request: Request, error: HTTPException) -> Response:
        if error.status_code == 404 and error.detail == _NO_ROUTE:
            text = gettext("There is nothing at this address.")
        else:
            text = str(error.detail)
        response = _answer(request, error.status_code, text)
        response.headers.update(error.headers or {})
        if error.status_code == 405:
            response.headers["Allow"] = ", ".join(_methods_at(known, request))
        return response

    @app.exception_handler(RequestValidationError)
    def bad_value(request: Request, error: RequestValidationError) -> Response:
        return _answer(request, 422, "; ".join(_describe(detail) for detail in error.errors()))

    @app.exception_handler(AffectEdgeError)
    def known_error(request: Request, error: AffectEdgeError) -> Response:
        if isinstance(error, StoreError):
            log.error("the store refused: %s", error)
        response = _answer(request, _status_of(error), said_of(error))
        if isinstance(error, BusyError):
            response.headers["Retry-After"] = "2"
        return response

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


def _handle_what_is_needed(app: FastAPI) -> None:
    """Lead people to the page where they log in or choose; tell programs what is missing."""

    @app.exception_handler(LoginNeededError)
    def login_needed(request: Request, error: LoginNeededError) -> Response:
        if is_for_programs(request.url.path):
            return _login_needed(request)
        return RedirectResponse(error.location, 303)

    @app.exception_handler(PasswordChangeNeededError)
    def password_needed(request: Request, error: PasswordChangeNeededError) -> Response:  # noqa: ARG001 - says it all
        if is_for_programs(request.url.path):
            return problem_response(request, 403, gettext("Choose a password of your own first."))
        return RedirectResponse("/account", 303)

    @app.exception_handler(SecondFactorNeededError)
    def second_factor_needed(request: Request, error: SecondFactorNeededError) -> Response:  # noqa: ARG001 - says it all
        if is_for_programs(request.url.path):
            text = gettext("Your role needs a second factor. Turn it on, on the page Account.")
            return problem_response(request, 403, text)
        return RedirectResponse("/account", 303)

    @app.exception_handler(DeviceNeededError)
    def device_needed(request: Request, error: DeviceNeededError) -> Response:
        names = ", ".join((error.offered.devices or ())[:20]) or gettext("none")
        if is_for_programs(request.url.path):
            text = error.problem or gettext("device: name one of {names}.").format(names=names)
            return problem_response(request, error.status if error.problem else 422, text)
        return render(
            request,
            "choose_device.html",
            error.status,
            chosen_study=error.offered,
            problem=error.problem,
        )


def _methods_at(known: Iterable[BaseRoute], request: Request) -> list[str]:
    """Return what may be done at the address of a request, by all its routes together."""
    methods: set[str] = set()
    for route in known:
        if isinstance(route, Route) and route.path_regex.match(request.url.path):
            methods.update(route.methods or ())
    return sorted(methods)


def _status_of(error: AffectEdgeError) -> int:
    match error:
        case StoreError() | BusyError() | ModelError() | ComputationEndedError():
            return 503
        case StudyError():
            return 409
        case StatisticsError() | PictureError():
            return 422
        case _:
            return 400


def _describe(detail: dict[str, object]) -> str:
    where = detail.get("loc")
    if isinstance(where, tuple | list) and where:
        name = str(where[-1])
    else:
        name = "request"
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
            "Log in first, or send a token: Authorization: Bearer …. An administrator makes one on "
            "the page Tokens."
        ),
    )
    response.headers["WWW-Authenticate"] = "Bearer"
    return response
