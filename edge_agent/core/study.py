"""Participants, sessions, markers, attributes and orders, as frozen values. No I/O.

A session begins in many ways: on a page, by a program, by a command, at hours. Each of them makes a
``NewSession``, and messages, models and options are made from its fields.

Attributes, beside the code, make a person easier to know again. They are kept only where the
participant agreed, as ``AttributeUse`` says, and never tell who somebody is.

A program that runs an experiment orders markers and sessions by short texts: a word and what
belongs to it, with slashes between::

    stimulus_start/anger
    stimulus_end
    session_start/P01/research/laboratory/three films
    session_start/P01/research/laboratory,own_neutral=yes/three films
    session_end
    declared/P01

Any other text is a note.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, dataclass, fields
from enum import StrEnum
from typing import Annotated, Any, Literal, Self, TypeVar, get_args, get_type_hints

from edge_agent.core.bounds import is_printable
from edge_agent.core.clock import Instant
from edge_agent.core.errors import StudyError, shown_value
from edge_agent.core.instruments import LONGEST
from edge_agent.core.texts import N_, Message, Worded, as_message

_SINCE_START = re.compile(r"(?:(?:(\d{1,3}):)?(\d{1,3}):)?(\d{1,6})(?:[.,](\d{1,3}))?")
ENTERED = "entered"
"""Origin of a session that was added after it took place."""
MADE_UP = "times made up"
"""Mark of a session whose table told no times, at the end of its origin; in its readings' source.
"""
EXAMPLE_SESSION = N_("Example study (simulated)")
EVERYDAY_SESSION = N_("Everyday life (simulated)")
EXAMPLE_CONSENT = "simulated"
"""Text that made participants agreed to; a flag of readings is called so, too."""
NOT_IN_EXAMPLE = N_("Everyday life, no part of the example study")
"""Names that the demonstration writes into the database; pages show them translated."""
DECLARED_FROM = "afterwards: "
"""Begins the label of a declared marker from which on, up to the next ``DECLARED_UNTIL``, unknown
faces count as the participant's; the reason follows."""
DECLARED_UNTIL = "afterwards, until here"
OF_PROTOCOL = "protocol: "
"""Begins the label of a note that a protocol sets about its own course: no event that people or
programs marked."""
BASELINE_S = 20.0
"""Length of a calibration, seconds from its marker."""
AGE_BAND = "age_band"
SEX = "sex"
MEDICATION = "medication"
AGE_BANDS = ("under 18", "18-29", "30-39", "40-49", "50-59", "60-69", "70-79", "80 and over")
SEXES = ("female", "male", "other", "not told")
_SEXES = {"f": "female", "m": "male", "o": "other"}
MOST = 20
LENGTH = 80
_NAME = re.compile(r"[a-z][a-z0-9_]{0,31}")
_CHOICES: Mapping[str, tuple[str, ...]] = {AGE_BAND: AGE_BANDS, SEX: SEXES}
_WHO = frozenset(
    {"name", "first_name", "last_name", "surname", "birthday", "birth_date", "date_of_birth"}
    | {"dob", "email", "e_mail", "phone", "telephone", "address", "street", "ssn", "patient_id"}
)
_COLUMNS = frozenset({"participant", "participant_id", "created_at", "simulated", "session"})
LABEL_LENGTH = 80
"""Characters of a marker's label and of a session's name."""
MOST_POINTS = 11
"""Points of a rating scale of a protocol."""
_UNKNOWN = {
    "purpose": N_("Unknown purpose {text!r}. Choose one of: {names}."),
    "setting": N_("Unknown setting {text!r}. Choose one of: {names}."),
}
_YES_OR_NO = {"yes": True, "no": False}
SESSION_START = "session_start"
SESSION_END = "session_end"


class Purpose(StrEnum):
    """The purpose of a session.

    Inferring emotions at work and in education is refused, except for medical or safety reasons.
    """

    RESEARCH = "research"
    MEDICAL = "medical"
    SAFETY = "safety"
    PERSONAL = "personal"
    DEMONSTRATION = "demonstration"


class SessionSetting(StrEnum):
    """The place of a session."""

    HOME = "home"
    LABORATORY = "laboratory"
    CLINIC = "clinic"
    WORKPLACE = "workplace"
    EDUCATION = "education"
    OTHER = "other"


def forbidden_because(purpose: Purpose, setting: SessionSetting) -> str | None:
    """Return why emotions must not be inferred for this purpose in this setting, or ``None``.

    Regulation (EU) 2024/1689 (AI Act), article 5(1)(f).
    """
    if setting not in {SessionSetting.WORKPLACE, SessionSetting.EDUCATION} or purpose in {
        Purpose.MEDICAL,
        Purpose.SAFETY,
    }:
        return None
    where = N_("at work") if setting is SessionSetting.WORKPLACE else N_("in education")
    return Message(
        N_(
            "Emotions must not be inferred {where} for the purpose {purpose}: in the European "
            "Union that is forbidden at work and in education except for medical or safety reasons "
            "(AI Act, article 5(1)(f)). Who depends on an employer or a school cannot freely say "
            "no."
        ),
        where=Message(where),
        purpose=as_message(purpose.value),
    )


