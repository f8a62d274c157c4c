"""Facts of a recording, for the description of a deposit and its text of the method.

Each statement names the sensor or model that it holds for. Rates are those of the exported readings
themselves, not those of a data sheet or of today's settings.
"""

from __future__ import annotations

import json
import textwrap
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from edge_agent import __version__
from edge_agent.core.clock import iso_utc
from edge_agent.core.vitals import VitalKind
from edge_agent.timeline.database.schema import SPANS
from edge_agent.timeline.export.appliance import Appliance
from edge_agent.timeline.export.beats import beats_in_words
from edge_agent.timeline.export.bundle import METHOD_OF_ANALYSIS, count_text, instruments_in_words
from edge_agent.timeline.export.preregistration_files import frozen_in
from edge_agent.timeline.export.rows import Row, Span, whole
from edge_agent.timeline.export.source import ExportSource

_WIDTH = 100
_BROKEN_MS = 10_000
"""Pause between two readings of a sensor that belongs to no rate."""
_IRREGULAR = {VitalKind.RR_INTERVAL}
_FOREVER_MS = 2**62
_READINGS = f"""{SPANS}
    SELECT at, kind, source FROM span CROSS JOIN vital ON at >= first AND at < last"""  # noqa: S608


@dataclass(slots=True)
class _Course:
    """The readings of one kind of one source while they pass by."""

    readings: int = 0
    last_ms: int | None = None
    steps: int = 0
    lasted_ms: int = 0

    def add(self, at_ms: int) -> None:
        self.readings += 1
        if self.last_ms is not None and 0 < at_ms - self.last_ms <= _BROKEN_MS:
            self.steps += 1
            self.lasted_ms += at_ms - self.last_ms
        self.last_ms = at_ms

    @property
    def rate(self) -> float | None:
        """Readings a second in times without a pause."""
        return 1000 * self.steps / self.lasted_ms if self.lasted_ms else None


@dataclass(frozen=True, slots=True)
class Sensor:
    """A source of readings, and in words what it measured.

    Attributes:
        source: as recorded.
        kinds: of each kind a phrase.
    """

    source: str
    kinds: tuple[str, ...]

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
class Plan:
    """A preregistration: its number, when it was frozen, its SHA-256, and whether both agree."""

    id: int
    at: str
    sha256: str
    intact: bool


@dataclass(frozen=True, slots=True)
class Facts:
    """Contents of an export: people, devices, sessions.

    Attributes:
        participants: how many.
        sessions: how many.
        simulated: whether a session of it is simulated.
        sensors: in order of their names.
        models: those in use in the exported times, in order of their start.
        consents: version of the consent → participants who agreed to it.
        plans: the preregistrations, the oldest first; none in the copy of one participant.
        instruments: what was stated of the instruments → sessions of which it was.
        beats: Bluetooth sensor → what found its beats, as a paragraph.
    """

    participants: int
    sessions: int
    simulated: bool
    sensors: tuple[Sensor, ...]
    models: tuple[UsedModel, ...]
    consents: Mapping[str, int] = field(default_factory=dict)
    plans: tuple[Plan, ...] = ()
    instruments: Mapping[str, int] = field(default_factory=dict)
    beats: Mapping[str, str] = field(default_factory=dict)


def read_facts(source: ExportSource) -> Facts:
    """Read the facts of an export; memory does not grow with the recording."""
    sessions = list(source.rows("session"))
    people = list(source.rows("participant"))
    consents = Counter(
        str(row["consent_version"]) for row in people if row["consent_version"] is not None
    )
    times = [
        (whole(row["start_ms"]), _FOREVER_MS if row["end_ms"] is None else whole(row["end_ms"]))
        for row in sessions
    ]
    return Facts(
        participants=len({row["participant"] for row in sessions}),
        sessions=len(sessions),
        simulated=any(row["simulated"] for row in sessions),
        sensors=tuple(_sensors(source)),
        models=tuple(_models(list(source.rows("model")), times, source.appliance)),
        consents=dict(sorted(consents.items())),
        plans=tuple(_plans(source)),
        instruments=Counter(str(row["instruments"]) for row in sessions if row["instruments"]),
        beats=beats_in_words(source),
    )


