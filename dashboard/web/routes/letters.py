"""Letters about a person's week: the consent to them, to whom they go, and a test."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response
from pydantic import BaseModel, Field

from dashboard.accounts.letters import (
    LONGEST,
    MOST,
    Addressed,
    LetterPeriod,
    LetterPlan,
    checked_addresses,
)
from dashboard.accounts.roles import Permission
from dashboard.languages.current import OWN_NAMES, available, gettext, language, speaking
from dashboard.languages.names import said_of, translate
from dashboard.web.authentication import AccountDep
from dashboard.web.chosen_study import APPLIANCE_ONLY
from dashboard.web.errors import may_refuse
from dashboard.web.forms import form_of
from dashboard.web.guards.permissions import needs
from dashboard.web.letter_sending import mail_server
from dashboard.web.rendering import render
from dashboard.web.routes.participants import CodeDep
from dashboard.web.schemas import ApiModel, ShownMs
from dashboard.web.services import Services, ServicesDep
from edge_agent.core import clock
from edge_agent.core.errors import StudyError
from edge_agent.core.texts import N_
from edge_agent.timeline.study.people import ConsentState, list_entry_of

router = APIRouter(tags=["study"], dependencies=[needs(Permission.STUDY), APPLIANCE_ONLY])
PAGE = "/study/participants/{code}/letter"
_API = "/api/v1/participants/{code}/letter"
TEXT_VERSION = "letter 2"
"""Of ``templates/letter.html``; records name the version that was agreed to."""


class LetterAddressModel(ApiModel):
    """An address of letters, and what became of the last one."""

    address: str
    sent: ShownMs | None = Field(description="When the last letter was taken; null: none was yet")
    error: str = Field(description="Why the last attempt failed; empty: it did not")
    perhaps_sent: ShownMs | None = Field(
        None,
        description="When a later one was perhaps taken, which is not sent again: the dashboard "
        "ended, or the mail server did not answer, before it was known; null: there is none",
    )


class LetterModel(ApiModel):
    """The letters about a participant."""

    participant: str = Field(description="Pseudonymous code")
    every: LetterPeriod = Field(
        description="week: on Mondays; month: on the first Monday of a month"
    )
    language: str = Field(description="Code of the language that they are written in")
    text_version: str = Field(description="Version of the text that was agreed to")
    agreed: ShownMs = Field(description="When it was agreed to")
    addresses: list[LetterAddressModel]


class NewLetter(ApiModel):
    """Letters to which a participant agreed."""

    addresses: list[Annotated[str, Field(max_length=LONGEST)]] = Field(
        min_length=1, max_length=MOST, description="E-mail addresses"
    )
    every: LetterPeriod = Field(LetterPeriod.WEEK, description="How often")
    language: str = Field("en", max_length=20, description="Code of their language")
    text_version: str = Field(
        min_length=1, max_length=100, description="Version of the text that they agreed to"
    )


class LetterSentModel(ApiModel):
    """Outcome of a letter that was sent as a test."""

    sent: int = Field(description="Addresses whose mail server took it")
    errors: list[str] = Field(description="Why it was not taken, for each other address")


class LetterForm(BaseModel):
    """The form of letters, as typed."""

    addresses: str = Field("", max_length=4000)
    every: str = Field("", max_length=10)
    language: str = Field("", max_length=20)
    agreed: str = Field("", max_length=10)
    text_version: str = Field("", max_length=40)

    def new(self) -> NewLetter:
        """Return what was agreed to.

        Raises:
            StudyError: an address is none, or the box was not ticked below the present text.
        """
        addresses = checked_addresses(self.addresses.replace(",", "\n").splitlines())
        if self.agreed != "yes" or self.text_version != TEXT_VERSION:
            raise StudyError(
                N_(
                    "Tick the box once the participant has read this text and agreed. Nothing was "
                    "recorded."
                ),
                field="agreed",
            )
        every = LetterPeriod.MONTH if self.every == LetterPeriod.MONTH else LetterPeriod.WEEK
        return NewLetter(
            addresses=list(addresses),
            every=every,
            language=self.language,
            text_version=self.text_version,
        )


def _model_of(plan: LetterPlan) -> LetterModel:
    return LetterModel(
        participant=plan.person.code,
        every=plan.every,
        language=plan.language,
        text_version=plan.text_version,
        agreed=plan.agreed_ms,
        addresses=[
            LetterAddressModel(
                address=one.address,
                sent=one.sent_ms,
                error=translate(one.error),
                perhaps_sent=one.tried_ms if one.is_unknown else None,
            )
            for one in plan.addresses
        ],
    )


@router.get(_API, operation_id="get_participant_letter", responses=may_refuse(404))
def get_letter(services: ServicesDep, code: CodeDep) -> LetterModel | None:
    """Return to whom letters about a participant go; null: to nobody."""
    plan = services.letters.of(code)
    return None if plan is None else _model_of(plan)


@router.put(_API, operation_id="set_participant_letter", responses=may_refuse(404, 409))
def put_letter(
    code: CodeDep, new: NewLetter, services: ServicesDep, account: AccountDep
) -> LetterModel:
    """Record that a participant agreed to letters with measured values, to these addresses.

    They replace earlier ones. The first letter is of the period that ends next.
    """
    person = list_entry_of(services.options.database, code)
    if person.consent is not ConsentState.GIVEN:
        raise StudyError(N_("{code} has no valid consent. Record the consent first."), code=code)
    if new.language not in available():
        raise StudyError(
            N_("There are no texts in the language {language!r}."),
            language=new.language,
            field="language",
        )
    at_ms = clock.now().wall_ms
    plan = LetterPlan(person, new.every, new.language, new.text_version, at_ms, ())
    until = services.letter_sender.until(plan)
    addresses = checked_addresses(new.addresses)
    plan = LetterPlan(
        *(person, new.every, new.language, new.text_version, at_ms),
        tuple(Addressed(one, until) for one in addresses),
    )
    services.letters.set(plan)
    noted = f"{code} by {new.every} to {len(addresses)} addresses, {new.text_version}"
    services.notes.note(account.name, "letter_set", noted)
    return _model_of(services.letters.of(code) or plan)


@router.delete(
    _API, operation_id="stop_participant_letter", status_code=204, responses=may_refuse(404)
)
def delete_letter(code: CodeDep, services: ServicesDep, account: AccountDep) -> None:
    """Take back the consent to letters: none is sent any more, and the addresses are deleted."""
    if services.letters.stop(list_entry_of(services.options.database, code)):
        services.notes.note(account.name, "letter_stop", code)


@router.post(f"{_API}/test", operation_id="test_participant_letter", responses=may_refuse(404, 409))
def post_test(code: CodeDep, services: ServicesDep, account: AccountDep) -> LetterSentModel:
    """Send the letter of the last period now, to all addresses; it counts as none.

    The audit trail has it before it is sent: where that cannot be written, nothing is sent.
    """
    plan = services.letters.of(code)
    if plan is None:
        raise StudyError(N_("No letters about {code} are agreed to."), code=code)
    if not plan.may_send:
        raise StudyError(N_("{code} has no valid consent. Record the consent first."), code=code)
    until = services.letter_sender.until(plan)
    with speaking(plan.language):
        title = gettext("Test: {title}")
    addresses = [one.address for one in plan.addresses]
    noted = f"{code} until {until} to {len(addresses)} addresses, test"
    services.notes.note(account.name, "letter_send", noted)
    errors = services.letter_sender.send(plan, addresses, until, title=title)
    sent = errors.count("")
    return LetterSentModel(sent=sent, errors=[translate(one) for one in errors if one])


@router.get(PAGE, include_in_schema=False)
def letter_page(
    request: Request, services: ServicesDep, code: CodeDep, *, tested: bool = False
) -> Response:
    """Show the text that a participant agrees to, to whom letters go, and what became of them."""
    return render(
        request,
        "letter.html",
        code=code,
        has_consent=services.study.has_consent(code),
        plan=services.letters.of(code),
        periods=list(LetterPeriod),
        languages={name: OWN_NAMES[name] for name in available()},
        usual_language=language(),
        no_server=_no_server(services),
        tested=tested,
        most=MOST,
        text_version=TEXT_VERSION,
    )


def _no_server(services: Services) -> str:
    try:
        mail_server(services.options.alerts)
    except StudyError as error:
        return said_of(error)
    return ""


@router.post(PAGE, include_in_schema=False, dependencies=[form_of(PAGE, LetterForm)])
def set_letter(
    services: ServicesDep, account: AccountDep, code: CodeDep, form: Annotated[LetterForm, Form()]
) -> Response:
    """Record the letters to which the participant agreed below the text that was shown."""
    put_letter(code, form.new(), services, account)
    return RedirectResponse(PAGE.format(code=quote(code)), 303)


@router.post(f"{PAGE}/take-back", include_in_schema=False, dependencies=[form_of(PAGE)])
def stop_letter(services: ServicesDep, account: AccountDep, code: CodeDep) -> Response:
    """Take the letters back; a second click changes nothing."""
    delete_letter(code, services, account)
    return RedirectResponse(PAGE.format(code=quote(code)), 303)


@router.post(f"{PAGE}/test", include_in_schema=False, dependencies=[form_of(PAGE)])
def test_letter(services: ServicesDep, account: AccountDep, code: CodeDep) -> Response:
    """Send the letter of the last period now, and say what became of it."""
    answer = post_test(code, services, account)
    if answer.errors:
        raise StudyError(
            N_("{n} of {all} addresses did not take the letter: {reason}"),
            n=len(answer.errors),
            all=len(answer.errors) + answer.sent,
            reason=answer.errors[0],
        )
    return RedirectResponse(f"{PAGE.format(code=quote(code))}?tested=yes", 303)