class MarkerKind(Worded):
    """The event of a marker."""

    STIMULUS_START = "stimulus_start", N_("{label} started")
    STIMULUS_END = "stimulus_end", N_("{label} ended")
    BASELINE = "baseline", N_("Baseline begins: a neutral face for 20 s")
    NOTE = "note", N_("Note added")
    DECLARED = "declared", N_("The leading face is the participant’s")


class QuestionKind(StrEnum):
    """The way in which a question of a protocol is answered; also the name of its kind of step.

    Attributes:
        numbers: least and largest answer, a whole number; ``None``: the answer is a text.
        longest: characters of an answer that is a text.
    """

    numbers: tuple[int, int] | None
    longest: int

    LIKERT = "likert", (1, MOST_POINTS)
    SLIDER = "slider", (0, 100)
    CHOICE = "choice", None, LABEL_LENGTH
    FREE_TEXT = "free_text", None, 2000

    def __new__(cls, value: str, numbers: tuple[int, int] | None = None, longest: int = 0) -> Self:
        """Make a member of its value and the bounds of its answers.

        Raises:
            TypeError: it has no bounds.
        """
        if numbers is None and not longest:
            raise TypeError(f"{cls.__name__} {value}: give the bounds of its answers")
        member = str.__new__(cls, value)
        member._value_ = value
        member.numbers = numbers
        member.longest = longest
        return member


@dataclass(frozen=True, slots=True)
class Marker:
    """An instant in a session.

    A stimulus start opens the condition of its label. A baseline means that the participant was
    asked to look neutral for 20 s from here. Declared: somebody pressed the button that says that
    the leading face is the participant's.
    """

    at: Instant
    kind: MarkerKind
    label: str
    session: int | None = None
    id: int | None = None


@dataclass(frozen=True, slots=True)
class Participant:
    """A pseudonymous code, never a name."""

    id: int
    code: str
    created_ms: int
    simulated: bool = False


Choice = TypeVar("Choice", bound=StrEnum)


def choice_named(choices: type[Choice], field: str, text: str) -> Choice:
    """Return the purpose or the setting of a name.

    Raises:
        StudyError: there is none of that name.
    """
    try:
        return choices(text)
    except ValueError as error:
        raise _no_choice(field, text, choices) from error


def _no_choice(field: str, text: str, choices: Iterable[str]) -> StudyError:
    sentence = _UNKNOWN.get(field, N_("Unknown value {text!r}. Choose one of: {names}."))
    return StudyError(sentence, field=field, text=text[:40], names=", ".join(choices))


@dataclass(frozen=True, slots=True)
class About:
    """Meaning of a field of a session, for whoever fills it in.

    Attributes:
        text: a phrase in English.
        most: characters of its longest text.
        title: what an error calls a text.
    """

    text: str
    most: int | None = None
    title: str = ""


@dataclass(frozen=True, slots=True)
class NewSession:
    """A session that is to begin, in whichever way: all that somebody can say of it.

    The defaults stand here alone. What is left open (``None``) a protocol decides that runs in the
    session, or else the configuration.
    """

    participant: Annotated[str, About("Code of a participant who has consented", most=32)]
    purpose: Annotated[Purpose, About("Why it is recorded")]
    name: Annotated[str, About("Name of the session", LABEL_LENGTH, N_("Session name"))] = ""
    setting: Annotated[
        SessionSetting,
        About("Where it takes place; at work and in education only medical or safety is allowed"),
    ] = SessionSetting.OTHER
    own_neutral: Annotated[
        bool | None,
        About(
            "Whether its first good baseline shifts neutral to the participant's own; left out: as "
            "the protocol or vision.own_neutral says"
        ),
    ] = None
    instruments: Annotated[
        str,
        About(
            "Sensors, electrodes, sites and rates for the methods section, such as "
            "'skin_site: left hand; heart_sensor: Polar H10'; left out: as the protocol says",
            LONGEST,
            N_("Instruments"),
        ),
    ] = ""


