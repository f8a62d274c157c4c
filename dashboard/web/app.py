"""The web application: routes, guards and errors put together."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import Any

from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, RedirectResponse, Response
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute, Route

from dashboard.accounts.accounts import Accounts
from dashboard.accounts.audit_trail import AuditTrail
from dashboard.accounts.logins import Logins
from dashboard.accounts.members import Members
from dashboard.accounts.roles import Permission
from dashboard.languages.current import gettext, speaking
from dashboard.languages.names import said_of
from dashboard.languages.refused import refused_text
from dashboard.picture.reader import BusyError, PictureReader
from dashboard.protocols.runner import ProtocolRunner
from dashboard.web import routes
from dashboard.web.alerts.dashboard_alerts import DashboardAlerts
from dashboard.web.delivery.static_files import STATIC, KeptFiles, PageCompression
from dashboard.web.export_jobs import ExportJobs
from dashboard.web.first_steps.progress import Progress
from dashboard.web.guards.connections import ConnectionGuard, RequestTimes
from dashboard.web.guards.hosts import HostCheck
from dashboard.web.guards.languages import Languages, language_of
from dashboard.web.guards.login_gate import LoginGate
from dashboard.web.guards.own_certificate import is_trusted
from dashboard.web.guards.permissions import (
    PasswordChangeNeededError,
    check_declared,
    permissions_of,
)
from dashboard.web.ingest_state import IngestState
from dashboard.web.live_fan_out import LiveFanOut
from dashboard.web.login_guard import LoginNeededError, is_public, require_login
from dashboard.web.once import Once
from dashboard.web.pages import find_pages, navigation_of
from dashboard.web.preview.relay import Previews
from dashboard.web.rendering import make_templates, render
from dashboard.web.schemas import Problem
from dashboard.web.security import HEADERS, BodyLimit, SecurityHeaders, require_same_origin
from dashboard.web.services import Services
from dashboard.web.settings import DashboardOptions
from edge_agent import __version__
from edge_agent.core.clock import boot_seconds
from edge_agent.core.errors import (
    AffectEdgeError,
    ModelError,
    PictureError,
    StatisticsError,
    StoreError,
    StudyError,
)
from edge_agent.core.texts import N_
from edge_agent.store.database.schema import migrate
from edge_agent.store.read.reader import Reader
from edge_agent.store.study.protocol_runs import ProtocolRuns
from edge_agent.store.study.study import Study

log = logging.getLogger(__name__)

_TITLES = {
    400: N_("Invalid request"),
    403: N_("Not allowed"),
    404: N_("Page not found"),
    405: N_("Not supported here"),
    409: N_("Not possible now"),
    410: N_("No longer available"),
    413: N_("Too large"),
    422: N_("Invalid value"),
    429: N_("Too many attempts"),
    500: N_("Something went wrong"),
    503: N_("The data cannot be read"),
}


_REFUSALS: dict[int | str, dict[str, Any]] = {
    "4XX": {"model": Problem, "description": "Refused; the detail says why and what to do"},
    422: {"model": Problem, "description": "A value is not allowed; the detail names it"},
    "5XX": {"model": Problem, "description": "Not possible now; the detail says why"},
}


def create_app(
    options: DashboardOptions,
    clock: Callable[[], float] = boot_seconds,
) -> FastAPI:
    """Return the application over one data folder; makes or upgrades the database there.

    Args:
        options: what the dashboard is told.
        clock: seconds, never going back; the limits of attempts and requests are counted by it.

    Raises:
        StoreError: the database cannot be made or is not one of ours.
    """
    try:
        options.data.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(
            f"{options.data}: the data folder cannot be made ({error.strerror}). Choose another "
            "with --data."
        ) from error
    migrate(options.database)
    app = FastAPI(
        title="Affect Edge",
        version=__version__,
        description="Emotion and vital-sign timeline of one appliance. Log in first; the cookie is "
        "the key.",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,  # served by our own route, which needs a login
    )
    study = Study(options.database, purposes=options.purposes, outbox_rows=options.outbox_rows)
    protocol_runner = ProtocolRunner(ProtocolRuns(options.database, options.outbox_rows), study)
    protocol_runner.resume_saved()
    stopping = asyncio.Event()
    connections = ConnectionGuard(clock)
    app.state.services = Services(
        options=options,
        accounts=Accounts(options.database, options.session_hours, options.idle_minutes),
        members=Members(options.database),
        logins=Logins(options.database, options.idle_minutes),
        audit=AuditTrail(options.database),
        connections=connections,
        gate=LoginGate(options.database, clock),
        reader=Reader(options.database),
        ingest=IngestState(options.database, clock),
        study=study,
        protocol_runner=protocol_runner,
        exports=ExportJobs(options.database, options.device, options.told, options.models),
        pictures=PictureReader(options.vision),
        live=LiveFanOut(options.live_socket, stopping),
        previews=Previews(options.preview_socket, stopping),
        first_steps=Progress(options.database),
        alerts=DashboardAlerts(options.alerts, options.database, options.live_socket),
        once=Once(),
        stopping=stopping,
    )
    pages = find_pages(routes)
    app.state.templates = make_templates(navigation_of(pages))
    app.routes.extend(_guarded_routes())
    app.state.permissions = _permissions()
    app.mount("/static", KeptFiles(directory=STATIC), name="static")
    app.add_middleware(BodyLimit)
    app.add_middleware(Languages, options=options)
    app.add_middleware(HostCheck, options=options, clock=clock)
    app.add_middleware(PageCompression)
    app.add_middleware(SecurityHeaders, strict=_is_trusted(options))
    app.add_middleware(RequestTimes, guard=connections)
    _handle_errors(app, [route for page in pages for route in page.router.routes])
    return app


@cache
def _guarded_routes() -> tuple[BaseRoute, ...]:
    """Return the routes of all pages, each behind the guard.

    They know nothing of a data folder: every application of a process shares them, for FastAPI
    takes a tenth of a second to work out what they accept and answer.
    """
    together = APIRouter(dependencies=[Depends(_guard_request)], responses=_REFUSALS)
    for page in find_pages(routes):
        together.include_router(page.router)
    return tuple(together.routes)


@cache
def _permissions() -> dict[str, Permission]:
    """Return what reading each address needs, after checking that every route says who may."""
    served = [route for page in find_pages(routes) for route in page.router.routes]
    check_declared(served, is_public)
    return permissions_of(served)


def _is_trusted(options: DashboardOptions) -> bool:
    """Tell whether browsers may be told to ask by HTTPS only: never with a certificate of its own,
    which they could then not be persuaded to take.
    """
    if options.certificate is None or options.key is None:
        return False
    return is_trusted(options.certificate, options.key)


async def _guard_request(request: Request) -> None:
    """Check where a request comes from and who sends it; for a public page without a thread, of
    which there are few.
    """
    require_same_origin(request)
    if not is_public(request.url.path):
        await run_in_threadpool(require_login, request)


def _handle_errors(app: FastAPI, known: Sequence[BaseRoute]) -> None:
    """Turn every error into a page for people or JSON for programs, never a traceback."""

    @app.exception_handler(LoginNeededError)
    def login_needed(request: Request, error: LoginNeededError) -> Response:
        if _is_api(request):
            return JSONResponse({"detail": gettext("Log in first.")}, 401)
        return RedirectResponse(error.location, 303)

    @app.exception_handler(PasswordChangeNeededError)
    def password_needed(request: Request, error: PasswordChangeNeededError) -> Response:  # noqa: ARG001 - says it all
        if _is_api(request):
            return JSONResponse({"detail": gettext("Choose a password of your own first.")}, 403)
        return RedirectResponse("/account", 303)

    @app.exception_handler(HTTPException)
    def http_error(request: Request, error: HTTPException) -> Response:
        if error.status_code == 404:
            text = gettext("There is nothing at this address.")
        else:
            text = str(error.detail)
        response = _problem(request, error.status_code, text)
        response.headers.update(error.headers or {})
        if error.status_code == 405:
            response.headers["Allow"] = ", ".join(_methods_at(known, request))
        return response

    @app.exception_handler(RequestValidationError)
    def bad_value(request: Request, error: RequestValidationError) -> Response:
        return _problem(request, 422, "; ".join(_describe(detail) for detail in error.errors()))

    @app.exception_handler(AffectEdgeError)
    def known_error(request: Request, error: AffectEdgeError) -> Response:
        if isinstance(error, StoreError):
            log.error("the store refused: %s", error)
        response = _problem(request, _status_of(error), said_of(error))
        if isinstance(error, BusyError):
            response.headers["Retry-After"] = "2"
        return response

    @app.exception_handler(Exception)
    def unknown_error(request: Request, error: Exception) -> Response:  # noqa: ARG001 - logged by the server
        with speaking(language_of(request)):  # this answer passes by the middleware
            response = _problem(
                request,
                500,
                gettext(
                    "See the dashboard's log. Reload the page; if the error stays, restart the "
                    "dashboard."
                ),
            )
        response.headers.update(HEADERS)
        return response


def _methods_at(known: Iterable[BaseRoute], request: Request) -> list[str]:
    """Return what may be done at the address of a request, by all its routes together."""
    methods: set[str] = set()
    for route in known:
        if isinstance(route, Route) and route.path_regex.match(request.url.path):
            methods.update(route.methods or ())
    return sorted(methods)


def _status_of(error: AffectEdgeError) -> int:
    match error:
        case StoreError() | BusyError() | ModelError():
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


def _is_api(request: Request) -> bool:
    return request.url.path.startswith("/api/")


def _problem(request: Request, status: int, text: str) -> Response:
    if _is_api(request):
        return JSONResponse({"detail": text}, status)
    title = gettext(_TITLES.get(status, N_("Request failed")))
    return render(request, "error.html", status, title=title, text=text)
