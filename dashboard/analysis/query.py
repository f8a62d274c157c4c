"""The question of an analysis, as page, ``/api/v1/analysis`` and ``analyse`` ask it. Quick to load.

A family of tests is written as what is tested, and between which states: ``heart_rate``,
``systolic, diastolic``, ``heart_rate: anger, neutral``, ``all: anger, neutral``. Several such
parts, divided by semicolons, are one family; p is adjusted within it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from functools import lru_cache
from itertools import chain
from typing import Annotated, Any, Self, TypeVar
from urllib.parse import urlencode

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
)

from dashboard.languages.refused import refused_text
from edge_agent.core.errors import StatisticsError
from edge_agent.core.expression import Emotion
from edge_agent.core.measures import TESTABLE, Measure, RatingKind, is_of_face
from edge_agent.core.process import without_collections
from edge_agent.core.readings import DOUBTFUL, UNUSABLE, VitalFlag
from edge_agent.core.study import Session
from edge_agent.core.texts import N_, Message
from edge_agent.core.vitals import AnalysisOption, VitalKind
from edge_agent.timeline.read.matching import DEFAULT_LAG_S, DEFAULT_SHARE, DEFAULT_WINDOW_S

TESTED_STATES: tuple[str, ...] = (Emotion.NEUTRAL, Emotion.HAPPINESS, Emotion.ANGER)
"""What is compared where nothing else is asked; the others are compared with the first."""

MOST_STATES = 6
"""Six states are fifteen pairs of each vital: more would adjust every effect away."""
VITALS = tuple(kind for kind in VitalKind if kind.spec.tested_by_default)
"""What is tested where nothing else is asked."""
MOST_FAMILIES = 30
ALL = "all"
"""Stands for every vital of the question."""
DEFAULT_BOUND = 5.0
"""Equivalence bound in /min and mmHg for whoever has declared none.

It is what the standards allow a device to be wrong by.

Pressure ± 5 mmHg: the mean error up to which ISO 81060-2 accepts a cuff. Heart rate ± 5 /min: the
smaller of the two errors (10 %, 5 /min) that ANSI/AAMI EC13 allows a heart-rate meter. The sources
of the others stand with their entries in ``core/vitals.py``. Bounds come from the instruments and
not from the sample, because a bound computed from the same data (such as half of their standard
deviation) makes the error rate of the test unknown. They do not say that less than 5 has no
meaning: reactions to emotions are often that small, and who studies them declares smaller bounds
before looking. There is none for intervals between beats: no such standard speaks of them.
"""
DEFAULT_SCR_THRESHOLD = 0.05
"""Least amplitude of a response of skin conductance in µS for whoever has declared none.

