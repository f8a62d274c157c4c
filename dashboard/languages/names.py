"""Names and lists in the language in use.

Names that the data bring and pages look up are marked here, so that catalogues have them. Names
that people typed, such as participants' codes, conditions and devices, stay as they are.

    >>> from dashboard.languages.current import speaking
    >>> state_name("anger"), with_and(["a", "b", "c"])
    ('anger', 'a, b and c')
    >>> with speaking("de"):
    ...     state_name("anger"), with_and(["a", "b", "c"])
    ('Ärger', 'a, b und c')
"""

from __future__ import annotations

from collections.abc import Sequence

from dashboard.languages.current import N_, SOURCE, gettext, language, ngettext, pgettext
from dashboard.languages.figures import LocalNumber, thousands, utc_time
from edge_agent.alerts.rules import rule_name
from edge_agent.core.expression import Attribution, Emotion, RejectReason
from edge_agent.core.measures import Measure, MovementKind
from edge_agent.core.movements import LOOK, MOVEMENTS
from edge_agent.core.noted import ACTIONS as NOTED
from edge_agent.core.readings import VitalFlag
from edge_agent.core.study import (
    EVERYDAY_SESSION,
    EXAMPLE_CONSENT,
    EXAMPLE_SESSION,
    NOT_IN_EXAMPLE,
    MarkerKind,
    Purpose,
    SessionSetting,
)
from edge_agent.core.texts import UTC_TIME, Message, text_of
from edge_agent.core.vitals import SPECS, VitalKind

MOVEMENT_NAMES = {name: MovementKind(name).spec.name_in_text for name in MOVEMENTS}
"""What people call the movements of ``edge_agent.core.movements.MOVEMENTS``."""
POSE_NAMES = {"yaw": N_("turned"), "pitch": N_("bent down"), "roll": N_("tilted")}
"""What people call the angles of the head."""
LOOK_NAMES = {name: MovementKind(name).spec.name_in_text for name in LOOK}
"""Words for the directions of the eyes in the face."""
GAP_REASONS = (
    N_("agent stopped"),
    N_("disconnected"),
    N_("failed"),
    N_("lens covered"),
    N_("no face"),
    N_("not written"),
    N_("silent"),
    N_("stalled"),
    N_("stands still"),
    N_("starting"),
    N_("stopped"),
    N_("switched off"),
)
"""Frequent reasons of gaps, as ``words`` writes them."""

EXPRESSIONS = (
    *(emotion.value for emotion in Emotion),
    *(N_("uncertain"), N_("no face"), N_("no condition"), N_("none of these")),
)
PURPOSES = (*Purpose, *SessionSetting)
VITALS = frozenset(
    name
    for spec in SPECS.values()
    for name in (spec.label, spec.name_in_text, spec.short_name, spec.tile)
) | {spec.tile.lower() for spec in SPECS.values() if spec.tile != spec.label}
MARKERS = tuple(kind.replace("_", " ") for kind in MarkerKind if kind is not MarkerKind.DECLARED)
ATTRIBUTES = (
    *(N_("female"), N_("male"), N_("not told"), N_("sex"), N_("age band"), N_("medication")),
    *(N_("here"), N_("shared"), N_("under 18"), N_("80 and over")),
)
OF_ALERTS = (*(N_("sensor"), N_("camera"), N_("broker"), N_("disk")), *(N_("backup"), N_("agent")))
OTHER_ACTIONS = (
    *(N_("alert acknowledge"), N_("attributes agree"), N_("attributes set"), N_("clock set")),
    *(N_("consent give"), N_("consent withdraw"), N_("markers add"), N_("participant create")),
    *(N_("participant erase"), N_("preregister"), N_("reading correct"), N_("reading remove")),
    *(N_("restore"), N_("retention"), N_("session add"), N_("session start")),
    *(N_("study import"), N_("video import"), N_("appliance"), N_("notes refused")),
    *(N_("alert begin"), N_("alert end"), N_("capture off"), N_("capture on")),
    *(N_("disk budget"), N_("faces import"), N_("import undo"), N_("marker add")),
    *(
        N_("marker correct"),
        N_("marker remove"),
        N_("participant erase finished"),
        N_("participant erase left"),
    ),
    *(N_("protocol save"), N_("readings by hand"), N_("readings import"), N_("session leave out")),
    *(N_("session take back"), N_("unreadable remove")),
)
OF_MODELS = (N_("expression"), N_("face detector"), N_("detector"), N_("landmarks"))
OF_POOR_PICTURES = (
    *(N_("shifted left 10 %"), N_("shifted right 10 %"), N_("shifted up 10 %")),
    *(N_("shifted down 10 %"), N_("scaled up 15 %"), N_("scaled down 15 %")),
    *(N_("rolled left 15°"), N_("rolled right 15°"), N_("light halved"), N_("light doubled")),
    *(N_("pixels halved"), N_("pixels doubled"), N_("left half covered")),
    *(N_("right half covered"), N_("upper half covered"), N_("lower half covered")),
)
OWN_TEXTS = frozenset({EXAMPLE_CONSENT, EXAMPLE_SESSION, EVERYDAY_SESSION, NOT_IN_EXAMPLE})
"""Names and reasons in the database that the program wrote."""
_SHOWN_BY_SCRIPTS = (*VitalFlag, *RejectReason, *MarkerKind, *Attribution)
IN_SCRIPTS = frozenset(
    {*EXPRESSIONS, *PURPOSES, *VITALS, *MOVEMENT_NAMES.values()}
    | {one.replace("_", " ") for one in _SHOWN_BY_SCRIPTS}
)
"""Names that scripts of pages look up as well."""
OF_REGISTERS = IN_SCRIPTS | {one.replace("_", " ") for one in NOTED}
"""Members of registers as ``words`` writes them."""


