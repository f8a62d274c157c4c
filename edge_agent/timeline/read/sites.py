"""The studies of several devices as one: people by site and code, a device being a site.

Each site keeps its own file, for the timeline knows whose a reading is by its time alone: in one
file two sessions of the same hour would take each other's readings.

A code says who somebody is at one site only, so the same code at two sites is two people, as in
clinical trials, where a subject's code is unique together with the site's (CDISC SDTM, USUBJID).
"""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from edge_agent.core.errors import StoreError
from edge_agent.core.measures import ExpressionKind, Measure
from edge_agent.core.process import Later
from edge_agent.core.readings import VitalFlag
from edge_agent.core.study import Session
from edge_agent.core.vitals import VitalKind
from edge_agent.timeline.read.base import MatchCounts
from edge_agent.timeline.read.events import Event, EventKind
from edge_agent.timeline.read.matching import FaceLabels, Matching
from edge_agent.timeline.read.measured import MeasureSeries
from edge_agent.timeline.read.observed import Beats, ObservedSums, SkinConductance, StateSpan
from edge_agent.timeline.read.reader import RangeReader, Reader
from edge_agent.timeline.read.session_reader import ReadingCount, Recruited, Span
from edge_agent.timeline.read.stimuli import PieceSums, ReadingSum, SessionStimulus
from edge_agent.timeline.study.exclusions import Exclusion
from edge_agent.timeline.study.own_neutral import OwnNeutral

if TYPE_CHECKING:
    import numpy as np

    from edge_agent.timeline.read.matching import Integers
else:
    np = Later("numpy")

Sites = tuple[tuple[str, Path], ...]
"""Name and database of each site; one without a name is an appliance's own."""
SITE = "site"
"""Name of the attribute that says at which site somebody was measured."""


class _OfPerson(Protocol):
    @property
    def participant(self) -> str: ...


def reader_of(
    sites: Sites, span: tuple[int | None, int | None] | None = None, *, count_unknown: bool = False
) -> Reader:
    """Return what reads a study of one site or of several.

    Args:
        sites: at least one.
        span: only what lies between two times, UTC epoch milliseconds; ``None``: everything.
        count_unknown: whether faces count as the participant's whose attribution is not known.
    """
    readers = {
        name: Reader(path) if span is None else RangeReader(path, *span) for name, path in sites
    }
    if count_unknown:
        readers = {name: reader.count_unknown() for name, reader in readers.items()}
    return next(iter(readers.values())) if len(readers) == 1 else PooledReader(readers)


def sites_of(reader: Reader) -> dict[str, str]:
    """Return the site of each participant; empty where there is one site only."""
    return reader.sites() if isinstance(reader, PooledReader) else {}


def pooled_number(names: Collection[str], site: str, own: int) -> int:
    """Return the number that a session of a site has in a study over several.

    Args:
        names: of all sites; the number depends on which they are, and on nothing else.
        site: whose session it is.
        own: its number there.
    """
    # Can be undone by divmod; the places are those of the sorted names, there as here.
    return own * len(names) + sorted(names).index(site)


def sessions_by_site(
    names: Collection[str], numbers: Collection[int]
) -> dict[str, tuple[int, ...]]:
    """Return of each site which of these sessions are its own, by their numbers there.

    Args:
        names: of all sites, at least one.
        numbers: in the study over all of them.
    """
    sessions: dict[str, tuple[int, ...]] = dict.fromkeys(sorted(names), ())
    ordered = list(sessions)
    for number in numbers:
        own, place = divmod(number, len(ordered))
        sessions[ordered[place]] += (own,)
    return sessions


