"""The protocols of the appliance: the list, a protocol's steps and their forms, and each screen as
the participant sees it.

A change is one of the protocol's text (``dashboard.protocols.editing``), which is checked before it
is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from secrets import compare_digest, token_urlsafe
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Form, HTTPException, Query, Request
from fastapi.responses import FileResponse, RedirectResponse, Response
from pydantic import BaseModel, ConfigDict, Field, create_model
from starlette.background import BackgroundTask
from starlette.concurrency import run_in_threadpool

from dashboard.accounts.roles import MAY, Permission
from dashboard.languages.current import gettext
from dashboard.languages.names import said_of, translate
from dashboard.protocols import controls, editing
from dashboard.protocols.experiments import FORBIDDEN, key_of
from dashboard.protocols.experiments import PAGE as PAGE_OF_EXPERIMENT
from dashboard.protocols.file import (
    MOST_STEPS,
    Order,
    ProtocolError,
    StudyProtocol,
    belongs,
    load_protocol,
)
from dashboard.protocols.library import ProtocolOrigin, media_named, sha256_of
from dashboard.protocols.manikins import figures
from dashboard.protocols.media import MediaKind, endings, find_media, media_type
from dashboard.protocols.screens import find_parted, screens_of
from dashboard.protocols.steps import BY_NAME, KIND_OF, STEP_KINDS, Practised, StepBase, StepKind
from dashboard.protocols.texts import Scale
from dashboard.web import schemas
from dashboard.web.authentication import AccountDep
from dashboard.web.chosen_study import APPLIANCE_ONLY
from dashboard.web.errors import may_refuse
from dashboard.web.forms import form_of
from dashboard.web.guards.permissions import needs
from dashboard.web.guards.security import LARGER
from dashboard.web.rendering import render
from dashboard.web.routes.protocol import ORIGINS, UPLOAD, framed_file, list_page, shown_screen
from dashboard.web.services import OptionsDep, Services, ServicesDep
from edge_agent.core.brought_values import ValuesError, parse_toml
from edge_agent.core.texts import N_

PAGE = "/protocols"
OF_ONE = f"{PAGE}/{{name}}"
router = APIRouter(tags=["protocol"], dependencies=[needs(Permission.RUN), APPLIANCE_ONLY])
changing = APIRouter(tags=["protocol"], dependencies=[needs(Permission.STUDY), APPLIANCE_ONLY])
framed = APIRouter(
    prefix="/participate/preview", include_in_schema=False, dependencies=[needs(Permission.OPEN)]
)
_PREVIEWS = token_urlsafe(32)
"""A secret of this process, from which the keys of previews follow."""
ORDERS = {
    Order.GIVEN: N_("as listed"),
    Order.COUNTERBALANCED: N_("counterbalanced over the participants"),
    Order.RANDOM: N_("random in each run"),
}
_FIRST_TEXT = N_("Welcome. Please look at what is shown as you would at home.")
_REPLACED_LATER = N_("This protocol is running. Replace it afterwards.")
_FILE = {"schema": {"type": "string", "format": "binary"}}
_MOST = 10_000
_OF_NO_FILE = ("label", "text", "seconds")
"""Keys of the example that a stimulus with a file must not keep."""
Was = Annotated[str, Field(max_length=64)]
StepPlace = Annotated[int, Field(ge=0, le=1_000)]
_Typed = list[Annotated[str, Field(max_length=_MOST)]]
_STEP_FIELDS: dict[str, Any] = {"was": (Was, "")} | {key: (_Typed, []) for key in controls.KEYS}
StepForm = create_model("StepForm", __config__=ConfigDict(extra="forbid"), **_STEP_FIELDS)
"""Every key that some kind of step has."""


@dataclass(frozen=True, slots=True)
class ShownStep:
    """A step of the list.

    Attributes:
        kind: its entry in the register.
        step: the step.
        screen: number of its first screen in the given order, for the preview.
        up: place, from 0, where it goes by a move up; ``None``: it is the first.
        down: the same by a move down; ``None``: it is the last.
    """

    kind: StepKind
    step: StepBase
    screen: int
    up: int | None
    down: int | None

    @property
    def practice(self) -> bool:
        """True for practice."""
        return isinstance(self.step, Practised) and self.step.practice

    @property
    def belongs(self) -> bool:
        """True where it belongs to the stimulus before it."""
        return belongs(self.step)

    @property
    def says(self) -> str:
        """Words that tell it from the others."""
        names = ("label", *MediaKind, "ask", "text")
        given = [str(getattr(self.step, name, None) or "") for name in names]
        return " · ".join(one for one in given if one)[:160]

    @property
    def seconds(self) -> float | None:
        """Time for which it stands; ``None``: until somebody goes on."""
        seconds: float | None = getattr(self.step, "seconds", None)
        return seconds


class SentForm(BaseModel):
    """A form: what is not known is refused."""

    model_config = ConfigDict(extra="forbid")


class NewProtocol(SentForm):
    """A new protocol."""

    title: str = Field(min_length=1, max_length=80)


class ChosenStep(SentForm):
    """A step by its place, from 0, and the place where it goes."""

    place: StepPlace
    target: StepPlace = 0
    was: Was


class CopiedSteps(SentForm):
    """Steps by their places, from 0, and the step that their copies come behind."""

    step: list[StepPlace] = Field([], max_length=MOST_STEPS)
    behind: Literal["stimuli"] | StepPlace
    was: Was


class ChosenFile(SentForm):
    """A picture, sound, video or experiment by its name."""

    file: str = Field(min_length=1, max_length=200)


class WholeText(SentForm):
    """The text of a protocol."""

    text: str = Field(max_length=200_000)
    was: Was


class KeptText(SentForm):
    """The text of a protocol as it was."""

    was: Was


class ProtocolHead(SentForm):
    """Fields that stand above all steps."""

    title: str = Field(max_length=200)
    order: Order
    blocks: Order
    was: Was


def _protocol_place(options: OptionsDep, name: str) -> tuple[ProtocolOrigin, Path]:
    """Return where a protocol lies; answer 404 for an unknown one."""
    try:
        return options.library.place_of(name)
    except ProtocolError as error:
        raise HTTPException(404, said_of(error)) from error


PlaceDep = Annotated[tuple[ProtocolOrigin, Path], Depends(_protocol_place)]


@router.get(PAGE, include_in_schema=False)
def protocols_page(request: Request, services: ServicesDep) -> Response:
    """Show all protocols, and how one is made or brought."""
    return list_page(request, services)


@changing.post(f"{PAGE}/new", include_in_schema=False, dependencies=[form_of(PAGE, NewProtocol)])
def make_protocol(
    services: ServicesDep, account: AccountDep, form: Annotated[NewProtocol, Form()]
) -> Response:
    """Make a protocol with one step."""
    text = editing.with_head("", {"title": form.title})
    values = {"kind": "instruction", "text": gettext(_FIRST_TEXT)}
    name = services.options.library.add(form.title, editing.with_new_step(text, 0, values))
    return _lead_back(services, account.name, name)


@changing.post(
    UPLOAD,
    operation_id="upload_protocol",
    status_code=201,
    responses=may_refuse(400, 413),
    openapi_extra={
        "requestBody": {
            "required": True,
            "description": "The content of the file; any other content type is taken as well",
            "content": {"application/octet-stream": _FILE},
        }
    },
)
async def upload(
    request: Request,
    services: ServicesDep,
    account: AccountDep,
    file: Annotated[str, Query(min_length=1, max_length=200, description="Name of the file")],
    to: Annotated[
        str, Query(max_length=64, description="Protocol that a picture, sound or video is for")
    ] = "",
    replace: Annotated[
        bool, Query(description="With `to`: replace a file of this name, unless the protocol runs")
    ] = False,
) -> schemas.UploadedFileModel:
    """Add a protocol: a TOML file, or a ZIP file of one and its media; with `to`, a medium.

    Without `replace` nothing is replaced: a name that is taken gets a number. A ZIP file with a
    page `index.html` is an experiment, a program, which only an administrator may bring. 400 says
    what is wrong, with key, value and line; nothing is kept then.
    """
    library = services.options.library
    name = file.replace("\\", "/").rpartition("/")[2]
    programs = Permission.ADMINISTER in MAY[account.role]
    replace = replace and to != "" and name in library.media_of(to)
    if replace:
        _check_rest(services, to, _REPLACED_LATER)
    sent = await run_in_threadpool(library.incoming)
    try:
        size = request.headers.get("content-length", "")
        library.check_space(int(size[:18]) if size.isdecimal() else LARGER[UPLOAD])
        with sent.open("xb") as target:
            async for chunk in request.stream():
                await run_in_threadpool(library.write, target, chunk)
        if to:
            if replace:  # it may have begun while the file was sent
                _check_rest(services, to, _REPLACED_LATER)
            added = await run_in_threadpool(
                partial(library.add_media, to, name, sent, programs=programs, replaces=replace)
            )
        else:
            added = await run_in_threadpool(
                partial(library.add_upload, name, sent, programs=programs)
            )
    finally:
        sent.unlink(missing_ok=True)
    await run_in_threadpool(services.notes.note, account.name, "protocol_change", to or added)
    notices = await run_in_threadpool(library.notices, to or added)
    if to:
        notices = {name: texts for name, texts in notices.items() if name == added}
    said = [f"{name}: {translate(one)}" for name, texts in notices.items() for one in texts]
    return schemas.UploadedFileModel(name=added, notices=[_limits(), *said] if notices else [])


@router.get(OF_ONE, include_in_schema=False)
def protocol_file_page(
    request: Request, options: OptionsDep, name: str, place: PlaceDep, at: StepPlace | None = None
) -> Response:
    """Show the steps of a protocol; where it may be changed, with what changes them.

    ``at`` is the place that a new step would have.
    """
    origin, path = place
    try:
        protocol, problem = load_protocol(path), ""
    except ProtocolError as error:
        protocol, problem = None, said_of(error)
    text = path.read_text(encoding="utf-8-sig", errors="replace")
    return render(
        request,
        "protocol_file.html",
        name=name,
        protocol=protocol,
        problem=problem,
        steps=list(_steps(protocol, _tables(text))) if protocol else [],
        at=at,
        is_own=origin is ProtocolOrigin.OWN,
        origin=ORIGINS[origin],
        orders=ORDERS,
        kinds=STEP_KINDS,
        media=options.library.media_of(name),
        names_twice=options.library.names_twice(name),
        notices={
            file: [translate(one) for one in texts]
            for file, texts in options.library.notices(name).items()
        },
        limits=_limits(),
        parted=find_parted(protocol) if protocol else None,
        named=media_named(protocol) if protocol else options.library.media_of(name),
        text=text,
        was=sha256_of(path),
        accept=",".join(endings(kind).replace(" ", "") for kind in MediaKind),
    )


@changing.post(f"{OF_ONE}/copy", include_in_schema=False, dependencies=[form_of(OF_ONE)])
def copy_protocol(services: ServicesDep, account: AccountDep, name: str) -> Response:
    """Copy a protocol, so that the copy can be changed."""
    return _lead_back(services, account.name, services.options.library.copy(name))


@changing.post(f"{OF_ONE}/remove", include_in_schema=False, dependencies=[form_of(OF_ONE)])
def remove_protocol(services: ServicesDep, account: AccountDep, name: str) -> Response:
    """Delete a protocol that was made here, unless it runs."""
    _check_rest(
        services, name, N_("This protocol is running. Remove it when its session has ended.")
    )
    services.options.library.remove(name)
    services.notes.note(account.name, "protocol_change", name)
    return RedirectResponse(PAGE, 303)


@changing.post(
    f"{OF_ONE}/media/drop", include_in_schema=False, dependencies=[form_of(OF_ONE, ChosenFile)]
)
def drop_media(
    services: ServicesDep, account: AccountDep, name: str, form: Annotated[ChosenFile, Form()]
) -> Response:
    """Delete a picture, sound, video or experiment that no step names."""
    _check_rest(
        services, name, N_("This protocol is running. Remove it when its session has ended.")
    )
    services.options.library.drop_media(name, form.file)
    return _lead_back(services, account.name, name, "#media-title")


@changing.post(
    f"{OF_ONE}/head", include_in_schema=False, dependencies=[form_of(OF_ONE, ProtocolHead)]
)
def change_head(
    services: ServicesDep, account: AccountDep, name: str, form: Annotated[ProtocolHead, Form()]
) -> Response:
    """Change title and orders."""
    values: dict[str, Any] = {"title": form.title.strip()}
    for key in ("order", "blocks"):
        order = getattr(form, key)
        # What the file does not say is the given order.
        values[key] = None if order is Order.GIVEN else order.value
    return _edit(
        services, account.name, name, form.was, lambda text: editing.with_head(text, values)
    )


@changing.post(f"{OF_ONE}/text", include_in_schema=False, dependencies=[form_of(OF_ONE, WholeText)])
def change_text(
    services: ServicesDep, account: AccountDep, name: str, form: Annotated[WholeText, Form()]
) -> Response:
    """Change the file as a whole."""
    text = form.text.replace("\r\n", "\n")
    return _edit(services, account.name, name, form.was, lambda _: text)


@changing.post(f"{OF_ONE}/move", include_in_schema=False, dependencies=[form_of(OF_ONE)])
def move_step(
    services: ServicesDep, account: AccountDep, name: str, form: Annotated[ChosenStep, Form()]
) -> Response:
    """Move a step to another place."""

    def move(text: str) -> tuple[str, str]:
        place = _check_place(text, form.place)
        landed = editing.landing(_tables(text), place, form.target)
        return editing.moved_step(text, place, form.target), f"#step-{landed + 1}"

    return _edit(services, account.name, name, form.was, move)


@changing.post(
    f"{OF_ONE}/repeat", include_in_schema=False, dependencies=[form_of(OF_ONE, CopiedSteps)]
)
def copy_steps(
    services: ServicesDep, account: AccountDep, name: str, form: Annotated[CopiedSteps, Form()]
) -> Response:
    """Copy steps behind another step, or behind each stimulus that does not have them."""
    if not form.step:
        raise ProtocolError(N_("Tick the steps to copy."))

    def copy(text: str) -> tuple[str, str]:
        chosen = [_check_place(text, place) for place in sorted(set(form.step))]
        if form.behind == "stimuli":
            copies = editing.behind_each_stimulus(text, chosen)
            steps = [_tables(text)[place] for place in chosen]
            copied = editing.belonging(editing.with_copies(text, copies), steps)
        else:
            copies = {_check_place(text, form.behind): chosen}
            copied = editing.with_copies(text, copies)
        return editing.free_strays(copied), f"#step-{min(copies) + 2}"

    return _edit(services, account.name, name, form.was, copy)


@changing.post(f"{OF_ONE}/keep", include_in_schema=False, dependencies=[form_of(OF_ONE, KeptText)])
def keep_together(
    services: ServicesDep, account: AccountDep, name: str, form: Annotated[KeptText, Form()]
) -> Response:
    """Let what is asked behind each stimulus belong to it, so that no order parts them."""
    return _edit(services, account.name, name, form.was, editing.belonging, "#steps")


@changing.post(f"{OF_ONE}/drop", include_in_schema=False, dependencies=[form_of(OF_ONE)])
def drop_step(
    services: ServicesDep, account: AccountDep, name: str, form: Annotated[ChosenStep, Form()]
) -> Response:
    """Take a step out."""
    return _edit(
        services,
        account.name,
        name,
        form.was,
        lambda text: editing.without_step(text, _check_place(text, form.place)),
        "#steps",
    )


@changing.get(f"{OF_ONE}/add", include_in_schema=False)
def new_step_page(
    request: Request,
    options: OptionsDep,
    name: str,
    place: PlaceDep,
    kind: str = "",
    at: StepPlace = MOST_STEPS,
) -> Response:
    """Show the form of a new step, with an example in it.

    Not of a stimulus where there are files: a text beside a film would be refused.
    """
    entry = _kind(kind)
    example = parse_toml(entry.example)
    if kind == "stimulus" and any(options.library.media_of(name, one) for one in MediaKind):
        example = {key: value for key, value in example.items() if key not in _OF_NO_FILE}
    text = place[1].read_text(encoding="utf-8-sig", errors="replace")
    example |= editing.place_of_new(text, kind, at)
    return _step_page(request, options, name, entry, place[1], example, at=at)


@changing.post(f"{OF_ONE}/add", include_in_schema=False, dependencies=[form_of(f"{OF_ONE}/add")])
def add_step(
    services: ServicesDep,
    account: AccountDep,
    name: str,
    form: Annotated[StepForm, Form()],
    kind: str = "",
    at: StepPlace = MOST_STEPS,
) -> Response:
    """Add a step at a place, or behind the last one."""
    given = form.model_dump()
    values = controls.values_of(_kind(kind), given, {})

    def add(text: str) -> tuple[str, str]:
        is_last = at >= len(_tables(text))
        added, place = editing.with_step_at(text, at, values)
        return added, "#steps-end" if is_last else f"#step-{place + 1}"

    return _edit(services, account.name, name, given["was"], add)


@changing.get(f"{OF_ONE}/steps/{{place}}", include_in_schema=False)
def step_page(
    request: Request, options: OptionsDep, name: str, of: PlaceDep, place: StepPlace
) -> Response:
    """Show the form of a step."""
    path = of[1]
    tables = _tables(path.read_text(encoding="utf-8-sig", errors="replace"))
    if place >= len(tables):
        raise HTTPException(404)
    table = tables[place]
    entry = _kind(str(table.get("kind", "")))
    try:
        screen = _first_screens(load_protocol(path)).get(place + 1)
    except ProtocolError:
        screen = None
    only = len(tables) == 1
    return _step_page(
        request, options, name, entry, path, table, place=place, only=only, screen=screen
    )


@changing.post(
    f"{OF_ONE}/steps/{{place}}",
    include_in_schema=False,
    dependencies=[form_of(f"{OF_ONE}/steps/{{place}}")],
)
def change_step(
    services: ServicesDep,
    account: AccountDep,
    name: str,
    place: StepPlace,
    form: Annotated[StepForm, Form()],
) -> Response:
    """Change the values of a step."""
    given = form.model_dump()

    def change(text: str) -> str:
        table = _tables(text)[_check_place(text, place)]
        values = controls.values_of(_kind(str(table.get("kind", ""))), given, table)
        return editing.with_step(text, place, values)

    return _edit(services, account.name, name, given["was"], change, f"#step-{place + 1}")


@router.get(f"{OF_ONE}/download", include_in_schema=False, dependencies=[Depends(_protocol_place)])
def download(options: OptionsDep, name: str) -> Response:
    """Send a protocol as a ZIP file with the media that it names."""
    target = options.library.incoming()
    try:
        options.library.pack(name, target)
    except BaseException:
        target.unlink(missing_ok=True)
        raise
    return FileResponse(
        target,
        media_type="application/zip",
        filename=f"{name}.zip",
        background=BackgroundTask(target.unlink, missing_ok=True),
    )


@router.get(f"{OF_ONE}/preview/{{screen}}", include_in_schema=False)
def preview(request: Request, name: str, place: PlaceDep, screen: StepPlace) -> Response:
    """Show a screen as the participant sees it."""
    protocol = load_protocol(place[1])
    screens = screens_of(_as_listed(protocol))
    if screen >= len(screens):
        raise HTTPException(404)
    one = screens[screen]
    page = None
    if one.media is MediaKind.EXPERIMENT:
        key = _preview_key(name, screen)
        page = f"{framed.prefix}/{key}/{name}/{screen}/{PAGE_OF_EXPERIMENT}"
    return render(
        request,
        "participate.html",
        token="",
        texts=protocol.texts,
        figures=figures(),
        preview={
            "shown": shown_screen(one, one.text)
            | {"step": screen, "turn": 0, "start_ms": 0, "page": page},
            "address": f"{PAGE}/{name}/preview",
            "back": f"{PAGE}/{name}#step-{one.step}",
            "file": one.file,
            "number": screen + 1,
            "all": len(screens),
        },
    )


@router.get(f"{OF_ONE}/preview/media/{{screen}}", include_in_schema=False)
def preview_media(place: PlaceDep, screen: StepPlace) -> Response:
    """Send the file of a screen."""
    _, file = _media_at(place[1], screen)
    return FileResponse(file, media_type=media_type(file.name))


@framed.get("/{key}/{name}/{screen}/{file:path}")
def preview_experiment(
    options: OptionsDep, key: str, name: str, screen: StepPlace, file: str
) -> Response:
    """Send a file of an experiment to the frame of a preview, as to that of a session."""
    # As bytes: ``compare_digest`` refuses text beyond ASCII.
    if not compare_digest(_preview_key(name, screen).encode(), key.encode()):
        raise HTTPException(404)
    kind, archive = _media_at(_protocol_place(options, name)[1], screen)
    if kind is not MediaKind.EXPERIMENT:
        raise HTTPException(404)
    return framed_file(archive, file)


def _preview_key(name: str, screen: int) -> str:
    """Return the key in the addresses of a preview: its frame has no login."""
    return key_of(f"{_PREVIEWS} {name} {screen}")


def _media_at(path: Path, screen: int) -> tuple[MediaKind | None, Path]:
    """Return kind and place of the file of a screen; answer 404 where there is none."""
    screens = screens_of(_as_listed(load_protocol(path)))
    if screen >= len(screens) or not screens[screen].file:
        raise HTTPException(404)
    return screens[screen].media, find_media(path.parent, screens[screen].file)


def _limits() -> str:
    """Return a sentence about what the frame of an experiment forbids."""
    return gettext(
        "An experiment runs in a frame that forbids: {list}. The preview runs it in the same frame "
        "and says what was refused."
    ).format(list="; ".join(gettext(one) for one in FORBIDDEN.values()))


def _check_rest(services: Services, name: str, refusal: str) -> None:
    """Refuse what must not be done to a protocol that runs."""
    view = services.protocol_runner.view()
    if view is not None and not view.is_over and view.name == name:
        raise ProtocolError(refusal)


def _as_listed(protocol: StudyProtocol) -> StudyProtocol:
    """Return a protocol whose steps come as the file has them."""
    return replace(protocol, order=Order.GIVEN, blocks=Order.GIVEN)


def _first_screens(protocol: StudyProtocol) -> dict[int, int]:
    """Return the number of each step's first screen in the given order, by the step's."""
    first: dict[int, int] = {}
    for place, screen in enumerate(screens_of(_as_listed(protocol))):
        first.setdefault(screen.step, place)
    return first


def _steps(protocol: StudyProtocol, tables: list[dict[str, Any]]) -> Iterator[ShownStep]:
    first = _first_screens(protocol)
    for place, step in enumerate(protocol.steps):
        is_last = place + editing.run_of(tables, place) == len(tables)
        up = editing.landing(tables, place, place - 1) if place else None
        down = None if is_last else editing.landing(tables, place, place + 1)
        yield ShownStep(KIND_OF[type(step)], step, first[place + 1], up, down)


def _step_page(
    request: Request,
    options: OptionsDep,
    name: str,
    kind: StepKind,
    path: Path,
    table: dict[str, Any],
    **of: Any,
) -> Response:
    """Show the form of a step, or (``at``) of one that is not there yet."""
    media = {one.value: options.library.media_of(name, one) for one in MediaKind}
    return render(
        request,
        "protocol_step.html",
        name=name,
        kind=kind,
        fields=list(controls.fields_of(kind)),
        values=table,
        scales=list(Scale),
        media=media,
        was=sha256_of(path),
        **of,
    )


def _kind(name: str) -> StepKind:
    if name not in BY_NAME:
        raise HTTPException(404)
    return BY_NAME[name]


def _tables(text: str) -> list[dict[str, Any]]:
    """Return the steps of a text; none where it cannot be read."""
    try:
        steps = parse_toml(text).get("step", [])
    except ValuesError:
        return []
    return [one for one in steps if isinstance(one, dict)] if isinstance(steps, list) else []


def _check_place(text: str, place: int) -> int:
    if place >= len(_tables(text)):
        raise ProtocolError(N_("There is no such step any more. Open the protocol again."))
    return place


def _edit(
    services: Services,
    actor: str,
    name: str,
    was: str,
    change: Callable[[str], str | tuple[str, str]],
    anchor: str = "",
) -> Response:
    """Change the text of a protocol, and lead back to a place of its page.

    Args:
        services: of the dashboard.
        actor: who changes it.
        name: of the protocol.
        was: SHA-256 of the file that the change was made of.
        change: returns the new text, or the text and the place that is led back to.
        anchor: that place, where ``change`` names none.
    """
    library = services.options.library
    text = library.own_file(name).read_text(encoding="utf-8-sig").replace("\r\n", "\n")
    changed = change(text)
    if isinstance(changed, tuple):
        changed, anchor = changed
    library.save(name, changed, was)
    return _lead_back(services, actor, name, anchor)


def _lead_back(services: Services, actor: str, name: str, anchor: str = "") -> Response:
    services.notes.note(actor, "protocol_change", name)
    return RedirectResponse(f"{PAGE}/{name}{anchor}", 303)
