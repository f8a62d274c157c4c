"""The pages of an administrator: accounts, tokens of programs, and the audit trail."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Form, Query, Request
from fastapi.responses import RedirectResponse, Response, StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from dashboard.accounts.audit import AuditEntry, AuditFilter
from dashboard.accounts.members import LINK_HOURS
from dashboard.accounts.passwords import PASSWORD_MAX, PASSWORD_MIN, AccountError
from dashboard.accounts.roles import ABOUT, NAME_MAX, SCOPES_ABOUT, Account, Permission, Role, Scope
from dashboard.accounts.tokens import NAME_MAX as TOKEN_NAME_MAX
from dashboard.accounts.tokens import NewToken
from dashboard.languages.names import words
from dashboard.web.forms import NOTHING_REFUSED, Refused
from dashboard.web.guards.permissions import needs
from dashboard.web.login import AccountDep
from dashboard.web.rendering import DEVICE, NavigationEntry, render
from dashboard.web.schemas import Moment, Number, PageNumber, given
from dashboard.web.services import Services, ServicesDep
from edge_agent.core.clock import iso_utc
from edge_agent.core.texts import N_
from edge_agent.store.write.audit import SHOWN, Chain

router = APIRouter(tags=["accounts"], dependencies=[needs(Permission.ADMINISTER)])
NAVIGATION = NavigationEntry(
    title=N_("Accounts"),
    path="/accounts",
    position=90,
    icon="M9 11a4 4 0 100-8 4 4 0 000 8zM2 21a7 7 0 0114 0M16 3.5a4 4 0 010 7M18 14a7 7 0 014 7",
    group=DEVICE,
)
PAGE = "/accounts"

TextField = Annotated[str, Form(max_length=1000)]
RoleField = Annotated[Role, Form()]
TOKENS_PAGE = "/tokens"
TOKENS_NAVIGATION = NavigationEntry(
    title=N_("Tokens"),
    path=TOKENS_PAGE,
    position=92,
    icon="M14.5 9.5a4.5 4.5 0 10-3.6 4.4L13 16h2v2h2v2h3v-3l-5.9-5.9a4.5 4.5 0 00.4-1.6zM8.5 9h.01",
    group=DEVICE,
)
DAYS = (30, 90, 365)
_TEXT_MAX = 200
_NEW = NewToken("", frozenset({Scope.READ}), Role.VIEWER, DAYS[-1])
AUDIT_NAVIGATION = NavigationEntry(
    N_("Audit"), "/audit", 95, "M9 3h6v3H9zM7 4H5v17h14V4h-2M8.5 13l2.5 2.5 4.5-4.5", group=DEVICE
)
AUDIT_PAGE = "/audit"
PAGE_LINES = 100
_PORTION = 500
_COLUMNS = ("line", "at", "at_ms", "actor", "action", "detail", "seal")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


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
    """The messages on the accounts page about the previous request.

    Attributes:
        refused: the form that changed nothing.
        link: a new one-time link, shown this once.
        link_of: whose it is.
    """

    refused: Refused = NOTHING_REFUSED
    link: str = ""
    link_of: str = ""


@router.get(PAGE, include_in_schema=False)
def accounts_page(request: Request, services: ServicesDep) -> Response:
    """Show all accounts, and the form to add one."""
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
        typed = {"name": name, "role": role, "password": ""}
        return _page(request, services, Notices(Refused.by(request, error, typed)))
    return _page(request, services, Notices(link=_whole(request, link), link_of=name.strip()))


@router.post(f"{PAGE}/{{number}}/role", include_in_schema=False)
def change_role(
    request: Request, services: ServicesDep, account: AccountDep, number: Number, role: RoleField
) -> Response:
    """Change the role of an account."""
    return _changed(
        request, services, lambda: services.members.set_role(number, role, account.name)
    )


@router.post(f"{PAGE}/{{number}}/disable", include_in_schema=False)
def disable(
    request: Request, services: ServicesDep, account: AccountDep, number: Number
) -> Response:
    """Disable an account: it can no longer log in."""
    return _changed(request, services, lambda: services.members.disable(number, account.name))


@router.post(f"{PAGE}/{{number}}/enable", include_in_schema=False)
def enable(
    request: Request, services: ServicesDep, account: AccountDep, number: Number
) -> Response:
    """Let a disabled account log in again."""
    return _changed(request, services, lambda: services.members.enable(number, account.name))


@router.post(f"{PAGE}/{{number}}/remove", include_in_schema=False)
def remove(
    request: Request, services: ServicesDep, account: AccountDep, number: Number
) -> Response:
    """Remove an account, and its prepared export."""

    def end() -> None:
        services.members.remove(number, account.name)
        # An export belongs to its account, and nobody else could delete it now.
        prepared = services.exports.of_account(number)
        if prepared is not None:
            services.exports.drop(prepared)

    return _changed(request, services, end)


@router.post(f"{PAGE}/{{number}}/reset", include_in_schema=False)
def reset(request: Request, services: ServicesDep, account: AccountDep, number: Number) -> Response:
    """Delete the password of an account, and show once the link to set a new one."""
    try:
        link = services.members.reset(number, account.name)
    except AccountError as error:
        return _page(request, services, Notices(Refused.by(request, error, {})))
    name = next(member.name for member in services.members.all() if member.id == number)
    return _page(request, services, Notices(link=_whole(request, link), link_of=name))


def _changed(request: Request, services: Services, change: Callable[[], None]) -> Response:
    """Change an account and redirect to its page, or show the page with the error."""
    try:
        change()
    except AccountError as error:
        return _page(request, services, Notices(Refused.by(request, error, {})))
    return RedirectResponse(PAGE, 303)


def _page(request: Request, services: Services, notices: Notices) -> Response:
    return render(
        request,
        "accounts.html",
        422 if notices.refused.action else 200,
        notices=notices,
        refused=notices.refused,
        members=services.members.all(),
        roles=[(role, ABOUT[role]) for role in Role],
        link_hours=LINK_HOURS,
        name_length=NAME_MAX,
        least=PASSWORD_MIN,
        most=PASSWORD_MAX,
    )


def _whole(request: Request, link: str) -> str:
    return f"{str(request.base_url).rstrip('/')}{link}"


tokens_router = APIRouter(tags=["tokens"], dependencies=[needs(Permission.ADMINISTER)])


@dataclass(frozen=True, slots=True)
class TokenNotices:
    """The messages on the tokens page about the previous request.

    Attributes:
        refused: the form of which no token was made.
        secret: of a new token, shown this once.
        new: the form as it was filled in.
    """

    refused: Refused = NOTHING_REFUSED
    secret: str = ""
    new: NewToken = field(default_factory=lambda: _NEW)


@tokens_router.get(TOKENS_PAGE, include_in_schema=False)
def tokens_page(request: Request, services: ServicesDep, account: AccountDep) -> Response:
    """Show all tokens, and the form to add one."""
    return _tokens_page(request, services, account, TokenNotices())


class TokenForm(BaseModel):
    """The form of the page; 0 days: the token does not end by itself."""

    name: str = Field("", max_length=_TEXT_MAX)
    scope: list[Scope] = Field([], max_length=len(Scope))
    role: Role = Role.VIEWER
    days: int = 0


@tokens_router.post(TOKENS_PAGE, include_in_schema=False)
def make(
    request: Request, services: ServicesDep, account: AccountDep, form: Annotated[TokenForm, Form()]
) -> Response:
    """Make a token and show its secret, this once."""
    new = NewToken(form.name, frozenset(form.scope), form.role, form.days or None)
    try:
        secret = services.tokens.tokens.make(new, account)
    except AccountError as error:
        refused = Refused.by(request, error, form.model_dump())
        return _tokens_page(request, services, account, TokenNotices(refused, new=new))
    return _tokens_page(request, services, account, TokenNotices(secret=secret, new=new))


@tokens_router.post(f"{TOKENS_PAGE}/{{number}}/revoke", include_in_schema=False)
def revoke(services: ServicesDep, account: AccountDep, number: Number) -> Response:
    """End a token."""
    services.tokens.tokens.revoke(number, account.name)
    return RedirectResponse(TOKENS_PAGE, 303)


def _tokens_page(
    request: Request, services: Services, account: Account, notices: TokenNotices
) -> Response:
    roles = list(Role)
    return render(
        request,
        "tokens.html",
        422 if notices.refused.action else 200,
        notices=notices,
        refused=notices.refused,
        new=_NEW if notices.secret else notices.new,
        tokens=services.tokens.tokens.all(),
        scopes=SCOPES_ABOUT,
        roles=roles[: roles.index(account.role) + 1],
        days=DAYS,
        name_length=TOKEN_NAME_MAX,
        sends_readings=Scope.READINGS in notices.new.scopes,
        address=str(request.base_url).rstrip("/"),
    )


audit_router = APIRouter(tags=["audit"], dependencies=[needs(Permission.ADMINISTER)])

Word = Annotated[str, Query(max_length=100)]


class AuditLineModel(BaseModel):
    """A line of the audit trail."""

    model_config = ConfigDict(from_attributes=True)

    id: int = Field(description="Its number.")
    at_ms: int = Field(description="When; ms since 1970, UTC.")
    actor: str = Field(description="Who: an account, appliance, or command line.")
    action: str = Field(description="What was done.")
    detail: str = Field(description="To what.")
    seal: str = Field(description="Over this line and the seal of the one before it.")


class AuditModel(BaseModel):
    """A page of the audit trail, and whether somebody changed it."""

    matching: int = Field(description="How many lines are wanted.")
    lines: list[AuditLineModel] = Field(description="Those of this page, the newest first.")
    head: str = Field(description="Seal of the newest line; empty: none was sealed yet.")
    faults: list[str] = Field(description="Lines that were changed or removed; empty: none.")


def _wanted(
    start: Moment = None, end: Moment = None, actor: Word = "", action: Word = ""
) -> AuditFilter:
    return AuditFilter(start, end, actor, action)


FilterDep = Annotated[AuditFilter, Depends(_wanted)]


@audit_router.get(AUDIT_PAGE, include_in_schema=False)
def audit_page(
    request: Request, services: ServicesDep, wanted: FilterDep, page: PageNumber = 1
) -> Response:
    """Show the lines that are wanted, and whether the trail is whole."""
    matching, lines = services.audit.page(wanted, PAGE_LINES, page)
    actors, actions = services.audit.names()
    chosen = _chosen(wanted)
    return render(
        request,
        "audit.html",
        lines=lines,
        matching=matching,
        page=page,
        pages=max(1, math.ceil(matching / PAGE_LINES)),
        wanted=wanted,
        chosen=urlencode(chosen),
        actors=[(actor, actor) for actor in actors],
        actions=[(action, words(action)) for action in actions],
        chain=services.audit.check(),
        shown=SHOWN,
    )


@audit_router.get("/api/v1/audit", operation_id="get_audit_trail")
def get_audit(services: ServicesDep, wanted: FilterDep, page: PageNumber = 1) -> AuditModel:
    """Return a hundred lines of the audit trail, and its faults."""
    matching, lines = services.audit.page(wanted, PAGE_LINES, page)
    chain: Chain = services.audit.check()
    return AuditModel(
        matching=matching,
        lines=[AuditLineModel.model_validate(line) for line in lines],
        head=chain.head,
        faults=list(chain.faults),
    )


@audit_router.get(f"{AUDIT_PAGE}/download", include_in_schema=False)
def download(services: ServicesDep, account: AccountDep, wanted: FilterDep) -> Response:
    """Send the wanted lines as CSV; the download itself is audited."""
    shown = " ".join(f"{name}={value}" for name, value in _chosen(wanted).items())
    # Before the first line is sent: what leaves this machine must be written down.
    services.commands.note(account.name, "audit_download", shown)
    return StreamingResponse(
        _csv(services.audit.lines(wanted)),
        media_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": 'attachment; filename="affect-edge-audit.csv"'},
    )


def _chosen(wanted: AuditFilter) -> dict[str, object]:
    return given(start=wanted.start_ms, end=wanted.end_ms, actor=wanted.actor, action=wanted.action)


def _csv(lines: Iterator[AuditEntry]) -> Iterator[str]:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(_COLUMNS)
    for number, line in enumerate(lines, start=1):
        words = (line.actor, line.action, line.detail)
        at = (line.id, iso_utc(line.at_ms), line.at_ms)
        writer.writerow((*at, *map(_harmless, words), line.seal))
        if number % _PORTION == 0:
            yield text.getvalue()
            text.seek(0)
            text.truncate()
    yield text.getvalue()


def _harmless(text: str) -> str:
    """Escape a text that a spreadsheet would run as a formula."""
    if text.startswith(_FORMULA):
        return f"'{text}"
    return text
