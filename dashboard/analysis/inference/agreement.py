"""Agreement of three sources about each stimulus (its label, the face, the participant), and of
two sensors about each minute.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress

import numpy as np

from dashboard.analysis.question import TESTED_STATES, tested_state
from dashboard.analysis.readings.minutes import Minutes, Shares, means_of, shares_of
from dashboard.analysis.results import AgreementModel, SensorComparison, SessionAgreement, Source
from dashboard.languages.current import gettext, ngettext
from dashboard.languages.figures import by_locale, decimal
from dashboard.languages.names import said_of, vital_label
from dashboard.statistics.agreement import (
    NORMAL,
    IntraclassCorrelation,
    Judgement,
    LimitsOfAgreement,
    cohens_kappa,
    intraclass_correlation,
    limits_of_agreement,
)
from dashboard.statistics.samples import MINIMUM, NoVariationError, TooFewError
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


def compare_sensors(
    reader: Reader,
    kinds: Sequence[Measure],
    session_ids: Sequence[int] = (),
    *,
    simulated: bool | None = None,
) -> tuple[SensorComparison, ...]:
    """Compare each two sources of a vital that measured in the same minute of a session.

    Readings in doubt do not count, nor what somebody left out. A source that gives estimates alone,
    such as the camera's pulse, is the thing compared, and stands first. Nothing for a vital of one
    source.

    Args:
        reader: the timeline.
        kinds: vitals to look at.
        session_ids: sessions to look at; empty is all.
        simulated: only demonstrations, or none; ``None`` is both.

    Raises:
        StatisticsError: a session is asked for that does not exist.
        StoreError: the database cannot be read.
    """
    sessions = reader.session_list()
    missing = sorted(set(session_ids) - {session.id for session in sessions})
    if missing:
        raise StatisticsError(N_("There is no session {missing}."), missing=missing[0])
    chosen = {
        one.id: one
        for one in sessions
        if (one.id in session_ids or not session_ids) and simulated in (None, one.simulated)
    }
    excluded = [one for one in reader.exclusions() if one.session in chosen]
    counted = [one for one in chosen.values() if one.left_out != "whole"]
    comparisons: list[SensorComparison] = []
    for kind in kinds:
        means = means_of(reader, counted, kind)
        pairs = list(means.pairs())
        if not pairs:
            continue
        shares = Shares({}, {})
        if kind.spec.stream:
            measured = [chosen[number] for number in sorted({of for of, _ in means.by_minute})]
            shares = shares_of(reader, measured, kind, excluded, means)
        reasons = [one.reason for one in excluded]
        comparisons += [_compared_sensors(kind, pair, means, shares, reasons) for pair in pairs]
    return tuple(comparisons)


def _compared_sensors(
    kind: Measure, pair: tuple[str, str], means: Minutes, shares: Shares, excluded: Sequence[str]
) -> SensorComparison:
    first, second = pair
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
        reasons.append(said_of(error))
    try:
        icc = intraclass_correlation(firsts, seconds)
    except StatisticsError as error:
        reasons.append(said_of(error))
    both = sorted(of_session)
    compared = SensorComparison(
        vital=kind,
        unit=kind.unit,
        first=first,
        second=second,
        people=len(of_person),
        minutes=len(differences),
        bias=limits and limits.bias,
        sd=limits and limits.sd,
        low=limits and limits.limits.low,
        high=limits and limits.limits.high,
        icc=icc and icc.icc,
        icc_low=icc and icc.interval.low,
        icc_high=icc and icc.interval.high,
        reasons=tuple(reasons),
        excluded=tuple(excluded),
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
    in_short = _sentence_on_estimate(compared)
    sentence = " ".join([*in_short, *_sentences_on_sensors(compared, limits, icc)])
    return compared.model_copy(update={"in_short": " ".join(in_short), "sentence": sentence})


def _session_agreement(
    session: int, pair: tuple[str, str], minutes: Sequence[tuple[float, float]], shares: Shares
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


def _sentences_on_sensors(
    compared: SensorComparison, limits: LimitsOfAgreement | None, icc: IntraclassCorrelation | None
) -> list[str]:
    start = ngettext(
        "{vital}, {first} minus {second}, {minutes} minutes of {n} person:",
        "{vital}, {first} minus {second}, {minutes} minutes of {n} people:",
        compared.people,
    ).format(
        vital=vital_label(compared.vital),
        first=compared.first,
        second=compared.second,
        minutes=compared.minutes,
        n=compared.people,
    )
    return [
        start,
        *_words(limits, icc, compared.vital.spec.unit_shown),
        *(f"{reason[0].upper()}{reason[1:]}." for reason in compared.reasons),
        *_sentence_on_exclusions(compared.excluded),
    ]


def _sentence_on_estimate(compared: SensorComparison) -> list[str]:
    """Say how far an estimate was off, and how often it was there; nothing about two sensors."""
    if compared.estimated != (compared.first,):
        return []
    start = ngettext(
        "In your recordings (minutes: {minutes}, in {n} session) the estimate {source} was off by "
        "{off_by} {unit} in the mean minute, measured against {other}.",
        "In your recordings (minutes: {minutes}, in {n} sessions) the estimate {source} was off by "
        "{off_by} {unit} in the mean minute, measured against {other}.",
        compared.sessions,
    ).format(
        minutes=compared.minutes,
        n=compared.sessions,
        source=compared.first,
        off_by=decimal(compared.off_by, 1),
        unit=compared.vital.spec.unit_shown,
        other=compared.second,
    )
    if compared.first_share is None:
        return [start]
    share = gettext("It gave a value during {share} % of the time.")
    return [start, share.format(share=decimal(100 * compared.first_share, 0))]


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
