"""Recompute the tests of the dashboard's Analysis page from the CSV files beside this script.

    python analysis.py [FOLDER] [--state condition|observed|reported] [--csv] …      (--help names
    all options)

Needs Python 3.11 or newer, NumPy and SciPy, and nothing of Affect Edge. The files are read line by
line, so that a recording of a year needs no more memory than one of an hour. ``analysis.R``
computes the same in R.

The unit of every test is one participant. Readings are averaged within each session and state; a
paired difference is the average of those within the sessions that have both states. Readings in
doubt, and those before the vital has settled in a stimulus, count in no mean. All pairs of states
of all vitals are one family, whose p values are adjusted together, unless --family declares others.
Formulas and sources stand with the functions.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import math
import sys
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import integrate, optimize, special, stats

Values = npt.NDArray[np.float64]
State = dict[str, float]  # of one session: state → mean
Families = dict[tuple[str, str, str], int]  # vital or measure, two states → family
Means = dict[str, dict[str, list[State]]]  # vital → participant → sessions

STATES = ("neutral", "happiness", "anger")
EMOTIONS = (
    *("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt"),
)
NUMBER_WORDS = ("no", "one", "two", "three", "four", "five", "six")
SCALE = math.sqrt(2) / 2  # of the Cauchy distribution of the effect, for Bayes factors
FAR = 40.0  # e-folds beyond which nothing of the integral of a Bayes factor is left
# readings with these flags count in no mean unless they are asked for
DOUBTS = ("out_of_range", "contact_lost", "estimated", "clock_differs", "poor_signal")
MINIMUM = 3  # fewest pairs, or people in each group
ALPHA = 0.05
POWER = 0.8
MOST = 10_000
# up to so many differences, or people of the smaller group times those of both, the distribution of
# a rank sum is counted; above it is taken for normal
EXACT_RANKS = 50
EXACT_SPLITS = 5000
FOREVER = 2**62
MINUS = "\u2212"


# --- Reading --------------------------------------------------------------------------------------


def whole(text: str) -> int:
    """Read a whole number; 0 where there is none, as in a reading outside of every session."""
    return int(text or 0)


def finite(text: str) -> float:
    """Read a number."""
    if not math.isfinite(value := float(text)):
        raise ValueError(text)
    return value


COLUMNS: dict[str, dict[str, Callable[[str], float | str]]] = {
    "vital_kind": {
        "kind": str,
        "label": str,
        "unit_shown": str,
        "bound": str,
        "option": str,
        "default": str,
        "settling_s": finite,
    },
    "session": {"session": whole, "participant": str, "simulated": str},
    "marker": {"session": whole, "at_ms": whole, "kind": str},
    "self_report": {"session": whole, "at_ms": whole, "scale": str, "value": str},
    "attenuation": {"first": str, "second": str, "factor": finite},
    "baseline": {"session": whole, "kind": str, "source": str, "mean": finite},
    "heart_measure": {
        "measure": str,
        "title": str,
        "participant": str,
        "session": whole,
        "state": str,
        "value": finite,
    },
    "vital": {
        "session": whole,
        "at_ms": whole,
        "value": finite,
        "kind": str,
        "participant": str,
        "condition": str,
        "observed": str,
        "flags": str,
        "source": str,
    },
}
CURE = "Unpack the whole zip again; a spreadsheet that saved the file may have changed it."


def rows_of(folder: Path, name: str) -> Iterator[dict[str, Any]]:
    """Yield the rows of a file, with their numbers read."""
    path = folder / f"{name}.csv"
    numbers = {c: read for c, read in COLUMNS[name].items() if read is not str}
    if not path.exists():
        raise SystemExit(
            f"{path}: no such file. Unpack the whole zip, then run the script in its folder."
        )
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file, strict=True)
        try:
            if missing := [
                column for column in COLUMNS[name] if column not in (reader.fieldnames or ())
            ]:
                raise ValueError(f"there is no column {', '.join(missing)}")
            row: dict[Any, Any]
            for row in reader:
                if None in row or None in row.values():
                    raise ValueError(f"there are not {len(reader.fieldnames or ())} cells")
                for column, read in numbers.items():
                    try:
                        row[column] = read(row[column])
                    except ValueError:
                        raise ValueError(
                            f"{column} is {row[column]!r}, which is no number"
                        ) from None
                yield row
        except (ValueError, csv.Error) as error:
            raise SystemExit(f"{path}, line {reader.line_num}: {error}. {CURE}") from error


@dataclass(frozen=True)
class Kind:
    """A kind of vital that can be tested: title, equivalence bound, the end of the options that set
    bound and settling time, and seconds of settling.
    """

    title: str
    bound: float
    option: str
    default: bool
    settling_s: float


def read_kinds(folder: Path) -> dict[str, Kind]:
    """Return the kinds that can be tested, in the order of the page."""
    return {
        row["kind"]: Kind(
            f"{row['label']}, {row['unit_shown']}",
            float(row["bound"]),
            row["option"],
            row["default"] == "1",
            row["settling_s"],
        )
        for row in rows_of(folder, "vital_kind")
        if row["bound"]
    }


def session_of(row: Mapping[str, Any], sessions: Mapping[int, Session]) -> Session:
    """Return the session of a row."""
    if row["session"] not in sessions:
        raise SystemExit(
            f"session.csv: there is no session {row['session']}, which other files name. {CURE}"
        )
    return sessions[row["session"]]


@dataclass
class Session:
    """A session: whose it is, when it ended, and its stimuli as (start, what was reported of
    it).
    """

    participant: str
    simulated: bool
    stimuli: list[tuple[int, str]] = field(default_factory=list)


def read_sessions(folder: Path) -> dict[int, Session]:
    """Return the sessions, with the emotion that was reported of each stimulus: the last report
    before the next one.
    """
    sessions = {
        row["session"]: Session(row["participant"], row["simulated"] == "1")
        for row in rows_of(folder, "session")
    }
    for row in rows_of(folder, "marker"):
        if row["kind"] == "stimulus_start":
            session_of(row, sessions).stimuli.append((row["at_ms"], ""))
    for session in sessions.values():
        session.stimuli.sort()
    for row in rows_of(folder, "self_report"):
        stimuli = session_of(row, sessions).stimuli
        place = bisect_right(stimuli, (row["at_ms"], "\uffff")) - 1
        if row["scale"] == "emotion" and place >= 0:
            stimuli[place] = (stimuli[place][0], row["value"])
    return sessions


def pairs_of(states: Sequence[str]) -> list[tuple[str, str]]:
    """Return each pair of states, later minus earlier, those with the first state first."""
    return [
        (states[later], states[earlier])
        for earlier in range(len(states))
        for later in range(len(states) - 1, earlier, -1)
    ]


def state_of(
    row: Mapping[str, Any], sessions: Mapping[int, Session], options: argparse.Namespace
) -> str:
    """Return the state that a reading belongs to; empty for none that is compared."""
    by = options.state
    if by == "observed":
        label = row["observed"]
    else:
        label = row["condition"]
        if by == "reported" and label:
            stimuli = sessions[row["session"]].stimuli
            label = stimuli[bisect_right(stimuli, (row["at_ms"], "\uffff")) - 1][1]
    names: dict[str, str] = options.names
    return names.get(str(label).strip().casefold(), "")


def settling_ms(vital: str, options: argparse.Namespace) -> int:
    """Return how much of the start of each stimulus is left out for a vital."""
    kind = options.kinds[vital]
    seconds = getattr(options, f"settling_{kind.option or 'other'}")
    return round(1000 * float(kind.settling_s if seconds is None else seconds))


def has_settled(
    row: Mapping[str, Any], sessions: Mapping[int, Session], options: argparse.Namespace
) -> bool:
    """Tell whether a reading was taken long enough after its stimulus began."""
    if options.state == "observed":
        return True
    stimuli = session_of(row, sessions).stimuli
    place = bisect_right(stimuli, (row["at_ms"], "\uffff")) - 1
    return place < 0 or bool(row["at_ms"] >= stimuli[place][0] + settling_ms(row["kind"], options))


def best_source(sources: Mapping[str, tuple[int, int]], preferred: Sequence[str]) -> str:
    """Return which source counts, of those that measured a vital in a session: the first that is
    preferred; else the one with the most readings without doubt, then with the most.
    """
    for name in preferred:
        if name in sources:
            return name
    return min(sources, key=lambda name: (-sources[name][0], -sources[name][1], name))


def read_means(
    folder: Path, options: argparse.Namespace, ids: set[int], sessions: Mapping[int, Session]
) -> Means:
    """Return for each vital and participant the means of each session: state → mean."""
    left_out = set(DOUBTS) - set(options.count_flagged)
    values: defaultdict[tuple[str, str, int, str, str], list[float]] = defaultdict(list)
    measured: defaultdict[tuple[str, int], dict[str, tuple[int, int]]] = defaultdict(dict)
    for row in rows_of(folder, "vital"):
        if row["session"] in ids and row["kind"] in options.vital:
            state = state_of(row, sessions, options)
            if state and has_settled(row, sessions, options):
                flags = set(row["flags"].split())
                source = row["source"]
                sources = measured[row["kind"], row["session"]]
                sound, every = sources.get(source, (0, 0))
                sources[source] = (sound + (not flags & set(DOUBTS)), every + 1)
                if not left_out & flags:
                    place = (row["kind"], row["participant"], row["session"], state, source)
                    values[place].append(row["value"])
    of_session: defaultdict[tuple[str, str, int], State] = defaultdict(dict)
    rests = read_baselines(folder) if options.outcome == "change" else None
    for (vital, participant, session, state, source), readings in sorted(values.items()):
        if source == best_source(measured[vital, session], options.prefer_source):
            mean = math.fsum(readings) / len(readings)
            if rests is None:
                of_session[vital, participant, session][state] = mean
            elif (vital, session, source) in rests:
                rest = rests[vital, session, source]
                of_session[vital, participant, session][state] = mean - rest
    means: Means = defaultdict(lambda: defaultdict(list))
    for (vital, participant, _), states in of_session.items():
        means[vital][participant].append(states)
    return means


def read_baselines(folder: Path) -> dict[tuple[str, int, str], float]:
    """Return of each vital, session and source the mean at rest."""
    rows = rows_of(folder, "baseline")
    return {(row["kind"], row["session"], row["source"]): row["mean"] for row in rows}


def read_heart(folder: Path) -> tuple[dict[str, str], Means]:
    """Return what the measures of the intervals between beats are called, and the value of each
    state of each session.
    """
    titles = {}
    of_session: defaultdict[tuple[str, str, int], State] = defaultdict(dict)
    for row in rows_of(folder, "heart_measure"):
        titles[row["measure"]] = row["title"]
        of_session[row["measure"], row["participant"], row["session"]][row["state"]] = row["value"]
    means: Means = defaultdict(lambda: defaultdict(list))
    for (measure, participant, _), states in of_session.items():
        means[measure][participant].append(states)
    return titles, means


def read_factors(folder: Path, by: str) -> dict[tuple[str, str], float]:
    """Return by how much misread faces may shrink the difference of two states, at the worst;
    nothing where states are not observed, or where no card says so.
    """
    if by != "observed" or not (folder / "attenuation.csv").exists():
        return {}
    return {(row["first"], row["second"]): row["factor"] for row in rows_of(folder, "attenuation")}


def average(sessions: Sequence[State], state: str) -> float:
    """Average a state over sessions, each with the same weight."""
    return math.fsum(session[state] for session in sessions) / len(sessions)


def sides(
    people: Mapping[str, Sequence[State]], first: str, second: str
) -> tuple[dict[str, float], dict[str, float], int]:
    """Return participant → value for two states, and how many people had them in different sessions
    only.

    Who has both in a session is averaged over such sessions; who has one, over all with it.
    """
    one, two, apart = {}, {}, 0
    for code, own in people.items():
        both = [session for session in own if first in session and second in session]
        firsts = both or [session for session in own if first in session]
        seconds = both or [session for session in own if second in session]
        if firsts and seconds and not both:
            apart += 1
            continue
        if firsts:
            one[code] = average(firsts, first)
        if seconds:
            two[code] = average(seconds, second)
    return one, two, apart


def choose(folder: Path, options: argparse.Namespace) -> tuple[str, Means]:
    """Return which sessions were taken and their means: the measured ones, or the example while
    there are none.
    """
    sessions = read_sessions(folder)
    for number in options.session:
        if number not in sessions:
            raise SystemExit(
                f"There is no session {number}. Sessions: "
                f"{', '.join(map(str, sessions)) or 'none'}."
            )
    if options.session:
        return "selected", read_means(folder, options, set(options.session), sessions)
    for sample in ("measured", "example") if options.sample == "auto" else (options.sample,):
        ids = {
            number
            for number, session in sessions.items()
            if session.simulated is (sample == "example")
        }
        means = read_means(folder, options, ids, sessions)
        if means or not any(session.simulated for session in sessions.values()):
            break
    return sample, means


# --- Statistics -----------------------------------------------------------------------------------


@dataclass
class Test:
    """One comparison, first minus second; ``None`` and NaN where there is no number."""

    vital: str
    first: str
    second: str
    n_both: int
    left_out: int = 0
    method: str = ""
    n_first: int = 0
    n_second: int = 0
    difference: float | None = None
    low: float = math.nan
    high: float = math.nan
    t: float = math.nan
    df: float = math.nan
    p: float = math.nan
    holm_p: float = math.nan
    bh_p: float = math.nan
    g: float = math.nan
    g_low: float = math.nan
    g_high: float = math.nan
    shapiro: list[float] = field(default_factory=list)
    rank: float = math.nan
    equivalence: float = math.nan
    needed: int | None = None
    rank_holm_p: float = math.nan
    rank_bh_p: float = math.nan
    equivalence_holm_p: float = math.nan
    equivalence_bh_p: float = math.nan
    needed_in_family: int | None = None
    bound_effect: float = math.nan
    strict: float = math.nan  # equivalence, with the bounds as far in as misread faces ask
    strict_effect: float = math.nan
    log_bf: float = math.nan


def compare(vital: str, first: str, second: str, means: Means, options: argparse.Namespace) -> Test:
    """Compare two states: paired where three people have both in a session, else Welch where three
    on each side have only one.
    """
    one, two, apart = sides(means.get(vital, {}), first, second)
    both = sorted(one.keys() & two.keys())
    only_one = sorted(one.keys() - two.keys())
    only_two = sorted(two.keys() - one.keys())
    test = Test(vital, first, second, len(both))
    if options.design != "independent" and len(both) >= MINIMUM:
        test.method, test.left_out = "paired", len(only_one) + len(only_two) + apart
        only_one = only_two = both
    elif options.design != "paired" and min(len(only_one), len(only_two)) >= MINIMUM:
        test.method, test.left_out = "Welch", len(both) + apart
    else:
        return test
    a = np.array([one[code] for code in only_one])
    b = np.array([two[code] for code in only_two])
    test.n_first, test.n_second, test.difference = len(a), len(b), flat_difference(a, b)
    bound = math.nan
    if vital in options.kinds:  # a measure of the intervals between beats has none
        kind = options.kinds[vital]
        bound = getattr(options, f"bound_{kind.option}", kind.bound)
    fill(test, a, b, (bound, bound * options.factors.get((first, second), 1.0)))
    return test


def fill(test: Test, a: Values, b: Values, bounds: tuple[float, float]) -> None:
    """Compute all numbers of a test but those of the family; none where the values do not vary.

    Args:
        test: to be filled.
        a: values of the first side.
        b: values of the second side.
        bounds: the declared equivalence bound, and the one that decides; NaN for none.
    """
    paired = test.method == "paired"
    if constant(a - b, np.concatenate([a, b])) if paired else constant(a, a) and constant(b, b):
        return
    v = float(np.var(a, ddof=1))
    w = float(np.var(b, ddof=1))
    if paired:
        difference = float(np.mean(a - b))
        spread = float(np.std(a - b, ddof=1))
        error = spread / math.sqrt(len(a))
        df = float(len(a) - 1)
        # Cousineau 2020
        g_df = (len(a) - 1) * (v + w) ** 2 / (v**2 + w**2 + 2 * float(np.cov(a, b)[0, 1]) ** 2)
    else:
        difference = float(np.mean(a) - np.mean(b))
        spread = math.sqrt((v + w) / 2)
        x = v / len(a)
        y = w / len(b)
        # Welch 1947
        error = math.sqrt(x + y)
        df = (x + y) ** 2 / (x**2 / (len(a) - 1) + y**2 / (len(b) - 1))
        g_df = (v + w) ** 2 / (v**2 / (len(a) - 1) + w**2 / (len(b) - 1))  # Delacre et al. 2021
    half = float(special.stdtrit(df, 0.975)) * error
    test.difference = difference
    test.low = difference - half
    test.high = difference + half
    test.t = difference / error
    test.df = df
    test.p = 2 * float(special.stdtr(df, -abs(test.t)))
    average = math.sqrt((v + w) / 2)
    test.g = hedges_j(g_df) * difference / average
    test.g_low = error / average * noncentrality(test.t, df, 0.975)
    test.g_high = error / average * noncentrality(test.t, df, 0.025)
    test.shapiro = [shapiro(a - b)] if paired else [shapiro(a), shapiro(b)]
    test.rank = signed_rank(a, b) if paired else rank_sum(a, b)
    test.log_bf = log_bayes_factor(test, a, b)
    bound, strict = bounds
    if math.isnan(bound):
        return
    test.equivalence = outside(difference, error, df, bound)
    test.strict = outside(difference, error, df, strict)
    test.strict_effect = strict / spread
    test.bound_effect = bound / spread
    test.needed = people_needed(test.bound_effect, paired=paired)


def outside(difference: float, error: float, df: float, bound: float) -> float:
    """Return p of two one-sided tests against both bounds (Schuirmann 1987)."""
    above = special.stdtr(df, -(difference + bound) / error)
    below = special.stdtr(df, (difference - bound) / error)
    return float(max(above, below))


def log_bayes_factor(test: Test, a: Values, b: Values) -> float:
    """Return the logarithm of the JZS Bayes factor for a difference (Rouder et al. 2009), of groups
    from Student's t.
    """
    if test.method == "paired":
        return log_factor(test.t, len(a), len(a) - 1)
    n = len(a)
    m = len(b)
    pooled = (np.var(a) * n + np.var(b) * m) / (n + m - 2)
    t = float((np.mean(a) - np.mean(b)) / math.sqrt(pooled * (1 / n + 1 / m)))
    return log_factor(t, n * m / (n + m), n + m - 2)


def log_factor(t: float, n: float, df: float) -> float:
    """Integrate over the logarithm of the effect's variance, about the peak."""
    without = -(df + 1) / 2 * math.log1p(t * t / df)

    def density(u: float) -> float:
        wider = float(np.logaddexp(0.0, math.log(n) + u))
        likelihood = -wider / 2 - (df + 1) / 2 * math.log1p(t * t / df * math.exp(-wider))
        prior = math.log(SCALE) - math.log(2 * math.pi) / 2 - u / 2 - SCALE**2 / 2 * math.exp(-u)
        return likelihood + prior - without

    low = 2 * math.log(SCALE) - 2 * math.log(FAR)
    high = 2 * math.log(SCALE) + math.log1p(t * t) + 2 * FAR
    coarse = np.linspace(low, high, 400)
    start = float(coarse[int(np.argmax([density(float(u)) for u in coarse]))])
    width = float(coarse[1] - coarse[0])
    peak = float(
        optimize.minimize_scalar(
            lambda u: -density(u), bounds=(start - width, start + width), method="bounded"
        ).x
    )
    top = density(peak)
    steps = (-8, -4, -2, -1, 0, 1, 2, 4, 8, 16)
    edges = sorted({min(max(edge, low), high) for edge in (low, *(peak + s for s in steps), high)})
    parts = [
        integrate.quad(
            lambda u: math.exp(density(u) - top), one, other, epsabs=0, epsrel=1e-12, limit=200
        )[0]
        for one, other in itertools.pairwise(edges)
    ]
    return top + math.log(math.fsum(parts))


