"""The web application: routes, guards and errors put together."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from functools import cache
from typing import Any

from fastapi import APIRouter, Depends, FastAPI, Request
from starlette.concurrency import run_in_threadpool
from starlette.routing import BaseRoute

from dashboard.accounts.accounts import Accounts
from dashboard.accounts.attempts import group_of
from dashboard.accounts.audit import AuditTrail
from dashboard.accounts.carers import Carers
from dashboard.accounts.letters import Letters
from dashboard.accounts.logins import Logins
from dashboard.accounts.members import Members
from dashboard.accounts.notes import Notes
from dashboard.accounts.passwords import check_new_password
from dashboard.accounts.roles import Permission
from dashboard.accounts.second_factors import SecondFactors
from dashboard.computing.processes import Computing, asker
from dashboard.device_files.reader import DeviceFileReader
from dashboard.export_jobs import ExportJobs
from dashboard.fleet.source import open_copies, open_fleet
from dashboard.picture.reader import PictureReader
from dashboard.protocols.runner import ProtocolRunner
from dashboard.web import routes
from dashboard.web.agent_feed import LiveFanOut, Previews
from dashboard.web.alert_watching import DashboardAlerts
from dashboard.web.authentication import current_account, is_public, key_of, require_login
from dashboard.web.delivery import STATIC, KeptFiles, PageCompression
from dashboard.web.erased import ErasedPeople
from dashboard.web.errors import describe, handle_errors
from dashboard.web.first_steps import FirstStepsProgress
from dashboard.web.guards.addresses import address_of
from dashboard.web.guards.connections import ConnectionGuard, RequestTimes
from dashboard.web.guards.fair_share import FairShare
from dashboard.web.guards.hosts import HostCheck, is_trusted
from dashboard.web.guards.login_throttle import LoginThrottle
from dashboard.web.guards.permissions import (
    TokenGate,
    ViewLog,
    check_declared,
    permissions_of,
    token_of,
)
from dashboard.web.guards.security import BodyLimit, SecurityHeaders, require_same_origin
from dashboard.web.letter_sending import LetterSender
from dashboard.web.options import DashboardOptions
from dashboard.web.rendering import Languages, find_pages, make_templates, navigation_of
from dashboard.web.services import (
    ASKED_S,
    ENROLMENT_S,
    FILE_S,
    FILES_KEPT,
    HALF_LOGIN_S,
    Once,
    Services,
    ShortLived,
    sweep,
)
from edge_agent import __version__
from edge_agent.appliance.gate_commands import gate_commands
from edge_agent.core.clock import boot_seconds
from edge_agent.core.errors import StoreError
from edge_agent.timeline.database.upgrade import migrate
from edge_agent.timeline.gate.client import gate_of
from edge_agent.timeline.read.reader import Reader
from edge_agent.timeline.study.protocol_runs import ProtocolRuns
from edge_agent.timeline.study.sessions import Study

log = logging.getLogger(__name__)


def create_app(
    options: DashboardOptions,
    clock: Callable[[], float] = boot_seconds,
    computing: Computing | None = None,
) -> FastAPI:
    """Return the application over one data folder; makes or upgrades the database there.

    Args:
        options: what the dashboard is told.
        clock: seconds, never going back; the limits of attempts and requests are counted by it.
        computing: where statistics are computed; ``None``: in processes of this application.

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
    # With two users the dashboard may not write the database file; agent and gate, which may,
    # make and upgrade it.
    if gate_of(options.database) is None:
        migrate(options.database)
    app = FastAPI(
        title="Affect Edge",
        version=__version__,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,  # served by our own route, which needs a login
    )
    services = _services(options, clock, computing or Computing())
    app.state.services = services
    app.state.unread_proxies = set()  # those whose X-Forwarded-For was no address, each logged once
    pages = find_pages(routes)
    app.state.templates = make_templates(navigation_of(pages))
    app.routes.extend(_guarded_routes())
    app.state.permissions = _permissions()
    app.openapi = _description  # type: ignore[method-assign]  # FastAPI's way to extend it
    app.mount("/static", KeptFiles(directory=STATIC), name="static")
    # Starlette puts each further middleware around those before, so the last one here sees a
    # request first. The times of a connection count from its first byte, and the security
    # headers must also stand on what the host check or the body limit refuses.
    app.add_middleware(
        FairShare,
        secret_of=key_of,
        address_of=lambda request: group_of(address_of(request)),
        known=services.known_secrets,
    )
    app.add_middleware(BodyLimit)
    app.add_middleware(Languages, options=options)
    app.add_middleware(HostCheck, options=options, clock=clock)
    app.add_middleware(PageCompression)
    app.add_middleware(SecurityHeaders, strict=_is_trusted(options))
    app.add_middleware(RequestTimes, guard=services.connections)
    handle_errors(app, [route for page in pages for route in page.router.routes])
    return app


