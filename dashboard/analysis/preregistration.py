"""Decisions of before the data: documents that are frozen, and how a question differs from the
newest of them.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, TypeVar
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, ValidationError, model_validator

from dashboard.analysis.query import (
    DOUBTS,
    MEASURE_NAMES,
    AnalysisQuery,
    Model,
    QuestionInJson,
    Sample,
    SampleQuery,
    StateBy,
    address_of,
)
from dashboard.analysis.windows import MOST_WINDOWS, WindowInLine
from dashboard.languages.figures import by_locale
from dashboard.languages.macros import Macros
from dashboard.languages.names import state_name, translate, words
from dashboard.languages.refused import OF_JSON, PLAIN_DATE
from edge_agent.core import clock
from edge_agent.core.errors import StudyError
from edge_agent.core.measures import MEASURES, Measure
from edge_agent.core.texts import N_
from edge_agent.core.vitals import AnalysisOption
from edge_agent.timeline.study.preregistrations import Preregistration, preregistrations

log = logging.getLogger(__name__)
_Query = TypeVar("_Query", bound=SampleQuery)
_MACROS = Macros(Path(__file__).parent)
_NO_CHOICE = N_("none")
_ONE_FAMILY = N_("all tests together")
_NOTHING = (_NO_CHOICE, _ONE_FAMILY)
_TYPED = frozenset({"states", "group", "prefer_source", "family"})
"""Choices of a question that are people's own words."""
_CASELESS = frozenset({"states", "family"})
"""Of those, what means the same in capitals."""
_NAMES = {kind.value: kind.spec.name_in_text for kind in MEASURES} | {
    measure.value: name for measure, name in MEASURE_NAMES.items()
}
"""How people call what a question names."""
_UNITS = {
    "bound_heart_rate": "/min",
    "bound_pressure": "mmHg",
    **dict.fromkeys(("settling_heart_rate", "settling_pressure", "settling_other"), "s"),
    "scr_threshold": "µS",
    **dict.fromkeys(("window", "lag_heart_rate", "lag_pressure"), "s"),
}
_EACH_OWN = N_("each by its own")
# what only adds a table beside the result, and which sessions there are by now
_WITHOUT_EFFECT = frozenset({"sensitivity"})
_SAID_OTHERWISE = frozenset({"estimated", "leave_out_flagged"})
"""What ``count_flagged`` says, too."""
_BY_FACE = frozenset({"window", "lag_heart_rate", "lag_pressure", "share"})
_BY_STIMULUS = frozenset({"settling_heart_rate", "settling_pressure", "settling_other"})
_OF_OPTION = {
    AnalysisOption.HEART_RATE: frozenset({"bound_heart_rate"}),
    AnalysisOption.PRESSURE: frozenset({"bound_pressure", "settling_pressure", "lag_pressure"}),
}
"""Choices that matter to nothing but vitals of an option; settling times and lags of the heart rate
hold for the intervals between beats, too, which no question leaves out.
"""
PEOPLE, EARLIER_SESSIONS, SHA256 = "people", "sessions_before", "sha256"
"""Names of what differs beside the question."""
CHANGED_TEXT = "of another text"
_EARLIEST = date(2000, 1, 1)
"""The first public registry of studies, ClinicalTrials.gov, opened in that year."""
_UNSAFE = frozenset('\\"<>^`{|}')
"""What no address holds unescaped (RFC 3986); browsers read some of it as something else."""


def _web_address(text: str) -> str:
    """Return an address that a browser may follow.

    Raises:
        ValueError: it is none, or holds a user name or password.
    """
    text = text.strip()
    if not text:
        return text
    try:
        parts = urlsplit(text)
        is_one = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port or an IPv6 address that is none
        is_one = False
    if not is_one or not text.isprintable() or " " in text or _UNSAFE & set(text):
        raise ValueError(
            N_("give an address that begins with https:// or http://, such as https://osf.io/ab3cd")
        )
    if "@" in parts.netloc:
        raise ValueError(N_("give the address without a user name and password"))
    return text