def flat_difference(a: Values, b: Values) -> float:
    """Return the difference of the means, rounded at the 12th digit of the largest value: what is
    shown where the values do not vary.
    """
    difference = math.fsum(a) / len(a) - math.fsum(b) / len(b)
    largest = float(np.max(np.abs(np.concatenate([a, b]))))
    if not largest:
        return 0.0
    return round(difference, 11 - math.floor(math.log10(largest))) + 0.0


def constant(values: Values, scale: Values) -> bool:
    """Tell whether values spread by no more than rounding."""
    return bool(np.ptp(values) <= 64 * np.finfo(float).eps * np.max(np.abs(scale)))


def hedges_j(df: float) -> float:
    """Return the correction of a standardised difference for small samples (Hedges 1981)."""
    return math.exp(math.lgamma(df / 2) - math.lgamma((df - 1) / 2)) / math.sqrt(df / 2)


def noncentral_t(t: float, df: float, delta: float) -> float:
    """Return P(T ≤ t) of the noncentral t distribution, T = (Z + δ) / U with U = √(χ² / df).

    Formula: ∫ over u > 0 of Φ(t u − δ) · f(u) du, f the density of U; cut where Φ steps, so that no
    step is missed.
    """
    constant_term = math.log(2) + df / 2 * math.log(df / 2) - math.lgamma(df / 2)

    def density(u: float) -> float:
        return float(special.ndtr(t * u - delta)) * math.exp(
            constant_term + (df - 1) * math.log(u) - df * u * u / 2
        )

    end = 1 + 14 / math.sqrt(df)
    step, width = (delta / t, 10 / abs(t)) if t else (0.0, 0.0)
    cuts = sorted({0.0, end, 1.0, *(min(max(step + way * width, 0.0), end) for way in (-1, 0, 1))})
    return sum(
        integrate.quad(density, *cut, epsabs=1e-13, epsrel=1e-11)[0]
        for cut in itertools.pairwise(cuts)
    )


