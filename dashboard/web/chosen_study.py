"""Which study a request is about: that of this appliance, or that of a device of a fleet."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, cast
from urllib.parse import urlencode

from fastapi import Depends, HTTPException, Query, Request
from pydantic import Field

from dashboard.analysis.request import AnalysisQuery
from dashboard.languages.current import gettext
from dashboard.languages.names import said_of
from dashboard.web.services import Services, services
from edge_agent.core.errors import StoreError
from edge_agent.store.read.reader import Reader
from edge_agent.store.study.study import Study

PARAMETER = "device"
DEVICE_TEXT = (
    "With dashboard.source: whose study; left out: the only device there is. Without it: empty"
)
Device = Annotated[str, Query(alias=PARAMETER, max_length=200, description=DEVICE_TEXT)]


@dataclass(frozen=True, slots=True)
class ChosenStudy:
    """A study, and how pages and programs name it.

    Attributes:
        database: its file: the appliance's own, or a copy that is there as long as the request.
        device: whose it is; empty: this appliance's.
        devices: the devices to choose from; ``None`` on an appliance.
    """

    database: Path
    device: str = ""
    devices: tuple[str, ...] | None = None

    @property
    def reader(self) -> Reader:
        """Reads it."""
        return Reader(self.database)

    @property
    def study(self) -> Study:
        """Its participants and sessions; for reading, for a copy is deleted again."""
        return Study(self.database)

    def address(self, path: str) -> str:
        """Return an address of this dashboard with the device, where there is one."""
        if not self.device:
            return path
        before, mark, part = path.partition("#")
        joined = "&" if "?" in before else "?"
        return f"{before}{joined}{urlencode({PARAMETER: self.device})}{mark}{part}"

    def named(self, what: str) -> str:
        """Return what the audit trail calls something of this study."""
        return f"{self.device}: {what}" if self.device else what


class QuestionOfDevice(AnalysisQuery):
    """The question of an analysis as an address asks it, beside the device that it is about."""

    device: str = Field("", max_length=200, description=DEVICE_TEXT)

    def question(self) -> AnalysisQuery:
        """Return the question alone."""
        fields = {name: getattr(self, name) for name in AnalysisQuery.model_fields}
        return AnalysisQuery.model_construct(self.model_fields_set - {PARAMETER}, **fields)


class DeviceNeededError(Exception):
    """A page can show nothing yet: a device is to be chosen, or this one's study cannot be read.

    Attributes:
        devices: to choose from.
        device: the one that was chosen; empty: none was.
        problem: why it cannot be shown; empty where none was chosen.
        status: of the answer.
    """

    def __init__(self, devices: tuple[str, ...], device: str, problem: str, status: int) -> None:
        super().__init__(problem or "choose a device")
        self.devices = devices
        self.device = device
        self.problem = problem
        self.status = status


def _chosen_study(request: Request, device: Device = "") -> Iterator[ChosenStudy]:
    """Lend the study for the length of a request; ``render`` finds it there as well."""
    shared = services(request)
    with ExitStack() as until_answered:
        request.state.study = _study_of(shared, device, until_answered)
        yield request.state.study


def _study_of(shared: Services, device: str, until_answered: ExitStack) -> ChosenStudy:
    copies = shared.copies
    if shared.fleet is None or copies is None:
        if device:
            text = gettext("device = {device}: this dashboard shows one appliance. Leave it out.")
            raise HTTPException(404, text.format(device=device))
        return ChosenStudy(shared.options.database)
    from dashboard.fleet.device_reader import device_names  # psycopg: only with dashboard.source

    names = tuple(device_names(shared.fleet))
    if not device:
        if len(names) != 1:
            raise DeviceNeededError(names, "", "", 200)
        device = names[0]
    if device not in names:
        text = gettext("device = {device}: no such device has sent a timeline. See the page Fleet.")
        raise DeviceNeededError(names, device, text.format(device=device), 404)
    try:
        path = until_answered.enter_context(copies.lend(device))
    except StoreError as error:
        raise DeviceNeededError(names, device, said_of(error), 503) from error
    return ChosenStudy(path, device, names)


def study_shown(request: Request) -> ChosenStudy:
    """Return the study that a page shows; this appliance's on pages about something else."""
    shown = getattr(request.state, "study", None)
    return cast("ChosenStudy", shown or ChosenStudy(services(request).options.database))


def _refuse_on_fleet(request: Request) -> None:
    if services(request).fleet is not None:
        raise HTTPException(
            409,
            gettext(
                "This dashboard shows many devices and changes nothing on them. Do this on the "
                "device’s own dashboard."
            ),
        )


ChosenStudyDep = Annotated[ChosenStudy, Depends(_chosen_study)]
APPLIANCE_ONLY: Any = Depends(_refuse_on_fleet)
"""Of routes that write to the study or steer the agent: a fleet is only read."""
