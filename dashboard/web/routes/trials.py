"""The screens that a protocol showed in a session, as a page and for programs."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException, Request
from fastapi.responses import Response
from pydantic import Field

from dashboard.accounts.roles import Permission
from dashboard.protocols.steps import STEP_KINDS
from dashboard.protocols.texts import Scale
from dashboard.web.chosen_study import ChosenStudyDep
from dashboard.web.errors import may_refuse
from dashboard.web.guards.permissions import needs
from dashboard.web.rendering import render
from dashboard.web.schemas import ApiModel, Number, ShownMs
from edge_agent.core.texts import N_
from edge_agent.timeline.database.connection import read_transaction
from edge_agent.timeline.read.trials import ShownTrial, timing_of, trials_of
from edge_agent.timeline.study.protocol_runs import EXPERIMENT

TITLES = {kind.name: kind.title for kind in STEP_KINDS} | {
    Scale.VALENCE.value: N_("Valence"),
    Scale.AROUSAL.value: N_("Arousal"),
    Scale.EMOTION.value: N_("Felt most"),
}
router = APIRouter(tags=["protocol"], dependencies=[needs(Permission.STUDY)])


class TrialModel(ApiModel):
    """A screen that a protocol showed."""

    at_ms: ShownMs = Field(description="When it was due")
    turn: int = Field(description="Its place among the screens of the session, from 1")
    step: int = Field(description="Number of its step in the file, from 1")
    kind: str
    condition: str | None = Field(description="Its own, else that of the last stimulus before")
    practice: bool
    planned_ms: int | None = Field(description="null: until an answer or its end")
    stood_ms: int = Field(description="By the clock of the appliance")
    late_ms: float | None = Field(description="From at_ms to its first frame; null: not known")
    late_within_ms: float | None = Field(description="How wrong late_ms may be")
    shown_ms: float | None = Field(description="From its first frame to that of the next screen")
    frame_ms: float | None = Field(description="Time between two frames of that browser")
    question: str = Field(description="Name of the protocol's own question; empty: none")
    wording: str
    value: int | str | None = Field(description="Answer; null: none, or not said")


def _trials(study: ChosenStudyDep, number: Number) -> list[ShownTrial]:
    with read_transaction(study.database) as connection:
        there = connection.execute("SELECT 1 FROM session WHERE id = ?", (number,)).fetchone()
        if there is None:
            raise HTTPException(404)
        return trials_of(connection, number)


TrialsDep = Annotated[list[ShownTrial], Depends(_trials)]


@router.get(
    "/api/v1/sessions/{number}/trials", operation_id="list_trials", responses=may_refuse(404)
)
def get_trials(trials: TrialsDep) -> list[TrialModel]:
    """Return the screens that a protocol showed in a session, with times and answers."""
    return [TrialModel.model_validate(one) for one in trials]


@router.get("/study/sessions/{number}/timing", include_in_schema=False)
def timing_page(request: Request, number: Number, trials: TrialsDep) -> Response:
    """Show when each screen was shown and for how long, planned and by its frames."""
    screens = [one for one in trials if one.kind != EXPERIMENT]
    return render(
        request,
        "timing.html",
        number=number,
        trials=screens,
        timing=timing_of(screens),
        titles=TITLES,
        values=len(trials) - len(screens),
    )