def noncentrality(t: float, df: float, probability: float) -> float:
    """Return the δ with which P(T ≤ t) is ``probability``."""

    def excess(delta: float) -> float:
        return noncentral_t(t, df, delta) - probability

    step = 1 + abs(t) / math.sqrt(2 * df)
    low = high = t
    while excess(low) < 0:
        low -= step
    while excess(high) > 0:
        high += step
    return float(optimize.brentq(excess, low, high, xtol=1e-11))


def people_needed(effect: float, *, paired: bool, alpha: float = ALPHA) -> int | None:
    """Return the fewest pairs, or people in each group, with which a t-test at a level finds an
    effect with power 0.8.
    """

    def power(n: int) -> float:
        df = n - 1 if paired else 2 * n - 2
        shift = effect * math.sqrt(n if paired else n / 2)
        limit = float(special.stdtrit(df, 1 - alpha / 2))
        return 1 - noncentral_t(limit, df, shift) + noncentral_t(-limit, df, shift)

    if power(MOST) < POWER:
        return None
    low = MINIMUM - 1
    high = MINIMUM
    while power(high) < POWER:
        low = high
        high = min(2 * high, MOST)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if power(middle) >= POWER else (middle, high)
    return high


def shapiro(values: Values) -> float:
    """Return p of the Shapiro–Wilk test; NaN where the values do not vary."""
    if constant(values, values):
        return math.nan
    return float(stats.shapiro(values / np.ptp(values)).pvalue)