Boucsein et al. 2012 (Psychophysiology 49:1017-1034) name 0.01 to 0.05 µS; less than 0.05 takes an
amplifier and electrodes whose noise is known to be lower.
"""
DOUBTS = tuple(flag for flag in VitalFlag if flag in UNUSABLE)
"""The flags for which a reading is in no mean and no test unless it is asked for."""
Label = Annotated[str, Field(min_length=1, max_length=200)]
"""Name that a person gives a state, an event or a source."""
_Answer = TypeVar("_Answer")
SAMPLE_LISTS = frozenset({"session", "count_flagged", "prefer_source"})
"""Fields of every question that can come several times."""
_SEVERAL = SAMPLE_LISTS | {"vital", "heart_measure", "skin_measure", "states", "family"}


_TESTED = ("vital", "heart_measure", "skin_measure")
"""Fields that say what is tested."""


class Design(StrEnum):
    """The design of the comparison: paired, of independent groups, or as the data allow."""

    AUTO = "auto"
    PAIRED = "paired"
    INDEPENDENT = "independent"


def pairs_of(states: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """Return each pair of states, later minus earlier, those with the first state first."""
    return tuple(
        (states[later], states[earlier])
        for earlier in range(len(states))
        for later in range(len(states) - 1, earlier, -1)
    )


PAIRS = pairs_of(TESTED_STATES)


def usual_states(labels: Iterable[str]) -> tuple[str, ...]:
    """Return the states that are compared where a question names none.

    They are ``TESTED_STATES`` where two of these are among the labels of the study, else its own
    labels. Of these the first is what the others are compared with: neutral, where there is one.

    Args:
        labels: of the stimuli, the first one first; several may differ by case alone.
    """
    spelled: dict[str, str] = {}
    known = {emotion.value: emotion for emotion in Emotion}
    for label in labels:
        name = same_label(label)
        if name:
            spelled.setdefault(name, known.get(name, label.strip()))
    usual = [state for state in TESTED_STATES if state in spelled]
    if len(usual) >= 2 or len(spelled) < 2:
        return TESTED_STATES
    return first_of_all(spelled.values())[:MOST_STATES]


def first_of_all(labels: Iterable[str]) -> tuple[str, ...]:
    """Return labels with the one that the others are compared with first: neutral, where it is
    among them, else as they stand.
    """
    return tuple(sorted(labels, key=lambda label: same_label(label) != Emotion.NEUTRAL))


def emotions_of(states: Iterable[str]) -> tuple[str, ...]:
    """Return those of the states that a face can show and a person can report."""
    return tuple(state for state in states if state in tuple(Emotion))


def same_label(label: str) -> str:
    """Return a label as labels are compared: whatever its case, and without space around it."""
    return label.strip().casefold()


@lru_cache(maxsize=1024)
def tested_state(label: str, states: tuple[str, ...]) -> str | None:
    """Return which of the states a label names, whatever its case, or ``None``."""
    name = same_label(label)
    return next((state for state in states if same_label(state) == name), None)


Test = tuple[str, str, str]
"""Vital, measure of the heartbeat or of skin conductance, first state, second state."""
Tested = tuple[tuple[str, ...], ...]
"""Names of what is tested by what it is computed from: vitals, measures of the heartbeat, measures
of skin conductance. Tests of two of these are never in one family.
"""


def declared_families(
    texts: Sequence[str], tested: Tested, states: Sequence[str]
) -> tuple[str, ...]:
    """Return the families as they are written always, in order of their first tests.

    Args:
        texts: the families as somebody wrote them.
        tested: what is tested.
        states: which states are compared.

    Raises:
        ValueError: a family names what is not tested, has no test, mixes vitals with measures of
            the heartbeat or of skin conductance, or shares a test with another.
    """
    written: dict[Test, str] = {}
    for text in texts:
        parts = [_part(part, tested, states) for part in text.split(";")]
        _refuse_mixture(text, [name for names, _ in parts for name in names], tested)
        # A test that two parts of one family name is one test.
        tests = dict.fromkeys(chain.from_iterable(_tests(*part) for part in parts))
        for name, first, second in tests:
            if (name, first, second) in written:
                raise ValueError(
                    Message(
                        N_("{name}, {first} - {second}, is in two families"),
                        name=name,
                        first=first,
                        second=second,
                    )
                )
        # Sorted, so that the order in which parts were typed makes no other family.
        canonical = "; ".join(sorted({_write_part(*part, states) for part in parts}))
        written.update(dict.fromkeys(tests, canonical))
    order = [(name, *pair) for name in chain(*tested) for pair in pairs_of(states)]
    return tuple(dict.fromkeys(written[test] for test in order if test in written))


@lru_cache(maxsize=64)
def family_numbers(
    families: tuple[str, ...], tested: Tested, states: tuple[str, ...]
) -> Mapping[Test, int]:
    """Return for each test of a declared family the place of that family among them."""
    return {
        test: place
        for place, text in enumerate(families)
        for part in text.split(";")
        for test in _tests(*_part(part, tested, states))
    }


def _part(text: str, tested: Tested, states: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return what a part of a family tests, and between which states, both in order."""
    left, _, right = text.partition(":")
    names = [name.strip().casefold() for name in left.split(",")]
    if names == [ALL]:
        names = list(tested[0])
    known = tuple(chain(*tested))
    for name in names:
        if name not in known:
            raise ValueError(
                Message(
                    N_("{name!r} is not tested; choose from {names}, or {all}"),
                    name=name,
                    names=", ".join(known),
                    all=ALL,
                )
            )
    _refuse_mixture(text, names, tested)
    own = list(states)
    if right.strip():
        own = [_state(label, states) for label in right.split(",")]
    if len(set(own)) < 2:
        raise ValueError(
            Message(
                N_("{text!r} names fewer than two states, so there is no test"), text=text.strip()
            )
        )
    return [name for name in known if name in names], [one for one in states if one in own]


