"""The first steps after setup: camera, privacy, a second account, broker, sensors; then Live."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response
from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool

from dashboard.accounts.passwords import AccountError
from dashboard.accounts.roles import ABOUT, NAME_MAX, Permission, Role
from dashboard.web.configuration import Present, fields_of, read_present, text_of
from dashboard.web.first_steps import (
    TITLES,
    BrokerAnswer,
    BrokerForm,
    Outcome,
    Step,
    form_of,
    try_broker,
)
from dashboard.web.forms import NOTHING_REFUSED, Refused
from dashboard.web.guards.permissions import needs
from dashboard.web.live import heard_now
from dashboard.web.login import AccountDep
from dashboard.web.rendering import render
from dashboard.web.routes.login import FIRST_STEPS, HOME
from dashboard.web.services import Services, ServicesDep
from edge_agent.config.keys import all_keys, variable_of

router = APIRouter(include_in_schema=False, dependencies=[needs(Permission.ADMINISTER)])
_KEYS: Mapping[Step, tuple[str, ...]] = {
    Step.CAMERA: ("camera.source", "camera.fps", "camera.rotate"),
    Step.PRIVACY: ("dashboard.purposes",),
    Step.BROKER: ("mqtt.enabled", "mqtt.home_assistant"),
    Step.SENSORS: ("vitals.simulated.enabled", "vitals.camera_pulse.enabled"),
}
_SUGGESTED = (Role.OPERATOR, Role.RESEARCHER, Role.VIEWER, Role.ADMINISTRATOR)
TextField = Annotated[str, Form(max_length=1000)]


@dataclass(frozen=True, slots=True)
class Shown:
    """The messages of a step about the previous request.

    Attributes:
        refused: the form that did nothing.
        link, link_of: a new account's one-time link, and whose it is.
        broker: what was typed of a broker; ``None``: nothing, the configuration fills it in.
        answer: what the broker said; ``None``: nobody was asked.
    """

    refused: Refused = NOTHING_REFUSED
    link: str = ""
    link_of: str = ""
    broker: BrokerForm | None = None
    answer: BrokerAnswer | None = None


@router.get(FIRST_STEPS)
async def first_steps(
    request: Request, services: ServicesDep, step: Step | None = None
) -> Response:
    """Show the named step, or the first one that was not taken yet."""
    if step is None:
        following = await run_in_threadpool(services.first_steps.next_step)
        step = following or Step.CAMERA
    heard = await heard_now(services.options.live_socket)
    return await run_in_threadpool(_page, request, services, step, Shown(), heard)


@router.post(FIRST_STEPS)
def leave_step(
    services: ServicesDep, step: Annotated[Step, Form()], outcome: Annotated[Outcome, Form()]
) -> Response:
    """Store that a step was taken or skipped; redirect to the next one, or at the end to Live."""
    services.first_steps.left(step, outcome)
    behind = list(Step)[list(Step).index(step) + 1 :]
    if not behind:
        return RedirectResponse(HOME, 303)
    return RedirectResponse(f"{FIRST_STEPS}?step={behind[0]}", 303)


@router.post(f"{FIRST_STEPS}/account")
def add_account(
    request: Request,
    services: ServicesDep,
    account: AccountDep,
    role: Annotated[Role, Form()],
    name: TextField = "",
) -> Response:
    """Add an account, and show the link with which its owner chooses a password."""
    try:
        link = services.members.add_with_link(name, role, account.name)
    except AccountError as error:
        shown = Shown(Refused.by(request, error, {"name": name, "role": role}))
    else:
        whole = f"{str(request.base_url).rstrip('/')}{link}"
        shown = Shown(link=whole, link_of=name.strip())
    return _page(request, services, Step.ACCOUNT, shown, {})


@router.post(f"{FIRST_STEPS}/broker")
def ask_broker(
    request: Request,
    services: ServicesDep,
    account: AccountDep,
    form: Annotated[BrokerForm, Form()],
) -> Response:
    """Try to connect to a broker with the typed values, without storing them."""
    present = read_present(services.options.config)
    services.commands.note(account.name, "broker_test", f"{form.host}:{form.port}"[:200])
    path = present.file.path if present.file else None
    try:
        answer = try_broker(present.settings.mqtt, form, path, services.options.live_socket)
        shown = Shown(broker=form, answer=answer)
    except ValidationError as error:
        fields = form.model_dump(exclude={"password"})
        shown = Shown(Refused.invalid(request.url.path, error, fields), broker=form)
    return _page(request, services, Step.BROKER, shown, {})


def _page(
    request: Request,
    services: Services,
    step: Step,
    shown: Shown,
    heard: Mapping[str, Mapping[str, Any]],
) -> Response:
    present = read_present(services.options.config)
    taken = services.first_steps.taken() or {}
    return render(
        request,
        "first_steps.html",
        422 if shown.refused.action else 200,
        step=step,
        steps=[(one, TITLES[one], taken.get(one)) for one in Step],
        keys=[key for key in all_keys() if key.name in _KEYS.get(step, ())],
        present=present,
        fields=fields_of(present),
        variable_of=variable_of,
        text_of=text_of,
        shown=shown,
        refused=shown.refused,
        **_of_step(services, step, shown, present),
        state=heard.get("state"),
        health=heard.get("health"),
    )


def _of_step(services: Services, step: Step, shown: Shown, present: Present) -> dict[str, Any]:
    """Return the template values that only one of the steps needs."""
    if step is Step.ACCOUNT:
        return {
            "members": services.members.all(),
            "roles": [(role, ABOUT[role]) for role in _SUGGESTED],
            "name_length": NAME_MAX,
        }
    if step is Step.BROKER:
        return {"broker": shown.broker or form_of(present.settings.mqtt)}
    if step is Step.SENSORS:
        return {"readings": list(services.reader.latest_vitals().values())}
    return {}
