"""Correcting and removing readings that were entered by hand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import RedirectResponse, Response

from dashboard.accounts.roles import Permission
from dashboard.web.chosen_study import APPLIANCE_ONLY
from dashboard.web.guards.permissions import needs
from dashboard.web.login_guard import AccountDep
from dashboard.web.routes.readings.manual import (
    PAGE,
    TEXT_LENGTH,
    Correction,
    doubts_of,
    page_with_correction,
)
from dashboard.web.services import ServicesDep
from edge_agent.core import clock
from edge_agent.core.errors import ReadingError
from edge_agent.core.given_readings import Origin, reading_of
from edge_agent.core.vitals import VitalKind
from edge_agent.store.intake.corrections import ReadingKey

router = APIRouter(tags=["readings"], dependencies=[needs(Permission.RUN), APPLIANCE_ONLY])
_LIST = "recent-title"

Text = Annotated[str, Form(max_length=TEXT_LENGTH)]


@dataclass(frozen=True, slots=True)
class CorrectionForm:
    """A reading, and what a person typed as its value."""

    key: ReadingKey
    value: str
    confirmed: str


def _key(
    at: Annotated[int, Form(ge=0, le=2**62)],
    kind: Annotated[VitalKind, Form()],
    source: Text,
) -> ReadingKey:
    return ReadingKey(at, kind, source)


KeyDep = Annotated[ReadingKey, Depends(_key)]


def _form(key: KeyDep, value: Text = "", confirmed: Text = "") -> CorrectionForm:
    return CorrectionForm(key, value.strip(), confirmed)


FormDep = Annotated[CorrectionForm, Depends(_form)]


@router.post(f"{PAGE}/by-hand/correct", include_in_schema=False)
def correct(
    request: Request, services: ServicesDep, account: AccountDep, form: FormDep
) -> Response:
    """Give a reading another value; an implausible one only when it is confirmed."""
    origin = Origin(form.key.source, decimal_comma=True, live=False)
    try:
        given = {"kind": form.key.kind.value, "value": form.value, "at": form.key.at_ms}
        reading = reading_of(given, clock.now(), origin)
    except ReadingError as error:
        wrong = Correction(form.key, form.value, f"{error.shown} {error.reason}")
        return page_with_correction(request, services, wrong)
    doubts = doubts_of([reading])
    if doubts and form.confirmed != form.value:
        doubted = Correction(form.key, form.value, " ".join(doubts), confirmed=form.value)
        return page_with_correction(request, services, doubted)
    services.commands.correct_reading(form.key, reading.value, actor=account.name)
    return RedirectResponse(f"{PAGE}?changed=corrected#{_LIST}", 303)


@router.post(f"{PAGE}/by-hand/remove", include_in_schema=False)
def remove(services: ServicesDep, account: AccountDep, key: KeyDep) -> Response:
    """Remove a reading; what it was is kept."""
    services.commands.remove_reading(key, actor=account.name)
    return RedirectResponse(f"{PAGE}?changed=removed#{_LIST}", 303)