def signed_rank(a: Values, b: Values) -> float:
    """Return p of Wilcoxon's test, exact up to 50 differences (ties or not).

    Differences of 0 are dropped.
    """
    rounded = whole_units(a - b, np.concatenate([a, b]))
    differences = rounded[rounded != 0]
    if len(differences) > EXACT_RANKS:
        return float(stats.wilcoxon(differences, correction=True).pvalue)
    ranks = stats.rankdata(np.abs(differences))
    return two_tails(count_sums(ranks, len(ranks)).sum(axis=0), float(ranks[differences > 0].sum()))


def rank_sum(a: Values, b: Values) -> float:
    """Return p of Mann and Whitney's test, exact (ties or not) where the smaller group times both
    groups is at most 5,000.
    """
    both = np.concatenate([a, b])
    a, b = whole_units(a, both), whole_units(b, both)
    ranks = stats.rankdata(np.concatenate([a, b]))
    if not np.ptp(ranks):
        return 1.0
    fewer = min(ranks[: len(a)], ranks[len(a) :], key=len)
    few = len(fewer)
    if few * len(ranks) > EXACT_SPLITS:
        return float(stats.mannwhitneyu(a, b, use_continuity=True, method="asymptotic").pvalue)
    return two_tails(count_sums(ranks, few)[few], float(fewer.sum()))


