"""Participants, consents, sessions and markers of a study that has taken place, for programs."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Body
from pydantic import Field, StrictBool

from dashboard.accounts.roles import Permission
from dashboard.accounts.scopes import Scope
from dashboard.json_numbers import OF_JSON
from dashboard.web.api.description import may_refuse
from dashboard.web.chosen_study import APPLIANCE_ONLY
from dashboard.web.guards.permissions import needs
from dashboard.web.login_guard import AccountDep
from dashboard.web.schemas import ApiModel, EpochMs, SessionModel
from dashboard.web.services import ServicesDep
from edge_agent.core.study import MarkerKind, Purpose, SessionSetting
from edge_agent.store.study.past import (
    PastMarker,
    PastSession,
)

router = APIRouter(tags=["study"], dependencies=[needs(Permission.STUDY), APPLIANCE_ONLY])
_MOST_MARKERS = 10_000
GivenMs = Annotated[EpochMs, OF_JSON]


class NewParticipant(ApiModel):
    """A participant to add."""

    code: str | None = Field(
        None, max_length=32, description="Pseudonymous code, never a name; null: one is made up"
    )
    simulated: StrictBool = Field(False, description="Whether they are made up")


class ParticipantModel(ApiModel):
    """Somebody who takes part."""

    code: str = Field(description="Pseudonymous code")
    simulated: bool = Field(description="Whether they are made up")


class PastConsent(ApiModel):
    """A consent that was given."""

    text_version: str = Field(max_length=40, description="Version of the text that they read")
    given: GivenMs


class PastSessionModel(ApiModel):
    """A session that has taken place."""

    participant: str = Field(
        min_length=1, max_length=32, description="Code of somebody whose consent stood then"
    )
    purpose: Purpose
    setting: SessionSetting = Field(SessionSetting.OTHER, description="Where it took place")
    name: str = Field("", max_length=80, description="What to call it")
    start: GivenMs
    end: GivenMs
    simulated: StrictBool = Field(False, description="Whether its data are made up")


class PastMarkerModel(ApiModel):
    """A marker of a time that has passed."""

    at: GivenMs
    kind: MarkerKind
    label: str = Field(
        "", max_length=80, description="Condition or note; may be empty for stimulus_end, baseline"
    )


class MarkersAdded(ApiModel):
    """What became of markers."""

    added: int = Field(description="How many were new")
    duplicates: int = Field(description="How many were there already")


Markers = Annotated[list[PastMarkerModel], Body(min_length=1, max_length=_MOST_MARKERS)]


@router.post(
    "/api/v1/participants",
    operation_id="create_participant",
    status_code=201,
    responses=may_refuse(409),
)
def create_participant(
    new: NewParticipant, services: ServicesDep, account: AccountDep
) -> ParticipantModel:
    """Add a participant."""
    made = services.commands.create_participant(
        new.code, simulated=new.simulated, actor=account.name
    )
    return ParticipantModel(code=made.code, simulated=made.simulated)


@router.post(
    "/api/v1/participants/{code}/consents",
    operation_id="record_past_consent",
    status_code=201,
    responses=may_refuse(409),
)
def give_consent(
    code: str, new: PastConsent, services: ServicesDep, account: AccountDep
) -> PastConsent:
    """Record that a participant agreed to a text at a time that has passed."""
    services.commands.give_consent(code, new.text_version, new.given, actor=account.name)
    return new


@router.post(
    "/api/v1/sessions", operation_id="add_past_session", status_code=201, responses=may_refuse(409)
)
def create_session(
    new: PastSessionModel, services: ServicesDep, account: AccountDep
) -> SessionModel:
    """Add a session that has taken place."""
    session = PastSession(
        participant=new.participant,
        purpose=new.purpose,
        start_ms=new.start,
        end_ms=new.end,
        name=new.name,
        setting=new.setting,
        simulated=new.simulated,
    )
    made = services.commands.add_past_session(session, actor=account.name)
    return SessionModel.model_validate(made)


@router.post(
    "/api/v1/sessions/{number}/markers",
    operation_id="add_past_markers",
    status_code=201,
    responses=may_refuse(409),
    dependencies=[needs(Permission.STUDY, Scope.MARKERS)],
)
def create_markers(
    number: int, new: Markers, services: ServicesDep, account: AccountDep
) -> MarkersAdded:
    """Add markers to a session that has taken place: all of them, or none."""
    markers = [PastMarker(one.at, one.kind, one.label, number) for one in new]
    added, duplicates = services.commands.add_past_markers(markers, actor=account.name)
    return MarkersAdded(added=added, duplicates=duplicates)