@dataclass(frozen=True, slots=True)
class SessionField:
    """A field of ``NewSession``.

    Attributes:
        name: its name.
        kind: its type.
        about: what it is.
        default: its default; ``MISSING``: it must be given.
    """

    name: str
    kind: Any
    about: About
    default: Any

    @property
    def is_needed(self) -> bool:
        """True where it must be given."""
        return self.default is MISSING

    def read(self, text: str) -> Any:
        """Return its value from a text, as typed into a form or sent by a laboratory program.

        Raises:
            StudyError: the text is none of its choices, or empty where it must be given.
        """
        if self.kind is str:
            if self.is_needed and not text:
                raise StudyError(N_("Choose a participant for the session."), field=self.name)
            return text
        if isinstance(self.kind, type) and issubclass(self.kind, StrEnum):
            return choice_named(self.kind, self.name, text)
        if not text:
            return None
        if text not in _YES_OR_NO:
            raise _no_choice(self.name, text, _YES_OR_NO)
        return _YES_OR_NO[text]


def _session_fields() -> tuple[SessionField, ...]:
    hints = get_type_hints(NewSession, include_extras=True)
    told = ((one, *get_args(hints[one.name])) for one in fields(NewSession))
    return tuple(SessionField(one.name, kind, about, one.default) for one, kind, about in told)


SESSION_FIELDS = _session_fields()
"""Fields of ``NewSession``, from which models, options and messages are made."""
STORED = tuple(one for one in SESSION_FIELDS if one.name not in {"participant", "own_neutral"})
"""Those that are columns of the table ``session``, under their names; the own neutral has a table.
"""
IN_MESSAGES = tuple(one for one in SESSION_FIELDS if one.name != "own_neutral")
"""Those in messages about a session; its own neutral is known after the baseline alone.
"""
EXAMPLE = NewSession("P007", Purpose.RESEARCH, "three films", SessionSetting.LABORATORY)
"""The session in examples of messages."""


@dataclass(frozen=True, slots=True)
class Session:
    """A named interval of the timeline with one participant, purpose and consent.

    ``end_ms`` is ``None`` while open. ``origin`` is ``entered`` or the import for a session that
    was not recorded here when it took place, and empty for all others. ``left_out`` says whether
    the ``whole`` session or ``part`` of it is left out of the analysis; empty: all of it is used.
    ``instruments`` is what somebody stated of its sensors, as ``core.instruments`` reads it.
    """

    id: int
    participant: str
    purpose: Purpose
    name: str
    start_ms: int
    end_ms: int | None
    simulated: bool = False
    setting: SessionSetting = SessionSetting.OTHER
    origin: str = ""
    left_out: Literal["", "part", "whole"] = ""
    instruments: str = ""

    @property
    def has_made_up_times(self) -> bool:
        """True if the times are made up: order and course then mean nothing."""
        return self.origin.endswith(f"({MADE_UP})")


def since_start_ms(typed: str, field: str) -> int:
    """Read a time since the start of a session, such as ``4:05.250``.

    Raises:
        StudyError: it cannot be read.
    """
    parts = _SINCE_START.fullmatch(typed.strip())
    if parts is None:
        raise StudyError(
            N_(
                "{text!r} is no time since the start of the session. Write minutes and "
                "seconds, such as 4:05 or 4:05.250."
            ),
            text=typed[:40],
            field=field,
        )
    hours, minutes, seconds = (int(part or 0) for part in parts.groups()[:3])
    # ".5" is half a second: filled up to milliseconds.
    ms = int((parts[4] or "").ljust(3, "0"))
    return ((hours * 60 + minutes) * 60 + seconds) * 1000 + ms


def exact_since_start(ms: int) -> str:
    """Write a time since the start with its milliseconds: ``4:05.250``; ``4:05`` without any."""
    whole = f"{ms // 3_600_000}:{ms // 60_000 % 60:02d}" if ms >= 3_600_000 else f"{ms // 60_000}"
    rest = f".{ms % 1000:03d}" if ms % 1000 else ""
    return f"{whole}:{ms // 1000 % 60:02d}{rest}"


class AttributeUse(StrEnum):
    """A participant's consent to the use of their attributes.

    ``none``: none are kept. ``here``: they are kept on this appliance, for its analysis.
    ``shared``: exports may contain them, too.
    """

    NONE = "none"
    HERE = "here"
    SHARED = "shared"


def checked_attribute(name: str, value: str) -> tuple[str, str]:
    """Return name and value of an attribute without blanks around them.

    Raises:
        StudyError: the name is not allowed or identifies a person, or the value is not one of the
            choices, is empty, too long, or not printable on one line.
    """
    key = name.strip().lower()
    text = value.strip()
    if not _NAME.fullmatch(key):
        raise StudyError(
            f"Attribute {name!r}: give 1 to 32 lower-case letters, digits and '_', the first "
            "a letter, such as handedness.",
            field=key,
        )
    if key in _WHO:
        raise StudyError(
            f"Attribute {name!r}: identifies a person. Participants have codes only; keep such "
            "a list elsewhere.",
            field=key,
        )
    if key in _COLUMNS or key.startswith("consent_"):
        raise StudyError(
            f"Attribute {name!r}: is a column of exported tables. Choose another name.", field=key
        )
    choices = _CHOICES.get(key)
    if choices is not None and text not in choices:
        raise StudyError(
            f"Attribute {key}: {text!r} is not one of: {', '.join(choices)}.", field=key
        )
    if not text or len(text) > LENGTH or not text.isprintable():
        raise StudyError(
            f"Attribute {key}: give 1 to {LENGTH} printable characters on one line, not {text!r}.",
            field=key,
        )
    return key, text