def whole_units(values: Values, scale: Values) -> Values:
    """Return values in whole units of the 12th digit of the largest; the rest is rounding."""
    exponent = math.floor(math.log10(np.max(np.abs(scale))))
    return np.rint(values / 10.0 ** (exponent - 11))


def count_sums(ranks: Values, size: int) -> Values:
    """Count the subsets of up to ``size`` ranks by size (rows) and by twice their sum (columns)."""
    doubled = [round(2 * rank) for rank in ranks]
    counts = np.zeros((size + 1, sum(sorted(doubled)[-size:]) + 1))
    counts[0, 0] = 1.0
    for rank in doubled:
        counts[1:, rank:] += counts[:-1, : counts.shape[1] - rank].copy()
    return counts


def two_tails(counts: Values, total: float) -> float:
    """Return twice the smaller tail of a counted distribution."""
    place = round(2 * total)
    return min(1.0, 2 * float(min(counts[: place + 1].sum(), counts[place:].sum()) / counts.sum()))


def families_of(texts: Sequence[str], names: Sequence[str], chosen: argparse.Namespace) -> Families:
    """Return the number of the declared family of each test, by vital or measure and two states.

    Args:
        texts: such as ``heart_rate``, ``systolic, diastolic`` or ``all: anger, neutral``; parts of
            one family are divided by semicolons.
        names: vitals and measures that are tested.
        chosen: what is asked.
    """
    numbers: Families = {}
    for number, text in enumerate(texts):
        for part in text.split(";"):
            left, _, right = part.partition(":")
            wanted = [name.strip().casefold() for name in left.split(",")]
            if wanted == ["all"]:
                wanted = list(chosen.vital)
            labels = [label.strip().casefold() for label in right.split(",") if label.strip()]
            own = [shown for label, shown in chosen.names.items() if label in labels or not labels]
            unknown = [name for name in wanted if name not in names]
            unknown += [label for label in labels if label not in chosen.names]
            if unknown or len(own) < 2:
                raise SystemExit(f"--family {text}: there is no such test.")
            for name, pair in itertools.product(wanted, pairs_of(own)):
                if numbers.setdefault((name, *pair), number) != number:
                    raise SystemExit(f"--family {text}: a test is in two families.")
    return numbers


