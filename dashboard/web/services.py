"""What the routes share, and the FastAPI dependencies that hand it to them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Annotated, cast
from urllib.parse import quote

from fastapi import Depends, Request

from dashboard.accounts.accounts import Account, Accounts
from dashboard.protocols.runner import ProtocolRunner
from dashboard.web.attempt_limiter import AttemptLimiter
from dashboard.web.export_jobs import ExportJobs
from dashboard.web.ingest_state import IngestState
from dashboard.web.settings import DashboardOptions
from edge_agent.store.read.reader import Reader
from edge_agent.store.study.study import Study

LOGIN_COOKIE = "affect-edge-login"
# the last wants a token
PUBLIC_PATHS = frozenset({"/login", "/setup", "/healthz", "/favicon.ico", "/api/v1/vitals"})
# a participant's page is opened by the token in its address
PUBLIC_PREFIXES = ("/static/", "/participate/")


@dataclass(frozen=True, slots=True)
class Services:
    """Everything that lives as long as the dashboard.

    Attributes:
        options: the configuration.
        accounts: who may log in.
        attempts: counts logins and setup codes per address.
        reader: reads the timeline.
        study: writes participants, sessions and markers.
        ingest: where readings are handed in.
        protocol_runner: runs the protocol of the open session.
        exports: prepares what can be downloaded.
        stopping: set when the dashboard should end, so that open event streams close.
    """

    options: DashboardOptions
    accounts: Accounts
    attempts: AttemptLimiter
    reader: Reader
    study: Study
    ingest: IngestState
    protocol_runner: ProtocolRunner
    exports: ExportJobs
    stopping: asyncio.Event = field(default_factory=asyncio.Event)


class LoginNeededError(Exception):
    """Nobody is logged in; becomes 401 for programs and a redirect to the login page for people."""

    def __init__(self, location: str) -> None:
        super().__init__("login needed")
        self.location = location


def services(request: Request) -> Services:
    """Return what the application was made with."""
    return cast("Services", request.app.state.services)


def account_of(request: Request) -> Account | None:
    """Return who is logged in, looked up once in a request."""
    if not hasattr(request.state, "account"):
        token = request.cookies.get(LOGIN_COOKIE)
        request.state.account = services(request).accounts.of_token(token) if token else None
    return cast("Account | None", request.state.account)


def require_login(request: Request) -> None:
    """Refuse every route but the public ones to those who are not logged in.

    A dependency of the whole application.

    Raises:
        LoginNeededError: with the address of the login page, which leads back here.
    """
    path = request.url.path
    if path in PUBLIC_PATHS or path.startswith(PUBLIC_PREFIXES) or account_of(request) is not None:
        return
    if request.method == "GET":
        back = path + (f"?{request.url.query}" if request.url.query else "")
    else:
        back = "/"
    raise LoginNeededError("/login" if back == "/" else f"/login?next={quote(back)}")


def current_account(request: Request) -> Account:
    """Return who is logged in.

    Raises:
        LoginNeededError: nobody is.
    """
    account = account_of(request)
    if account is None:
        raise LoginNeededError("/login")
    return account


def _options(request: Request) -> DashboardOptions:
    return services(request).options


def _accounts(request: Request) -> Accounts:
    return services(request).accounts


def _reader(request: Request) -> Reader:
    return services(request).reader


def _study(request: Request) -> Study:
    return services(request).study


def _protocol_runner(request: Request) -> ProtocolRunner:
    return services(request).protocol_runner


ServicesDep = Annotated[Services, Depends(services)]
AccountDep = Annotated[Account, Depends(current_account)]
OptionsDep = Annotated[DashboardOptions, Depends(_options)]
AccountsDep = Annotated[Accounts, Depends(_accounts)]
ReaderDep = Annotated[Reader, Depends(_reader)]
StudyDep = Annotated[Study, Depends(_study)]
ProtocolRunnerDep = Annotated[ProtocolRunner, Depends(_protocol_runner)]
