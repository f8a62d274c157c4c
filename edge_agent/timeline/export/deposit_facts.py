"""Facts of a recording, for the description of a deposit and its text of the method.

Each statement names the sensor or model that it holds for, and has its evidence in the rows: what
was imported, simulated or typed in was not measured here, and a model that was in use read faces
only where there are rows of them. Rates are those of the exported readings themselves, not those of
a data sheet or of today's settings.
"""

from __future__ import annotations

import json
import textwrap
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import pairwise
from operator import itemgetter

from edge_agent import __version__
from edge_agent.core.clock import iso_utc
from edge_agent.core.readings import VitalFlag
from edge_agent.core.study import MADE_UP
from edge_agent.core.vitals import VitalKind
from edge_agent.timeline.database.schema import SPANS
from edge_agent.timeline.export.appliance import Appliance
from edge_agent.timeline.export.beats import beats_in_words
from edge_agent.timeline.export.bids_physioevents import SKIN_RESPONSES
from edge_agent.timeline.export.bundle import (
    METHOD_OF_ANALYSIS,
    count_text,
    has_made_up_times,
    instruments_in_words,
    origins_in_words,
)
from edge_agent.timeline.export.preregistration_files import frozen_in
from edge_agent.timeline.export.rows import Row, whole
from edge_agent.timeline.export.source import ExportSource

_WIDTH = 100
_BROKEN_MS = 10_000
"""Pause between two readings of a sensor that belongs to no rate."""
_IRREGULAR = {VitalKind.RR_INTERVAL}
_FOREVER_MS = 2**62
_NATURES = {
    VitalFlag.IMPORTED: "imported from files",
    VitalFlag.SIMULATED: "simulated",
    VitalFlag.REPLAYED: "replayed",
    VitalFlag.MANUAL: "typed in by hand",
    VitalFlag.ESTIMATED: "estimated",
}
"""What readings are that no sensor measured here, by their flags."""
_FACES = f"""{SPANS}
    SELECT number FROM span WHERE EXISTS (
        SELECT 1 FROM expression WHERE at >= first AND at < last AND simulated = 0 AND import IS ?
    ) OR EXISTS (
        SELECT 1 FROM movement WHERE at >= first AND at < last AND simulated = 0 AND import IS ?)"""  # noqa: S608
_OLD_FACES = f"""{SPANS}
    SELECT number FROM span WHERE EXISTS (
        SELECT 1 FROM expression_minute
        WHERE at >= first AND at + 60000 <= last AND rows > simulated
    ) AND NOT EXISTS (SELECT 1 FROM expression WHERE at >= first AND at < last)"""  # noqa: S608
"""Of faces whose rows have grown old, the sums are left."""
_READINGS = f"""{SPANS}
    SELECT at, kind, source, flags, import IS NOT NULL
    FROM span CROSS JOIN vital ON at >= first AND at < last"""  # noqa: S608


@dataclass(slots=True)
class _Course:
    """The readings of one kind of one source while they pass by."""

    readings: int = 0
    last_ms: int | None = None
    steps: int = 0
    lasted_ms: int = 0
    natures: Counter[VitalFlag] = field(default_factory=Counter)
    measured: int = 0

    def add(self, at_ms: int, natures: Sequence[VitalFlag]) -> None:
        self.readings += 1
        self.natures.update(natures)
        self.measured += not natures
        if self.last_ms is not None and 0 < at_ms - self.last_ms <= _BROKEN_MS:
            self.steps += 1
            self.lasted_ms += at_ms - self.last_ms
        self.last_ms = at_ms

    @property
    def rate(self) -> float | None:
        """Readings a second in times without a pause."""
        return 1000 * self.steps / self.lasted_ms if self.lasted_ms else None