def adjust(tests: Sequence[Test], families: Families | None = None) -> None:
    """Adjust p within each declared family; tests that none names are one family together."""
    for own in in_families(tests, families or {}).values():
        adjust_together(own)


def in_families(tests: Sequence[Test], families: Families) -> dict[int, list[Test]]:
    """Return the tests of each family, in order of their first tests."""
    groups: dict[int, list[Test]] = {}
    for test in tests:
        groups.setdefault(families.get((test.vital, test.first, test.second), -1), []).append(test)
    return groups


def adjust_together(tests: Sequence[Test]) -> None:
    """Adjust the p values of the t-tests, of the rank tests and of the equivalence tests, each as
    one family, by Holm's method and by that of Benjamini and Hochberg; then count the people that
    the smallest p of the family asks for.
    """
    adjust_family(tests, "p", "")
    adjust_family(tests, "rank", "rank_")
    adjust_family(tests, "strict", "equivalence_")
    computed = [test for test in tests if not math.isnan(test.strict_effect)]
    for test in computed:
        test.needed_in_family = people_needed(
            test.strict_effect, paired=test.method == "paired", alpha=ALPHA / len(computed)
        )


def adjust_family(tests: Sequence[Test], name: str, prefix: str) -> None:
    """Adjust the p values called ``name``; those that are missing are no part of the family."""
    numbered = [(float(getattr(test, name)), test) for test in tests]
    order = sorted((pair for pair in numbered if not math.isnan(pair[0])), key=lambda one: one[0])
    running = 0.0
    for place, (p, test) in enumerate(order):
        running = max(running, min(1.0, (len(order) - place) * p))
        setattr(test, f"{prefix}holm_p", running)
    running = 1.0
    for place, (p, test) in reversed(list(enumerate(order, start=1))):
        # The factor is at least 1, so rounding cannot take a p below itself.
        factor = len(order) / place
        running = min(running, factor * p)
        setattr(test, f"{prefix}bh_p", running)


@dataclass
class AllStates:
    """One vital over all states: repeated measures, corrected by Greenhouse and Geisser."""

    vital: str
    n: int
    f: float = math.nan
    epsilon: float = math.nan
    df_states: float = math.nan
    df_error: float = math.nan
    p: float = math.nan
    partial_eta_squared: float = math.nan
    generalized_eta_squared: float = math.nan


def all_states(vital: str, means: Means, names: Sequence[str]) -> AllStates:
    """Compare all states of the people who have all of them in a session."""
    whole = {
        code: [session for session in own if len(session) == len(names)]
        for code, own in means.get(vital, {}).items()
    }
    people = sorted(code for code, own in whole.items() if own)
    result = AllStates(vital, len(people))
    if len(people) < MINIMUM:
        return result
    values = np.array([[average(whole[code], state) for state in names] for code in people])
    n, k = values.shape
    centred = values - values.mean()
    of_people = centred.mean(axis=1, keepdims=True)
    of_states = centred.mean(axis=0, keepdims=True)
    rest = centred - of_people - of_states
    if constant(rest, values):
        return result
    ss_states = n * np.sum(of_states**2)
    ss_people = k * np.sum(of_people**2)
    ss_error = np.sum(rest**2)
    products = (rest / np.max(np.abs(rest))).T @ (rest / np.max(np.abs(rest)))
    result.epsilon = min(1.0, float(np.trace(products) ** 2 / ((k - 1) * np.sum(products**2))))
    result.f = float((ss_states / (k - 1)) / (ss_error / ((k - 1) * (n - 1))))
    result.df_states, result.df_error = (
        settled(result.epsilon * (k - 1)),
        settled(result.epsilon * (k - 1) * (n - 1)),
    )
    result.p = float(special.fdtrc(result.df_states, result.df_error, result.f))
    result.partial_eta_squared = float(ss_states / (ss_states + ss_error))
    result.generalized_eta_squared = float(ss_states / (ss_states + ss_people + ss_error))
    return result


# --- Writing --------------------------------------------------------------------------------------


def settled(value: float) -> float:
    """Round to 12 digits, so that the last bit of a sum does not decide how a half is rounded."""
    return float(f"{value:.12g}")


def number(value: float, digits: int) -> str:
    """Write a number as the dashboard does.

    Small ones with up to two more decimals, or in powers of ten.
    """
    value = settled(value)
    places = next((p for p in range(digits, digits + 3) if abs(value) >= 0.5 * 10.0**-p), digits)
    if value and not 0.5 * 10.0**-places <= abs(value) < 1e6:
        return f"{value:.1e}".replace("-", MINUS)
    if value:
        return f"{value:.{places}f}".replace("-", MINUS)
    return f"{0:.{places}f}"


def p_text(p: float) -> str:
    """Write a p value as the dashboard does."""
    p = settled(p)
    if p < 0.001:
        return f"{p:.1e}".replace("e-0", "e-").replace("-", MINUS)
    text = f"{p:.3f}"
    if float(text) != ALPHA:
        return text
    return f"{p:.6f}".rstrip("0")


def p_or_none(p: float) -> str:
    """Write a p value; empty where there is none."""
    return "" if math.isnan(p) else p_text(p)


