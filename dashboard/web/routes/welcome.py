"""The link by which somebody with a new account chooses a password."""

from __future__ import annotations

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from starlette.concurrency import run_in_threadpool

from dashboard.accounts.members import LINK_PATH
from dashboard.accounts.passwords import PASSWORD_MAX, PASSWORD_MIN, Accepted, AccountError
from dashboard.accounts.roles import ABOUT, Permission
from dashboard.languages.current import gettext
from dashboard.languages.names import said_of
from dashboard.web.entering import TextField, checked_form, go_on, home_of
from dashboard.web.forms import NOTHING_REFUSED, Refused
from dashboard.web.guards.addresses import address_of
from dashboard.web.guards.login_throttle import Asker, refused_page
from dashboard.web.guards.permissions import needs
from dashboard.web.rendering import render
from dashboard.web.services import Services, ServicesDep
from edge_agent.core.errors import AffectEdgeError
from edge_agent.core.texts import N_

router = APIRouter(include_in_schema=False, dependencies=[needs(Permission.OPEN)])


@router.get(LINK_PATH)
def welcome(
    request: Request, services: ServicesDep, link: Annotated[str, Query(max_length=200)] = ""
) -> Response:
    """Show the form in which a password is chosen; looking does not spend the link.

    Nothing is hashed and nothing is counted here: a link is too long to be guessed.
    """
    return _welcome_page(request, services, link)


@router.post(LINK_PATH)
async def choose_password(
    request: Request,
    services: ServicesDep,
    link: TextField = "",
    new: TextField = "",
    again: TextField = "",
) -> Response:
    """Set the password, spend the link, and log in."""

    def accept() -> Accepted:
        if new != again:
            raise AccountError(N_("The two passwords differ. Nothing was changed."), field="again")
        return services.members.accept_new(link, new)

    page = partial(_welcome_page, request, services, link)
    good: str | Accepted = new
    # A wrong link is refused in its turn, where it counts, before anything is computed.
    if await run_in_threadpool(services.members.is_link, link):
        try:
            # Before its turn: it waits for a computation, for which no log-in must wait.
            good = await run_in_threadpool(accept)
        except AccountError as error:
            return await refused_page(page, error, 400)

    def choose() -> Response:
        account = services.members.redeem(link, good)
        return go_on(request, services, account, home_of(account))

    return await checked_form(Asker(address_of(request)), services, choose, page)


def _welcome_page(
    request: Request,
    services: Services,
    link: str,
    refused_by: AffectEdgeError | None = None,
    status: int = 200,
) -> Response:
    """Show the form, or why the link opens nothing."""
    try:
        account = services.members.holder_of(link)
    except AccountError as error:
        title = gettext("This link is not valid")
        return render(request, "error.html", max(status, 403), title=title, text=said_of(error))
    refused = NOTHING_REFUSED
    if refused_by:
        refused = Refused.by(request, refused_by, {"new": "", "again": ""}, {"password": "new"})
    return render(
        request,
        "welcome.html",
        status,
        refused=refused,
        name=account.name,
        role=account.role,
        about=ABOUT[account.role],
        link=link,
        least=PASSWORD_MIN,
        most=PASSWORD_MAX,
    )
