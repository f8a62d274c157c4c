"""The study of a request: that of this appliance, or that of a device of a fleet."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Any, TypeVar, cast
from urllib.parse import urlencode

from fastapi import Depends, HTTPException, Query, Request
from pydantic import Field, ValidationError

from dashboard.analysis.query import Model, describe
from dashboard.languages.current import gettext
from dashboard.languages.names import said_of
from dashboard.web.services import Services, services
from edge_agent.core.errors import StatisticsError, StoreError
from edge_agent.timeline.read.reader import Reader
from edge_agent.timeline.read.sites import Sites, reader_of
from edge_agent.timeline.study.sessions import Study

PARAMETER = "device"
DEVICE_TEXT = (
    "With dashboard.source: whose study; left out: the only device there is. Without it: empty"
)
DEVICES_TEXT = f"{DEVICE_TEXT}. Repeated: these devices are sites of one study"
_Question = TypeVar("_Question", bound=Model)
_Sheet = TypeVar("_Sheet")
MOST_DEVICES = 16
"""How many studies a question of a page may take; a command takes any number."""
Device = Annotated[str, Query(alias=PARAMETER, max_length=200, description=DEVICE_TEXT)]
Devices = Annotated[
    list[str], Query(alias=PARAMETER, max_length=MOST_DEVICES, description=DEVICES_TEXT)
]


@dataclass(frozen=True, slots=True)
class ChosenStudy:
    """A study, and how pages and programs name it.

    Attributes:
        sites: name and file of each device: the appliance's own without a name, or copies that are
            there as long as the request.
        devices: the devices to choose from; ``None`` on an appliance.
        several: whether several may be chosen.
    """

    sites: Sites
    devices: tuple[str, ...] | None = None
    several: bool = False

    @property
    def chosen(self) -> tuple[str, ...]:
        """The devices of the study; empty for this appliance's study."""
        return tuple(name for name, _ in self.sites if name)

    @property
    def device(self) -> str:
        """The names of the devices, as text; empty for this appliance's study."""
        return ", ".join(self.chosen)

    @property
    def database(self) -> Path:
        """The file of the only device."""
        return self.sites[0][1]

    @property
    def reader(self) -> Reader:
        """The reader of the study; for several devices, of what an analysis needs."""
        return reader_of(self.sites)

    @property
    def study(self) -> Study:
        """The participants and sessions, read-only: a device's database here is a copy."""
        return Study(self.database)

    def address(self, path: str) -> str:
        """Return an address of this dashboard with the device, where there is one."""
        return with_devices(path, self.chosen)

    def named(self, what: str) -> str:
        """Return the name for something of this study in the audit trail."""
        return f"{self.device}: {what}" if self.device else what


def with_devices(path: str, devices: Sequence[str]) -> str:
    """Return an address of this dashboard with the devices that it is about."""
    if not devices:
        return path
    # The part behind "#" stays last, or it would swallow the query.
    before, mark, part = path.partition("#")
    joined = "&" if "?" in before else "?"
    return f"{before}{joined}{urlencode({PARAMETER: devices}, doseq=True)}{mark}{part}"


class OfDevice(Model):
    """The devices that a question is about, as query parameters beside it."""

    device: list[str] = Field([], max_length=MOST_DEVICES, description=DEVICES_TEXT)


def question_in(asked: _Question, model: type[_Question]) -> _Question:
    """Return the question alone, without the devices beside it."""
    fields = {name: getattr(asked, name) for name in model.model_fields}
    made = model.model_construct(asked.model_fields_set - {PARAMETER}, **fields)
    return cast("_Question", made)


