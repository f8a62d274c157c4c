"""The own passkeys: making one, naming it, removing it."""

from __future__ import annotations

import hashlib
import logging
from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response
from starlette.concurrency import run_in_threadpool

from dashboard.accounts.passkeys.ceremonies import (
    ANSWER_MAX,
    Answer,
    RelyingParty,
    creation_options,
)
from dashboard.accounts.passkeys.passkeys import NAME_MAX
from dashboard.accounts.passwords import AccountError
from dashboard.accounts.roles import Permission
from dashboard.languages.names import said_of
from dashboard.web.guards.permissions import needs
from dashboard.web.guards.relying_party import relying_party
from dashboard.web.guards.short_lived import ENROLMENT_S
from dashboard.web.login_guard import AccountDep, login_token
from dashboard.web.rendering import render
from dashboard.web.routes.account import PAGE as ACCOUNT
from dashboard.web.routes.account import Notices, account_answer
from dashboard.web.routes.second_factor.enrolment import PasswordField, with_password
from dashboard.web.services import Services, ServicesDep
from edge_agent.core.errors import AffectEdgeError
from edge_agent.core.texts import N_

log = logging.getLogger(__name__)
router = APIRouter(include_in_schema=False, dependencies=[needs(Permission.OWN)])
PAGE = f"{ACCOUNT}/passkeys"
SECTION = f"{ACCOUNT}#passkeys"

NO_NAME = N_(
    "Browsers know passkeys only under a host name and with a certificate that they trust, not "
    "under an address. Open the dashboard by its name."
)
AnswerField = Annotated[str, Form(max_length=ANSWER_MAX)]
NameField = Annotated[str, Form(max_length=1000)]


@router.post(PAGE)
async def begin(
    request: Request, services: ServicesDep, account: AccountDep, password: PasswordField = ""
) -> Response:
    """Show the form with which a passkey is made, to who knows the password."""
    party = relying_party(request, services.options)
    if party is None:
        notices = Notices(factor=NO_NAME)
        return await run_in_threadpool(account_answer, request, services, account, notices, 400)

    def show() -> Response:
        challenge = services.challenges.new(_purpose(request, account), ENROLMENT_S)
        kept = services.passkeys.of(account)
        return render(
            request,
            "passkey.html",
            options=creation_options(account, party, challenge, kept),
            host=party.host,
            name_max=NAME_MAX,
        )

    return await with_password(request, services, account, password, show)


@router.post(f"{PAGE}/add")
def add(
    request: Request,
    services: ServicesDep,
    account: AccountDep,
    answer: AnswerField = "",
    name: NameField = "",
) -> Response:
    """Keep what the browser has made; show the recovery codes where it is the first factor."""
    party = relying_party(request, services.options)
    try:
        if party is None:
            raise AccountError(NO_NAME)
        codes = _added(request, services, account, party, answer, name)
    except AffectEdgeError as error:
        return account_answer(request, services, account, Notices(factor=said_of(error)), 400)
    log.info("a passkey was made")
    if codes:
        return render(request, "recovery_codes.html", codes=codes, is_for_passkey=True)
    return RedirectResponse(SECTION, 303)


@router.post(f"{PAGE}/{{number}}/name")
def rename(
    request: Request, services: ServicesDep, account: AccountDep, number: str, name: NameField = ""
) -> Response:
    """Give a passkey another name."""
    try:
        services.passkeys.rename(account, number, name)
    except AccountError as error:
        return account_answer(request, services, account, Notices(factor=said_of(error)), 400)
    return RedirectResponse(SECTION, 303)


@router.post(f"{PAGE}/{{number}}/remove")
async def remove(
    request: Request,
    services: ServicesDep,
    account: AccountDep,
    number: str,
    password: PasswordField = "",
) -> Response:
    """Remove a passkey; all other logins of who is logged in end."""

    def take_away() -> Response:
        services.passkeys.remove(account, number, login_token(request))
        log.info("a passkey was removed")
        return RedirectResponse(SECTION, 303)

    return await with_password(request, services, account, password, take_away)


def _added(
    request: Request,
    services: Services,
    account: AccountDep,
    party: RelyingParty,
    answer: str,
    name: str,
) -> list[str]:
    read = Answer.read(answer)
    services.challenges.use_up(read.challenge, _purpose(request, account))
    return services.passkeys.add(account, read, party, name, login_token(request))


def _purpose(request: Request, account: AccountDep) -> str:
    """Return what a challenge is for that this login makes a passkey with, and no other."""
    login = hashlib.sha256(login_token(request).encode()).hexdigest()
    return f"make {account.id} {login}"
