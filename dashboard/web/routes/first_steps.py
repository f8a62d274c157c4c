"""The first steps after setup: camera, privacy, a second account, broker, sensors; then Live."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response
from starlette.concurrency import run_in_threadpool

from dashboard.accounts.roles import ABOUT, NAME_MAX, Permission, Role
from dashboard.web.agent_feed import heard_now
from dashboard.web.authentication import AccountDep
from dashboard.web.configuration import fields_of, read_present, text_of
from dashboard.web.entering import HOME
from dashboard.web.first_steps import (
    TITLES,
    BrokerAnswer,
    BrokerForm,
    FirstStep,
    StepOutcome,
    configured_broker,
    try_broker,
)
from dashboard.web.forms import form_of, refused_of
from dashboard.web.guards.permissions import needs
from dashboard.web.rendering import render
from dashboard.web.routes.accounts import AccountForm, AccountFormDep, AccountLink
from dashboard.web.services import Services, ServicesDep
from edge_agent.config.keys import all_keys, variable_of

router = APIRouter(include_in_schema=False, dependencies=[needs(Permission.ADMINISTER)])
_KEYS: Mapping[FirstStep, tuple[str, ...]] = {
    FirstStep.CAMERA: ("camera.source", "camera.fps", "camera.rotate"),
    FirstStep.PRIVACY: ("dashboard.purposes",),
    FirstStep.BROKER: ("mqtt.enabled", "mqtt.home_assistant"),
    FirstStep.SENSORS: ("vitals.simulated.enabled", "vitals.camera_pulse.enabled"),
}
_SUGGESTED = (Role.OPERATOR, Role.RESEARCHER, Role.VIEWER, Role.ADMINISTRATOR)
FIRST_STEPS = "/first-steps"
_STEP_PAGE = f"{FIRST_STEPS}?step={{}}"


@router.get(FIRST_STEPS)
async def first_steps(
    request: Request, services: ServicesDep, step: FirstStep | None = None
) -> Response:
    """Show the named step, or the first one that was not taken yet."""
    if step is None:
        following = await run_in_threadpool(services.first_steps.next_step)
        step = following or FirstStep.CAMERA
    heard = await heard_now(services.options.live_socket)
    return await run_in_threadpool(_page, request, services, step, heard)


@router.post(FIRST_STEPS)
def leave_step(
    services: ServicesDep,
    step: Annotated[FirstStep, Form()],
    outcome: Annotated[StepOutcome, Form()],
) -> Response:
    """Store that a step was taken or skipped; redirect to the next one, or at the end to Live."""
    services.first_steps.left(step, outcome)
    behind = list(FirstStep)[list(FirstStep).index(step) + 1 :]
    if not behind:
        return RedirectResponse(HOME, 303)
    return RedirectResponse(_STEP_PAGE.format(behind[0]), 303)


@router.post(
    f"{FIRST_STEPS}/account",
    dependencies=[form_of(_STEP_PAGE.format(FirstStep.ACCOUNT), AccountForm)],
)
def add_second_account(
    request: Request, services: ServicesDep, account: AccountDep, form: AccountFormDep
) -> Response:
    """Add an account, and show the link with which its owner chooses a password."""
    path = services.members.add_with_link(form.name, form.role, account.name)
    link = AccountLink.to(request, path, form.name.strip())
    return _page(request, services, FirstStep.ACCOUNT, link=link)


@router.post(
    f"{FIRST_STEPS}/broker",
    dependencies=[form_of(_STEP_PAGE.format(FirstStep.BROKER), BrokerForm, secret=("password",))],
)
def ask_broker(
    request: Request,
    services: ServicesDep,
    account: AccountDep,
    form: Annotated[BrokerForm, Form()],
) -> Response:
    """Try to connect to a broker with the typed values, without storing them."""
    present = read_present(services.options.config)
    services.notes.note(account.name, "broker_test", f"{form.host}:{form.port}"[:200])
    path = present.file.path if present.file else None
    answer = try_broker(present.settings.mqtt, form, path, services.options.live_socket)
    return _page(request, services, FirstStep.BROKER, broker=form, answer=answer)


def _page(
    request: Request,
    services: Services,
    step: FirstStep,
    heard: Mapping[str, Mapping[str, Any]] = MappingProxyType({}),
    *,
    link: AccountLink | None = None,
    broker: BrokerForm | None = None,
    answer: BrokerAnswer | None = None,
) -> Response:
    """Return the page of a step.

    Args:
        request: what was asked.
        services: of this dashboard.
        step: which one.
        heard: what the agent says now.
        link: of an account that was added.
        broker: what was typed of a broker; ``None``: the configuration fills it in.
        answer: what the broker said; ``None``: nobody was asked.
    """
    present = read_present(services.options.config)
    taken = services.first_steps.taken() or {}
    context: dict[str, Any] = {}
    if step is FirstStep.ACCOUNT:
        context = {
            "members": services.members.all(),
            "roles": [(role, ABOUT[role]) for role in _SUGGESTED],
            "name_length": NAME_MAX,
        }
    elif step is FirstStep.BROKER:
        typed = refused_of(request).values
        refused = BrokerForm.model_validate(typed) if typed else None
        context = {"broker": broker or refused or configured_broker(present.settings.mqtt)}
    elif step is FirstStep.SENSORS:
        context = {"readings": list(services.reader.latest_vitals().values())}
    return render(
        request,
        "first_steps.html",
        step=step,
        steps=[(one, TITLES[one], taken.get(one)) for one in FirstStep],
        keys=[key for key in all_keys() if key.name in _KEYS.get(step, ())],
        present=present,
        fields=fields_of(present),
        variable_of=variable_of,
        text_of=text_of,
        link=link,
        answer=answer,
        **context,
        state=heard.get("state"),
        health=heard.get("health"),
    )
