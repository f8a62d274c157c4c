"""The one-time link of an account: its owner chooses a password."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Query, Request
from fastapi.responses import Response
from starlette.concurrency import run_in_threadpool

from dashboard.accounts.members import LINK_PATH
from dashboard.accounts.passwords import PASSWORD_MAX, PASSWORD_MIN, AccountError
from dashboard.accounts.roles import ABOUT, Permission
from dashboard.languages.current import gettext
from dashboard.languages.names import said_of
from dashboard.web.attempt_limiter import address_of, with_wait
from dashboard.web.guards.login_gate import Asker, HeldUpError
from dashboard.web.guards.permissions import needs
from dashboard.web.rendering import render
from dashboard.web.routes.login import HOME, go_on
from dashboard.web.services import Services, ServicesDep
from edge_agent.core.texts import N_

router = APIRouter(include_in_schema=False, dependencies=[needs(Permission.OPEN)])
TextField = Annotated[str, Form(max_length=1000)]


@router.get(LINK_PATH)
async def welcome(
    request: Request,
    services: ServicesDep,
    link: Annotated[str, Query(max_length=200)] = "",
) -> Response:
    """Show the form in which a password is chosen; looking does not spend the link.

    Nothing is hashed and nothing is counted here: a link is too long to be guessed.
    """
    return await _answer(request, services, link)


@router.post(LINK_PATH)
async def choose_password(
    request: Request,
    services: ServicesDep,
    link: TextField = "",
    new: TextField = "",
    again: TextField = "",
) -> Response:
    """Set the password, spend the link, and log in."""

    def choose() -> Response:
        if new != again:
            raise AccountError(N_("The two passwords differ. Nothing was changed."))
        account = services.members.redeem(link, new)
        return go_on(request, services, account, HOME)

    try:
        return await services.gate.checked(Asker(address_of(request)), choose)
    except HeldUpError as error:
        return await _answer(request, services, link, said_of(error), error.status, error.wait)
    except AccountError as error:
        return await _answer(request, services, link, said_of(error), 400)


async def _answer(
    request: Request,
    services: Services,
    link: str,
    problem: str = "",
    status: int = 200,
    wait: int = 0,
) -> Response:
    """Show the form, or why the link opens nothing."""

    def page() -> Response:
        account = services.members.holder_of(link)
        return render(
            request,
            "welcome.html",
            status,
            name=account.name,
            role=account.role,
            about=ABOUT[account.role],
            link=link,
            problem=problem,
            least=PASSWORD_MIN,
            most=PASSWORD_MAX,
        )

    try:
        shown = await run_in_threadpool(page)
    except AccountError as error:
        title = gettext("This link opens nothing")
        shown = await run_in_threadpool(
            render, request, "error.html", max(status, 403), title=title, text=said_of(error)
        )
    return with_wait(shown, wait)
