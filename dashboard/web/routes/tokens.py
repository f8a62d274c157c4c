"""The tokens with which programs use the API."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response
from pydantic import BaseModel, Field

from dashboard.accounts.roles import (
    MAY,
    SCOPES_ABOUT,
    TOKEN_ROLES,
    Account,
    Permission,
    Role,
    Scope,
)
from dashboard.accounts.tokens import NAME_MAX, NewToken
from dashboard.web.authentication import AccountDep
from dashboard.web.forms import form_of
from dashboard.web.guards.permissions import needs
from dashboard.web.rendering import DEVICE, NavigationEntry, render
from dashboard.web.schemas import Number
from dashboard.web.services import Services, ServicesDep
from edge_agent.core.texts import N_

router = APIRouter(tags=["tokens"], dependencies=[needs(Permission.ADMINISTER)])
PAGE = "/tokens"
NAVIGATION = NavigationEntry(
    title=N_("Tokens"),
    path=PAGE,
    position=92,
    icon="M14.5 9.5a4.5 4.5 0 10-3.6 4.4L13 16h2v2h2v2h3v-3l-5.9-5.9a4.5 4.5 0 00.4-1.6zM8.5 9h.01",
    group=DEVICE,
)
DAYS = (30, 90, 365)
_TEXT_MAX = 200
_PROPOSED = NewToken("", frozenset({Scope.READ}), Role.VIEWER, DAYS[-1])


class TokenForm(BaseModel):
    """The form of a new token; 0 days: the token does not end by itself."""

    name: str = Field("", max_length=_TEXT_MAX)
    scope: list[Scope] = Field([], max_length=len(Scope))
    role: Role = Role.VIEWER
    days: int = 0

    def token(self) -> NewToken:
        """Return the token that is wanted."""
        return NewToken(self.name, frozenset(self.scope), self.role, self.days or None)


@router.get(PAGE, include_in_schema=False)
def tokens_page(request: Request, services: ServicesDep, account: AccountDep) -> Response:
    """Show all tokens, and the form to add one."""
    return _page(request, services, account)


@router.post(PAGE, include_in_schema=False, dependencies=[form_of(PAGE, TokenForm)])
def make_token(
    request: Request, services: ServicesDep, account: AccountDep, form: Annotated[TokenForm, Form()]
) -> Response:
    """Make a token and show its secret, this once."""
    secret = services.tokens.tokens.make(form.token(), account)
    sends_readings = Scope.READINGS in form.scope
    return _page(request, services, account, secret, sends_readings=sends_readings)


@router.post(f"{PAGE}/{{number}}/revoke", include_in_schema=False)
def revoke(services: ServicesDep, account: AccountDep, number: Number) -> Response:
    """End a token."""
    services.tokens.tokens.revoke(number, account.name)
    return RedirectResponse(PAGE, 303)


def _page(
    request: Request,
    services: Services,
    account: Account,
    secret: str = "",
    *,
    sends_readings: bool = False,
) -> Response:
    """Return the page; ``secret`` is that of a new token, which may send readings or not."""
    roles = [role for role in TOKEN_ROLES if MAY[role] <= MAY[account.role]]
    return render(
        request,
        "tokens.html",
        secret=secret,
        proposed=_PROPOSED,
        tokens=services.tokens.tokens.all(),
        scopes=SCOPES_ABOUT,
        roles=roles,
        days=DAYS,
        name_length=NAME_MAX,
        sends_readings=sends_readings,
        address=str(request.base_url).rstrip("/"),
    )