class PreregistrationDocument(Model):
    """A preregistration. ``question`` includes bounds, correction, window and lags."""

    question: QuestionInJson = Field(
        AnalysisQuery(), description="What will be asked of the data, with all its choices"
    )
    people: Annotated[int, Field(ge=1, le=100_000), OF_JSON] = Field(
        description="How many people will take part"
    )
    exclusions: str = Field(
        "", max_length=4000, description="Who and which readings will be left out, and why"
    )
    stopping: str = Field(
        min_length=1, max_length=4000, description="When recording ends and the data are tested"
    )
    expectation: str = Field("", max_length=4000, description="What is expected to be found")
    windows: tuple[WindowInLine, ...] = Field(
        (),
        max_length=MOST_WINDOWS,
        description="Windows of response curves whose means will be compared, as one family",
    )
    registered_address: Annotated[str, Field(max_length=500), AfterValidator(_web_address)] = Field(
        "",
        description="Where the study is preregistered elsewhere, such as on OSF or AsPredicted: an "
        "http or https address, with registered_on",
    )
    registered_on: Annotated[date | None, PLAIN_DATE] = Field(
        None, description="The day on which it was preregistered there, as its page says"
    )

    @model_validator(mode="after")
    def _has_both(self) -> PreregistrationDocument:
        if bool(self.registered_address) != (self.registered_on is not None):
            raise ValueError(
                N_("give address and day of a preregistration made elsewhere, or neither")
            )
        return self


class PreregistrationModel(Model):
    """A frozen preregistration."""

    id: int = Field(description="Its number")
    at_ms: int = Field(description="When it was frozen, UTC in milliseconds")
    sha256: str = Field(description="Of the time in milliseconds, a line feed, and the document")
    intact: bool = Field(description="Whether the SHA-256 is still that of time and document")
    document: PreregistrationDocument = Field(description="What was decided")

    @property
    def address(self) -> str:
        """The address of the Analysis page that asks its question."""
        return f"/analysis?{address_of(self.document.question)}"


class ChangedChoice(Model):
    """A choice that differs from what was preregistered."""

    name: str = Field(
        description="A field of the question; people: who took part; sessions_before: sessions "
        "that began before it was frozen; sha256: of the frozen text, which was changed"
    )
    decided: str = Field(description="What was preregistered")
    current: str = Field(description="What is now")


class PreregisteredModel(Model):
    """The newest preregistration, and how the present question differs from it."""

    id: int = Field(description="Its number")
    at_ms: int = Field(description="When it was frozen, UTC in milliseconds")
    sha256: str = Field(description="Its SHA-256")
    as_preregistered: bool = Field(description="Whether nothing differs")
    differences: tuple[str, ...] = Field(description="What differs, a sentence each")
    changed: tuple[ChangedChoice, ...] = Field((), description="The same as values")
    registered_address: str = Field(
        "", description="Where it was preregistered elsewhere, as somebody typed it; empty: nowhere"
    )
    registered_on: date | None = Field(None, description="On which day, as somebody typed it")
    question_address: str = Field(
        "", description="The address of the Analysis page that asks its question"
    )
    vital: tuple[Measure, ...] = Field((), description="What its question tests")


def preregister(
    path: Path, document: PreregistrationDocument, actor: str, prefer_sources: Sequence[str] = ()
) -> PreregistrationModel:
    """Freeze what was decided.

    Args:
        path: the timeline.
        document: what was decided.
        actor: who froze it.
        prefer_sources: the sources of the configuration, which are frozen where the question names
            none: a later configuration may name others.

    Raises:
        StudyError: the day of a preregistration made elsewhere cannot be, or there are as many as
            are kept.
        StoreError: the database cannot be written.
    """
    _check_day(document.registered_on)
    question = document.question.preferring(prefer_sources)
    document = document.model_copy(update={"question": question})
    # Sorted: the same decisions give the same text and so the same SHA-256.
    text = json.dumps(document.model_dump(mode="json"), ensure_ascii=False, sort_keys=True)
    from edge_agent.timeline.gate.commands import (
        PlainCommands,
    )  # brings all that writes: not to who reads

    return _model(PlainCommands(path).preregister(text, actor=actor))


def _check_day(day: date | None) -> None:
    """Refuse a day that is still to come everywhere on earth, or that lies before all registries.

    Only when it is frozen: a clock that was set back makes no frozen one unreadable.
    """
    latest = clock.utc_now().date() + timedelta(days=1)
    if day is not None and not _EARLIEST <= day <= latest:
        raise StudyError(
            N_(
                "{day} cannot be the day of a preregistration made elsewhere: give one from "
                "{first} to today, as its page says"
            ),
            day=day.isoformat(),
            first=_EARLIEST.isoformat(),
            field="registered_on",
        )


