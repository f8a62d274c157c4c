"""The audit trail: who did what, and whether somebody changed it."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response, StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from dashboard.accounts.audit import AuditEntry, AuditFilter
from dashboard.accounts.roles import Permission
from dashboard.languages.names import words
from dashboard.web.authentication import AccountDep
from dashboard.web.guards.permissions import needs
from dashboard.web.rendering import DEVICE, NavigationEntry, render
from dashboard.web.schemas import Moment, PageNumber, given
from dashboard.web.services import ServicesDep
from edge_agent.core.clock import iso_utc
from edge_agent.core.csv_cells import guard_texts
from edge_agent.core.texts import N_
from edge_agent.timeline.write.audit import SHOWN, Chain
from edge_agent.timeline.write.merged_notes import Merged

router = APIRouter(tags=["audit"], dependencies=[needs(Permission.ADMINISTER)])
PAGE = "/audit"
NAVIGATION = NavigationEntry(
    N_("Audit"), PAGE, 95, "M9 3h6v3H9zM7 4H5v17h14V4h-2M8.5 13l2.5 2.5 4.5-4.5", group=DEVICE
)
PAGE_LINES = 100
_PORTION = 500
_COLUMNS = ("line", "at", "at_ms", "actor", "action", "detail", "seal")

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


class CountedLines(BaseModel):
    """Lines that come so often that they are counted; later they become one."""

    model_config = ConfigDict(from_attributes=True)

    actor: str = Field(description="Who.")
    action: str = Field(description="What was done.")
    first_ms: int = Field(description="When first; ms since 1970, UTC.")
    last_ms: int = Field(description="When last.")
    count: int = Field(description="How often.")
    details: dict[str, int] = Field(description="How often with which detail.")


class AuditModel(BaseModel):
    """A page of the audit trail, and whether somebody changed it."""

    matching: int = Field(description="How many lines are wanted.")
    lines: list[AuditLineModel] = Field(description="Those of this page, the newest first.")
    counted: list[CountedLines] = Field(description="Lines that are counted and not yet written.")
    head: str = Field(description="Seal of the newest line; empty: none was sealed yet.")
    faults: list[str] = Field(description="Lines that were changed or removed; empty: none.")


def _filter(
    start: Moment = None, end: Moment = None, actor: Word = "", action: Word = ""
) -> AuditFilter:
    return AuditFilter(start, end, actor, action)


FilterDep = Annotated[AuditFilter, Depends(_filter)]


@dataclass(frozen=True, slots=True)
class TrailPage:
    """The lines of one page of the audit trail, and the check of all.

    Attributes:
        number: of the page, from 1.
        matching: lines that are wanted, on all pages.
        lines: those of this page, the newest first.
        chain: whether the trail is whole.
        counted: lines that come so often that they are not written each.
    """

    number: int
    matching: int
    lines: list[AuditEntry]
    chain: Chain
    counted: list[Merged]


def _trail_page(services: ServicesDep, wanted: FilterDep, page: PageNumber = 1) -> TrailPage:
    matching, lines = services.audit.page(wanted, PAGE_LINES, page)
    return TrailPage(page, matching, lines, services.audit.check(), services.audit.counted_lines())


TrailPageDep = Annotated[TrailPage, Depends(_trail_page)]


@router.get("/api/v1/audit", operation_id="get_audit_trail")
def get_audit(trail: TrailPageDep) -> AuditModel:
    """Return a hundred lines of the audit trail, and its faults."""
    return AuditModel(
        matching=trail.matching,
        lines=[AuditLineModel.model_validate(line) for line in trail.lines],
        counted=[CountedLines.model_validate(one) for one in trail.counted],
        head=trail.chain.head,
        faults=list(trail.chain.faults),
    )


@router.get(PAGE, include_in_schema=False)
def audit_page(
    request: Request, services: ServicesDep, wanted: FilterDep, trail: TrailPageDep
) -> Response:
    """Show the lines that are wanted, and whether the trail is whole."""
    actors, actions = services.audit.names()
    return render(
        request,
        "audit.html",
        lines=trail.lines,
        matching=trail.matching,
        page=trail.number,
        pages=max(1, math.ceil(trail.matching / PAGE_LINES)),
        wanted=wanted,
        chosen=urlencode(_given(wanted)),
        actors=[(actor, actor) for actor in actors],
        actions=[(action, words(action)) for action in actions],
        chain=trail.chain,
        counted=trail.counted,
        shown=SHOWN,
    )


@router.get(f"{PAGE}/download", include_in_schema=False)
def download(services: ServicesDep, account: AccountDep, wanted: FilterDep) -> Response:
    """Send the wanted lines as CSV; the download itself is audited."""
    detail = " ".join(f"{name}={value}" for name, value in _given(wanted).items())
    # Before the first line is sent: what leaves this machine must be written down.
    services.notes.note(account.name, "audit_download", detail)
    return StreamingResponse(
        _csv(services.audit.lines(wanted)),
        media_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": 'attachment; filename="affect-edge-audit.csv"'},
    )


def _given(wanted: AuditFilter) -> dict[str, object]:
    return given(start=wanted.start_ms, end=wanted.end_ms, actor=wanted.actor, action=wanted.action)


def _csv(lines: Iterator[AuditEntry]) -> Iterator[str]:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(_COLUMNS)
    for number, line in enumerate(lines, start=1):
        at = (line.id, iso_utc(line.at_ms), line.at_ms)
        writer.writerow(guard_texts((*at, line.actor, line.action, line.detail, line.seal)))
        if number % _PORTION == 0:
            yield text.getvalue()
            text.seek(0)
            text.truncate()
    yield text.getvalue()