def _refuse_mixture(text: str, names: Iterable[str], tested: Tested) -> None:
    if len({place for name in names for place, own in enumerate(tested) if name in own}) > 1:
        raise ValueError(
            Message(
                N_(
                    "{text!r} mixes vitals, measures of the heartbeat and measures of skin "
                    "conductance; name one kind"
                ),
                text=text.strip(),
            )
        )


def _state(label: str, states: Sequence[str]) -> str:
    state = tested_state(label, tuple(states))
    if state is None:
        raise ValueError(
            Message(
                N_("{label!r} is not compared; choose from {names}"),
                label=label.strip(),
                names=", ".join(states),
            )
        )
    return state


def _tests(names: Sequence[str], states: Sequence[str]) -> Iterator[Test]:
    for name in names:
        for pair in pairs_of(states):
            yield str(name), str(pair[0]), str(pair[1])


def _write_part(names: Sequence[str], own: Sequence[str], states: Sequence[str]) -> str:
    """Write a part; without states where all of them are compared."""
    text = ", ".join(names)
    if len(own) == len(states):
        return text
    return f"{text}: {', '.join(own)}"


class StateBy(StrEnum):
    """The source of the state of a reading: condition, observed or reported emotion."""

    CONDITION = "condition"
    OBSERVED = "observed"
    REPORTED = "reported"


class Correction(StrEnum):
    """The correction of p values for the number of tests."""

    HOLM = "holm"
    BENJAMINI_HOCHBERG = "benjamini_hochberg"


class HeartMeasure(StrEnum):
    """A measure of the intervals between beats that can be tested."""

    LN_RMSSD = "ln_rmssd"
    SDNN = "sdnn"
    LN_LF = "ln_lf"
    LN_HF = "ln_hf"
    LN_LF_HF = "ln_lf_hf"
    RESPIRATION = "respiration"


class SkinMeasure(StrEnum):
    """A measure of the responses of skin conductance that can be tested."""

    SCR_COUNT = "scr_count"
    SCR_AMPLITUDE = "scr_amplitude"


AnyMeasure = Measure | HeartMeasure | SkinMeasure
"""All that two states are compared in."""

MEASURE_NAMES: Mapping[HeartMeasure | SkinMeasure, str] = {
    HeartMeasure.LN_RMSSD: "RMSSD",
    HeartMeasure.SDNN: "SDNN",
    HeartMeasure.LN_LF: N_("Low-frequency power"),
    HeartMeasure.LN_HF: N_("High-frequency power"),
    HeartMeasure.LN_LF_HF: "LF/HF",
    HeartMeasure.RESPIRATION: N_("Respiration rate, estimated from the rhythm"),
    SkinMeasure.SCR_COUNT: N_("Responses of skin conductance"),
    SkinMeasure.SCR_AMPLITUDE: N_("Amplitude of the responses of skin conductance"),
}
"""How people call each of them."""
MEASURE_UNITS: Mapping[HeartMeasure | SkinMeasure, str] = {
    HeartMeasure.SDNN: "ms",
    HeartMeasure.RESPIRATION: "/min",
    SkinMeasure.SCR_COUNT: "/min",
    SkinMeasure.SCR_AMPLITUDE: "µS",
}
"""Units of those that are no logarithm; a difference of logarithms is told as a ratio."""


class Outcome(StrEnum):
    """The outcome that is compared: the level of a reading, or its change."""

    LEVEL = "level"
    CHANGE = "change"