@dataclass(frozen=True, slots=True)
class DepositSensor:
    """A source of readings, and in words what it measured.

    Attributes:
        source: as recorded.
        kinds: of each kind a phrase.
        is_measured: whether there is a reading that it measured while it was recorded.
    """

    source: str
    kinds: tuple[str, ...]
    is_measured: bool

    @property
    def described(self) -> str:
        """What it measured, as one sentence without its end."""
        return "; ".join(self.kinds)


@dataclass(frozen=True, slots=True)
class UsedModel:
    """A model that read faces in the exported times.

    Attributes:
        kind: what it does.
        name: of the model.
        version: of its weights.
        sha256: of its file.
        prior: over the categories; ``unknown``: of a release that did not note it.
        crop: of the face, by its card; empty: no card is known.
        since: when its use began, ISO 8601.
        card: path of its card in the bundle; empty: none.
    """

    kind: str
    name: str
    version: str
    sha256: str
    prior: str
    crop: str
    since: str
    card: str

    @property
    def described(self) -> str:
        """Kind, prior and crop in words."""
        prior = f", prior {self.prior}" if self.kind == "expression" else ""
        crop = f", crop {self.crop}" if self.crop else ""
        return f"Model of the kind {self.kind}{prior}{crop}, in use since {self.since}"


@dataclass(frozen=True, slots=True)
class FrozenPlan:
    """A preregistration.

    Attributes:
        id: its number.
        at: when it was frozen, ISO 8601.
        sha256: of its text.
        intact: whether both agree.
        earlier: what is known of sessions that began before it, as sentences.
    """

    id: int
    at: str
    sha256: str
    intact: bool
    earlier: str


@dataclass(frozen=True, slots=True)
class Facts:
    """Contents of an export: people, devices, sessions.

    Attributes:
        participants: how many.
        sessions: how many.
        origins: where they come from, in words.
        simulated: whether a session of it is simulated.
        sensors: in order of their names.
        models: those that read faces of which there are rows, in order of their start.
        consents: version of the consent → participants who agreed to it, without simulated ones.
        withdrawn: participants who withdrew.
        plans: the preregistrations, the oldest first; none in the copy of one participant.
        instruments: what was stated of the instruments → sessions of which it was.
        beats: Bluetooth sensor → what found its beats, as a paragraph.
    """

    participants: int
    sessions: int
    origins: str
    simulated: bool
    sensors: tuple[DepositSensor, ...]
    models: tuple[UsedModel, ...]
    consents: Mapping[str, int] = field(default_factory=dict)
    withdrawn: int = 0
    plans: tuple[FrozenPlan, ...] = ()
    instruments: Mapping[str, int] = field(default_factory=dict)
    beats: Mapping[str, str] = field(default_factory=dict)


def read_facts(source: ExportSource) -> Facts:
    """Read the facts of an export; memory does not grow with the recording."""
    sessions = list(source.rows("session"))
    people = [row for row in source.rows("participant") if not row["simulated"]]
    consents = Counter(
        str(row["consent_version"]) for row in people if row["consent_version"] is not None
    )
    return Facts(
        participants=len({row["participant"] for row in sessions}),
        sessions=len(sessions),
        origins=origins_in_words(sessions),
        simulated=any(row["simulated"] for row in sessions),
        sensors=tuple(_sensors(source)),
        models=tuple(_models(source, sessions)),
        consents=dict(sorted(consents.items())),
        withdrawn=sum(row["consent_withdrawn_at"] is not None for row in people),
        plans=tuple(_plans(source, sessions)),
        instruments=Counter(str(row["instruments"]) for row in sessions if row["instruments"]),
        beats=beats_in_words(source),
    )


def _plans(source: ExportSource, sessions: Sequence[Row]) -> Iterator[FrozenPlan]:
    # A participant's own copy does not say what the study expects of them.
    if source.chosen.participant:
        return
    for one in frozen_in(source.connection):
        earlier = _earlier(sessions, one.at_ms)
        yield FrozenPlan(one.id, iso_utc(one.at_ms), one.sha256, one.intact, earlier)


