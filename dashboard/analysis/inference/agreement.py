"""Agreement of three sources about each stimulus (its label, the face, the participant), and of
two sensors about each minute.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress

from pydantic import Field

from dashboard.analysis.question import TESTED_STATES, Model, tested_state
from dashboard.analysis.readings.minutes import Minutes, means_of, minutes_of, pairs_of
from dashboard.analysis.results import AgreementModel, Source
from dashboard.languages.current import gettext, ngettext
from dashboard.languages.figures import by_locale, decimal
from dashboard.languages.names import said_of, vital_label
from dashboard.statistics.agreement import (
    IntraclassCorrelation,
    Judgement,
    LimitsOfAgreement,
    cohens_kappa,
    intraclass_correlation,
    limits_of_agreement,
)
from dashboard.statistics.samples import NoVariationError, TooFewError
from edge_agent.core.errors import StatisticsError
from edge_agent.core.measures import Measure
from edge_agent.core.texts import N_
from edge_agent.store.read.reader import Reader
from edge_agent.store.read.stimuli import Stimulus

_PAIRS: tuple[tuple[Source, Source], ...] = (
    ("condition", "observed"),
    ("condition", "reported"),
    ("observed", "reported"),
)


def compare_sources(
    stimuli: Sequence[Stimulus],
    shown: Sequence[str | None],
    states: tuple[str, ...] = TESTED_STATES,
) -> tuple[AgreementModel, ...]:
    """Compare label, face and self-report of the stimuli called by one of the states, each with
    each; without sentences.

    Args:
        stimuli: all of them; others are passed over.
        shown: for each the emotion that the face showed, empty for none and ``None`` for no face.
        states: those that are compared; a face shows none that is not an emotion.
    """
    stimulus_labels: list[tuple[str, dict[Source, str | None]]] = [
        (
            stimulus.participant,
            {"condition": str(label), "observed": face, "reported": stimulus.reported},
        )
        for stimulus, face in zip(stimuli, shown, strict=True)
        if (label := tested_state(stimulus.condition, states)) is not None
    ]
    return tuple(
        _compare_sources(stimulus_labels, first, second, states) for first, second in _PAIRS
    )


def _compare_sources(
    stimulus_labels: Sequence[tuple[str, dict[Source, str | None]]],
    first: Source,
    second: Source,
    states: Sequence[str],
) -> AgreementModel:
    both = [
        Judgement(participant, one, other)
        for participant, labels in stimulus_labels
        # An empty label (no emotion held its share) is no
        # judgement either, so truth and not None is asked.
        if (one := labels[first]) and (other := labels[second])
    ]
    agreement = None
    with suppress(TooFewError, NoVariationError):
        agreement = cohens_kappa(both, [str(state) for state in states])
    return AgreementModel(
        first=first,
        second=second,
        labels=agreement.labels if agreement else (),
        table=agreement.table if agreement else (),
        n=agreement.n if agreement else 0,
        participants=agreement.participants if agreement else 0,
        left_out=len(stimulus_labels) - len(both),
        observed=agreement and agreement.observed,
        expected=agreement and agreement.expected,
        kappa=agreement and agreement.kappa,
        interval=agreement and agreement.interval,
        no_interval=agreement and agreement.no_interval,
        sentence="",
    )


class SensorComparison(Model):
    """Two sources of one vital over the minutes in which both measured; first minus second."""

    vital: Measure = Field(description="What was measured")
    unit: str = Field(description="Unit of bias, sd and limits")
    first: str = Field(description="A source")
    second: str = Field(description="Another")
    people: int = Field(description="Participants whom both measured")
    minutes: int = Field(description="Minutes of sessions in which both have a usable reading")
    bias: float | None = Field(description="Mean difference of a minute’s means")
    sd: float | None = Field(description="Of a single difference, within and between people")
    low: float | None = Field(description="Lower limit of agreement, bias − 1.96 sd")
    high: float | None = Field(description="Upper limit")
    icc: float | None = Field(description="ICC(A,1) of the participants’ means")
    icc_low: float | None = Field(description="Lower end of its 95 % interval")
    icc_high: float | None = Field(description="Upper end")
    reasons: tuple[str, ...] = Field(description="Why numbers are missing")
    excluded: tuple[str, ...] = Field(
        description="Why somebody left out sessions or stretches of them, one reason each"
    )
    sentence: str = Field(description="The result in words")


def compare_sensors(
    reader: Reader, kinds: Sequence[Measure], session_ids: Sequence[int] = ()
) -> tuple[SensorComparison, ...]:
    """Compare each two sources of a vital that measured in the same minute of a session.

    Readings in doubt do not count, nor what somebody left out. Nothing for a vital of one source.

    Args:
        reader: the timeline.
        kinds: vitals to look at.
        session_ids: sessions to look at; empty is all.

    Raises:
        StatisticsError: a session is asked for that does not exist.
        StoreError: the database cannot be read.
    """
    sessions = reader.session_list()
    missing = sorted(set(session_ids) - {session.id for session in sessions})
    if missing:
        raise StatisticsError(N_("There is no session {missing}."), missing=missing[0])
    chosen = [one for one in sessions if one.id in session_ids or not session_ids]
    numbers = {one.id for one in chosen}
    excluded = [one.reason for one in reader.exclusions() if one.session in numbers]
    minutes = [minute for one in chosen if one.left_out != "whole" for minute in minutes_of(one)]
    compared: list[SensorComparison] = []
    for kind in kinds:
        means = means_of(reader, minutes, kind)
        compared += [_compared_sensors(kind, *pair, means, excluded) for pair in pairs_of(means)]
    return tuple(compared)


def _compared_sensors(
    kind: Measure, first: str, second: str, means: Minutes, excluded: Sequence[str]
) -> SensorComparison:
    of_person: defaultdict[str, list[tuple[float, float]]] = defaultdict(list)
    for (code, _), own in means.items():
        if first in own and second in own:
            of_person[code].append((own[first], own[second]))
    reasons = []
    limits = None
    icc = None
    codes = [code for code, own in of_person.items() for _ in own]
    differences = [one - other for own in of_person.values() for one, other in own]
    # One value a person for the ICC: minutes of one person are no independent people.
    firsts = [math.fsum(one for one, _ in own) / len(own) for own in of_person.values()]
    seconds = [math.fsum(other for _, other in own) / len(own) for own in of_person.values()]
    try:
        limits = limits_of_agreement(codes, differences)
    except StatisticsError as error:
        reasons.append(said_of(error))
    try:
        icc = intraclass_correlation(firsts, seconds)
    except StatisticsError as error:
        reasons.append(said_of(error))
    minutes = sum(len(own) for own in of_person.values())
    start = ngettext(
        "{vital}, {first} minus {second}, {minutes} minutes of {n} person:",
        "{vital}, {first} minus {second}, {minutes} minutes of {n} people:",
        len(of_person),
    ).format(vital=vital_label(kind), first=first, second=second, minutes=minutes, n=len(of_person))
    return SensorComparison(
        vital=kind,
        unit=kind.unit,
        first=first,
        second=second,
        people=len(of_person),
        minutes=minutes,
        bias=limits and limits.bias,
        sd=limits and limits.sd,
        low=limits and limits.limits.low,
        high=limits and limits.limits.high,
        icc=icc and icc.icc,
        icc_low=icc and icc.interval.low,
        icc_high=icc and icc.interval.high,
        reasons=tuple(reasons),
        excluded=tuple(excluded),
        sentence=" ".join(
            [
                start,
                *_words(limits, icc, kind.spec.unit_shown),
                *(f"{reason[0].upper()}{reason[1:]}." for reason in reasons),
                *_sentence_on_exclusions(excluded),
            ]
        ),
    )


def _sentence_on_exclusions(reasons: Sequence[str]) -> list[str]:
    if not reasons:
        return []
    text = ngettext(
        "{n} session or stretch was left out by hand ({reasons}).",
        "{n} sessions or stretches were left out by hand ({reasons}).",
        len(reasons),
    )
    return [text.format(n=len(reasons), reasons="; ".join(dict.fromkeys(reasons)))]


def _words(
    limits: LimitsOfAgreement | None, icc: IntraclassCorrelation | None, unit: str
) -> list[str]:
    texts = []
    if limits is not None:
        texts.append(
            gettext(
                "bias {bias} {unit}, 95 % of differences between {low} and {high} {unit}."
            ).format(
                bias=by_locale(f"{limits.bias:+.2f}"),
                unit=unit,
                low=by_locale(f"{limits.limits.low:+.2f}"),
                high=by_locale(f"{limits.limits.high:+.2f}"),
            )
        )
    if icc is not None:
        texts.append(
            gettext("ICC(A,1) {icc} (95 % CI {low} to {high}).").format(
                icc=decimal(icc.icc, 3),
                low=decimal(icc.interval.low, 3),
                high=decimal(icc.interval.high, 3),
            )
        )
    return texts