def factor_text(log_bf: float) -> str:
    """Write a Bayes factor as the dashboard does."""
    factor = math.exp(min(log_bf, 100.0))
    if factor >= 1e5:
        return "over 100,000"
    if factor >= 100:
        return f"{factor:,.0f}"
    return number(factor, 1 if factor >= 10 else 2)


def interval(low: float, high: float, digits: int) -> str:
    """Write an interval."""
    return f"{number(low, digits)} to {number(high, digits)}"


HEADS = (
    *(
        "comparison",
        "test",
        "n",
        "left out",
        "difference",
        "95 % CI",
        "t",
        "df",
        "p",
        "adj. p",
        "g",
        "95 % CI of g",
    ),
    *("Shapiro p", "rank p", "adj. rank p", "equiv. p", "adj. equiv. p", "needed", "BF10"),
)


def cells(test: Test, correction: str) -> tuple[str, ...]:
    """Return a test as the cells of the page's table; empty where there is no number."""
    if test.method == "Welch":
        n = f"{test.n_first} + {test.n_second}"
    else:
        n = str(test.n_first or test.n_both)
    start = (
        f"{test.first} {MINUS} {test.second}",
        test.method or "none",
        n,
        str(test.left_out or ""),
    )
    if test.difference is None:
        difference = ""
    else:
        difference = number(test.difference, 1)
    if math.isnan(test.p):
        return (*start, difference, *[""] * 14)
    df = settled(test.df)
    needed = "" if test.needed_in_family is None else f"{test.needed_in_family:,}"
    by_holm = correction == "holm"
    return (
        *start,
        difference,
        interval(test.low, test.high, 1),
        number(test.t, 2),
        f"{df:.0f}" if df == round(df) else f"{df:.1f}",
        p_text(test.p),
        p_text(test.holm_p if by_holm else test.bh_p),
        number(test.g, 2),
        interval(test.g_low, test.g_high, 2),
        ", ".join(p_text(p) for p in test.shapiro if not math.isnan(p)),
        p_text(test.rank),
        p_text(test.rank_holm_p if by_holm else test.rank_bh_p),
        p_or_none(test.equivalence),
        p_or_none(test.equivalence_holm_p if by_holm else test.equivalence_bh_p),
        f"{needed} + {needed}" if needed and test.method == "Welch" else needed,
        factor_text(test.log_bf),
    )


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return rows of cells as lines with columns below each other."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def adjusted_for(tests: Sequence[Test], options: argparse.Namespace) -> str:
    """Say for how many tests p is adjusted, in each family where families are declared."""
    groups = in_families(tests, options.families).values()
    sizes = [str(sum(not math.isnan(test.p) for test in own)) for own in groups] or ["0"]
    how = f"for {sizes[0]} tests"
    if options.families:
        how = f"within families of {', '.join(sizes)} tests"
    return f"{how} ({options.correction})"


def report(
    sample: str, tests: Sequence[Test], states: Sequence[AllStates], options: argparse.Namespace
) -> Iterator[str]:
    """Yield the lines for people."""
    change = "; change from baseline" if options.outcome == "change" else ""
    yield (
        f"States by {options.state}; sessions: {sample}{change}; "
        f"p adjusted {adjusted_for(tests, options)}"
    )
    rows = [HEADS, *(cells(test, options.correction) for test in tests)]
    lines = aligned(rows)
    yield lines[0]
    for vital, result in zip(options.vital, states, strict=True):
        own = [line for line, test in zip(lines[1:], tests, strict=True) if test.vital == vital]
        yield from ("", options.kinds[vital].title, *own)
        if not math.isnan(result.p):
            df = " and ".join(
                f"{d:.0f}" if d == round(d) else f"{d:.2f}"
                for d in (result.df_states, result.df_error)
            )
            yield (
                f"all {NUMBER_WORDS[len(options.states)]} states: {result.n} people, "
                f"F = {number(result.f, 2)} with {df} degrees "
                "of freedom after Greenhouse and Geisser, p "
                f"{'< 0.001' if result.p < 0.001 else f'= {p_text(result.p)}'}, generalized "
                f"\u03b7\u00b2 = {number(result.generalized_eta_squared, 2)}"
            )


def heart_report(
    tests: Sequence[Test], titles: Mapping[str, str], options: argparse.Namespace
) -> Iterator[str]:
    """Yield the lines about the intervals between beats, a family of its own."""
    yield ""
    yield f"Intervals between beats; p adjusted {adjusted_for(tests, options)}"
    lines = aligned([HEADS, *(cells(test, options.correction) for test in tests)])
    yield lines[0]
    for measure, title in titles.items():
        own = [line for line, test in zip(lines[1:], tests, strict=True) if test.vital == measure]
        yield from ("", title, *own)


def full(tests: Sequence[Test], states: Sequence[AllStates]) -> Iterator[tuple[str, str, str, str]]:
    """Yield every number with all its digits, for programs: vital, comparison, name, value."""
    skipped = ("vital", "first", "second", "shapiro", "bound_effect", "strict", "strict_effect")
    for test in tests:
        shown = {name: value for name, value in vars(test).items() if name not in skipped}
        for name, value in (
            shown | {f"shapiro_{i}": p for i, p in enumerate(test.shapiro, 1)}
        ).items():
            missing = (
                value is None or value == "" or (isinstance(value, float) and math.isnan(value))
            )
            yield test.vital, f"{test.first}-{test.second}", name, "" if missing else str(value)
    for result in states:
        for name, value in vars(result).items():
            if name != "vital":
                missing = isinstance(value, float) and math.isnan(value)
                yield result.vital, "all", name, "" if missing else str(value)