def _earlier(sessions: Sequence[Row], at_ms: int) -> str:
    """Say how many sessions began before a time, as far as their times are known."""
    known = [row for row in sessions if not has_made_up_times(row)]
    earlier = sum(whole(row["start_ms"]) < at_ms for row in known)
    count = count_text(len(known), "session")
    told = [f"{earlier or 'None'} of {count} began before it was frozen."] if known else []
    if len(known) < len(sessions):
        made_up = count_text(len(sessions) - len(known), "session")
        told.append(f"Whether {made_up} began before it is not known: their times are made up.")
    return " ".join(told)


def _sensors(source: ExportSource) -> Iterator[DepositSensor]:
    """Yield the sources with readings in the exported times."""
    courses: defaultdict[tuple[str, str], _Course] = defaultdict(_Course)
    cursor = source.connection.cursor()
    cursor.row_factory = None
    # The ranges are in order of time, and the table is by time: nothing needs to be sorted.
    readings = cursor.execute(
        _READINGS, (json.dumps([(first, last, 0) for first, last in source.chosen.ranges]),)
    )
    for at_ms, kind, name, flags, is_imported in readings:
        courses[name, kind].add(at_ms, _natures(flags, bool(is_imported)))
    by_source: defaultdict[str, list[tuple[str, _Course]]] = defaultdict(list)
    for (name, kind), course in sorted(courses.items(), key=itemgetter(0)):
        by_source[name].append((kind, course))
    for name, kinds in by_source.items():
        has_times = MADE_UP not in name
        phrases = tuple(_phrase(VitalKind(kind), course, has_times) for kind, course in kinds)
        yield DepositSensor(name, phrases, any(course.measured for _, course in kinds))


@cache
def _natures(flags: str, is_imported: bool) -> tuple[VitalFlag, ...]:
    """Return what a reading is, beside one that was measured."""
    own = {*flags.split(), *([VitalFlag.IMPORTED] if is_imported else [])}
    return tuple(flag for flag in _NATURES if flag in own)


def _phrase(kind: VitalKind, course: _Course, has_times: bool) -> str:
    parts = [kind.spec.name_in_text, count_text(course.readings, "reading")]
    for flag, what in _NATURES.items():
        if count := course.natures[flag]:
            parts.append(f"{'all' if count == course.readings else f'{count:,} of them'} {what}")
    rate = None if kind in _IRREGULAR or not has_times else course.rate
    if rate is not None:
        when = "while it measured" if course.measured else "without its pauses"
        parts.append(f"{rate:.3g} a second {when}")
    return ", ".join(parts)


def _models(source: ExportSource, sessions: Sequence[Row]) -> Iterator[UsedModel]:
    """Yield the models in whose use faces were read, of which there are rows.

    A model that came with an import read the faces of that import, and no others did.
    """
    imports = {
        (str(kind), whole(since)): number
        for kind, since, number in source.connection.execute(
            "SELECT kind, since, import FROM model"
        )
    }
    of_kind: defaultdict[tuple[str, object], list[Row]] = defaultdict(list)
    for row in sorted(source.rows("model"), key=lambda row: whole(row["since_ms"])):
        kind = str(row["kind"])
        of_kind[kind, imports.get((kind, whole(row["since_ms"])))].append(row)
    used: dict[tuple[str, str, str], Row] = {}
    for (kind, number), own in of_kind.items():
        ends = [*(whole(row["since_ms"]) for row in own[1:]), _FOREVER_MS]
        spans = [
            (max(whole(row["since_ms"]), first), min(end_ms, last), place, is_here)
            for place, (row, end_ms) in enumerate(zip(own, ends, strict=True))
            for first, last, is_here in map(_span, sessions)
        ]
        there = _numbers(source, _FACES, spans, number, number)
        if number is None:
            there |= _numbers(source, _OLD_FACES, [one for one in spans if one[3]])
        for place in sorted(there):
            row = own[place]
            used.setdefault((kind, str(row["sha256"]), str(row["prior"])), row)
    for row in used.values():
        yield _used_model(row, source.appliance.cards)


