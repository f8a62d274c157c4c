"""The accounts: who may log in to the dashboard, and in which role."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import RedirectResponse, Response
from pydantic import BaseModel, ConfigDict, Field

from dashboard.accounts.members import LINK_HOURS, Member
from dashboard.accounts.passwords import PASSWORD_MAX, PASSWORD_MIN
from dashboard.accounts.roles import ABOUT, NAME_MAX, TOKEN_ROLES, Permission, Role
from dashboard.web.authentication import AccountDep
from dashboard.web.forms import form_of
from dashboard.web.guards.permissions import needs
from dashboard.web.rendering import DEVICE, NavigationEntry, render
from dashboard.web.schemas import Number
from dashboard.web.services import ServicesDep
from dashboard.web.services import services as services_of
from edge_agent.core.texts import N_
from edge_agent.timeline.study.people import everybody

router = APIRouter(tags=["accounts"], dependencies=[needs(Permission.ADMINISTER)])
PAGE = "/accounts"
NAVIGATION = NavigationEntry(
    title=N_("Accounts"),
    path=PAGE,
    position=90,
    icon="M9 11a4 4 0 100-8 4 4 0 000 8zM2 21a7 7 0 0114 0M16 3.5a4 4 0 010 7M18 14a7 7 0 014 7",
    group=DEVICE,
)


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


def _members(services: ServicesDep) -> list[Member]:
    return services.members.all()


MembersDep = Annotated[list[Member], Depends(_members)]


@router.get("/api/v1/accounts", operation_id="list_accounts")
def get_accounts(members: MembersDep) -> list[AccountModel]:
    """List all accounts by name."""
    return [AccountModel.model_validate(member) for member in members]


@dataclass(frozen=True, slots=True)
class AccountLink:
    """A new one-time link, with which the owner of an account chooses a password; shown once.

    Attributes:
        address: the whole address.
        name: of the account.
    """

    address: str
    name: str

    @classmethod
    def to(cls, request: Request, path: str, name: str) -> AccountLink:
        """Return the link at the address by which this dashboard was asked."""
        return cls(f"{str(request.base_url).rstrip('/')}{path}", name)


class AccountForm(BaseModel):
    """A new account as a person typed it; without a password its owner gets a link."""

    name: str = Field("", max_length=1000)
    role: Role = Role.VIEWER
    password: str = Field("", max_length=1000)


AccountFormDep = Annotated[AccountForm, Form()]


@router.get(PAGE, include_in_schema=False)
def accounts_page(request: Request, members: MembersDep) -> Response:
    """Show all accounts, and the form to add one."""
    return _page(request, members)


@router.post(
    PAGE, include_in_schema=False, dependencies=[form_of(PAGE, AccountForm, secret=("password",))]
)
def add_account(
    request: Request, services: ServicesDep, account: AccountDep, form: AccountFormDep
) -> Response:
    """Add an account: with a first password, or with a link where none is given."""
    if form.password:
        services.members.add_with_password(form.name, form.role, form.password, account.name)
        return RedirectResponse(PAGE, 303)
    path = services.members.add_with_link(form.name, form.role, account.name)
    link = AccountLink.to(request, path, form.name.strip())
    return _page(request, services.members.all(), link)


@router.post(f"{PAGE}/{{number}}/role", include_in_schema=False, dependencies=[form_of(PAGE)])
def change_role(
    services: ServicesDep, account: AccountDep, number: Number, role: Annotated[Role, Form()]
) -> Response:
    """Change the role of an account."""
    services.members.set_role(number, role, account.name)
    return RedirectResponse(PAGE, 303)


@router.post(f"{PAGE}/{{number}}/people", include_in_schema=False, dependencies=[form_of(PAGE)])
def give_people(
    services: ServicesDep,
    account: AccountDep,
    number: Number,
    people: Annotated[list[str] | None, Form(max_length=1000)] = None,
) -> Response:
    """Give a carer the people whose weeks it may see, instead of those so far."""
    services.carers.give(number, people or [], account.name)
    return RedirectResponse(PAGE, 303)


@router.post(f"{PAGE}/{{number}}/disable", include_in_schema=False, dependencies=[form_of(PAGE)])
def disable(services: ServicesDep, account: AccountDep, number: Number) -> Response:
    """Disable an account: it can no longer log in."""
    services.members.disable(number, account.name)
    return RedirectResponse(PAGE, 303)


@router.post(f"{PAGE}/{{number}}/enable", include_in_schema=False, dependencies=[form_of(PAGE)])
def enable(services: ServicesDep, account: AccountDep, number: Number) -> Response:
    """Let a disabled account log in again."""
    services.members.enable(number, account.name)
    return RedirectResponse(PAGE, 303)


@router.post(f"{PAGE}/{{number}}/remove", include_in_schema=False, dependencies=[form_of(PAGE)])
def remove(services: ServicesDep, account: AccountDep, number: Number) -> Response:
    """Remove an account, and its prepared export."""
    services.members.remove(number, account.name)
    # An export belongs to its account, and nobody else could delete it now.
    prepared = services.exports.of_account(number)
    if prepared is not None:
        services.exports.drop(prepared)
    return RedirectResponse(PAGE, 303)


@router.post(f"{PAGE}/{{number}}/reset", include_in_schema=False, dependencies=[form_of(PAGE)])
def reset(request: Request, services: ServicesDep, account: AccountDep, number: Number) -> Response:
    """Delete the password of an account, and show once the link to set a new one."""
    path = services.members.reset(number, account.name)
    members = services.members.all()
    name = next(member.name for member in members if member.id == number)
    return _page(request, members, AccountLink.to(request, path, name))


def _page(request: Request, members: list[Member], link: AccountLink | None = None) -> Response:
    services = services_of(request)
    carers = [one for one in members if one.role is Role.CARER]
    lists = services.carers.lists() if carers else {}
    return render(
        request,
        "accounts.html",
        link=link,
        members=members,
        carers=carers,
        given={number: {one.code for one in own} for number, own in lists.items()},
        people=[one.code for one in everybody(services.options.database)] if carers else [],
        roles=[(role, ABOUT[role]) for role in (*TOKEN_ROLES, Role.CARER)],
        link_hours=LINK_HOURS,
        name_length=NAME_MAX,
        least=PASSWORD_MIN,
        most=PASSWORD_MAX,
    )
