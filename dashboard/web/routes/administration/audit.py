"""The audit trail: who did what, when; as a page, as JSON and as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response, StreamingResponse
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from dashboard.accounts.audit_trail import AuditEntry, AuditFilter
from dashboard.accounts.roles import Permission
from dashboard.languages.written import words
from dashboard.web.guards.permissions import needs
from dashboard.web.login_guard import AccountDep
from dashboard.web.pages import NavigationEntry
from dashboard.web.rendering import render
from dashboard.web.services import ServicesDep
from edge_agent.core.clock import iso_utc
from edge_agent.core.texts import N_
from edge_agent.store.write.audit.chain import SHOWN, Chain

router = APIRouter(tags=["audit"], dependencies=[needs(Permission.ADMINISTER)])
NAVIGATION = NavigationEntry(
    title=N_("Audit"),
    path="/audit",
    position=95,
    icon="M9 3h6v3H9zM7 4H5v17h14V4h-2M8.5 13l2.5 2.5 4.5-4.5",
)
PAGE = "/audit"
PAGE_LINES = 100
_LAST_PAGE = 1_000_000
_PORTION = 500
_COLUMNS = ("line", "at", "at_ms", "actor", "action", "detail", "seal")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")

Moment = Annotated[
    Annotated[int, Field(ge=0, le=2**53)] | None,
    BeforeValidator(lambda given: None if given == "" else given),
    Query(),
]
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
PageNumber = Annotated[int, Query(ge=1, le=_LAST_PAGE)]


@router.get(PAGE, include_in_schema=False)
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
        pages=max(1, -(-matching // PAGE_LINES)),
        wanted=wanted,
        chosen=urlencode(chosen),
        actors=[(actor, actor) for actor in actors],
        actions=[(action, words(action)) for action in actions],
        chain=services.audit.check(),
        shown=SHOWN,
    )


@router.get("/api/v1/audit", operation_id="get_audit_trail")
def get_audit(services: ServicesDep, wanted: FilterDep, page: PageNumber = 1) -> AuditModel:
    """Tell a hundred lines of the audit trail, and what is wrong with it."""
    matching, lines = services.audit.page(wanted, PAGE_LINES, page)
    chain: Chain = services.audit.check()
    return AuditModel(
        matching=matching,
        lines=[AuditLineModel.model_validate(line) for line in lines],
        head=chain.head,
        faults=list(chain.faults),
    )


@router.get(f"{PAGE}/download", include_in_schema=False)
def download(services: ServicesDep, account: AccountDep, wanted: FilterDep) -> Response:
    """Send the lines that are wanted as CSV; that it was sent stands there as well."""
    shown = " ".join(f"{name}={value}" for name, value in _chosen(wanted).items())
    services.commands.note(account.name, "audit_download", shown)
    return StreamingResponse(
        _csv(services.audit.lines(wanted)),
        media_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": 'attachment; filename="affect-edge-audit.csv"'},
    )


def _chosen(wanted: AuditFilter) -> dict[str, str | int]:
    given: dict[str, str | int | None] = {
        "start": wanted.start_ms,
        "end": wanted.end_ms,
        "actor": wanted.actor or None,
        "action": wanted.action or None,
    }
    return {name: value for name, value in given.items() if value is not None}


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
    """Keep a spreadsheet from taking a text for a formula."""
    if text.startswith(_FORMULA):
        return f"'{text}"
    return text