def translate(name: object) -> str:
    """Return a name or text of the data in the language in use.

    Args:
        name: a constant; one that no catalogue knows stays as it is. Of a :class:`Message` the
            numbers are written by the locale, and messages in it are said as well.
    """
    text = str(name)
    if not text:
        return text
    if not isinstance(name, Message):
        return gettext(text)
    if name.template == UTC_TIME:
        return utc_time(name.values) or text
    values = {place: _value(value) for place, value in name.values.items()}
    return gettext(name.template).format(**values)


def _value(value: object) -> object:
    if isinstance(value, Message):
        return translate(value)
    if isinstance(value, float):
        return LocalNumber(value)
    return value


def words(name: object) -> str:
    """Write a name of the data for people: ``heart_rate`` becomes ``heart rate``."""
    return translate(str(name).replace("_", " "))


def with_and(parts: Sequence[str]) -> str:
    """Return ``a``, ``a and b`` or ``a, b and c``."""
    given = list(parts)
    if len(given) < 2:
        return "".join(given)
    return pgettext("list", "{before} and {last}").format(
        before=", ".join(given[:-1]), last=given[-1]
    )


def capitalise(text: object) -> str:
    """Begin a text with a capital letter.

    In English the rest becomes small, as it always was; other languages keep their capitals.
    """
    if language() == SOURCE:
        return str(text).capitalize()
    return str(text)[:1].upper() + str(text)[1:]


def initial(text: str) -> str:
    """Begin a text with a capital letter, and leave the rest."""
    return text[:1].upper() + text[1:]


def title_in_text(title: str) -> str:
    """Return the name that a title is of, as it stands inside a sentence."""
    return gettext(title[:1].lower() + title[1:])


def without_stop(sentence: str) -> str:
    """Return a sentence that goes on."""
    return sentence.strip().removesuffix(".")


def vital_label(kind: Measure) -> str:
    """Return the name of a measure, as at the start of a sentence."""
    if isinstance(kind, VitalKind):
        return gettext(kind.spec.label)
    return capitalise(gettext(kind.spec.name_in_text))


def vital_in_text(kind: Measure) -> str:
    """Return the name of a measure inside a sentence."""
    return gettext(kind.spec.name_in_text)


def vital_short(kind: Measure) -> str:
    """Return the name of a measure where little room is."""
    return gettext(kind.spec.short_name)


def unit_of(kind: Measure) -> str:
    """Return the unit of a measure as people write it."""
    return gettext(kind.spec.unit_shown)


def people(count: int) -> str:
    """Write ``1 person`` or ``12 people``."""
    return ngettext("{n} person", "{n} people", count).format(n=thousands(count))


def sessions_text(count: int) -> str:
    """Write ``1 session`` or ``1,200 sessions``."""
    return ngettext("{n} session", "{n} sessions", count).format(n=thousands(count))


def with_unit(label: str, unit: str) -> str:
    """Write a label with its unit, as figures have it: ``Heart rate (1/min)``."""
    return f"{label} ({axis_unit(unit)})"


def axis_unit(unit: str) -> str:
    """Write a unit that stands alone: ``1/min``, where a number has ``/min`` behind it."""
    unit = gettext(unit)
    return f"1{unit}" if unit.startswith("/") else unit


def state_name(state: str) -> str:
    """Return what a state is called: an emotion in the language in use, and any other condition as
    it was typed.
    """
    if state in tuple(Emotion):
        return gettext(str(state))
    return str(state)


def said_if_ours(text: str) -> str:
    """Return a text in the language in use if it is a :class:`Message`; what somebody typed stays
    as it is, even where a catalogue knows the word.
    """
    if isinstance(text, Message):
        return translate(text)
    return text


def session_name(name: str, number: int) -> str:
    """Return what a session is called: by a name of ours in the language in use, by one that
    somebody typed as it is, and without one by its number.
    """
    return own_text(name) or gettext("Session {id}").format(id=number)


def own_text(text: str) -> str:
    """Return a text of the database in the language in use if the program wrote it."""
    if text in OWN_TEXTS:
        return gettext(text)
    return text


def alert_name(rule: str, kind: str) -> str:
    """Return the name of an alert's rule in the language in use."""
    return said_if_ours(rule_name(rule, kind))


def said_of(error: Exception) -> str:
    """Return what an error says, in the language in use."""
    return translate(text_of(error))


def list_with_or(parts: Sequence[str]) -> str:
    """Return ``a``, ``a or b`` or ``a, b or c``."""
    if len(parts) < 2:
        return "".join(parts)
    return pgettext("list", "{before} or {last}").format(
        before=", ".join(parts[:-1]), last=parts[-1]
    )
