"""Consent on the participant's page: they read the study's text on a screen of their own, and agree
to it themselves.

An address opens the text of one participant for a while. Afterwards the page waits there, and leads
to their protocol as soon as their session begins.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Form, HTTPException, Request
from fastapi.responses import RedirectResponse, Response
from pydantic import BaseModel, ConfigDict, Field

from dashboard.accounts.roles import Permission
from dashboard.web.authentication import AccountDep
from dashboard.web.chosen_study import APPLIANCE_ONLY
from dashboard.web.delivery import LOOPBACK, qr_code
from dashboard.web.forms import form_of
from dashboard.web.guards.permissions import needs
from dashboard.web.rendering import render
from dashboard.web.routes.study import CONSENT_PAGE, CONSENT_VERSION
from dashboard.web.schemas import ApiModel
from dashboard.web.services import AskedConsent, Services, ServicesDep
from edge_agent.core.errors import StudyError
from edge_agent.core.texts import N_

router = APIRouter(tags=["study"], dependencies=[needs(Permission.STUDY), APPLIANCE_ONLY])
participant_router = APIRouter(
    prefix="/participate/consent", include_in_schema=False, dependencies=[needs(Permission.OPEN)]
)
ASK = f"{CONSENT_PAGE}/ask"
_OWN_PAGE = "/participate/consent/{token}"


class AgreedForm(BaseModel):
    """Agreement that a participant sends, and to which text."""

    model_config = ConfigDict(extra="forbid")

    agreed: str = Field("", max_length=10)
    text_version: str = Field("", max_length=40)


class NextPage(ApiModel):
    """Address at which the participant's page goes on."""

    address: str | None = Field(description="Of the participant's protocol; null: none runs")


@router.post(ASK, include_in_schema=False, dependencies=[form_of(CONSENT_PAGE)])
def ask_for_consent(services: ServicesDep, account: AccountDep, code: str) -> Response:
    """Make an address at which the participant reads the text and agrees."""
    services.study.has_consent(code)  # refuses an unknown participant
    token = services.asked_consents.keep(AskedConsent(code, account.name), account.id)
    return RedirectResponse(f"{ASK.format(code=code)}/{token}", 303)


@router.get(f"{ASK}/{{token}}", include_in_schema=False)
def asked_page(request: Request, services: ServicesDep, code: str, token: str) -> Response:
    """Show the address for the participant, and whether they have agreed."""
    asked = services.asked_consents.of(token)
    if asked is None or asked.code != code:
        return RedirectResponse(CONSENT_PAGE.format(code=code), 303)
    path = _OWN_PAGE.format(token=token)
    return render(
        request,
        "consent_asked.html",
        code=code,
        path=path,
        qr_code=qr_code(f"{request.base_url}{path[1:]}"),
        is_loopback=request.url.hostname in LOOPBACK,
        agreed=asked.agreed,
    )


def _find_asked(services: ServicesDep, token: str) -> AskedConsent:
    """Return what a token asks for; answer 404 for an unknown one."""
    asked = services.asked_consents.of(token)
    if asked is None:
        raise HTTPException(404)
    return asked


AskedDep = Annotated[AskedConsent, Depends(_find_asked)]


@participant_router.get("/{token}")
def consent_text(request: Request, services: ServicesDep, token: str) -> Response:
    """Show the text of the study's consent, or that the participant has agreed to it."""
    asked = services.asked_consents.of(token)
    if asked is None:
        return render(request, "participate_gone.html", 404)
    return render(
        request,
        "participate_consent.html",
        agreed=asked.agreed,
        text_version=CONSENT_VERSION,
        action=f"{_OWN_PAGE.format(token=token)}?{request.url.query}".rstrip("?"),
        next_address=f"{_OWN_PAGE.format(token=token)}/next",
    )


@participant_router.post("/{token}")
def agree(
    request: Request,
    services: ServicesDep,
    asked: AskedDep,
    form: Annotated[AgreedForm, Form()],
    token: str,
) -> Response:
    """Record that the participant agreed to the text that they were shown."""
    if form.agreed != "yes" or form.text_version != CONSENT_VERSION:
        raise StudyError(N_("Tick the box once you have read this text and agree."))
    if not asked.agreed:
        services.commands.give_consent(asked.code, CONSENT_VERSION, actor=asked.actor)
        asked.agreed = True
    address = f"{_OWN_PAGE.format(token=token)}?{request.url.query}".rstrip("?")
    return RedirectResponse(address, 303)


@participant_router.get("/{token}/next")
def next_page(services: ServicesDep, asked: AskedDep) -> NextPage:
    """Return the address of the participant's protocol, once their session has one."""
    return NextPage(address=_protocol_of(services, asked))


def _protocol_of(services: Services, asked: AskedConsent) -> str | None:
    view = services.protocol_runner.view()
    if not asked.agreed or view is None or view.is_over:
        return None
    if view.session.participant.casefold() != asked.code.casefold():
        return None
    return f"/participate/{view.token}"
