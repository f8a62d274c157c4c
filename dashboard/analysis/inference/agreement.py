"""Agreement of three sources about each stimulus (its label, the face, the participant), and of
two sensors about each minute.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from contextlib import suppress

import numpy as np

from dashboard.analysis.query import TESTED_STATES, tested_state
from dashboard.analysis.readings.minutes import SourceMinutes, SourceShares
from dashboard.analysis.results import AgreementModel, SensorComparison, SessionAgreement, Source
from dashboard.statistics import MINIMUM
from dashboard.statistics.agreement import (
    NORMAL,
    Judgement,
    cohens_kappa,
    intraclass_correlation,
    limits_of_agreement,
)
from dashboard.statistics.samples import NoVariationError, TooFewError
from edge_agent.core.errors import StatisticsError
from edge_agent.core.texts import text_of
from edge_agent.timeline.read.stimuli import SessionStimulus

_PAIRS: tuple[tuple[Source, Source], ...] = (
    ("condition", "observed"),
    ("condition", "reported"),
    ("observed", "reported"),
)


def compare_sources(
    stimuli: Sequence[SessionStimulus],
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


def compare_sensors(measured: Iterable[SourceMinutes]) -> tuple[SensorComparison, ...]:
    """Compare each two sources of a vital that measured in the same minute of a session; without
    sentences.

    A source that gives estimates alone, such as the camera's pulse, is the thing compared, and
    stands first. Nothing for a vital of one source.
    """
    return tuple(_compared_sensors(one, pair) for one in measured for pair in one.means.pairs())


def _compared_sensors(measured: SourceMinutes, pair: tuple[str, str]) -> SensorComparison:
    first, second = pair
    means, shares = measured.means, measured.shares
    of_session: defaultdict[int, list[tuple[float, float]]] = defaultdict(list)
    of_person: defaultdict[str, list[tuple[float, float]]] = defaultdict(list)
    for (session, _), own in means.by_minute.items():
        if first in own and second in own:
            of_session[session].append((own[first], own[second]))
            of_person[means.participants[session]].append((own[first], own[second]))
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
        reasons.append(text_of(error))
    try:
        icc = intraclass_correlation(firsts, seconds)
    except StatisticsError as error:
        reasons.append(text_of(error))
    both = sorted(of_session)
    shared = [place for place, own in means.by_minute.items() if {first, second} <= own.keys()]
    doubted, simulated = (
        sum(any((*place, source) in marked for source in pair) for place in shared)
        for marked in (means.doubted, means.simulated)
    )
    return SensorComparison(
        vital=measured.kind,
        unit=measured.kind.unit,
        first=first,
        second=second,
        people=len(of_person),
        minutes=len(differences),
        doubted=doubted,
        simulated=simulated,
        made_up=sum(session in means.made_up for session, _ in shared),
        bias=limits and limits.bias,
        sd=limits and limits.sd,
        low=limits and limits.limits.low,
        high=limits and limits.limits.high,
        bias_interval=limits and limits.bias_interval,
        low_interval=limits and limits.low_interval,
        high_interval=limits and limits.high_interval,
        icc=icc and icc.icc,
        icc_low=icc and icc.interval.low,
        icc_high=icc and icc.interval.high,
        reasons=tuple(reasons),
        excluded=measured.excluded,
        sentence="",
        in_short="",
        estimated=tuple(source for source in pair if source in means.estimated),
        sessions=len(both),
        off_by=_mean_error(differences),
        first_share=shares.share(both, first),
        second_share=shares.share(both, second),
        by_session=tuple(
            _session_agreement(session, pair, of_session[session], shares) for session in both
        ),
    )


def _session_agreement(
    session: int,
    pair: tuple[str, str],
    minutes: Sequence[tuple[float, float]],
    shares: SourceShares,
) -> SessionAgreement:
    """Return the agreement within one session; its minutes are those of one person."""
    differences = np.array([one - other for one, other in minutes])
    bias, sd, icc = float(differences.mean()), None, None
    if len(minutes) >= MINIMUM:
        sd = float(differences.std(ddof=1))
        with suppress(StatisticsError):
            icc = intraclass_correlation(*zip(*minutes, strict=True)).icc
    return SessionAgreement(
        session=session,
        minutes=len(minutes),
        bias=bias,
        sd=sd,
        low=None if sd is None else bias - NORMAL * sd,
        high=None if sd is None else bias + NORMAL * sd,
        icc=icc,
        off_by=_mean_error(differences.tolist()),
        first_share=shares.share([session], pair[0]),
        second_share=shares.share([session], pair[1]),
    )


def _mean_error(differences: Sequence[float]) -> float:
    return math.fsum(map(abs, differences)) / len(differences)