def answer_page(
    request: Request,
    default: _Question,
    read: Callable[[list[tuple[str, str]]], _Question],
    compute: Callable[[_Question], _Sheet],
) -> tuple[_Question, _Sheet | None, str]:
    """Read the question in a page's address and answer it.

    Args:
        request: of the page.
        default: the question of the form beside which a wrong question is told.
        read: makes the question of the fields that are not about devices.
        compute: answers it.

    Returns:
        The question, its answer or ``None``, and what is wrong with the question or empty.
    """
    query = default
    fields = [field for field in request.query_params.multi_items() if field[0] != PARAMETER]
    try:
        query = read(fields)
        return query, compute(query), ""
    except ValidationError as error:
        return query, None, " ".join(describe(error))
    except StatisticsError as error:
        return query, None, said_of(error)


class DeviceNeededError(Exception):
    """A page cannot show anything yet: choose a device, or the study of this one cannot be read.

    Attributes:
        offered: the devices to choose from, and those that were chosen.
        problem: why it cannot be shown; empty where none was chosen.
        status: of the answer.
    """

    def __init__(
        self, offered: ChosenStudy, problem: str = "", status: HTTPStatus = HTTPStatus.OK
    ) -> None:
        super().__init__(problem or "choose a device")
        self.offered = offered
        self.problem = problem
        self.status = status


def _chosen_study(request: Request, device: Device = "") -> Iterator[ChosenStudy]:
    """Provide the study during a request; ``render`` uses it as well."""
    yield from _lent(request, [device] if device else [], several=False)


def _chosen_studies(
    request: Request,
    device: Devices = [],  # noqa: B006 - FastAPI copies it
) -> Iterator[ChosenStudy]:
    """Provide the studies of one or several devices during a request."""
    yield from _lent(request, [one for one in device if one], several=True)


def _lent(request: Request, devices: Sequence[str], *, several: bool) -> Iterator[ChosenStudy]:
    with ExitStack() as until_answered:
        request.state.study = _study_of(services(request), devices, until_answered, several)
        yield request.state.study


def _study_of(
    shared: Services, devices: Sequence[str], until_answered: ExitStack, several: bool
) -> ChosenStudy:
    copies = shared.copies
    if shared.fleet is None or copies is None:
        if devices:
            text = gettext("device = {device}: this dashboard shows one appliance. Leave it out.")
            raise HTTPException(404, text.format(device=devices[0]))
        return ChosenStudy((("", shared.options.database),))
    from dashboard.fleet.postgres import device_names  # psycopg: only with dashboard.source

    names = tuple(device_names(shared.fleet))
    # With a single device there is nothing to choose.
    wanted = sorted(set(devices)) or (names if len(names) == 1 else ())
    # For the page that asks to choose; no path of it is ever read.
    offered = ChosenStudy(tuple((name, Path()) for name in wanted), names, several)
    if not wanted:
        raise DeviceNeededError(offered)
    for unknown in (one for one in wanted if one not in names):
        text = gettext("device = {device}: no such device has sent a timeline. See the page Fleet.")
        raise DeviceNeededError(offered, text.format(device=unknown), HTTPStatus.NOT_FOUND)
    try:
        sites = until_answered.enter_context(copies.lend_all(wanted))
    except StoreError as error:
        raise DeviceNeededError(offered, said_of(error), HTTPStatus.SERVICE_UNAVAILABLE) from error
    return ChosenStudy(sites, names, several)


def study_shown(request: Request) -> ChosenStudy:
    """Return the study that a page shows; this appliance's on pages about something else."""
    shown = getattr(request.state, "study", None)
    return cast("ChosenStudy", shown or ChosenStudy((("", services(request).options.database),)))


async def _refuse_on_fleet(request: Request) -> None:
    if services(request).fleet is not None:
        raise HTTPException(
            409,
            gettext(
                "This dashboard shows many devices and cannot change them. Use the device’s own "
                "dashboard."
            ),
        )


ChosenStudyDep = Annotated[ChosenStudy, Depends(_chosen_study)]
ChosenStudiesDep = Annotated[ChosenStudy, Depends(_chosen_studies)]
APPLIANCE_ONLY: Any = Depends(_refuse_on_fleet)
"""Of routes that write to the study or steer the agent: a fleet is only read."""