def options() -> argparse.ArgumentParser:
    """Return what can be asked; the defaults are those of the page."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "folder",
        type=Path,
        nargs="?",
        default=Path(__file__).parent,
        help="where the CSV files lie",
    )
    parser.add_argument(
        "--state", choices=("condition", "observed", "reported"), default="condition"
    )
    parser.add_argument("--sample", choices=("auto", "measured", "example"), default="auto")
    parser.add_argument(
        "--session", type=int, action="append", default=[], help="only this one; may be repeated"
    )
    parser.add_argument(
        "--vital",
        action="append",
        help="one of vital_kind.csv that has a bound; default: heart_rate, systolic, diastolic",
    )
    parser.add_argument(
        "--states",
        action="append",
        help="a state to compare, by its label; given two to six times, the one that the others "
        "are compared with first; default: neutral, happiness, anger",
    )
    parser.add_argument(
        "--outcome",
        choices=("level", "change"),
        default="level",
        help="change: from the baseline of the session, of baseline.csv",
    )
    parser.add_argument(
        "--heart",
        action="store_true",
        help="test the measures of heart_measure.csv, too: those of question.json",
    )
    parser.add_argument("--design", choices=("auto", "paired", "independent"), default="auto")
    parser.add_argument("--correction", choices=("holm", "benjamini_hochberg"), default="holm")
    parser.add_argument(
        "--bound-heart-rate", type=float, default=5.0, help="differences up to this count as none"
    )
    parser.add_argument("--bound-pressure", type=float, default=5.0, help="the same of pressures")
    parser.add_argument(
        "--settling-heart-rate",
        type=float,
        help="seconds left out at the start of each stimulus; default: of vital_kind.csv",
    )
    parser.add_argument("--settling-pressure", type=float, help="the same of pressures")
    parser.add_argument("--settling-other", type=float, help="the same of all other vitals")
    parser.add_argument(
        "--count-flagged",
        choices=DOUBTS,
        action="append",
        default=[],
        help="count readings with this flag all the same; may be repeated",
    )
    parser.add_argument(
        "--prefer-source",
        action="append",
        default=[],
        help="where several sources measured a vital in a session, this one counts; may be "
        "repeated, the best first; default: the one with the most readings without doubt",
    )
    parser.add_argument(
        "--family",
        action="append",
        default=[],
        help="adjust p within this family of tests: vitals or measures, and states where not all "
        "are meant, such as 'heart_rate' or 'all: anger, neutral'; may be repeated",
    )
    parser.add_argument(
        "--leave-out-flagged",
        action="store_true",
        help="what is done without it as well: readings in doubt count in no mean",
    )
    parser.add_argument(
        "--estimated", action="store_true", help="the same as --count-flagged estimated"
    )
    parser.add_argument(
        "--csv", action="store_true", help="every number with all its digits, for programs"
    )
    return parser


def main(
    arguments: Sequence[str] | None = None, write: Callable[[str], object] = sys.stdout.write
) -> None:
    """Compute and print."""
    parser = options()
    chosen = parser.parse_args(arguments)
    chosen.kinds = read_kinds(chosen.folder)
    if chosen.leave_out_flagged and set(chosen.count_flagged) - {"estimated"}:
        parser.error("argument --leave-out-flagged: contradicts --count-flagged")
    if chosen.estimated:
        chosen.count_flagged.append("estimated")
    for vital in chosen.vital or ():
        if vital not in chosen.kinds:
            parser.error(f"argument --vital: choose from {', '.join(chosen.kinds)}, not {vital!r}")
    chosen.states = chosen.states or list(STATES)
    chosen.names = names_of(chosen.states)
    if not 2 <= len(chosen.names) == len(chosen.states) < len(NUMBER_WORDS):
        parser.error("argument --states: give two to six different ones")
    chosen.states = list(chosen.names.values())
    chosen.factors = read_factors(chosen.folder, chosen.state)
    usual = [vital for vital, kind in chosen.kinds.items() if kind.default]
    chosen.vital = [vital for vital in chosen.kinds if vital in (chosen.vital or usual)]
    sample, means = choose(chosen.folder, chosen)
    pairs = pairs_of(chosen.states)
    tests = [compare(vital, *pair, means, chosen) for vital in chosen.vital for pair in pairs]
    states = [all_states(vital, means, chosen.states) for vital in chosen.vital]
    titles: dict[str, str] = {}
    of_heart: list[Test] = []
    if chosen.heart:
        titles, values = read_heart(chosen.folder)
        of_heart = [compare(name, *pair, values, chosen) for name in titles for pair in pairs]
    chosen.families = families_of(chosen.family, [*chosen.vital, *titles], chosen)
    adjust(tests, chosen.families)
    adjust(of_heart, chosen.families)
    if chosen.csv:
        lines = [("vital", "comparison", "name", "value"), *full([*tests, *of_heart], states)]
        write("".join(",".join(values) + "\n" for values in lines))
        return
    written = list(report(sample, tests, states, chosen))
    if chosen.heart:
        written += heart_report(of_heart, titles, chosen)
    write("".join(line + "\n" for line in written))


def names_of(states: Sequence[str]) -> dict[str, str]:
    """Return how each state is shown, by its label as labels are compared: in any case."""
    names = {}
    for state in states:
        label = state.strip().casefold()
        names[label] = label if label in EMOTIONS else state.strip()
    return names


if __name__ == "__main__":
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(encoding="utf-8")
    main()