class Sample(StrEnum):
    """The sample of sessions that is looked at."""

    AUTO = "auto"
    MEASURED = "measured"
    EXAMPLE = "example"
    SELECTED = "selected"


def chosen_sessions(
    sessions: Sequence[Session], sample: Sample, ids: Sequence[int]
) -> tuple[Session, ...]:
    """Return the sessions of a sample, oldest first.

    Raises:
        StatisticsError: a session is asked for that does not exist.
    """
    # By number, too: sessions that started in the same millisecond must not swap places.
    ordered = sorted(sessions, key=lambda session: (session.start_ms, session.id))
    if sample is not Sample.SELECTED:
        return tuple(
            session for session in ordered if session.simulated is (sample is Sample.EXAMPLE)
        )
    missing = sorted(set(ids) - {session.id for session in sessions})
    if missing:
        known = ", ".join(str(session.id) for session in ordered[:20]) or "none"
        raise StatisticsError(
            N_("There is no session {missing}. Sessions: {known}{value}."),
            missing=missing[0],
            known=known,
            value=", …" if len(ordered) > 20 else "",
        )
    return tuple(session for session in ordered if session.id in ids)


class Model(BaseModel):
    """Base of all: unknown keys are refused, values do not change.

    A model can be made from the value that it shows (``from_attributes``). Where a name differs,
    ``validation_alias`` says where it stands there.
    """

    model_config = ConfigDict(
        extra="forbid", frozen=True, from_attributes=True, populate_by_name=True
    )


class SampleQuery(Model):
    """The part that every question has: which sessions are looked at, and which readings count."""

    sample: Sample = Field(
        Sample.AUTO,
        description="measured: all sessions that are not simulated. example: all simulated ones. "
        "selected: those in session. auto: measured, or the example while measured sessions give "
        "no answer",
    )
    session: tuple[Annotated[int, Field(ge=1)], ...] = Field(
        (), max_length=10_000, description="Session ids, with sample=selected"
    )
    estimated: bool = Field(
        False,
        description="The same as count_flagged=estimated: whether readings flagged so, such as the "
        "camera's pulse, count as if measured",
    )
    count_flagged: tuple[VitalFlag, ...] = Field(
        (),
        description=f"Which readings in doubt count all the same, by flag: {', '.join(DOUBTS)}. A "
        "reading with several of these flags counts only where all are named",
    )
    count_unknown: bool = Field(
        False,
        description="Whether faces count as the participant's of which that is not known: those "
        "that were followed without the evidence that vision.whose asks for",
    )
    prefer_source: tuple[Label, ...] = Field(
        (),
        max_length=20,
        description="Where several sources measured a vital in a session, one of them counts: the "
        "first of these that did; else the one with the most readings without doubt. Empty: "
        "vitals.prefer_sources of the configuration",
    )

    @field_validator("count_flagged")
    @classmethod
    def _are_doubts(cls, flags: tuple[VitalFlag, ...]) -> tuple[VitalFlag, ...]:
        """Refuse flags that cast no doubt: such readings count anyway."""
        for flag in flags:
            if flag not in DOUBTS:
                raise ValueError(
                    Message(
                        N_("{flag} readings count anyway; choose from {names}"),
                        flag=flag,
                        names=", ".join(DOUBTS),
                    )
                )
        return tuple(flag for flag in DOUBTS if flag in flags)

    @property
    def counted(self) -> frozenset[VitalFlag]:
        """The flags of doubt whose readings count all the same."""
        return frozenset(self.count_flagged) | ({VitalFlag.ESTIMATED} if self.estimated else set())

    def preferring(self, sources: Sequence[str]) -> Self:
        """Return the question with the sources that count where it names none itself."""
        if self.prefer_source:
            return self
        return self.model_copy(update={"prefer_source": tuple(sources)})


