"""A participant's page: consents, attributes, sessions, and how they went over time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import Response

from dashboard.accounts.roles import Permission
from dashboard.web.chosen_study import ChosenStudyDep
from dashboard.web.guards.permissions import needs
from dashboard.web.login_guard import AccountDep
from dashboard.web.rendering import render
from dashboard.web.services import ServicesDep
from edge_agent.core.attributes import AttributeUse
from edge_agent.core.errors import StudyError
from edge_agent.core.expression import Emotion
from edge_agent.core.study import Session
from edge_agent.core.texts import N_
from edge_agent.core.vitals import VitalKind
from edge_agent.store.read.reader import Reader
from edge_agent.store.read.sessions.over_time import SessionMeans, read_session_means
from edge_agent.store.study.attributes import attribute_use_of, attributes_of
from edge_agent.store.study.roster import consents_of, enrolled

router = APIRouter(tags=["study"], dependencies=[needs(Permission.STUDY)])
_MOST_MEANS = 24
_ATTRIBUTE_USE = {
    AttributeUse.NONE: N_("none kept"),
    AttributeUse.HERE: N_("kept on this device only"),
    AttributeUse.SHARED: N_("kept, and may go along in exports"),
}


@dataclass(frozen=True, slots=True)
class SessionLine:
    """A session with what was recorded in it."""

    session: Session
    means: SessionMeans | None

    @property
    def expression(self) -> dict[Emotion, float] | None:
        """Mean probabilities; ``None`` where none is kept, or it was not looked for."""
        return None if self.means is None else self.means.expression


@router.get("/study/participants/{code}", include_in_schema=False)
def participant_page(
    request: Request, services: ServicesDep, account: AccountDep, study: ChosenStudyDep, code: str
) -> Response:
    """Show one participant: consents, attributes, and sessions over time."""
    database, reader = study.database, study.reader
    try:
        person = enrolled(database, code)
    except StudyError as error:
        raise HTTPException(404, str(error)) from error
    services.views.note(account, "participant_view", study.named(person.code))
    sessions = [one for one in reader.session_list() if one.participant == person.code]
    lines = _lines(reader, sessions)
    measured = {kind for line in lines if line.means for kind in line.means.vitals}
    return render(
        request,
        "participant.html",
        person=person,
        consents=consents_of(database, person.code),
        attributes=attributes_of(database).get(person.code, {}),
        attribute_use=_ATTRIBUTE_USE[attribute_use_of(database, person.code)],
        lines=lines,
        kinds=[kind for kind in VitalKind if kind in measured],
        most_means=_MOST_MEANS,
    )


def _lines(reader: Reader, sessions: Sequence[Session]) -> list[SessionLine]:
    """Return the sessions, newest first; means only of the newest, for each is read row by row."""
    newest = sessions[:_MOST_MEANS]
    with reader.connect() as connection:
        means = read_session_means(connection, newest)
    return [SessionLine(one, means.get(one.id)) for one in sessions]
