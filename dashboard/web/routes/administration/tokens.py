"""The tokens of programs: who has one, what it may, and how one is made or revoked."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response
from pydantic import BaseModel, Field

from dashboard.accounts.account_rows import Account
from dashboard.accounts.passwords import AccountError
from dashboard.accounts.roles import Permission, Role
from dashboard.accounts.scopes import SCOPES_ABOUT, Scope
from dashboard.accounts.tokens import NAME_MAX, NewToken
from dashboard.languages.names import said_of
from dashboard.web.guards.permissions import needs
from dashboard.web.login_guard import AccountDep
from dashboard.web.pages import NavigationEntry
from dashboard.web.rendering import render
from dashboard.web.services import Services, ServicesDep
from edge_agent.core.texts import N_

router = APIRouter(tags=["tokens"], dependencies=[needs(Permission.ADMINISTER)])
PAGE = "/tokens"
NAVIGATION = NavigationEntry(
    title=N_("Tokens"),
    path=PAGE,
    position=92,
    icon="M14.5 9.5a4.5 4.5 0 10-3.6 4.4L13 16h2v2h2v2h3v-3l-5.9-5.9a4.5 4.5 0 00.4-1.6zM8.5 9h.01",
)
DAYS = (30, 90, 365)
_TEXT_MAX = 200
_NEW = NewToken("", frozenset({Scope.READ}), Role.VIEWER, DAYS[-1])


@dataclass(frozen=True, slots=True)
class Notices:
    """What the page says of the request before it.

    Attributes:
        problem: why no token was made.
        secret: of a new token, shown this once.
        new: the form as it was filled in.
    """

    problem: str = ""
    secret: str = ""
    new: NewToken = field(default_factory=lambda: _NEW)


@router.get(PAGE, include_in_schema=False)
def tokens_page(request: Request, services: ServicesDep, account: AccountDep) -> Response:
    """Show all tokens, and the form for another."""
    return _page(request, services, account, Notices())


class TokenForm(BaseModel):
    """The form of the page; 0 days: the token does not end by itself."""

    name: str = Field("", max_length=_TEXT_MAX)
    scope: list[Scope] = Field([], max_length=len(Scope))
    role: Role = Role.VIEWER
    days: int = 0


@router.post(PAGE, include_in_schema=False)
def make(
    request: Request,
    services: ServicesDep,
    account: AccountDep,
    form: Annotated[TokenForm, Form()],
) -> Response:
    """Make a token and show its secret, this once."""
    new = NewToken(form.name, frozenset(form.scope), form.role, form.days or None)
    try:
        secret = services.tokens.tokens.make(new, account)
    except AccountError as error:
        return _page(request, services, account, Notices(problem=said_of(error), new=new))
    return _page(request, services, account, Notices(secret=secret, new=new))


@router.post(f"{PAGE}/{{number}}/revoke", include_in_schema=False)
def revoke(services: ServicesDep, account: AccountDep, number: int) -> Response:
    """End a token."""
    services.tokens.tokens.revoke(min(number, 2**62), account.name)
    return RedirectResponse(PAGE, 303)


def _page(request: Request, services: Services, account: Account, notices: Notices) -> Response:
    roles = list(Role)
    return render(
        request,
        "tokens.html",
        422 if notices.problem else 200,
        notices=notices,
        new=_NEW if notices.secret else notices.new,
        tokens=services.tokens.tokens.all(),
        scopes=SCOPES_ABOUT,
        roles=roles[: roles.index(account.role) + 1],
        days=DAYS,
        name_length=NAME_MAX,
        sends_readings=Scope.READINGS in notices.new.scopes,
        address=str(request.base_url).rstrip("/"),
    )