@without_collections()
def answer_of_sample(
    query: SampleQuery,
    sessions: Sequence[Session],
    answer: Callable[[Sample, tuple[Session, ...]], _Answer],
    is_answered: Callable[[_Answer], bool],
) -> _Answer:
    """Return the answer of the sample that the question names.

    ``auto`` means measured sessions. While they give no answer the example replaces them, if it
    gives one or there are no measured sessions.

    Args:
        query: the question.
        sessions: all sessions of the study.
        answer: answers by a sample and its sessions.
        is_answered: tells whether an answer says something.

    Raises:
        StatisticsError: a session is asked for that does not exist.
    """
    if query.sample is not Sample.AUTO:
        return answer(query.sample, chosen_sessions(sessions, query.sample, query.session))
    own = chosen_sessions(sessions, Sample.MEASURED, ())
    measured = answer(Sample.MEASURED, own)
    made = chosen_sessions(sessions, Sample.EXAMPLE, ())
    if is_answered(measured) or not made:
        return measured
    example = answer(Sample.EXAMPLE, made)
    return example if is_answered(example) or not own else measured


def _refused_by(kind: Measure, state: object) -> str:
    """Return why a measure is not tested by a source of states; empty where it is."""
    if is_of_face(kind) and state is StateBy.OBSERVED:
        return N_(
            "{name} by observed emotions would be circular: both are read from the same pictures "
            "of the face; choose state condition or reported"
        )
    if isinstance(kind, RatingKind) and state is StateBy.REPORTED:
        return N_(
            "{name} by reported emotions would be circular: both are what the participant said "
            "of the same stimulus; choose state condition"
        )
    if isinstance(kind, RatingKind) and state is StateBy.OBSERVED:
        return N_(
            "{name} is said of a whole stimulus and has no window of the face before it; choose "
            "state condition"
        )
    return ""


Seconds = Annotated[float, Field(ge=0, le=600, allow_inf_nan=False)]
Bound = Annotated[float, Field(gt=0, le=100, allow_inf_nan=False)]


