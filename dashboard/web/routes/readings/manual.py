"""Readings by hand, and how files and programs hand them in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated

from fastapi import APIRouter, Depends, Form, HTTPException, Query, Request
from fastapi.responses import RedirectResponse, Response

from dashboard.accounts.roles import Permission
from dashboard.languages.current import gettext, ngettext
from dashboard.languages.figures import general, thousands
from dashboard.languages.names import vital_label
from dashboard.languages.written import said
from dashboard.web.chosen_study import APPLIANCE_ONLY
from dashboard.web.guards.permissions import needs
from dashboard.web.login_guard import AccountDep
from dashboard.web.once import new_key
from dashboard.web.pages import NavigationEntry
from dashboard.web.rendering import render
from dashboard.web.services import Services, ServicesDep
from edge_agent.core import clock
from edge_agent.core.errors import ReadingError
from edge_agent.core.given_readings import (
    LEAST_PULSE_PRESSURE_MMHG,
    Origin,
    are_near,
    flag_near_pressures,
    reading_of,
)
from edge_agent.core.readings import DOUBTFUL, VitalFlag, VitalReading
from edge_agent.core.study import MarkerKind
from edge_agent.core.texts import N_
from edge_agent.core.vitals import PRESSURES, VitalKind
from edge_agent.store.intake.corrections import (
    ReadingKey,
    entered_readings,
    removed_readings,
)
from edge_agent.store.intake.imports import TakenReadings, taken_readings
from edge_agent.store.study.placement import Nearest, outside_sentence
from edge_agent.vitals.csv import MAX_FILE_BYTES

router = APIRouter(tags=["readings"], dependencies=[needs(Permission.RUN), APPLIANCE_ONLY])
NAVIGATION = NavigationEntry(
    title=N_("Readings"),
    path="/readings",
    position=40,
    icon="M12 21a6 6 0 006-6c0-4-6-11-6-11S6 11 6 15a6 6 0 006 6zM12 12v6M9 15h6",
    of="appliance",
)
PAGE = "/readings"
BY_HAND = tuple(kind for kind in VitalKind if kind.spec.by_hand)
NOTE_LENGTH = 80

TEXT_LENGTH = 200
RECENT = 20
_CHANGED = {
    "corrected": N_("The reading was corrected. What it was before is kept."),
    "removed": N_("The reading was removed. It counts nowhere any more; what it was is kept."),
}

Text = Annotated[str, Form(max_length=TEXT_LENGTH)]
Count = Annotated[int | None, Query(ge=0)]


@dataclass(frozen=True, slots=True)
class Entry:
    """What a person wrote into the form, and what is wrong with it, by field.

    ``doubts`` says what is implausible; it is stored only when the person confirms these values.
    """

    values: dict[str, str] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)
    doubts: list[str] = field(default_factory=list)

    @property
    def signature(self) -> str:
        """The values, as they are confirmed: other ones are asked about again."""
        given = {kind: self.values.get(kind) for kind in BY_HAND}
        return " ".join(f"{kind}={value}" for kind, value in given.items() if value)


@dataclass(frozen=True, slots=True)
class Notices:
    """What the page says of the request before it; empty texts are not shown.

    Attributes:
        message: what became of an entry.
        warning: what is odd about it.
        added: what an import added, by kind and source.
        entry: the form as it was filled in, with its problems.
        file_problem: why a file cannot be read.
        correction: of a reading, that was not taken yet.
    """

    message: str = ""
    warning: str = ""
    added: Sequence[TakenReadings] = ()
    entry: Entry = field(default_factory=Entry)
    file_problem: str = ""
    correction: Correction | None = None


@dataclass(frozen=True, slots=True)
class Correction:
    """A correction that was not taken yet: of which reading, its new value, and why not.

    ``confirmed`` is the value with which the form may come again although it is implausible; empty:
    it may not.
    """

    key: ReadingKey
    value: str
    problem: str
    confirmed: str = ""


@dataclass(frozen=True, slots=True)
class Outside:
    """Readings of a file that lie in no session, as numbers of an address.

    Attributes:
        count: how many they are.
        given: of how many.
        nearest: number of the nearest session.
        later_s: by how much it begins later; negative where it ended before.
    """

    count: int
    given: int
    nearest: int | None
    later_s: int


def _outside(
    outside: Count = None,
    given: Count = None,
    nearest: Count = None,
    later: Annotated[int, Query(ge=-(2**40), le=2**40)] = 0,
) -> Outside | None:
    if not outside:
        return None
    return Outside(outside, given or outside, nearest, later)


OutsideDep = Annotated[Outside | None, Depends(_outside)]


async def _entry_form(request: Request) -> Entry:
    """Return the fields of the form: one for each kind that is entered by hand, time and note."""
    form = await request.form(max_fields=20)
    names = (*BY_HAND, "at", "note", "confirmed", "once")
    values = {name: form.get(name, "") for name in names}
    if any(not isinstance(value, str) or len(value) > TEXT_LENGTH for value in values.values()):
        raise HTTPException(
            422,
            gettext("Give each field as text of at most {text_length} characters.").format(
                text_length=TEXT_LENGTH
            ),
        )
    return Entry({str(name): str(value).strip() for name, value in values.items()})


EntryDep = Annotated[Entry, Depends(_entry_form)]


@router.get(PAGE, include_in_schema=False)
def readings_page(
    request: Request,
    services: ServicesDep,
    taken: Count = None,
    there: Count = None,
    flagged: Count = None,
    twice: Count = None,
    empty: Count = None,
    number: Annotated[int | None, Query(alias="import", ge=0, le=2**53)] = None,
    outside: OutsideDep = None,
    changed: Annotated[str, Query(max_length=20)] = "",
) -> Response:
    """Show the form, the place for files, and how programs send; after an entry, what became
    of it.
    """
    warning = "" if outside is None else _outside_text(services, outside)
    message = (
        gettext(_CHANGED.get(changed, ""))
        if changed in _CHANGED
        else _result_text(taken, there or 0, flagged or 0)
    )
    if twice:
        told = ngettext(
            "{n} local time comes twice, as clocks were put back: the order of the file decided "
            "which one is meant.",
            "{n} local times come twice, as clocks were put back: the order of the file decided "
            "which ones are meant.",
            twice,
        )
        warning = f"{told.format(n=thousands(twice))} {warning}".strip()
    if empty:
        told = ngettext(
            "{n} cell had a mark for no value (such as 255 or --) and gave no reading.",
            "{n} cells had a mark for no value (such as 255 or --) and gave no reading.",
            empty,
        )
        warning = f"{told.format(n=thousands(empty))} {warning}".strip()
    added = [] if number is None else taken_readings(services.options.database, number)
    return _page(request, services, Notices(message=message, warning=warning, added=added))


@router.post(f"{PAGE}/by-hand", include_in_schema=False)
def enter(
    request: Request,
    services: ServicesDep,
    account: AccountDep,
    entry: EntryDep,
) -> Response:
    """Take in what a person has measured; nothing is stored while a field is wrong, and nothing
    implausible before the person has confirmed it.
    """
    readings = _validate(entry, account.name)
    _check_note(services, entry, readings)
    if not entry.problems and entry.values["confirmed"] != entry.signature:
        entry.doubts.extend(doubts_of(readings))
    if entry.problems or entry.doubts:
        return _page(request, services, Notices(entry=entry))

    def store() -> str:
        new = services.commands.enter_readings(readings, actor=account.name)
        if entry.values["note"]:
            at, note = readings[0].at, entry.values["note"]
            services.commands.add_marker(MarkerKind.NOTE, note, at, actor=account.name)
        flagged = sum(bool(reading.flags & DOUBTFUL) for reading in readings)
        return f"{PAGE}?taken={sum(new)}&there={new.count(False)}&flagged={flagged}"

    return RedirectResponse(services.once.run(entry.values["once"], store), 303)


def _validate(entry: Entry, account: str) -> list[VitalReading]:
    """Return the readings of an entry; what is wrong goes to its field."""
    now = clock.now()
    origin = Origin(
        f"manual:{account}", flags=frozenset({VitalFlag.MANUAL}), decimal_comma=True, live=False
    )
    readings: list[VitalReading] = []
    for kind in BY_HAND:
        if entry.values[kind]:
            given = {
                "kind": kind.value,
                "value": entry.values[kind],
                "at": entry.values["at"] or None,
            }
            try:
                readings.append(reading_of(given, now, origin))
            except ReadingError as error:
                name = "at" if error.field == "at" else kind.value
                entry.problems[name] = f"{error.shown} {error.reason}"
    if not any(entry.values[kind] for kind in BY_HAND):
        entry.problems["heart_rate"] = gettext("Enter a heart rate, or both pressures.")
    if bool(entry.values["systolic"]) != bool(entry.values["diastolic"]):
        missing = "diastolic" if entry.values["systolic"] else "systolic"
        entry.problems.setdefault(
            missing, gettext("A cuff measures both pressures: enter this one too.")
        )
    if any(VitalFlag.CLOCK_DIFFERS in reading.flags for reading in readings):
        entry.problems["at"] = gettext(
            "This time is in the future. Correct it, or leave it empty for now."
        )
    return flag_near_pressures([reading.checked() for reading in readings])


def doubts_of(readings: list[VitalReading]) -> list[str]:
    """Return a sentence for each reading that is implausible by itself, or for a pair of them."""
    doubts = []
    for reading in readings:
        low, high = reading.kind.plausible
        spec = reading.kind.spec
        if not low <= reading.value <= high:
            doubts.append(
                gettext("{vital} {value} {unit} is not between {low} and {high}.").format(
                    vital=vital_label(reading.kind),
                    value=general(reading.value),
                    unit=spec.unit_shown,
                    low=general(low),
                    high=general(high),
                )
            )
    pressures = {one.kind: one.value for one in readings if one.kind in PRESSURES}
    if not doubts and are_near(pressures):
        high, low = (pressures[kind] for kind in (VitalKind.SYSTOLIC, VitalKind.DIASTOLIC))
        doubts.append(
            gettext(
                "{high}/{low} mmHg: the systolic pressure, which comes first, must be more than "
                "{least} mmHg above the diastolic. Were the two swapped?"
            ).format(high=general(high), low=general(low), least=general(LEAST_PULSE_PRESSURE_MMHG))
        )
    return doubts


def _check_note(services: Services, entry: Entry, readings: list[VitalReading]) -> None:
    """Make sure that a note finds its place before anything is written."""
    note = entry.values["note"]
    if not note:
        return
    session = services.study.open_session()
    if session is None:
        entry.problems["note"] = gettext(
            "No session is open to which the note could belong. Leave it empty."
        )
    elif len(note) > NOTE_LENGTH or not note.isprintable():
        entry.problems["note"] = gettext("Give at most {n} printable characters.").format(
            n=NOTE_LENGTH
        )
    elif readings and readings[0].at.wall_ms < session.start_ms:
        entry.problems["note"] = gettext(
            "The time lies before the open session, to which the note would belong. Leave it empty."
        )


def _result_text(taken: int | None, there: int, flagged: int) -> str:
    """Say what became of what was handed in."""
    if taken is None:
        return ""
    parts = [
        ngettext("{n} reading was saved.", "{n} readings were saved.", taken).format(
            n=thousands(taken)
        )
    ]
    if there:
        text = ngettext(
            "{n} was already there and unchanged.", "{n} were already there and unchanged.", there
        )
        parts.append(text.format(n=thousands(there)))
    if flagged:
        text = ngettext(
            "{n} looks implausible: it is saved with a flag and left out of all means.",
            "{n} look implausible: they are saved with a flag and left out of all means.",
            flagged,
        )
        parts.append(text.format(n=thousands(flagged)))
    return " ".join(parts)


def _outside_text(services: Services, outside: Outside) -> str:
    """Say how many readings of a file lie in no session, and which session is nearest."""
    code = next((s.participant for s in services.study.sessions() if s.id == outside.nearest), None)
    nearest = None
    if outside.nearest is not None and code is not None:
        nearest = Nearest(outside.nearest, code, outside.later_s)
    sentence = said(outside_sentence(outside.count, outside.given, nearest))
    return f"{sentence} {gettext('What lies in no session is in no test.')}"


def _page(request: Request, services: Services, notices: Notices) -> Response:
    entry = notices.entry
    wrong = notices.file_problem or entry.problems or entry.doubts
    database = services.options.database
    return render(
        request,
        "readings.html",
        status_code=422 if wrong or notices.correction else 200,
        message=notices.message,
        warning=notices.warning,
        added=notices.added,
        entry=entry,
        confirmed=entry.signature if entry.doubts else "",
        once=new_key(),
        recent=entered_readings(database, RECENT),
        removed=removed_readings(database, RECENT),
        correction=notices.correction,
        kinds=sorted(BY_HAND, key=lambda kind: kind not in PRESSURES),
        file_problem=notices.file_problem,
        open_session=services.study.open_session(),
        largest_mib=MAX_FILE_BYTES // 2**20,
        address=str(request.base_url).rstrip("/"),
    )


def page_with_correction(request: Request, services: Services, correction: Correction) -> Response:
    """Show the page with a correction that was not taken yet."""
    return _page(request, services, Notices(correction=correction))


def page_with_file_problem(request: Request, services: Services, problem: str) -> Response:
    """Show the page with what is wrong with a file."""
    return _page(request, services, Notices(file_problem=problem))