def _plans(source: ExportSource) -> Iterator[Plan]:
    # A participant's own copy does not say what the study expects of them.
    if source.chosen.participant:
        return
    for one in frozen_in(source.connection):
        yield Plan(one.id, iso_utc(one.at_ms), one.sha256, one.intact)


def _sensors(source: ExportSource) -> Iterator[Sensor]:
    """Yield the sources with readings in the exported times."""
    courses: defaultdict[tuple[str, str], _Course] = defaultdict(_Course)
    cursor = source.connection.cursor()
    cursor.row_factory = None
    # The ranges are in order of time, and the table is by time: nothing needs to be sorted.
    readings = cursor.execute(
        _READINGS, (json.dumps([(first, last, 0) for first, last in source.chosen.ranges]),)
    )
    for at_ms, kind, name in readings:
        courses[name, kind].add(at_ms)
    by_source: defaultdict[str, list[str]] = defaultdict(list)
    for (name, kind), course in sorted(courses.items()):
        by_source[name].append(_phrase(VitalKind(kind), course))
    for name, kinds in by_source.items():
        yield Sensor(name, tuple(kinds))


def _phrase(kind: VitalKind, course: _Course) -> str:
    text = f"{kind.spec.name_in_text}, {count_text(course.readings, 'reading')}"
    rate = None if kind in _IRREGULAR else course.rate
    return text if rate is None else f"{text}, {rate:.3g} a second while it measured"


def _models(
    rows: Sequence[Row], times: Iterable[Span], appliance: Appliance
) -> Iterator[UsedModel]:
    """Yield the models whose use meets one of the times."""
    of_kind: defaultdict[str, list[Row]] = defaultdict(list)
    for row in sorted(rows, key=lambda row: whole(row["since_ms"])):
        of_kind[str(row["kind"])].append(row)
    spans = list(times)
    used: dict[tuple[str, str, str], Row] = {}
    for kind, own in of_kind.items():
        ends = [*(whole(row["since_ms"]) for row in own[1:]), _FOREVER_MS]
        for row, end_ms in zip(own, ends, strict=True):
            since_ms = whole(row["since_ms"])
            if any(since_ms < last and end_ms > first for first, last in spans):
                used.setdefault((kind, str(row["sha256"]), str(row["prior"])), row)
    for row in used.values():
        yield _used_model(row, appliance.cards)


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
        f"Recorded with Affect Edge on the device {appliance.device}: "
        f"{count_text(facts.participants, 'participant')} in "
        f"{count_text(facts.sessions, 'session')}; this deposit was made by version {__version__}."
    )
    for sensor in facts.sensors:
        yield f"The source {sensor.source} measured: {sensor.described}."
    yield from instruments_in_words(facts.instruments)
    yield from facts.beats.values()
    for model in facts.models:
        yield (
            f"{model.described}: {model.name} {model.version}, SHA-256 of its file {model.sha256}."
        )
    threshold = appliance.question.get("scr_threshold")
    if threshold is not None and any("skin conductance" in one.described for one in facts.sensors):
        yield (
            "Responses of skin conductance were found after the recording, when this deposit was "
            f"made, by Affect Edge {__version__}: rises from trough to peak of {threshold:g} uS or "
            "more in the mean of each quarter of a second (Boucsein et al. 2012)."
        )
    for plan in facts.plans:
        yield (
            f"Preregistration {plan.id} was frozen {plan.at} by the clock of the "
            f"device: SHA-256 {plan.sha256}"
            f"{'' if plan.intact else ', which its text no longer matches'}."
        )
    versions = ", ".join(f"version {one} ({n})" for one, n in facts.consents.items())
    if versions:
        yield f"Participants agreed to these versions of the consent: {versions}."
