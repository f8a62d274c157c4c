"""The page and API of the configuration: shown in full, changed where that is safe."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Form, Query, Request
from fastapi.responses import RedirectResponse, Response
from pydantic import BaseModel, ConfigDict, Field, Json, TypeAdapter

from dashboard.accounts.roles import Permission
from dashboard.languages.names import translate
from dashboard.web import configuration
from dashboard.web.authentication import AccountDep
from dashboard.web.errors import may_refuse, refuses_by
from dashboard.web.forms import form_of, refused_of
from dashboard.web.guards.permissions import needs
from dashboard.web.rendering import DEVICE, NavigationEntry, render
from dashboard.web.services import ServicesDep
from edge_agent.config.editing import copy_of_before
from edge_agent.config.keys import AGENT, DASHBOARD, RULES, Kind, all_keys, restarts, variable_of
from edge_agent.core.errors import ConfigError
from edge_agent.core.texts import N_

router = APIRouter(tags=["settings"], dependencies=[needs(Permission.ADMINISTER)])
NAVIGATION = NavigationEntry(
    N_("Settings"), "/settings", 80, "M4 7h9M17 7h3M15 4v6M4 17h3M11 17h9M9 14v6", group=DEVICE
)
PAGE = "/settings"
SAVED = f"{PAGE}/saved"
_MOST_FIELDS = 1500
_NOTHING_CHANGED = N_("Nothing was changed.")
_JSON = TypeAdapter[dict[str, Any]](Json[dict[str, Any]])


class SettingModel(BaseModel):
    """A key of the configuration."""

    name: str = Field(description="With its section, such as camera.fps.")
    description: str = Field(description="What it is.")
    kind: Kind = Field(description="How it is typed in.")
    value: Any = Field(description="What holds; of a secret only whether there is one.")
    default: Any = Field(description="What holds where it is left out.")
    source: str = Field(description="file, environment or default.")
    line: int | None = Field(description="Of the file.")
    choices: list[str] = Field(description="What it may be; empty: anything within the limits.")
    least: float | None = Field(description="Lower limit of a number.")
    most: float | None = Field(description="Upper limit of a number.")
    editable: bool = Field(description="Whether it may be changed here.")
    read_by: list[str] = Field(description="Services to start again after a change; empty: none.")


class SettingsModel(BaseModel):
    """The whole configuration."""

    file: str | None = Field(description="Its file; null: there is none.")
    digest: str = Field(description="Names the content of the file; a change must give it.")
    writable: bool = Field(description="Whether the dashboard may write the file.")
    problem: str = Field(description="What is wrong with the file; empty: nothing.")
    settings: list[SettingModel] = Field(description="Every key, in the order of the file.")
    rules: list[dict[str, Any]] = Field(description="Rules of alerts, as they are written.")


class SettingsChange(BaseModel):
    """The requested change of the configuration."""

    model_config = ConfigDict(extra="forbid")

    digest: str = Field(max_length=64, description="Of the file that was looked at.")
    changes: dict[str, Any] = Field(
        min_length=1,
        max_length=200,
        description="New values by key; null leaves a key out; alerts.rule is the list of all "
        "rules.",
    )


class SettingsChangeModel(BaseModel):
    """A change that was checked, and perhaps written."""

    difference: list[str] = Field(description="Changed lines, with - and + before them.")
    restart: str = Field(
        description="The command after which it counts; empty: the services read it by themselves."
    )
    command: str = Field(description="The command that makes the same change.")
    copy_of_before: str = Field(description="Where the file of before lies; empty: not written.")


def _present(services: ServicesDep) -> configuration.PresentConfiguration:
    return configuration.read_present(services.options.config)


PresentDep = Annotated[configuration.PresentConfiguration, Depends(_present)]


def _with_right_types(wanted: SettingsChange) -> SettingsChange:
    configuration.refuse_other_types(wanted.changes)
    return wanted


JsonChangeDep = Annotated[SettingsChange, Depends(_with_right_types)]


@router.get("/api/v1/settings", operation_id="get_settings", responses=may_refuse(422))
def get_settings(present: PresentDep) -> SettingsModel:
    """Return every setting with value, source and description; no secret."""
    settings = [
        SettingModel(
            name=key.name,
            description=translate(key.description),
            kind=key.kind,
            value=present.values[key.name].value,
            default=None if key.secret else key.default,
            source=present.values[key.name].source,
            line=present.values[key.name].line,
            choices=list(key.choices),
            least=key.least,
            most=key.most,
            editable=key.is_editable,
            read_by=list(key.read_by),
        )
        for key in all_keys()
    ]
    return SettingsModel(
        file=str(present.file.path) if present.file else None,
        digest=present.file.digest if present.file else "",
        writable=present.is_writable,
        problem=present.problem,
        settings=settings,
        rules=present.rules,
    )


@router.post(
    "/api/v1/settings/difference", operation_id="preview_settings_change", responses=may_refuse(409)
)
@refuses_by("what each setting may be, beside the others")
def get_difference(present: PresentDep, wanted: JsonChangeDep) -> SettingsChangeModel:
    """Check a change and return what it would do to the file; nothing is written."""
    change = configuration.planned(present, wanted.digest, wanted.changes)
    return _change_model(change)


@router.patch("/api/v1/settings", operation_id="change_settings", responses=may_refuse(409))
@refuses_by("what each setting may be, beside the others")
def patch_settings(
    present: PresentDep, services: ServicesDep, account: AccountDep, wanted: JsonChangeDep
) -> SettingsChangeModel:
    """Write a change into the file; the services use it after `restart`, if that is not empty."""
    change = configuration.planned(present, wanted.digest, wanted.changes)
    copy = configuration.write(present, change)
    services.alerts.take_written()
    services.notes.note(account.name, "settings_change", change.told())
    return _change_model(change, str(copy))


def _change_model(change: configuration.ConfigurationChange, copy: str = "") -> SettingsChangeModel:
    return SettingsChangeModel(
        difference=change.lines, restart=change.restart, command=change.command, copy_of_before=copy
    )


@router.get(PAGE, include_in_schema=False)
def settings_page(request: Request, present: PresentDep) -> Response:
    """Show every setting with its value, and fields for those that may be changed.

    A form that was refused keeps what was typed, unless the file was changed meanwhile: then the
    fields of before would undo that.
    """
    refused = refused_of(request)
    fields = configuration.fields_of(present)
    if present.file is not None and refused.value("digest") == present.file.digest:
        changes = configuration.changes_of(present, refused.values)
        fields |= {name: configuration.text_of(value) for name, value in changes.items()}
        refused = replace(refused, problems=_beside_keys(refused.problems, changes))
    return render(
        request,
        "settings.html",
        refused=refused,
        present=present,
        fields=fields,
        sections=_sections(),
        variable_of=variable_of,
        text_of=configuration.text_of,
        section_names=configuration.SECTIONS,
    )


def _beside_keys(problems: Mapping[str, str], names: Iterable[str]) -> dict[str, str]:
    """Return each line of the problems beside the key that it names."""
    lines: dict[str, list[str]] = {}
    for line in "\n".join(problems.values()).splitlines():
        name = next((name for name in names if f" {name} = " in line and name != RULES), "")
        lines.setdefault(name, []).append(line)
    return {name: "\n".join(told) for name, told in lines.items()}


@router.get(f"{PAGE}/file", include_in_schema=False)
def file_page(request: Request, present: PresentDep) -> Response:
    """Show the settings that can only be changed in the file, with their values."""
    return render(
        request,
        "settings_file.html",
        present=present,
        sections=_sections(),
        text_of=configuration.text_of,
    )


def _sections() -> dict[str, list[Any]]:
    """Return all keys but the rules by section, in the order of the file."""
    sections: dict[str, list[Any]] = {}
    for key in all_keys():
        if key.name != RULES:
            sections.setdefault(key.section, []).append(key)
    return sections


async def _sent_fields(request: Request) -> dict[str, str]:
    form = await request.form(max_files=0, max_fields=_MOST_FIELDS)
    return {name: value for name, value in form.items() if isinstance(value, str)}


@router.post(PAGE, include_in_schema=False, dependencies=[form_of(PAGE)])
def review_page(
    request: Request, present: PresentDep, sent: Annotated[dict[str, str], Depends(_sent_fields)]
) -> Response:
    """Show the changes that a form would make in the file, before writing them."""
    changes = configuration.changes_of(present, sent)
    return show_change(request, present, sent.get("digest", ""), changes, back=PAGE)


def show_change(
    request: Request,
    present: configuration.PresentConfiguration,
    digest: str,
    changes: Mapping[str, Any],
    *,
    back: str,
) -> Response:
    """Show what changes would do to the file; nothing is written.

    Args:
        request: what was sent.
        present: the configuration as it stands.
        digest: of the file that somebody looked at.
        changes: new values by key.
        back: the page with the form.

    Raises:
        ConfigError: nothing would change, or it cannot.
    """
    if not changes:
        raise ConfigError(_NOTHING_CHANGED)
    wanted = SettingsChange.model_construct(digest=digest, changes=dict(changes))
    return render(
        request,
        "settings_review.html",
        present=present,
        change=get_difference(present, wanted),
        changes=json.dumps(wanted.changes),
        back=back,
    )


class ReviewedForm(BaseModel):
    """A change that was shown before; its values are JSON."""

    digest: str = ""
    changes: str = ""

    def change(self) -> SettingsChange:
        """Return the change; it is checked once more, since it went through the browser."""
        return SettingsChange(digest=self.digest, changes=_JSON.validate_python(self.changes))


@router.post(f"{PAGE}/save", include_in_schema=False, dependencies=[form_of(PAGE, ReviewedForm)])
def save_page(
    present: PresentDep,
    services: ServicesDep,
    account: AccountDep,
    form: Annotated[ReviewedForm, Form()],
) -> Response:
    """Write a change that was shown before, and lead to the page that says so: one that can be
    loaded again.
    """
    wanted = form.change()
    patch_settings(present, services, account, wanted)
    told = {"restart": restarts(wanted.changes), "rules": set(wanted.changes) == {RULES}}
    return RedirectResponse(f"{SAVED}?{urlencode(told, doseq=True)}", 303)


@router.get(SAVED, include_in_schema=False)
def saved_page(
    request: Request,
    present: PresentDep,
    services: ServicesDep,
    restart: Annotated[list[str], Query(max_length=8)] = [],  # noqa: B006 - FastAPI copies it
    *,
    rules: bool = False,
) -> Response:
    """Say that a change was written, and what makes it count."""
    copy = copy_of_before(present.file.path) if present.file else None
    if copy is None or not copy.exists():
        return RedirectResponse(PAGE, 303)
    return render(
        request,
        "settings_saved.html",
        present=present,
        copy=copy,
        restart=configuration.restart_of([one for one in (AGENT, DASHBOARD) if one in restart]),
        back="/alerts" if rules else PAGE,
        first_steps=services.first_steps.is_open(),
    )