def _services(
    options: DashboardOptions, clock: Callable[[], float], computing: Computing
) -> Services:
    """Build the services of the routes, over a migrated database."""
    commands = gate_commands(
        options.database,
        purposes=options.purposes,
        outbox_rows=options.outbox_rows,
        keep_days=options.keep_days,
        vision=options.vision,
    )
    protocol_runner = ProtocolRunner(ProtocolRuns(options.database), commands)
    # Before a request is answered: a participant's page that reloads after a restart must find
    # its protocol again.
    protocol_runner.resume_saved()
    sweep(options)
    stopping = asyncio.Event()
    exports = ExportJobs(options.database, options.device, options.told, options.models, computing)
    fleet = open_fleet(options.source)
    letters = Letters(options.database)
    notes = Notes(options.database)

    def check_new(password: str, name: str) -> None:
        computing.call(check_new_password, password, name)

    return Services(
        options=options,
        accounts=Accounts(options.database, options.session_hours, options.idle_minutes, check_new),
        members=Members(options.database, check_new),
        carers=Carers(options.database),
        letters=letters,
        letter_sender=LetterSender(options, letters, computing, commands),
        erased=ErasedPeople(options.database, commands),
        logins=Logins(options.database, options.idle_minutes),
        second_factors=SecondFactors(options.database),
        half_logins=ShortLived(clock, HALF_LOGIN_S),
        enrolments=ShortLived(clock, ENROLMENT_S),
        audit=AuditTrail(options.database),
        views=ViewLog(notes, clock),
        connections=ConnectionGuard(clock),
        login_throttle=LoginThrottle(options.database, clock),
        tokens=TokenGate(options.database, clock),
        reader=Reader(options.database),
        files=ShortLived(clock, FILE_S, FILES_KEPT),
        asked_consents=ShortLived(clock, ASKED_S),
        device_files=DeviceFileReader(),
        study=Study(options.database),
        commands=commands,
        notes=notes,
        protocol_runner=protocol_runner,
        exports=exports,
        pictures=PictureReader(options.vision),
        computing=computing,
        live=LiveFanOut(options.live_socket, stopping),
        previews=Previews(options.preview_socket, stopping),
        first_steps=FirstStepsProgress(options.database),
        alerts=DashboardAlerts(options.alerts, commands, options.live_socket),
        once=Once(),
        fleet=fleet,
        copies=open_copies(fleet, options.data, exports.forget_all),
        started_s=boot_seconds(),
        stopping=stopping,
    )


@cache
def _guarded_routes() -> tuple[BaseRoute, ...]:
    """Return the routes of all pages, each behind the guard.

    They do not depend on a data folder, so all applications of a process share them: FastAPI
    takes a tenth of a second to build them.
    """
    # A dependency of the router and not a middleware: FastAPI resolves it before those of a
    # route, and ``request.scope["route"]`` is known by then. It cannot be forgotten at a new
    # route.
    together = APIRouter(dependencies=[Depends(_guard_request)])
    for page in find_pages(routes):
        together.include_router(page.router)
    return tuple(together.routes)


@cache
def _description() -> dict[str, Any]:
    """Return the description of the API, which is the same for every data folder."""
    return describe(route for page in find_pages(routes) for route in page.router.routes)


@cache
def _permissions() -> dict[str, Permission]:
    """Return the permission to read each address, after checking that every route declares one."""
    served = [route for page in find_pages(routes) for route in page.router.routes]
    check_declared(served, is_public)
    return permissions_of(served)


def _is_trusted(options: DashboardOptions) -> bool:
    """Tell whether to send HSTS, which only a certificate that the system trusts allows."""
    # RFC 6797, section 12.1: under HSTS a browser offers its user no way past a certificate
    # error. With the self-signed certificate of the installation that would lock everybody out
    # for a year.
    if options.certificate is None or options.key is None:
        return False
    return is_trusted(options.certificate, options.key)


async def _guard_request(request: Request) -> None:
    """Check the origin and the login of a request."""
    require_same_origin(request)
    # The lookup of a login reads the database and so runs in a thread. Public pages need none: a
    # flood of requests to the login page must not take the few threads from people who are
    # logged in.
    asker.set(f"address {group_of(address_of(request))}")
    if not is_public(request.url.path):
        await run_in_threadpool(require_login, request)
        # However many tokens an account has made, it has one share.
        token = token_of(request)
        name = current_account(request).name if token is None else token.created_by
        asker.set(f"account {name}")