class PooledReader(Reader):
    """Answers what an analysis asks, of several sites together.

    Sessions have numbers of their own here, participants are called ``site/code``, and everybody
    has the attribute ``site``. What no analysis asks is refused.

    Args:
        readers: of each site, by its name.

    Example:
        >>> reader = PooledReader({"hall": Reader(hall), "room": Reader(room)})
        >>> {session.participant for session in reader.session_list()}
        {'hall/P01', 'room/P01'}
    """

    def __init__(self, readers: Mapping[str, Reader]) -> None:
        # The methods of the base that need its file are all replaced or refused.
        super().__init__(Path())
        self._names = sorted(readers)
        self._readers = [readers[name] for name in self._names]

    def sites(self) -> dict[str, str]:
        """Return the site of each participant."""
        return {
            self._label(place, one.code): name
            for place, name in enumerate(self._names)
            for one in self._readers[place].read_recruited()
        }

    def connect(self) -> AbstractContextManager[sqlite3.Connection]:
        """Refuse: there is no one database.

        Raises:
            StoreError: always.
        """
        raise StoreError("This can be asked of one device only.")

    @contextmanager
    def at_one_moment(self) -> Iterator[None]:
        """Answer all queries of this thread within the block from one connection to each site."""
        with ExitStack() as stack:
            for reader in self._readers:
                stack.enter_context(reader.at_one_moment())
            yield

    def session_list(self) -> list[Session]:
        """Return all sessions, newest first."""
        sessions = [
            self._session_out(place, session)
            for place, reader in enumerate(self._readers)
            for session in reader.session_list()
        ]
        return sorted(sessions, key=lambda one: (one.start_ms, one.id), reverse=True)

    def exclusions(self) -> list[Exclusion]:
        """Return what is left out of the analysis at each site."""
        return [
            replace(one, session=self._number(place, one.session))
            for place, reader in enumerate(self._readers)
            for one in reader.exclusions()
        ]

    def span(self) -> tuple[int, int] | None:
        """Return the first and the last time with data at any site, each by its own clock."""
        spans = [one for one in (reader.span() for reader in self._readers) if one is not None]
        if not spans:
            return None
        return min(first for first, _ in spans), max(last for _, last in spans)

    def stimuli(
        self, session_ids: Collection[int], *, with_left_out: bool = False
    ) -> list[SessionStimulus]:
        """Return the stimuli of sessions, in order of session and time."""
        numbers: defaultdict[int, list[int]] = defaultdict(list)
        # Each site is asked once, with its own numbers.
        for number in session_ids:
            own, place = divmod(number, len(self._readers))
            numbers[place].append(own)
        every = [
            self._stimulus_out(place, one)
            for place, own in sorted(numbers.items())
            for one in self._readers[place].stimuli(own, with_left_out=with_left_out)
        ]
        return sorted(every, key=lambda one: one.session)

    def face_labels(
        self, sessions: Iterable[Session], *, plain: bool = False
    ) -> dict[int, FaceLabels]:
        """Return the labels of the participant's face in each session, by its number."""
        by_number: dict[int, FaceLabels] = {}
        for place, own in self._sessions_in(sessions).items():
            for number, labels in self._readers[place].face_labels(own, plain=plain).items():
                by_number[self._number(place, number)] = labels
        return by_number

    def own_neutrals(self) -> dict[int, OwnNeutral]:
        """Return what is kept of the own neutral of sessions, by the number of each."""
        return {
            self._number(place, number): replace(own, session=self._number(place, number))
            for place, reader in enumerate(self._readers)
            for number, own in reader.own_neutrals().items()
        }

    def reading_changed(
        self, start_ms: int, end_ms: int, kinds: Collection[str] = ("expression",)
    ) -> int | None:
        """Return when a site's model that reads faces, or its prior, changed last in a range."""
        changes = [one.reading_changed(start_ms, end_ms, kinds) for one in self._readers]
        return max((at for at in changes if at is not None), default=None)

    def models_between(self, start_ms: int, end_ms: int) -> list[tuple[str, str, str]]:
        """Return name, version and prior of the models that classified faces at the sites."""
        every = (one for reader in self._readers for one in reader.models_between(start_ms, end_ms))
        return list(dict.fromkeys(every))

    def observed_sums(
        self,
        sessions: Collection[Session],
        shown: Mapping[int, FaceLabels],
        kinds: Collection[Measure],
        matchings: Sequence[Matching],
    ) -> list[ObservedSums]:
        """Return the sums of readings by the observed emotion, for each way of matching."""
        together = [ObservedSums((), MatchCounts(0, 0, 0)) for _ in matchings]
        for place, own in self._sessions_in(sessions).items():
            labels = {one.id: shown[self._number(place, one.id)] for one in own}
            own_sums = self._readers[place].observed_sums(own, labels, kinds, matchings)
            together = [
                ObservedSums(
                    (
                        *before.sums,
                        *((self._number(place, one[0]), *one[1:]) for one in of_site.sums),
                    ),
                    _add_counts(before.counts, of_site.counts),
                    (
                        *before.recorded,
                        *(
                            replace(one, session=self._number(place, one.session))
                            for one in of_site.recorded
                        ),
                    ),
                )
                for before, of_site in zip(together, own_sums, strict=True)
            ]
        return together

    def vital_sums(
        self,
        stimuli: Sequence[SessionStimulus],
        kinds: Collection[Measure],
        cuts_ms: Collection[int] = (),
    ) -> list[tuple[SessionStimulus, ReadingSum]]:
        """Return the sums of the readings in each stimulus by kind and flags."""
        return [
            (self._stimulus_out(place, stimulus), sums)
            for place, numbers in self._places(one.session for one in stimuli)
            for stimulus, sums in self._readers[place].vital_sums(
                [self._stimulus_in(stimuli[number]) for number in numbers], kinds, cuts_ms
            )
        ]

    def piece_sums(
        self,
        stimuli: Sequence[SessionStimulus],
        kinds: Collection[Measure],
        cuts_ms: Collection[int] = (),
    ) -> PieceSums:
        """Return the same sums as columns."""
        parts = []
        for place, numbers in self._places(one.session for one in stimuli):
            own = [self._stimulus_in(stimuli[number]) for number in numbers]
            parts.append(
                _by_place_in_all(self._readers[place].piece_sums(own, kinds, cuts_ms), numbers)
            )
        return _together(parts) if parts else self._readers[0].piece_sums((), kinds, cuts_ms)

    def shown_sums(
        self,
        stimuli: Sequence[SessionStimulus],
        kinds: Sequence[ExpressionKind] = (),
        cuts_ms: Collection[int] = (),
    ) -> tuple[PieceSums, Integers]:
        """Return the same of measures of the expression, and how many rows have each label."""
        nothing, held = self._readers[0].shown_sums((), kinds, cuts_ms)
        held = np.zeros((len(held), len(stimuli)), dtype=np.int64)
        parts = [nothing]
        for place, numbers in self._places(one.session for one in stimuli):
            own = [self._stimulus_in(stimuli[number]) for number in numbers]
            sums, held[:, numbers] = self._readers[place].shown_sums(own, kinds, cuts_ms)
            parts.append(_by_place_in_all(sums, numbers))
        return _together(parts), held

    def measure_series(
        self,
        sessions: Iterable[Session],
        kinds: Collection[Measure],
        counted: Collection[VitalFlag] = (),
    ) -> list[MeasureSeries]:
        """Return the values of measures over time, site by site."""
        return [
            replace(one, session=self._number(place, one.session))
            for place, own in self._sessions_in(sessions).items()
            for one in self._readers[place].measure_series(own, kinds, counted)
        ]

    def events(self, sessions: Iterable[Session], kind: EventKind) -> list[Event]:
        """Return the events of a kind, site by site."""
        return [
            replace(one, session=self._number(place, one.session))
            for place, own in self._sessions_in(sessions).items()
            for one in self._readers[place].events(own, kind)
        ]

    def resting_times(self, sessions: Collection[Session]) -> dict[int, tuple[int, int]]:
        """Return start and end of the baseline of each session that has one, by its number."""
        return {
            self._number(place, number): span
            for place, own in self._sessions_in(sessions).items()
            for number, span in self._readers[place].resting_times(own).items()
        }

    def read_recruited(self) -> list[Recruited]:
        """Return all participants, site by site."""
        return [
            replace(one, code=self._label(place, one.code))
            for place, reader in enumerate(self._readers)
            for one in reader.read_recruited()
        ]

    def attributes(self) -> dict[str, dict[str, str]]:
        """Return the attributes that may be used, and of everybody the site."""
        of_people = {label: {SITE: name} for label, name in self.sites().items()}
        for place, reader in enumerate(self._readers):
            for code, own in reader.attributes().items():
                label = self._label(place, code)
                # The site wins over an attribute of the same name.
                of_people[label] = own | of_people[label]
        return of_people

    def reading_counts(
        self, spans: Collection[Span], kinds: Collection[Measure]
    ) -> list[ReadingCount]:
        """Count the readings in spans of sessions by vital and flags, whatever the state."""
        every = list(spans)
        return [
            replace(count, session=self._number(place, count.session))
            for place, numbers in self._places(span[2] for span in every)
            for count in self._readers[place].reading_counts(
                [(*every[one][:2], every[one][2] // len(self._readers)) for one in numbers], kinds
            )
        ]

    def beats(self, spans: Iterable[StateSpan]) -> list[Beats]:
        """Return the intervals between beats in the given times of one state."""
        every = list(spans)
        return [
            replace(
                one,
                session=self._number(place, one.session),
                participant=self._label(place, one.participant),
            )
            for place, numbers in self._places(span.session.id for span in every)
            for one in self._readers[place].beats(
                replace(every[number], session=self._session_in(every[number].session))
                for number in numbers
            )
        ]

    def skin_conductance(self, spans: Iterable[StateSpan]) -> list[SkinConductance]:
        """Return the skin conductance of the sessions of the given times of one state."""
        every = list(spans)
        return [
            replace(
                one,
                session=self._number(place, one.session),
                participant=self._label(place, one.participant),
            )
            for place, numbers in self._places(span.session.id for span in every)
            for one in self._readers[place].skin_conductance(
                replace(every[number], session=self._session_in(every[number].session))
                for number in numbers
            )
        ]

    def recorded_kinds(self) -> frozenset[VitalKind]:
        """Return the kinds of reading of which there is any."""
        return frozenset().union(*(reader.recorded_kinds() for reader in self._readers))

    def has_movements(self, start_ms: int = 0, end_ms: int = 2**62) -> bool:
        """Return whether movements of a participant's face were recorded in a range."""
        return any(reader.has_movements(start_ms, end_ms) for reader in self._readers)

    def _number(self, place: int, own: int) -> int:
        return own * len(self._readers) + place

    def _label(self, place: int, code: str) -> str:
        return f"{self._names[place]}/{code}"

    def _places(self, numbers: Iterable[int]) -> list[tuple[int, list[int]]]:
        """Return for each site which of the sessions are its own, by their order here."""
        places: defaultdict[int, list[int]] = defaultdict(list)
        for at, number in enumerate(numbers):
            places[number % len(self._readers)].append(at)
        return sorted(places.items())

    def _sessions_in(self, sessions: Iterable[Session]) -> dict[int, list[Session]]:
        by_place: defaultdict[int, list[Session]] = defaultdict(list)
        for one in sessions:
            by_place[one.id % len(self._readers)].append(self._session_in(one))
        return dict(sorted(by_place.items()))

    def _session_in(self, session: Session) -> Session:
        return replace(session, id=session.id // len(self._readers), participant=_code(session))

    def _session_out(self, place: int, session: Session) -> Session:
        return replace(
            session,
            id=self._number(place, session.id),
            participant=self._label(place, session.participant),
        )

    def _stimulus_in(self, stimulus: SessionStimulus) -> SessionStimulus:
        return replace(
            stimulus, session=stimulus.session // len(self._readers), participant=_code(stimulus)
        )

    def _stimulus_out(self, place: int, stimulus: SessionStimulus) -> SessionStimulus:
        return replace(
            stimulus,
            session=self._number(place, stimulus.session),
            participant=self._label(place, stimulus.participant),
        )


def _by_place_in_all(sums: PieceSums, numbers: Sequence[int]) -> PieceSums:
    """Return the sums of a site, which counts stimuli from 0, by their places in the whole list."""
    return replace(sums, stimulus=np.array(numbers, dtype=np.int64)[sums.stimulus])


def _together(parts: Sequence[PieceSums]) -> PieceSums:
    return PieceSums(
        stimulus=np.concatenate([one.stimulus for one in parts]),
        after_ms=np.concatenate([one.after_ms for one in parts]),
        kinds=tuple(kind for one in parts for kind in one.kinds),
        flags=tuple(flags for one in parts for flags in one.flags),
        sources=tuple(source for one in parts for source in one.sources),
        n=np.concatenate([one.n for one in parts]),
        total=np.concatenate([one.total for one in parts]),
        largest=np.concatenate([one.largest for one in parts]),
        mean_at_ms=np.concatenate([one.mean_at_ms for one in parts]),
    )


def _code(one: _OfPerson) -> str:
    """Return the code at the site; a site's name may hold a ``/``, a code never does."""
    return one.participant.rpartition("/")[2]


def _add_counts(first: MatchCounts, second: MatchCounts) -> MatchCounts:
    return MatchCounts(
        first.matched + second.matched,
        first.unmatched + second.unmatched,
        first.ambiguous + second.ambiguous,
    )