class AnalysisQuery(SampleQuery):
    """The question: which readings count, and what state they belong to."""

    state: StateBy = Field(
        StateBy.CONDITION,
        description="condition: the stimulus that went on. observed: the emotion seen on the face "
        "before the reading. reported: the emotion that the participant reported of "
        "the stimulus that went on",
    )
    vital: tuple[Measure, ...] = Field(
        VITALS,
        min_length=1,
        description="What is tested; all of it is one family, unless family says otherwise",
    )
    design: Design = Field(
        Design.AUTO,
        description="paired: only participants with both states. independent: only participants "
        "with one of them. auto: paired where at least 3 participants have both "
        "states, else independent",
    )
    correction: Correction = Field(
        Correction.HOLM,
        description="Which adjusted p decides; holm bounds any error, "
        "benjamini_hochberg their share",
    )
    bound_heart_rate: Bound = Field(
        DEFAULT_BOUND,
        description="Equivalence: differences of heart rate up to this, in /min, count as none",
    )
    bound_pressure: Bound = Field(
        DEFAULT_BOUND,
        description="Equivalence: differences of pressure up to this, in mmHg, count as none",
    )
    sensitivity: bool = Field(
        True,
        description="Whether everything is repeated. Observed: with half and twice the window and "
        "lags. Condition and self-report: with none, half and twice of the settling times",
    )
    settling_heart_rate: Seconds = Field(
        VitalKind.HEART_RATE.spec.settling_s,
        description="Condition, self-report: seconds at the start of each stimulus whose heart "
        "rates are left out, because they still say much about the time before",
    )
    settling_pressure: Seconds = Field(
        VitalKind.SYSTOLIC.spec.settling_s,
        description="Condition, self-report: the same of a cuff, whose reading takes time itself",
    )
    settling_other: Seconds | None = Field(
        None,
        description="Condition, self-report: the same of all other vitals; null: of each its own",
    )
    window: float = Field(
        DEFAULT_WINDOW_S,
        gt=0,
        le=600,
        description="Observed: seconds of expression before a reading, less the lag",
    )
    lag_heart_rate: Seconds = Field(
        DEFAULT_LAG_S[VitalKind.HEART_RATE],
        description="Observed: seconds by which heart rate follows the face",
    )
    lag_pressure: Seconds = Field(
        DEFAULT_LAG_S[VitalKind.SYSTOLIC],
        description="Observed: seconds by which a cuff's reading follows the face",
    )
    share: float = Field(
        DEFAULT_SHARE,
        ge=0.5,
        le=1,
        description="Observed: least share of the window that one emotion must hold",
    )
    leave_out_flagged: bool = Field(
        False,
        description="What is done without it as well: readings in doubt are in no mean and no "
        "test. Contradicts count_flagged",
    )

    heart_measure: tuple[HeartMeasure, ...] = Field(
        (HeartMeasure.LN_RMSSD,),
        min_length=1,
        description="What the intervals between beats are tested for, a family of its own. "
        "ln_rmssd, sdnn: 60 s of a state in a session. ln_hf, respiration (estimated from the "
        "rhythm): 60 s without a break. ln_lf, ln_lf_hf: 120 s without a break",
    )
    skin_measure: tuple[SkinMeasure, ...] = Field(
        (SkinMeasure.SCR_COUNT,),
        min_length=1,
        description="What the responses of skin conductance are tested for, a family of its own. "
        "scr_count: how many a minute. scr_amplitude: mean amplitude, µS. Both need 60 s of a "
        "state in a session and 4 samples a second",
    )
    scr_threshold: float = Field(
        DEFAULT_SCR_THRESHOLD,
        ge=0.01,
        le=1,
        allow_inf_nan=False,
        description="Least amplitude of a response of skin conductance, in µS; smaller rises count "
        "as none",
    )
    outcome: Outcome = Field(
        Outcome.LEVEL,
        description="level: readings as they are. change: less the mean of the participant's "
        "baseline in the same session; sessions without one are left out",
    )
    states: tuple[Label, ...] = Field(
        TESTED_STATES,
        min_length=2,
        max_length=MOST_STATES,
        description="Which states are compared, each pair of them: labels of stimuli, or emotions; "
        "the first is the one that the others are compared with. Observed and reported states are "
        "emotions. Not given: the labels of the study where two of these are not among them, "
        "neutral or its first one first",
    )
    group: str | None = Field(
        None,
        min_length=1,
        max_length=100,
        description="Attribute of the participants, such as sex, by whose values groups are "
        "compared: all states together, and whether the states differ otherwise in one group than "
        "in another. A family of tests of its own",
    )
    family: tuple[Annotated[str, Field(min_length=1, max_length=1000)], ...] = Field(
        (),
        max_length=MOST_FAMILIES,
        description="Families of tests, within each of which p is adjusted: vitals or "
        "heart_measures or skin_measures, and states where not all of them are meant, such as "
        "heart_rate, or all: anger, neutral; parts of one family are divided by semicolons. Tests "
        "that no family names are one family more. Empty: all tests of vitals are one, all of "
        "heart_measure another, all of skin_measure a third",
    )

    @field_validator("vital")
    @classmethod
    def _in_order(cls, vital: tuple[Measure, ...], info: ValidationInfo) -> tuple[Measure, ...]:
        """Return each vital once, in the order of the tables; named twice it would be two tests of
        one family.

        Refuse intervals between beats, which are no level to compare.
        """
        if VitalKind.RR_INTERVAL in vital:
            raise ValueError(
                N_("rr_interval is not tested; its variability is shown beside the tests")
            )
        # ``info.data`` holds the fields that stand above this one, and only those that were valid.
        for kind in vital:
            refusal = _refused_by(kind, info.data.get("state"))
            if refusal:
                raise ValueError(Message(refusal, name=kind))
        # In the order of the tables, whatever the order of the question.
        return tuple(kind for kind in TESTABLE if kind in vital)

    @field_validator("heart_measure")
    @classmethod
    def _each_once(cls, measures: tuple[HeartMeasure, ...]) -> tuple[HeartMeasure, ...]:
        """Return each measure once; named twice it would be two tests of one family."""
        return tuple(measure for measure in HeartMeasure if measure in measures)

    @field_validator("skin_measure")
    @classmethod
    def _each_skin_measure_once(cls, measures: tuple[SkinMeasure, ...]) -> tuple[SkinMeasure, ...]:
        """Return each measure once, as those of the heartbeat."""
        return tuple(measure for measure in SkinMeasure if measure in measures)

    @field_validator("states")
    @classmethod
    def _are_states(cls, states: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        """Refuse two names of one state, which would compare it with itself."""
        known = {emotion.value: emotion for emotion in Emotion}
        names = [same_label(state) for state in states]
        if "" in names:
            raise ValueError(N_("a state has no name"))
        if len(set(names)) < len(names):
            raise ValueError(N_("a state is named twice"))
        if info.data.get("state") in (StateBy.OBSERVED, StateBy.REPORTED):
            for name in names:
                if name not in known:
                    raise ValueError(
                        Message(
                            N_("{name} is not an emotion; choose from {names}"),
                            name=name,
                            names=", ".join(known),
                        )
                    )
        return tuple(known.get(same_label(state), state.strip()) for state in states)

    @field_validator("leave_out_flagged")
    @classmethod
    def _is_no_contradiction(cls, leave_out: bool, info: ValidationInfo) -> bool:
        doubtful = [flag for flag in info.data.get("count_flagged", ()) if flag in DOUBTFUL]
        if leave_out and doubtful:
            raise ValueError(
                Message(
                    N_(
                        "contradicts count_flagged, which asks for {names}; give one of the two "
                        "settings"
                    ),
                    names=", ".join(doubtful),
                )
            )
        return leave_out

    @field_validator("family")
    @classmethod
    def _are_families(cls, family: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        """Return the families as they are always written; refuse a test that is in two of them."""
        question = info.data
        if not {*_TESTED, "states"} <= set(question):  # they are refused themselves
            return family
        tested = tuple(question[name] for name in _TESTED)
        return declared_families(family, tested, question["states"])

    def family_of(self, name: str, first: str, second: str) -> int:
        """Return the place of the declared family that a test is in; -1 for those in none."""
        tested = (self.vital, self.heart_measure, self.skin_measure)
        numbers = family_numbers(self.family, tested, self.states)
        return numbers.get((name, first, second), -1)

    @property
    def families(self) -> tuple[int, ...]:
        """The family of each test, in order of vitals and pairs."""
        return tuple(self.family_of(kind, *pair) for kind in self.vital for pair in self.pairs)

    def tests_with(self, kind: Measure | str) -> int:
        """Return the size of the family in which a vital is tested, the largest where its tests are
        in several; of a vital that is not tested the largest family of all.
        """
        sizes = Counter(self.families)
        of = [
            family
            for place, family in enumerate(self.families)
            if self.vital[place // len(self.pairs)] == kind
        ]
        return max(sizes[family] for family in of or sizes)

    @property
    def pairs(self) -> tuple[tuple[str, str], ...]:
        """Each pair of states, in order of the tests of a vital."""
        return pairs_of(self.states)

    @property
    def tested_pairs(self) -> tuple[tuple[Measure, str, str], ...]:
        """Each pair of states of each vital, in order of the tests."""
        return tuple((kind, *pair) for kind in self.vital for pair in self.pairs)

    def state_of(self, label: str) -> str | None:
        """Return which of the states a label names, or ``None``."""
        return tested_state(label, self.states)

    def settling_s(self, kind: Measure) -> float:
        """Return how much of the start of a stimulus is left out for a vital, in seconds.

        A rating is of the whole stimulus, whatever is asked for.
        """
        if isinstance(kind, RatingKind):
            return 0.0
        match kind.spec.option:
            case AnalysisOption.HEART_RATE:
                return self.settling_heart_rate
            case AnalysisOption.PRESSURE:
                return self.settling_pressure
        if self.settling_other is None:
            return kind.spec.settling_s
        return self.settling_other

    def lag_s(self, kind: Measure) -> float:
        """Return by how many seconds a vital follows the face: as asked, or as it usually does."""
        match kind.spec.option:
            case AnalysisOption.HEART_RATE:
                return self.lag_heart_rate
            case AnalysisOption.PRESSURE:
                return self.lag_pressure
        return kind.spec.lag_s

    def bound(self, kind: Measure) -> float:
        """Return the size below which a difference of a vital counts as none, in its unit."""
        match kind.spec.option:
            case AnalysisOption.HEART_RATE:
                return self.bound_heart_rate
            case AnalysisOption.PRESSURE:
                return self.bound_pressure
        return kind.spec.bound or 0.0


def _with_types_of_json(given: object) -> object:
    """Refuse what an address may say for numbers, true and false, where JSON has its own."""
    for name, field in AnalysisQuery.model_fields.items():
        if not isinstance(given, dict) or name not in given:
            continue
        value = given[name]
        # pydantic would take 0, 1, "yes" and "off" for a truth value.
        if field.annotation is bool and not isinstance(value, bool):
            raise ValueError(f"{name}: give true or false, not {value!r}")
        # ``bool`` is a kind of ``int``: true would pass for 1.
        if field.annotation in _NUMBERS and isinstance(value, bool | str):
            raise ValueError(f"{name}: give a number, not {value!r}")
    numbers = given.get("session") if isinstance(given, dict) else None
    for number in numbers if isinstance(numbers, list) else ():
        if isinstance(number, bool | str):
            raise ValueError(f"session: give numbers, not {number!r}")
    return given


_NUMBERS = (float, Seconds | None)
QuestionInJson = Annotated[AnalysisQuery, BeforeValidator(_with_types_of_json)]
"""A question in the body of a request."""


def query_of(fields: Iterable[tuple[str, str]]) -> AnalysisQuery:
    """Read the fields of the form; an empty field means its default.

    Raises:
        pydantic.ValidationError: an unknown field or a value that is not allowed.
    """
    lines = (
        (name, part)
        for name, value in fields
        for part in (value.splitlines() if name == "family" else [value])
    )
    return AnalysisQuery.model_validate(by_name(lines, _SEVERAL))


def address_of(query: AnalysisQuery) -> str:
    """Return a question as the address of the Analysis page asks it: every choice by name, so that
    another release with other defaults asks the same.
    """
    fields: list[tuple[str, str]] = []
    for name, value in query.model_dump(mode="json").items():
        several = value if isinstance(value, list) else [value]
        fields += [(name, _in_address(one)) for one in several if one is not None]
    return urlencode(fields)


def _in_address(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def by_name(
    fields: Iterable[tuple[str, str]], several: Collection[str], kept: Collection[str] = ()
) -> dict[str, str | list[str]]:
    """Return the fields of a form by their names.

    Args:
        fields: name and value of each; an empty one is left out and so means its default.
        several: names that come more than once, whose values become a list.
        kept: names that mean something when they are empty.
    """
    single: dict[str, str] = {}
    lists: defaultdict[str, list[str]] = defaultdict(list)
    for name, value in fields:
        if not value.strip() and name not in kept:
            continue
        if name in several:
            lists[name].append(value)
        else:
            single[name] = value
    return {**single, **lists}


def describe(error: ValidationError) -> list[str]:
    """Say for each wrong value its name, what was given and what is allowed, one sentence each; of
    what is wrong with all of them together only that.
    """
    sentences = []
    for detail in error.errors():
        text = refused_text(detail)
        name = ".".join(str(part) for part in detail["loc"])
        given = detail["input"]
        if not name:
            sentences.append(f"{text[:1].upper()}{text[1:]}.")
            continue
        shown = ", ".join(map(str, given)) if isinstance(given, list | tuple) else repr(given)
        is_quoted = text.startswith(str(given))  # a value keeps its letters
        reason = text if is_quoted else text[:1].lower() + text[1:]
        sentences.append(f"{name} = {shown[:80]}: {reason}.")
    return sentences