def age_band(years: float) -> str:
    """Return the band in which an age in years lies.

    Example:
        >>> age_band(33)
        '30-39'
    """
    if years < 18:
        return AGE_BANDS[0]
    return AGE_BANDS[min(len(AGE_BANDS) - 1, max(1, int(years) // 10 - 1))]


def attribute_of(column: str, value: str) -> tuple[str, str]:
    """Return name and value of an attribute; an age becomes a band, and letters words.

    Example:
        >>> attribute_of("age", "33"), attribute_of("sex", "F")
        (('age_band', '30-39'), ('sex', 'female'))
    """
    if column == "age":
        try:
            return AGE_BAND, age_band(float(value))
        except ValueError:
            return column, value
    if column == SEX:
        return SEX, _SEXES.get(value.casefold(), value)
    # Names of attributes are lower case with underscores here.
    return re.sub(r"[^a-z0-9]+", "_", column).strip("_"), value


WORDS = (*(kind.value for kind in MarkerKind), SESSION_START, SESSION_END)


@dataclass(frozen=True, slots=True)
class MarkerStreamState:
    """The stream by which a program sets markers.

    Attributes:
        name: of the stream.
        connected: whether it is listened to.
        since: since when that is so.
    """

    name: str
    connected: bool
    since: Instant


@dataclass(frozen=True, slots=True)
class NewMarker:
    """A marker that is to be set in the open session.

    Attributes:
        kind: what happened.
        label: condition or note.
    """

    kind: MarkerKind
    label: str = ""


@dataclass(frozen=True, slots=True)
class EndOrder:
    """Close the open session."""


Order = NewMarker | NewSession | EndOrder


def read_order(text: str) -> Order:
    """Parse a text into an order.

    Raises:
        StudyError: the text is empty or too long, or lacks a part of a session.

    Example:
        >>> read_order("stimulus_start/anger")
        NewMarker(kind=<MarkerKind.STIMULUS_START: 'stimulus_start'>, label='anger')
    """
    text = text.strip()
    word, _, rest = text.partition("/")
    word = word.strip().lower()
    if word == SESSION_END and not rest:
        return EndOrder()
    if word == SESSION_START:
        return _start(rest)
    if word in set(MarkerKind):
        return NewMarker(MarkerKind(word), _check_label(rest.strip()))
    if not text:
        raise StudyError(f"An empty text is no marker. Send one of {', '.join(WORDS)}, or a note.")
    return NewMarker(MarkerKind.NOTE, _check_label(text))


def _start(rest: str) -> NewSession:
    parts = [part.strip() for part in rest.split("/", 3)]
    if len(parts) < 2 or not parts[0]:
        raise StudyError(
            f"{SESSION_START} needs participant and purpose, such as "
            f"{SESSION_START}/P01/research; setting and name may follow."
        )
    texts = {"participant": parts[0], "purpose": parts[1].lower()}
    if len(parts) > 2:
        texts |= _named_parts(parts[2].lower())
    if len(parts) > 3:
        texts["name"] = _check_label(parts[3])
    return new_session_of(texts)


def _named_parts(text: str) -> dict[str, str]:
    """Return the fields in the third part of an order: the setting, and others by their names."""
    named = {}
    for part in filter(None, (one.strip() for one in text.split(","))):
        name, sign, value = part.rpartition("=")
        named[name.strip() if sign else "setting"] = value.strip()
    first = {"participant", "purpose", "name"}
    known = [one.name for one in SESSION_FIELDS if one.name not in first]
    for name in named:
        if name not in known:
            raise StudyError(
                f"{shown_value(name)} is no field of {SESSION_START} with a value. Allowed: "
                f"{', '.join(known)}."
            )
    return named


def new_session_of(texts: Mapping[str, str]) -> NewSession:
    """Return a new session from the texts of its fields; one that is not there has its default.

    Raises:
        StudyError: a text is none of the choices of its field.
    """
    given = {
        one.name: one.read(texts.get(one.name, ""))
        for one in SESSION_FIELDS
        if one.is_needed or one.name in texts
    }
    return NewSession(**given)


def _check_label(label: str) -> str:
    if len(label) > LABEL_LENGTH:
        raise StudyError(
            f"{label[:20]!r}… has {len(label)} characters; at most {LABEL_LENGTH} are allowed."
        )
    if not is_printable(label):
        raise StudyError(
            f"{shown_value(label)} has a control character. Send printable characters on one line."
        )
    return label