def read_preregistrations(path: Path) -> list[PreregistrationModel]:
    """Return all preregistrations, the newest first, without those that are none.

    Raises:
        StoreError: the database cannot be read.
    """
    models = []
    for one in preregistrations(path):
        try:
            models.append(_model(one))
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
            log.warning("preregistration %d cannot be read: %s", one.id, error)
    return models


def compare_with_newest(
    path: Path,
    query: AnalysisQuery,
    participants: int,
    began_ms: Sequence[int],
    *,
    sample: Sample | None = None,
    prefer_sources: Sequence[str] = (),
) -> PreregisteredModel | None:
    """Return how a question stands to the newest preregistration; ``None`` where there is none.

    Args:
        path: the timeline.
        query: the question.
        participants: how many people have readings.
        began_ms: when each session of the analysis began, UTC in milliseconds.
        sample: the sessions that ``auto`` came to; ``None``: those of the question.
        prefer_sources: the sources of the configuration, which count where a question names none.

    Raises:
        StoreError: the database cannot be read.
    """
    newest = next(iter(read_preregistrations(path)), None)
    if newest is None:
        return None
    current = query.model_copy(update={"sample": sample or query.sample})
    changed = [
        *_changed_choices(newest.document.question, current, prefer_sources),
        *_changed_facts(newest, participants, began_ms),
    ]
    return PreregisteredModel(
        id=newest.id,
        at_ms=newest.at_ms,
        sha256=newest.sha256,
        as_preregistered=not changed,
        differences=tuple(_sentence(one, newest, began_ms) for one in changed),
        changed=tuple(changed),
        registered_address=newest.document.registered_address,
        registered_on=newest.document.registered_on,
        question_address=newest.address,
        vital=newest.document.question.vital,
    )


def declaring(path: Path) -> PreregistrationModel | None:
    """Return the newest preregistration if it declares windows of response curves.

    Raises:
        StoreError: the database cannot be read.
    """
    newest = next(iter(read_preregistrations(path)), None)
    return newest if newest is not None and newest.document.windows else None


def sample_differences(decided: AnalysisQuery, query: SampleQuery) -> tuple[str, ...]:
    """Say how sessions and readings that a question looks at differ from what was preregistered."""
    names = SampleQuery.model_fields.keys() - _SAID_OTHERWISE
    current = _plain(query).model_dump(mode="json", include=set(names))
    return tuple(
        _choice_sentence(one)
        for one in _differing(
            compared_choices(decided), {name: _value_text(current[name]) for name in current}
        )
    )


def said_choices(query: AnalysisQuery) -> dict[str, str]:
    """Return every choice of a question in the words of the language in use, by its name."""
    return {name: _in_words(name, value) for name, value in choices(query).items()}


def _in_words(name: str, value: str) -> str:
    """Return a value of :func:`choices` in words; what somebody typed stays, but for emotions."""
    if value in _NOTHING:
        return translate(value)
    parts = value.split(", ")
    if name in _UNITS and value != _EACH_OWN:
        return f"{by_locale(value)} {_UNITS[name]}"
    if name in _TYPED:
        return ", ".join(state_name(one) for one in parts)
    return by_locale(", ".join(words(_NAMES.get(one, one)) for one in parts))


def choices(query: AnalysisQuery) -> dict[str, str]:
    """Return every choice of a question as text, by its name."""
    shown = query.model_dump(mode="json")
    # What is asked stands before what all questions have: which sessions, and which readings.
    order = sorted(shown, key=lambda name: name in SampleQuery.model_fields)
    texts = {name: _value_text(shown[name]) for name in order if name not in _WITHOUT_EFFECT}
    # ``group`` and ``family`` mean something else when they are empty than other choices do.
    if query.group is None:
        texts["group"] = _NO_CHOICE
    texts["family"] = " / ".join(query.family) or _ONE_FAMILY
    return texts


def _plain(query: _Query) -> _Query:
    """Return a question in which what means the same is written the same.

    ``auto`` is what was measured: the example stands in only where nothing was. Session numbers
    choose nothing where all sessions of a sample are taken.
    """
    selected = query.sample is Sample.SELECTED
    return query.model_copy(
        update={
            "sample": Sample.MEASURED if query.sample is Sample.AUTO else query.sample,
            "session": tuple(sorted(set(query.session))) if selected else (),
            "count_flagged": tuple(flag for flag in DOUBTS if flag in query.counted),
        }
    )


