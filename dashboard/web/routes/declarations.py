"""Stretches of a session whose faces are declared afterwards, by page and by program."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form
from fastapi.responses import RedirectResponse, Response
from pydantic import Field

from dashboard.accounts.roles import Permission
from dashboard.web.authentication import AccountDep
from dashboard.web.chosen_study import APPLIANCE_ONLY
from dashboard.web.errors import may_refuse
from dashboard.web.forms import form_of
from dashboard.web.guards.permissions import needs
from dashboard.web.routes.sessions import SESSION_PAGE, ExclusionForm, FormSessionDep
from dashboard.web.schemas import ApiModel, GivenMs, Number, ShownMs
from dashboard.web.services import ServicesDep
from edge_agent.core.errors import StudyError
from edge_agent.core.study import Session
from edge_agent.core.texts import N_
from edge_agent.timeline.study.declarations import REASON_LENGTH, declarations

router = APIRouter(tags=["study"], dependencies=[needs(Permission.STUDY), APPLIANCE_ONLY])
_DECLARATIONS = "/sessions/{number}/declarations"
_OF_SESSION = f"{SESSION_PAGE}#whose-title"


class DeclarationModel(ApiModel):
    """A stretch of a session in which unknown faces count as the participant's."""

    number: int = Field(validation_alias="id", description="Names it in its session")
    start: ShownMs = Field(validation_alias="start_ms")
    end: ShownMs = Field(validation_alias="end_ms")
    reason: str


class NewDeclaration(ApiModel):
    """A stretch whose unknown faces are the participant's."""

    start: GivenMs
    end: GivenMs
    reason: str = Field(min_length=1, max_length=REASON_LENGTH, description="Why")


class DeclarationForm(ExclusionForm):
    """A stretch that was the participant's, as a person typed it."""

    def declaration(self, session: Session) -> NewDeclaration:
        """Return what is declared.

        Raises:
            StudyError: as ``exclusion``, or an end is missing.
        """
        given = self.exclusion(session)
        if given.start is None or given.end is None:
            raise StudyError(
                N_("Give both ends of the stretch."),
                field="start" if given.start is None else "end",
            )
        return NewDeclaration.model_construct(start=given.start, end=given.end, reason=given.reason)


@router.get(f"/api/v1{_DECLARATIONS}", operation_id="list_declarations", responses=may_refuse(404))
def get_declarations(services: ServicesDep, session: FormSessionDep) -> list[DeclarationModel]:
    """Return the stretches of a session whose faces were declared afterwards."""
    every = declarations(services.options.database, session.id)
    return [DeclarationModel.model_validate(one) for one in every]


@router.post(
    f"/api/v1{_DECLARATIONS}",
    operation_id="declare_afterwards",
    responses=may_refuse(409),
    status_code=201,
)
def post_declaration(
    number: Number, new: NewDeclaration, services: ServicesDep, account: AccountDep
) -> DeclarationModel:
    """Declare that the unknown faces of a stretch are the participant's; their rows stay."""
    made = services.commands.declare_afterwards(
        number, (new.start, new.end), reason=new.reason, actor=account.name
    )
    return DeclarationModel.model_validate(made)


@router.delete(
    f"/api/v1{_DECLARATIONS}/{{declaration}}",
    operation_id="take_declaration_back",
    responses=may_refuse(409),
    status_code=204,
)
def delete_declaration(
    number: Number, declaration: Number, services: ServicesDep, account: AccountDep
) -> None:
    """Count the faces of a stretch as unknown again; that they were declared stays in the trail."""
    services.commands.take_declaration_back(number, declaration, actor=account.name)


@router.post(
    f"/study{_DECLARATIONS}",
    include_in_schema=False,
    dependencies=[form_of(SESSION_PAGE, DeclarationForm)],
)
def declare_of_page(
    services: ServicesDep,
    account: AccountDep,
    session: FormSessionDep,
    form: Annotated[DeclarationForm, Form()],
) -> Response:
    """Declare that the unknown faces of a stretch are the participant's."""
    post_declaration(session.id, form.declaration(session), services, account)
    return RedirectResponse(_OF_SESSION.format(number=session.id), 303)


@router.post(
    f"/study{_DECLARATIONS}/{{declaration}}/take-back",
    include_in_schema=False,
    dependencies=[form_of(SESSION_PAGE)],
)
def take_declaration_back_of_page(
    services: ServicesDep, account: AccountDep, session: FormSessionDep, declaration: Number
) -> Response:
    """Count the faces of a stretch as unknown again; twice is as good as once."""
    stands = declarations(services.options.database, session.id)
    if declaration in {one.id for one in stands}:
        delete_declaration(session.id, declaration, services, account)
    return RedirectResponse(_OF_SESSION.format(number=session.id), 303)