def _span(session: Row) -> tuple[int, int, bool]:
    """Return when a session was, and whether it was held here."""
    end_ms = _FOREVER_MS if session["end_ms"] is None else whole(session["end_ms"])
    is_here = not session["origin"] and not session["simulated"]
    return whole(session["start_ms"]), end_ms, is_here


def _numbers(
    source: ExportSource, query: str, spans: Iterable[tuple[int, int, int, bool]], *more: object
) -> set[int]:
    """Return the numbers of the spans that a query finds."""
    times = json.dumps([one[:3] for one in spans if one[0] < one[1]])
    return {row[0] for row in source.connection.execute(query, (times, *more))}


def _used_model(row: Row, cards: Mapping[str, str]) -> UsedModel:
    sha256, version = str(row["sha256"]), str(row["version"])
    card = json.loads(cards.get(sha256, "{}"))
    is_known = card.get("version") == version
    return UsedModel(
        kind=str(row["kind"]),
        name=str(row["name"]),
        version=version,
        sha256=sha256,
        prior=str(row["prior"]),
        crop=str(card.get("crop") or "") if is_known else "",
        since=str(row["since_at"]),
        card=f"models/{card['name']}-{sha256[:8]}.json" if is_known else "",
    )


def method_text(facts: Facts, appliance: Appliance) -> str:
    """Return the method as text: what was measured by what, then how it was analysed."""
    parts = ["# Method", "", "## Recording", "", *_lines(_recording(facts, appliance))]
    analysis = appliance.tables.get(METHOD_OF_ANALYSIS, "")
    if analysis:
        parts += ["", "## Analysis", "", *_lines(analysis.split("\n\n"))]
    return "\n".join(parts).rstrip() + "\n"


def _lines(paragraphs: Iterable[str]) -> Iterator[str]:
    every = [one for one in paragraphs if one.strip()]
    for before, text in pairwise(["", *every]):
        if before:
            yield ""
        yield textwrap.fill(text, _WIDTH, break_on_hyphens=False, break_long_words=False)


def _recording(facts: Facts, appliance: Appliance) -> Iterator[str]:
    """Yield the paragraphs about the recording."""
    yield (
        f"This deposit was made by Affect Edge {__version__} on the device {appliance.device}. It "
        f"holds {count_text(facts.participants, 'participant')} in "
        f"{count_text(facts.sessions, 'session')}: {facts.origins}."
    )
    for sensor in facts.sensors:
        lead = "The source {} measured" if sensor.is_measured else "Of the source {} there are"
        yield f"{lead.format(sensor.source)}: {sensor.described}."
    yield from instruments_in_words(facts.instruments)
    yield from facts.beats.values()
    for model in facts.models:
        yield (
            f"{model.described}: {model.name} {model.version}, SHA-256 of its file {model.sha256}."
        )
    threshold = appliance.question.get("scr_threshold")
    has_responses = len(appliance.tables.get(SKIN_RESPONSES, "").splitlines()) > 1
    if threshold is not None and has_responses:
        yield (
            "Responses of skin conductance were found after the recording, when this deposit was "
            f"made, by Affect Edge {__version__}: rises from trough to peak of {threshold:g} uS or "
            "more in the mean of each quarter of a second (Boucsein et al. 2012)."
        )
    for plan in facts.plans:
        yield (
            f"Preregistration {plan.id} was frozen {plan.at} by the clock of the "
            f"device: SHA-256 {plan.sha256}"
            f"{'' if plan.intact else ', which its text no longer matches'}. {plan.earlier}"
        )
    versions = ", ".join(f"version {one} ({n})" for one, n in facts.consents.items())
    if versions:
        withdrawn = f" Withdrawn since: {facts.withdrawn}." if facts.withdrawn else ""
        yield f"Consent was noted to these versions of its text: {versions}.{withdrawn}"