def _idle(query: AnalysisQuery) -> frozenset[str]:
    """Return the choices that change nothing of the answer to a question."""
    idle = _BY_STIMULUS if query.state is StateBy.OBSERVED else _BY_FACE
    options = {kind.spec.option for kind in query.vital}
    return idle.union(*(own for option, own in _OF_OPTION.items() if option not in options))


def _changed_choices(
    decided: AnalysisQuery, current: AnalysisQuery, prefer_sources: Sequence[str]
) -> Iterator[ChangedChoice]:
    """Yield each choice that was decided otherwise and changes something of either answer."""
    before, now = (compared_choices(one.preferring(prefer_sources)) for one in (decided, current))
    idle = _idle(decided) & _idle(current)
    yield from _differing(before, {name: text for name, text in now.items() if name not in idle})


def compared_choices(query: AnalysisQuery) -> dict[str, str]:
    """Return the choices of a question by which it differs from another, as text; ``analysis.R``
    has the same list.
    """
    texts = choices(_plain(query))
    return {name: text for name, text in texts.items() if name not in _SAID_OTHERWISE}


def _differing(decided: Mapping[str, str], current: Mapping[str, str]) -> Iterator[ChangedChoice]:
    """Yield each of the current choices that was decided otherwise."""
    for name, value in current.items():
        before = decided[name]
        is_same = before == value
        if name in _CASELESS:
            is_same = before.casefold() == value.casefold()
        if not is_same:
            yield ChangedChoice(name=name, decided=before, current=value)


def _changed_facts(
    newest: PreregistrationModel, participants: int, began_ms: Sequence[int]
) -> Iterator[ChangedChoice]:
    """Yield what differs beside the question."""
    people = newest.document.people
    if participants != people:
        yield ChangedChoice(name=PEOPLE, decided=str(people), current=str(participants))
    # Who decides after the data may have chosen by them.
    earlier = sum(at_ms < newest.at_ms for at_ms in began_ms)
    if earlier:
        yield ChangedChoice(
            name=EARLIER_SESSIONS, decided="0", current=f"{earlier} of {len(began_ms)}"
        )
    if not newest.intact:
        yield ChangedChoice(name=SHA256, decided=newest.sha256, current=CHANGED_TEXT)


def _say(macro: str, *values: object) -> str:
    return _MACROS.say("preregistration", macro, *values)


def _sentence(one: ChangedChoice, newest: PreregistrationModel, began_ms: Sequence[int]) -> str:
    """Say what differs."""
    if one.name == PEOPLE:
        return _say("people", one.decided, one.current)
    if one.name == SHA256:
        return _say("changed_text")
    if one.name == EARLIER_SESSIONS:
        return _sentence_of_earlier(newest, began_ms)
    return _choice_sentence(one)


def _choice_sentence(one: ChangedChoice) -> str:
    decided, current = (_in_words(one.name, value) for value in (one.decided, one.current))
    return _say("choice", one.name, decided, current)


def _sentence_of_earlier(newest: PreregistrationModel, began_ms: Sequence[int]) -> str:
    """Say how many sessions began before it was frozen, and how many before the day on which it was
    preregistered elsewhere; whether it was, this device cannot know.
    """

    def before(limit_ms: float) -> int:
        return sum(at_ms < limit_ms for at_ms in began_ms)

    day = newest.document.registered_on or _EARLIEST
    first_ms = 1000 * datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()
    counts = (before(newest.at_ms), len(began_ms), before(first_ms))
    return _say("earlier", newest.document, *counts)


def _value_text(value: Any) -> str:
    if value is None:
        return _EACH_OWN
    if isinstance(value, list):
        return ", ".join(str(one) for one in value) or _NO_CHOICE
    if isinstance(value, bool):
        return N_("yes") if value else N_("no")
    if isinstance(value, float):
        return f"{value:g}"
    return str(value)


def _model(one: Preregistration) -> PreregistrationModel:
    values = json.loads(one.document)
    try:
        document = PreregistrationDocument.model_validate(values)
    except ValidationError:  # of another release, which knew other choices
        # What this release does not know is left out; the frozen text stays as it is.
        values = {k: v for k, v in values.items() if k in PreregistrationDocument.model_fields}
        known = set(AnalysisQuery.model_fields)
        values["question"] = {k: v for k, v in values["question"].items() if k in known}
        document = PreregistrationDocument.model_validate(values)
    return PreregistrationModel(
        id=one.id, at_ms=one.at_ms, sha256=one.sha256, intact=one.intact, document=document
    )
