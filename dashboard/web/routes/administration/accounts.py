"""The accounts: who they are, what they may, and how one is added or removed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response
from pydantic import BaseModel, ConfigDict, Field

from dashboard.accounts.account_rows import NAME_MAX
from dashboard.accounts.members import LINK_HOURS
from dashboard.accounts.passwords import PASSWORD_MAX, PASSWORD_MIN, AccountError
from dashboard.accounts.roles import ABOUT, Permission, Role
from dashboard.languages.names import said_of
from dashboard.web.guards.permissions import needs
from dashboard.web.login_guard import AccountDep
from dashboard.web.pages import NavigationEntry
from dashboard.web.rendering import render
from dashboard.web.services import Services, ServicesDep
from edge_agent.core.texts import N_

router = APIRouter(tags=["accounts"], dependencies=[needs(Permission.ADMINISTER)])
NAVIGATION = NavigationEntry(
    title=N_("Accounts"),
    path="/accounts",
    position=90,
    icon="M9 11a4 4 0 100-8 4 4 0 000 8zM2 21a7 7 0 0114 0M16 3.5a4 4 0 010 7M18 14a7 7 0 014 7",
)
PAGE = "/accounts"

TextField = Annotated[str, Form(max_length=1000)]
RoleField = Annotated[Role, Form()]


class AccountModel(BaseModel):
    """An account."""

    model_config = ConfigDict(from_attributes=True)

    id: int = Field(description="Number of the account; never given to another.")
    name: str = Field(description="Name with which it logs in.")
    role: Role = Field(description="What it may do.")
    created_ms: int = Field(description="When it was made; ms since 1970, UTC.")
    used_ms: int | None = Field(description="When an open login was last used; null: no login.")
    disabled: bool = Field(description="It may not log in.")
    waits: bool = Field(description="Nobody has chosen a password with its one-time link yet.")
    must_change: bool = Field(description="The next login has to choose another password.")


@dataclass(frozen=True, slots=True)
class Notices:
    """What the page says of the request before it.

    Attributes:
        problem: why nothing was changed.
        link: a new one-time link, shown this once.
        link_of: whose it is.
        name: as typed, of an account that was not added.
    """

    problem: str = ""
    link: str = ""
    link_of: str = ""
    name: str = ""


@router.get(PAGE, include_in_schema=False)
def accounts_page(request: Request, services: ServicesDep) -> Response:
    """Show all accounts, and the form for another."""
    return _page(request, services, Notices())


@router.get("/api/v1/accounts", operation_id="list_accounts")
def get_accounts(services: ServicesDep) -> list[AccountModel]:
    """List all accounts by name."""
    return [AccountModel.model_validate(member) for member in services.members.all()]


@router.post(PAGE, include_in_schema=False)
def add(
    request: Request,
    services: ServicesDep,
    account: AccountDep,
    name: TextField = "",
    role: RoleField = Role.VIEWER,
    password: TextField = "",
) -> Response:
    """Add an account: with a first password, or with a link where none is given."""
    try:
        if password:
            services.members.add_with_password(name, role, password, account.name)
            return RedirectResponse(PAGE, 303)
        link = services.members.add_with_link(name, role, account.name)
    except AccountError as error:
        return _page(request, services, Notices(problem=said_of(error), name=name))
    return _page(request, services, Notices(link=_whole(request, link), link_of=name.strip()))


@router.post(f"{PAGE}/{{number}}/role", include_in_schema=False)
def change_role(
    request: Request, services: ServicesDep, account: AccountDep, number: int, role: RoleField
) -> Response:
    """Give an account another role."""
    return _changed(
        request, services, lambda: services.members.set_role(number, role, account.name)
    )


@router.post(f"{PAGE}/{{number}}/disable", include_in_schema=False)
def disable(request: Request, services: ServicesDep, account: AccountDep, number: int) -> Response:
    """Let an account log in no more."""
    return _changed(request, services, lambda: services.members.disable(number, account.name))


@router.post(f"{PAGE}/{{number}}/enable", include_in_schema=False)
def enable(request: Request, services: ServicesDep, account: AccountDep, number: int) -> Response:
    """Let a disabled account log in again."""
    return _changed(request, services, lambda: services.members.enable(number, account.name))


@router.post(f"{PAGE}/{{number}}/remove", include_in_schema=False)
def remove(request: Request, services: ServicesDep, account: AccountDep, number: int) -> Response:
    """Remove an account, and what was prepared for it."""
    try:
        services.members.remove(number, account.name)
    except AccountError as error:
        return _page(request, services, Notices(problem=said_of(error)))
    prepared = services.exports.of_account(number)
    if prepared is not None:
        services.exports.drop(prepared)
    return RedirectResponse(PAGE, 303)


@router.post(f"{PAGE}/{{number}}/reset", include_in_schema=False)
def reset(request: Request, services: ServicesDep, account: AccountDep, number: int) -> Response:
    """Take the password of an account away and show the link for a new one, this once."""
    try:
        link = services.members.reset(number, account.name)
    except AccountError as error:
        return _page(request, services, Notices(problem=said_of(error)))
    name = next(member.name for member in services.members.all() if member.id == number)
    return _page(request, services, Notices(link=_whole(request, link), link_of=name))


def _changed(request: Request, services: Services, change: Callable[[], None]) -> Response:
    """Change an account and lead back to the page, which else says why it was not changed."""
    try:
        change()
    except AccountError as error:
        return _page(request, services, Notices(problem=said_of(error)))
    return RedirectResponse(PAGE, 303)


def _page(request: Request, services: Services, notices: Notices) -> Response:
    return render(
        request,
        "accounts.html",
        422 if notices.problem else 200,
        notices=notices,
        members=services.members.all(),
        roles=[(role, ABOUT[role]) for role in Role],
        link_hours=LINK_HOURS,
        name_length=NAME_MAX,
        least=PASSWORD_MIN,
        most=PASSWORD_MAX,
    )


def _whole(request: Request, link: str) -> str:
    return f"{str(request.base_url).rstrip('/')}{link}"
