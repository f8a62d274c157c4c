"""What is told of a participant beside the code, as far as they agreed to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Form, HTTPException, Request
from fastapi.responses import RedirectResponse, Response
from pydantic import Field

from dashboard.accounts.roles import Permission
from dashboard.languages.current import gettext
from dashboard.languages.names import said_of
from dashboard.web.api.description import may_refuse
from dashboard.web.chosen_study import APPLIANCE_ONLY
from dashboard.web.guards.permissions import needs
from dashboard.web.login_guard import AccountDep
from dashboard.web.rendering import render
from dashboard.web.schemas import ApiModel
from dashboard.web.services import Services, ServicesDep
from edge_agent.core.attributes import (
    AGE_BAND,
    AGE_BANDS,
    LENGTH,
    MEDICATION,
    SEX,
    SEXES,
    AttributeUse,
)
from edge_agent.core.errors import StudyError
from edge_agent.core.texts import N_, Message
from edge_agent.store.study.attributes import (
    attribute_use_of,
    attributes_of,
)

router = APIRouter(tags=["study"], dependencies=[needs(Permission.STUDY), APPLIANCE_ONLY])
_KNOWN = (AGE_BAND, SEX, MEDICATION)


class AttributesModel(ApiModel):
    """What is told of a participant."""

    consent: AttributeUse = Field(
        description="none: none are kept; here: kept on this appliance; shared: in exports, too"
    )
    attributes: dict[str, str] = Field(
        max_length=20, description="age_band, sex, medication, and fields of the study's own"
    )


@dataclass(frozen=True, slots=True)
class AttributeForm:
    """What a person wrote, as typed."""

    use: str
    known: Mapping[str, str]
    others: str


def _form(
    use: Annotated[str, Form(max_length=20)] = "",
    age_band: Annotated[str, Form(max_length=100)] = "",
    sex: Annotated[str, Form(max_length=100)] = "",
    medication: Annotated[str, Form(max_length=200)] = "",
    others: Annotated[str, Form(max_length=4000)] = "",
) -> AttributeForm:
    return AttributeForm(use, {AGE_BAND: age_band, SEX: sex, MEDICATION: medication}, others)


FormDep = Annotated[AttributeForm, Depends(_form)]


@router.get("/study/participants/{code}/attributes", include_in_schema=False)
def attributes_page(request: Request, services: ServicesDep, code: str) -> Response:
    """Show what is told of a participant, and what they agreed to."""
    return _page(request, services, code)


@router.post("/study/participants/{code}/attributes", include_in_schema=False)
def change_attributes(
    request: Request, services: ServicesDep, account: AccountDep, code: str, form: FormDep
) -> Response:
    """Record what the participant agreed to, and what is told of them: all of it, or nothing."""
    try:
        use = AttributeUse(form.use)
        _write(services, code, use, {**form.known, **_fields(form.others)}, account.name)
    except (ValueError, StudyError) as error:
        problem = gettext("Choose what they agreed to.")
        if isinstance(error, StudyError):
            problem = said_of(error)
        return _page(request, services, code, problem)
    return RedirectResponse("/study", 303)


@router.get(
    "/api/v1/participants/{code}/attributes",
    operation_id="get_participant_attributes",
    responses=may_refuse(409),
)
def get_attributes(code: str, services: ServicesDep) -> AttributesModel:
    """Tell what is told of a participant."""
    use = attribute_use_of(services.options.database, code)
    return AttributesModel(consent=use, attributes=_kept(services, code))


@router.put(
    "/api/v1/participants/{code}/attributes",
    operation_id="set_participant_attributes",
    responses=may_refuse(409),
)
def put_attributes(
    code: str, new: AttributesModel, services: ServicesDep, account: AccountDep
) -> AttributesModel:
    """Replace what the participant agreed to, and what is told of them."""
    _write(services, code, new.consent, new.attributes, account.name)
    return AttributesModel(consent=new.consent, attributes=_kept(services, code))


def _write(
    services: Services, code: str, use: AttributeUse, values: Mapping[str, str], actor: str
) -> None:
    """Write both; what is not among the values goes.

    An export that waits may hold what is not to be shared any more: it goes, too.
    """
    gone = dict.fromkeys(_kept(services, code), "")
    new = {name: value for name, value in values.items() if value.strip()}
    told = None if use is AttributeUse.NONE else gone | new
    services.commands.agree_to_attributes(code, use, told, actor=actor)
    services.exports.forget_all()


def _kept(services: Services, code: str) -> dict[str, str]:
    told = attributes_of(services.options.database)
    return next((kept for one, kept in told.items() if one.casefold() == code.casefold()), {})


def _fields(text: str) -> dict[str, str]:
    """Return the fields of lines such as ``handedness=left``.

    Raises:
        StudyError: a line has no equals sign.
    """
    fields: dict[str, str] = {}
    for line in filter(None, (one.strip() for one in text.splitlines())):
        name, sign, value = line.partition("=")
        if not sign or not value.strip():
            raise StudyError(
                Message(
                    N_("{line!r}: write name=value on each line, such as handedness=left."),
                    line=line,
                )
            )
        fields[name.strip()] = value
    return fields


def _page(request: Request, services: Services, code: str, problem: str = "") -> Response:
    known = {one.code.casefold(): one.code for one in services.study.participants()}
    if code.casefold() not in known:
        raise HTTPException(404)
    kept = _kept(services, code)
    return render(
        request,
        "attributes.html",
        status_code=409 if problem else 200,
        problem=problem,
        code=known[code.casefold()],
        has_consent=services.study.has_consent(code),
        use=attribute_use_of(services.options.database, code),
        kept=kept,
        others="\n".join(f"{name}={kept[name]}" for name in kept if name not in _KNOWN),
        age_bands=AGE_BANDS,
        sexes=SEXES,
        length=LENGTH,
    )
